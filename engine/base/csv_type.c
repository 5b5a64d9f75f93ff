#include "base/csv_type.h"

#include <string.h>

enum { ALL = (1 << (CSV_TEXT + 1)) - 1 };

void csv_column_init(struct csv_column *column, int text)
{
    memset(column, 0, sizeof *column);
    column->possible = text ? 1u << CSV_TEXT : ALL;
}

/* A piece of a cell. */
struct span {
    const char *at, *end;
};

static int is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static struct span trim(struct span s)
{
    while (s.at < s.end && is_blank(*s.at))
        s.at++;
    while (s.at < s.end && is_blank(s.end[-1]))
        s.end--;
    return s;
}

static size_t length(struct span s)
{
    return (size_t)(s.end - s.at);
}

/* Compares with a lower-case word. */
static inline int is_word(struct span s, const char *word)
{
    size_t n = strlen(word);
    if (length(s) != n)
        return 0;
    for (size_t i = 0; i < n; i++)
        if (lower(s.at[i]) != word[i])
            return 0;
    return 1;
}

static int is_null(struct span trimmed)
{
    return trimmed.at == trimmed.end || (length(trimmed) == 4 && is_word(trimmed, "null"));
}

/* Numbers ------------------------------------------------------------------------------------- */

struct number {
    struct span digits; /* without a leading sign */
    int negative;
    int dotted, fraction;
    int odd; /* per cent sign, currency, thousands separators */
    int size;
};

static const char *const currencies[] = { "$", "\xC2\xA3", "\xC2\xA5", "\xC2\xA2", "\xE2\x82\xAC" };

/* Takes one currency sign from either end; true when there was one. */
static int take_currency(struct span *s)
{
    for (size_t i = 0; i < sizeof currencies / sizeof *currencies; i++) {
        size_t n = strlen(currencies[i]);
        if (length(*s) < n)
            continue;
        if (memcmp(s->at, currencies[i], n) == 0) {
            s->at += n;
            return 1;
        }
        if (memcmp(s->end - n, currencies[i], n) == 0) {
            s->end -= n;
            return 1;
        }
    }
    return 0;
}

/* Removes what agate removes around a number. */
static void undress(struct number *n, struct span *s)
{
    if (length(*s) > 1 && *s->at == '-' && is_digit(s->at[1])) {
        n->negative = 1;
        s->at++;
    }
    if (length(*s) > 0 && is_digit(*s->at) && is_digit(s->end[-1]))
        return; /* nearly all have nothing around them */
    while (s->at < s->end && (*s->at == '%' || s->end[-1] == '%')) {
        if (*s->at == '%')
            s->at++;
        else
            s->end--;
        n->odd = 1;
    }
    *s = trim(*s);
    if (s->at < s->end && *s->at == '-') {
        n->negative = 1;
        s->at++;
    }
    while (take_currency(s))
        n->odd = 1;
    if (n->odd)
        *s = trim(*s);
    if (s->at < s->end && (*s->at == '+' || (*s->at == '-' && !n->negative))) {
        n->odd |= n->negative;
        n->negative |= *s->at == '-';
        s->at++;
    }
}

/* The decimal size of a whole number: fits int4, int8 or neither. */
static int whole_size(struct span digits, int negative)
{
    unsigned long long v = 0;
    const unsigned long long max8 = 9223372036854775807ULL + (unsigned)negative;
    const unsigned long long max4 = 2147483647ULL + (unsigned)negative;
    for (const char *p = digits.at; p < digits.end && *p != '.'; p++) {
        if (!is_digit(*p))
            continue;
        unsigned digit = (unsigned)(*p - '0');
        if (v > (max8 - digit) / 10)
            return 2;
        v = v * 10 + digit;
    }
    return v > max4;
}

static int read_number(struct span s, struct number *n)
{
    memset(n, 0, sizeof *n);
    undress(n, &s);
    n->digits = s;
    if (is_word(s, "nan") || is_word(s, "inf") || is_word(s, "infinity")) {
        n->fraction = 1;
        return 1;
    }
    size_t digits = 0;
    const char *p = s.at;
    for (; p < s.end && (is_digit(*p) || *p == ','); p++) {
        digits += *p != ',';
        n->odd |= *p == ',';
    }
    if (p < s.end && *p == '.') {
        n->dotted = 1;
        for (p++; p < s.end && (is_digit(*p) || *p == ','); p++) {
            digits += *p != ',';
            n->odd |= *p == ',';
            n->fraction |= is_digit(*p) && *p != '0';
        }
    }
    if (digits == 0)
        return 0;
    if (p < s.end && (*p == 'e' || *p == 'E')) {
        n->fraction = 1;
        p++;
        if (p < s.end && (*p == '+' || *p == '-'))
            p++;
        if (p == s.end)
            return 0;
        while (p < s.end && is_digit(*p))
            p++;
    }
    if (p != s.end)
        return 0;
    n->size = whole_size(s, n->negative);
    return 1;
}

/* Dates and times ------------------------------------------------------------------------------ */

/* Reads `least` to `most` digits as a number; false when there are fewer. */
static int digits(struct span *s, int least, int most, int *value)
{
    int n = 0;
    *value = 0;
    while (n < most && s->at < s->end && is_digit(*s->at)) {
        *value = *value * 10 + (*s->at++ - '0');
        n++;
    }
    return n >= least;
}

static int take(struct span *s, char c)
{
    if (s->at == s->end || *s->at != c)
        return 0;
    s->at++;
    return 1;
}

static int month_days(int year, int month)
{
    static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

static int is_day(int year, int month, int day)
{
    return year >= 1 && month >= 1 && month <= 12 && day >= 1 && day <= month_days(year, month);
}

struct moment {
    int year, month, day, hour, minute, second;
    struct span fraction; /* its digits */
    int zone;             /* minutes east of Greenwich */
};

/* 2026-1-31, as strptime reads %Y-%m-%d */
static int take_date(struct span *s, struct moment *m)
{
    return digits(s, 4, 4, &m->year) && take(s, '-') && digits(s, 1, 2, &m->month) &&
           take(s, '-') && digits(s, 1, 2, &m->day) && is_day(m->year, m->month, m->day);
}

static int is_date(struct span s)
{
    struct moment m;
    return take_date(&s, &m) && s.at == s.end;
}

/* 2026-01-31 1:02:03, as strptime reads %Y-%m-%d %H:%M:%S */
static int is_timestamp(struct span s)
{
    struct moment m;
    if (!take_date(&s, &m) || s.at == s.end || !is_blank(*s.at))
        return 0;
    s = trim(s);
    return digits(&s, 1, 2, &m.hour) && take(&s, ':') && digits(&s, 1, 2, &m.minute) &&
           take(&s, ':') && digits(&s, 1, 2, &m.second) && s.at == s.end && m.hour < 24 &&
           m.minute < 60 && m.second < 60;
}

static int take_zone(struct span *s, struct moment *m)
{
    if (s->at == s->end || take(s, 'Z'))
        return 1;
    int negative = *s->at == '-', hours = 0, minutes = 0;
    if (!take(s, '+') && !take(s, '-'))
        return 0;
    if (!digits(s, 2, 2, &hours))
        return 0;
    if (s->at < s->end) {
        take(s, ':');
        if (!digits(s, 2, 2, &minutes))
            return 0;
    }
    m->zone = (hours * 60 + minutes) * (negative ? -1 : 1);
    return hours < 16 && minutes < 60;
}

/* The ISO forms that PostgreSQL reads, too: date and time both with or both without separators. */
static int read_iso(struct span s, struct moment *m)
{
    memset(m, 0, sizeof *m);
    int basic = length(s) > 4 && is_digit(s.at[4]);
    if (!digits(&s, 4, 4, &m->year) || (!basic && !take(&s, '-')) || !digits(&s, 2, 2, &m->month) ||
        (!basic && !take(&s, '-')) || !digits(&s, 2, 2, &m->day) || !take(&s, 'T'))
        return 0;
    if (!is_day(m->year, m->month, m->day))
        return 0;
    if (!digits(&s, 2, 2, &m->hour) || (!basic && !take(&s, ':')) || !digits(&s, 2, 2, &m->minute))
        return 0;
    if (basic || take(&s, ':')) {
        if (!digits(&s, 2, 2, &m->second))
            return 0;
        if (take(&s, '.') || take(&s, ',')) {
            m->fraction.at = s.at;
            while (s.at < s.end && is_digit(*s.at))
                s.at++;
            m->fraction.end = s.at;
            if (m->fraction.at == m->fraction.end)
                return 0;
        }
    }
    if (m->hour > 23 || m->minute > 59 || m->second > 59)
        return 0;
    return take_zone(&s, m) && s.at == s.end;
}

/* Moves a moment to Greenwich. */
static void to_utc(struct moment *m)
{
    int minutes = m->hour * 60 + m->minute - m->zone;
    m->zone = 0;
    if (minutes < 0) {
        minutes += 1440;
        if (--m->day == 0) {
            if (--m->month == 0) {
                m->month = 12;
                m->year--;
            }
            m->day = month_days(m->year, m->month);
        }
    } else if (minutes >= 1440) {
        minutes -= 1440;
        if (++m->day > month_days(m->year, m->month)) {
            m->day = 1;
            if (++m->month == 13) {
                m->month = 1;
                m->year++;
            }
        }
    }
    m->hour = minutes / 60;
    m->minute = minutes % 60;
}

/* Columns ------------------------------------------------------------------------------------- */

static void add_number(struct csv_column *column, struct span s)
{
    struct number n;
    if (!read_number(s, &n)) {
        column->possible &= ~(1u << CSV_NUMBER);
        return;
    }
    column->fraction |= (unsigned char)(n.fraction != 0);
    column->dotted |= (unsigned char)(n.dotted != 0);
    column->odd |= (unsigned char)(n.odd != 0);
    if (n.size > column->size)
        column->size = (unsigned char)n.size;
}

static void add_iso(struct csv_column *column, struct span s)
{
    struct moment m;
    if (!read_iso(s, &m))
        column->possible &= ~(1u << CSV_ISO);
    else if (m.zone != 0 || (m.fraction.at && m.fraction.at[-1] == ','))
        column->odd = 1;
}

void csv_column_add(struct csv_column *column, const char *text, size_t len, int quoted)
{
    struct span s = trim((struct span){ text, text + len });
    if (is_null(s)) {
        column->odd_null |= (unsigned char)(quoted || len > 0);
        return;
    }
    if (column->possible == 1u << CSV_TEXT)
        return;
    /* One kind of cell is never another kind too: the first cell decides, and the rest is cheap. */
    if (column->possible & 1u << CSV_NUMBER)
        add_number(column, s);
    if (column->possible & 1u << CSV_DATE && !is_date(s))
        column->possible &= ~(1u << CSV_DATE);
    if (column->possible & 1u << CSV_TIMESTAMP && !is_timestamp(s))
        column->possible &= ~(1u << CSV_TIMESTAMP);
    if (column->possible & 1u << CSV_ISO)
        add_iso(column, s);
    if (column->possible & 1u << CSV_BOOLEAN && !is_word(s, "true") && !is_word(s, "false"))
        column->possible &= ~(1u << CSV_BOOLEAN);
}

enum csv_kind csv_column_kind(const struct csv_column *column)
{
    for (int kind = CSV_NUMBER; kind < CSV_TEXT; kind++)
        if (column->possible & 1u << kind)
            return (enum csv_kind)kind;
    return CSV_TEXT;
}

const char *csv_column_type(const struct csv_column *column)
{
    static const char *const whole[] = { "integer", "bigint", "numeric" };
    switch (csv_column_kind(column)) {
    case CSV_NUMBER:
        return column->fraction ? "float8" : whole[column->size];
    case CSV_DATE:
        return "date";
    case CSV_TIMESTAMP:
    case CSV_ISO:
        return "timestamp without time zone";
    case CSV_BOOLEAN:
        return "boolean";
    case CSV_TEXT:
        break;
    }
    return "text";
}

int csv_column_odd(const struct csv_column *column)
{
    if (column->odd_null)
        return 1;
    switch (csv_column_kind(column)) {
    case CSV_NUMBER:
        return column->odd || (column->dotted && !column->fraction);
    case CSV_ISO:
        return column->odd;
    default:
        return 0;
    }
}

static void write_number(const struct csv_column *column, struct buf *out, struct span s)
{
    struct number n;
    if (!read_number(s, &n)) {
        buf_add(out, s.at, length(s));
        return;
    }
    if (n.negative)
        buf_putc(out, '-');
    size_t from = out->len;
    for (const char *p = n.digits.at; p < n.digits.end; p++) {
        if (*p == '.' && !column->fraction)
            break;
        if (*p != ',')
            buf_putc(out, *p);
    }
    if (out->len == from)
        buf_putc(out, '0');
}

static void write_iso(struct buf *out, struct span s)
{
    struct moment m;
    if (!read_iso(s, &m)) {
        buf_add(out, s.at, length(s));
        return;
    }
    to_utc(&m);
    buf_printf(out, "%04d-%02d-%02d %02d:%02d:%02d", m.year, m.month, m.day, m.hour, m.minute,
               m.second);
    if (m.fraction.at) {
        buf_putc(out, '.');
        buf_add(out, m.fraction.at, length(m.fraction));
    }
}

static void write_text(struct buf *out, const char *text, size_t len, char delimiter)
{
    int plain = 1;
    for (size_t i = 0; i < len && plain; i++)
        plain = text[i] != '"' && text[i] != '\n' && text[i] != '\r' && text[i] != delimiter;
    if (plain && !(len == 2 && memcmp(text, "\\.", 2) == 0)) {
        buf_add(out, text, len);
        return;
    }
    buf_putc(out, '"');
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '"')
            buf_putc(out, '"');
        buf_putc(out, text[i]);
    }
    buf_putc(out, '"');
}

void csv_column_write(const struct csv_column *column, struct buf *out, const char *text,
                      size_t len, char delimiter)
{
    struct span s = trim((struct span){ text, text + len });
    if (is_null(s))
        return;
    switch (csv_column_kind(column)) {
    case CSV_NUMBER:
        write_number(column, out, s);
        break;
    case CSV_ISO:
        write_iso(out, s);
        break;
    default:
        write_text(out, text, len, delimiter);
    }
}
