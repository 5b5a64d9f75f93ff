#include "io/peer.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/address.h"
#include "io/loop.h"

enum { CODE_IO = 110 };

struct peer_listener {
    struct evconnlistener *listener;
    peer_accept_fn fn;
    void *arg;
};

struct peer {
    struct bufferevent *stream;
    enum peer_state state;
    peer_fn fn;
    void *arg;
};

static void changed(struct peer *peer)
{
    if (peer->fn)
        peer->fn(peer->arg);
}

static void on_data(struct bufferevent *stream, void *arg)
{
    (void)stream;
    changed(arg);
}

static void on_event(struct bufferevent *stream, short what, void *arg)
{
    struct peer *peer = arg;
    peer->state = what & BEV_EVENT_CONNECTED ? PEER_OPEN : PEER_OVER;
    if (peer->state == PEER_OVER)
        bufferevent_disable(stream, EV_READ | EV_WRITE);
    changed(peer);
}

/* Takes the descriptor; -1 for one that is still to be made. NULL when there is no memory. */
static struct peer *new_peer(struct event_base *base, evutil_socket_t fd)
{
    struct bufferevent *stream = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (!stream)
        return NULL;
    struct peer *peer = mem_zalloc(sizeof *peer);
    peer->stream = stream;
    peer->state = fd < 0 ? PEER_CONNECTING : PEER_OPEN;
    bufferevent_setcb(stream, on_data, on_data, on_event, peer);
    bufferevent_enable(stream, EV_READ | EV_WRITE);
    return peer;
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
                      int length, void *arg)
{
    struct peer_listener *ours = arg;
    (void)from;
    (void)length;
    struct peer *peer = new_peer(evconnlistener_get_base(listener), fd);
    if (peer)
        ours->fn(ours->arg, peer);
    else
        close(fd);
}

struct peer_listener *peer_listen(struct loop *loop, const char *host, int port, peer_accept_fn fn,
                                  void *arg, struct err *e)
{
    union address address;
    int length = address_of(host, port, &address);
    if (length == 0) {
        err_set(e, CODE_IO, "'%s' is no numeric address", host);
        return NULL;
    }
    struct peer_listener *listener = mem_zalloc(sizeof *listener);
    listener->fn = fn;
    listener->arg = arg;
    listener->listener =
        evconnlistener_new_bind(loop_base(loop), on_accept, listener,
                                LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE,
                                -1, &address.any, length);
    if (!listener->listener) {
        err_sys(e, CODE_IO, "cannot listen there");
        err_at(e, host, port);
        mem_free(listener);
        return NULL;
    }
    return listener;
}

int peer_listener_port(const struct peer_listener *listener)
{
    return address_port(evconnlistener_get_fd(listener->listener));
}

void peer_listener_free(struct peer_listener *listener)
{
    if (!listener)
        return;
    evconnlistener_free(listener->listener);
    mem_free(listener);
}

struct peer *peer_connect(struct loop *loop, const char *host, int port, struct err *e)
{
    union address address;
    int length = address_of(host, port, &address);
    if (length == 0) {
        err_set(e, CODE_IO, "'%s' is no numeric address", host);
        return NULL;
    }
    struct peer *peer = new_peer(loop_base(loop), -1);
    if (!peer || bufferevent_socket_connect(peer->stream, &address.any, length) < 0) {
        err_sys(e, CODE_IO, "cannot connect");
        err_at(e, host, port);
        peer_free(peer);
        return NULL;
    }
    return peer;
}

void peer_watch(struct peer *peer, peer_fn fn, void *arg)
{
    peer->fn = fn;
    peer->arg = arg;
}

enum peer_state peer_state(const struct peer *peer)
{
    return peer->state;
}

char *peer_line(struct peer *peer, size_t *length)
{
    return evbuffer_readln(bufferevent_get_input(peer->stream), length, EVBUFFER_EOL_LF);
}

size_t peer_waiting(const struct peer *peer)
{
    return evbuffer_get_length(bufferevent_get_input(peer->stream));
}

void peer_write(struct peer *peer, const char *text, size_t length)
{
    if (peer->state != PEER_OVER)
        bufferevent_write(peer->stream, text, length);
}

size_t peer_unsent(const struct peer *peer)
{
    if (peer->state == PEER_OVER)
        return 0;
    return evbuffer_get_length(bufferevent_get_output(peer->stream));
}

void peer_free(struct peer *peer)
{
    if (!peer)
        return;
    bufferevent_free(peer->stream);
    mem_free(peer);
}
