/* A struct buf that Lua frees: for C code that builds text and may be left by an error. */
#ifndef DEX_SCRIPT_LUA_BUF_H
#define DEX_SCRIPT_LUA_BUF_H

#include <lua.h>

#include "base/buf.h"

/* Pushes the userdata; the buffer is valid while that is reachable. */
struct buf *lua_buf_push(lua_State *L);

/* Replaces the userdata at `index` by its text, a string, and frees the buffer. */
void lua_buf_finish(lua_State *L, int index);

#endif
