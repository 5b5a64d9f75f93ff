#include "base/slab.h"

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

/* A piece from the newest block, or a new one; what is left of the old block is not used. */
static void *carve(struct slab *slab, size_t size)
{
    if ((size_t)(slab->end - slab->at) < size) {
        char *block = malloc(BLOCK);
        if (!block)
            return NULL;
        *(void **)(void *)block = slab->blocks;
        slab->blocks = block;
        slab->at = block + SLAB_STEP; /* pieces are aligned as malloc's */
        slab->end = block + BLOCK;
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

void slab_fini(struct slab *slab)
{
    void *block = slab->blocks;
    while (block) {
        void *next = *(void **)block;
        free(block);
        block = next;
    }
    slab_init(slab);
}
