#include "base/slab.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { BLOCK = 256 * 1024 };

/* A checker of memory sees each object only if malloc made it. */
#if defined(__SANITIZE_ADDRESS__) || defined(DEX_FREE_AT_EXIT)
enum { SMALL = 0 };
#else
enum { SMALL = SLAB_MOST };
#endif

/* What a block begins with; its pieces follow, aligned as malloc's. */
struct block {
    struct block *next;
    size_t carved; /* bytes of pieces, once it is not the newest any more */
};

_Static_assert(sizeof(struct block) <= SLAB_STEP, "pieces begin behind it");

void slab_init(struct slab *slab)
{
    memset(slab, 0, sizeof *slab);
}

static size_t class_of(size_t size)
{
    return (size - 1) / SLAB_STEP;
}

static int is_small(size_t size)
{
    return size > 0 && size <= SMALL;
}

/* The newest block is not carved any further. */
static void settle(struct slab *slab)
{
    struct block *block = slab->blocks;
    if (slab->at)
        block->carved = (size_t)(slab->at - (char *)block) - SLAB_STEP;
    slab->at = slab->end = NULL;
}

/* A piece from the newest block, or a new one; what is left of the old block is not used. */
static void *carve(struct slab *slab, size_t size)
{
    if ((size_t)(slab->end - slab->at) < size) {
        struct block *block = malloc(BLOCK);
        if (!block)
            return NULL;
        settle(slab);
        block->next = slab->blocks;
        slab->blocks = block;
        slab->at = (char *)block + SLAB_STEP;
        slab->end = (char *)block + BLOCK;
    }
    void *piece = slab->at;
    slab->at += size;
    return piece;
}

static void *take(struct slab *slab, size_t size)
{
    if (!is_small(size))
        return malloc(size);
    size_t class = class_of(size);
    void **piece = slab->free[class];
    if (!piece)
        return carve(slab, (class + 1) * SLAB_STEP);
    slab->free[class] = *piece;
    return piece;
}

static void give(struct slab *slab, void *p, size_t size)
{
    if (!is_small(size)) {
        free(p);
        return;
    }
    *(void **)p = slab->free[class_of(size)];
    slab->free[class_of(size)] = p;
}

void *slab_resize(struct slab *slab, void *p, size_t old, size_t wanted)
{
    if (wanted == 0) {
        if (p)
            give(slab, p, old);
        return NULL;
    }
    if (!p)
        return take(slab, wanted);
    if (is_small(old) && is_small(wanted) && class_of(old) == class_of(wanted))
        return p;
    if (!is_small(old) && !is_small(wanted)) {
        void *q = realloc(p, wanted);
        return q || wanted > old ? q : p;
    }
    void *q = take(slab, wanted);
    if (!q && wanted <= old) /* Lua cannot bear that: end as everything else does without memory */
        q = mem_alloc(wanted);
    if (!q)
        return NULL;
    memcpy(q, p, old < wanted ? old : wanted);
    give(slab, p, old);
    return q;
}

/* A block while its free pieces are counted. */
struct census {
    struct block *block;
    size_t free;
};

static int by_address(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)((const struct census *)a)->block;
    uintptr_t y = (uintptr_t)((const struct census *)b)->block;
    return x < y ? -1 : x > y;
}

/* The block that a piece lies in: the last one that does not begin behind it. */
static struct census *census_of(struct census *all, size_t n, const void *piece)
{
    size_t low = 0;
    while (n > 1) {
        size_t half = n / 2;
        if ((uintptr_t)all[low + half].block <= (uintptr_t)piece)
            low += half;
        n -= half;
    }
    return &all[low];
}

static int is_empty(const struct census *census)
{
    return census->free == census->block->carved;
}

/* Takes the pieces of empty blocks out of the lists of what is free. */
static void forget_pieces(struct slab *slab, struct census *all, size_t n)
{
    for (size_t i = 0; i < SLAB_MOST / SLAB_STEP; i++) {
        void **link = &slab->free[i];
        while (*link) {
            if (is_empty(census_of(all, n, *link)))
                *link = *(void **)*link;
            else
                link = *link;
        }
    }
}

void slab_trim(struct slab *slab)
{
    size_t n = 0, left = 0;
    settle(slab);
    for (struct block *block = slab->blocks; block; block = block->next)
        n++;
    if (n == 0)
        return;
    struct census *all = mem_alloc(n * sizeof *all);
    for (struct block *block = slab->blocks; block; block = block->next)
        all[left++] = (struct census){ .block = block };
    qsort(all, n, sizeof *all, by_address);
    for (size_t i = 0; i < SLAB_MOST / SLAB_STEP; i++)
        for (void *piece = slab->free[i]; piece; piece = *(void **)piece)
            census_of(all, n, piece)->free += (i + 1) * SLAB_STEP;
    forget_pieces(slab, all, n);
    slab->blocks = NULL;
    for (size_t i = 0; i < n; i++) {
        if (is_empty(&all[i])) {
            free(all[i].block);
        } else {
            all[i].block->next = slab->blocks;
            slab->blocks = all[i].block;
        }
    }
    mem_free(all);
}

void slab_fini(struct slab *slab)
{
    struct block *block = slab->blocks;
    while (block) {
        struct block *next = block->next;
        free(block);
        block = next;
    }
    slab_init(slab);
}
