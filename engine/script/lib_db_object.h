/* The objects behind dex.db, for the files that make it: lib_db.c, lib_db_conn.c, lib_db_copy.c. */
#ifndef DEX_SCRIPT_LIB_DB_OBJECT_H
#define DEX_SCRIPT_LIB_DB_OBJECT_H

#include <lua.h>

#include "base/list.h"
#include "db/pool.h"
#include "script/task.h"

#define LIB_DB_POOL "dex.db.pool"
#define LIB_DB_CONN "dex.db.conn"

/* A pool. User value 1: the function for notices. */
struct db_pool_object {
    struct pool *pool;   /* NULL when closed */
    int closing;         /* it was closed while a run was still at work: pool_hold */
    struct list conns;   /* of struct db_conn_object */
    struct list notices; /* that nobody was told yet: lib_db_conn.c */
};

/* A connection. User value 1: its pool's object. */
struct db_conn_object {
    struct list place; /* in pool->conns */
    struct db_pool_object *pool;
    struct db_conn *conn; /* NULL when it was given back */
    int owned;            /* it goes back to the pool when nobody refers to it any more */
};

/*
 * Somebody who waits for an answer: a userdata on the waiting stack. What arrives and is never
 * looked at is freed with it.
 */
struct db_wait {
    struct task *task;
    struct db_conn_object *object;
    struct db_result *results;
    struct err error;
    int answered;
};

/* The object at `index`, with a connection; raises 404 for one that was given back. */
struct db_conn_object *lib_db_conn_check(lua_State *L, int index);

/* Pushes a new wait for an answer on this connection. Raises outside a task. */
struct db_wait *lib_db_wait_push(lua_State *L, struct db_conn_object *object);

/* db_done_fn with the wait as its argument: keeps what came and resumes the task. */
void lib_db_wait_answer(void *arg, struct db_result *results, struct err *e);

/* For task_wait: the request is withdrawn or cancelled. */
void lib_db_wait_leave(void *arg);

/* Raises what the answer says went wrong, if anything: `sql` is for the message's position. */
void lib_db_wait_raise(lua_State *L, struct db_wait *wait, const char *sql);

/* Calls the pool's function for each notice that came since. */
void lib_db_tell_notices(lua_State *L, struct db_pool_object *pool);

/* db_notice_fn with the pool's object as its argument. */
void lib_db_on_notice(void *arg, const char *severity, const char *message);

/* Frees the notices that nobody was told. */
void lib_db_drop_notices(struct db_pool_object *pool);

/* Pushes the object of a connection; the pool's object is at `pool_index`. */
void lib_db_conn_push(lua_State *L, int pool_index, struct db_conn *conn, int owned);

/* Registers the metatables of connections. */
void lib_db_conn_open(lua_State *L);

/* lib_db_copy.c: the methods conn:copy_begin, copy_put, copy_end, copy_file */
int lib_db_copy_begin(lua_State *L);
int lib_db_copy_put(lua_State *L);
int lib_db_copy_end(lua_State *L);
int lib_db_copy_file(lua_State *L);

#endif
