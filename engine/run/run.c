#include "run/run.h"

#include <lauxlib.h>

#include "base/mem.h"
#include "db/pool.h"
#include "run/node_run.h"

/* Seconds after which those that still run after a cancellation are asked again. */
#define CANCEL_AGAIN 0.1

/* Values in Lua --------------------------------------------------------------- */

void run_push(const struct run *run, lua_State *L, enum run_value which)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, run);
    lua_rawgeti(L, -1, which);
    lua_remove(L, -2);
}

void run_count(const struct run *run, lua_State *L)
{
    run_push(run, L, RUN_COUNTS);
    if (lua_getfield(L, -2, "status") != LUA_TSTRING) {
        lua_pop(L, 1);
        lua_pushliteral(L, "unknown");
    }
    lua_pushvalue(L, -1);
    lua_rawget(L, -3);
    lua_Integer count = lua_tointeger(L, -1);
    lua_pop(L, 1);
    lua_pushinteger(L, count + 1);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

static void push_node(const struct run *run, lua_State *L, int node)
{
    run_push(run, L, RUN_NODES);
    lua_rawgeti(L, -1, node + 1);
    lua_remove(L, -2);
}

const char *run_node_text(const struct run *run, lua_State *L, int node, const char *field)
{
    push_node(run, L, node);
    lua_getfield(L, -1, field);
    const char *text = lua_tostring(L, -1);
    lua_pop(L, 2);
    return text;
}

void run_push_ctx(const struct run *run, lua_State *L, int node)
{
    enum { FIELDS = 12 }; /* most that a node ever has */
    push_node(run, L, node);
    lua_createtable(L, 0, FIELDS);
    lua_getfield(L, -2, "id");
    lua_setfield(L, -2, "id");
    lua_getfield(L, -2, "node");
    lua_setfield(L, -2, "node");
    lua_pushinteger(L, node + 1);
    lua_setfield(L, -2, "index");
    lua_remove(L, -2);
}

/* The end --------------------------------------------------------------------- */

static int is_over(const struct run *run)
{
    return sched_left(run->sched) == 0 && list_empty(&run->busy) && !run->telling &&
           run->told_count == run->skipped_count;
}

/* From here on the pool may be freed. */
static void let_pool_go(struct run *run)
{
    if (run->holds_pool)
        pool_let_go(run->pool);
    run->holds_pool = 0;
}

/* Whoever calls this touches the run no more: the waiter may let it be collected. */
static void end_if_over(struct run *run)
{
    if (run->over || !is_over(run))
        return;
    run->over = 1;
    loop_timer_stop(&run->tick);
    loop_undefer(run->vm->loop, run);
    list_remove(&run->place);
    for (int i = 0; i < run->slot_count; i++)
        task_free(run->slots[i].task);
    task_free(run->teller);
    let_pool_go(run);
    struct task *waiter = run->waiter;
    run->waiter = NULL;
    if (waiter) {
        task_resume(waiter);
        return;
    }
    lua_pushnil(run->vm->L);
    lua_rawsetp(run->vm->L, LUA_REGISTRYINDEX, run);
}

void run_fini(struct run *run)
{
    list_remove(&run->place);
    if (run->sched) {
        loop_timer_stop(&run->tick);
        loop_undefer(run->vm->loop, run);
        for (int i = 0; i < run->slot_count; i++)
            node_run_drop(&run->slots[i]);
    }
    let_pool_go(run);
    sched_free(run->sched);
    run->sched = NULL;
    dag_free(run->dag);
    run->dag = NULL;
    mem_free(run->slots);
    run->slots = NULL;
    run->slot_count = 0;
    mem_free(run->skipped);
    run->skipped = NULL;
}

/* Nodes that do not run ------------------------------------------------------- */

static void tell_later(void *arg);
static void on_tick(void *arg);
static void ask_to_stop(struct run *run);

static void on_skip(void *arg, int node, int cause)
{
    struct run *run = arg;
    struct run_skipped *skipped = &run->skipped[run->skipped_count++];
    *skipped = (struct run_skipped){ node, cause, RUN_SKIP_ANCESTOR };
    if (cause == SCHED_STOPPED)
        *skipped = (struct run_skipped){ node, run->stop_cause, run->stop_why };
}

static void push_skip_ctx(const struct run *run, lua_State *L, const struct run_skipped *skipped)
{
    static const char *const reasons[] = { "ancestor", "fail_fast", "cancelled", "defect" };
    run_push_ctx(run, L, skipped->node);
    lua_pushliteral(L, "skipped");
    lua_setfield(L, -2, "status");
    lua_pushstring(L, reasons[skipped->why]);
    lua_setfield(L, -2, "reason");
    if (skipped->cause == SCHED_STOPPED)
        lua_pushstring(L, reasons[skipped->why]);
    else
        lua_pushstring(L, run_node_text(run, L, skipped->cause, "id"));
    lua_setfield(L, -2, "cause");
}

static void told(struct task *task, int ok, void *arg)
{
    struct run *run = arg;
    lua_State *L = task_lua(task);
    if (!ok)
        run_defect(run, L);
    lua_settop(L, 0);
    lua_rawgeti(L, LUA_REGISTRYINDEX, run->teller_ctx);
    run_count(run, L);
    luaL_unref(L, LUA_REGISTRYINDEX, run->teller_ctx);
    run->teller_ctx = LUA_NOREF;
    run->telling = 0;
    loop_defer(run->vm->loop, tell_later, run);
}

/* Calls the skip handler for the next node that was skipped. The run may be gone afterwards. */
static void tell(struct run *run)
{
    while (!run->telling && run->told_count < run->skipped_count) {
        if (!run->teller)
            run->teller = task_new(run->vm, "skip");
        lua_State *L = task_lua(run->teller);
        const struct run_skipped *skipped = &run->skipped[run->told_count++];
        run_push(run, L, RUN_HANDLERS);
        lua_pushliteral(L, "skip");
        lua_rawget(L, -2);
        lua_remove(L, -2);
        push_skip_ctx(run, L, skipped);
        if (lua_isnil(L, -2)) {
            run_count(run, L);
            lua_settop(L, 0);
            continue;
        }
        lua_pushvalue(L, -1);
        run->teller_ctx = luaL_ref(L, LUA_REGISTRYINDEX);
        run->telling = 1;
        task_call(run->teller, 1, told, run);
    }
    end_if_over(run);
}

static void tell_later(void *arg)
{
    tell(arg);
}

static void stop(struct run *run, enum run_skip why, int cause)
{
    run->stop_why = why;
    run->stop_cause = cause;
    sched_stop(run->sched);
}

void run_defect(struct run *run, lua_State *L)
{
    run_push(run, L, RUN_DEFECT);
    int first = lua_isnil(L, -1);
    lua_pop(L, 1);
    if (!first) {
        lua_pop(L, 1);
        return;
    }
    lua_rawgetp(L, LUA_REGISTRYINDEX, run);
    lua_insert(L, -2);
    lua_rawseti(L, -2, RUN_DEFECT);
    lua_pop(L, 1);
    stop(run, RUN_SKIP_DEFECT, SCHED_STOPPED);
}

/* Nodes that run -------------------------------------------------------------- */

static struct node_run *slot_at(struct list *place)
{
    return list_entry(place, struct node_run, place);
}

/* Starts what may start. */
static void fill(struct run *run)
{
    int node;
    while (!run->held && (node = sched_next(run->sched)) >= 0) {
        struct node_run *slot = slot_at(list_first(&run->idle));
        list_remove(&slot->place);
        list_append(&run->busy, &slot->place);
        node_run_start(slot, run->vm->L, node);
    }
}

void run_start(struct run *run, struct vm *vm, const double *weights, int threads)
{
    int n = dag_count(run->dag);
    run->vm = vm;
    run->stop_cause = SCHED_STOPPED;
    run->teller_ctx = LUA_NOREF;
    list_init(&run->idle);
    list_init(&run->busy);
    run->skipped = mem_alloc((size_t)n * sizeof *run->skipped);
    run->slot_count = threads < n ? threads : n;
    run->slots = mem_alloc((size_t)run->slot_count * sizeof *run->slots);
    for (int i = 0; i < run->slot_count; i++) {
        node_run_init(&run->slots[i], run);
        list_append(&run->idle, &run->slots[i].place);
    }
    loop_timer_init(&run->tick, vm_loop(vm), on_tick, run);
    run->sched = sched_new(run->dag, weights, threads, on_skip, run);
    run->over = is_over(run);
    run->holds_pool = run->pool && !run->over;
    if (run->holds_pool)
        pool_hold(run->pool);
    fill(run);
}

void run_node_over(struct run *run, struct node_run *slot, int blocks)
{
    list_remove(&slot->place);
    list_append(&run->idle, &slot->place);
    if (!blocks)
        sched_done(run->sched, slot->index);
    else
        sched_fail(run->sched, slot->index);
    if (blocks && run->fail_fast && !run->cancelled && run->stop_cause == SCHED_STOPPED) {
        stop(run, RUN_SKIP_FAIL_FAST, slot->index);
        ask_to_stop(run);
    }
    fill(run);
    tell(run);
}

/* Cancellation ---------------------------------------------------------------- */

static void ask_to_stop(struct run *run)
{
    list_each (place, &run->busy)
        node_run_cancel(slot_at(place));
    loop_timer_start(&run->tick, CANCEL_AGAIN);
}

static void on_tick(void *arg)
{
    ask_to_stop(arg);
}

void run_hold(struct run *run, int held)
{
    run->held = held;
    if (!run->over)
        fill(run);
}

void run_cancel(struct run *run, const char *reason)
{
    lua_State *L = run->vm->L;
    if (run->cancelled || run->over)
        return;
    run->cancelled = 1;
    lua_rawgetp(L, LUA_REGISTRYINDEX, run);
    lua_pushstring(L, reason);
    lua_rawseti(L, -2, RUN_REASON);
    lua_pop(L, 1);
    stop(run, RUN_SKIP_CANCELLED, SCHED_STOPPED);
    ask_to_stop(run);
    tell(run);
}
