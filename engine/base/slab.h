/*
 * Memory for many small objects whose sizes their owner knows, as a Lua allocator's does: pieces of
 * a size are handed out again from a list, which is several times as fast as malloc. Large pieces
 * are malloc's. Nothing goes back to the system before slab_trim and slab_fini.
 */
#ifndef DEX_BASE_SLAB_H
#define DEX_BASE_SLAB_H

#include <stddef.h>

enum { SLAB_STEP = 16, SLAB_MOST = 512 };

struct slab {
    void *free[SLAB_MOST / SLAB_STEP]; /* by size: each piece points to the next */
    char *at, *end;                    /* what is left of the newest block */
    void *blocks;                      /* the newest first; see slab.c */
};

/* An empty one holds no memory. */
void slab_init(struct slab *slab);

/*
 * As realloc: `p` is NULL (then `old` is 0) or holds `old` bytes; `wanted` 0 frees it and gives
 * NULL. NULL for want of memory, when `p` stays as it was; never when `wanted` is at most `old`.
 */
void *slab_resize(struct slab *slab, void *p, size_t old, size_t wanted);

/*
 * Gives back to the system the blocks of which no piece is in use: after much was freed, as it goes
 * through all free pieces.
 */
void slab_trim(struct slab *slab);

/* Frees all blocks and with them every small piece; large ones are freed by now. */
void slab_fini(struct slab *slab);

#endif
