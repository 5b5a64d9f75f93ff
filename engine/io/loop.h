/*
 * The event loop: libevent's base, work for the next turn, and timers. One thread runs it; nothing
 * here may be called from another.
 */
#ifndef DEX_IO_LOOP_H
#define DEX_IO_LOOP_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "base/attr.h"
#include "base/err.h"

struct loop;

typedef void (*loop_fn)(void *arg);

/* A new loop, or NULL. Free it after everything that has events on it. */
struct loop *loop_new(struct err *e);

/* Frees the loop; deferred calls that did not run are dropped. NULL is allowed. */
void loop_free(struct loop *loop);

/* For event_new and its kin. */
struct event_base *loop_base(struct loop *loop);

/*
 * Runs events until loop_stop. Gives 0 when stopped, -1 when the system fails (code 902). May be
 * called again later, never from inside an event.
 */
MUST_CHECK int loop_run(struct loop *loop, struct err *e);

/*
 * Makes loop_run return after the events of this turn. Before loop_run, it makes that return at
 * once.
 */
void loop_stop(struct loop *loop);

/* Calls fn(arg) once on the next turn, in the order of the calls. */
void loop_defer(struct loop *loop, loop_fn fn, void *arg);

/* Withdraws every deferred call with this `arg`. */
void loop_undefer(struct loop *loop, void *arg);

/* A timer that is a field of its owner. Its fields are nobody's business. */
struct loop_timer {
    struct event event;
    loop_fn fn;
    void *arg;
};

/*
 * Prepares the timer; nothing is to be freed later, but a started one must be stopped before its
 * memory goes.
 */
void loop_timer_init(struct loop_timer *timer, struct loop *loop, loop_fn fn, void *arg);

/* Calls fn(arg) once, `seconds` from now. Starting again moves the time. */
void loop_timer_start(struct loop_timer *timer, double seconds);

/* Harmless when it is not running. */
void loop_timer_stop(struct loop_timer *timer);

#endif
