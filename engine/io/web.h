/*
 * An HTTP/1.1 server on the loop. It reads whole requests within its limits, and refuses by itself
 * what is malformed, too big, too slow, or was sent to a name that is not this server's (a page
 * elsewhere cannot reach it through a name that it controls). Everything else is its handler's:
 * each request is answered once, at once or later, with a text, a file, or a stream.
 */
#ifndef DEX_IO_WEB_H
#define DEX_IO_WEB_H

#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"
#include "io/web_head.h"

struct loop;
struct web;
struct web_request;
struct web_chunk;

/* A request has come, which is the receiver's from now on. */
typedef void (*web_fn)(void *arg, struct web_request *request);

/* See web_request_watch. */
typedef void (*web_changed_fn)(void *arg);

/* Fields that are 0 take the default. */
struct web_limits {
    size_t head;          /* bytes of a request's head: 16384 */
    size_t body;          /* bytes of its body: 0 is none */
    int connections;      /* at one time, as far as the system has descriptors: 1024 */
    double head_seconds;  /* for a head, from its first byte to its end: 10 */
    double body_seconds;  /* for the body: 30 */
    double idle_seconds;  /* between two requests on one connection: 60 */
    double write_seconds; /* in which a client must take some of what is sent: 15 */
};

/*
 * Listens on a numeric IPv4 or IPv6 address; port 0 is any free one. Requests may be sent to
 * `host`, to localhost, to any numeric address, and to the names of web_allow. Gives NULL and an
 * error of code 110 when the address cannot be had.
 */
MUST_CHECK struct web *web_new(struct loop *loop, const char *host, int port,
                               const struct web_limits *limits, web_fn fn, void *arg,
                               struct err *e);

/* Lets requests be sent to this name as well. */
void web_allow(struct web *web, const char *name);

/* The port that it listens on. */
int web_port(const struct web *web);

/* How many connections are open. */
int web_connections(const struct web *web);

/* Closes it and every connection; requests stay their receivers', and are gone. NULL is allowed. */
void web_free(struct web *web);

/* What was asked. Valid as long as the request. */
const struct web_head *web_request_head(const struct web_request *request);

/* The body, which may hold zeros, and its length. Valid as long as the request. */
const char *web_request_body(const struct web_request *request, size_t *length);

/* The numeric address of the client, or "" once it is gone. */
const char *web_request_peer(const struct web_request *request);

/*
 * Answers with a body of `length` bytes. `fields` are whole lines of the head, each with its CR LF,
 * or NULL. To HEAD goes the head alone.
 */
void web_reply(struct web_request *request, int status, const char *fields, const void *body,
               size_t length);

/* Answers with what a descriptor holds, which is closed: `size` bytes from its beginning. */
void web_reply_file(struct web_request *request, int status, const char *fields, int fd,
                    size_t size);

/* Begins an answer that has no length; the connection closes at its end. */
void web_stream(struct web_request *request, int status, const char *fields);

/*
 * A text for streams, which many of them may send: its memory is shared and lives until the last
 * one has sent it. The caller's own share ends with web_chunk_free.
 */
struct web_chunk *web_chunk_new(const void *text, size_t length);
void web_chunk_free(struct web_chunk *chunk);

/* Sends it on a stream, now or later. Nothing happens when the client is gone. */
void web_write(struct web_request *request, struct web_chunk *chunk);

/* Bytes of a stream that are not sent; 0 when the client is gone. */
size_t web_unsent(const struct web_request *request);

/* Whether there is nobody left to be answered, or the answer was given. */
int web_is_gone(const struct web_request *request);

/*
 * Calls fn(arg) each time when at most `low` bytes of the stream are unsent after some were sent,
 * and when the client goes. NULL for nobody.
 */
void web_request_watch(struct web_request *request, size_t low, web_changed_fn fn, void *arg);

/* Ends a stream; answers 500 where there was no answer; frees the request. NULL is allowed. */
void web_request_free(struct web_request *request);

#endif
