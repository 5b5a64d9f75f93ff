/* COPY on a PostgreSQL connection. */
#include <limits.h>

#include "base/mem.h"
#include "db/pg.h"

void pg_copy_begin(struct db_conn *base, const char *sql, db_done_fn done, void *arg)
{
    pg_enqueue(pg_of(base), sql, 0, NULL, 1, done, arg);
}

/* The request whose data the server takes, or NULL. */
static struct pg_request *copying(struct pg_conn *conn)
{
    struct list *node = list_first(&conn->requests);
    struct pg_request *request = node ? list_entry(node, struct pg_request, node) : NULL;
    return request && request->copying ? request : NULL;
}

int pg_copy_put(struct db_conn *base, const char *data, size_t len, db_done_fn done, void *arg)
{
    struct pg_conn *conn = pg_of(base);
    int put = 0;
    if (!conn->broken && copying(conn))
        while (len > 0) {
            int part = len > INT_MAX / 2 ? INT_MAX / 2 : (int)len;
            put = PQputCopyData(conn->pg, data, part);
            if (put <= 0)
                break;
            data += part;
            len -= (size_t)part;
        }
    int left = len == 0 && !conn->broken ? PQflush(conn->pg) : -1;
    if (left == 0)
        return 1;
    conn->flushed = done;
    conn->flushed_arg = arg;
    if (left < 0 || event_add(conn->writable, NULL) < 0)
        pg_break(conn);
    return 0;
}

void pg_copy_end(struct db_conn *base, const char *failure, db_done_fn done, void *arg)
{
    struct pg_conn *conn = pg_of(base);
    struct pg_request *request = copying(conn);
    if (!request) { /* the connection broke */
        pg_enqueue(conn, "", 0, NULL, 0, done, arg);
        return;
    }
    request->copying = 0;
    request->done = done;
    request->arg = arg;
    if (conn->broken || PQputCopyEnd(conn->pg, failure) != 1 || PQflush(conn->pg) < 0) {
        pg_break(conn);
        return;
    }
    if (event_add(conn->writable, NULL) < 0)
        pg_break(conn);
}

/* Rows that nobody can take: they are read, so that the statement comes to its end. */
static int drain(struct pg_conn *conn, struct pg_request *request)
{
    char *row;
    int len;
    request->copied_out = 1;
    while ((len = PQgetCopyData(conn->pg, &row, 1)) > 0)
        PQfreemem(row);
    return len != 0;
}

int pg_copy_answer(struct pg_conn *conn, struct pg_request *request, ExecStatusType status)
{
    if (status == PGRES_COPY_OUT)
        return drain(conn, request);
    if (status == PGRES_COPY_BOTH) {
        pg_break(conn); /* replication, which no statement of ours asks for */
        return 0;
    }
    if (request->is_copy && request->done) {
        db_done_fn done = request->done;
        void *arg = request->arg;
        request->copying = 1;
        request->done = NULL;
        request->arg = NULL;
        done(arg, NULL, NULL);
        return 1;
    }
    const char *why = request->is_copy ? "cancelled" : "a plain statement has no data for it";
    if (PQputCopyEnd(conn->pg, why) != 1 || PQflush(conn->pg) < 0)
        pg_break(conn);
    return 1;
}
