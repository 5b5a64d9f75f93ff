/*
 * A task is one Lua coroutine, this struct, and one cleanup slot. Whatever waits arms an event,
 * calls task_wait, and its event calls task_resume. The only lua_resume is in task.c, and tasks
 * never run inside one another: a task_call or task_resume made while some task runs, or while its
 * end is being told, takes place on the loop's next turn.
 *
 * A binding that waits looks like this (script/lib_loop.c has the shortest one):
 *
 *     struct task *t = task_current(L);          raises outside a task
 *     ... make a userdata that holds what the event needs; it stays on this stack while waiting ...
 *     ... arm the event, whose callback calls task_resume(t) ...
 *     return task_wait(L, disarm, ud, finish, 0);
 *
 * and `finish` turns the C result into Lua values, or raises.
 */
#ifndef DEX_SCRIPT_TASK_H
#define DEX_SCRIPT_TASK_H

#include <lua.h>

struct task;
struct vm;

/* Code of the error that task_cancel raises. */
enum { TASK_CANCELLED = 907, TASK_NO_WAIT = 904, TASK_STRAY_YIELD = 905 };

/* A new idle task. `name` is copied; it is for people. */
struct task *task_new(struct vm *vm, const char *name);

/*
 * Frees it. A wait is cancelled first (its cleanup runs, the code after it does not, but variables
 * marked <close> are closed); a `done` that was not called yet is not called any more. NULL is
 * allowed.
 */
void task_free(struct task *t);

/* The stack on which to push a function and its arguments for task_call. */
lua_State *task_lua(struct task *t);

/* The name that task_new was given, valid as long as the task. */
const char *task_name(const struct task *t);

/*
 * Called once when the call has ended. The results, or the one error value when `ok` is 0, are all
 * that is on task_lua(t)'s stack; they are popped when this returns. The task may be freed here, or
 * called again, which then begins on the next turn: but push nothing on task_lua(t) before this has
 * returned.
 */
typedef void (*task_done_fn)(struct task *t, int ok, void *arg);

/*
 * Calls the function that lies under `nargs` arguments on task_lua(t); nothing else is on that
 * stack and the task is idle. May end before it returns. An error value that is no error object
 * comes as one, with code 901 and a `traceback`.
 */
void task_call(struct task *t, int nargs, task_done_fn done, void *arg);

/*
 * The task whose code `L` runs. Raises an error object, code 904, in a coroutine of the user's own.
 */
struct task *task_current(lua_State *L);

/*
 * Sets the cleanup slot and yields: `return task_wait(...)` ends a binding. After task_resume, `k`
 * runs in the coroutine as lua_yieldk's continuation does, with the binding's stack as it was.
 * Where Lua cannot yield (in a sort comparator, a gsub callback, a __close, a module's body)
 * cleanup(arg) runs at once and error 904 is raised. If task_resume was called already, since
 * task_current, `k` is called at once.
 */
int task_wait(lua_State *L, void (*cleanup)(void *arg), void *arg, lua_KFunction k,
              lua_KContext ctx);

/*
 * From a Lua hook (lua_sethook), as the last thing that it does, where lua_isyieldable(L) and L is
 * a task's: the coroutine stands at this line until task_resume. task_cancel makes it go on, too,
 * and raises at its next wait.
 */
void task_pause(lua_State *L);

/* Continues a task that task_pause has stopped; nothing happens to any other. */
void task_unpause(struct task *t);

/* The task whose coroutine `L` is, or NULL. */
struct task *task_of(lua_State *L);

/* A hook of a coroutine, as lua_sethook takes it. */
struct task_hook {
    lua_Hook fn;
    int mask, count;
};

/*
 * Where to keep the hook of the task's coroutine while another stands in its place for a moment
 * (script/limits.c); belongs to the task. Does nothing but look it up: a signal handler may ask.
 */
struct task_hook *task_hook_aside(struct task *t);

/*
 * From an event: clears the cleanup slot and continues. Nothing happens when the task does not
 * wait.
 */
void task_resume(struct task *t);

/*
 * Runs the cleanup and raises an error object, code 907 'cancelled', where the task waits; the task
 * may catch it and wait again. One that runs, or was resumed already, gets the error at its next
 * wait; a call that has not begun ends with it. Nothing happens to an idle task.
 */
void task_cancel(struct task *t);

#endif
