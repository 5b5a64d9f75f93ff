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
 * The text of field `input` of the table at 1, in a file without a name: nobody sees what it says,
 * and however long it is, nobody waits. Without the field *fd stays as it is. Gives 0 on failure.
 */
int lib_child_input(lua_State *L, int *fd);

/*
 * child.start{argv, cwd, env} -> process, whose output is read with process:read(). It leads a
 * process group, of which nothing is left when it has ended. Raises 902 when it cannot be started.
 * Does not wait.
 */
int lib_process_start(lua_State *L);

/* Makes the metatable of processes. */
void lib_process_open(lua_State *L);

/*
 * child.launch{argv, cwd, env, input, output} -> launched, a program that leads a session of its
 * own and goes on when this process dies. `output` is a file that is written anew. It is killed
 * when nobody holds it any more. Raises 110 and 902. Does not wait.
 */
int lib_launch_start(lua_State *L);

/* child.signal(pid, "TERM" | "KILL" | "INT") -> whether there is such a process that we may reach
 */
int lib_launch_signal(lua_State *L);

/* Makes the metatable of what was launched. */
void lib_launch_open(lua_State *L);

#endif
