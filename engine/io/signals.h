/*
 * SIGINT and SIGTERM. The first is told to the loop; the second ends the process at once with
 * status 128 + its number, from the handler itself, so that it works even while Lua is busy.
 * SIGPIPE is ignored: a closed pipe is an ordinary write error. (A child process must set SIGPIPE
 * back to its default.)
 */
#ifndef DEX_IO_SIGNALS_H
#define DEX_IO_SIGNALS_H

#include "base/attr.h"
#include "base/err.h"
#include "io/loop.h"

struct signals;

/* `number` is SIGINT or SIGTERM. Runs in the loop like any event. */
typedef void (*signals_fn)(void *arg, int number);

/*
 * Takes over the signals; only one such struct may live at a time. NULL and code 902 when the
 * system refuses.
 */
struct signals *signals_new(struct loop *loop, signals_fn fn, void *arg, struct err *e);

/*
 * From now on SIGINT never ends the process (`patient`), or the second one does again: for a
 * prompt, at which it is a key like others. Gives what was said before.
 */
int signals_be_patient(int patient);

/* Whether a SIGINT came since this was last asked with `forget`. May be asked while Lua is busy. */
int signals_interrupted(int forget);

/* Gives the signals back to what they did before. NULL is allowed. */
void signals_free(struct signals *signals);

/* "SIGINT" or "SIGTERM". */
const char *signals_name(int number);

#endif
