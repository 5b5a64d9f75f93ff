#include "script/libs.h"

#include <lauxlib.h>
#include <lualib.h>

/* LPeg's header is called differently on every system; this is all it says. */
int luaopen_lpeg(lua_State *L);

static const luaL_Reg modules[] = {
    { "dex.alarm", luaopen_dex_alarm },
    { "dex.cache", luaopen_dex_cache },
    { "dex.child", luaopen_dex_child },
    { "dex.copies", luaopen_dex_copies },
    { "dex.core", luaopen_dex_core },
    { "dex.csv", luaopen_dex_csv },
    { "dex.db", luaopen_dex_db },
    { "dex.debugger", luaopen_dex_debugger },
    { "dex.draft", luaopen_dex_draft },
    { "dex.embed", luaopen_dex_embed },
    { "dex.env", luaopen_dex_env },
    { "dex.fs", luaopen_dex_fs },
    { "dex.hash", luaopen_dex_hash },
    { "dex.json", luaopen_dex_json },
    { "dex.limits", luaopen_dex_limits },
    { "dex.loop", luaopen_dex_loop },
    { "dex.re", luaopen_dex_re },
    { "dex.socket", luaopen_dex_socket },
    { "dex.sqlite", luaopen_dex_sqlite },
    { "dex.tags", luaopen_dex_tags },
    { "dex.term", luaopen_dex_term },
    { "dex.text", luaopen_dex_text },
    { "dex.time", luaopen_dex_time },
    { "dex.uuid", luaopen_dex_uuid },
    { "dex.watch", luaopen_dex_watch },
    { "dex.web", luaopen_dex_web },
    { "dex.yaml", luaopen_dex_yaml },
    { "lpeg", luaopen_lpeg },
    { NULL, NULL },
};

void libs_preload(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    luaL_setfuncs(L, modules, 0);
    lua_pop(L, 1);
}
