/* Connecting: libpq's polling, with the time limit that its asynchronous side leaves to us. */
#include <string.h>

#include "base/mem.h"
#include "db/pg.h"

void pg_error(const PGconn *pg, int code, const char *before, struct err *e)
{
    char *text = mem_strdup(PQerrorMessage(pg));
    size_t len = strlen(text);
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == ' '))
        text[--len] = '\0';
    char *more = strstr(text, "\n\t");
    if (more)
        *more = '\0';
    err_set(e, code, "%s%s", before, len ? text : "libpq does not say why");
    if (more) {
        more += 2;
        for (char *line = more; (line = strstr(line, "\n\t"));)
            line[0] = line[1] = ' ';
        err_hint(e, "%s", more);
    }
    mem_free(text);
}

static void forget_events(struct pg_conn *conn)
{
    if (conn->readable)
        event_free(conn->readable);
    if (conn->writable)
        event_free(conn->writable);
    conn->readable = conn->writable = NULL;
    loop_timer_stop(&conn->timer);
}

/* Tells who waits; the connection may be gone afterwards. */
static void settle(struct pg_conn *conn, struct err *e)
{
    db_ready_fn ready = conn->ready;
    conn->ready = NULL;
    if (e->code)
        conn->broken = 1;
    ready(conn->ready_arg, &conn->base, e->code ? e : NULL);
    err_fini(e);
}

static void fail(struct pg_conn *conn)
{
    struct err e = ERR_INIT;
    pg_error(conn->pg, DB_CONNECT, "", &e);
    forget_events(conn);
    settle(conn, &e);
}

static void poll_again(evutil_socket_t fd, short what, void *arg);

/* Waits for the socket, which may be another one after every step. */
static int wait_for(struct pg_conn *conn, short what)
{
    if (conn->readable)
        event_free(conn->readable);
    conn->readable = event_new(loop_base(conn->loop), PQsocket(conn->pg), what, poll_again, conn);
    return conn->readable && event_add(conn->readable, NULL) == 0 ? 0 : -1;
}

static void connected(struct pg_conn *conn)
{
    struct err e = ERR_INIT;
    forget_events(conn);
    if (PQsetnonblocking(conn->pg, 1) != 0)
        err_set(&e, DB_CONNECT, "%s", "libpq refuses a connection that does not block");
    if (!e.code && pg_listen(conn, &e) < 0)
        e.code = DB_CONNECT;
    settle(conn, &e);
}

static void poll_again(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct pg_conn *conn = arg;
    switch (PQconnectPoll(conn->pg)) {
    case PGRES_POLLING_READING:
        if (wait_for(conn, EV_READ) < 0)
            fail(conn);
        return;
    case PGRES_POLLING_WRITING:
        if (wait_for(conn, EV_WRITE) < 0)
            fail(conn);
        return;
    case PGRES_POLLING_OK:
        connected(conn);
        return;
    default:
        fail(conn);
    }
}

static void too_late(void *arg)
{
    struct pg_conn *conn = arg;
    struct err e = ERR_INIT;
    const char *host = PQhost(conn->pg), *port = PQport(conn->pg);
    err_set(&e, DB_CONNECT, "the server at %s, port %s did not answer in time",
            host ? host : "its socket", port ? port : "?");
    err_hint(&e, "`connect_timeout` in the profile is the limit in seconds");
    forget_events(conn);
    settle(conn, &e);
}

static void on_notice(void *arg, const PGresult *res)
{
    struct pg_conn *conn = arg;
    const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *message = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
    if (!severity || !message)
        return;
    if (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0) {
        mem_free(conn->last_words);
        conn->last_words = mem_strdup(message);
    } else if (conn->notices.fn) {
        conn->notices.fn(conn->notices.arg, severity, message);
    }
}

/* The first step is taken from the loop, so that `ready` is never called too early. */
static void first_poll(void *arg)
{
    struct pg_conn *conn = arg;
    if (PQstatus(conn->pg) == CONNECTION_BAD || wait_for(conn, EV_WRITE) < 0)
        fail(conn);
}

struct db_conn *pg_connect(struct loop *loop, const struct db_params *params,
                           struct db_notices notices, db_ready_fn ready, void *arg, struct err *e)
{
    if (libpq_load(e) < 0)
        return NULL;
    PGconn *pg = PQconnectStartParams(params->keywords, params->values, 0);
    if (!pg) {
        err_set(e, DB_CONNECT, "libpq has no memory for a connection");
        return NULL;
    }
    struct pg_conn *conn = mem_zalloc(sizeof *conn);
    conn->base.adapter = &pg_adapter;
    list_init(&conn->base.place);
    conn->loop = loop;
    conn->pg = pg;
    conn->ready = ready;
    conn->ready_arg = arg;
    conn->notices = notices;
    list_init(&conn->requests);
    PQsetNoticeReceiver(pg, on_notice, conn);
    loop_timer_init(&conn->timer, loop, too_late, conn);
    if (params->connect_timeout > 0)
        loop_timer_start(&conn->timer, params->connect_timeout);
    loop_defer(loop, first_poll, conn);
    return &conn->base;
}
