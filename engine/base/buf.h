/* A byte string that grows. A buffer of zeros (BUF_INIT) is empty and holds no memory. */
#ifndef DEX_BASE_BUF_H
#define DEX_BASE_BUF_H

#include <stddef.h>

#include "base/attr.h"

/*
 * `data` is terminated by a zero that `len` does not count, or NULL while nothing was ever added.
 */
struct buf {
    char *data;
    size_t len, cap;
};

#define BUF_INIT ((struct buf){ 0 })

/*
 * Room for `n` more bytes and the zero; gives where they go. The caller adds what it wrote to
 * `len`.
 */
char *buf_room(struct buf *b, size_t n);

/* Add bytes, a string, what printf would print; none of it may be memory of the buffer's own. */
void buf_add(struct buf *b, const void *p, size_t n);
void buf_puts(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Adds one byte. */
static inline void buf_putc(struct buf *b, char c)
{
    if (b->len + 1 >= b->cap)
        buf_room(b, 1);
    b->data[b->len++] = c;
    b->data[b->len] = '\0';
}

/* Empties the buffer and keeps its memory. */
void buf_clear(struct buf *b);

/*
 * Gives the string, never NULL, to the caller, who frees it with mem_free; the buffer is empty
 * again.
 */
char *buf_take(struct buf *b);

/* Frees the memory and empties the buffer; harmless when done twice. */
void buf_fini(struct buf *b);

#endif
