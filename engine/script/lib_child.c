/* dex.child: programs that run beside us and whose output is wanted, such as git and tar. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "io/child.h"
#include "script/lib_child.h"
#include "script/libs.h"
#include "script/lua_err.h"
#include "script/task.h"
#include "script/vm.h"

#define RUN "dex.child.run"

enum { MOST = 64 * 1024 * 1024 }; /* of output that is kept */

/* One of the two pipes. */
struct stream {
    struct event event;
    int fd; /* ours, or -1 */
    struct buf text;
};

/* A userdata that lies on the waiting stack, and what it holds until its end. */
struct run {
    struct task *task;
    struct child *child;
    struct stream streams[2]; /* standard output and error */
    int status;
};

static void close_stream(struct stream *stream)
{
    if (stream->fd < 0)
        return;
    event_del(&stream->event);
    close(stream->fd);
    stream->fd = -1;
}

/* Ends the child, if it still runs, and gives everything back. May be called twice. */
static void release(void *arg)
{
    struct run *run = arg;
    child_free(run->child);
    run->child = NULL;
    for (int i = 0; i < 2; i++) {
        close_stream(&run->streams[i]);
        buf_fini(&run->streams[i].text);
    }
}

static int run_gc(lua_State *L)
{
    release(luaL_checkudata(L, 1, RUN));
    return 0;
}

/* Takes what the pipe holds. */
static void drain(struct stream *stream)
{
    while (stream->fd >= 0) {
        char *room = buf_room(&stream->text, 4096);
        ssize_t n = read(stream->fd, room, 4096);
        if (n > 0 && stream->text.len < MOST) {
            stream->text.len += (size_t)n;
            stream->text.data[stream->text.len] = '\0';
        } else if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
            close_stream(stream);
        } else if (n < 0 && errno == EAGAIN) {
            return;
        }
    }
}

static void readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    drain(arg);
}

/* What it has written is in the pipes now; one that its own children keep open is not waited for.
 */
static void ended(void *arg, int status)
{
    struct run *run = arg;
    run->status = status;
    for (int i = 0; i < 2; i++)
        drain(&run->streams[i]);
    task_resume(run->task);
}

static void set_text(lua_State *L, const char *field, const struct buf *text)
{
    lua_pushlstring(L, text->data ? text->data : "", text->len);
    lua_setfield(L, -2, field);
}

static int finished(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    struct run *run = luaL_checkudata(L, (int)ctx, RUN);
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, run->status);
    lua_setfield(L, -2, "status");
    set_text(L, "stdout", &run->streams[0].text);
    set_text(L, "stderr", &run->streams[1].text);
    release(run);
    return 1;
}

const char *const *lib_child_list(lua_State *L, const char *name)
{
    if (lua_getfield(L, 1, name) == LUA_TNIL)
        return NULL;
    luaL_argcheck(L, lua_istable(L, -1), 1, name);
    lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
    const char **list = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *list, 0);
    for (lua_Integer i = 0; i < n; i++) {
        luaL_argcheck(L, lua_rawgeti(L, -2, i + 1) == LUA_TSTRING, 1, name);
        list[i] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    list[n] = NULL;
    return list;
}

/* The writing ends go to `stdio`, for the child. */
static int open_pipes(struct run *run, struct loop *loop, int stdio[3])
{
    for (int i = 0; i < 2; i++) {
        int ends[2];
        if (pipe(ends) < 0)
            return -1;
        fcntl(ends[0], F_SETFD, FD_CLOEXEC);
        fcntl(ends[1], F_SETFD, FD_CLOEXEC);
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
        struct stream *stream = &run->streams[i];
        stdio[i + 1] = ends[1];
        event_assign(&stream->event, loop_base(loop), ends[0], EV_READ | EV_PERSIST, readable,
                     stream);
        stream->fd = ends[0];
        event_add(&stream->event, NULL);
    }
    return 0;
}

int lib_child_input(lua_State *L, int *fd)
{
    size_t length;
    if (lua_getfield(L, 1, "input") == LUA_TNIL)
        return 1;
    const char *text = luaL_checklstring(L, -1, &length);
    FILE *file = tmpfile();
    if (file && fwrite(text, 1, length, file) == length && fflush(file) == 0 &&
        fseek(file, 0, SEEK_SET) == 0)
        *fd = fcntl(fileno(file), F_DUPFD_CLOEXEC, 3);
    if (file)
        fclose(file);
    return *fd >= 0;
}

/*
 * child.run{argv, cwd, env, input} -> {status, stdout, stderr}. Waits for a program's end: `argv`
 * is a list, `env` a list of changes to our environment ("NAME=value", or "NAME" to remove it),
 * `input` the text on its standard input, which is empty without it. The status is negative when a
 * signal has killed it. Raises 902 when it cannot be started; when the wait is cancelled, it is
 * killed.
 */
static int run_child(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    const char *const *argv = lib_child_list(L, "argv");
    luaL_argcheck(L, argv && argv[0], 1, "argv");
    const char *const *env = lib_child_list(L, "env");
    lua_getfield(L, 1, "cwd");
    const char *cwd = luaL_optstring(L, -1, NULL);
    struct task *task = task_current(L);
    struct loop *loop = vm_loop(vm_from(L));
    struct run *run = lua_newuserdatauv(L, sizeof *run, 0);
    memset(run, 0, sizeof *run);
    run->task = task;
    run->streams[0].fd = run->streams[1].fd = -1;
    luaL_setmetatable(L, RUN);
    int at = lua_gettop(L);
    struct err e = ERR_INIT;
    struct child_spec spec = { .argv = argv, .env = env, .cwd = cwd, .place = CHILD_GROUP };
    spec.stdio[0] = spec.stdio[1] = spec.stdio[2] = CHILD_NULL;
    if (!lib_child_input(L, &spec.stdio[0]))
        err_set(&e, CHILD_CODE, "cannot keep the input of %s: %s", argv[0], strerror(errno));
    else if (open_pipes(run, loop, spec.stdio) < 0)
        err_set(&e, CHILD_CODE, "cannot make a pipe for %s: %s", argv[0], strerror(errno));
    else
        run->child = child_start(loop, &spec, ended, run, &e);
    for (int i = 0; i < 3; i++)
        if (spec.stdio[i] >= 0)
            close(spec.stdio[i]);
    if (!run->child) {
        release(run);
        return lua_err_raise(L, &e);
    }
    return task_wait(L, release, run, finished, at);
}

static const luaL_Reg functions[] = {
    { "run", run_child },
    { "start", lib_process_start },
    { "launch", lib_launch_start },
    { "signal", lib_launch_signal },
    { NULL, NULL },
};

int luaopen_dex_child(lua_State *L)
{
    lib_process_open(L);
    lib_launch_open(L);
    luaL_newmetatable(L, RUN);
    lua_pushcfunction(L, run_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
