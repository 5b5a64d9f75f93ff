/* The connections of the server in io/web.h: nobody else's business. */
#ifndef DEX_IO_WEB_CONN_H
#define DEX_IO_WEB_CONN_H

#include <event2/util.h>

#include "base/list.h"
#include "io/web.h"

struct sockaddr;

/* What connections see of their server. */
struct web_server {
    struct loop *loop;
    struct web_limits limits;
    struct list connections; /* the one that has waited longest for a request comes first */
    int count;
    web_fn fn;
    void *arg;
    int (*is_ours)(const struct web_server *server, struct web_span host);
    void (*has_room)(struct web_server *server); /* a connection has ended */
};

struct web_conn;

/* Serves an accepted socket, which is its own from now on. */
void web_conn_new(struct web_server *server, evutil_socket_t fd, const struct sockaddr *from);

/* Closes the connection that has waited longest for another request; gives whether one did. */
int web_conn_evict(struct web_server *server);

/* Closes all. */
void web_conn_close_all(struct web_server *server);

#endif
