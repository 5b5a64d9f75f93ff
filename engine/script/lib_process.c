/* child.start of dex.child: a program whose output is read while it runs, and that is ended by
 * signals. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "io/child.h"
#include "script/lib_child.h"
#include "script/lua_err.h"
#include "script/task.h"
#include "script/vm.h"

#define PROCESS "dex.child.process"

enum { CHUNK = 65536 };

struct process {
    struct task *waiter; /* inside of read(), or NULL */
    struct child *child;
    int status;
    struct event events[2]; /* of standard output and error: pending only while somebody reads */
    int fds[2];             /* ours, or -1 */
};

static const char *const names[] = { "stdout", "stderr" };

static struct process *check_process(lua_State *L)
{
    return luaL_checkudata(L, 1, PROCESS);
}

static void close_pipe(struct process *p, int i)
{
    if (p->fds[i] < 0)
        return;
    event_del(&p->events[i]);
    close(p->fds[i]);
    p->fds[i] = -1;
}

/* Also the metamethod's work: a process that nobody holds any more is killed. */
static int process_gc(lua_State *L)
{
    struct process *p = check_process(L);
    for (int i = 0; i < 2; i++)
        close_pipe(p, i);
    child_free(p->child);
    p->child = NULL;
    return 0;
}

static void wake(struct process *p)
{
    if (p->waiter)
        task_resume(p->waiter);
}

static void readable(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    wake(arg);
}

static void ended(void *arg, int status)
{
    struct process *p = arg;
    p->status = status;
    child_free(p->child);
    p->child = NULL;
    wake(p);
}

static void stop_waiting(void *arg)
{
    struct process *p = arg;
    p->waiter = NULL;
    for (int i = 0; i < 2; i++)
        if (p->fds[i] >= 0)
            event_del(&p->events[i]);
}

/*
 * Pushes the name of a pipe and what it held. Gives 0 when there is nothing to be read now. After
 * the program's end nobody is waited for who still holds its pipes.
 */
static int take(lua_State *L, struct process *p)
{
    char chunk[CHUNK];
    for (int i = 0; i < 2; i++) {
        if (p->fds[i] < 0)
            continue;
        ssize_t n;
        do
            n = read(p->fds[i], chunk, sizeof chunk);
        while (n < 0 && errno == EINTR);
        if (n > 0) {
            lua_pushstring(L, names[i]);
            lua_pushlstring(L, chunk, (size_t)n);
            return 1;
        }
        if (n == 0 || errno != EAGAIN || !p->child)
            close_pipe(p, i);
    }
    return 0;
}

static int read_on(lua_State *L, int status, lua_KContext ctx);

/*
 * process:read() -> "stdout" or "stderr" and what was written there, or "end" and the status, which
 * is negative when a signal has killed it. Waits. When the wait is cancelled the process runs on:
 * kill it, and read to its end.
 */
static int process_read(lua_State *L)
{
    struct process *p = check_process(L);
    luaL_argcheck(L, !p->waiter, 1, "somebody reads it already");
    if (take(L, p))
        return 2;
    if (!p->child) {
        lua_pushliteral(L, "end");
        lua_pushinteger(L, p->status);
        return 2;
    }
    p->waiter = task_current(L);
    for (int i = 0; i < 2; i++)
        if (p->fds[i] >= 0)
            event_add(&p->events[i], NULL);
    return task_wait(L, stop_waiting, p, read_on, 0);
}

static int read_on(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    stop_waiting(check_process(L));
    return process_read(L);
}

/* process:kill(name): sends TERM, KILL or INT to its group. Nothing happens after its end. */
static int process_kill(lua_State *L)
{
    static const char *const signals[] = { "TERM", "KILL", "INT", NULL };
    static const int numbers[] = { SIGTERM, SIGKILL, SIGINT };
    struct process *p = check_process(L);
    int number = numbers[luaL_checkoption(L, 2, NULL, signals)];
    if (p->child)
        child_kill(p->child, number);
    return 0;
}

static int open_pipe(struct process *p, struct loop *loop, int i, int *theirs)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    p->fds[i] = ends[0];
    *theirs = ends[1];
    event_assign(&p->events[i], loop_base(loop), ends[0], EV_READ, readable, p);
    return 0;
}

int lib_process_start(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    const char *const *argv = lib_child_list(L, "argv");
    luaL_argcheck(L, argv && argv[0], 1, "argv");
    const char *const *env = lib_child_list(L, "env");
    lua_getfield(L, 1, "cwd");
    const char *cwd = luaL_optstring(L, -1, NULL);
    struct loop *loop = vm_loop(vm_from(L));
    struct process *p = lua_newuserdatauv(L, sizeof *p, 0);
    memset(p, 0, sizeof *p);
    p->fds[0] = p->fds[1] = -1;
    luaL_setmetatable(L, PROCESS);
    struct err e = ERR_INIT;
    struct child_spec spec = {
        .argv = argv, .env = env, .cwd = cwd, .place = CHILD_GROUP, .whole_group = 1
    };
    spec.stdio[0] = spec.stdio[1] = spec.stdio[2] = CHILD_NULL;
    if (open_pipe(p, loop, 0, &spec.stdio[1]) < 0 || open_pipe(p, loop, 1, &spec.stdio[2]) < 0)
        err_set(&e, CHILD_CODE, "cannot make a pipe for %s: %s", argv[0], strerror(errno));
    else
        p->child = child_start(loop, &spec, ended, p, &e);
    for (int i = 1; i < 3; i++)
        if (spec.stdio[i] >= 0)
            close(spec.stdio[i]);
    if (!p->child)
        return lua_err_raise(L, &e);
    return 1;
}

static const luaL_Reg methods[] = {
    { "read", process_read },
    { "kill", process_kill },
    { NULL, NULL },
};

void lib_process_open(lua_State *L)
{
    luaL_newmetatable(L, PROCESS);
    lua_pushcfunction(L, process_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
