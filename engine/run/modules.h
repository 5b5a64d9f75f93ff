/* The Lua modules of this layer, as `require` opens them. */
#ifndef DEX_RUN_MODULES_H
#define DEX_RUN_MODULES_H

#include <lua.h>

int luaopen_dex_graph(lua_State *L);
int luaopen_dex_run(lua_State *L);

#endif
