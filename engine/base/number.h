/* Numbers as text. */
#ifndef DEX_BASE_NUMBER_H
#define DEX_BASE_NUMBER_H

enum { NUMBER_SIZE = 64 };

/*
 * Writes `x` as Python's repr does: the fewest digits that read back as the same number, ".0" when
 * it looks like an integer, an exponent from 1e16 up and below 1e-4, and "inf", "-inf", "nan".
 */
void number_repr(double x, char out[NUMBER_SIZE]);

#endif
