/*
 * Lines of text to and from another process, over TCP: `run --debug-listen` and `attach` talk like
 * that. Nothing here blocks; the one callback says that something has changed.
 */
#ifndef DEX_IO_PEER_H
#define DEX_IO_PEER_H

#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"

struct loop;
struct peer;
struct peer_listener;

/*
 * A line has come, what was written is sent, or the connection is there or over. Whoever is called
 * may free the peer.
 */
typedef void (*peer_fn)(void *arg);

/* Takes a new connection, which is the receiver's from now on. */
typedef void (*peer_accept_fn)(void *arg, struct peer *peer);

/* Listens on a numeric address; port 0 is any free one. NULL and code 110 when that cannot be. */
MUST_CHECK struct peer_listener *peer_listen(struct loop *loop, const char *host, int port,
                                             peer_accept_fn fn, void *arg, struct err *e);

/* The port that it listens on. */
int peer_listener_port(const struct peer_listener *listener);

/* Takes no more connections; those that were taken stay. NULL is allowed. */
void peer_listener_free(struct peer_listener *listener);

/* Begins to connect to a numeric address. NULL and code 110 when that cannot be. */
MUST_CHECK struct peer *peer_connect(struct loop *loop, const char *host, int port, struct err *e);

/* Whom to tell; NULL for nobody. */
void peer_watch(struct peer *peer, peer_fn fn, void *arg);

enum peer_state { PEER_CONNECTING, PEER_OPEN, PEER_OVER };

/* Lines that came before the end can still be taken when it is over. */
enum peer_state peer_state(const struct peer *peer);

/*
 * Takes the next line, without its end; the caller frees it with free(). NULL when none is
 * complete.
 */
char *peer_line(struct peer *peer, size_t *length);

/* Bytes that have come and are not taken. */
size_t peer_waiting(const struct peer *peer);

/* Sends text, now or later. Nothing happens when it is over. */
void peer_write(struct peer *peer, const char *text, size_t length);

/* Bytes that are not sent yet; 0 when it is over. */
size_t peer_unsent(const struct peer *peer);

/* Closes it; what is unsent is lost. NULL is allowed. */
void peer_free(struct peer *peer);

#endif
