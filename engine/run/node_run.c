#include "run/node_run.h"

#include <lauxlib.h>
#include <string.h>

#include "base/clock.h"
#include "script/lua_err.h"

static void step(void *arg);

/* Our own work is done on the stack of the slot's task, which is empty between its calls. */
static lua_State *state_of(const struct node_run *slot)
{
    return task_lua(slot->task);
}

static void push_ctx(const struct node_run *slot, lua_State *L)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, slot->ctx);
}

static const char *phase_name(const struct node_run *slot)
{
    return slot->phase <= NODE_START ? "start" : phase_table[slot->phase].name;
}

static int in_own_transaction(const struct node_run *slot)
{
    return slot->phase > NODE_START && phase_table[slot->phase].transaction == PHASE_OWN;
}

/* Pops a value. */
static void set_field(const struct node_run *slot, lua_State *L, const char *name)
{
    push_ctx(slot, L);
    lua_insert(L, -2);
    lua_setfield(L, -2, name);
    lua_pop(L, 1);
}

static void set_text(const struct node_run *slot, lua_State *L, const char *name, const char *text)
{
    lua_pushstring(L, text);
    set_field(slot, L, name);
}

/* Whether a field of ctx is set, and not to false. */
static int is_set(const struct node_run *slot, lua_State *L, const char *name)
{
    push_ctx(slot, L);
    lua_getfield(L, -1, name);
    int set = lua_toboolean(L, -1);
    lua_pop(L, 2);
    return set;
}

static int is_false(const struct node_run *slot, lua_State *L, const char *name)
{
    push_ctx(slot, L);
    int no = lua_getfield(L, -1, name) == LUA_TBOOLEAN && !lua_toboolean(L, -1);
    lua_pop(L, 2);
    return no;
}

static struct node_where where(const struct node_run *slot, lua_State *L)
{
    return (struct node_where){ run_node_text(slot->run, L, slot->index, "id"), phase_name(slot) };
}

/* Failure --------------------------------------------------------------------- */

/* Pops an error of on_failure or always: it is added to ctx.later_errors. */
static void keep_later(const struct node_run *slot, lua_State *L)
{
    push_ctx(slot, L);
    if (lua_getfield(L, -1, "later_errors") != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, "later_errors");
    }
    lua_pushvalue(L, -3);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pop(L, 3);
}

/*
 * The part has failed; pops the error object, or nil for none. The first failure is the node's,
 * later ones (in on_failure and always) are kept beside it. A failed report is a defect of the
 * program.
 */
static void fail(struct node_run *slot, lua_State *L)
{
    slot->part_failed = 1;
    if (slot->phase == PHASE_REPORT) {
        run_defect(slot->run, L);
        return;
    }
    if (slot->part == PART_AGAIN) { /* was cancelled: the node's own failure stands */
        lua_pop(L, 1);
        return;
    }
    if (slot->failed) {
        keep_later(slot, L);
        return;
    }
    slot->failed = 1;
    set_field(slot, L, "error");
    set_text(slot, L, "failed_phase", phase_name(slot));
    set_text(slot, L, "status", slot->cancelled ? "cancelled" : "error");
}

static void fail_cancelled(struct node_run *slot, lua_State *L)
{
    lua_pushnil(L);
    fail(slot, L);
}

/* Without it, ctx.conn is nil. */
static void give_back(struct node_run *slot, lua_State *L)
{
    if (!slot->conn.conn)
        return;
    lua_pushnil(L);
    set_field(slot, L, "conn");
    node_conn_give_back(&slot->conn, L);
}

/* Parts ----------------------------------------------------------------------- */

/* What was waited for is over: everything goes on from the loop, never inside a callback. */
static void part_over(struct node_run *slot)
{
    slot->waits = WAIT_NONE;
    loop_defer(slot->run->vm->loop, step, slot);
}

static void got_conn(void *arg, struct db_conn *conn, struct err *e)
{
    struct node_run *slot = arg;
    lua_State *L = state_of(slot);
    if (conn) {
        node_conn_take(&slot->conn, L, slot->run->pool, conn);
        node_conn_push(&slot->conn, L);
        set_field(slot, L, "conn");
    } else {
        slot->no_conn = 1;
        lua_err_push(L, e);
        fail(slot, L);
    }
    part_over(slot);
}

static void sql_answered(struct node_run *slot, const char *statement, struct db_result *results,
                         struct err *e)
{
    lua_State *L = state_of(slot);
    if (!node_conn_answer(&slot->conn, L, where(slot, L), statement, results, e))
        fail(slot, L);
    part_over(slot);
}

static void begin_answered(void *arg, struct db_result *results, struct err *e)
{
    sql_answered(arg, "begin", results, e);
}

static void commit_answered(void *arg, struct db_result *results, struct err *e)
{
    sql_answered(arg, "commit", results, e);
}

/* A rollback that fails leaves a connection that nobody can use. */
static void rollback_answered(void *arg, struct db_result *results, struct err *e)
{
    struct node_run *slot = arg;
    lua_State *L = state_of(slot);
    if (!node_conn_answer(&slot->conn, L, where(slot, L), "rollback", results, e)) {
        lua_pop(L, 1);
        give_back(slot, L);
    }
    part_over(slot);
}

static void handler_ended(struct task *task, int ok, void *arg)
{
    struct node_run *slot = arg;
    lua_State *L = task_lua(task);
    if (!ok) {
        lua_settop(L, 1);
        fail(slot, L);
    }
    lua_settop(L, 0);
    part_over(slot);
}

/* Calls a handler, by the name of its phase. Gives 0 when there is none. */
static int call_handler(struct node_run *slot, lua_State *L, const char *name)
{
    run_push(slot->run, L, RUN_HANDLERS);
    lua_pushstring(L, name);
    if (lua_rawget(L, -2) == LUA_TNIL) {
        lua_pop(L, 2);
        return 0;
    }
    lua_remove(L, -2);
    push_ctx(slot, L);
    slot->waits = WAIT_CALL;
    task_call(slot->task, 1, handler_ended, slot);
    return 1;
}

/* Gives 0 when nothing is to be rolled back. */
static int roll_back(struct node_run *slot, lua_State *L)
{
    switch (node_conn_txn(&slot->conn)) {
    case DB_IDLE:
        slot->conn.in_transaction = 0;
        return 0;
    case DB_INTRANS:
    case DB_INERROR:
        slot->waits = WAIT_SQL;
        node_conn_send(&slot->conn, "rollback", rollback_answered, slot);
        return 1;
    default: /* broken, or busy with a statement that nobody waits for */
        give_back(slot, L);
        return 0;
    }
}

/* Gives 1 when the part is under way, 0 when it is over already. */
static int start_part(struct node_run *slot, lua_State *L)
{
    switch (slot->part) {
    case PART_LEASE:
        slot->waits = WAIT_CONN;
        pool_lease(slot->run->pool, got_conn, slot);
        return 1;
    case PART_BEGIN:
        slot->waits = WAIT_SQL;
        node_conn_send(&slot->conn, "begin", begin_answered, slot);
        return 1;
    case PART_COMMIT:
        slot->waits = WAIT_SQL;
        node_conn_send(&slot->conn, "commit", commit_answered, slot);
        return 1;
    case PART_CALL:
        return call_handler(slot, L, phase_name(slot));
    case PART_ROLLBACK:
        return roll_back(slot, L);
    case PART_AGAIN:
        return call_handler(slot, L, "again");
    case PART_END:
        break;
    }
    return 0;
}

static enum node_part first_part(const struct node_run *slot)
{
    if (slot->phase == PHASE_LEASE)
        return PART_LEASE;
    if (slot->phase == PHASE_BEGIN)
        return PART_BEGIN;
    if (slot->phase == PHASE_COMMIT)
        return PART_COMMIT;
    if (!in_own_transaction(slot) || !slot->run->pool)
        return PART_CALL;
    return slot->conn.conn ? PART_BEGIN : PART_LEASE;
}

/* Phases ---------------------------------------------------------------------- */

static int has_handler(const struct node_run *slot, lua_State *L, const char *name)
{
    run_push(slot->run, L, RUN_HANDLERS);
    lua_pushstring(L, name);
    int has = lua_rawget(L, -2) != LUA_TNIL;
    lua_pop(L, 2);
    return has;
}

/* Whether this node goes through the phase. Every node is started, so that it can be reported. */
static int applies(const struct node_run *slot, lua_State *L, int id)
{
    if (id == NODE_START)
        return has_handler(slot, L, "start");
    const struct phase *phase = &phase_table[id];
    if (phase->when != PHASE_EVER && (phase->when == PHASE_AFTER_FAILURE) != slot->failed)
        return 0;
    if (phase_skipped_by((enum phase_id)id, run_node_text(slot->run, L, slot->index, "kind")))
        return 0;
    switch (id) {
    case PHASE_LEASE:
        return slot->run->pool && !is_false(slot, L, "needs_connection");
    case PHASE_BEGIN:
        return slot->conn.conn && !is_false(slot, L, "transaction");
    case PHASE_COMMIT:
        return slot->conn.in_transaction;
    case PHASE_ON_FAILURE:
        if (slot->cancelled || slot->no_conn || !is_set(slot, L, "has_on_failure"))
            return 0;
        break;
    case PHASE_ALWAYS:
        if (slot->no_conn || !is_set(slot, L, "has_always"))
            return 0;
        break;
    default:
        break;
    }
    return has_handler(slot, L, phase->name);
}

static void begin_phase(struct node_run *slot, lua_State *L)
{
    slot->part = first_part(slot);
    slot->phase_wall = clock_wall();
    slot->phase_mono = clock_mono();
    set_text(slot, L, "phase", phase_name(slot));
}

/* Adds to ctx.timings, for everything between start and report. */
static void note_timing(const struct node_run *slot, lua_State *L)
{
    if (slot->phase == NODE_START || slot->phase == PHASE_REPORT)
        return;
    push_ctx(slot, L);
    if (lua_getfield(L, -1, "timings") == LUA_TTABLE) {
        lua_createtable(L, 0, 3);
        lua_pushstring(L, phase_name(slot));
        lua_setfield(L, -2, "phase");
        lua_pushnumber(L, slot->phase_wall);
        lua_setfield(L, -2, "started");
        lua_pushnumber(L, clock_mono() - slot->phase_mono);
        lua_setfield(L, -2, "seconds");
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    }
    lua_pop(L, 2);
}

static void set_committed(const struct node_run *slot, lua_State *L)
{
    lua_pushboolean(L, 1);
    set_field(slot, L, "committed");
}

/* Whether the node's own transaction has failed, and everything of it was undone. */
static int may_repeat(const struct node_run *slot)
{
    return slot->began && slot->conn.conn && !slot->cancelled && slot->phase >= PHASE_BEGIN &&
           slot->phase <= PHASE_COMMIT;
}

/* The handler `again` has answered, in ctx.again. */
static void repeat_or_end(struct node_run *slot, lua_State *L)
{
    static const char *const of_the_failure[] = { "again", "error", "failed_phase", "status" };
    slot->part = PART_END;
    if (slot->part_failed || slot->cancelled || !is_set(slot, L, "again"))
        return;
    for (size_t i = 0; i < sizeof of_the_failure / sizeof *of_the_failure; i++) {
        lua_pushnil(L);
        set_field(slot, L, of_the_failure[i]);
    }
    slot->failed = slot->began = 0;
    slot->phase = PHASE_BEGIN - 1;
}

/* What follows the part that just ended: another part of the phase, or PART_END. */
static void finish_part(struct node_run *slot, lua_State *L)
{
    if (slot->part == PART_ROLLBACK) {
        slot->part = may_repeat(slot) ? PART_AGAIN : PART_END;
        return;
    }
    if (slot->part == PART_AGAIN) {
        repeat_or_end(slot, L);
        return;
    }
    if (slot->part == PART_CALL && !slot->part_failed &&
        !node_conn_verify(&slot->conn, L, where(slot, L)))
        fail(slot, L);
    if (slot->phase == PHASE_BEGIN)
        slot->began = !slot->part_failed;
    if (slot->phase == PHASE_COMMIT && !slot->part_failed)
        set_committed(slot, L);
    if (slot->part_failed)
        slot->part = PART_ROLLBACK;
    else if (in_own_transaction(slot) && slot->run->pool && slot->part < PART_COMMIT)
        slot->part++;
    else
        slot->part = PART_END;
    if (slot->part >= PART_ROLLBACK)
        note_timing(slot, L);
}

/* A node that did not fail is a success, or what a handler called it. */
static void settle_status(struct node_run *slot, lua_State *L)
{
    push_ctx(slot, L);
    if (lua_getfield(L, -1, "status") == LUA_TNIL)
        set_text(slot, L, "status", "success");
    lua_pop(L, 2);
}

/* The next phase of this node; 0 after the last one. */
static int next_phase(struct node_run *slot, lua_State *L)
{
    for (int id = slot->phase + 1; id < PHASE_COUNT; id++) {
        if (id == PHASE_POST_OUTSIDE && !slot->failed && is_false(slot, L, "transaction"))
            set_committed(slot, L); /* every statement did that for itself */
        if (id == PHASE_ALWAYS)
            settle_status(slot, L);
        if (id == PHASE_REPORT)
            give_back(slot, L);
        if (!applies(slot, L, id))
            continue;
        if (slot->cancelled && !slot->failed && id > NODE_START && id < PHASE_ON_FAILURE) {
            fail_cancelled(slot, L);
            slot->part = PART_ROLLBACK;
            return 1;
        }
        slot->phase = id;
        begin_phase(slot, L);
        return 1;
    }
    return 0;
}

static int blocks(const struct node_run *slot, lua_State *L)
{
    push_ctx(slot, L);
    lua_getfield(L, -1, "status");
    const char *status = lua_tostring(L, -1);
    int bad = slot->failed || (status && strcmp(status, "error") == 0);
    lua_pop(L, 2);
    return bad || is_set(slot, L, "blocks");
}

static void end_node(struct node_run *slot, lua_State *L)
{
    int bad = blocks(slot, L);
    push_ctx(slot, L);
    run_count(slot->run, L);
    lua_pop(L, 1);
    luaL_unref(L, LUA_REGISTRYINDEX, slot->ctx);
    slot->ctx = LUA_NOREF;
    run_node_over(slot->run, slot, bad);
}

/* Goes on as far as it can without waiting. */
static void step(void *arg)
{
    struct node_run *slot = arg;
    lua_State *L = state_of(slot);
    do {
        if (slot->part != PART_END)
            finish_part(slot, L);
        if (slot->part == PART_END && !next_phase(slot, L)) {
            end_node(slot, L); /* the slot may be gone now */
            return;
        }
        slot->part_failed = 0;
    } while (!start_part(slot, L));
}

/* The slot -------------------------------------------------------------------- */

void node_run_init(struct node_run *slot, struct run *run)
{
    memset(slot, 0, sizeof *slot);
    list_init(&slot->place);
    slot->run = run;
    slot->ctx = LUA_NOREF;
    node_conn_init(&slot->conn);
}

void node_run_drop(struct node_run *slot)
{
    loop_undefer(slot->run->vm->loop, slot);
    if (slot->waits == WAIT_CONN)
        pool_unwait(slot->run->pool, slot);
    node_conn_drop(&slot->conn);
}

void node_run_start(struct node_run *slot, lua_State *L, int index)
{
    if (!slot->task)
        slot->task = task_new(slot->run->vm, "node");
    slot->index = index;
    slot->phase = NODE_START - 1;
    slot->part = PART_END;
    slot->part_failed = slot->failed = slot->cancelled = slot->no_conn = slot->began = 0;
    run_push_ctx(slot->run, L, index);
    lua_newtable(L);
    lua_setfield(L, -2, "timings");
    lua_pushnumber(L, clock_wall());
    lua_setfield(L, -2, "started_at");
    slot->ctx = luaL_ref(L, LUA_REGISTRYINDEX);
    part_over(slot);
}

void node_run_cancel(struct node_run *slot)
{
    if ((slot->failed && slot->part != PART_AGAIN) || slot->phase >= PHASE_ON_FAILURE)
        return;
    slot->cancelled = 1;
    switch (slot->waits) {
    case WAIT_NONE: /* step() will see it */
        break;
    case WAIT_CONN:
        pool_unwait(slot->run->pool, slot);
        fail_cancelled(slot, state_of(slot));
        part_over(slot);
        break;
    case WAIT_SQL:
    case WAIT_CALL:
        if (node_conn_txn(&slot->conn) == DB_ACTIVE)
            node_conn_cancel(&slot->conn);
        else if (slot->waits == WAIT_CALL)
            task_cancel(slot->task);
        break;
    }
}
