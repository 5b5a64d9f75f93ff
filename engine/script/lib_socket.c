/* dex.socket: lines of text between two processes (io/peer.h). */
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "io/datagram.h"
#include "io/peer.h"
#include "script/libs.h"
#include "script/lua_err.h"
#include "script/task.h"
#include "script/vm.h"

#define LISTENER "dex.socket.listener"
#define STREAM "dex.socket.stream"

enum { CODE_IO = 110, BACKLOG = 16 };

/* Connections that nobody has taken yet wait here. */
struct listener {
    struct peer_listener *listener; /* NULL when closed */
    struct peer *waiting[BACKLOG];
    int count;
    struct task *taker; /* who waits for the next one, or NULL */
};

struct stream {
    struct peer *peer;           /* NULL when closed */
    struct task *reader, *other; /* who waits for a line; who waits to be connected, or to have
                                    sent */
    size_t limit;                /* of the line that is waited for */
};

/* Streams --------------------------------------------------------------------- */

static struct stream *check_stream(lua_State *L)
{
    struct stream *stream = luaL_checkudata(L, 1, STREAM);
    luaL_argcheck(L, stream->peer, 1, "closed");
    return stream;
}

static void on_change(void *arg)
{
    struct stream *stream = arg;
    struct task *reader = stream->reader, *other = stream->other;
    if (reader)
        task_resume(reader);
    if (other)
        task_resume(other);
}

static struct stream *push_stream(lua_State *L, struct peer *peer)
{
    struct stream *stream = lua_newuserdatauv(L, sizeof *stream, 0);
    memset(stream, 0, sizeof *stream);
    stream->peer = peer;
    luaL_setmetatable(L, STREAM);
    if (peer)
        peer_watch(peer, on_change, stream);
    return stream;
}

static void forget_reader(void *arg)
{
    ((struct stream *)arg)->reader = NULL;
}

static void forget_other(void *arg)
{
    ((struct stream *)arg)->other = NULL;
}

static int read_line(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    struct stream *stream = luaL_checkudata(L, 1, STREAM);
    stream->reader = NULL;
    size_t length;
    char *line = stream->peer ? peer_line(stream->peer, &length) : NULL;
    if (line) {
        lua_pushlstring(L, line, length);
        free(line);
        return 1;
    }
    if (!stream->peer || peer_state(stream->peer) == PEER_OVER)
        return 0;
    if (peer_waiting(stream->peer) > stream->limit) {
        lua_err_pushf(L, CODE_IO, "the line that comes is too long");
        return lua_error(L);
    }
    stream->reader = task_current(L);
    return task_wait(L, forget_reader, stream, read_line, 0);
}

/*
 * stream:line(limit) -> the next line without its end, nil at the end. Waits. Raises code 110 for
 * one of more than `limit` bytes.
 */
static int stream_line(lua_State *L)
{
    struct stream *stream = check_stream(L);
    lua_Integer limit = luaL_checkinteger(L, 2);
    luaL_argcheck(L, limit > 0, 2, "positive");
    luaL_argcheck(L, !stream->reader, 1, "somebody waits for a line already");
    stream->limit = (size_t)limit;
    task_current(L);
    return read_line(L, LUA_OK, 0);
}

/* stream:write(text): sends it, now or later */
static int stream_write(lua_State *L)
{
    struct stream *stream = check_stream(L);
    size_t length;
    const char *text = luaL_checklstring(L, 2, &length);
    peer_write(stream->peer, text, length);
    return 0;
}

static int sent(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    struct stream *stream = luaL_checkudata(L, 1, STREAM);
    stream->other = NULL;
    if (!stream->peer || peer_unsent(stream->peer) == 0)
        return 0;
    stream->other = task_current(L);
    return task_wait(L, forget_other, stream, sent, 0);
}

/* stream:drain(): waits until all is sent, or the connection is over */
static int stream_drain(lua_State *L)
{
    check_stream(L);
    task_current(L);
    return sent(L, LUA_OK, 0);
}

/* stream:close(): what is unsent is lost; who waits for a line gets nil */
static int stream_close(lua_State *L)
{
    struct stream *stream = luaL_checkudata(L, 1, STREAM);
    peer_free(stream->peer);
    stream->peer = NULL;
    on_change(stream);
    return 0;
}

/* stream:is_open() -> whether the other side is still there */
static int stream_is_open(lua_State *L)
{
    struct stream *stream = luaL_checkudata(L, 1, STREAM);
    lua_pushboolean(L, stream->peer && peer_state(stream->peer) != PEER_OVER);
    return 1;
}

static int connected(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    struct stream *stream = luaL_checkudata(L, 3, STREAM);
    stream->other = NULL;
    switch (peer_state(stream->peer)) {
    case PEER_CONNECTING:
        stream->other = task_current(L);
        return task_wait(L, forget_other, stream, connected, 0);
    case PEER_OVER:
        lua_err_pushf(L, CODE_IO, "nothing listens on %s, port %d", lua_tostring(L, 1),
                      (int)lua_tointeger(L, 2));
        return lua_error(L);
    case PEER_OPEN:
        break;
    }
    return 1;
}

/* Checks the arguments of listen and connect: a numeric address and a port. */
static int check_address(lua_State *L, const char **host)
{
    *host = luaL_checkstring(L, 1);
    lua_Integer port = luaL_checkinteger(L, 2);
    luaL_argcheck(L, port >= 0 && port <= 65535, 2, "not a port");
    return (int)port;
}

/* socket.connect(host, port) -> stream. Waits. Raises code 110. */
static int socket_connect(lua_State *L)
{
    const char *host;
    int port = check_address(L, &host);
    struct err e = ERR_INIT;
    lua_settop(L, 2);
    task_current(L);
    struct stream *stream = push_stream(L, NULL);
    stream->peer = peer_connect(vm_loop(vm_from(L)), host, port, &e);
    if (!stream->peer)
        return lua_err_raise(L, &e);
    peer_watch(stream->peer, on_change, stream);
    return connected(L, LUA_OK, 0);
}

/* Listeners ------------------------------------------------------------------- */

static void on_accept(void *arg, struct peer *peer)
{
    struct listener *listener = arg;
    if (listener->count == BACKLOG) {
        peer_free(peer);
        return;
    }
    listener->waiting[listener->count++] = peer;
    if (listener->taker)
        task_resume(listener->taker);
}

static void forget_taker(void *arg)
{
    ((struct listener *)arg)->taker = NULL;
}

static int take(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    struct listener *listener = luaL_checkudata(L, 1, LISTENER);
    listener->taker = NULL;
    if (!listener->listener)
        return 0;
    if (listener->count == 0) {
        listener->taker = task_current(L);
        return task_wait(L, forget_taker, listener, take, 0);
    }
    struct stream *stream = push_stream(L, NULL);
    stream->peer = listener->waiting[0];
    listener->count--;
    memmove(listener->waiting, listener->waiting + 1,
            (size_t)listener->count * sizeof *listener->waiting);
    peer_watch(stream->peer, on_change, stream);
    return 1;
}

/* listener:accept() -> the stream of the next connection, nil when it is closed. Waits. */
static int listener_accept(lua_State *L)
{
    struct listener *listener = luaL_checkudata(L, 1, LISTENER);
    luaL_argcheck(L, !listener->taker, 1, "somebody waits already");
    task_current(L);
    return take(L, LUA_OK, 0);
}

/* listener:port() */
static int listener_port(lua_State *L)
{
    struct listener *listener = luaL_checkudata(L, 1, LISTENER);
    luaL_argcheck(L, listener->listener, 1, "closed");
    lua_pushinteger(L, peer_listener_port(listener->listener));
    return 1;
}

/* listener:close(): connections that nobody has taken end, too */
static int listener_close(lua_State *L)
{
    struct listener *listener = luaL_checkudata(L, 1, LISTENER);
    peer_listener_free(listener->listener);
    listener->listener = NULL;
    while (listener->count > 0)
        peer_free(listener->waiting[--listener->count]);
    if (listener->taker)
        task_resume(listener->taker);
    return 0;
}

/* socket.listen(host, port) -> listener; port 0 is any free one. Raises code 110. */
static int socket_listen(lua_State *L)
{
    const char *host;
    int port = check_address(L, &host);
    struct err e = ERR_INIT;
    struct listener *listener = lua_newuserdatauv(L, sizeof *listener, 0);
    memset(listener, 0, sizeof *listener);
    luaL_setmetatable(L, LISTENER);
    listener->listener = peer_listen(vm_loop(vm_from(L)), host, port, on_accept, listener, &e);
    if (!listener->listener)
        return lua_err_raise(L, &e);
    return 1;
}

/*
 * socket.send(path, text): one message to a Unix datagram socket, abstract when the path begins
 * with @. Raises 110 when nobody takes it. Does not wait.
 */
static int socket_send(lua_State *L)
{
    size_t length;
    const char *path = luaL_checkstring(L, 1);
    const char *text = luaL_checklstring(L, 2, &length);
    struct err e = ERR_INIT;
    return datagram_send(path, text, length, &e) < 0 ? lua_err_raise(L, &e) : 0;
}

static void new_class(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction close)
{
    luaL_newmetatable(L, name);
    lua_pushcfunction(L, close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, close);
    lua_setfield(L, -2, "__close");
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

int luaopen_dex_socket(lua_State *L)
{
    static const luaL_Reg streams[] = { { "line", stream_line },   { "write", stream_write },
                                        { "drain", stream_drain }, { "is_open", stream_is_open },
                                        { "close", stream_close }, { NULL, NULL } };
    static const luaL_Reg listeners[] = { { "accept", listener_accept },
                                          { "port", listener_port },
                                          { "close", listener_close },
                                          { NULL, NULL } };
    static const luaL_Reg functions[] = { { "listen", socket_listen },
                                          { "connect", socket_connect },
                                          { "send", socket_send },
                                          { NULL, NULL } };
    new_class(L, STREAM, streams, stream_close);
    new_class(L, LISTENER, listeners, listener_close);
    luaL_newlib(L, functions);
    return 1;
}
