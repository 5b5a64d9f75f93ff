#include "db/private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "db/private_helper.h"
#include "io/child.h"

struct private
{
    struct loop *loop;
    char *root;
    int users; /* .dex/pg.users: its lock is the share. -1 when it is not open. */
    int held;  /* the share is ours */
    int lock;  /* .dex/pg.lock, while a folder is to be removed under it; else -1 */

    struct event *event; /* of `answer`, while an action runs */
    int answer;          /* the pipe from the helper */
    struct buf text;
    enum private_action action;
    private_fn done;
    void *arg;

    struct private_state state; /* of the last action */
    struct err error;
};

static void state_fini(struct private_state *state)
{
    mem_free(state->socket);
    mem_free(state->data);
    mem_free(state->version);
    memset(state, 0, sizeof *state);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

struct private *private_new(struct loop *loop, const char *dir, struct err *e)
{
    char real[PATH_MAX];
    if (!realpath(dir, real)) {
        err_sys(e, FILE_CODE, "cannot find the project's folder");
        err_at(e, dir, 0);
        return NULL;
    }
    struct private *p = mem_zalloc(sizeof *p);
    p->loop = loop;
    p->root = mem_strdup(strcmp(real, "/") == 0 ? "" : real);
    p->users = p->lock = p->answer = -1;
    return p;
}

/* As root, leaves what it made in a user's project to that user. */
static void hand_over(const struct private *p, const char *path)
{
    struct stat project;
    if (geteuid() == 0 && stat(*p->root ? p->root : "/", &project) == 0 && project.st_uid != 0 &&
        lchown(path, project.st_uid, project.st_gid) < 0)
        return; /* then it stays root's, which is good enough for root */
}

/* Makes .dex, which version control shall not see. */
static int make_folder(const struct private *p, struct err *e)
{
    int result = 0;
    char *folder = mem_printf("%s/.dex", p->root);
    if (access(folder, F_OK) < 0) {
        char *ignore = mem_printf("%s/.gitignore", folder);
        result = file_mkdirs(folder, e);
        if (result == 0)
            result = file_write_fast(ignore, "*\n", 2, e);
        if (result == 0) {
            hand_over(p, folder);
            hand_over(p, ignore);
        }
        mem_free(ignore);
    }
    mem_free(folder);
    return result;
}

/* Opens a file for its lock. Without `create`, a missing one is no failure and gives *fd -1. */
static int open_lock(const struct private *p, const char *name, int create, int *fd, struct err *e)
{
    char *path = mem_printf("%s/.dex/%s", p->root, name);
    int how = O_CLOEXEC | (create ? O_CREAT : 0);
    *fd = open(path, O_RDWR | how, 0666);
    if (*fd < 0 && (errno == EACCES || errno == EROFS)) /* another user's; reading is enough */
        *fd = open(path, O_RDONLY | O_CLOEXEC);
    int bad = *fd < 0 && (create || (errno != ENOENT && errno != ENOTDIR));
    if (bad) {
        err_sys(e, PRIVATE_SYSTEM, "cannot open the private server's lock");
        err_at(e, path, 0);
    } else if (*fd >= 0 && create) {
        hand_over(p, path);
    }
    mem_free(path);
    return bad ? -1 : 0;
}

/* Gives the share back without waiting: a helper that nobody hears goes on with its lock. */
static void abandon(struct private *p)
{
    struct err ignored = ERR_INIT;
    struct private_job job = {
        .action = PRIVATE_RELEASE, .root = p->root, .users = p->users, .answer = -1
    };
    if (open_lock(p, "pg.lock", 0, &job.lock, &ignored) == 0) {
        const int keep[] = { job.lock, job.users };
        if (child_detach(private_helper, &job, keep, 2, &ignored) < 0)
            err_fini(&ignored); /* the share goes all the same */
        close_fd(&job.lock);
    }
    err_fini(&ignored);
    close_fd(&p->users);
    p->held = 0;
}

/* The end of waiting, however it came. */
static void stop_waiting(struct private *p)
{
    event_free(p->event);
    p->event = NULL;
    close_fd(&p->answer);
}

void private_cancel(struct private *p)
{
    if (!p->event)
        return;
    stop_waiting(p);
    close_fd(&p->lock);
    if (p->action == PRIVATE_RELEASE || p->action == PRIVATE_STOP) {
        p->held = 0;
        close_fd(&p->users);
    } else if (!p->held && p->action == PRIVATE_ENSURE) {
        abandon(p);
    } else if (!p->held) {
        close_fd(&p->users);
    }
}

void private_free(struct private *p)
{
    if (!p)
        return;
    private_cancel(p);
    if (p->users >= 0)
        abandon(p);
    buf_fini(&p->text);
    state_fini(&p->state);
    err_fini(&p->error);
    mem_free(p->root);
    mem_free(p);
}

static void remove_folder(const struct private *p)
{
    char *folder = mem_printf("%s/.dex/pg", p->root);
    rmdir(folder); /* what somebody else has put there stays */
    mem_free(folder);
}

/* The helper has answered, or is gone. */
static void finish(struct private *p)
{
    stop_waiting(p);
    int ok = private_helper_answer(&p->text, &p->state, &p->error) == 0;
    if (p->action == PRIVATE_ENSURE)
        p->held = p->held || ok;
    else if (p->action == PRIVATE_RELEASE || p->action == PRIVATE_STOP ||
             (p->action == PRIVATE_DESTROY && ok))
        p->held = 0;
    if (!p->held)
        close_fd(&p->users);
    if (p->action == PRIVATE_DESTROY && ok)
        remove_folder(p);
    close_fd(&p->lock);
    p->done(p->arg);
}

static void on_answer(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct private *p = arg;
    enum { CHUNK = 4096 };
    for (;;) {
        ssize_t n = read(fd, buf_room(&p->text, CHUNK), CHUNK);
        if (n > 0) {
            p->text.len += (size_t)n;
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        finish(p);
        return;
    }
}

/* Lets the helper go; what it answers comes to on_answer. */
static int start_helper(struct private *p, const struct private_job *start, struct err *e)
{
    struct private_job job = *start;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_sys(e, PRIVATE_SYSTEM, "cannot start the private server's helper process");
    p->answer = ends[0];
    job.answer = ends[1];
    p->event = event_new(loop_base(p->loop), p->answer, EV_READ | EV_PERSIST, on_answer, p);
    const int keep[] = { job.answer, job.lock, job.users };
    int failed =
        !p->event || evutil_make_socket_nonblocking(p->answer) < 0 || event_add(p->event, NULL) < 0;
    if (failed)
        err_set(e, PRIVATE_SYSTEM, "cannot watch the private server's helper process");
    else if (child_detach(private_helper, &job, keep, 3, e) < 0)
        failed = 1;
    close(job.answer);
    if (!failed)
        return 0;
    if (p->event)
        event_free(p->event);
    p->event = NULL;
    close_fd(&p->answer);
    return -1;
}

int private_begin(struct private *p, enum private_action action, private_fn done, void *arg,
                  struct err *e)
{
    if (p->event)
        return err_set(
            e, PRIVATE_IN_USE, "the private server is busy: another task waits for it to %s",
            p->action == PRIVATE_ENSURE || p->action == PRIVATE_START ? "start" : "answer");
    state_fini(&p->state);
    err_fini(&p->error);
    buf_clear(&p->text);
    if (action == PRIVATE_RELEASE && !p->held) {
        done(arg);
        return 0;
    }
    int create = action == PRIVATE_ENSURE || action == PRIVATE_START;
    struct private_job job = { .action = action, .root = p->root, .held = p->held, .lock = -1 };
    if ((create && make_folder(p, e) < 0) || open_lock(p, "pg.lock", create, &job.lock, e) < 0)
        goto fail;
    if (p->users < 0 && (action == PRIVATE_ENSURE || action == PRIVATE_DESTROY) &&
        open_lock(p, "pg.users", create, &p->users, e) < 0)
        goto fail;
    job.users = p->users;
    p->action = action;
    p->done = done;
    p->arg = arg;
    if (start_helper(p, &job, e) < 0)
        goto fail;
    if (action == PRIVATE_DESTROY)
        p->lock = job.lock; /* nobody may make the folder anew before it is gone */
    else
        close_fd(&job.lock);
    return 0;
fail:
    close_fd(&job.lock);
    if (!p->held)
        close_fd(&p->users);
    return -1;
}

int private_result(struct private *p, const struct private_state **state, struct err *e)
{
    *state = &p->state;
    return p->error.code ? err_move(e, &p->error) : 0;
}
