/*
 * A file that is written bit by bit and takes its place at the end, in one step: until then, and
 * when the process is killed, whatever stands there stays as it is. Failures are code 110 with the
 * path.
 */
#ifndef DEX_BASE_DRAFT_H
#define DEX_BASE_DRAFT_H

#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"

struct draft;

/*
 * A new draft of the file, in its folder. Where the file system allows it the draft has no name,
 * and nothing is left of it when the process ends; elsewhere it is the file's name with the
 * process's number and ".tmp". NULL on failure; ended by draft_free.
 */
MUST_CHECK struct draft *draft_new(const char *path, struct err *e);

/* Adds to its end. Not after draft_publish. */
MUST_CHECK int draft_write(struct draft *draft, const void *data, size_t len, struct err *e);

/* It takes its place, once. On failure what stood there still stands. */
MUST_CHECK int draft_publish(struct draft *draft, struct err *e);

/* A draft that was not published is gone. NULL is allowed. */
void draft_free(struct draft *draft);

#endif
