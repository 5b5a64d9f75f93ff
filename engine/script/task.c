#include "script/task.h"

#include <assert.h>
#include <lauxlib.h>

#include "base/mem.h"
#include "script/lua_err.h"
#include "script/task_vm.h"
#include "script/vm.h"

enum state {
    IDLE,
    CALLED,  /* a function is on the stack and starts on the next turn */
    RUNNING, /* in lua_resume */
    WAITING, /* yielded by task_wait */
    RESUMED  /* yielded, and continues on the next turn */
};

struct task {
    struct list node;
    struct vm *vm;
    lua_State *L;
    char *name;
    enum state state;
    int nargs;     /* of a call that has not begun */
    int early;     /* resumed before it waited */
    int cancelled; /* to raise: where it waits, or else at its next wait */
    int stopped;   /* the wait was cut short, there is no result for `k` */
    int ending;    /* in its done callback */
    int freed;     /* in its done callback */
    void (*cleanup)(void *arg);
    void *cleanup_arg;
    lua_KFunction k;
    lua_KContext ctx;
    task_done_fn done;
    void *done_arg;
    struct task_hook aside;
};

static struct task **slot(lua_State *L)
{
    return lua_getextraspace(L);
}

struct task *task_new(struct vm *vm, const char *name)
{
    lua_State *L = vm->L;
    luaL_checkstack(L, 2, "too many tasks");
    lua_State *co = lua_newthread(L); /* before anything that an error would leak */
    struct task *t = mem_zalloc(sizeof *t);
    t->vm = vm;
    t->L = co;
    t->name = mem_strdup(name);
    *slot(co) = t;
    list_append(&vm->tasks, &t->node);
    lua_rawsetp(L, LUA_REGISTRYINDEX, t);
    return t;
}

static void run_cleanup(struct task *t)
{
    void (*cleanup)(void *) = t->cleanup;
    t->cleanup = NULL;
    if (cleanup)
        cleanup(t->cleanup_arg);
}

static void release(struct task *t)
{
    list_remove(&t->node);
    mem_free(t->name);
    mem_free(t);
}

void task_free(struct task *t)
{
    if (!t)
        return;
    if (t->ending) {
        t->freed = 1;
        return;
    }
    assert(t->state != RUNNING);
    run_cleanup(t);
    loop_undefer(t->vm->loop, t);
    *slot(t->L) = NULL; /* a __close that wants to wait is told why it cannot */
    lua_resetthread(t->L);
    lua_pushnil(t->vm->L);
    lua_rawsetp(t->vm->L, LUA_REGISTRYINDEX, t);
    release(t);
}

struct task *task_at(struct list *node)
{
    return list_entry(node, struct task, node);
}

/* For vm_free: first all waits end, later, when the Lua state is gone, the structs go. */
void task_abandon_all(struct vm *vm)
{
    list_each (it, &vm->tasks) {
        struct task *t = task_at(it);
        run_cleanup(t);
        loop_undefer(vm->loop, t);
    }
}

void task_release_all(struct vm *vm)
{
    struct list *first;
    while ((first = list_first(&vm->tasks)))
        release(task_at(first));
}

lua_State *task_lua(struct task *t)
{
    return t->L;
}

const char *task_name(const struct task *t)
{
    return t->name;
}

/* Leaves the error value as the only one on the stack of a coroutine that can be used again. */
static void reset_with_error(struct task *t, int explain)
{
    lua_State *L = t->vm->L;
    luaL_checkstack(L, 8, "too many errors");
    lua_xmove(t->L, L, 1);
    if (explain)
        lua_err_explain(L, t->L);
    lua_pushvalue(L, -1);
    lua_xmove(L, t->L, 1); /* for the __close metamethods; their errors do not hide this one */
    lua_resetthread(t->L);
    lua_settop(t->L, 0);
    lua_xmove(L, t->L, 1);
}

/* Tells the owner; the stack holds the results or the error. */
static void end(struct task *t, int ok)
{
    t->state = IDLE;
    t->early = t->cancelled = 0;
    t->ending = 1;
    if (t->done)
        t->done(t, ok, t->done_arg);
    t->ending = 0;
    if (t->freed)
        task_free(t);
    else if (t->state == IDLE)
        lua_settop(t->L, 0);
}

static void step(struct task *t, int nargs)
{
    struct vm *vm = t->vm;
    int results;
    vm->running = t;
    t->state = RUNNING;
    int status = lua_resume(t->L, vm->L, nargs, &results);
    if (status == LUA_YIELD && t->state == WAITING) {
        vm->running = NULL;
        return;
    }
    if (status == LUA_YIELD)
        lua_err_pushf(t->L, TASK_STRAY_YIELD, "coroutine.yield was called outside a coroutine");
    if (status != LUA_OK)
        reset_with_error(t, status != LUA_ERRMEM);
    end(t, status == LUA_OK);
    vm->running = NULL;
}

static void push_cancelled(struct task *t)
{
    lua_err_pushf(t->L, TASK_CANCELLED, "cancelled");
    lua_pushboolean(t->L, 1);
    lua_setfield(t->L, -2, "cancelled");
}

static void begin(struct task *t)
{
    struct vm *vm = t->vm; /* the task may be gone after its end */
    if (!t->cancelled) {
        step(t, t->nargs);
        return;
    }
    vm->running = t;
    lua_settop(t->L, 0);
    push_cancelled(t);
    end(t, 0);
    vm->running = NULL;
}

static void on_turn(void *arg)
{
    struct task *t = arg;
    if (t->state == CALLED)
        begin(t);
    else if (t->state == RESUMED)
        step(t, 0);
}

/* Goes on now, or on the next turn when a task is running. */
static void advance(struct task *t)
{
    if (t->vm->running)
        loop_defer(t->vm->loop, on_turn, t);
    else
        on_turn(t);
}

void task_call(struct task *t, int nargs, task_done_fn done, void *arg)
{
    assert(t->state == IDLE);
    assert(lua_gettop(t->L) == nargs + 1);
    t->nargs = nargs;
    t->done = done;
    t->done_arg = arg;
    t->state = CALLED;
    advance(t);
}

struct task *task_current(lua_State *L)
{
    struct task *t = *slot(L);
    if (!t)
        lua_err_misuse(L, TASK_NO_WAIT,
                       "this may wait, which it cannot do inside a coroutine of your own "
                       "(coroutine.wrap or coroutine.create)");
    t->early = 0;
    return t;
}

/* After every wait, inside the coroutine. */
static int continue_wait(lua_State *L, int status, lua_KContext ctx)
{
    (void)ctx;
    struct task *t = *slot(L);
    if (t->stopped) {
        t->stopped = t->cancelled = 0;
        push_cancelled(t);
        return lua_error(L);
    }
    return t->k(L, status, t->ctx);
}

int task_wait(lua_State *L, void (*cleanup)(void *arg), void *arg, lua_KFunction k,
              lua_KContext ctx)
{
    struct task *t = *slot(L);
    assert(t);
    if (t->early) {
        t->early = 0;
        return k(L, LUA_OK, ctx);
    }
    if (!lua_isyieldable(L)) {
        if (cleanup)
            cleanup(arg);
        return lua_err_misuse(
            L, TASK_NO_WAIT,
            "this may wait, which it cannot do here: in a sort comparator, a gsub "
            "callback, a __tostring or __close, or while a module is loaded");
    }
    if (t->cancelled) {
        t->cancelled = 0;
        if (cleanup)
            cleanup(arg);
        push_cancelled(t);
        return lua_error(L);
    }
    t->cleanup = cleanup;
    t->cleanup_arg = arg;
    t->k = k;
    t->ctx = ctx;
    t->state = WAITING;
    return lua_yieldk(L, 0, 0, continue_wait);
}

struct task *task_of(lua_State *L)
{
    return *slot(L);
}

struct task_hook *task_hook_aside(struct task *t)
{
    return &t->aside;
}

void task_pause(lua_State *L)
{
    struct task *t = *slot(L);
    t->cleanup = NULL;
    t->k = NULL;
    t->state = WAITING;
    lua_yield(L, 0);
}

void task_resume(struct task *t)
{
    if (t->state == RUNNING)
        t->early = 1;
    if (t->state != WAITING)
        return;
    t->cleanup = NULL;
    t->state = RESUMED;
    advance(t);
}

void task_unpause(struct task *t)
{
    if (t->state == WAITING && !t->k)
        task_resume(t);
}

void task_cancel(struct task *t)
{
    if (t->state == IDLE)
        return;
    t->cancelled = 1;
    if (t->state != WAITING)
        return;
    run_cleanup(t);
    t->stopped = t->k != NULL; /* one that was paused raises at its next wait */
    t->state = RESUMED;
    advance(t);
}
