/*
 * The libFuzzer target of the template engine: a VM like dex-lua's own runs tests/fuzz/target.lua
 * over each input. Besides the C code that clang watches, each line of the engine's Lua code that
 * an input reaches is counted as new ground: so the fuzzer finds its way through grammar, compiler
 * and runtime.
 */
#include <lauxlib.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/loop.h"
#include "run/modules.h"
#include "script/task.h"
#include "script/vm.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libFuzzer reads counters of this section as its own. */
__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t lines[1 << 15];

static struct vm *vm;
static const char target = 0; /* its address is the function's key in the registry */
static int ended;

/* Only the engine's lines: those of a compiled template are as many as there are inputs. */
static void on_line(lua_State *L, lua_Debug *ar)
{
    if (!lua_getinfo(L, "Sl", ar) || strncmp(ar->source, "@lua/", 5) != 0)
        return;
    uint32_t hash = 2166136261U;
    for (const char *c = ar->source; *c; c++)
        hash = (hash ^ (uint8_t)*c) * 16777619U;
    hash = (hash ^ (uint32_t)ar->currentline) * 16777619U;
    uint8_t *count = &lines[hash % sizeof lines];
    if (*count < UINT8_MAX)
        ++*count;
}

static void fail(const char *what)
{
    fprintf(stderr, "fuzz: %s\n", what);
    abort();
}

static void done(struct task *t, int ok, void *arg)
{
    (void)arg;
    ended = 1;
    if (ok)
        return;
    lua_State *L = task_lua(t);
    if (lua_istable(L, 1)) {
        lua_pushliteral(L, "message");
        lua_rawget(L, 1);
    }
    fail(luaL_tolstring(L, -1, NULL));
}

struct input {
    const char *data;
    size_t size;
};

static void call(struct vm *in, void *arg)
{
    const struct input *input = arg;
    struct task *t = task_new(in, "fuzz");
    lua_State *L = task_lua(t);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &target);
    lua_pushlstring(L, input->data, input->size);
    lua_sethook(L, on_line, LUA_MASKLINE, 0);
    ended = 0;
    task_call(t, 1, done, NULL);
    if (!ended)
        fail("the input waits for something");
    task_free(t);
    lua_gc(in->L, LUA_GCSTEP, 0);
}

static void load(struct vm *in, void *arg)
{
    (void)arg;
    lua_State *L = in->L;
    vm_preload(in, "dex.graph", luaopen_dex_graph);
    vm_preload(in, "dex.run", luaopen_dex_run);
    if (luaL_loadfilex(L, "tests/fuzz/target.lua", "t") != LUA_OK)
        lua_error(L);
    lua_call(L, 0, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &target);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    struct err e = ERR_INIT;
    struct loop *loop = loop_new(&e);
    vm = loop ? vm_new(loop, vm_override(), &e) : NULL;
    if (!vm || vm_protect(vm, load, NULL, &e) < 0)
        fail(e.message);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = ERR_INIT;
    struct input input = { (const char *)data, size };
    if (vm_protect(vm, call, &input, &e) < 0)
        fail(e.message);
    return 0;
}
