#include "io/loop.h"

#include <math.h>

#include "base/list.h"
#include "base/mem.h"

struct loop {
    struct event_base *base;
    struct event *turn;   /* active while `deferred` is not empty */
    struct list deferred; /* of struct call */
    struct list running;  /* those of this turn */
    int stopped;
};

struct call {
    struct list node;
    loop_fn fn;
    void *arg;
};

/* Runs what was deferred before this turn. A call may defer more, or withdraw one of the others. */
static void run_turn(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct loop *loop = arg;
    list_splice(&loop->running, &loop->deferred);
    struct list *first;
    while ((first = list_first(&loop->running))) {
        struct call call = *list_entry(first, struct call, node);
        list_remove(first);
        mem_free(list_entry(first, struct call, node));
        call.fn(call.arg);
    }
}

struct loop *loop_new(struct err *e)
{
    struct loop *loop = mem_zalloc(sizeof *loop);
    list_init(&loop->deferred);
    list_init(&loop->running);
    loop->base = event_base_new();
    if (loop->base)
        loop->turn = event_new(loop->base, -1, 0, run_turn, loop);
    if (!loop->turn) {
        loop_free(loop);
        err_set(e, 902, "the system gives no event loop");
        return NULL;
    }
    return loop;
}

static void drop_calls(struct list *calls, const void *arg, int all)
{
    list_each (it, calls) {
        struct call *call = list_entry(it, struct call, node);
        if (all || call->arg == arg) {
            list_remove(it);
            mem_free(call);
        }
    }
}

void loop_free(struct loop *loop)
{
    if (!loop)
        return;
    drop_calls(&loop->deferred, NULL, 1);
    drop_calls(&loop->running, NULL, 1);
    if (loop->turn)
        event_free(loop->turn);
    if (loop->base)
        event_base_free(loop->base);
    mem_free(loop);
}

struct event_base *loop_base(struct loop *loop)
{
    return loop->base;
}

int loop_run(struct loop *loop, struct err *e)
{
    int failed = 0;
    while (!loop->stopped && !failed)
        failed = event_base_loop(loop->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY) < 0;
    loop->stopped = 0;
    return failed ? err_set(e, 902, "the event loop failed") : 0;
}

void loop_stop(struct loop *loop)
{
    loop->stopped = 1;
    event_active(loop->turn, EV_TIMEOUT, 1); /* wakes a loop that would sleep */
}

void loop_defer(struct loop *loop, loop_fn fn, void *arg)
{
    struct call *call = mem_alloc(sizeof *call);
    *call = (struct call){ .fn = fn, .arg = arg };
    if (list_empty(&loop->deferred))
        event_active(loop->turn, EV_TIMEOUT, 1);
    list_append(&loop->deferred, &call->node);
}

void loop_undefer(struct loop *loop, void *arg)
{
    drop_calls(&loop->deferred, arg, 0);
    drop_calls(&loop->running, arg, 0);
}

static void timer_fired(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct loop_timer *timer = arg;
    timer->fn(timer->arg);
}

void loop_timer_init(struct loop_timer *timer, struct loop *loop, loop_fn fn, void *arg)
{
    timer->fn = fn;
    timer->arg = arg;
    event_assign(&timer->event, loop->base, -1, 0, timer_fired, timer);
}

void loop_timer_start(struct loop_timer *timer, double seconds)
{
    enum { DAY = 86400 };
    if (!(seconds > 0))
        seconds = 0;
    if (seconds > 36500.0 * DAY)
        seconds = 36500.0 * DAY;
    struct timeval tv;
    tv.tv_sec = (time_t)seconds;
    tv.tv_usec = (suseconds_t)((seconds - floor(seconds)) * 1e6);
    event_add(&timer->event, &tv);
}

void loop_timer_stop(struct loop_timer *timer)
{
    event_del(&timer->event);
}
