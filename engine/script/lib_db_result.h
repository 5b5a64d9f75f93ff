/* Results of statements as Lua sees them: for lib_db.c. */
#ifndef DEX_SCRIPT_LIB_DB_RESULT_H
#define DEX_SCRIPT_LIB_DB_RESULT_H

#include <lua.h>

#include "db/adapter.h"

/* Registers the metatable. */
void lib_db_result_open(lua_State *L);

/*
 * Pushes the object of the last result, whose `all` lists every one when there are several; takes
 * them over, leaving *results NULL. No result at all gives an empty one.
 */
void lib_db_result_push(lua_State *L, struct db_result **results);

/* Rows that a command changed or copied, or -1 when the server gave no number. */
long long lib_db_result_affected(const PGresult *res);

#endif
