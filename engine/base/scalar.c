#include "base/scalar.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { NUMBER_MAX = 400 }; /* longer texts are no numbers that anybody means */

static int one_of(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(text, *words) == 0)
            return 1;
    return 0;
}

static const char *skip(const char *p, const char *set)
{
    return p + strspn(p, set);
}

#define DIGITS "0123456789"

/* (:[0-5]?[0-9])+ */
static const char *skip_sixties(const char *p)
{
    while (*p == ':' && p[1] >= '0' && p[1] <= '9') {
        p++;
        if (*p <= '5' && p[1] >= '0' && p[1] <= '9')
            p++;
        p++;
    }
    return p;
}

static int looks_int(const char *p)
{
    if (*p == '-' || *p == '+')
        p++;
    if (*p == '0') {
        if (p[1] == 'b')
            return p[2] && !*skip(p + 2, "01_");
        if (p[1] == 'x')
            return p[2] && !*skip(p + 2, "0123456789abcdefABCDEF_");
        return !*skip(p + 1, "01234567_");
    }
    if (*p < '1' || *p > '9')
        return 0;
    p = skip(p, DIGITS "_");
    return !*skip_sixties(p);
}

static int looks_float(const char *p)
{
    static const char *const specials[] = { ".inf", ".Inf", ".INF", NULL };
    static const char *const nans[] = { ".nan", ".NaN", ".NAN", NULL };
    int sign = *p == '-' || *p == '+';
    if (one_of(p, nans) || one_of(p + sign, specials))
        return 1;
    const char *q = p + sign;
    if (*q == '.') { /* no sign is allowed here */
        if (sign || q[1] < '0' || q[1] > '9')
            return 0;
    } else if (*q < '0' || *q > '9') {
        return 0;
    }
    q = skip(q, DIGITS "_");
    if (*q == ':') {
        q = skip_sixties(q);
        return *q == '.' && !*skip(q + 1, DIGITS "_");
    }
    if (*q != '.')
        return 0;
    q = skip(q + 1, DIGITS "_");
    if (*q == 'e' || *q == 'E') {
        q++;
        if (*q != '-' && *q != '+')
            return 0;
        q++;
        if (*q < '0' || *q > '9')
            return 0;
        q = skip(q, DIGITS);
    }
    return !*q;
}

/* Between `least` and `most` digits; NULL when there are fewer. */
static const char *digits(const char *p, int least, int most)
{
    int n = 0;
    while (n < most && p && p[n] >= '0' && p[n] <= '9')
        n++;
    return p && n >= least ? p + n : NULL;
}

static const char *letter(const char *p, char c)
{
    return p && *p == c ? p + 1 : NULL;
}

/* 2026-01-02, or with a time: [Tt ] 3:04:05 .678 and a zone */
static int looks_time(const char *text, size_t len)
{
    const char *p = letter(digits(text, 4, 4), '-');
    const char *day = letter(digits(p, 2, 2), '-');
    day = digits(day, 2, 2);
    if (day && len == 10)
        return !*day;
    p = digits(letter(digits(p, 1, 2), '-'), 1, 2);
    if (!p || !*p)
        return 0;
    const char *after = skip(p, " \t");
    if (after == p && *p != 'T' && *p != 't')
        return 0;
    p = after == p ? p + 1 : after;
    p = letter(digits(p, 1, 2), ':');
    p = digits(letter(digits(p, 2, 2), ':'), 2, 2);
    if (!p)
        return 0;
    if (*p == '.')
        p = skip(p + 1, DIGITS);
    if (!*p)
        return 1;
    p = skip(p, " \t");
    if (*p == 'Z')
        return !p[1];
    if (*p != '-' && *p != '+')
        return 0;
    p = digits(p + 1, 1, 2);
    if (p && *p == ':')
        p = digits(p + 1, 2, 2);
    return p && !*p;
}

/* A copy without underscores and without the sign, which is told apart. */
static int clean(const char *text, size_t len, char out[NUMBER_MAX], int *negative)
{
    size_t n = 0;
    if (len >= NUMBER_MAX || strlen(text) != len)
        return -1;
    for (size_t i = 0; i < len; i++)
        if (text[i] != '_')
            out[n++] = text[i];
    out[n] = '\0';
    *negative = out[0] == '-';
    if (out[0] == '-' || out[0] == '+')
        memmove(out, out + 1, n);
    return out[0] ? 0 : -1;
}

/* Whether it can be multiplied by 60 and added to another. */
static int is_moderate(long long n)
{
    return n < 1LL << 50 && n > -(1LL << 50);
}

/* 1:30 is 90: sums the parts from the left. */
static int sexagesimal(char *p, struct scalar *out)
{
    long long sum = 0;
    for (char *part; (part = strsep(&p, ":"));) {
        char *end;
        long long n = strtoll(part, &end, 10);
        if (end == part || *end || !is_moderate(sum) || !is_moderate(n))
            return -1;
        sum = sum * 60 + n;
    }
    out->i = sum;
    return 0;
}

int scalar_int(const char *text, size_t len, struct scalar *out)
{
    char copy[NUMBER_MAX], *end;
    int negative;
    if (clean(text, len, copy, &negative) < 0)
        return -1;
    *out = (struct scalar){ .kind = SCALAR_INT };
    if (strchr(copy, ':')) {
        if (sexagesimal(copy, out) < 0)
            return -1;
        out->i = negative ? -out->i : out->i;
        return 0;
    }
    int base = 10, prefix = 0;
    if (copy[0] == '0' && (copy[1] == 'b' || copy[1] == 'x')) {
        base = copy[1] == 'b' ? 2 : 16;
        prefix = 2;
    } else if (copy[0] == '0') {
        base = 8;
    }
    if (!copy[prefix] || strchr("+- \t\n", copy[prefix]))
        return -1;
    errno = 0;
    unsigned long long n = strtoull(copy + prefix, &end, base);
    if (*end)
        return -1;
    if (errno == ERANGE || n > (negative ? 1ULL << 63 : (1ULL << 63) - 1))
        out->kind = SCALAR_WIDE;
    else
        out->i = negative ? (long long)(0 - n) : (long long)n;
    return 0;
}

static int float_sixties(char *p, double *out)
{
    double sum = 0;
    for (char *part; (part = strsep(&p, ":"));) {
        char *end;
        double x = strtod(part, &end);
        if (end == part || *end)
            return -1;
        sum = sum * 60 + x;
    }
    *out = sum;
    return 0;
}

int scalar_float(const char *text, size_t len, struct scalar *out)
{
    char copy[NUMBER_MAX], *end;
    int negative;
    if (clean(text, len, copy, &negative) < 0)
        return -1;
    *out = (struct scalar){ .kind = SCALAR_FLOAT };
    if (strcasecmp(copy, ".inf") == 0) {
        out->f = INFINITY;
    } else if (strcasecmp(copy, ".nan") == 0) {
        out->f = NAN;
    } else if (strchr(copy, ':')) {
        if (float_sixties(copy, &out->f) < 0)
            return -1;
    } else {
        out->f = strtod(copy, &end);
        if (end == copy || *end || strpbrk(copy, "xX"))
            return -1;
    }
    if (negative)
        out->f = -out->f;
    return 0;
}

int scalar_bool(const char *text, size_t len, struct scalar *out)
{
    (void)len;
    static const char *const yes[] = { "yes", "true", "on" };
    static const char *const no[] = { "no", "false", "off" };
    for (int i = 0; i < 3; i++) {
        if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
            *out = (struct scalar){ .kind = SCALAR_BOOL, .i = strcasecmp(text, yes[i]) == 0 };
            return 0;
        }
    }
    return -1;
}

/* The three cases that count: yes, Yes, YES. */
static int looks_bool(const char *text)
{
    static const char *const words[] = { "yes",  "Yes",   "YES",   "no",    "No",  "NO",   "on",
                                         "On",   "ON",    "off",   "Off",   "OFF", "true", "True",
                                         "TRUE", "false", "False", "FALSE", NULL };
    return one_of(text, words);
}

struct scalar scalar_resolve(const char *text, size_t len)
{
    static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };
    struct scalar out = { .kind = SCALAR_TEXT };
    char first = text[0];
    if (len > NUMBER_MAX || strlen(text) != len)
        return out;
    if (first && strchr("0123456789+-.", first)) {
        if (looks_float(text) && scalar_float(text, len, &out) == 0)
            return out;
        if (first != '.' && looks_int(text) && scalar_int(text, len, &out) == 0)
            return out;
        out.kind = looks_time(text, len) ? SCALAR_TIME : SCALAR_TEXT;
    } else if (one_of(text, nulls)) {
        out.kind = SCALAR_NULL;
    } else if (first && strchr("yYnNtTfFoO", first) && looks_bool(text)) {
        scalar_bool(text, len, &out);
    }
    return out;
}
