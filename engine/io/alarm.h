/*
 * Wakes at a time of the wall clock, as a person would: when somebody sets the clock, or the
 * machine has slept, what counts is the time that it is, not how long it took.
 */
#ifndef DEX_IO_ALARM_H
#define DEX_IO_ALARM_H

#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"

struct loop;
struct alarm;

/* Runs in the loop like any event: the time has come, or (`changed`) the clock was set. */
typedef void (*alarm_fn)(void *arg, int changed);

/* One that is not set. NULL and code 902 when the system has none to give. */
MUST_CHECK struct alarm *alarm_new(struct loop *loop, alarm_fn fn, void *arg, struct err *e);

/*
 * Calls fn once, at a time in microseconds since 1970, or when the clock is set before that;
 * INT64_MAX: only then. Setting it again moves the time; if the clock was set since, which nobody
 * was told yet, fn is called at once. -1 and code 902 when the system refuses.
 */
MUST_CHECK int alarm_set(struct alarm *alarm, int64_t at, struct err *e);

/* Frees it: `fn` is not called any more. NULL is allowed. */
void alarm_free(struct alarm *alarm);

#endif
