/*
 * dex.core: what the Lua side shares with C. The metatables are made empty in vm.c and filled in by
 * lua/jinja/value.lua and lua/err.lua.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <event2/event.h>
#include <lauxlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <openssl/crypto.h>
#include <pcre2.h>
#include <sqlite3.h>
#include <string.h>
#include <unistd.h>
#include <yaml.h>

#include "base/number.h"
#include "base/version.h"
#include "db/libpq.h"
#include "io/signals.h"
#include "script/libs.h"
#include "script/lua_err.h"
#include "script/signal_hook.h"
#include "script/task.h"
#include "script/task_vm.h"
#include "script/value.h"
#include "script/vm.h"

/* pid() -> the process's number */
static int core_pid(lua_State *L)
{
    lua_pushinteger(L, getpid());
    return 1;
}

/* host() -> the name of this machine, as far as the system knows one */
static int core_host(lua_State *L)
{
    char name[256];
    if (gethostname(name, sizeof name) != 0)
        name[0] = '\0';
    name[sizeof name - 1] = '\0';
    lua_pushstring(L, name);
    return 1;
}

/*
 * on_signal(fn or nil [, patient]) -> fn or nil, patient: calls fn("SIGINT" | "SIGTERM") in a task
 * of its own when the first such signal comes; with `patient`, SIGINT each time. Gives what was set
 * before.
 */
static int core_on_signal(lua_State *L)
{
    if (!lua_isnoneornil(L, 1))
        luaL_checktype(L, 1, LUA_TFUNCTION);
    int patient = lua_toboolean(L, 2);
    lua_settop(L, 1);
    signal_hook_get(L);
    lua_insert(L, 1);
    signal_hook_set(L);
    lua_pushboolean(L, signals_be_patient(patient));
    return 2;
}

/*
 * interrupted([forget]) -> whether SIGINT came since it was forgotten. Knows it before on_signal's
 * function is called, even while Lua code never waits.
 */
static int core_interrupted(lua_State *L)
{
    lua_pushboolean(L, signals_interrupted(lua_toboolean(L, 1)));
    return 1;
}

/* float_repr(x) -> as Python's repr(float(x)) */
static int core_float_repr(lua_State *L)
{
    char text[NUMBER_SIZE];
    number_repr(luaL_checknumber(L, 1), text);
    lua_pushstring(L, text);
    return 1;
}

/* tasks() -> the names of all tasks that live, for tests that look for leaks */
static int core_tasks(lua_State *L)
{
    lua_newtable(L);
    lua_Integer n = 0;
    list_each (it, &vm_from(L)->tasks) {
        lua_pushstring(L, task_name(task_at(it)));
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

/* LPeg's version is a function in 1.0 and a string since 1.1. */
static void push_lpeg_version(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "lpeg");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "version");
    lua_remove(L, -2);
    if (lua_isfunction(L, -1))
        lua_call(L, 0, 1);
    const char *text = lua_tostring(L, -1);
    if (text && strncmp(text, "LPeg ", 5) == 0) {
        lua_pushstring(L, text + 5);
        lua_remove(L, -2);
    }
}

static void push_libpq_version(lua_State *L)
{
    struct err e = ERR_INIT;
    if (libpq_load(&e) < 0)
        lua_err_raise(L, &e);
    int number = PQlibVersion(); /* 150004 is 15.4 */
    lua_pushfstring(L, "%d.%d", number / 10000, number % 10000);
}

/* "10.42 2022-12-11" without the day */
static void push_pcre2_version(lua_State *L)
{
    char text[64] = "";
    pcre2_config(PCRE2_CONFIG_VERSION, text);
    lua_pushlstring(L, text, strcspn(text, " "));
}

/* "OpenSSL 3.0.11 19 Sep 2023" without what stands around the number. */
static void push_openssl_version(lua_State *L)
{
    const char *text = OpenSSL_version(OPENSSL_VERSION);
    text += strncmp(text, "OpenSSL ", 8) == 0 ? 8 : 0;
    lua_pushlstring(L, text, strcspn(text, " "));
}

/* versions() -> {name = version} of the libraries this program runs with */
static int core_versions(lua_State *L)
{
    lua_createtable(L, 0, 8);
    lua_pushfstring(L, "%s.%s", LUA_VERSION + 4, LUA_VERSION_RELEASE);
    lua_setfield(L, -2, "Lua");
    lua_pushstring(L, event_get_version());
    lua_setfield(L, -2, "libevent");
    lua_pushstring(L, yaml_get_version_string());
    lua_setfield(L, -2, "libyaml");
    push_lpeg_version(L);
    lua_setfield(L, -2, "LPeg");
    push_libpq_version(L);
    lua_setfield(L, -2, "libpq");
    push_pcre2_version(L);
    lua_setfield(L, -2, "PCRE2");
    push_openssl_version(L);
    lua_setfield(L, -2, "OpenSSL");
    lua_pushstring(L, sqlite3_libversion());
    lua_setfield(L, -2, "SQLite");
    return 1;
}

/*
 * trim(): collects all garbage and gives the memory that is free back to the system, for a process
 * that has done something large and waits now
 */
static int core_trim(lua_State *L)
{
    lua_gc(L, LUA_GCCOLLECT); /* calls what finalizers there are */
    lua_gc(L, LUA_GCCOLLECT); /* frees what they have held */
    slab_trim(&vm_from(L)->slab);
#ifdef __GLIBC__
    malloc_trim(0);
#endif
    return 0;
}

static const luaL_Reg functions[] = {
    { "pid", core_pid },
    { "host", core_host },
    { "on_signal", core_on_signal },
    { "float_repr", core_float_repr },
    { "interrupted", core_interrupted },
    { "tasks", core_tasks },
    { "trim", core_trim },
    { "versions", core_versions },
    { NULL, NULL },
};

int luaopen_dex_core(lua_State *L)
{
    luaL_newlib(L, functions);
    value_push_none(L);
    lua_setfield(L, -2, "none");
    lua_pushlightuserdata(L, (void *)&value_order);
    lua_setfield(L, -2, "ORDER");
    luaL_getmetatable(L, VALUE_DICT);
    lua_setfield(L, -2, "dict");
    luaL_getmetatable(L, VALUE_LIST);
    lua_setfield(L, -2, "list");
    luaL_getmetatable(L, VALUE_ERROR);
    lua_setfield(L, -2, "error");
    lua_pushliteral(L, DEX_VERSION);
    lua_setfield(L, -2, "version");
    return 1;
}
