#include "db/private_server.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "db/private.h"
#include "db/private_bin.h"
#include "db/private_site.h"
#include "io/child.h"

#define PID_FILE "data/postmaster.pid"

/* Seconds. Recovery after a crash may take long, and so may writing everything to a slow disk. */
enum { START_LIMIT = 60, STOP_LIMIT = 60, QUIT_LIMIT = 20, LEFTOVER_LIMIT = 10 };

/* A wait for something that nobody tells: looked for after 1 ms, and then ever less often. */
struct patience {
    double until;
    long pause; /* in microseconds */
};

static struct patience patience_for(double seconds)
{
    return (struct patience){ .until = clock_mono() + seconds, .pause = 1000 };
}

/* Sleeps a little; 0 when the time is over. */
static int patience_left(struct patience *p)
{
    if (clock_mono() > p->until)
        return 0;
    struct timespec pause = { 0, p->pause * 1000 };
    nanosleep(&pause, NULL);
    if (p->pause < 10000)
        p->pause += p->pause / 4;
    return 1;
}

/* Whether something takes connections at the socket. */
static int answers(void)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    char *outside = private_site_outside();
    snprintf(to.sun_path, sizeof to.sun_path, "%s/.s.PGSQL." PRIVATE_PORT,
             outside ? outside : "sock");
    mem_free(outside);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int yes = fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof to) == 0;
    if (fd >= 0)
        close(fd);
    return yes;
}

/* Whether a process is the server of this data folder, and not one that got a dead one's number. */
static int is_server(pid_t pid)
{
    char path[64], name[16] = "";
    struct stat its, ours;
    if (pid <= 1 || kill(pid, 0) < 0)
        return 0;
    snprintf(path, sizeof path, "/proc/%ld/comm", (long)pid);
    FILE *file = fopen(path, "re");
    if (file) {
        if (!fgets(name, sizeof name, file))
            name[0] = '\0';
        fclose(file);
    }
    snprintf(path, sizeof path, "/proc/%ld/cwd", (long)pid);
    return strncmp(name, "postgres", 8) == 0 && stat(path, &its) == 0 && stat("data", &ours) == 0 &&
           its.st_dev == ours.st_dev && its.st_ino == ours.st_ino;
}

/* The line `n`, from 1, of a text; its end is cut off. NULL when there are fewer. */
static char *line_of(char *text, int n)
{
    while (--n > 0 && text)
        if ((text = strchr(text, '\n')))
            text++;
    if (text)
        text[strcspn(text, "\n")] = '\0';
    return text;
}

enum private_phase private_server_look(pid_t *pid)
{
    struct buf text = BUF_INIT;
    struct err none = ERR_INIT;
    enum private_phase phase = PRIVATE_DOWN;
    *pid = 0;
    if (file_read(PID_FILE, &text, &none) == 0 && text.data) {
        *pid = (pid_t)atol(text.data);
        const char *status = line_of(text.data, 8);
        if (!is_server(*pid)) {
            *pid = 0;
            phase = answers() ? PRIVATE_READY : PRIVATE_DOWN;
        } else if (status && strncmp(status, "ready", 5) == 0) {
            phase = PRIVATE_READY;
        } else if (status && strncmp(status, "stopping", 8) == 0) {
            phase = PRIVATE_STOPPING;
        } else {
            phase = PRIVATE_STARTING;
        }
    }
    err_fini(&none);
    buf_fini(&text);
    return phase;
}

char *private_server_version(void)
{
    struct buf text = BUF_INIT;
    struct err none = ERR_INIT;
    if (file_read("data/PG_VERSION", &text, &none) < 0 || !text.data) {
        err_fini(&none);
        buf_fini(&text);
        return NULL;
    }
    text.data[strcspn(text.data, "\n")] = '\0';
    return buf_take(&text);
}

/* The programs that fit the data. */
static char *programs(struct err *e)
{
    char *version = private_server_version();
    int major = version ? atoi(version) : 0;
    mem_free(version);
    return private_bin_server(major, e);
}

static pid_t start(const char *root, const char *bin, int log, struct err *e)
{
    pid_t pid = -1;
    struct private_reach reach;
    int reached = private_site_reach(root, "data", &reach, e) == 0;
    char *folder = reached ? private_site_socket(root, 1, e) : NULL;
    if (folder) {
        char *outside = private_site_outside();
        char *program = mem_printf("%s/postgres", bin);
        /* seen from the data folder, so that its path may be long or out of reach */
        char *sockets = mem_printf("unix_socket_directories=%s", outside ? outside : "../sock");
        private_site_clear_socket(outside ? outside : "sock");
        const char *const argv[] = { program,
                                     "-D",
                                     reach.name,
                                     "-p",
                                     PRIVATE_PORT,
                                     "-c",
                                     "listen_addresses=",
                                     "-c",
                                     sockets,
                                     "-c",
                                     "logging_collector=off",
                                     "-c",
                                     "log_destination=stderr",
                                     "-c",
                                     "cluster_name=dex-lua",
                                     NULL };
        struct child_spec spec = {
            .argv = argv,
            .cwd = "/",
            .stdio = { CHILD_NULL, log, log },
            .keep = reach.fd,
            .place = CHILD_SESSION,
        };
        pid = child_exec(&spec, e);
        if (pid < 0)
            e->code = PRIVATE_ENDED;
        mem_free(outside);
        mem_free(program);
        mem_free(sockets);
    }
    mem_free(folder);
    private_site_reach_fini(&reach);
    return pid;
}

static int too_slow(const char *root, off_t begin, struct err *e)
{
    char *what = mem_printf("the private server takes no connections after %d s", START_LIMIT);
    private_site_fail(root, begin, PRIVATE_SLOW_START, what, e);
    mem_free(what);
    return err_hint(e, "it may still be recovering its data; the next command waits for it again");
}

/* Waits until the server that is our own child is ready: 1; 0 if it ended; -1 if it is too slow. */
static int await_ready(pid_t child)
{
    struct patience patience = patience_for(START_LIMIT);
    pid_t pid;
    do {
        if (private_server_look(&pid) == PRIVATE_READY && pid == child)
            return 1;
        if (child_poll(child) != CHILD_RUNNING)
            return 0;
    } while (patience_left(&patience));
    return -1;
}

/*
 * Starts it. Processes that a killed server left behind may hold its memory for a moment, and then
 * no new one starts; they end by themselves, and it is tried again until then.
 */
static int launch(const char *root, const char *bin, struct err *e)
{
    struct patience patience = patience_for(LEFTOVER_LIMIT);
    for (;;) {
        off_t begin;
        int log = private_site_log(root, 1, &begin, e);
        pid_t child = log < 0 ? -1 : start(root, bin, log, e);
        if (log >= 0)
            close(log);
        if (child < 0)
            return -1;
        int ready = await_ready(child);
        if (ready > 0)
            return 0;
        if (ready < 0)
            return too_slow(root, begin, e);
        if (!private_site_logged(begin, "pre-existing shared memory block") ||
            !patience_left(&patience))
            return private_site_fail(root, begin, PRIVATE_ENDED,
                                     "the private server ended while it was starting", e);
    }
}

/* Until the pid file names a server that runs, or none: another process than ours has started it.
 */
static int await_other(const char *root, enum private_phase *phase, struct err *e)
{
    struct patience patience = patience_for(START_LIMIT);
    off_t begin;
    pid_t pid;
    int log = private_site_log(root, 0, &begin, e);
    if (log < 0)
        return -1;
    close(log);
    do {
        *phase = private_server_look(&pid);
        if (*phase == PRIVATE_READY || *phase == PRIVATE_DOWN)
            return 0;
    } while (patience_left(&patience));
    return too_slow(root, begin, e);
}

int private_server_up(const char *root, struct err *e)
{
    enum private_phase phase;
    if (await_other(root, &phase, e) < 0)
        return -1;
    if (phase == PRIVATE_READY)
        return 0;
    char *bin = programs(e);
    if (!bin)
        return -1;
    unlink(
        PID_FILE); /* or the new one may take another process, with the old one's number, for it */
    int result = launch(root, bin, e);
    mem_free(bin);
    return result;
}

/* Waits for the end of a process that need not be ours; whether it came within the time. */
static int await_end(pid_t pid, int seconds)
{
#if defined(SYS_pidfd_open)
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd >= 0) {
        struct pollfd end = { .fd = fd, .events = POLLIN };
        double until = clock_mono() + seconds;
        int n;
        do
            n = poll(&end, 1, (int)((until - clock_mono()) * 1000));
        while (n < 0 && errno == EINTR && clock_mono() < until);
        close(fd);
        return n > 0;
    }
    if (errno == ESRCH)
        return 1;
#endif
    struct patience patience = patience_for(seconds);
    while (kill(pid, 0) == 0)
        if (!patience_left(&patience))
            return 0;
    return 1;
}

int private_server_down(const char *root, int *ran, struct err *e)
{
    pid_t pid;
    off_t begin;
    *ran = private_server_look(&pid) != PRIVATE_DOWN;
    if (*ran && pid == 0) {
        err_set(
            e, PRIVATE_SLOW_STOP,
            "the private server cannot be stopped from here: its process is not on this system");
        return err_hint(e, "it was started in a container, or on a machine that shares the folder");
    }
    if (*ran) {
        int log = private_site_log(root, 0, &begin, e);
        if (log < 0)
            return -1;
        close(log);
        if (kill(pid, SIGINT) < 0 && errno != ESRCH)
            return err_sys(e, PRIVATE_SYSTEM, "cannot stop the private server");
        if (!await_end(pid, STOP_LIMIT)) {
            kill(pid, SIGQUIT);
            if (!await_end(pid, QUIT_LIMIT))
                return private_site_fail(root, begin, PRIVATE_SLOW_STOP,
                                         "the private server does not stop", e);
        }
    }
    private_site_drop_socket();
    return 0;
}
