/*
 * Cancelling a statement takes a connection of its own, and libpq's PQcancel blocks until the
 * server has closed it, which is when the signal has been sent. So it runs in a thread, which
 * touches nothing but its own struct; a byte in a pipe tells the loop of its end. Nothing is sent
 * on the cancelled connection before that: the signal would hit the wrong statement.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "db/pg.h"

enum { READ, WRITE };

struct pg_cancel {
    PGcancel *handle;
    int pipe[2];
    struct event *event;
    loop_fn arrived;
    void *arg;
    atomic_int users; /* the loop and the thread; the last one frees it */
};

static void leave(struct pg_cancel *cancel)
{
    if (atomic_fetch_sub(&cancel->users, 1) > 1)
        return;
    PQfreeCancel(cancel->handle);
    for (int i = READ; i <= WRITE; i++)
        if (cancel->pipe[i] >= 0)
            close(cancel->pipe[i]);
    mem_free(cancel);
}

static void *work(void *arg)
{
    struct pg_cancel *cancel = arg;
    char text[256], byte = 0;
    if (!PQcancel(cancel->handle, text, sizeof text))
        log_warn("a statement could not be cancelled: %s", text);
    while (write(cancel->pipe[WRITE], &byte, 1) < 0 && errno == EINTR)
        ;
    leave(cancel);
    return NULL;
}

static void on_byte(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct pg_cancel *cancel = arg;
    loop_fn arrived = cancel->arrived;
    void *whom = cancel->arg;
    pg_cancel_forget(cancel);
    arrived(whom);
}

/* Signals are for the thread of the loop. */
static int start_thread(struct pg_cancel *cancel)
{
    pthread_t thread;
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int failed = pthread_create(&thread, NULL, work, cancel);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (!failed)
        pthread_detach(thread);
    return failed;
}

/*
 * Asks the server to end what runs on `pg`, and calls arrived(arg) from the loop when that request
 * has been delivered, or has failed to be. NULL when it cannot be made.
 */
struct pg_cancel *pg_cancel_start(struct loop *loop, PGconn *pg, loop_fn arrived, void *arg)
{
    struct pg_cancel *cancel = mem_zalloc(sizeof *cancel);
    cancel->arrived = arrived;
    cancel->arg = arg;
    cancel->pipe[READ] = cancel->pipe[WRITE] = -1;
    atomic_init(&cancel->users, 2);
    cancel->handle = PQgetCancel(pg);
    if (!cancel->handle || pipe2(cancel->pipe, O_CLOEXEC) < 0)
        goto fail;
    cancel->event = event_new(loop_base(loop), cancel->pipe[READ], EV_READ, on_byte, cancel);
    if (!cancel->event || event_add(cancel->event, NULL) < 0 || start_thread(cancel))
        goto fail;
    return cancel;
fail:
    log_warn("a statement could not be cancelled: the system has no means left");
    leave(cancel); /* for the thread that is not */
    pg_cancel_forget(cancel);
    return NULL;
}

/* Nobody is told any more, but the request still goes out. NULL is allowed. */
void pg_cancel_forget(struct pg_cancel *cancel)
{
    if (!cancel)
        return;
    if (cancel->event)
        event_free(cancel->event);
    leave(cancel);
}
