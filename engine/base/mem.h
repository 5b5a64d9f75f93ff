/*
 * Memory. Nothing here ever gives NULL: when the system has no memory left, one line goes to
 * standard error and the process aborts. (The Lua allocator in script/vm.c is the exception: it
 * gives NULL, and Lua raises an error that a task can survive.)
 */
#ifndef DEX_BASE_MEM_H
#define DEX_BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>

#include "base/attr.h"

/* `n` bytes, not initialised. `n` may be 0. The caller frees what these functions give. */
void *mem_alloc(size_t n);

/* `n` bytes of zeros. */
void *mem_zalloc(size_t n);

/* Makes `p` (or NULL) `n` bytes long; `p` is no longer valid. */
void *mem_realloc(void *p, size_t n);

/* A copy of `s`, which may be NULL: then the copy is NULL too. */
char *mem_strdup(const char *s);

/* A terminated copy of the first `n` bytes of `s`, zeros among them included. */
char *mem_strndup(const char *s, size_t n);

/* What printf would print, as a string. */
char *mem_printf(const char *fmt, ...) PRINTF_LIKE(1, 2);
char *mem_vprintf(const char *fmt, va_list args) PRINTF_LIKE(1, 0);

/* Frees `p`; NULL is allowed. */
void mem_free(void *p);

#endif
