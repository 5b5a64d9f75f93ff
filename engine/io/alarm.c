#include "io/alarm.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "io/loop.h"

enum { CODE_SYSTEM = 902, MICRO = 1000000 };

struct alarm {
    int fd;
    struct event *event;
    alarm_fn fn;
    void *arg;
};

/* The kernel ends the wait with ECANCELED when the clock was set. */
static void on_event(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct alarm *alarm = arg;
    uint64_t times;
    ssize_t n = read(fd, &times, sizeof times);
    if (n > 0 || (n < 0 && errno == ECANCELED))
        alarm->fn(alarm->arg, n < 0);
}

struct alarm *alarm_new(struct loop *loop, alarm_fn fn, void *arg, struct err *e)
{
    struct alarm *alarm = mem_zalloc(sizeof *alarm);
    alarm->fn = fn;
    alarm->arg = arg;
    alarm->fd = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (alarm->fd < 0) {
        err_sys(e, CODE_SYSTEM, "cannot make a timer");
        goto fail;
    }
    alarm->event = event_new(loop_base(loop), alarm->fd, EV_READ | EV_PERSIST, on_event, alarm);
    if (!alarm->event || event_add(alarm->event, NULL) < 0) {
        err_set(e, CODE_SYSTEM, "cannot make a timer");
        goto fail;
    }
    return alarm;
fail:
    alarm_free(alarm);
    return NULL;
}

int alarm_set(struct alarm *alarm, int64_t at, struct err *e)
{
    int64_t micro = at > 0 ? at : 1; /* a timer of 0 is none */
    struct itimerspec spec = { .it_value = { .tv_sec = (time_t)(micro / MICRO),
                                             .tv_nsec = (long)(micro % MICRO) * 1000 } };
    if (timerfd_settime(alarm->fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &spec, NULL) == 0)
        return 0;
    if (errno != ECANCELED)
        return err_sys(e, CODE_SYSTEM, "cannot set a timer");
    alarm->fn(alarm->arg, 1); /* it is set, and the clock was, too: no event tells that any more */
    return 0;
}

void alarm_free(struct alarm *alarm)
{
    if (!alarm)
        return;
    if (alarm->event)
        event_free(alarm->event);
    if (alarm->fd >= 0)
        close(alarm->fd);
    mem_free(alarm);
}
