/*
 * dex.tags: the tags of a template, found without understanding what is in them. Every macro file
 * is gone through at each start, the built-in ones included: in C that costs next to nothing.
 */
#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

#include "script/libs.h"

/* The end of the text that the quote at `p` begins, behind its closing quote; NULL without one. */
static const char *after_quoted(const char *p, const char *end)
{
    char quote = *p++;
    int escaped = 0;
    for (; p < end; p++) {
        if (*p == quote && !escaped)
            return p + 1;
        escaped = *p == '\\' && !escaped;
    }
    return NULL;
}

/* Behind the two characters `close`, text in quotes passed over; NULL when they do not follow. */
static const char *after(const char *p, const char *end, const char *close)
{
    while (p && p < end) {
        if (*p == '"' || *p == '\'')
            p = after_quoted(p, end);
        else if (*p == close[0] && p + 1 < end && p[1] == close[1])
            return p + 2;
        else
            p++;
    }
    return NULL;
}

static const char *after_comment(const char *p, const char *end)
{
    while (p < end && (p = memchr(p, '#', (size_t)(end - p)))) {
        if (p + 1 < end && p[1] == '}')
            return p + 2;
        p++;
    }
    return NULL;
}

/* The first two characters of a tag, at `p` or later; NULL when there is none. */
static const char *find_tag(const char *p, const char *end)
{
    while (p < end && (p = memchr(p, '{', (size_t)(end - p)))) {
        if (p + 1 < end && p[1] && strchr("{%#", p[1]))
            return p;
        p++;
    }
    return NULL;
}

/* The word that a tag begins with: its length, 0 when it begins with something else. */
static size_t tag_word(const char **p, const char *end)
{
    if (*p < end && (**p == '-' || **p == '+'))
        ++*p;
    while (*p < end && isspace((unsigned char)**p))
        ++*p;
    const char *stop = *p;
    while (stop < end && (isalpha((unsigned char)*stop) || *stop == '_'))
        stop++;
    return (size_t)(stop - *p);
}

/*
 * tags.next(source, from) -> word, at, stop
 * The first {% word ... %} at the byte `from` or behind it: where it begins, and the byte behind
 * it. Comments, expressions and what stands in quotes are passed over. Nothing at the end of the
 * text, or when a tag never ends.
 */
static int tags_next(lua_State *L)
{
    size_t len;
    const char *source = luaL_checklstring(L, 1, &len);
    lua_Integer from = luaL_checkinteger(L, 2);
    const char *end = source + len;
    luaL_argcheck(L, from >= 1, 2, "must be 1 or more");
    const char *p = (size_t)from > len ? end : source + from - 1;
    while ((p = find_tag(p, end))) {
        const char *at = p;
        char kind = p[1];
        p = kind == '#' ? after_comment(p + 2, end) : after(p + 2, end, kind == '{' ? "}}" : "%}");
        if (!p)
            return 0;
        const char *word = at + 2;
        size_t word_len = kind == '%' ? tag_word(&word, p) : 0;
        if (!word_len)
            continue;
        lua_pushlstring(L, word, word_len);
        lua_pushinteger(L, at - source + 1);
        lua_pushinteger(L, p - source + 1);
        return 3;
    }
    return 0;
}

/* tags.lines(source, from, upto) -> the number of line ends from the byte `from` to before `upto`
 */
static int tags_lines(lua_State *L)
{
    size_t len;
    const char *source = luaL_checklstring(L, 1, &len);
    lua_Integer from = luaL_checkinteger(L, 2), upto = luaL_checkinteger(L, 3);
    lua_Integer lines = 0;
    luaL_argcheck(L, from >= 1, 2, "must be 1 or more");
    if (upto > (lua_Integer)len + 1)
        upto = (lua_Integer)len + 1;
    for (lua_Integer i = from; i < upto; i++)
        lines += source[i - 1] == '\n';
    lua_pushinteger(L, lines);
    return 1;
}

int luaopen_dex_tags(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "next", tags_next },
        { "lines", tags_lines },
        { NULL, NULL },
    };
    luaL_newlib(L, functions);
    return 1;
}
