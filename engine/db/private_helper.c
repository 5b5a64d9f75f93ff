#include "db/private_helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "db/private_bin.h"
#include "db/private_create.h"
#include "db/private_server.h"
#include "db/private_site.h"
#include "io/child.h"

#define KEPT "kept"

extern char **environ;

/* In the order of an answer, which is that of the fields below, each ended by a zero. */
enum field {
    CODE,
    MESSAGE,
    HINT,
    PLACE,
    RUNNING,
    EXISTS,
    IS_KEPT,
    RAN,
    PID,
    SOCKET,
    DATA,
    VERSION
};
enum { FIELDS = VERSION + 1 };

static int lock(int fd, int how)
{
    int result;
    do
        result = flock(fd, how);
    while (result < 0 && errno == EINTR);
    return result;
}

static int exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Nothing that the user has set for clients, or for other servers, is meant for this one. */
static void clean_environment(void)
{
    for (char **p = environ; p && *p;) {
        size_t len = strcspn(*p, "=");
        if (strncmp(*p, "PG", 2) != 0) {
            p++;
            continue;
        }
        char *name = mem_strndup(*p, len);
        unsetenv(name);
        mem_free(name);
        p = environ;
    }
    setenv("LC_ALL", "C", 1); /* its messages, until it has read its settings */
}

static void look(const char *root, struct private_state *state)
{
    struct err none = ERR_INIT;
    pid_t pid;
    state->exists = exists("data");
    state->kept = exists(KEPT);
    state->running = private_server_look(&pid) == PRIVATE_READY;
    state->pid = pid;
    if (state->exists) {
        state->socket = private_site_socket(root, 0, &none);
        state->data = private_site_path(root, "data");
        state->version = private_server_version();
    }
}

static int ensure(const char *root, struct err *e)
{
    if (!exists("data")) {
        char *bin = private_bin_server(0, e);
        int created = bin ? private_create(root, bin, e) : -1;
        mem_free(bin);
        if (created < 0)
            return -1;
    }
    return private_server_up(root, e);
}

static int keep(const char *root, struct err *e)
{
    if (ensure(root, e) < 0)
        return -1;
    return file_write(KEPT, "", 0, e);
}

/* Whether nobody else uses the server; then nobody can begin to before our lock is gone. */
static int is_last(const struct private_job *job)
{
    if (job->users < 0 || lock(job->users, LOCK_EX | LOCK_NB) == 0)
        return 1;
    if (job->held) /* the attempt has cost us our own share */
        lock(job->users, LOCK_SH);
    return 0;
}

/*
 * The share goes now, while nobody else can ask: two that end at once would each see the other, and
 * a helper that was left alone and waits for its turn has the descriptor too, with what it holds.
 */
static int release(const struct private_job *job, int *ran, struct err *e)
{
    int result = 0;
    if (is_last(job) && !exists(KEPT))
        result = private_server_down(job->root, ran, e);
    if (job->users >= 0)
        lock(job->users, LOCK_UN);
    return result;
}

static int destroy(const struct private_job *job, int *ran, struct err *e)
{
    static const char *const all[] = { KEPT, "data", "data.new", "sock", "log", "log.1" };
    if (!is_last(job)) {
        err_set(e, PRIVATE_IN_USE, "another process is using the private server");
        return err_hint(e, "let it end, or stop the server first: dex-lua db stop");
    }
    *ran = exists("data");
    int was_running;
    if (private_server_down(job->root, &was_running, e) < 0)
        return -1;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (file_remove_tree(all[i], e) < 0)
            return -1;
    return 0;
}

/* In the site. */
static int act(const struct private_job *job, struct private_state *state, struct err *e)
{
    switch (job->action) {
    case PRIVATE_ENSURE:
        if (lock(job->users, LOCK_SH) < 0)
            return err_sys(e, PRIVATE_SYSTEM, "cannot lock the private server");
        return ensure(job->root, e);
    case PRIVATE_RELEASE:
        return release(job, &state->ran, e);
    case PRIVATE_START:
        return keep(job->root, e);
    case PRIVATE_STOP:
        unlink(KEPT);
        return private_server_down(job->root, &state->ran, e);
    case PRIVATE_STATUS:
        return 0;
    case PRIVATE_DESTROY:
        return destroy(job, &state->ran, e);
    }
    return 0;
}

static int work(const struct private_job *job, struct private_state *state, struct err *e)
{
    int create = job->action == PRIVATE_ENSURE || job->action == PRIVATE_START;
    int waits = job->lock >= 0 && job->action != PRIVATE_STATUS;
    if (waits && lock(job->lock, LOCK_EX) < 0)
        return err_sys(e, PRIVATE_SYSTEM, "cannot lock the private server");
    int found = private_site_enter(job->root, create, e);
    if (found <= 0)
        return found;
    int result = act(job, state, e);
    look(job->root, state);
    return result;
}

static void put_text(struct buf *out, const char *text)
{
    buf_puts(out, text ? text : "");
    buf_putc(out, '\0');
}

static void put_number(struct buf *out, long number)
{
    buf_printf(out, "%ld", number);
    buf_putc(out, '\0');
}

static void put(struct buf *out, const struct private_state *state, const struct err *e)
{
    put_number(out, e->code);
    put_text(out, e->message);
    put_text(out, e->hint);
    put_text(out, e->file);
    put_number(out, state->running);
    put_number(out, state->exists);
    put_number(out, state->kept);
    put_number(out, state->ran);
    put_number(out, state->pid);
    put_text(out, state->socket);
    put_text(out, state->data);
    put_text(out, state->version);
}

void private_helper(void *arg)
{
    const struct private_job *job = arg;
    struct private_state state = { 0 };
    struct err e = ERR_INIT, ignored = ERR_INIT;
    struct buf answer = BUF_INIT;
    signal(SIGPIPE, SIG_IGN);
    clean_environment();
    if (work(job, &state, &e) < 0 && e.code == FILE_CODE)
        e.code = PRIVATE_SYSTEM;
    put(&answer, &state, &e);
    int told = job->answer < 0 || file_write_all(job->answer, answer.data, answer.len) == 0;
    /* Who wanted the share is gone, and nobody else will give it back. */
    if (!told && job->action == PRIVATE_ENSURE && !job->held && !e.code &&
        release(job, &state.ran, &ignored) < 0)
        err_fini(&ignored);
    buf_fini(&answer);
    err_fini(&e);
    mem_free(state.socket);
    mem_free(state.data);
    mem_free(state.version);
}

static char *text_of(const char *field)
{
    return *field ? mem_strdup(field) : NULL;
}

int private_helper_answer(const struct buf *answer, struct private_state *state, struct err *e)
{
    const char *field[FIELDS];
    size_t at = 0;
    int n = 0;
    for (; n < FIELDS && at < answer->len; n++) {
        field[n] = answer->data + at;
        at += strlen(field[n]) + 1;
    }
    if (n < FIELDS || at != answer->len)
        return err_set(e, PRIVATE_SYSTEM, "the private server's helper process ended unexpectedly");
    *state = (struct private_state){
        .running = atoi(field[RUNNING]),
        .exists = atoi(field[EXISTS]),
        .kept = atoi(field[IS_KEPT]),
        .ran = atoi(field[RAN]),
        .pid = atol(field[PID]),
        .socket = text_of(field[SOCKET]),
        .data = text_of(field[DATA]),
        .version = text_of(field[VERSION]),
    };
    int code = atoi(field[CODE]);
    if (code == 0)
        return 0;
    err_set(e, code, "%s", field[MESSAGE]);
    if (*field[HINT])
        err_hint(e, "%s", field[HINT]);
    if (*field[PLACE])
        err_at(e, field[PLACE], 0);
    return -1;
}
