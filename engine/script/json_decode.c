#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "script/json.h"
#include "script/lua_buf.h"
#include "script/lua_err.h"
#include "script/value.h"

/* Stack slots of json_decode. */
enum { TEXT = 1, SCRATCH, DICT_META, LIST_META };

struct decoder {
    lua_State *L;
    const char *start, *p, *end;
    struct buf *scratch; /* of strings with escapes */
    int depth;
};

/* Raises with the words Python uses and the position of `at`. */
static NORETURN void fail(struct decoder *d, const char *at, const char *words)
{
    int line = 1;
    const char *begin = d->start;
    for (const char *p = d->start; p < at; p++) {
        if (*p == '\n') {
            line++;
            begin = p + 1;
        }
    }
    lua_err_pushf(d->L, JSON_BAD_TEXT, "%s", words);
    lua_pushinteger(d->L, line);
    lua_setfield(d->L, -2, "line");
    lua_pushinteger(d->L, at - begin + 1);
    lua_setfield(d->L, -2, "column");
    lua_error(d->L);
    abort(); /* lua_error does not return */
}

static void skip_space(struct decoder *d)
{
    while (d->p < d->end && (*d->p == ' ' || *d->p == '\n' || *d->p == '\r' || *d->p == '\t'))
        d->p++;
}

static int hex4(const char *p, const char *end)
{
    int value = 0;
    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

static void add_utf8(struct buf *b, int c)
{
    if (c < 0x80) {
        buf_putc(b, (char)c);
        return;
    }
    if (c < 0x800) {
        buf_putc(b, (char)(0xc0 | (c >> 6)));
    } else if (c < 0x10000) {
        buf_putc(b, (char)(0xe0 | (c >> 12)));
        buf_putc(b, (char)(0x80 | ((c >> 6) & 0x3f)));
    } else {
        buf_putc(b, (char)(0xf0 | (c >> 18)));
        buf_putc(b, (char)(0x80 | ((c >> 12) & 0x3f)));
        buf_putc(b, (char)(0x80 | ((c >> 6) & 0x3f)));
    }
    buf_putc(b, (char)(0x80 | (c & 0x3f)));
}

/* After "\u": one character, or a surrogate pair. Half a pair cannot be text and becomes U+FFFD. */
static void unicode_escape(struct decoder *d)
{
    int c = hex4(d->p, d->end);
    if (c < 0)
        fail(d, d->p - 1, "Invalid \\uXXXX escape");
    d->p += 4;
    if (c >= 0xd800 && c < 0xdc00 && d->end - d->p >= 6 && d->p[0] == '\\' && d->p[1] == 'u') {
        int low = hex4(d->p + 2, d->end);
        if (low >= 0xdc00 && low < 0xe000) {
            c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
            d->p += 6;
        }
    }
    add_utf8(d->scratch, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
}

static void escape(struct decoder *d)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char *at = d->p++; /* the backslash */
    char c = d->p < d->end ? *d->p++ : '\0';
    const char *found = c ? strchr(names, c) : NULL;
    if (found)
        buf_putc(d->scratch, values[found - names]);
    else if (c == 'u')
        unicode_escape(d);
    else
        fail(d, at, "Invalid \\escape");
}

/* At the opening quote: pushes the string. */
static void read_string(struct decoder *d)
{
    const char *open = d->p++;
    const char *from = d->p;
    int escaped = 0;
    for (;;) {
        while (d->p < d->end && *d->p != '"' && *d->p != '\\' && (unsigned char)*d->p >= ' ')
            d->p++;
        if (d->p >= d->end)
            fail(d, open, "Unterminated string starting here");
        if ((unsigned char)*d->p < ' ')
            fail(d, d->p, "Invalid control character");
        if (*d->p == '"' && !escaped) {
            lua_pushlstring(d->L, from, (size_t)(d->p++ - from));
            return;
        }
        if (!escaped)
            buf_clear(d->scratch);
        escaped = 1;
        buf_add(d->scratch, from, (size_t)(d->p - from));
        if (*d->p == '"')
            break;
        escape(d);
        from = d->p;
    }
    d->p++;
    lua_pushlstring(d->L, d->scratch->data, d->scratch->len);
}

static int is_digit(const struct decoder *d)
{
    return d->p < d->end && *d->p >= '0' && *d->p <= '9';
}

static void skip_digits(struct decoder *d)
{
    while (is_digit(d))
        d->p++;
}

/*
 * -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?  A part that does not match is left for the
 * caller.
 */
static void read_number(struct decoder *d)
{
    const char *from = d->p;
    int is_float = 0;
    if (*d->p == '-')
        d->p++;
    if (!is_digit(d))
        fail(d, from, "Expecting value");
    if (*d->p == '0')
        d->p++;
    else
        skip_digits(d);
    if (d->p + 1 < d->end && *d->p == '.' && d->p[1] >= '0' && d->p[1] <= '9') {
        is_float = 1;
        d->p++;
        skip_digits(d);
    }
    if (d->p < d->end && (*d->p == 'e' || *d->p == 'E')) {
        const char *mark = d->p++;
        if (d->p < d->end && (*d->p == '-' || *d->p == '+'))
            d->p++;
        if (is_digit(d)) {
            is_float = 1;
            skip_digits(d);
        } else {
            d->p = mark;
        }
    }
    /* the text ends with a zero byte, so neither function reads past it */
    if (is_float) {
        lua_pushnumber(d->L, strtod(from, NULL));
        return;
    }
    errno = 0;
    long long n = strtoll(from, NULL, 10);
    if (errno == ERANGE)
        fail(d, from, "this integer does not fit in 64 bits");
    lua_pushinteger(d->L, n);
}

static void read_value(struct decoder *d);

static void enter(struct decoder *d)
{
    if (++d->depth > JSON_DEPTH)
        fail(d, d->p, "nested too deeply");
    luaL_checkstack(d->L, 8, "nested too deeply");
    d->p++;
    skip_space(d);
}

static void read_array(struct decoder *d)
{
    lua_State *L = d->L;
    enter(d);
    lua_newtable(L);
    lua_pushvalue(L, LIST_META);
    lua_setmetatable(L, -2);
    if (d->p < d->end && *d->p == ']') {
        d->p++;
        d->depth--;
        return;
    }
    for (lua_Integer n = 1;; n++) {
        read_value(d);
        lua_rawseti(L, -2, n);
        skip_space(d);
        char c = d->p < d->end ? *d->p : '\0';
        if (c != ',' && c != ']')
            fail(d, d->p, "Expecting ',' delimiter");
        d->p++;
        if (c == ']')
            break;
        skip_space(d);
    }
    d->depth--;
}

/* On the stack: dict, order, key. Appends a new key to the order. */
static void note_key(lua_State *L, lua_Integer *n)
{
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -4) == LUA_TNIL) {
        lua_pushvalue(L, -2);
        lua_rawseti(L, -4, ++*n);
    }
    lua_pop(L, 1);
}

static void read_object(struct decoder *d)
{
    lua_State *L = d->L;
    enter(d);
    lua_newtable(L);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, -3, &value_order);
    if (d->p < d->end && *d->p == '}') {
        d->p++;
    } else {
        for (lua_Integer n = 0;;) {
            if (d->p >= d->end || *d->p != '"')
                fail(d, d->p, "Expecting property name enclosed in double quotes");
            read_string(d);
            note_key(L, &n);
            skip_space(d);
            if (d->p >= d->end || *d->p != ':')
                fail(d, d->p, "Expecting ':' delimiter");
            d->p++;
            skip_space(d);
            read_value(d);
            lua_rawset(L, -4);
            skip_space(d);
            char c = d->p < d->end ? *d->p : '\0';
            if (c != ',' && c != '}')
                fail(d, d->p, "Expecting ',' delimiter");
            d->p++;
            if (c == '}')
                break;
            skip_space(d);
        }
    }
    lua_pop(L, 1);
    lua_pushvalue(L, DICT_META);
    lua_setmetatable(L, -2);
    d->depth--;
}

static int accept(struct decoder *d, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(d->end - d->p) < n || memcmp(d->p, word, n) != 0)
        return 0;
    d->p += n;
    return 1;
}

static void read_word(struct decoder *d)
{
    if (accept(d, "true"))
        lua_pushboolean(d->L, 1);
    else if (accept(d, "false"))
        lua_pushboolean(d->L, 0);
    else if (accept(d, "null"))
        value_push_none(d->L);
    else if (accept(d, "NaN"))
        lua_pushnumber(d->L, (lua_Number)NAN);
    else if (accept(d, "Infinity"))
        lua_pushnumber(d->L, (lua_Number)INFINITY);
    else if (accept(d, "-Infinity"))
        lua_pushnumber(d->L, -(lua_Number)INFINITY);
    else
        fail(d, d->p, "Expecting value");
}

static void read_value(struct decoder *d)
{
    char c = d->p < d->end ? *d->p : '\0';
    if (c == '"')
        read_string(d);
    else if (c == '{')
        read_object(d);
    else if (c == '[')
        read_array(d);
    else if ((c >= '0' && c <= '9') || (c == '-' && d->end - d->p > 1 && d->p[1] != 'I'))
        read_number(d);
    else
        read_word(d);
}

int json_decode(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, TEXT, &len);
    lua_settop(L, TEXT);
    struct buf *scratch = lua_buf_push(L);
    luaL_getmetatable(L, VALUE_DICT);
    luaL_getmetatable(L, VALUE_LIST);
    struct decoder d = { L, text, text, text + len, scratch, 0 };
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
        d.p += 3;
    skip_space(&d);
    read_value(&d);
    skip_space(&d);
    if (d.p < d.end)
        fail(&d, d.p, "Extra data");
    return 1;
}
