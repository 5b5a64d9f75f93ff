/*
 * What a piece of work has asked of the file system, and what it was told: the work need not be
 * done again while the answers are the same.
 */
#ifndef DEX_BASE_INPUTS_H
#define DEX_BASE_INPUTS_H

#include <stddef.h>
#include <sys/stat.h>

#include "base/buf.h"

enum inputs_kind {
    INPUTS_READ = 'r',   /* the content of a file */
    INPUTS_EXISTS = 'e', /* whether something is there */
    INPUTS_ISDIR = 'd',  /* whether it is a folder */
    INPUTS_SIZE = 's',   /* type and size */
    INPUTS_LIST = 'l',   /* the names in a folder */
    INPUTS_WALK = 'w',   /* the paths of all files below a folder */
    INPUTS_REAL = 'p'    /* the path without links */
};

/* Begins a list, in an empty buffer: files that change from now on are read when it is checked. */
void inputs_begin(struct buf *list);

/*
 * Adds a question. `answer` are bytes that stand for what came back, NULL for "nothing there". For
 * INPUTS_READ, `st` is the file's state from before it was read, NULL when it could not be looked
 * at.
 */
void inputs_note(struct buf *list, enum inputs_kind kind, const char *path, const struct stat *st,
                 const void *answer, size_t len);

/* Adds the questions of another list, which was begun later. */
void inputs_append(struct buf *list, const void *other, size_t len);

/*
 * Asks everything again; 1 when each answer is as it was, but for files that were read and now have
 * another content: their paths are added to `changed`, each with its zero. A file whose size, inode
 * and times are the same is not read again, unless it was changed so near to the time of the list
 * that its times do not tell. Anything that is no list gives 0.
 */
int inputs_compare(const void *list, size_t len, struct buf *changed);

#endif
