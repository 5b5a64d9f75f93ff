/* The Lua function that hears of SIGINT and SIGTERM. */
#ifndef DEX_SCRIPT_SIGNAL_HOOK_H
#define DEX_SCRIPT_SIGNAL_HOOK_H

#include "script/vm.h"

/* Takes the function, or nil for none, from the top of the stack. */
void signal_hook_set(lua_State *L);

/* Pushes that function, or nil. */
void signal_hook_get(lua_State *L);

/*
 * Calls the function with the signal's name, in a task of its own, so it may wait. Gives 0 when
 * there is none. Errors in it are printed to standard error. Inside vm_protect.
 */
int signal_hook_call(struct vm *vm, const char *name);

#endif
