/*
 * Lua's own pattern functions (string.find, match, gmatch, gsub) and string.rep, in ways that come
 * to an end (script/pattern.h). Everything else is as the Lua manual says, error messages included.
 * Looking for a plain text takes linear time.
 */
#include <ctype.h>
#include <lauxlib.h>
#include <lualib.h>
#include <string.h>

#include "script/libs.h"
#include "script/pattern.h"

/* Pushes one capture; the whole match is the first when there is none. */
static void push_capture(struct match *m, int i, const char *s, const char *end)
{
    if (i >= m->count) {
        if (i != 0)
            luaL_error(m->L, "invalid capture index %%%d", i + 1);
        lua_pushlstring(m->L, s, (size_t)(end - s));
        return;
    }
    ptrdiff_t len = m->captures[i].len;
    if (len == UNFINISHED)
        luaL_error(m->L, "unfinished capture");
    if (len == POSITION)
        lua_pushinteger(m->L, m->captures[i].at - m->begin + 1);
    else
        lua_pushlstring(m->L, m->captures[i].at, (size_t)len);
}

/* Pushes all captures, or the whole match when there is none and `s` says where it begins. */
static int push_captures(struct match *m, const char *s, const char *end)
{
    int n = m->count == 0 && s ? 1 : m->count;
    luaL_checkstack(m->L, n, "too many captures");
    for (int i = 0; i < n; i++)
        push_capture(m, i, s, end);
    return n;
}

/* The byte at which argument `arg` says to begin, from 0; more than `len` when behind the end. */
static size_t start_of(lua_State *L, int arg, size_t len)
{
    lua_Integer at = luaL_optinteger(L, arg, 1);
    if (at > 0)
        return (size_t)at - 1;
    if (at == 0 || at < -(lua_Integer)len)
        return 0;
    return len - (size_t)-at;
}

static int is_plain(const char *p, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (p[i] && strchr("^$*+?.([%-", p[i]))
            return 0;
    return 1;
}

static int push_plain(lua_State *L, const char *s, size_t len, size_t at)
{
    size_t wanted_len;
    const char *wanted = lua_tolstring(L, 2, &wanted_len);
    const char *found = wanted_len == 0 ? s + at : memmem(s + at, len - at, wanted, wanted_len);
    if (!found) {
        luaL_pushfail(L);
        return 1;
    }
    lua_pushinteger(L, found - s + 1);
    lua_pushinteger(L, found - s + (lua_Integer)wanted_len);
    return 2;
}

static int find_or_match(lua_State *L, int find)
{
    size_t len, pattern_len;
    const char *s = luaL_checklstring(L, 1, &len);
    const char *p = luaL_checklstring(L, 2, &pattern_len);
    size_t at = start_of(L, 3, len);
    if (at > len) {
        luaL_pushfail(L);
        return 1;
    }
    if (find && (lua_toboolean(L, 4) || is_plain(p, pattern_len)))
        return push_plain(L, s, len, at);
    struct match m;
    match_init(&m, L, s, len, p + pattern_len);
    int anchored = pattern_len > 0 && *p == '^';
    p += anchored;
    for (const char *from = s + at; from <= m.end; from++) {
        const char *end = match_at(&m, from, p);
        if (end && !find)
            return push_captures(&m, from, end);
        if (end) {
            lua_pushinteger(L, from - s + 1);
            lua_pushinteger(L, end - s);
            return push_captures(&m, NULL, NULL) + 2;
        }
        if (anchored)
            break;
    }
    luaL_pushfail(L);
    return 1;
}

static int pattern_find(lua_State *L)
{
    return find_or_match(L, 1);
}

static int pattern_match(lua_State *L)
{
    return find_or_match(L, 0);
}

/* The state of a gmatch; text and pattern are upvalues, too. */
struct walk {
    struct match match;
    const char *pattern;
    const char *next; /* where to look */
    const char *last; /* the end of the last match: an empty one does not follow it there */
};

static int walk_step(lua_State *L)
{
    struct walk *w = lua_touserdata(L, lua_upvalueindex(3));
    w->match.L = L;
    for (const char *s = w->next; s <= w->match.end; s++) {
        const char *end = match_at(&w->match, s, w->pattern);
        if (end && end != w->last) {
            w->next = w->last = end;
            return push_captures(&w->match, s, end);
        }
    }
    return 0;
}

static int pattern_gmatch(lua_State *L)
{
    size_t len, pattern_len;
    const char *s = luaL_checklstring(L, 1, &len);
    const char *p = luaL_checklstring(L, 2, &pattern_len);
    size_t at = start_of(L, 3, len);
    lua_settop(L, 2);
    struct walk *w = lua_newuserdatauv(L, sizeof *w, 0);
    match_init(&w->match, L, s, len, p + pattern_len);
    w->pattern = p;
    w->next = s + (at > len ? len + 1 : at);
    w->last = NULL;
    lua_pushcclosure(L, walk_step, 3);
    return 1;
}

/* Adds argument 3, a text in which %0 to %9 stand for captures. */
static void add_text(struct match *m, luaL_Buffer *b, const char *s, const char *end)
{
    size_t len;
    const char *text = lua_tolstring(m->L, 3, &len), *stop = text + len, *percent;
    while ((percent = memchr(text, '%', (size_t)(stop - text))) != NULL) {
        luaL_addlstring(b, text, (size_t)(percent - text));
        text = percent + 2;
        char c = percent + 1 < stop ? percent[1] : '\0';
        if (c == '%') {
            luaL_addchar(b, '%');
        } else if (c == '0') {
            luaL_addlstring(b, s, (size_t)(end - s));
        } else if (isdigit((unsigned char)c)) {
            push_capture(m, c - '1', s, end);
            luaL_tolstring(m->L, -1, NULL);
            lua_remove(m->L, -2);
            luaL_addvalue(b);
        } else {
            luaL_error(m->L, "invalid use of '%%' in replacement string");
        }
    }
    luaL_addlstring(b, text, (size_t)(stop - text));
}

/* Adds what argument 3 makes of a match; gives 0 when the text stays as it is. */
static int add_replaced(struct match *m, luaL_Buffer *b, const char *s, const char *end)
{
    lua_State *L = m->L;
    switch (lua_type(L, 3)) {
    case LUA_TFUNCTION:
        lua_pushvalue(L, 3);
        lua_call(L, push_captures(m, s, end), 1);
        break;
    case LUA_TTABLE:
        push_capture(m, 0, s, end);
        lua_gettable(L, 3);
        break;
    default:
        add_text(m, b, s, end);
        return 1;
    }
    if (!lua_toboolean(L, -1)) {
        lua_pop(L, 1);
        luaL_addlstring(b, s, (size_t)(end - s));
        return 0;
    }
    if (!lua_isstring(L, -1))
        luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
    luaL_addvalue(b);
    return 1;
}

static int pattern_gsub(lua_State *L)
{
    size_t len, pattern_len;
    const char *s = luaL_checklstring(L, 1, &len);
    const char *p = luaL_checklstring(L, 2, &pattern_len);
    int kind = lua_type(L, 3);
    luaL_argexpected(L,
                     kind == LUA_TNUMBER || kind == LUA_TSTRING || kind == LUA_TTABLE ||
                         kind == LUA_TFUNCTION,
                     3, "string/function/table");
    lua_Integer most = luaL_optinteger(L, 4, (lua_Integer)len + 1);
    struct match m;
    match_init(&m, L, s, len, p + pattern_len);
    int anchored = pattern_len > 0 && *p == '^';
    p += anchored;
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    lua_Integer n = 0;
    int changed = 0;
    const char *last = NULL;
    while (n < most) {
        const char *end = match_at(&m, s, p);
        if (end && end != last) {
            n++;
            changed |= add_replaced(&m, &b, s, end);
            s = last = end;
        } else if (s < m.end) {
            luaL_addchar(&b, *s++);
        } else {
            break;
        }
        if (anchored)
            break;
    }
    if (changed) {
        luaL_addlstring(&b, s, (size_t)(m.end - s));
        luaL_pushresult(&b);
    } else {
        lua_pushvalue(L, 1);
    }
    lua_pushinteger(L, n);
    return 2;
}

/* string.rep of nothing is nothing at once: Lua's own goes through all repetitions. */
static int pattern_rep(lua_State *L)
{
    size_t len, separator_len;
    luaL_checklstring(L, 1, &len);
    luaL_checkinteger(L, 2);
    luaL_optlstring(L, 3, "", &separator_len);
    if (len == 0 && separator_len == 0) {
        lua_pushliteral(L, "");
        return 1;
    }
    int top = lua_gettop(L);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, top, 1);
    return 1;
}

void pattern_install(lua_State *L)
{
    static const luaL_Reg functions[] = { { "find", pattern_find },
                                          { "match", pattern_match },
                                          { "gmatch", pattern_gmatch },
                                          { "gsub", pattern_gsub },
                                          { NULL, NULL } };
    lua_getglobal(L, LUA_STRLIBNAME);
    luaL_setfuncs(L, functions, 0);
    lua_getfield(L, -1, "rep");
    lua_pushcclosure(L, pattern_rep, 1);
    lua_setfield(L, -2, "rep");
    lua_pop(L, 1);
}
