/* What the other bindings need of dex.db: the objects of Lua behind connections, pools, errors. */
#ifndef DEX_SCRIPT_LIB_DB_H
#define DEX_SCRIPT_LIB_DB_H

#include <lua.h>

#include "db/pool.h"

/* The pool of an object, or an error of the caller's when it is none or is closed. */
struct pool *lib_db_check_pool(lua_State *L, int index);

/*
 * Pushes an object for a leased connection of a pool that Lua made. It does not own the connection:
 * lib_db_drop_conn, on the object, goes before the release.
 */
void lib_db_push_conn(lua_State *L, struct pool *pool, struct db_conn *conn);

/* Makes the object harmless: its methods raise from now on. */
void lib_db_drop_conn(lua_State *L, int index);

/* Pushes an error object, code 401, for the error among the results of `sql`. Frees nothing. */
void lib_db_push_error(lua_State *L, const struct db_result *results, const char *sql);

#endif
