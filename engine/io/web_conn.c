#include "io/web_conn.h"

#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/address.h"
#include "io/loop.h"

static const double linger_seconds = 2;

enum state {
    CONN_IDLE,   /* nothing of a request has come */
    CONN_HEAD,   /* a head comes */
    CONN_BODY,   /* a body comes */
    CONN_WORK,   /* the handler has the request */
    CONN_STREAM, /* the answer has begun and has no end yet */
    CONN_SEND,   /* the answer is on its way */
    CONN_LINGER, /* all is sent, and the client reads it: closing at once could take it away */
};

struct web_conn {
    struct list node; /* of the server's connections */
    struct web_server *server;
    struct bufferevent *stream;
    struct loop_timer deadline;
    enum state state;
    struct web_request *request; /* that is worked on, or is coming (CONN_BODY); or NULL */
    int closes;                  /* after this answer */
    int ended;                   /* the client sends no more */
    int used;                    /* it has sent a request before */
    size_t seen;                 /* bytes of a head in which its end was looked for */
    char peer[INET6_ADDRSTRLEN];
};

struct web_request {
    struct web_conn *conn; /* NULL once there is nobody to answer, or the answer was given */
    char *text;            /* the head */
    char *body;
    struct web_head head;
    web_changed_fn fn;
    void *arg;
    size_t low;
};

struct web_chunk {
    int shares;
    size_t begin, length; /* of the text itself, between what frames it */
    size_t size;
    char text[];
};

static struct evbuffer *output(const struct web_conn *conn)
{
    return bufferevent_get_output(conn->stream);
}

static struct evbuffer *input(const struct web_conn *conn)
{
    return bufferevent_get_input(conn->stream);
}

/* Lets the handler's request know that there is nobody any more. */
static void let_go(struct web_conn *conn)
{
    struct web_request *request = conn->request;
    if (!request)
        return;
    conn->request = NULL;
    request->conn = NULL;
    if (conn->state == CONN_BODY)
        web_request_free(request); /* the handler has not seen it */
    else if (request->fn)
        request->fn(request->arg);
}

static void conn_free(struct web_conn *conn)
{
    struct web_server *server = conn->server;
    list_remove(&conn->node);
    loop_timer_stop(&conn->deadline);
    bufferevent_free(conn->stream);
    server->count--;
    server->has_room(server);
    let_go(conn); /* last: the handler may close the whole server */
    mem_free(conn);
}

/* Answers ------------------------------------------------------------------- */

static const char *reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } all[] = {
        { 200, "OK" },
        { 201, "Created" },
        { 202, "Accepted" },
        { 204, "No Content" },
        { 303, "See Other" },
        { 304, "Not Modified" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 408, "Request Timeout" },
        { 409, "Conflict" },
        { 411, "Length Required" },
        { 413, "Content Too Large" },
        { 414, "URI Too Long" },
        { 415, "Unsupported Media Type" },
        { 417, "Expectation Failed" },
        { 421, "Misdirected Request" },
        { 422, "Unprocessable Content" },
        { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" },
        { 503, "Service Unavailable" },
        { 505, "HTTP Version Not Supported" },
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].status == status)
            return all[i].text;
    return "Answer";
}

static void add_head(struct web_conn *conn, int status, const char *fields)
{
    char date[64];
    time_t now = time(NULL);
    /* If it took long to make the answer, its time must not be over before it begins. */
    event_base_update_cache_time(loop_base(conn->server->loop));
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    evbuffer_add_printf(output(conn), "HTTP/1.1 %d %s\r\nDate: %s\r\n%s%s", status, reason(status),
                        date, fields ? fields : "", conn->closes ? "Connection: close\r\n" : "");
}

static void to_send(struct web_conn *conn)
{
    conn->state = CONN_SEND;
    loop_timer_stop(&conn->deadline);
}

/* Answers by itself; what else comes on this connection cannot be trusted. */
static void refuse(struct web_conn *conn, int status)
{
    char body[64];
    int length = snprintf(body, sizeof body, "%d %s\n", status, reason(status));
    conn->closes = 1;
    add_head(conn, status, "Content-Type: text/plain\r\nX-Content-Type-Options: nosniff\r\n");
    evbuffer_add_printf(output(conn), "Content-Length: %d\r\n\r\n%s", length, body);
    let_go(conn);
    to_send(conn);
}

/* Takes the connection from the request: it is answered. */
static struct web_conn *answer_of(struct web_request *request)
{
    struct web_conn *conn = request->conn;
    if (!conn || conn->state != CONN_WORK)
        return NULL;
    conn->closes |= request->head.closes;
    return conn;
}

static int wants_body(const struct web_request *request)
{
    const struct web_span *method = &request->head.method;
    return method->length != 4 || memcmp(method->at, "HEAD", 4) != 0;
}

static void answered(struct web_request *request, struct web_conn *conn)
{
    request->conn = NULL;
    conn->request = NULL;
    to_send(conn);
}

void web_reply(struct web_request *request, int status, const char *fields, const void *body,
               size_t length)
{
    struct web_conn *conn = answer_of(request);
    if (!conn)
        return;
    add_head(conn, status, fields);
    if (status == 204 || status == 304)
        evbuffer_add(output(conn), "\r\n", 2);
    else
        evbuffer_add_printf(output(conn), "Content-Length: %zu\r\n\r\n", length);
    if (wants_body(request) && status != 204 && status != 304)
        evbuffer_add(output(conn), body, length);
    answered(request, conn);
}

void web_reply_file(struct web_request *request, int status, const char *fields, int fd,
                    size_t size)
{
    struct web_conn *conn = answer_of(request);
    if (conn) {
        add_head(conn, status, fields);
        evbuffer_add_printf(output(conn), "Content-Length: %zu\r\n\r\n", size);
        int due = size > 0 && wants_body(request);
        int sent = due && evbuffer_add_file(output(conn), fd, 0, (ev_off_t)size) == 0;
        conn->closes |= due && !sent; /* the next answer must not be taken for this one's body */
        answered(request, conn);
        if (sent)
            return; /* closed when it is sent */
    }
    close(fd);
}

void web_stream(struct web_request *request, int status, const char *fields)
{
    struct web_conn *conn = answer_of(request);
    if (!conn)
        return;
    conn->closes = 1;
    add_head(conn, status, fields);
    evbuffer_add_printf(output(conn), "%s\r\n",
                        request->head.minor == 1 ? "Transfer-Encoding: chunked\r\n" : "");
    if (wants_body(request) && !conn->ended)
        conn->state = CONN_STREAM;
    else
        answered(request, conn);
}

struct web_chunk *web_chunk_new(const void *text, size_t length)
{
    char size[24];
    int n = snprintf(size, sizeof size, "%zx\r\n", length);
    size_t begin = (size_t)n;
    struct web_chunk *chunk = mem_alloc(sizeof *chunk + begin + length + 2);
    chunk->shares = 1;
    chunk->begin = begin;
    chunk->length = length;
    chunk->size = begin + length + 2;
    memcpy(chunk->text, size, begin);
    memcpy(chunk->text + begin, text, length);
    memcpy(chunk->text + begin + length, "\r\n", 2);
    return chunk;
}

void web_chunk_free(struct web_chunk *chunk)
{
    if (chunk && --chunk->shares == 0)
        mem_free(chunk);
}

static void chunk_sent(const void *data, size_t length, void *arg)
{
    (void)data;
    (void)length;
    web_chunk_free(arg);
}

void web_write(struct web_request *request, struct web_chunk *chunk)
{
    struct web_conn *conn = request->conn;
    if (!conn || conn->state != CONN_STREAM || chunk->length == 0)
        return;
    int framed = request->head.minor == 1;
    const char *from = framed ? chunk->text : chunk->text + chunk->begin;
    chunk->shares++;
    if (evbuffer_add_reference(output(conn), from, framed ? chunk->size : chunk->length, chunk_sent,
                               chunk) < 0)
        chunk->shares--;
}

size_t web_unsent(const struct web_request *request)
{
    return request->conn ? evbuffer_get_length(output(request->conn)) : 0;
}

int web_is_gone(const struct web_request *request)
{
    return request->conn == NULL;
}

void web_request_watch(struct web_request *request, size_t low, web_changed_fn fn, void *arg)
{
    request->low = low;
    request->fn = fn;
    request->arg = arg;
    if (request->conn)
        bufferevent_setwatermark(request->conn->stream, EV_WRITE, low, 0);
}

/* Requests ------------------------------------------------------------------ */

const struct web_head *web_request_head(const struct web_request *request)
{
    return &request->head;
}

const char *web_request_body(const struct web_request *request, size_t *length)
{
    *length = (size_t)request->head.length;
    return request->body;
}

const char *web_request_peer(const struct web_request *request)
{
    return request->conn ? request->conn->peer : "";
}

void web_request_free(struct web_request *request)
{
    if (!request)
        return;
    struct web_conn *conn = request->conn;
    request->fn = NULL;
    if (conn && conn->state == CONN_STREAM) {
        bufferevent_setwatermark(conn->stream, EV_WRITE, 0, 0);
        if (request->head.minor == 1)
            evbuffer_add(output(conn), "0\r\n\r\n", 5);
        answered(request, conn);
        if (evbuffer_get_length(output(conn)) == 0) /* no write will tell of it */
            bufferevent_trigger(conn->stream, EV_WRITE, BEV_OPT_DEFER_CALLBACKS);
    } else {
        web_reply(request, 500, NULL, "", 0);
    }
    mem_free(request->text);
    mem_free(request->body);
    mem_free(request);
}

/* What comes ---------------------------------------------------------------- */

static void wait_for(struct web_conn *conn, enum state state, double seconds)
{
    conn->state = state;
    loop_timer_start(&conn->deadline, seconds);
}

/* The head has come, `length` bytes of the input. */
static void take_head(struct web_conn *conn, size_t length)
{
    const struct web_server *server = conn->server;
    struct web_request *request = mem_zalloc(sizeof *request);
    request->text = mem_alloc(length + 1);
    evbuffer_remove(input(conn), request->text, length);
    request->text[length] = '\0';
    request->conn = conn;
    conn->request = request;
    conn->used = 1;
    conn->seen = 0;
    conn->state = CONN_BODY;
    struct web_head *head = &request->head;
    int refused = web_head_read(request->text, length, head);
    if (!refused && !server->is_ours(server, head->host))
        refused = 421;
    if (!refused && (unsigned long long)head->length > server->limits.body)
        refused = 413;
    if (refused) {
        refuse(conn, refused);
        return;
    }
    request->body = mem_alloc((size_t)head->length + 1);
    loop_timer_start(&conn->deadline, server->limits.body_seconds);
    if (head->expects && evbuffer_get_length(input(conn)) < (size_t)head->length)
        evbuffer_add_printf(output(conn), "HTTP/1.1 100 Continue\r\n\r\n");
}

static void look_for_head(struct web_conn *conn)
{
    struct evbuffer *in = input(conn);
    size_t length = evbuffer_get_length(in);
    size_t limit = conn->server->limits.head;
    char first[2] = "";
    while (length >= 2 && evbuffer_copyout(in, first, 2) == 2 && memcmp(first, "\r\n", 2) == 0) {
        evbuffer_drain(in, 2); /* some send an empty line after a body */
        length -= 2;
        conn->seen = 0;
    }
    if (length == 0)
        return;
    evbuffer_copyout(in, first, 1);
    struct evbuffer_ptr from; /* what comes byte by byte is not looked through each time */
    evbuffer_ptr_set(in, &from, conn->seen > 3 ? conn->seen - 3 : 0, EVBUFFER_PTR_SET);
    struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, &from);
    conn->seen = length;
    if (end.pos >= 0 && (size_t)end.pos + 4 <= limit) {
        take_head(conn, (size_t)end.pos + 4);
        return;
    }
    if (end.pos >= 0 || length > limit)
        refuse(conn, evbuffer_search(in, "\r\n", 2, NULL).pos < 0 ? 414 : 431);
    else if ((first[0] < 'A' || first[0] > 'Z') && first[0] != '\r')
        refuse(conn, 400); /* not even HTTP */
    else if (evbuffer_search(in, "\n\n", 2, &from).pos >= 0)
        refuse(conn, 400); /* this head will never end as it should */
    else if (conn->state == CONN_IDLE)
        wait_for(conn, CONN_HEAD, conn->server->limits.head_seconds);
}

/* Gives whether the body was whole: the handler has the request. */
static int look_for_body(struct web_conn *conn)
{
    struct web_request *request = conn->request;
    size_t length = (size_t)request->head.length;
    if (evbuffer_get_length(input(conn)) < length)
        return 0;
    evbuffer_remove(input(conn), request->body, length);
    request->body[length] = '\0';
    conn->state = CONN_WORK;
    loop_timer_stop(&conn->deadline);
    conn->server->fn(conn->server->arg, request);
    return 1;
}

/* Gives whether the handler was called, which may have closed the whole server. */
static int go_on(struct web_conn *conn)
{
    if (conn->state == CONN_IDLE || conn->state == CONN_HEAD)
        look_for_head(conn);
    if (conn->state == CONN_BODY)
        return look_for_body(conn);
    if (conn->state == CONN_LINGER)
        evbuffer_drain(input(conn), evbuffer_get_length(input(conn)));
    return 0;
}

static void on_read(struct bufferevent *stream, void *arg)
{
    (void)stream;
    go_on(arg);
}

/* The answer is sent: the next request, or the end. */
static void sent(struct web_conn *conn)
{
    if (conn->closes && conn->ended) {
        conn_free(conn);
        return;
    }
    if (conn->closes) {
        shutdown(bufferevent_getfd(conn->stream), SHUT_WR);
        wait_for(conn, CONN_LINGER, linger_seconds);
    } else {
        list_remove(&conn->node);
        list_append(&conn->server->connections, &conn->node);
        wait_for(conn, CONN_IDLE, conn->server->limits.idle_seconds);
    }
    struct web_server *server = conn->server;
    if (go_on(conn))
        return;
    if (conn->ended && conn->state != CONN_SEND)
        conn_free(conn);
    else if (conn->state == CONN_IDLE && server->count >= server->limits.connections)
        web_conn_evict(server); /* whoever waits to be accepted has waited for this */
}

/* At most as much is unsent as the watermark of the stream says. */
static void on_write(struct bufferevent *stream, void *arg)
{
    struct web_conn *conn = arg;
    struct web_request *request = conn->request;
    if (conn->state == CONN_STREAM && request->fn)
        request->fn(request->arg);
    else if (conn->state == CONN_SEND && evbuffer_get_length(bufferevent_get_output(stream)) == 0)
        sent(conn);
}

static void on_event(struct bufferevent *stream, short what, void *arg)
{
    struct web_conn *conn = arg;
    int only_sent_all = (what & BEV_EVENT_EOF) && (what & BEV_EVENT_READING) &&
                        (conn->state == CONN_WORK || conn->state == CONN_SEND);
    if (!only_sent_all) {
        conn_free(conn);
        return;
    }
    conn->ended = 1; /* it may still read */
    bufferevent_disable(stream, EV_READ);
}

static void on_deadline(void *arg)
{
    struct web_conn *conn = arg;
    if (conn->state == CONN_HEAD || conn->state == CONN_BODY)
        refuse(conn, 408);
    else
        conn_free(conn);
}

/* Connections --------------------------------------------------------------- */

void web_conn_new(struct web_server *server, evutil_socket_t fd, const struct sockaddr *from)
{
    struct event_base *base = loop_base(server->loop);
    struct bufferevent *stream = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (!stream) {
        close(fd);
        return;
    }
    struct web_conn *conn = mem_zalloc(sizeof *conn);
    conn->server = server;
    conn->stream = stream;
    const union address *address = (const void *)from;
    const void *number = from->sa_family == AF_INET ? (const void *)&address->v4.sin_addr
                                                    : (const void *)&address->v6.sin6_addr;
    if (!inet_ntop(from->sa_family, number, conn->peer, sizeof conn->peer))
        conn->peer[0] = '\0';
    list_init(&conn->node);
    list_append(&server->connections, &conn->node);
    server->count++;
    loop_timer_init(&conn->deadline, server->loop, on_deadline, conn);
    wait_for(conn, CONN_IDLE, server->limits.head_seconds);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    double seconds = server->limits.write_seconds;
    struct timeval patience = { .tv_sec = (time_t)seconds };
    patience.tv_usec = (suseconds_t)((seconds - (double)patience.tv_sec) * 1e6);
    bufferevent_setcb(stream, on_read, on_write, on_event, conn);
    bufferevent_set_timeouts(stream, NULL, &patience);
    bufferevent_setwatermark(stream, EV_READ, 0, server->limits.head + server->limits.body + 4);
    bufferevent_enable(stream, EV_READ | EV_WRITE);
}

int web_conn_evict(struct web_server *server)
{
    list_each (it, &server->connections) {
        struct web_conn *conn = list_entry(it, struct web_conn, node);
        if (conn->state == CONN_IDLE && conn->used) {
            conn_free(conn);
            return 1;
        }
    }
    return 0;
}

void web_conn_close_all(struct web_server *server)
{
    while (!list_empty(&server->connections))
        conn_free(list_entry(list_first(&server->connections), struct web_conn, node));
}
