/* The Lua modules written in C, as `require` opens them. */
#ifndef DEX_SCRIPT_LIBS_H
#define DEX_SCRIPT_LIBS_H

#include <lua.h>

int luaopen_dex_alarm(lua_State *L);
int luaopen_dex_cache(lua_State *L);
int luaopen_dex_child(lua_State *L);
int luaopen_dex_copies(lua_State *L);
int luaopen_dex_core(lua_State *L);
int luaopen_dex_csv(lua_State *L);
int luaopen_dex_db(lua_State *L);
int luaopen_dex_debugger(lua_State *L);
int luaopen_dex_draft(lua_State *L);
int luaopen_dex_embed(lua_State *L);
int luaopen_dex_env(lua_State *L);
int luaopen_dex_fs(lua_State *L);
int luaopen_dex_hash(lua_State *L);
int luaopen_dex_json(lua_State *L);
int luaopen_dex_limits(lua_State *L);
int luaopen_dex_loop(lua_State *L);
int luaopen_dex_re(lua_State *L);
int luaopen_dex_socket(lua_State *L);
int luaopen_dex_sqlite(lua_State *L);
int luaopen_dex_tags(lua_State *L);
int luaopen_dex_term(lua_State *L);
int luaopen_dex_text(lua_State *L);
int luaopen_dex_time(lua_State *L);
int luaopen_dex_uuid(lua_State *L);
int luaopen_dex_watch(lua_State *L);
int luaopen_dex_web(lua_State *L);
int luaopen_dex_yaml(lua_State *L);

/*
 * Puts this layer's functions into the global table `string`, in place of those of Lua's that may
 * take forever. Raises when memory runs out.
 */
void pattern_install(lua_State *L);

/* Registers all of them, and lpeg, in package.preload. */
void libs_preload(lua_State *L);

#endif
