/*
 * A pool of connections to one database. A state is a list: connecting, idle, leased, and leaving
 * (what is still open on it is being rolled back). Whoever finds no idle connection waits in line;
 * a new one is made while there are fewer than `size`. When the server takes no more of them, the
 * pool makes do with those that it has.
 */
#ifndef DEX_DB_POOL_H
#define DEX_DB_POOL_H

#include "db/adapter.h"

struct pool;

/*
 * A pool that makes its connections with `params`, which are copied. `size` is at least 1;
 * `retries` is how often a server that does not answer is tried again. Does not connect yet. The
 * loop and the adapter must outlive it.
 */
struct pool *pool_new(struct loop *loop, const struct adapter *adapter,
                      const struct db_params *params, int size, int retries,
                      struct db_notices notices);

/*
 * Closes every connection, also those in use: nobody may use them any more, and nobody who waits is
 * told. NULL is allowed.
 */
void pool_free(struct pool *pool);

/* Here is a connection that is idle by the server's word; or `e`, the receiver's to empty. */
typedef void (*pool_leased_fn)(void *arg, struct db_conn *conn, struct err *e);

/*
 * Asks for a connection. Calls `leased` once, perhaps before this returns; give the connection back
 * with pool_release.
 */
void pool_lease(struct pool *pool, pool_leased_fn leased, void *arg);

/* Leaves the line: `leased` will not be called for this `arg`. Harmless when it does not wait. */
void pool_unwait(struct pool *pool, void *arg);

/*
 * Gives a connection back. An open transaction is rolled back before the next one gets it; a
 * connection that is broken, or busy with a statement that nobody waits for, is closed.
 */
void pool_release(struct pool *pool, struct db_conn *conn);

/* Cancels the statement that runs on a leased connection. Does not wait. */
void pool_cancel_one(struct pool *pool, struct db_conn *conn);

/*
 * Says that somebody goes on working with the pool's connections, until pool_let_go: whoever owns
 * the pool frees it only after that.
 */
void pool_hold(struct pool *pool);
void pool_let_go(struct pool *pool);
int pool_is_held(const struct pool *pool);

/* What its connections are asked through. */
const struct adapter *pool_adapter(const struct pool *pool);

struct pool_counts {
    int connecting, idle, leased, leaving, waiting;
};

/* How many there are in each state, and how many wait in line. */
struct pool_counts pool_counts(const struct pool *pool);

#endif
