/*
 * Files. Paths are passed to the system as they are, so they may be relative. Failures are code 110
 * and carry the path in `e->file`.
 */
#ifndef DEX_BASE_FILE_H
#define DEX_BASE_FILE_H

#include <stddef.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"

enum { FILE_CODE = 110 };

/* Adds the whole file to `out`. */
MUST_CHECK int file_read(const char *path, struct buf *out, struct err *e);

/*
 * Replaces the file's content in one step: readers see the old or the new one, never a part.
 * Written to a neighbour, flushed to the disk, renamed. A path that names something else than a
 * regular file (a device, a pipe) is written to directly.
 */
MUST_CHECK int file_write(const char *path, const void *data, size_t len, struct err *e);

/* The same without the flush, for what can be made again. */
MUST_CHECK int file_write_fast(const char *path, const void *data, size_t len, struct err *e);

/*
 * Sees to it that the file has this content, for many small files that can be made again: one that
 * has it already is left alone, any other is written in place, so that a reader may see a part.
 */
MUST_CHECK int file_update(const char *path, const void *data, size_t len, struct err *e);

/* Adds to the end of the file, which is created when it is missing. */
MUST_CHECK int file_append(const char *path, const void *data, size_t len, struct err *e);

/* Writes everything to an open descriptor, or fails with errno set (-1). */
MUST_CHECK int file_write_all(int fd, const void *data, size_t len);

/* Makes the folder and those above it; nothing happens when it exists. */
MUST_CHECK int file_mkdirs(const char *path, struct err *e);

/*
 * Called with each path relative to the root, valid during the call only. Other than 0 ends the
 * walk.
 */
typedef int (*file_walk_fn)(void *arg, const char *path);

/*
 * Calls `fn` for every file below `root`, sorted by the bytes of the path. Symbolic links are
 * followed, but never into a folder that is being walked; `.git` folders and broken links are
 * skipped. Gives the result of the `fn` that ended the walk, or 0, or -1.
 */
MUST_CHECK int file_walk(const char *root, file_walk_fn fn, void *arg, struct err *e);

/* Calls `fn` for every name in one folder, sorted by bytes, without `.` and `..`. */
MUST_CHECK int file_list(const char *path, file_walk_fn fn, void *arg, struct err *e);

/*
 * Removes a file, or a folder with all it holds, following no links. A missing path is no failure.
 */
MUST_CHECK int file_remove_tree(const char *path, struct err *e);

#endif
