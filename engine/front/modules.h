/* The Lua modules of this layer, as `require` opens them. */
#ifndef DEX_FRONT_MODULES_H
#define DEX_FRONT_MODULES_H

#include <lua.h>

int luaopen_dex_editor(lua_State *L);

#endif
