#include "io/watch.h"

#include <errno.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/loop.h"

enum { CODE_FILE = 110, CODE_SYSTEM = 902, ROOM = 4096 };

struct watch {
    int fd;
    struct event *event;
    watch_fn fn;
    void *arg;
};

/* What happened is of no interest, that something did is: all that is queued is one call. */
static void on_touch(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct watch *watch = arg;
    char room[ROOM];
    int any = 0;
    while (read(fd, room, sizeof room) > 0)
        any = 1;
    if (any)
        watch->fn(watch->arg);
}

static struct watch *start(struct loop *loop, const char *path, uint32_t mask, watch_fn fn,
                           void *arg, struct err *e)
{
    struct watch *watch = mem_zalloc(sizeof *watch);
    watch->fn = fn;
    watch->arg = arg;
    watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (watch->fd < 0) {
        err_sys(e, CODE_SYSTEM, "cannot watch files (inotify)");
        err_hint(e, "more may be allowed: fs.inotify.max_user_instances");
        goto fail;
    }
    if (inotify_add_watch(watch->fd, path, mask) < 0) {
        int no_room = errno == ENOSPC || errno == ENOMEM;
        err_sys(e, no_room ? CODE_SYSTEM : CODE_FILE, "cannot watch it for changes");
        err_at(e, path, 0);
        if (no_room)
            err_hint(e, "more may be allowed: fs.inotify.max_user_watches");
        goto fail;
    }
    watch->event = event_new(loop_base(loop), watch->fd, EV_READ | EV_PERSIST, on_touch, watch);
    if (!watch->event || event_add(watch->event, NULL) < 0) {
        err_set(e, CODE_SYSTEM, "cannot watch files");
        goto fail;
    }
    return watch;
fail:
    watch_free(watch);
    return NULL;
}

struct watch *watch_new(struct loop *loop, const char *path, watch_fn fn, void *arg, struct err *e)
{
    return start(loop, path, IN_MODIFY | IN_ATTRIB, fn, arg, e);
}

struct watch *watch_folder(struct loop *loop, const char *path, watch_fn fn, void *arg,
                           struct err *e)
{
    const uint32_t mask = IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE;
    return start(loop, path, mask | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR, fn, arg, e);
}

void watch_free(struct watch *watch)
{
    if (!watch)
        return;
    if (watch->event)
        event_free(watch->event);
    if (watch->fd >= 0)
        close(watch->fd);
    mem_free(watch);
}
