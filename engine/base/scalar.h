/*
 * What a plain YAML scalar means, by the rules of PyYAML's SafeLoader (YAML 1.1): dbt projects are
 * written for those.
 */
#ifndef DEX_BASE_SCALAR_H
#define DEX_BASE_SCALAR_H

#include <stddef.h>

enum scalar_kind {
    SCALAR_TEXT,
    SCALAR_NULL,
    SCALAR_BOOL,
    SCALAR_INT,
    SCALAR_FLOAT,
    SCALAR_TIME, /* a date or a timestamp, as text */
    SCALAR_WIDE  /* an integer that does not fit in 64 bits, as text */
};

struct scalar {
    enum scalar_kind kind;
    long long i; /* of an int; 0 or 1 of a bool */
    double f;
};

/*
 * Resolves `text` (terminated, `len` bytes). Only plain scalars are resolved, so the caller checks
 * that.
 */
struct scalar scalar_resolve(const char *text, size_t len);

/*
 * What the tags !!int, !!float and !!bool make of any text. Each gives 0, or -1 when the text
 * cannot be one. Integers may be written 1_000, 0b1, 0x1f, 017 (octal) or 1:30 (sexagesimal).
 */
int scalar_int(const char *text, size_t len, struct scalar *out);
int scalar_float(const char *text, size_t len, struct scalar *out);
int scalar_bool(const char *text, size_t len, struct scalar *out);

#endif
