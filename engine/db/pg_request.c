/*
 * Requests on a PostgreSQL connection: a queue, whose first one is under way. Answers are told from
 * the loop; whoever is told may close the connection, so every function that goes on afterwards is
 * between enter and leave.
 */
#include <string.h>

#include "base/mem.h"
#include "db/pg.h"

static struct pg_request *first_of(const struct pg_conn *conn)
{
    struct list *node = list_first(&conn->requests);
    return node ? list_entry(node, struct pg_request, node) : NULL;
}

static void request_free(struct pg_request *request)
{
    list_remove(&request->node);
    for (int i = 0; i < request->count; i++)
        mem_free(request->params[i]);
    mem_free(request->params);
    mem_free(request->sql);
    db_result_free(request->first);
    mem_free(request);
}

/* Everything but the struct itself, which a callback on the stack may still look at. */
static void disconnect(struct pg_conn *conn)
{
    struct pg_request *request;
    loop_undefer(conn->loop, conn);
    loop_timer_stop(&conn->timer);
    while ((request = first_of(conn)))
        request_free(request);
    if (conn->readable)
        event_free(conn->readable);
    if (conn->writable)
        event_free(conn->writable);
    pg_cancel_forget(conn->cancel);
    mem_free(conn->last_words);
    PQfinish(conn->pg);
}

static void enter(struct pg_conn *conn)
{
    conn->entered++;
}

static void leave(struct pg_conn *conn)
{
    if (--conn->entered == 0 && conn->closed)
        mem_free(conn);
}

/* The server's last words are an answer to the request, or came as a notice before it. */
static void lost(const struct pg_conn *conn, const PGresult *error, struct err *e)
{
    const char *said = error ? PQresultErrorField(error, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    if (!said)
        said = conn->last_words;
    if (said)
        err_set(e, DB_LOST, "the connection to the server was lost: %s", said);
    else
        pg_error(conn->pg, DB_LOST, "the connection to the server was lost: ", e);
}

/* Ends the first request. */
static void finish(struct pg_conn *conn, struct pg_request *request)
{
    struct err e = ERR_INIT;
    struct db_result *results = request->first;
    db_done_fn done = request->done;
    void *arg = request->arg;
    if (PQtransactionStatus(conn->pg) == PQTRANS_IDLE && request->rolled_back)
        conn->ended++;
    if (conn->broken)
        lost(conn, db_result_error(results), &e);
    else if (request->copied_out && !db_result_error(results))
        err_set(&e, DB_UNEXPECTED_COPY, "COPY TO STDOUT has nobody here to give its rows to");
    if (e.code == DB_UNEXPECTED_COPY)
        err_hint(&e, "use a query, or COPY TO a file of the server");
    if (e.code || !done) {
        db_result_free(results);
        results = NULL;
    }
    request->first = NULL;
    request_free(request);
    if (done)
        done(arg, results, e.code ? &e : NULL);
    err_fini(&e);
}

/* Tells everybody who still waits on a connection that broke. */
static void finish_all(struct pg_conn *conn)
{
    struct pg_request *request;
    db_done_fn flushed = conn->flushed;
    conn->flushed = NULL;
    if (flushed) {
        struct err e = ERR_INIT;
        lost(conn, NULL, &e);
        flushed(conn->flushed_arg, NULL, &e);
        err_fini(&e);
    }
    while (!conn->closed && (request = first_of(conn)))
        finish(conn, request);
}

static void wake(void *arg)
{
    struct pg_conn *conn = arg;
    enter(conn);
    if (conn->broken)
        finish_all(conn);
    else
        pg_advance(conn);
    leave(conn);
}

void pg_wake(struct pg_conn *conn)
{
    loop_undefer(conn->loop, conn);
    loop_defer(conn->loop, wake, conn);
}

void pg_break(struct pg_conn *conn)
{
    conn->broken = 1;
    if (conn->readable)
        event_del(conn->readable); /* a socket that was closed is readable for ever */
    if (conn->writable)
        event_del(conn->writable);
    pg_wake(conn);
}

/* Writes what libpq holds; asks to be called when the socket takes no more. */
static void flush(struct pg_conn *conn)
{
    int left = PQflush(conn->pg);
    if (left > 0 && event_add(conn->writable, NULL) == 0)
        return;
    if (left != 0)
        pg_break(conn);
}

void pg_advance(struct pg_conn *conn)
{
    struct pg_request *request = first_of(conn);
    if (!request || request->sent || conn->cancel || conn->broken)
        return;
    int sent;
    if (request->count > 0)
        sent = PQsendQueryParams(conn->pg, request->sql, request->count, NULL,
                                 (const char *const *)request->params, NULL, NULL, 0);
    else
        sent = PQsendQuery(conn->pg, request->sql);
    request->sent = 1;
    mem_free(request->sql);
    request->sql = NULL;
    if (sent)
        flush(conn);
    else
        pg_break(conn);
}

/* What the command tag says of transactions; see `ended` in adapter.h. */
static void note_tag(struct pg_conn *conn, struct pg_request *request, const char *tag)
{
    if (strcmp(tag, "COMMIT") == 0 || strcmp(tag, "PREPARE TRANSACTION") == 0) {
        conn->ended++;
    } else if (strcmp(tag, "ROLLBACK") == 0) {
        request->rolled_back = 1;
    } else if (strcmp(tag, "BEGIN") == 0 || strcmp(tag, "START TRANSACTION") == 0) {
        conn->ended += (unsigned)request->rolled_back;
        request->rolled_back = 0;
    }
}

static void keep(struct pg_conn *conn, struct pg_request *request, PGresult *res)
{
    if (PQresultStatus(res) == PGRES_COMMAND_OK)
        note_tag(conn, request, PQcmdStatus(res));
    struct db_result *result = mem_alloc(sizeof *result);
    *result = (struct db_result){ NULL, res };
    *request->last = result;
    request->last = &result->next;
}

/* Takes one result. Gives 0 when more must arrive first. */
static int take(struct pg_conn *conn, struct pg_request *request)
{
    PGresult *res = PQgetResult(conn->pg);
    if (!res) {
        if (PQstatus(conn->pg) == CONNECTION_BAD)
            pg_break(conn);
        else
            finish(conn, request);
        return 1;
    }
    ExecStatusType status = PQresultStatus(res);
    if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
        PQclear(res);
        return pg_copy_answer(conn, request, status);
    }
    if (request->done && !request->copied_out)
        keep(conn, request, res);
    else
        PQclear(res);
    return 1;
}

static void receive(struct pg_conn *conn)
{
    struct pg_request *request;
    PGnotify *notify;
    while (!conn->closed && !conn->broken && (request = first_of(conn)) && request->sent &&
           !request->copying && !PQisBusy(conn->pg))
        if (!take(conn, request))
            return;
    if (conn->closed || conn->broken)
        return;
    while ((notify = PQnotifies(conn->pg)))
        PQfreemem(notify);
    pg_advance(conn);
}

/* A server that ends an idle connection says so before it closes the socket. */
static int is_dead(const struct pg_conn *conn)
{
    return PQstatus(conn->pg) == CONNECTION_BAD ||
           (conn->last_words && list_empty(&conn->requests));
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct pg_conn *conn = arg;
    enter(conn);
    int arrived = PQconsumeInput(conn->pg);
    receive(conn);
    if (!conn->closed && !conn->broken && (!arrived || is_dead(conn)))
        pg_break(conn);
    leave(conn);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct pg_conn *conn = arg;
    enter(conn);
    flush(conn);
    if (conn->flushed && !conn->broken && PQflush(conn->pg) == 0) {
        db_done_fn flushed = conn->flushed;
        conn->flushed = NULL;
        flushed(conn->flushed_arg, NULL, NULL);
    }
    leave(conn);
}

int pg_listen(struct pg_conn *conn, struct err *e)
{
    struct event_base *base = loop_base(conn->loop);
    int fd = PQsocket(conn->pg);
    conn->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, conn);
    conn->writable = event_new(base, fd, EV_WRITE, on_writable, conn);
    if (!conn->readable || !conn->writable || event_add(conn->readable, NULL) < 0)
        return err_set(e, DB_CONNECT, "the event loop takes no more connections");
    return 0;
}

void pg_enqueue(struct pg_conn *conn, const char *sql, int count, const char *const *params,
                int is_copy, db_done_fn done, void *arg)
{
    struct pg_request *request = mem_zalloc(sizeof *request);
    list_append(&conn->requests, &request->node);
    request->sql = mem_strdup(sql);
    request->count = count;
    request->params = count > 0 ? mem_alloc((size_t)count * sizeof *request->params) : NULL;
    for (int i = 0; i < count; i++)
        request->params[i] = mem_strdup(params[i]);
    request->last = &request->first;
    request->is_copy = is_copy;
    request->done = done;
    request->arg = arg;
    if (conn->broken)
        pg_wake(conn);
    else
        pg_advance(conn);
}

static void pg_send(struct db_conn *base, const char *sql, int count, const char *const *params,
                    db_done_fn done, void *arg)
{
    pg_enqueue(pg_of(base), sql, count, params, 0, done, arg);
}

static void cancel_arrived(void *arg)
{
    struct pg_conn *conn = arg;
    conn->cancel = NULL;
    pg_advance(conn);
}

static void pg_cancel_running(struct db_conn *base)
{
    struct pg_conn *conn = pg_of(base);
    struct pg_request *request = first_of(conn);
    if (request && request->sent && !conn->cancel && !conn->broken)
        conn->cancel = pg_cancel_start(conn->loop, conn->pg, cancel_arrived, conn);
}

static void pg_abandon(struct db_conn *base, void *arg)
{
    struct pg_conn *conn = pg_of(base);
    if (conn->flushed && conn->flushed_arg == arg) {
        conn->flushed = NULL;
        pg_copy_end(base, "cancelled", NULL, NULL);
        return;
    }
    list_each (node, &conn->requests) {
        struct pg_request *request = list_entry(node, struct pg_request, node);
        if (request->arg != arg)
            continue;
        request->done = NULL;
        request->arg = NULL;
        if (request->sent)
            pg_cancel_running(base);
        else
            request_free(request);
        return;
    }
}

static enum db_txn pg_txn(const struct db_conn *base)
{
    const struct pg_conn *conn = pg_of(base);
    if (conn->broken)
        return DB_BROKEN;
    if (!list_empty(&conn->requests))
        return DB_ACTIVE;
    switch (PQtransactionStatus(conn->pg)) {
    case PQTRANS_IDLE:
        return DB_IDLE;
    case PQTRANS_ACTIVE:
        return DB_ACTIVE;
    case PQTRANS_INTRANS:
        return DB_INTRANS;
    case PQTRANS_INERROR:
        return DB_INERROR;
    case PQTRANS_UNKNOWN:
        break;
    }
    return DB_BROKEN;
}

static unsigned pg_ended(const struct db_conn *base)
{
    return pg_of(base)->ended;
}

static void pg_forget_ended(struct db_conn *base, unsigned before)
{
    pg_of(base)->ended = before;
}

static int pg_pid(const struct db_conn *base)
{
    return PQbackendPID(pg_of(base)->pg);
}

static char *pg_escape(struct db_conn *base, const char *text, size_t len, struct err *e)
{
    PGconn *pg = pg_of(base)->pg;
    char *out = PQescapeLiteral(pg, text, len);
    if (!out) {
        pg_error(pg, DB_STATEMENT, "", e);
        return NULL;
    }
    char *copy = mem_strdup(out);
    PQfreemem(out);
    return copy;
}

static void pg_close(struct db_conn *base)
{
    struct pg_conn *conn = pg_of(base);
    pg_cancel_running(base);
    disconnect(conn);
    conn->closed = 1;
    if (conn->entered == 0)
        mem_free(conn);
}

const struct adapter pg_adapter = {
    .name = "postgres",
    .connect = pg_connect,
    .send = pg_send,
    .copy_begin = pg_copy_begin,
    .copy_put = pg_copy_put,
    .copy_end = pg_copy_end,
    .cancel = pg_cancel_running,
    .abandon = pg_abandon,
    .txn = pg_txn,
    .ended = pg_ended,
    .forget_ended = pg_forget_ended,
    .pid = pg_pid,
    .escape = pg_escape,
    .close = pg_close,
};
