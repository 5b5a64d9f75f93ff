/* The engine's pattern functions beside Lua's own: the same answers and errors, and an end. */
#include <lauxlib.h>
#include <lualib.h>

#include "check.h"
#include "script/libs.h"

/* A state with the engine's functions; Lua's own are on the stack, in a table. */
static lua_State *new_state(void)
{
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    lua_newtable(L);
    lua_getglobal(L, "string");
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, -6);
    }
    lua_pop(L, 1);
    pattern_install(L);
    return L;
}

static void test_like_lua(void)
{
    lua_State *L = new_state();
    CHECK(luaL_loadfile(L, "tests/unit/pattern.lua") == LUA_OK);
    lua_insert(L, 1);
    lua_getglobal(L, "string");
    lua_pcall(L, 2, 1, 0);
    CHECK_TEXT(lua_tostring(L, -1), NULL);
    lua_close(L);
}

static const char *error_of(lua_State *L, const char *code)
{
    luaL_loadstring(L, code);
    return lua_pcall(L, 0, 0, 0) == LUA_OK ? "no error" : lua_tostring(L, -1);
}

static void test_ends(void)
{
    static const char *const slow[] = { "string.find(('a'):rep(100000), '.-.-.-.-b')",
                                        "string.gsub(('a'):rep(100000), 'a*a*a*b', '')",
                                        "for _ in ('('):rep(100000):gmatch('%b()') do end",
                                        "string.match(('a'):rep(1000000), '(a*)%1b')" };
    lua_State *L = new_state();
    for (size_t i = 0; i < sizeof slow / sizeof *slow; i++)
        CHECK(strstr(error_of(L, slow[i]), "this pattern takes too many steps") != NULL);
    lua_close(L);
}

/* What goes through very much and has an answer at once. */
static void test_quick(void)
{
    static const char *const quick[] = { "assert(string.rep('', 1 << 60) == '')",
                                         "local s = ('a'):rep(4000000)\n"
                                         "assert(not s:find(s:sub(1, 2000000) .. 'b', 1, true))" };
    lua_State *L = new_state();
    for (size_t i = 0; i < sizeof quick / sizeof *quick; i++)
        CHECK_TEXT(error_of(L, quick[i]), "no error");
    lua_close(L);
}

int main(void)
{
    RUN(test_like_lua);
    RUN(test_ends);
    RUN(test_quick);
    return check_finish();
}
