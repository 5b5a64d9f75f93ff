/*
 * What the engine asks of a database: a table of functions, one such table per kind of database.
 * Dialect is not here but in stdlib/macros. Every database so far speaks PostgreSQL's protocol, so
 * a result is libpq's own. Nothing here waits: answers come by callback from the event loop, never
 * before the function that was asked has returned.
 */
#ifndef DEX_DB_ADAPTER_H
#define DEX_DB_ADAPTER_H

#include <stddef.h>

#include "base/err.h"
#include "base/list.h"
#include "db/libpq.h"
#include "io/loop.h"

/* Codes of errors that come from a connection. */
enum {
    DB_STATEMENT = 401,       /* the server refused a statement; made from its result */
    DB_LOST = 402,            /* the connection broke */
    DB_CONNECT = 403,         /* it could not be made */
    DB_MISUSE = 404,          /* asked of a connection or pool that is closed */
    DB_COPY_SOURCE = 405,     /* what was to be copied in could not be read */
    DB_UNEXPECTED_COPY = 406, /* a plain statement began a COPY TO STDOUT */
    DB_BAD_PARAMETER = 407    /* a value that cannot be sent as $1, $2, ... */
};

struct adapter;

/* Where a connection stands in its transaction, by the server's word. */
enum db_txn {
    DB_IDLE,    /* in none */
    DB_ACTIVE,  /* a statement is under way, or waits for its turn */
    DB_INTRANS, /* in one */
    DB_INERROR, /* in one that can only be rolled back */
    DB_BROKEN   /* there is no connection any more */
};

/* The beginning of every adapter's connection. */
struct db_conn {
    const struct adapter *adapter;
    struct list place; /* for the pool */
};

/* The results of one request in their order; only the last may be an error. The receiver frees it.
 */
struct db_result {
    struct db_result *next;
    PGresult *res;
};

/* Frees the whole list; NULL is allowed. */
void db_result_free(struct db_result *results);

/* The error among the results, or NULL. */
const PGresult *db_result_error(const struct db_result *results);

/* Keywords and values of libpq, each list ending with NULL. */
struct db_params {
    const char *const *keywords;
    const char *const *values;
    double connect_timeout; /* seconds; 0 for none */
};

/* The connection is ready, or `e` says why it is not; the receiver closes it then. */
typedef void (*db_ready_fn)(void *arg, struct db_conn *conn, struct err *e);

/*
 * The request has ended. `e` (the receiver's to empty) is set when the connection failed; what the
 * server refused is an error among the results. The connection may be closed in this.
 */
typedef void (*db_done_fn)(void *arg, struct db_result *results, struct err *e);

/* A notice of the server; both texts are valid during the call only. Must not use the connection.
 */
typedef void (*db_notice_fn)(void *arg, const char *severity, const char *message);

struct db_notices {
    db_notice_fn fn; /* or NULL */
    void *arg;
};

struct adapter {
    const char *name;

    /*
     * Begins to connect. Gives the connection, on which only close is allowed until `ready` was
     * called, or NULL with `e` when it cannot even begin. Looking up a host's name may block; give
     * hostaddr where that matters.
     */
    struct db_conn *(*connect)(struct loop *loop, const struct db_params *params,
                               struct db_notices notices, db_ready_fn ready, void *arg,
                               struct err *e);

    /*
     * Sends statements: without parameters any number of them, with parameters one, whose $1, $2,
     * ... are bound as text (NULL for NULL) and never pasted. Everything is copied. Requests that
     * are made while another is under way follow it in order.
     */
    void (*send)(struct db_conn *conn, const char *sql, int count, const char *const *params,
                 db_done_fn done, void *arg);

    /*
     * COPY ... FROM STDIN in three steps. `copy_begin`: done without results and error when the
     * server wants data; `copy_put`: gives 1 when more may follow at once, or 0, and then calls
     * `done` when more may follow; `copy_end`: done as by send. `failure` makes the server discard
     * all of it and answer with an error that says so.
     */
    void (*copy_begin)(struct db_conn *conn, const char *sql, db_done_fn done, void *arg);
    int (*copy_put)(struct db_conn *conn, const char *data, size_t len, db_done_fn done, void *arg);
    void (*copy_end)(struct db_conn *conn, const char *failure, db_done_fn done, void *arg);

    /* Asks the server to end the statement that runs, which then fails with SQLSTATE 57014. */
    void (*cancel)(struct db_conn *conn);

    /*
     * Nobody waits for the request with this `arg` any more: it is withdrawn, or cancelled and its
     * results dropped. What is sent next follows it.
     */
    void (*abandon)(struct db_conn *conn, void *arg);

    enum db_txn (*txn)(const struct db_conn *conn);

    /*
     * How many transactions have ended on this connection, as far as the command tags of results
     * tell. A rollback counts when a new transaction begins or none is open after it: the tag of
     * ROLLBACK TO SAVEPOINT is the same.
     */
    unsigned (*ended)(const struct db_conn *conn);

    /* ended() says `before` again: whoever asks has made up for those that ended since then. */
    void (*forget_ended)(struct db_conn *conn, unsigned before);

    /* The server process, for messages and pg_stat_activity. */
    int (*pid)(const struct db_conn *conn);

    /*
     * Text as a literal, quoted by the rules of the connection. The caller frees it with mem_free.
     * NULL with `e` when the text is not valid in its encoding.
     */
    char *(*escape)(struct db_conn *conn, const char *text, size_t len, struct err *e);

    /* A connection that is busy is cancelled first. No callback is called any more. */
    void (*close)(struct db_conn *conn);
};

/* PostgreSQL, through libpq. */
extern const struct adapter pg_adapter;

#endif
