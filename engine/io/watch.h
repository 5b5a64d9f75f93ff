/*
 * Hears from the system (inotify) that a file was touched: written, or its times set; or that a
 * folder has changed. Linux only; nothing here looks at the clock.
 */
#ifndef DEX_IO_WATCH_H
#define DEX_IO_WATCH_H

#include "base/attr.h"
#include "base/err.h"

struct loop;
struct watch;

/* Runs in the loop like any event; many touches may come as one call. May free the watch. */
typedef void (*watch_fn)(void *arg);

/*
 * Watches a file that exists. NULL and code 110 when it does not, code 902 when the system has no
 * watch left to give.
 */
MUST_CHECK struct watch *watch_new(struct loop *loop, const char *path, watch_fn fn, void *arg,
                                   struct err *e);

/*
 * The same for a folder: what is made, written, moved or deleted directly in it. What is written is
 * told when its writer closes it.
 */
MUST_CHECK struct watch *watch_folder(struct loop *loop, const char *path, watch_fn fn, void *arg,
                                      struct err *e);

/* Ends it: `fn` is not called any more. NULL is allowed. */
void watch_free(struct watch *watch);

#endif
