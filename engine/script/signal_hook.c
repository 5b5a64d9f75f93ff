#include "script/signal_hook.h"

#include <lauxlib.h>
#include <stdio.h>

#include "script/task.h"

/* Its address is the function's key in the registry. */
static const char key = 0;

void signal_hook_set(lua_State *L)
{
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
}

void signal_hook_get(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &key);
}

static void told(struct task *t, int ok, void *arg)
{
    (void)arg;
    if (!ok)
        fprintf(stderr, "dex-lua: %s\n", luaL_tolstring(task_lua(t), -1, NULL));
    task_free(t);
}

int signal_hook_call(struct vm *vm, const char *name)
{
    if (lua_rawgetp(vm->L, LUA_REGISTRYINDEX, &key) != LUA_TFUNCTION) {
        lua_pop(vm->L, 1);
        return 0;
    }
    struct task *t = task_new(vm, "signal");
    lua_xmove(vm->L, task_lua(t), 1);
    lua_pushstring(task_lua(t), name);
    task_call(t, 1, told, NULL);
    return 1;
}
