#include "run/node_conn.h"

#include <lauxlib.h>
#include <string.h>
#include <strings.h>

#include "script/lib_db.h"
#include "script/lua_err.h"

void node_conn_init(struct node_conn *nc)
{
    memset(nc, 0, sizeof *nc);
    nc->object = LUA_NOREF;
}

void node_conn_take(struct node_conn *nc, lua_State *L, struct pool *pool, struct db_conn *conn)
{
    nc->pool = pool;
    nc->conn = conn;
    nc->in_transaction = 0;
    lib_db_push_conn(L, pool, conn);
    nc->object = luaL_ref(L, LUA_REGISTRYINDEX);
}

void node_conn_give_back(struct node_conn *nc, lua_State *L)
{
    if (!nc->conn)
        return;
    node_conn_push(nc, L);
    lib_db_drop_conn(L, -1);
    lua_pop(L, 1);
    luaL_unref(L, LUA_REGISTRYINDEX, nc->object);
    nc->object = LUA_NOREF;
    node_conn_drop(nc);
}

void node_conn_drop(struct node_conn *nc)
{
    struct db_conn *conn = nc->conn;
    nc->conn = NULL;
    nc->in_transaction = 0;
    if (conn)
        pool_release(nc->pool, conn);
}

void node_conn_push(const struct node_conn *nc, lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, nc->object); /* LUA_NOREF gives nil */
}

enum db_txn node_conn_txn(const struct node_conn *nc)
{
    return nc->conn ? pool_adapter(nc->pool)->txn(nc->conn) : DB_IDLE;
}

void node_conn_send(struct node_conn *nc, const char *sql, db_done_fn done, void *arg)
{
    pool_adapter(nc->pool)->send(nc->conn, sql, 0, NULL, done, arg);
}

void node_conn_cancel(struct node_conn *nc)
{
    pool_cancel_one(nc->pool, nc->conn);
}

/* Adds what every error found here says: where it was, and what helps. The object is on top of the
 * stack. */
static void complete(lua_State *L, struct node_where where, const char *hint)
{
    lua_pushstring(L, where.id);
    lua_setfield(L, -2, "node");
    lua_pushstring(L, where.phase);
    lua_setfield(L, -2, "phase");
    if (hint) {
        lua_pushstring(L, hint);
        lua_setfield(L, -2, "hint");
    }
}

static void push_lost_transaction(lua_State *L, struct node_where where)
{
    lua_err_pushf(
        L, NODE_LOST_TRANSACTION,
        "phase %s of %s ended the node's transaction: a commit or rollback is hidden in it",
        where.phase, where.id);
    complete(L, where,
             "leave it out; a hook with `transaction: false` runs outside the transaction");
}

static void push_aborted(lua_State *L, struct node_where where)
{
    lua_err_pushf(
        L, NODE_ABORTED,
        "phase %s of %s left the transaction aborted: a statement failed, and the error was caught",
        where.phase, where.id);
    complete(L, where,
             "nothing of the transaction can be committed; let the error pass, or use a savepoint");
}

static void push_open(lua_State *L, struct node_where where)
{
    lua_err_pushf(L, NODE_OPEN_TRANSACTION,
                  "phase %s of %s left a transaction open, which was rolled back", where.phase,
                  where.id);
    complete(L, where, "end it with commit, or leave out its begin");
}

static void push_lost_connection(lua_State *L, struct node_where where)
{
    lua_err_pushf(L, NODE_LOST_CONNECTION, "the connection was lost in phase %s of %s", where.phase,
                  where.id);
    complete(L, where, NULL);
}

static void push_still_running(lua_State *L, struct node_where where)
{
    lua_err_pushf(L, NODE_STILL_RUNNING,
                  "phase %s of %s ended while a statement of it was still running", where.phase,
                  where.id);
    complete(L, where, NULL);
}

int node_conn_verify(const struct node_conn *nc, lua_State *L, struct node_where where)
{
    int inside = nc->in_transaction;
    if (!nc->conn)
        return 1;
    switch (node_conn_txn(nc)) {
    case DB_IDLE:
        if (!inside)
            return 1;
        push_lost_transaction(L, where);
        return 0;
    case DB_INTRANS:
        if (inside && nc->ended == pool_adapter(nc->pool)->ended(nc->conn))
            return 1;
        (inside ? push_lost_transaction : push_open)(L, where);
        return 0;
    case DB_INERROR:
        (inside ? push_aborted : push_open)(L, where);
        return 0;
    case DB_ACTIVE:
        push_still_running(L, where);
        return 0;
    case DB_BROKEN:
        break;
    }
    push_lost_connection(L, where);
    return 0;
}

static int is_error(const struct db_result *result)
{
    return PQresultStatus(result->res) == PGRES_FATAL_ERROR;
}

static const char *tag_of(const struct db_result *result)
{
    return PQcmdStatus(result->res);
}

/* A COMMIT of an aborted transaction is answered with ROLLBACK. */
int node_conn_answer(struct node_conn *nc, lua_State *L, struct node_where where,
                     const char *statement, struct db_result *results, struct err *e)
{
    int well = 0;
    if (e) {
        lua_err_push(L, e);
        complete(L, where, NULL);
    } else if (results && is_error(results)) {
        lib_db_push_error(L, results, statement);
        complete(L, where, NULL);
    } else if (results && strcasecmp(tag_of(results), statement) == 0) {
        well = 1;
    } else {
        push_aborted(L, where);
    }
    nc->in_transaction = well && strcmp(statement, "begin") == 0;
    if (nc->in_transaction)
        nc->ended = pool_adapter(nc->pool)->ended(nc->conn);
    db_result_free(results);
    return well;
}
