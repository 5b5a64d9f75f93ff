/* engine/io/child, without Lua. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "check.h"
#include "io/child.h"

/* Runs a shell command to its end, with its output in `out`; gives its status. */
static int shell(struct child_spec spec, const char *command, struct buf *out)
{
    const char *const argv[] = { "sh", "-c", command, NULL };
    struct err e = ERR_INIT;
    int ends[2];
    CHECK(pipe(ends) == 0);
    spec.argv = argv;
    spec.stdio[0] = CHILD_NULL;
    spec.stdio[1] = ends[1];
    spec.stdio[2] = CHILD_INHERIT;
    pid_t pid = child_exec(&spec, &e);
    CHECK(pid > 0);
    close(ends[1]);
    ssize_t n;
    while ((n = read(ends[0], buf_room(out, 1000), 1000)) > 0)
        out->len += (size_t)n;
    out->data[out->len] = '\0';
    close(ends[0]);
    return child_wait(pid);
}

static void test_exec(void)
{
    struct buf out = BUF_INIT;
    CHECK(shell((struct child_spec){ .cwd = "/tmp" }, "pwd; exit 7", &out) == 7);
    CHECK_TEXT(out.data, "/tmp\n");
    buf_clear(&out);
    static const char *const env[] = { "DEX_ONE=1=one", "HOME", NULL };
    CHECK(shell((struct child_spec){ .env = env }, "echo $DEX_ONE${HOME-none}", &out) == 0);
    CHECK_TEXT(out.data, "1=onenone\n");
    buf_clear(&out);
    CHECK(shell((struct child_spec){ 0 }, "kill -9 $$", &out) == -SIGKILL);
    CHECK(getenv("HOME") != NULL && getenv("DEX_ONE") == NULL);
    buf_fini(&out);
}

static void test_exec_inherits_nothing(void)
{
    struct buf out = BUF_INIT;
    int fd = open("/dev/null", O_RDONLY); /* stays open over an exec */
    signal(SIGPIPE, SIG_IGN);
    char *command = mem_printf("test -e /proc/self/fd/%d && echo open; kill -PIPE $$", fd);
    CHECK(shell((struct child_spec){ 0 }, command, &out) == -SIGPIPE);
    CHECK_TEXT(out.data, "");
    signal(SIGPIPE, SIG_DFL);
    close(fd);
    mem_free(command);
    buf_fini(&out);
}

static void test_exec_failures(void)
{
    static const char *const argv[] = { "/no/such/program", NULL };
    static const char *const good[] = { "true", NULL };
    struct err e = ERR_INIT;
    struct child_spec spec = { .argv = argv, .stdio = { CHILD_NULL, CHILD_NULL, CHILD_NULL } };
    CHECK(child_exec(&spec, &e) == -1);
    CHECK(e.code == 902);
    CHECK_TEXT(e.message, "cannot run /no/such/program: No such file or directory");
    spec.argv = good;
    spec.cwd = "/no/such/folder";
    CHECK(child_exec(&spec, &e) == -1);
    CHECK_TEXT(e.message,
               "cannot run true in the folder /no/such/folder: No such file or directory");
    err_fini(&e);
}

static void test_user(void)
{
    if (geteuid() != 0)
        return;
    struct buf out = BUF_INIT;
    struct child_user user = { 65534, 65533 };
    CHECK(shell((struct child_spec){ .user = &user }, "id -u; id -G", &out) == 0);
    CHECK_TEXT(out.data, "65534\n65533\n");
    CHECK(geteuid() == 0);
    buf_fini(&out);
}

struct waiting {
    struct loop *loop;
    int status, calls;
};

static void on_end(void *arg, int status)
{
    struct waiting *waiting = arg;
    waiting->status = status;
    waiting->calls++;
    loop_stop(waiting->loop);
}

static struct child *start(struct waiting *waiting, const char *command, enum child_place place)
{
    const char *const argv[] = { "sh", "-c", command, NULL };
    struct err e = ERR_INIT;
    struct child_spec spec = { .argv = argv,
                               .stdio = { CHILD_NULL, CHILD_INHERIT, CHILD_INHERIT },
                               .place = place };
    struct child *child = child_start(waiting->loop, &spec, on_end, waiting, &e);
    CHECK(child != NULL);
    return child;
}

static void test_start(void)
{
    struct err e = ERR_INIT;
    struct waiting waiting = { .loop = loop_new(&e) };
    struct child *one = start(&waiting, "exit 3", CHILD_GROUP);
    CHECK(loop_run(waiting.loop, &e) == 0);
    CHECK(waiting.status == 3 && waiting.calls == 1);
    child_kill(one, SIGKILL); /* its number may be another's by now */
    child_free(one);

    struct sigaction before, during, after;
    sigaction(SIGINT, NULL, &before);
    one = start(&waiting, "kill -INT $PPID; exit 4", CHILD_FOREGROUND);
    sigaction(SIGINT, NULL, &during);
    CHECK(loop_run(waiting.loop, &e) == 0);
    sigaction(SIGINT, NULL, &after);
    CHECK(waiting.status == 4 && waiting.calls == 2);
    CHECK(during.sa_handler == SIG_IGN && after.sa_handler == before.sa_handler);
    child_free(one);

    static const char *const argv[] = { "/no/such/program", NULL };
    struct child_spec spec = { .argv = argv, .place = CHILD_FOREGROUND };
    CHECK(child_start(waiting.loop, &spec, on_end, &waiting, &e) == NULL);
    sigaction(SIGINT, NULL, &after);
    CHECK(e.code == 902 && after.sa_handler == before.sa_handler);
    err_fini(&e);
    loop_free(waiting.loop);
}

/* A group is killed as a whole: the pipe that grandchildren hold comes to its end. */
static void test_groups(void)
{
    struct err e = ERR_INIT;
    struct waiting waiting = { .loop = loop_new(&e) };
    int ends[2];
    char byte;
    for (int freed = 0; freed < 2; freed++) {
        CHECK(pipe(ends) == 0);
        static const char *const argv[] = { "sh", "-c", "sleep 600 & echo; wait", NULL };
        struct child_spec spec = { .argv = argv, .stdio = { CHILD_NULL, ends[1], CHILD_INHERIT } };
        struct child *child = child_start(waiting.loop, &spec, on_end, &waiting, &e);
        close(ends[1]);
        CHECK(read(ends[0], &byte, 1) == 1); /* now there is a grandchild */
        if (freed) {
            child_free(child);
        } else {
            child_kill(child, SIGTERM);
            CHECK(loop_run(waiting.loop, &e) == 0);
            CHECK(waiting.status == -SIGTERM);
            child_free(child);
        }
        CHECK(read(ends[0], &byte, 1) == 0);
        close(ends[0]);
    }
    CHECK(waiting.calls == 1);
    loop_free(waiting.loop);
}

struct errand {
    int out;
    int other;
};

static void run_errand(void *arg)
{
    const struct errand *errand = arg;
    struct buf text = BUF_INIT;
    buf_printf(&text, "%d %d %d", getppid() == getpgrp(), getpgrp() == getpid(),
               fcntl(errand->other, F_GETFD) >= 0);
    if (file_write_all(errand->out, text.data, text.len) < 0)
        abort();
    buf_fini(&text);
}

static void test_detach(void)
{
    struct err e = ERR_INIT;
    struct buf out = BUF_INIT;
    int ends[2];
    CHECK(pipe(ends) == 0);
    struct errand errand = { ends[1], dup(ends[0]) };
    CHECK(child_detach(run_errand, &errand, &ends[1], 1, &e) == 0);
    close(ends[1]);
    ssize_t n;
    while ((n = read(ends[0], buf_room(&out, 100), 100)) > 0)
        out.len += (size_t)n;
    out.data[out.len] = '\0';
    CHECK_TEXT(out.data, "0 1 0");
    close(ends[0]);
    close(errand.other);
    buf_fini(&out);
    CHECK(child_poll(-1) != CHILD_RUNNING); /* there is nobody to wait for */
}

struct deed {
    int seen;
    int out;
};

/* What it changes is its own; then it waits for a signal, if it has a pipe to say so. */
static int do_deed(void *arg)
{
    struct deed *deed = arg;
    deed->seen++;
    if (deed->out < 0)
        return 10 + deed->seen;
    int group_of_its_own = getpgrp() == getpid();
    CHECK(write(deed->out, group_of_its_own ? "y" : "n", 1) == 1);
    for (;;)
        pause();
}

static void test_copy(void)
{
    struct err e = ERR_INIT;
    struct waiting waiting = { .loop = loop_new(&e) };
    struct deed deed = { 1, -1 };
    struct child *copy = child_copy(waiting.loop, do_deed, &deed, on_end, &waiting, &e);
    CHECK(copy != NULL);
    CHECK(loop_run(waiting.loop, &e) == 0);
    CHECK(waiting.status == 12 && waiting.calls == 1 && deed.seen == 1);
    child_free(copy);

    int ends[2];
    char byte;
    CHECK(pipe(ends) == 0);
    deed.out = ends[1];
    copy = child_copy(waiting.loop, do_deed, &deed, on_end, &waiting, &e);
    close(ends[1]);
    CHECK(read(ends[0], &byte, 1) == 1 && byte == 'y');
    child_kill(copy, SIGTERM); /* of which it has no handler of ours */
    CHECK(loop_run(waiting.loop, &e) == 0);
    CHECK(waiting.status == -SIGTERM && waiting.calls == 2);
    child_free(copy);
    CHECK(read(ends[0], &byte, 1) == 0);
    close(ends[0]);
    loop_free(waiting.loop);
}

int main(void)
{
    RUN(test_exec);
    RUN(test_exec_inherits_nothing);
    RUN(test_exec_failures);
    RUN(test_user);
    RUN(test_start);
    RUN(test_groups);
    RUN(test_detach);
    RUN(test_copy);
    return check_finish();
}
