#include "db/pool.h"

#include "base/mem.h"

/* Seconds before a server that did not answer is tried again; doubled each time. */
#define RETRY_AFTER 0.5

struct waiter {
    struct list node;
    pool_leased_fn leased;
    void *arg;
};

struct pool {
    struct loop *loop;
    const struct adapter *adapter;
    char **keywords, **values;
    double connect_timeout;
    struct db_notices notices;
    int size;
    int limit; /* less than `size` once the server refused one more beside those we have */
    int retries, tried;
    struct loop_timer again; /* runs while a retry is waited for */
    int pausing;
    int holders;                                   /* pool_hold */
    struct list connecting, idle, leased, leaving; /* of struct db_conn */
    struct list waiters;
};

static struct db_conn *conn_at(struct list *place)
{
    return list_entry(place, struct db_conn, place);
}

static int length(const struct list *head)
{
    int n = 0;
    for (const struct list *it = head->next; it != head; it = it->next)
        n++;
    return n;
}

/* The one function that moves a connection from a list to another. */
static void move(struct list *to, struct db_conn *conn)
{
    list_remove(&conn->place);
    list_append(to, &conn->place);
}

static int living(const struct pool *pool)
{
    return length(&pool->idle) + length(&pool->leased) + length(&pool->leaving);
}

static void connect_more(struct pool *pool);

static void drop(struct pool *pool, struct db_conn *conn)
{
    list_remove(&conn->place);
    pool->adapter->close(conn);
    if (living(pool) == 0)
        pool->limit = pool->size;
}

/* An idle connection that is alive, or NULL. The last one used is the first to be used again. */
static struct db_conn *take_idle(struct pool *pool)
{
    while (!list_empty(&pool->idle)) {
        struct db_conn *conn = conn_at(pool->idle.prev);
        if (pool->adapter->txn(conn) == DB_IDLE)
            return conn;
        drop(pool, conn);
    }
    return NULL;
}

static void serve_later(void *arg);

/* On the next turn: whoever is told may do anything, even free the pool. */
static void serve_soon(struct pool *pool)
{
    loop_undefer(pool->loop, pool);
    if (!list_empty(&pool->waiters))
        loop_defer(pool->loop, serve_later, pool);
}

/* Takes the first in line out of it and tells that one; the last thing that a caller does. */
static void tell(struct pool *pool, struct db_conn *conn, struct err *e)
{
    struct waiter *waiter = list_entry(list_first(&pool->waiters), struct waiter, node);
    pool_leased_fn leased = waiter->leased;
    void *arg = waiter->arg;
    list_remove(&waiter->node);
    mem_free(waiter);
    serve_soon(pool);
    leased(arg, conn, e);
}

/* Serves the first in line with what is idle, and sees to it that the others will be. */
static void serve(struct pool *pool)
{
    struct db_conn *conn = list_empty(&pool->waiters) ? NULL : take_idle(pool);
    if (!conn) {
        connect_more(pool);
        return;
    }
    move(&pool->leased, conn);
    tell(pool, conn, NULL);
}

static void serve_later(void *arg)
{
    serve(arg);
}

/* It could not be made. */
static void failed(struct pool *pool, struct err *e)
{
    int alive = living(pool);
    if (alive > 0) {
        pool->limit = alive;
        err_fini(e);
    } else if (pool->tried < pool->retries) {
        double delay = RETRY_AFTER * (double)(1 << (pool->tried < 6 ? pool->tried : 6));
        if (!pool->pausing) {
            pool->tried++;
            pool->pausing = 1;
            loop_timer_start(&pool->again, delay);
        }
        err_fini(e);
    } else if (!list_empty(&pool->waiters)) {
        tell(pool, NULL, e);
    }
}

static void ready(void *arg, struct db_conn *conn, struct err *e)
{
    struct pool *pool = arg;
    if (!e) {
        pool->tried = 0;
        move(&pool->idle, conn);
        serve(pool);
        return;
    }
    struct err kept = ERR_INIT;
    err_move(&kept, e);
    list_remove(&conn->place);
    pool->adapter->close(conn);
    serve_soon(pool);
    failed(pool, &kept);
    err_fini(&kept);
}

/* Gives 0 when it cannot even begin, and somebody was told. */
static int connect_one(struct pool *pool)
{
    struct db_params params = { (const char *const *)pool->keywords,
                                (const char *const *)pool->values, pool->connect_timeout };
    struct err e = ERR_INIT;
    struct db_conn *conn =
        pool->adapter->connect(pool->loop, &params, pool->notices, ready, pool, &e);
    if (conn)
        list_append(&pool->connecting, &conn->place);
    else
        tell(pool, NULL, &e);
    err_fini(&e);
    return conn != NULL;
}

static void connect_more(struct pool *pool)
{
    while (!pool->pausing) {
        int coming = length(&pool->connecting);
        if (length(&pool->waiters) <= coming || living(pool) + coming >= pool->limit)
            return;
        if (!connect_one(pool))
            return;
    }
}

static void try_again(void *arg)
{
    struct pool *pool = arg;
    pool->pausing = 0;
    connect_more(pool);
}

static char **copy_list(const char *const *list)
{
    int n = 0;
    while (list[n])
        n++;
    char **copy = mem_alloc((size_t)(n + 1) * sizeof *copy);
    for (int i = 0; i <= n; i++)
        copy[i] = mem_strdup(list[i]);
    return copy;
}

static void free_list(char **list)
{
    for (char **it = list; *it; it++)
        mem_free(*it);
    mem_free(list);
}

struct pool *pool_new(struct loop *loop, const struct adapter *adapter,
                      const struct db_params *params, int size, int retries,
                      struct db_notices notices)
{
    struct pool *pool = mem_zalloc(sizeof *pool);
    pool->loop = loop;
    pool->adapter = adapter;
    pool->keywords = copy_list(params->keywords);
    pool->values = copy_list(params->values);
    pool->connect_timeout = params->connect_timeout;
    pool->notices = notices;
    pool->size = pool->limit = size;
    pool->retries = retries;
    loop_timer_init(&pool->again, loop, try_again, pool);
    list_init(&pool->connecting);
    list_init(&pool->idle);
    list_init(&pool->leased);
    list_init(&pool->leaving);
    list_init(&pool->waiters);
    return pool;
}

static void close_all(struct pool *pool, struct list *conns)
{
    list_each (place, conns)
        drop(pool, conn_at(place));
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    list_each (node, &pool->waiters) {
        list_remove(node);
        mem_free(list_entry(node, struct waiter, node));
    }
    loop_undefer(pool->loop, pool);
    loop_timer_stop(&pool->again);
    close_all(pool, &pool->connecting);
    close_all(pool, &pool->idle);
    close_all(pool, &pool->leased);
    close_all(pool, &pool->leaving);
    free_list(pool->keywords);
    free_list(pool->values);
    mem_free(pool);
}

void pool_lease(struct pool *pool, pool_leased_fn leased, void *arg)
{
    struct waiter *waiter = mem_alloc(sizeof *waiter);
    waiter->leased = leased;
    waiter->arg = arg;
    list_init(&waiter->node);
    list_append(&pool->waiters, &waiter->node);
    serve(pool);
}

void pool_unwait(struct pool *pool, void *arg)
{
    list_each (node, &pool->waiters) {
        struct waiter *waiter = list_entry(node, struct waiter, node);
        if (waiter->arg == arg) {
            list_remove(node);
            mem_free(waiter);
        }
    }
}

/* What was left open has been rolled back, or else the connection is of no more use. */
static void rolled_back(void *arg, struct db_result *results, struct err *e)
{
    struct pool *pool = arg;
    db_result_free(results);
    if (e)
        err_fini(e);
    list_each (place, &pool->leaving) {
        enum db_txn txn = pool->adapter->txn(conn_at(place));
        if (txn == DB_IDLE)
            move(&pool->idle, conn_at(place));
        else if (txn != DB_ACTIVE)
            drop(pool, conn_at(place));
    }
    serve_soon(pool);
}

void pool_release(struct pool *pool, struct db_conn *conn)
{
    switch (pool->adapter->txn(conn)) {
    case DB_IDLE:
        move(&pool->idle, conn);
        break;
    case DB_INTRANS:
    case DB_INERROR:
        move(&pool->leaving, conn);
        pool->adapter->send(conn, "rollback", 0, NULL, rolled_back, pool);
        return;
    case DB_ACTIVE:
    case DB_BROKEN:
        drop(pool, conn);
        break;
    }
    serve_soon(pool);
}

void pool_cancel_one(struct pool *pool, struct db_conn *conn)
{
    pool->adapter->cancel(conn);
}

void pool_hold(struct pool *pool)
{
    pool->holders++;
}

void pool_let_go(struct pool *pool)
{
    pool->holders--;
}

int pool_is_held(const struct pool *pool)
{
    return pool->holders > 0;
}

const struct adapter *pool_adapter(const struct pool *pool)
{
    return pool->adapter;
}

struct pool_counts pool_counts(const struct pool *pool)
{
    return (struct pool_counts){ length(&pool->connecting), length(&pool->idle),
                                 length(&pool->leased), length(&pool->leaving),
                                 length(&pool->waiters) };
}
