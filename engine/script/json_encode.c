#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/number.h"
#include "script/json.h"
#include "script/lua_buf.h"
#include "script/lua_err.h"
#include "script/value.h"

enum { MOST_HOLES = 4 };

/* Stack slots of json_encode. */
enum { VALUE = 1, OPTIONS, OUT, DEFAULT };

struct encoder {
    lua_State *L;
    struct buf *out;
    const void *dict_meta, *list_meta, *tuple_meta; /* identities only */
    const char *item_end, *key_end;                 /* "," and ":" with their spaces */
    int indent;                                     /* -1: one line */
    int sort_keys, ascii, exact, depth;
    const void *holes[MOST_HOLES]; /* tables in whose place nothing is written */
    size_t at[MOST_HOLES];         /* where in `out` those that were met would be */
    int hole_count, met;
};

static int fail(struct encoder *e, int index)
{
    lua_State *L = e->L;
    const char *name = luaL_typename(L, index);
    if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING)
        name = lua_tostring(L, -1);
    lua_err_pushf(L, JSON_BAD_VALUE, "a value of type %s cannot be written as JSON", name);
    return lua_error(L);
}

/* Raises when what is written would not come back as it was. */
static void refuse_inexact(struct encoder *e, const char *what)
{
    if (!e->exact)
        return;
    lua_err_pushf(e->L, JSON_BAD_VALUE, "%s cannot be written as JSON without a loss", what);
    lua_error(e->L);
}

/* One UTF-8 character at `p`, or 0xfffd for a byte that begins none; `*n` bytes long. */
static unsigned read_utf8(const unsigned char *p, size_t left, size_t *n)
{
    static const unsigned least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t len = p[0] < 0xc0 || p[0] >= 0xf8 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    *n = 1;
    if (len == 0 || len > left)
        return 0xfffd;
    unsigned c = p[0] & (0x7fU >> len);
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0xfffd;
        c = c << 6 | (p[i] & 0x3fU);
    }
    if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return 0xfffd;
    *n = len;
    return c;
}

static void write_unicode(struct buf *out, unsigned c)
{
    static const char digits[] = "0123456789abcdef";
    if (c >= 0x10000) {
        c -= 0x10000;
        write_unicode(out, 0xd800 + (c >> 10));
        c = 0xdc00 + (c & 0x3ff);
    }
    char *p = buf_room(out, 6);
    p[0] = '\\';
    p[1] = 'u';
    for (int i = 0; i < 4; i++)
        p[2 + i] = digits[(c >> (12 - 4 * i)) & 15];
    out->len += 6;
}

static void write_string(struct encoder *e, const char *text, size_t len)
{
    struct buf *out = e->out;
    const unsigned char *p = (const unsigned char *)text, *end = p + len;
    buf_putc(out, '"');
    while (p < end) {
        const unsigned char *from = p;
        while (p < end && *p >= ' ' && *p != '"' && *p != '\\' && (*p < 0x7f || !e->ascii))
            p++;
        buf_add(out, from, (size_t)(p - from));
        if (p == end)
            break;
        size_t n = 1;
        const char *simple = *p < 0x80 ? strchr("\"\"\\\\\bb\ff\nn\rr\tt", *p) : NULL;
        if (*p >= 0x80) {
            unsigned c = read_utf8(p, (size_t)(end - p), &n);
            if (n == 1)
                refuse_inexact(e, "text that is no UTF-8");
            write_unicode(out, c);
        } else if (simple && *p) {
            buf_putc(out, '\\');
            buf_putc(out, simple[1]);
        } else {
            write_unicode(out, *p);
        }
        p += n;
    }
    buf_putc(out, '"');
}

/* A number as Python prints it; gives its length. */
static size_t number_text(lua_State *L, int index, char text[NUMBER_SIZE])
{
    if (lua_isinteger(L, index))
        return (size_t)snprintf(text, NUMBER_SIZE, "%lld", (long long)lua_tointeger(L, index));
    double x = lua_tonumber(L, index);
    if (isfinite(x))
        number_repr(x, text);
    else
        strcpy(text, isnan(x) ? "NaN" : x > 0 ? "Infinity" : "-Infinity");
    return strlen(text);
}

static void new_line(struct encoder *e)
{
    if (e->indent < 0)
        return;
    size_t n = (size_t)e->indent * (size_t)e->depth;
    buf_putc(e->out, '\n');
    memset(buf_room(e->out, n), ' ', n);
    e->out->len += n;
    e->out->data[e->out->len] = '\0';
}

static void write_value(struct encoder *e, int index);

static void enter(struct encoder *e)
{
    if (++e->depth > JSON_DEPTH) {
        lua_err_pushf(e->L, JSON_BAD_VALUE,
                      "a value that is nested too deeply, or holds itself, cannot be "
                      "written as JSON");
        lua_error(e->L);
    }
    luaL_checkstack(e->L, 10, "nested too deeply");
}

static void write_list(struct encoder *e, int index)
{
    lua_State *L = e->L;
    size_t n = lua_rawlen(L, index);
    enter(e);
    buf_putc(e->out, '[');
    for (size_t i = 1; i <= n; i++) {
        if (i > 1)
            buf_puts(e->out, e->item_end);
        new_line(e);
        lua_rawgeti(L, index, (lua_Integer)i);
        write_value(e, lua_gettop(L));
        lua_pop(L, 1);
    }
    e->depth--;
    if (n > 0)
        new_line(e);
    buf_putc(e->out, ']');
}

/* Replaces the array of keys on top of the stack by a sorted copy. */
static void sort_order(lua_State *L)
{
    lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
    lua_getglobal(L, "table");
    lua_getfield(L, -1, "sort");
    lua_createtable(L, (int)n, 0);
    for (lua_Integer i = 1; i <= n; i++) {
        lua_rawgeti(L, -4, i);
        lua_rawseti(L, -2, i);
    }
    lua_replace(L, -4); /* order, table, sort -> copy, table, sort */
    lua_pushvalue(L, -3);
    lua_call(L, 1, 0);
    lua_pop(L, 1);
}

/* Python turns the other plain values into text when they are keys. */
static void write_key(struct encoder *e, int index)
{
    lua_State *L = e->L;
    char number[NUMBER_SIZE];
    size_t len;
    if (lua_type(L, index) != LUA_TSTRING)
        refuse_inexact(e, "a key that is no text");
    switch (lua_type(L, index)) {
    case LUA_TSTRING: {
        const char *text = lua_tolstring(L, index, &len);
        write_string(e, text, len);
        break;
    }
    case LUA_TNUMBER:
        len = number_text(L, index, number);
        write_string(e, number, len);
        break;
    case LUA_TBOOLEAN:
        buf_puts(e->out, lua_toboolean(L, index) ? "\"true\"" : "\"false\"");
        break;
    default:
        if (!value_is_none(L, index))
            fail(e, index);
        buf_puts(e->out, "\"null\"");
    }
}

static void write_dict(struct encoder *e, int index)
{
    lua_State *L = e->L;
    enter(e);
    lua_rawgetp(L, index, &value_order);
    if (e->sort_keys)
        sort_order(L);
    int order = lua_gettop(L);
    size_t n = lua_rawlen(L, order);
    buf_putc(e->out, '{');
    for (size_t i = 1; i <= n; i++) {
        if (i > 1)
            buf_puts(e->out, e->item_end);
        new_line(e);
        lua_rawgeti(L, order, (lua_Integer)i);
        write_key(e, order + 1);
        buf_puts(e->out, e->key_end);
        lua_rawget(L, index);
        write_value(e, order + 1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    e->depth--;
    if (n > 0)
        new_line(e);
    buf_putc(e->out, '}');
}

/* Tuples are made in Lua: the first one met tells their metatable. */
static int is_tuple(struct encoder *e, const void *meta)
{
    lua_State *L = e->L;
    if (meta == e->tuple_meta)
        return 1;
    lua_pushliteral(L, "__name");
    int same = lua_rawget(L, -2) == LUA_TSTRING && strcmp(lua_tostring(L, -1), VALUE_TUPLE) == 0;
    lua_pop(L, 1);
    if (same)
        e->tuple_meta = meta;
    return same;
}

/* What is no plain value: __tojson and `default` give one. */
static void write_object(struct encoder *e, int index)
{
    lua_State *L = e->L;
    refuse_inexact(e, "an object");
    if (luaL_getmetafield(L, index, "__tojson") == LUA_TNIL) {
        if (lua_isnil(L, DEFAULT)) {
            fail(e, index);
            return;
        }
        lua_pushvalue(L, DEFAULT);
    }
    lua_pushvalue(L, index);
    lua_call(L, 1, 1);
    enter(e);
    write_value(e, lua_gettop(L));
    e->depth--;
    lua_pop(L, 1);
}

static void write_table(struct encoder *e, int index)
{
    lua_State *L = e->L;
    if (e->met < e->hole_count && lua_topointer(L, index) == e->holes[e->met]) {
        e->at[e->met++] = e->out->len;
        return;
    }
    const void *meta = NULL;
    int tuple = 0;
    if (lua_getmetatable(L, index)) {
        meta = lua_topointer(L, -1);
        tuple = meta != e->dict_meta && meta != e->list_meta && is_tuple(e, meta);
        lua_pop(L, 1);
        if (tuple)
            refuse_inexact(e, "a tuple");
    }
    if (meta && meta == e->dict_meta)
        write_dict(e, index);
    else if (meta && (tuple || meta == e->list_meta))
        write_list(e, index);
    else
        write_object(e, index);
}

static void write_value(struct encoder *e, int index)
{
    lua_State *L = e->L;
    char number[NUMBER_SIZE];
    size_t len;
    switch (lua_type(L, index)) {
    case LUA_TSTRING: {
        const char *text = lua_tolstring(L, index, &len);
        write_string(e, text, len);
        break;
    }
    case LUA_TNUMBER:
        len = number_text(L, index, number);
        buf_add(e->out, number, len);
        break;
    case LUA_TBOOLEAN:
        buf_puts(e->out, lua_toboolean(L, index) ? "true" : "false");
        break;
    case LUA_TTABLE:
        write_table(e, index);
        break;
    default:
        if (value_is_none(L, index))
            buf_puts(e->out, "null");
        else
            write_object(e, index);
    }
}

static const void *meta_identity(lua_State *L, const char *name)
{
    luaL_getmetatable(L, name);
    const void *p = lua_topointer(L, -1);
    lua_pop(L, 1);
    return p;
}

static int flag(lua_State *L, const char *name, int absent)
{
    int set = lua_getfield(L, OPTIONS, name) == LUA_TNIL ? absent : lua_toboolean(L, -1);
    lua_pop(L, 1);
    return set;
}

/* The list of them is on top of the stack. */
static void read_holes(struct encoder *e)
{
    lua_State *L = e->L;
    size_t n = lua_rawlen(L, -1);
    luaL_argcheck(L, n <= MOST_HOLES, OPTIONS, "too many holes");
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, -1, (lua_Integer)i + 1);
        e->holes[i] = lua_topointer(L, -1);
        lua_pop(L, 1);
    }
    e->hole_count = (int)n;
}

/* Replaces the buffer by the texts between the holes. */
static int push_pieces(struct encoder *e)
{
    lua_State *L = e->L;
    if (e->met < e->hole_count)
        return luaL_error(L, "not all holes are in the value, in this order");
    size_t from = 0;
    for (int i = 0; i <= e->hole_count; i++) {
        size_t to = i < e->hole_count ? e->at[i] : e->out->len;
        lua_pushlstring(L, e->out->data + from, to - from);
        from = to;
    }
    return e->hole_count + 1;
}

static void read_options(struct encoder *e)
{
    lua_State *L = e->L;
    if (lua_isnil(L, OPTIONS)) {
        lua_newtable(L);
        lua_replace(L, OPTIONS);
    }
    luaL_checktype(L, OPTIONS, LUA_TTABLE);
    int compact = flag(L, "compact", 0);
    e->sort_keys = flag(L, "sort_keys", 0);
    e->ascii = flag(L, "ascii", 1);
    e->exact = flag(L, "exact", 0);
    if (lua_getfield(L, OPTIONS, "indent") != LUA_TNIL && !value_is_none(L, -1)) {
        lua_Integer indent = luaL_checkinteger(L, -1);
        luaL_argcheck(L, indent >= 0 && indent <= 64, 2, "indent must be between 0 and 64");
        e->indent = (int)indent;
    }
    lua_pop(L, 1);
    if (lua_getfield(L, OPTIONS, "holes") == LUA_TTABLE)
        read_holes(e);
    lua_pop(L, 1);
    e->item_end = compact || e->indent >= 0 ? "," : ", ";
    e->key_end = compact ? ":" : ": ";
}

int json_encode(lua_State *L)
{
    luaL_checkany(L, VALUE);
    lua_settop(L, OPTIONS);
    struct encoder e = { .L = L, .indent = -1 };
    read_options(&e);
    e.out = lua_buf_push(L);
    lua_getfield(L, OPTIONS, "default");
    e.dict_meta = meta_identity(L, VALUE_DICT);
    e.list_meta = meta_identity(L, VALUE_LIST);
    write_value(&e, VALUE);
    lua_settop(L, OUT);
    if (e.hole_count > 0)
        return push_pieces(&e);
    lua_buf_finish(L, OUT);
    return 1;
}
