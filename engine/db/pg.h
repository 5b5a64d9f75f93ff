/* What the files of the PostgreSQL adapter share; nobody else includes this. */
#ifndef DEX_DB_PG_H
#define DEX_DB_PG_H

#include "db/adapter.h"

struct pg_cancel;

/* What was asked of the server; in the order of conn->requests, and the first is under way. */
struct pg_request {
    struct list node;
    char *sql; /* NULL once it was sent */
    int count;
    char **params;
    db_done_fn done; /* NULL: nobody waits any more */
    void *arg;
    struct db_result *first, **last;
    int sent;
    int is_copy;     /* begun by copy_begin */
    int copying;     /* the server takes data */
    int copied_out;  /* it sent rows of a COPY TO STDOUT, which nobody can take */
    int rolled_back; /* a ROLLBACK was among the results, and no BEGIN since */
};

struct pg_conn {
    struct db_conn base;
    struct loop *loop;
    PGconn *pg;
    struct event *readable, *writable;
    struct loop_timer timer; /* of connecting */
    db_ready_fn ready;       /* while connecting */
    void *ready_arg;
    struct db_notices notices;
    struct list requests;
    db_done_fn flushed; /* who waits until the data of a COPY has left */
    void *flushed_arg;
    struct pg_cancel *cancel; /* one that is under way: nothing is sent until it has arrived */
    char *last_words;         /* why the server closes the connection, or NULL */
    unsigned ended;
    int broken;
    int entered; /* callbacks on the stack that will look at this struct again */
    int closed;  /* close was called inside one of them */
};

/* The connection of this adapter behind the common beginning. */
static inline struct pg_conn *pg_of(const struct db_conn *conn)
{
    return (struct pg_conn *)(void *)conn; /* base is the first member */
}

/* pg_connect.c */
struct db_conn *pg_connect(struct loop *loop, const struct db_params *params,
                           struct db_notices notices, db_ready_fn ready, void *arg, struct err *e);

/*
 * Fills `e` with what libpq says went wrong, after `before`; what it adds on lines of their own
 * becomes the hint.
 */
void pg_error(const PGconn *pg, int code, const char *before, struct err *e);

/* pg_request.c: the connection is up; arms what listens to the server. Gives 0, or -1 and `e`. */
MUST_CHECK int pg_listen(struct pg_conn *conn, struct err *e);

/* pg_request.c: sends the first request if it may be sent now. */
void pg_advance(struct pg_conn *conn);

/* pg_copy.c: what came back in the middle of a COPY. Gives 1 when it was dealt with, 0 when more
 * must arrive first. */
int pg_copy_answer(struct pg_conn *conn, struct pg_request *request, ExecStatusType status);

/* pg_request.c: a new request at the end of the queue; sql and params are copied. */
void pg_enqueue(struct pg_conn *conn, const char *sql, int count, const char *const *params,
                int is_copy, db_done_fn done, void *arg);

/* pg_request.c: asks for a call of pg_advance, or of whoever waits, on the loop's next turn. */
void pg_wake(struct pg_conn *conn);

/* pg_request.c: the connection is useless from now on; whoever waits is told on the next turn. */
void pg_break(struct pg_conn *conn);

/* pg_copy.c */
void pg_copy_begin(struct db_conn *base, const char *sql, db_done_fn done, void *arg);
int pg_copy_put(struct db_conn *base, const char *data, size_t len, db_done_fn done, void *arg);
void pg_copy_end(struct db_conn *base, const char *failure, db_done_fn done, void *arg);

/* pg_cancel.c: see there. */
struct pg_cancel *pg_cancel_start(struct loop *loop, PGconn *pg, loop_fn arrived, void *arg);
void pg_cancel_forget(struct pg_cancel *cancel);

#endif
