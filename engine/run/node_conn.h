/*
 * The connection of one running node: the lease, the object that handlers see as ctx.conn, and what
 * is known of the transaction. The state of the transaction is the server's word, asked after every
 * handler.
 */
#ifndef DEX_RUN_NODE_CONN_H
#define DEX_RUN_NODE_CONN_H

#include <lua.h>

#include "base/err.h"
#include "db/adapter.h"
#include "db/pool.h"

/* Codes of errors that are found here. */
enum {
    NODE_LOST_CONNECTION = 402,
    NODE_LOST_TRANSACTION = 505,
    NODE_OPEN_TRANSACTION = 506,
    NODE_ABORTED = 514,
    NODE_STILL_RUNNING = 906
};

struct node_conn {
    struct pool *pool;
    struct db_conn *conn; /* NULL without a lease */
    int object;           /* reference of the Lua object in the registry */
    int in_transaction;   /* between our BEGIN and our COMMIT */
    unsigned ended;       /* db_conn_ended() at our BEGIN */
};

/* Without a connection. */
void node_conn_init(struct node_conn *nc);

/* Takes over a connection that was leased from the pool. */
void node_conn_take(struct node_conn *nc, lua_State *L, struct pool *pool, struct db_conn *conn);

/* Releases it, if there is one: what is open on it is rolled back, and a broken or busy one is
 * closed. */
void node_conn_give_back(struct node_conn *nc, lua_State *L);

/* Gives it back without touching Lua. */
void node_conn_drop(struct node_conn *nc);

/* Pushes the object for handlers, or nil. */
void node_conn_push(const struct node_conn *nc, lua_State *L);

/* The server's word; DB_IDLE without a connection. */
enum db_txn node_conn_txn(const struct node_conn *nc);

/* Sends one of our own statements; `done` as in db/adapter.h. */
void node_conn_send(struct node_conn *nc, const char *sql, db_done_fn done, void *arg);

/* Asks the server to end the statement that runs. Does not wait. */
void node_conn_cancel(struct node_conn *nc);

/* Where things stand, for messages. */
struct node_where {
    const char *id; /* of the node */
    const char *phase;
};

/*
 * Compares the state of the transaction with what it has to be after a handler. Gives 1 when it is;
 * otherwise pushes an error object that names node and phase, and gives 0.
 */
int node_conn_verify(const struct node_conn *nc, lua_State *L, struct node_where where);

/*
 * What the server answered to "begin", "commit" or "rollback". Gives 1 when that was done;
 * otherwise pushes an error object and gives 0. Frees `results` and empties `e`.
 */
int node_conn_answer(struct node_conn *nc, lua_State *L, struct node_where where,
                     const char *statement, struct db_result *results, struct err *e);

#endif
