/* engine/script from the C side: tasks, errors on their way, memory that runs out. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "check.h"
#include "io/loop.h"
#include "script/embed.h"
#include "script/lua_err.h"
#include "script/signal_hook.h"
#include "script/task.h"
#include "script/value.h"
#include "script/vm.h"

/* What a test's binding waits for, and what happened to it. */
struct wait {
    struct task *task;
    int cleaned, finished;
};

static void cleaned(void *arg)
{
    ((struct wait *)arg)->cleaned++;
}

static int finished(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    ((struct wait *)ctx)->finished++;
    lua_pushinteger(L, 42);
    return 1;
}

/* wait(): until the test resumes the task. Upvalue 1: the struct wait. */
static int wait_here(lua_State *L)
{
    struct wait *wait = lua_touserdata(L, lua_upvalueindex(1));
    wait->task = task_current(L);
    return task_wait(L, cleaned, wait, finished, (lua_KContext)wait);
}

/* The same, but what it waits for has happened already. */
static int wait_early(lua_State *L)
{
    struct wait *wait = lua_touserdata(L, lua_upvalueindex(1));
    wait->task = task_current(L);
    task_resume(wait->task);
    return task_wait(L, cleaned, wait, finished, (lua_KContext)wait);
}

/* How a call ended. */
struct end {
    int count, ok, results;
    long long value;
    char text[200];
    int code;
};

static void ended(struct task *t, int ok, void *arg)
{
    struct end *end = arg;
    lua_State *L = task_lua(t);
    end->count++;
    end->ok = ok;
    end->results = lua_gettop(L);
    end->value = lua_tointeger(L, 1);
    end->code = 0;
    if (!ok) {
        struct err e = ERR_INIT;
        lua_err_take(L, 1, &e);
        snprintf(end->text, sizeof end->text, "%s", e.message);
        end->code = e.code;
        err_fini(&e);
    }
}

/* Starts Lua source as the task's call, with `wait` and `early` as arguments. */
static void call(struct task *t, const char *source, struct wait *wait, struct end *end)
{
    lua_State *L = task_lua(t);
    CHECK(luaL_loadstring(L, source) == LUA_OK);
    lua_pushlightuserdata(L, wait);
    lua_pushcclosure(L, wait_here, 1);
    lua_pushlightuserdata(L, wait);
    lua_pushcclosure(L, wait_early, 1);
    task_call(t, 2, ended, end);
}

static void stop(void *arg)
{
    loop_stop(arg);
}

/* Lets everything that is due happen. */
static void turn(struct vm *vm)
{
    struct err e = ERR_INIT;
    loop_defer(vm->loop, stop, vm->loop);
    CHECK(loop_run(vm->loop, &e) == 0);
}

static void waits(struct vm *vm, void *arg)
{
    (void)arg;
    struct wait wait = { 0 };
    struct end end = { 0 };
    struct task *t = task_new(vm, "one");
    CHECK_TEXT(task_name(t), "one");
    call(t, "local wait = ... return wait() + 1, wait()", &wait, &end);
    CHECK(wait.task == t && end.count == 0);
    task_resume(t);
    CHECK(wait.finished == 1 && end.count == 0);
    task_resume(t);
    CHECK(end.count == 1 && end.ok && end.results == 2 && end.value == 43);
    CHECK(wait.cleaned == 0);
    task_resume(t); /* idle: nothing happens */
    call(t, "local _, early = ... return early()", &wait, &end);
    CHECK(end.count == 2 && end.value == 42 && wait.cleaned == 0);
    call(t, "local wait = ... return wait()", &wait, &end);
    CHECK(end.count == 2); /* nothing of the early one is left */
    task_free(t);
    CHECK(wait.cleaned == 1 && end.count == 2 && list_empty(&vm->tasks));
    task_free(NULL);
}

static void cancels(struct vm *vm, void *arg)
{
    (void)arg;
    struct wait wait = { 0 };
    struct end end = { 0 };
    struct task *t = task_new(vm, "one");
    task_cancel(t);
    call(t, "local wait = ... wait()", &wait, &end);
    task_cancel(t);
    CHECK(wait.cleaned == 1 && wait.finished == 0);
    CHECK(end.count == 1 && !end.ok && end.code == TASK_CANCELLED);
    CHECK_TEXT(end.text, "cancelled");
    call(t, "local wait = ... return select('#', pcall(wait)) + wait()", &wait, &end);
    task_cancel(t);
    task_resume(t);
    CHECK(end.count == 2 && end.ok && end.value == 44);
    task_free(t);
}

/* Calls the task again from its own end, three times, then frees it there. */
static void again(struct task *t, int ok, void *arg)
{
    int *left = arg;
    CHECK(ok);
    if (--*left == 0) {
        task_free(t);
        return;
    }
    lua_settop(task_lua(t), 0);
    CHECK(luaL_loadstring(task_lua(t), "return 1") == LUA_OK);
    task_call(t, 0, again, left);
}

static void calls_again(struct vm *vm, void *arg)
{
    (void)arg;
    int left = 3;
    struct task *t = task_new(vm, "again");
    CHECK(luaL_loadstring(task_lua(t), "return 1") == LUA_OK);
    task_call(t, 0, again, &left);
    CHECK(left == 2); /* the next one waits for the loop's turn */
    turn(vm);
    turn(vm);
    CHECK(left == 0 && list_empty(&vm->tasks));
}

static void fails(struct vm *vm, void *arg)
{
    (void)arg;
    struct wait wait = { 0 };
    struct end end = { 0 };
    struct task *t = task_new(vm, "one");
    call(t, "error('boom')", &wait, &end);
    CHECK(!end.ok && end.code == 901);
    CHECK_TEXT(end.text, "boom");
    call(t, "local x = nil + 1", &wait, &end);
    CHECK(strstr(end.text, "arithmetic on a nil value") != NULL);
    call(t, "local function f() return f() + 1 end f()", &wait, &end);
    CHECK(strstr(end.text, "stack overflow") != NULL);
    call(t, "coroutine.yield()", &wait, &end);
    CHECK(end.code == TASK_STRAY_YIELD);
    call(t,
         "local x <close> = setmetatable({}, {__close = function() error('second') end}) "
         "error('first')",
         &wait, &end);
    CHECK_TEXT(end.text, "first");
    call(t, "return 7", &wait, &end);
    CHECK(end.ok && end.value == 7 && end.count == 6);
    task_free(t);
}

static void raise_in_c(struct vm *vm, void *arg)
{
    struct err e = ERR_INIT;
    err_set(&e, (int)*(int *)arg, "from C");
    err_at(&e, "f.sql", 9);
    err_hint(&e, "do not");
    lua_err_raise(vm->L, &e);
}

static void makes_values(struct vm *vm, void *arg)
{
    (void)arg;
    lua_State *L = vm->L;
    value_new_dict(L);
    for (int i = 0; i < 4; i++) {
        lua_pushstring(L, i % 2 ? "b" : "a");
        lua_pushinteger(L, i);
        value_set(L, -3);
    }
    lua_rawgetp(L, -1, &value_order);
    CHECK(lua_rawlen(L, -1) == 2);
    lua_getfield(L, -2, "b");
    CHECK(lua_tointeger(L, -1) == 3);
    value_push_none(L);
    CHECK(value_is_none(L, -1) && !value_is_none(L, -2));
    lua_settop(L, 0);
}

/* Runs Lua source outside any task and leaves its results alone on the stack. */
static void run_source(lua_State *L, const char *source)
{
    lua_settop(L, 0);
    CHECK(luaL_loadstring(L, source) == LUA_OK);
    lua_call(L, 0, LUA_MULTRET);
}

static void hears_signals(struct vm *vm, void *arg)
{
    (void)arg;
    CHECK(signal_hook_call(vm, "SIGINT") == 0);
    run_source(vm->L, "local core = require 'dex.core'\n"
                      "core.on_signal(function(name) core.heard = name end)");
    CHECK(signal_hook_call(vm, "SIGINT") == 1);
    turn(vm);
    run_source(vm->L, "local core = require 'dex.core'\n"
                      "core.on_signal(nil) return core.heard");
    CHECK_TEXT(lua_tostring(vm->L, -1), "SIGINT");
    CHECK(signal_hook_call(vm, "SIGINT") == 0);
    lua_settop(vm->L, 0);
}

/* Everything that a small program does, for the fault loop. */
static const char program[] =
    "local json, yaml, loop = require 'dex.json', require 'dex.yaml', require 'dex.loop'\n"
    "local v, lines = yaml.decode('a: &x [1, 2.5, {b: yes}]\\nb: {<<: {c: 1}, d: *x}', 'f')\n"
    "local text = json.encode(v, {indent = 1, sort_keys = true})\n"
    "local again = json.decode(text)\n"
    "local h = loop.spawn(function(x) loop.sleep(0); return x end, again)\n"
    "local fs = require 'dex.fs'\n"
    "fs.list('/'); fs.read('/etc/passwd')\n"
    "assert(require 'dex.embed'.list('lua/'))\n"
    "assert(h:wait() == again)\n"
    "assert(not pcall(json.decode, '[1'))\n"
    "return #text";

static void main_ended(struct task *t, int ok, void *arg)
{
    ended(t, ok, arg);
    loop_stop(vm_loop(vm_from(task_lua(t))));
}

static void run_program(struct vm *vm, void *arg)
{
    struct err e = ERR_INIT;
    struct task *t = task_new(vm, "main");
    if (luaL_loadstring(task_lua(t), program) != LUA_OK)
        luaL_error(vm->L, "not enough memory");
    task_call(t, 0, main_ended, arg);
    CHECK(loop_run(vm->loop, &e) == 0);
}

/*
 * Gives Lua a little more memory each time, until the program runs through: nothing may leak or
 * crash.
 */
static void test_memory_faults(void)
{
    struct err e = ERR_INIT;
    int failures = 0, ok = 0;
    for (size_t more = 0; !ok && more < 1000000; more += more < 60000 ? 97 : 1024) {
        struct loop *loop = loop_new(&e);
        struct vm *vm = vm_new(loop, NULL, &e);
        struct end end = { 0 };
        vm->memory_limit = vm->memory + more;
        int failed = vm_protect(vm, run_program, &end, &e) < 0;
        ok = !failed && end.ok;
        failures += !ok;
        const char *words =
            failed ? e.message : end.text; /* luaL_checkstack cannot tell the two apart */
        if (!ok && !strstr(words, "memory") && !strstr(words, "stack overflow"))
            printf("  with %zu bytes: %s\n", more, words);
        CHECK(ok || strstr(words, "memory") || strstr(words, "stack overflow"));
        err_fini(&e);
        vm_free(vm);
        loop_free(loop);
    }
    CHECK(ok && failures > 50);
}

/* DEX_LUA: modules come from the folder, and from nowhere else. */
static void use_override(struct vm *vm, void *arg)
{
    (void)arg;
    lua_State *L = vm->L;
    run_source(vm->L, "return require('hello'), require('pack'), require('stdlib.deep.er')");
    CHECK_TEXT(lua_tostring(L, 1), "hi");
    CHECK(lua_tointeger(L, 2) == 1 && lua_tointeger(L, 3) == 2);
    run_source(vm->L, "return select(2, pcall(require, 'bad')), pcall(require, 'err')");
    CHECK(strstr(lua_tostring(L, 1), "module 'bad' does not load: lua/bad.lua:2:") != NULL);
    CHECK(!lua_toboolean(L, 2));
    run_source(vm->L, "return table.concat(require('dex.embed').list(''), ' ')");
    CHECK_TEXT(lua_tostring(L, 1),
               "lua/bad.lua lua/hello.lua lua/pack/init.lua stdlib/deep/er.lua");
    lua_settop(L, 0);
}

static void put(const char *path, const char *text)
{
    struct err e = ERR_INIT;
    CHECK(file_write_fast(path, text, strlen(text), &e) == 0);
    err_fini(&e);
}

static void test_override(void)
{
    struct err e = ERR_INIT;
    char root[] = "/tmp/dex-test-XXXXXX";
    CHECK(mkdtemp(root) != NULL && chdir(root) == 0);
    CHECK(file_mkdirs("d/lua/pack", &e) == 0 && file_mkdirs("d/stdlib/deep", &e) == 0);
    put("d/lua/hello.lua", "return 'hi'");
    put("d/lua/bad.lua", "return 1\nlocal = 2");
    put("d/lua/pack/init.lua", "return 1");
    put("d/stdlib/deep/er.lua", "return 2");
    struct loop *loop = loop_new(&e);
    struct vm *vm = vm_new(loop, "d", &e);
    CHECK(vm_protect(vm, use_override, NULL, &e) == 0);
    if (e.message)
        printf("  %s\n", e.message);
    err_fini(&e);
    vm_free(vm);
    loop_free(loop);
    CHECK(chdir("/") == 0 && file_remove_tree(root, &e) == 0);
}

static void test_embedded(void)
{
    CHECK(embed_count > 3);
    for (size_t i = 1; i < embed_count; i++)
        CHECK(strcmp(embed_files[i - 1].path, embed_files[i].path) < 0);
    for (size_t i = 0; i < embed_count; i++) {
        const char *end = strrchr(embed_files[i].path, '.');
        CHECK(embed_files[i].data[embed_files[i].len] == '\0');
        CHECK((end && strcmp(end, ".lua") == 0) == (embed_files[i].code_len > 0));
    }
    CHECK(embed_find("lua/err.lua") != NULL && embed_find("lua/err.lu") == NULL);
}

static void checks_protect(struct vm *vm)
{
    struct err e = ERR_INIT;
    int code = 305, top = lua_gettop(vm->L);
    CHECK(vm_protect(vm, raise_in_c, &code, &e) < 0);
    CHECK(e.code == 305 && e.line == 9);
    CHECK_TEXT(e.message, "from C");
    CHECK_TEXT(e.file, "f.sql");
    CHECK_TEXT(e.hint, "do not");
    CHECK(lua_gettop(vm->L) == top);
    err_fini(&e);
}

/* Runs one test in a VM of its own. */
static void in_vm(void (*test)(struct vm *vm, void *arg))
{
    struct err e = ERR_INIT;
    struct loop *loop = loop_new(&e);
    struct vm *vm = vm_new(loop, NULL, &e);
    CHECK(vm_protect(vm, test, NULL, &e) == 0);
    CHECK_TEXT(e.message, NULL);
    err_fini(&e);
    CHECK(lua_gettop(vm->L) == 0);
    vm_free(vm);
    loop_free(loop);
}

static void nothing(struct vm *vm, void *arg)
{
    (void)arg;
    checks_protect(vm);
}

static void test_wait(void)
{
    in_vm(waits);
}

static void test_cancel(void)
{
    in_vm(cancels);
}

static void test_call_again(void)
{
    in_vm(calls_again);
}

static void test_errors(void)
{
    in_vm(fails);
}

static void test_protect(void)
{
    in_vm(nothing);
}

static void test_values(void)
{
    in_vm(makes_values);
}

static void test_signal_hook(void)
{
    in_vm(hears_signals);
}

int main(void)
{
    RUN(test_wait);
    RUN(test_cancel);
    RUN(test_call_again);
    RUN(test_errors);
    RUN(test_protect);
    RUN(test_values);
    RUN(test_signal_hook);
    RUN(test_memory_faults);
    RUN(test_override);
    RUN(test_embedded);
    return check_finish();
}
