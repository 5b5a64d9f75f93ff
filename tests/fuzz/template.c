/*
 * The libFuzzer target of the template engine: a VM like dex-lua's own runs tests/fuzz/target.lua
 * over each input. Besides the C code that clang watches, each line of the engine's Lua code that
 * an input reaches is counted as new ground: so the fuzzer finds its way through grammar, compiler
 * and runtime.
 */
#include "fuzz.h"
#include "io/loop.h"
#include "run/modules.h"
#include "script/task.h"
#include "script/vm.h"
#include <lauxlib.h>

static struct vm *vm;
static const char target = 0; /* its address is the function's key in the registry */
static int ended;

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
    fuzz_fail(luaL_tolstring(L, -1, NULL));
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
    lua_sethook(L, fuzz_on_line, LUA_MASKLINE, 0);
    ended = 0;
    task_call(t, 1, done, NULL);
    if (!ended)
        fuzz_fail("the input waits for something");
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
        fuzz_fail(e.message);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = ERR_INIT;
    struct input input = { (const char *)data, size };
    if (vm_protect(vm, call, &input, &e) < 0)
        fuzz_fail(e.message);
    return 0;
}
