/*
 * dex.re: PCRE2 as Lua sees it, for lua/jinja/modules/re.lua, which knows Python's side of it.
 *
 * re.compile(pattern, flags) -> pattern object; nil, message, byte offset when it is wrong.
 *   flags: any of the letters i m s x, and a for ASCII classes; patterns and subjects are UTF-8.
 * object:exec(subject, start, options) -> array of byte offsets {from0, to0, from1, to1, ...},
 * counted from 0 and exclusive at the end, false twice for a group that took no part; nil when
 * nothing matches. start counts from 0. options: "a" anchors at start, "f" must also end at the end
 * of the subject, "n" not the empty text at start. Raises when matching takes too many steps or the
 * subject is no UTF-8.
 *
 * object:groups() -> number of groups; object:names() -> {name = group number}.
 *
 * Nothing here waits or calls back.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <lauxlib.h>
#include <pcre2.h>
#include <string.h>

#include "script/libs.h"

#define PATTERN "dex.re.pattern"

/* Backtracking steps and heap (KiB) of one match: a runaway pattern ends with an error. */
enum { MATCH_STEPS = 20000000, MATCH_HEAP_KIB = 65536 };

struct pattern {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *context;
};

static struct pattern *check_pattern(lua_State *L)
{
    return luaL_checkudata(L, 1, PATTERN);
}

static int pattern_gc(lua_State *L)
{
    struct pattern *p = check_pattern(L);
    pcre2_match_data_free(p->match);
    pcre2_match_context_free(p->context);
    pcre2_code_free(p->code);
    *p = (struct pattern){ NULL, NULL, NULL };
    return 0;
}

static uint32_t compile_options(const char *flags)
{
    uint32_t options = PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_UCP;
    for (; *flags; flags++) {
        switch (*flags) {
        case 'i':
            options |= PCRE2_CASELESS;
            break;
        case 'm':
            options |= PCRE2_MULTILINE;
            break;
        case 's':
            options |= PCRE2_DOTALL;
            break;
        case 'x':
            options |= PCRE2_EXTENDED;
            break;
        case 'a':
            options &= ~(uint32_t)PCRE2_UCP;
            break;
        default:
            break;
        }
    }
    return options;
}

static int push_error(lua_State *L, int code, size_t offset)
{
    PCRE2_UCHAR words[256];
    pcre2_get_error_message(code, words, sizeof words);
    lua_pushnil(L);
    lua_pushstring(L, (const char *)words);
    lua_pushinteger(L, (lua_Integer)offset);
    return 3;
}

static int re_compile(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    const char *flags = luaL_optstring(L, 2, "");
    struct pattern *p = lua_newuserdatauv(L, sizeof *p, 0);
    *p = (struct pattern){ NULL, NULL, NULL };
    luaL_setmetatable(L, PATTERN);
    int error;
    PCRE2_SIZE offset;
    p->code = pcre2_compile((PCRE2_SPTR)text, len, compile_options(flags), &error, &offset, NULL);
    if (!p->code)
        return push_error(L, error, offset);
    p->match = pcre2_match_data_create_from_pattern(p->code, NULL);
    p->context = pcre2_match_context_create(NULL);
    if (!p->match || !p->context)
        return luaL_error(L, "not enough memory");
    pcre2_set_match_limit(p->context, MATCH_STEPS);
    pcre2_set_heap_limit(p->context, MATCH_HEAP_KIB);
    return 1;
}

static uint32_t match_options(const char *letters)
{
    uint32_t options = 0;
    for (; *letters; letters++) {
        if (*letters == 'a')
            options |= PCRE2_ANCHORED;
        else if (*letters == 'f')
            options |= PCRE2_ANCHORED | PCRE2_ENDANCHORED;
        else if (*letters == 'n')
            options |= PCRE2_NOTEMPTY_ATSTART;
    }
    return options;
}

static int pattern_exec(lua_State *L)
{
    struct pattern *p = check_pattern(L);
    size_t len;
    const char *subject = luaL_checklstring(L, 2, &len);
    lua_Integer start = luaL_optinteger(L, 3, 0);
    const char *letters = luaL_optstring(L, 4, "");
    if (start < 0 || (size_t)start > len)
        return 0;
    int n = pcre2_match(p->code, (PCRE2_SPTR)subject, len, (PCRE2_SIZE)start,
                        match_options(letters), p->match, p->context);
    if (n == PCRE2_ERROR_NOMATCH)
        return 0;
    if (n < 0) {
        PCRE2_UCHAR words[256];
        pcre2_get_error_message(n, words, sizeof words);
        return luaL_error(L, "%s", (const char *)words);
    }
    const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(p->match);
    uint32_t groups = pcre2_get_ovector_count(p->match);
    lua_createtable(L, (int)groups * 2, 0);
    for (uint32_t i = 0; i < groups * 2; i++) {
        if (bounds[i] == PCRE2_UNSET)
            lua_pushboolean(L, 0);
        else
            lua_pushinteger(L, (lua_Integer)bounds[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

static int pattern_groups(lua_State *L)
{
    uint32_t count = 0;
    pcre2_pattern_info(check_pattern(L)->code, PCRE2_INFO_CAPTURECOUNT, &count);
    lua_pushinteger(L, count);
    return 1;
}

/* The name table of PCRE2: entries of one size, each a group number in two bytes and a name. */
static int pattern_names(lua_State *L)
{
    struct pattern *p = check_pattern(L);
    uint32_t count = 0;
    uint32_t size = 0;
    PCRE2_SPTR entry = NULL;
    pcre2_pattern_info(p->code, PCRE2_INFO_NAMECOUNT, &count);
    pcre2_pattern_info(p->code, PCRE2_INFO_NAMEENTRYSIZE, &size);
    pcre2_pattern_info(p->code, PCRE2_INFO_NAMETABLE, &entry);
    lua_createtable(L, 0, (int)count);
    for (uint32_t i = 0; i < count; i++, entry += size) {
        lua_pushinteger(L, entry[0] << 8 | entry[1]);
        lua_setfield(L, -2, (const char *)entry + 2);
    }
    return 1;
}

int luaopen_dex_re(lua_State *L)
{
    static const luaL_Reg methods[] = { { "exec", pattern_exec },
                                        { "groups", pattern_groups },
                                        { "names", pattern_names },
                                        { "__gc", pattern_gc },
                                        { NULL, NULL } };
    static const luaL_Reg functions[] = { { "compile", re_compile }, { NULL, NULL } };
    luaL_newmetatable(L, PATTERN);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    luaL_setfuncs(L, methods, 0);
    luaL_newlib(L, functions);
    return 1;
}
