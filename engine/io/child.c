#include "io/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

#include "base/mem.h"

struct child {
    struct event event; /* SIGCHLD, until the end */
    pid_t pid;
    int running;
    int group; /* it leads one */
    int whole; /* which ends with it */
    child_fn fn;
    void *arg;
    int foreground;
    int terminal; /* standard input is one, and `modes` were its */
    struct termios modes;
    struct sigaction old_int, old_quit;
};

/* What the child tells through a pipe when it cannot become the program. */
struct trouble {
    int number;
    enum { IN_STDIO, IN_CWD, IN_USER, IN_EXEC } where;
};

static const int own_signals[] = { SIGINT, SIGQUIT, SIGTERM, SIGCHLD, SIGPIPE };

/* Signals wait from here until the child has forgotten our handlers, which write to our loop. */
static pid_t fork_quietly(void)
{
    sigset_t all, old;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    pid_t pid = fork();
    int number = errno;
    if (pid == 0)
        for (size_t i = 0; i < sizeof own_signals / sizeof *own_signals; i++)
            signal(own_signals[i], SIG_DFL);
    sigprocmask(SIG_SETMASK, &old, NULL);
    errno = number;
    return pid;
}

/* Closes the descriptors from `low` to `high`, or to the last one when `high` is -1. */
static void close_from(int low, int high)
{
    if (high != -1 && low > high)
        return;
#if defined(SYS_close_range)
    if (syscall(SYS_close_range, (unsigned)low, high < 0 ? ~0U : (unsigned)high, 0) == 0)
        return;
#endif
    long limit = sysconf(_SC_OPEN_MAX);
    int end = high < 0 ? (int)(limit > 0 && limit < 65536 ? limit : 65536) : high;
    for (int fd = low; fd <= end; fd++)
        close(fd);
}

/* Closes all above standard error but the `n` of `keep`. */
static void close_others(const int *keep, int n)
{
    int low = STDERR_FILENO + 1;
    for (;;) {
        int next = -1;
        for (int i = 0; i < n; i++)
            if (keep[i] >= low && (next < 0 || keep[i] < next))
                next = keep[i];
        if (next < 0)
            break;
        close_from(low, next - 1);
        low = next + 1;
    }
    close_from(low, -1);
}

/* In the child: gives the three standard descriptors what `stdio` says. */
static int set_stdio(const int stdio[3])
{
    int from[3];
    for (int i = 0; i < 3; i++) {
        from[i] = stdio[i];
        if (from[i] == CHILD_NULL)
            from[i] = open("/dev/null", O_RDWR | O_CLOEXEC);
        /* one that another of the three is about to replace */
        if (from[i] >= 0 && from[i] < 3)
            from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 3);
        if (from[i] < 0 && from[i] != CHILD_INHERIT)
            return -1;
    }
    for (int i = 0; i < 3; i++)
        if (from[i] != CHILD_INHERIT && dup2(from[i], i) < 0)
            return -1;
    return 0;
}

static void set_env(const char *const *env)
{
    for (; env && *env; env++) {
        const char *equals = strchr(*env, '=');
        if (!equals) {
            unsetenv(*env);
            continue;
        }
        char *name = mem_strndup(*env, (size_t)(equals - *env));
        setenv(name, equals + 1, 1);
        mem_free(name);
    }
}

int child_become(const struct child_user *user)
{
    if (geteuid() == user->uid && getuid() == user->uid)
        return 0;
    if (setgroups(1, &user->gid) < 0 || setgid(user->gid) < 0 || setuid(user->uid) < 0)
        return -1;
    if (setuid(0) == 0) { /* then it was not for good */
        errno = EPERM;
        return -1;
    }
    return 0;
}

/* In the child: becomes the program, or tells why not. */
static void become_program(const struct child_spec *spec, int tell)
{
    struct trouble trouble = { .where = IN_STDIO };
    if (spec->place == CHILD_SESSION)
        setsid();
    else if (spec->place == CHILD_GROUP)
        setpgid(0, 0);
#if defined(__linux__)
    if (spec->whole_group)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    if (set_stdio(spec->stdio) < 0)
        goto fail;
    const int keep[] = { tell, spec->keep };
    close_others(keep, 2);
    if (spec->keep > 0 && fcntl(spec->keep, F_SETFD, 0) < 0) /* it may close itself on exec */
        goto fail;
    trouble.where = IN_CWD;
    if (spec->cwd && chdir(spec->cwd) < 0)
        goto fail;
    trouble.where = IN_USER;
    if (spec->user && child_become(spec->user) < 0)
        goto fail;
    set_env(spec->env);
    trouble.where = IN_EXEC;
    execvp(spec->argv[0], (char *const *)spec->argv);
fail:
    trouble.number = errno;
    while (write(tell, &trouble, sizeof trouble) < 0 && errno == EINTR)
        ;
    _exit(127);
}

static int explain(const struct child_spec *spec, const struct trouble *trouble, struct err *e)
{
    const char *why = strerror(trouble->number), *program = spec->argv[0];
    if (trouble->where == IN_CWD)
        return err_set(e, CHILD_CODE, "cannot run %s in the folder %s: %s", program, spec->cwd,
                       why);
    if (trouble->where == IN_USER)
        return err_set(e, CHILD_CODE, "cannot run %s as user %ld: %s", program,
                       (long)spec->user->uid, why);
    return err_set(e, CHILD_CODE, "cannot run %s: %s", program, why);
}

pid_t child_exec(const struct child_spec *spec, struct err *e)
{
    int tell[2];
    if (pipe2(tell, O_CLOEXEC) < 0)
        return err_sys(e, CHILD_CODE, "cannot start a process");
    pid_t pid = fork_quietly();
    if (pid == 0)
        become_program(spec, tell[1]);
    int number = errno;
    close(tell[1]);
    if (pid < 0) {
        close(tell[0]);
        errno = number;
        return err_sys(e, CHILD_CODE, "cannot start a process");
    }
    struct trouble trouble;
    ssize_t n; /* 0: the program's start has closed the pipe */
    do
        n = read(tell[0], &trouble, sizeof trouble);
    while (n < 0 && errno == EINTR);
    close(tell[0]);
    if (n == (ssize_t)sizeof trouble) {
        child_wait(pid);
        return explain(spec, &trouble, e);
    }
    return pid;
}

static int status_of(int raw)
{
    return WIFSIGNALED(raw) ? -WTERMSIG(raw) : WEXITSTATUS(raw);
}

int child_wait(pid_t pid)
{
    int raw;
    pid_t got;
    do
        got = waitpid(pid, &raw, 0);
    while (got < 0 && errno == EINTR);
    return got == pid ? status_of(raw) : 0;
}

int child_poll(pid_t pid)
{
    int raw;
    pid_t got = waitpid(pid, &raw, WNOHANG);
    if (got == 0 || (got < 0 && errno == EINTR))
        return CHILD_RUNNING;
    return got == pid ? status_of(raw) : 0;
}

/* Leaves the terminal to the program, and takes it back as it was. */
static void lend_terminal(struct child *child)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    sigemptyset(&ignore.sa_mask);
    child->terminal = tcgetattr(STDIN_FILENO, &child->modes) == 0;
    sigaction(SIGINT, &ignore, &child->old_int);
    sigaction(SIGQUIT, &ignore, &child->old_quit);
}

static void take_terminal(struct child *child)
{
    sigaction(SIGINT, &child->old_int, NULL);
    sigaction(SIGQUIT, &child->old_quit, NULL);
    if (child->terminal)
        tcsetattr(STDIN_FILENO, TCSADRAIN, &child->modes);
}

/* The one way out of running. */
static void ended(struct child *child)
{
    child->running = 0;
    event_del(&child->event);
    if (child->foreground)
        take_terminal(child);
}

/* Kills what is left of the group of a child that has ended. Until somebody has waited for it, its
 * number, which is the group's, is nobody else's. */
static void end_group(pid_t pid)
{
    siginfo_t info = { .si_pid = 0 };
    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid)
        kill(-pid, SIGKILL);
}

/* Some child has ended, perhaps this one. */
static void on_child(evutil_socket_t number, short what, void *arg)
{
    (void)number;
    (void)what;
    struct child *child = arg;
    if (child->whole)
        end_group(child->pid);
    int status = child_poll(child->pid);
    if (status == CHILD_RUNNING)
        return;
    ended(child);
    child->fn(child->arg, status);
}

/* One whose process is not there yet: its end is watched for first, so that none is missed. */
static struct child *new_child(struct loop *loop, child_fn fn, void *arg, struct err *e)
{
    struct child *child = mem_zalloc(sizeof *child);
    child->fn = fn;
    child->arg = arg;
    child->group = 1;
    event_assign(&child->event, loop_base(loop), SIGCHLD, EV_SIGNAL | EV_PERSIST, on_child, child);
    if (event_add(&child->event, NULL) == 0)
        return child;
    err_set(e, CHILD_CODE, "cannot watch for the end of a process");
    mem_free(child);
    return NULL;
}

struct child *child_start(struct loop *loop, const struct child_spec *spec, child_fn fn, void *arg,
                          struct err *e)
{
    struct child *child = new_child(loop, fn, arg, e);
    if (!child)
        return NULL;
    child->group = spec->place != CHILD_FOREGROUND;
    child->whole = spec->place == CHILD_GROUP && spec->whole_group;
    child->foreground = !child->group;
    if (child->foreground)
        lend_terminal(child);
    child->pid = child_exec(spec, e);
    if (child->pid < 0) {
        ended(child);
        mem_free(child);
        return NULL;
    }
    child->running = 1;
    return child;
}

struct child *child_copy(struct loop *loop, int (*work)(void *arg), void *work_arg, child_fn fn,
                         void *arg, struct err *e)
{
    struct child *child = new_child(loop, fn, arg, e);
    if (!child)
        return NULL;
    child->whole = 1;
    fflush(NULL); /* else both would write what is left */
    pid_t parent = getpid();
    child->pid = fork_quietly();
    if (child->pid == 0) {
        setpgid(0, 0);
#if defined(__linux__)
        prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
        int status = getppid() == parent ? work(work_arg) : 1; /* else it has ended by now */
        fflush(NULL);
        _exit(status);
    }
    if (child->pid < 0) {
        err_sys(e, CHILD_CODE, "cannot start a process");
        ended(child);
        mem_free(child);
        return NULL;
    }
    setpgid(child->pid, child->pid); /* both do it: whoever comes first */
    child->running = 1;
    return child;
}

pid_t child_pid(const struct child *child)
{
    return child->pid;
}

void child_kill(struct child *child, int number)
{
    if (child->running)
        kill(child->group ? -child->pid : child->pid, number);
}

void child_free(struct child *child)
{
    if (!child)
        return;
    if (child->running) {
        child_kill(child, SIGKILL);
        child_wait(child->pid);
        ended(child);
    }
    mem_free(child);
}

int child_detach(void (*fn)(void *arg), void *arg, const int *keep, int n, struct err *e)
{
    pid_t pid = fork_quietly();
    if (pid < 0)
        return err_sys(e, CHILD_CODE, "cannot start a process");
    if (pid > 0) /* the one between, so that the other is nobody's to wait for */
        return child_wait(pid) == 0 ? 0 : err_set(e, CHILD_CODE, "cannot start a process");
    setpgid(0, 0);
    pid = fork_quietly();
    if (pid != 0)
        _exit(pid < 0);
    setpgid(0, 0);
    static const int nothing[3] = { CHILD_NULL, CHILD_NULL, CHILD_NULL };
    if (set_stdio(nothing) == 0) {
        close_others(keep, n);
        fn(arg);
    }
    _exit(0);
}
