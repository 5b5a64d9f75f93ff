/*
 * The one Lua state of the program. Globals are strict, `require` finds only what the binary holds
 * (or the folder named by DEX_LUA) and what was registered from C, and nothing is read from the
 * user's package path. The only lua_pcall is here.
 */
#ifndef DEX_SCRIPT_VM_H
#define DEX_SCRIPT_VM_H

#include <lua.h>

#include "base/err.h"
#include "base/list.h"
#include "base/slab.h"
#include "io/loop.h"

struct task;

/* Fields are for script/task.c; everybody else uses the functions. */
struct vm {
    lua_State *L; /* the main thread: runs no Lua code of its own after the start */
    struct loop *loop;
    char *override; /* DEX_LUA or NULL */
    struct slab slab;
    size_t memory;        /* bytes that Lua holds */
    size_t memory_limit;  /* it gets no more; 0 for none. Tests let allocations fail with it. */
    struct list tasks;    /* every struct task */
    struct task *running; /* the one whose code runs or whose end is being told, or NULL */
};

/*
 * A VM with all modules of this layer registered. `override` is a folder that holds lua/ and
 * stdlib/ and is read instead of the binary's own, or NULL. NULL and code 903 on failure. The loop
 * must outlive it.
 */
struct vm *vm_new(struct loop *loop, const char *override, struct err *e);

/* What DEX_LUA in the environment says, for vm_new: NULL when it is unset or empty. */
const char *vm_override(void);

/*
 * Cancels what waits without running it further, closes the state, frees all tasks. NULL is
 * allowed.
 */
void vm_free(struct vm *vm);

/* The VM that `L`, any thread of it, belongs to. */
struct vm *vm_from(lua_State *L);

/* The loop that vm_new was given. */
struct loop *vm_loop(struct vm *vm);

/*
 * Calls fn(vm, arg) so that a Lua error in it, or in anything that runs outside a task while it
 * lasts, comes back as -1 and `e`. Everything after vm_new belongs inside: preloading, tasks,
 * loop_run.
 */
MUST_CHECK int vm_protect(struct vm *vm, void (*fn)(struct vm *vm, void *arg), void *arg,
                          struct err *e);

/* Makes `require name` call `open`. Inside vm_protect. */
void vm_preload(struct vm *vm, const char *name, lua_CFunction open);

/*
 * Lets `require "a.b"` find dir/a/b.lua as well, after the engine's own modules. Inside vm_protect.
 */
void vm_add_module_dir(struct vm *vm, const char *dir);

#endif
