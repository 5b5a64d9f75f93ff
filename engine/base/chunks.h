/*
 * A file of byte strings, each found by its number without reading the others. Written once, as a
 * whole; a file that is cut short or changed anywhere is told by its checksum.
 */
#ifndef DEX_BASE_CHUNKS_H
#define DEX_BASE_CHUNKS_H

#include <stddef.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"

struct chunk_writer;
struct chunk_file;

/*
 * A file in the making: a neighbour of `path`, which it replaces in one step when it is finished.
 * Gives NULL with code 110 when it cannot be created. The caller frees it.
 */
struct chunk_writer *chunk_writer_new(const char *path, struct err *e);

/*
 * The same for a file without a name, in `folder` or, where that cannot be, in the system's folder
 * for such files; it is gone with its last descriptor, however its processes end.
 */
struct chunk_writer *chunk_writer_unnamed(const char *folder, struct err *e);

/* Adds a chunk; the first has the number 0. A failure to write shows when the file is finished. */
void chunk_writer_add(struct chunk_writer *w, const void *data, size_t len);

/* Adds `text` to the chunk that was added last. */
void chunk_writer_extend(struct chunk_writer *w, const void *text, size_t len);

/* How many chunks there are. */
size_t chunk_writer_count(const struct chunk_writer *w);

/* Whether the file is made under a name. */
int chunk_writer_is_named(const struct chunk_writer *w);

/* Puts the file in its place, if it has a name; code 110 when anything of it could not be written.
 */
MUST_CHECK int chunk_writer_finish(struct chunk_writer *w, struct err *e);

/* Frees it, and removes what was not finished. NULL is allowed. */
void chunk_writer_free(struct chunk_writer *w);

/*
 * Opens a file and checks all of it. Gives NULL when there is none, when it cannot be read, and
 * when it is not exactly as it was written: none of these is worth more words, since the file can
 * be made again. The caller frees it; it stays whole when another file takes its name meanwhile.
 */
struct chunk_file *chunk_file_open(const char *path);

/*
 * The same for what a writer has finished: for the only way to a file without a name. It may have
 * been finished in another process, a copy of this one from after the writer was made.
 */
struct chunk_file *chunk_file_of(const struct chunk_writer *w);

/* How many chunks there are. */
size_t chunk_file_count(const struct chunk_file *f);

/*
 * Adds chunks `from` to `to`, both included and both there, to `out`. Code 110 when the file has
 * become unreadable.
 */
MUST_CHECK int chunk_file_read(struct chunk_file *f, size_t from, size_t to, struct buf *out,
                               struct err *e);

/* Writes the same to an open descriptor, a piece at a time; code 110. */
MUST_CHECK int chunk_file_copy(struct chunk_file *f, size_t from, size_t to, int fd, struct err *e);

/*
 * Adds the chunk to the one that was added last to `w`, which is of another file. It is quick for
 * chunks in their order. Code 110 as above.
 */
MUST_CHECK int chunk_file_extend(struct chunk_file *f, size_t number, struct chunk_writer *w,
                                 struct err *e);

/* Closes it; NULL is allowed. */
void chunk_file_free(struct chunk_file *f);

#endif
