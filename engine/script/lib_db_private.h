/* The part of dex.db that is the project's private PostgreSQL (db/private.h). */
#ifndef DEX_SCRIPT_LIB_DB_PRIVATE_H
#define DEX_SCRIPT_LIB_DB_PRIVATE_H

#include <lua.h>

/*
 * dex.db.private{dir=} -> the server of a project's folder, which must exist. Does nothing yet. All
 * methods wait; their errors are codes 410 to 419.
 *
 *     p:ensure() -> libpq's parameters, all text; starts the server if needed and takes a share
 *     p:release()   gives the share back; the last one stops the server unless it is kept
 *     p:start()     starts the server and keeps it until p:stop()
 *     p:stop() -> whether it ran
 *     p:status() -> {running=, exists=, kept=, pid=, socket=, data=, version=}
 *     p:destroy() -> whether there was data; it is deleted
 *     p:psql(arguments) -> exit status of psql, to which the terminal is left; after p:ensure()
 */
int lib_db_private(lua_State *L);

/* Registers the methods; once, when dex.db is opened. Leaves the stack as it was. */
void lib_db_private_open(lua_State *L);

#endif
