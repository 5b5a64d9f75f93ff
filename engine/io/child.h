/*
 * Child processes. Four kinds: a program whose end is told on the loop (child_start), a program
 * for code that may block (child_exec, child_wait), and a function of our own that runs beside us,
 * on its own (child_detach) or for us (child_copy). Failures are code 902 and name the program.
 *
 * No child inherits the signals that we ignore, and but for child_copy's none a descriptor that it
 * was not given.
 */
#ifndef DEX_IO_CHILD_H
#define DEX_IO_CHILD_H

#include <stddef.h>
#include <sys/types.h>

#include "base/attr.h"
#include "base/err.h"
#include "io/loop.h"

enum { CHILD_CODE = 902 };

/* For child_spec.stdio, where a descriptor could be. */
enum { CHILD_NULL = -1, CHILD_INHERIT = -2 };

/* Where a child stands among processes, and with it who gets the terminal's Ctrl-C. */
enum child_place {
    CHILD_GROUP,     /* leads a process group: signals reach it and its own children */
    CHILD_SESSION,   /* leads a session: no terminal, and it outlives ours */
    CHILD_FOREGROUND /* in our group, for a program that talks to the terminal */
};

struct child_user {
    uid_t uid;
    gid_t gid;
};

/* What to run. Nothing of it is needed any more when the function that took it returns. */
struct child_spec {
    const char *const *argv; /* up to a NULL; argv[0] is looked for in PATH if it has no slash */
    const char *const *env;  /* changes to ours: "NAME=value", or "NAME" to remove it; or NULL */
    const char *cwd;         /* entered before the user changes; NULL: ours */
    const struct child_user *user; /* NULL: ours. Needs root. */
    int stdio[3];                  /* descriptors, which stay the caller's, or one of the above */
    int keep; /* one more that the program gets, under its own number; 0: none */
    enum child_place place;
    /*
     * For CHILD_GROUP: what is left of its group is killed when it ends, and where the system can
     * do that, it is killed when we end without having ended it.
     */
    int whole_group;
};

/*
 * How a child ended: its exit status, or the negative number of the signal that killed it.
 * `status` is never CHILD_RUNNING.
 */
typedef void (*child_fn)(void *arg, int status);

enum { CHILD_RUNNING = -1000 };

struct child;

/*
 * Starts a program and calls fn(arg, status) on the loop when it has ended; the child may be freed
 * there. Gives NULL if it could not be started. While a foreground program runs, our SIGINT and
 * SIGQUIT are ignored, as they are meant for it, and after its end the terminal is as before.
 */
struct child *child_start(struct loop *loop, const struct child_spec *spec, child_fn fn, void *arg,
                          struct err *e);

/*
 * Calls work(work_arg) in a copy of this process, whose exit status is what that gives, and tells
 * its end on the loop as child_start does. The copy has our memory and our descriptors: it may run
 * Lua code that does not wait, and may not touch the loop, nor connections, which are also ours. It
 * leads a process group and, where the system can do that, is killed when we end. Gives NULL if it
 * could not be started.
 */
struct child *child_copy(struct loop *loop, int (*work)(void *arg), void *work_arg, child_fn fn,
                         void *arg, struct err *e);

/* Sends a signal to the child, and to its group if it leads one. Nothing happens after its end. */
void child_kill(struct child *child, int number);

/* The number of its process, which after its end is nobody's. */
pid_t child_pid(const struct child *child);

/* Frees it; a process that still runs is killed with its group, not told. NULL is allowed. */
void child_free(struct child *child);

/*
 * Starts a program for code that may block; the caller waits for it, or ends before it does. Gives
 * its process id, or -1.
 */
MUST_CHECK pid_t child_exec(const struct child_spec *spec, struct err *e);

/* Waits for the end of what child_exec gave; blocks. Gives the status. */
int child_wait(pid_t pid);

/* The same without waiting: CHILD_RUNNING while it runs. */
int child_poll(pid_t pid);

/*
 * Calls fn(arg) in a copy of this process that nobody waits for and that may outlive us: what it
 * has to tell, it writes to a pipe. It leads a process group, has /dev/null for its standard input,
 * output and error, and of all other descriptors only the `n` in `keep`. It may block and may call
 * what changes the whole process (chdir, child_become); it may not touch Lua, the loop or
 * connections. Gives -1 if it could not be started.
 */
MUST_CHECK int child_detach(void (*fn)(void *arg), void *arg, const int *keep, int n,
                            struct err *e);

/*
 * Makes this process, which is root's and a child, another user's for good, without any other
 * groups. Nothing happens when it is that user's already. Gives -1 with errno set.
 */
MUST_CHECK int child_become(const struct child_user *user);

#endif
