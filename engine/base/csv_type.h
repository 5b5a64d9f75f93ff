#ifndef DEX_BASE_CSV_TYPE_H
#define DEX_BASE_CSV_TYPE_H

#include <stddef.h>

#include "base/buf.h"

/*
 * The type of a CSV column from its cells, by the rules of dbt's seeds (agate): whole numbers,
 * numbers, dates (2026-1-31), timestamps (with a blank and whole seconds, or ISO with a T), true
 * and false, else text. An empty cell, blanks, and the word null are NULL in every type.
 */

enum csv_kind { CSV_NUMBER, CSV_DATE, CSV_TIMESTAMP, CSV_ISO, CSV_BOOLEAN, CSV_TEXT };

/* What is known of one column. All zero but `possible` at the start: csv_column_init. */
struct csv_column {
    unsigned possible;      /* bit per csv_kind that all cells so far can be */
    unsigned char fraction; /* a number with a fraction other than zeros, an exponent, nan, inf */
    unsigned char dotted;   /* a number written with a dot */
    unsigned char odd;      /* a number or time that PostgreSQL does not read as written */
    unsigned char odd_null; /* a NULL that COPY does not take for one */
    unsigned char size;     /* of the largest whole number: 0 int4, 1 int8, 2 beyond */
};

/* A column; `text` ones stay text whatever they hold. */
void csv_column_init(struct csv_column *column, int text);

/* Takes one more cell into account. */
void csv_column_add(struct csv_column *column, const char *text, size_t len, int quoted);

/* What the column is: the first kind that is still possible. */
enum csv_kind csv_column_kind(const struct csv_column *column);

/* PostgreSQL's name of the column's type. */
const char *csv_column_type(const struct csv_column *column);

/* Whether a cell of this column may have to be rewritten for COPY. */
int csv_column_odd(const struct csv_column *column);

/* Appends the cell as COPY (format csv, null '') reads it. */
void csv_column_write(const struct csv_column *column, struct buf *out, const char *text,
                      size_t len, char delimiter);

#endif
