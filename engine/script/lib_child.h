/* What the two halves of dex.child share: lib_child.c waits for a program's end, lib_process.c
 * follows one while it runs. */
#ifndef DEX_SCRIPT_LIB_CHILD_H
#define DEX_SCRIPT_LIB_CHILD_H

#include <lua.h>

/*
 * The texts of the list in field `name` of the table at 1, up to a NULL; they live as long as what
 * this leaves on the stack. NULL when there is no such field. Raises when it is no list of texts.
 */
const char *const *lib_child_list(lua_State *L, const char *name);

/*
 * child.start{argv, cwd, env} -> process, whose output is read with process:read(). It leads a
 * process group, of which nothing is left when it has ended. Raises 902 when it cannot be started.
 * Does not wait.
 */
int lib_process_start(lua_State *L);

/* Makes the metatable of processes. */
void lib_process_open(lua_State *L);

#endif
