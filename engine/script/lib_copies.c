/*
 * dex.copies: Lua code that runs in several copies of this process at once, each with all that Lua
 * holds as it was at that moment. What they share is below; what they find, they write to files.
 */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/child.h"
#include "script/libs.h"
#include "script/limits.h"
#include "script/lua_err.h"
#include "script/task.h"
#include "script/vm.h"

#define RUN "dex.copies"
#define SHARE "dex.copies.share"

enum { MOST = 64, COUNTERS = 4 };

/* In memory that all copies see. */
struct common {
    atomic_llong counters[COUNTERS];
    atomic_int arrived;
    atomic_uchar owners[]; /* of the items: 0, or the number of a copy */
};

struct copy {
    struct run *run;
    struct child *child;
    int status;
};

/* A userdata that lies on the waiting stack, and what it holds until its end. */
struct run {
    struct task *task;
    struct common *common;
    size_t size, items;
    int gate[2]; /* the last copy to arrive writes a byte for each */
    int count, running;
    struct copy copies[MOST];
};

/* What a copy is given. */
struct share {
    struct run *run;
    int number; /* from 1 */
};

/* Ends what still runs and gives everything back. May be called twice. */
static void release(void *arg)
{
    struct run *run = arg;
    for (int i = 0; i < run->count; i++) {
        child_free(run->copies[i].child);
        run->copies[i].child = NULL;
    }
    for (int i = 0; i < 2; i++) {
        if (run->gate[i] >= 0)
            close(run->gate[i]);
        run->gate[i] = -1;
    }
    if (run->common)
        munmap(run->common, run->size);
    run->common = NULL;
}

static int run_gc(lua_State *L)
{
    release(luaL_checkudata(L, 1, RUN));
    return 0;
}

/* A copy has ended. The others may be waiting for one that has failed: they end with it. */
static void on_end(void *arg, int status)
{
    struct copy *copy = arg;
    struct run *run = copy->run;
    copy->status = status;
    for (int i = 0; i < run->count && status != 0; i++)
        if (run->copies[i].child)
            child_kill(run->copies[i].child, SIGKILL);
    if (--run->running == 0)
        task_resume(run->task);
}

static struct share *check_share(lua_State *L)
{
    struct share *share = luaL_checkudata(L, 1, SHARE);
    luaL_argcheck(L, share->run->common, 1, "its copies have ended");
    return share;
}

/* share:number() -> the copy's, from 1 */
static int share_number(lua_State *L)
{
    lua_pushinteger(L, check_share(L)->number);
    return 1;
}

/* share:next(counter) -> 0, and then with each call in any of the copies one more */
static int share_next(lua_State *L)
{
    struct share *share = check_share(L);
    lua_Integer counter = luaL_checkinteger(L, 2);
    luaL_argcheck(L, counter >= 1 && counter <= COUNTERS, 2, "there is no such counter");
    lua_pushinteger(L, atomic_fetch_add(&share->run->common->counters[counter - 1], 1));
    return 1;
}

static atomic_uchar *check_item(lua_State *L, struct share *share)
{
    lua_Integer item = luaL_checkinteger(L, 2);
    luaL_argcheck(L, item >= 1 && (size_t)item <= share->run->items, 2, "there is no such item");
    return &share->run->common->owners[item - 1];
}

/* share:claim(item) -> whether the item is this copy's now, and no other's */
static int share_claim(lua_State *L)
{
    struct share *share = check_share(L);
    unsigned char owner = 0, own = (unsigned char)share->number;
    lua_pushboolean(L, atomic_compare_exchange_strong(check_item(L, share), &owner, own) ||
                           owner == own);
    return 1;
}

/* share:owner(item) -> the number of the copy that has claimed it, or 0 */
static int share_owner(lua_State *L)
{
    struct share *share = check_share(L);
    lua_pushinteger(L, atomic_load(check_item(L, share)));
    return 1;
}

/* share:meet(): waits in place until all copies have come here, once. */
static int share_meet(lua_State *L)
{
    struct run *run = check_share(L)->run;
    char bytes[MOST] = { 0 };
    if (atomic_fetch_add(&run->common->arrived, 1) == run->count - 1)
        while (write(run->gate[1], bytes, (size_t)run->count) < 0 && errno == EINTR)
            ;
    ssize_t n;
    do
        n = read(run->gate[0], bytes, 1);
    while (n < 0 && errno == EINTR);
    return n == 1 ? 0 : luaL_error(L, "the copies cannot meet: %s", strerror(errno));
}

/* In a copy: calls what lies on the stack, pcall with its arguments. */
static int work(void *arg)
{
    lua_State *L = arg;
    limits_go_on(vm_from(L));
    lua_call(L, 2, 1);
    return lua_toboolean(L, -1) ? 0 : 1;
}

static int finished(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    struct run *run = luaL_checkudata(L, (int)ctx, RUN);
    lua_createtable(L, run->count, 0);
    for (int i = 0; i < run->count; i++) {
        lua_pushinteger(L, run->copies[i].status);
        lua_rawseti(L, -2, i + 1);
    }
    release(run);
    return 1;
}

static int open_common(struct run *run, struct err *e)
{
    run->size = sizeof *run->common + run->items;
    void *p = mmap(NULL, run->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return err_sys(e, CHILD_CODE, "cannot share memory with a process");
    run->common = p;
    if (pipe2(run->gate, O_CLOEXEC) < 0)
        return err_sys(e, CHILD_CODE, "cannot make a pipe for a process");
    return 0;
}

/* Starts copy number `i`, from 0, of the function at 2. */
static int start(lua_State *L, struct run *run, int i, struct err *e)
{
    struct copy *copy = &run->copies[i];
    lua_getglobal(L, "pcall");
    lua_pushvalue(L, 2);
    struct share *share = lua_newuserdatauv(L, sizeof *share, 1);
    *share = (struct share){ run, i + 1 };
    luaL_setmetatable(L, SHARE);
    lua_pushvalue(L, 4);
    lua_setiuservalue(L, -2, 1);
    *copy = (struct copy){ .run = run };
    copy->child = child_copy(vm_loop(vm_from(L)), work, L, on_end, copy, e);
    lua_pop(L, 3);
    if (!copy->child)
        return -1;
    run->running++;
    return 0;
}

/*
 * copies.run(n, fn, items) -> statuses. Calls fn(share) in `n` copies of this process, each of
 * which ends with it: with the status 0, or 1 when fn has raised. Waits for all of their ends; once
 * one has failed, or was killed, the others are killed, whose statuses are negative then. fn may
 * not wait, and what it changes in Lua is seen by nobody else. `items` is how many there are to
 * claim. Raises 902 when not all could be started; then, and when the wait is cancelled, those that
 * run are killed.
 */
static int run_copies(lua_State *L)
{
    lua_Integer n = luaL_checkinteger(L, 1), items = luaL_checkinteger(L, 3);
    luaL_checktype(L, 2, LUA_TFUNCTION);
    luaL_argcheck(L, n >= 1 && n <= MOST, 1, "too many copies");
    luaL_argcheck(L, items >= 0, 3, "a number of items");
    lua_settop(L, 3);
    struct task *task = task_current(L);
    struct run *run = lua_newuserdatauv(L, sizeof *run, 0);
    memset(run, 0, sizeof *run);
    run->task = task;
    run->items = (size_t)items;
    run->gate[0] = run->gate[1] = -1;
    luaL_setmetatable(L, RUN);
    luaL_checkstack(L, 10, "copies");
    struct err e = ERR_INIT;
    int bad = open_common(run, &e) < 0;
    run->count = (int)n;
    for (int i = 0; i < n && !bad; i++)
        bad = start(L, run, i, &e) < 0;
    if (bad) {
        release(run);
        return lua_err_raise(L, &e);
    }
    return task_wait(L, release, run, finished, 4);
}

/* copies.processors() -> how many processors this process may use */
static int processors(lua_State *L)
{
    long n = sysconf(_SC_NPROCESSORS_ONLN);
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        n = CPU_COUNT(&set);
#endif
    lua_pushinteger(L, n < 1 ? 1 : n > MOST ? MOST : n);
    return 1;
}

int luaopen_dex_copies(lua_State *L)
{
    static const luaL_Reg functions[] = { { "run", run_copies },
                                          { "processors", processors },
                                          { NULL, NULL } };
    static const luaL_Reg methods[] = { { "number", share_number }, { "next", share_next },
                                        { "claim", share_claim },   { "owner", share_owner },
                                        { "meet", share_meet },     { NULL, NULL } };
    luaL_newmetatable(L, RUN);
    lua_pushcfunction(L, run_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newmetatable(L, SHARE);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 2);
    luaL_newlib(L, functions);
    return 1;
}
