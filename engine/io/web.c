#include "io/web.h"

#include <arpa/inet.h>
#include <event2/listener.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/address.h"
#include "io/loop.h"
#include "io/web_conn.h"

enum { CODE_IO = 110, HEAD_LIMIT = 16384, CONNECTIONS = 1024 };

static const double pause_seconds = 1;

struct name {
    struct list node;
    char text[];
};

struct web {
    struct web_server server; /* first: is_ours and has_room find the rest behind it */
    struct evconnlistener *listener;
    struct loop_timer pause; /* the system gives no more descriptors: try again later */
    struct list names;       /* that requests may be sent to */
    int port;
    int closing;
};

/* "[::1]:80" and "name:80" without the port. */
static struct web_span without_port(struct web_span host)
{
    const char *end = host.length > 0 && *host.at == '[' ? memchr(host.at, ']', host.length) : NULL;
    const char *colon = end ? end + 1 : memchr(host.at, ':', host.length);
    if (colon && colon < host.at + host.length)
        host.length = (size_t)(colon - host.at);
    return host;
}

/* A name can be made to lead anywhere, a number cannot. */
static int is_numeric(struct web_span host)
{
    char text[INET6_ADDRSTRLEN];
    union address address;
    if (host.length > 1 && *host.at == '[' && host.at[host.length - 1] == ']') {
        host.at++;
        host.length -= 2;
    }
    if (host.length >= sizeof text)
        return 0;
    memcpy(text, host.at, host.length);
    text[host.length] = '\0';
    return address_of(text, 0, &address) != 0;
}

static int is_ours(const struct web_server *server, struct web_span host)
{
    const struct web *web = (const struct web *)server;
    if (!host.at)
        return 0;
    host = without_port(host);
    if (is_numeric(host))
        return 1;
    list_each (it, &web->names) {
        const struct name *name = list_entry(it, struct name, node);
        if (strlen(name->text) == host.length && strncasecmp(name->text, host.at, host.length) == 0)
            return 1;
    }
    return 0;
}

static void has_room(struct web_server *server)
{
    struct web *web = (struct web *)server;
    if (!web->closing)
        evconnlistener_enable(web->listener);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
                      int length, void *arg)
{
    struct web *web = arg;
    (void)length;
    web_conn_new(&web->server, fd, from);
    if (web->server.count >= web->server.limits.connections && !web_conn_evict(&web->server))
        evconnlistener_disable(listener); /* who comes now waits until another goes */
}

static void on_pause_over(void *arg)
{
    has_room(arg);
}

/* No descriptor is left, most likely. Without a pause the loop would ask again and again. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
    struct web *web = arg;
    web_conn_evict(&web->server);
    evconnlistener_disable(listener);
    loop_timer_start(&web->pause, pause_seconds);
}

/* Of the descriptors that this process may have, some stay for everything else. */
static int most_connections(int wanted)
{
    enum { RESERVE = 100 };
    struct rlimit most;
    if (getrlimit(RLIMIT_NOFILE, &most) < 0 || most.rlim_cur == RLIM_INFINITY)
        return wanted;
    rlim_t left = most.rlim_cur > 2 * RESERVE ? most.rlim_cur - RESERVE : most.rlim_cur / 2;
    return left < (rlim_t)wanted ? (int)left : wanted;
}

static void set_limits(struct web_limits *limits)
{
    const struct web_limits given = *limits;
    limits->head = given.head ? given.head : HEAD_LIMIT;
    limits->connections = most_connections(given.connections > 0 ? given.connections : CONNECTIONS);
    limits->head_seconds = given.head_seconds > 0 ? given.head_seconds : 10;
    limits->body_seconds = given.body_seconds > 0 ? given.body_seconds : 30;
    limits->idle_seconds = given.idle_seconds > 0 ? given.idle_seconds : 60;
    limits->write_seconds = given.write_seconds > 0 ? given.write_seconds : 15;
}

struct web *web_new(struct loop *loop, const char *host, int port, const struct web_limits *limits,
                    web_fn fn, void *arg, struct err *e)
{
    union address address;
    int length = address_of(host, port, &address);
    if (length == 0) {
        err_set(e, CODE_IO, "'%s' is no address of this machine", host);
        return NULL;
    }
    struct web *web = mem_zalloc(sizeof *web);
    struct web_server *server = &web->server;
    *server = (struct web_server){ .loop = loop, .limits = *limits, .fn = fn, .arg = arg };
    server->is_ours = is_ours;
    server->has_room = has_room;
    set_limits(&server->limits);
    list_init(&server->connections);
    list_init(&web->names);
    loop_timer_init(&web->pause, loop, on_pause_over, web);
    web->listener =
        evconnlistener_new_bind(loop_base(loop), on_accept, web,
                                LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE,
                                -1, &address.any, length);
    if (!web->listener) {
        err_sys(e, CODE_IO, "cannot listen there");
        err_at(e, host, port);
        mem_free(web);
        return NULL;
    }
    evconnlistener_set_error_cb(web->listener, on_accept_error);
    web->port = address_port(evconnlistener_get_fd(web->listener));
    web_allow(web, "localhost");
    return web;
}

void web_allow(struct web *web, const char *name)
{
    size_t size = strlen(name) + 1;
    struct name *added = mem_alloc(sizeof *added + size);
    memcpy(added->text, name, size);
    list_init(&added->node);
    list_append(&web->names, &added->node);
}

int web_port(const struct web *web)
{
    return web->port;
}

int web_connections(const struct web *web)
{
    return web->server.count;
}

void web_free(struct web *web)
{
    if (!web)
        return;
    web->closing = 1;
    loop_timer_stop(&web->pause);
    web_conn_close_all(&web->server);
    evconnlistener_free(web->listener);
    list_each (it, &web->names)
        mem_free(list_entry(it, struct name, node));
    mem_free(web);
}
