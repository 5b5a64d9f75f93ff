/*
 * The one failure shape of the C side. A function that can fail takes a `struct err *e` as its last
 * argument, gives -1 and fills `*e`; the caller adds what it knows (file, line, hint) and hands it
 * on, or calls err_fini. Codes: 1xx project, 2xx template, 3xx graph, 4xx database, 5xx hook, 6xx
 * flow, 9xx internal; lua/help/errors.lua explains every one.
 */
#ifndef DEX_BASE_ERR_H
#define DEX_BASE_ERR_H

#include "base/attr.h"

/* All strings are owned by the struct. `code` 0 means: no error. `line` 0 means: none. */
struct err {
    int code;
    char *message;
    char *hint;
    char *file;
    int line;
};

#define ERR_INIT ((struct err){ 0 })

/* Fills `e`, dropping what was in it. Gives -1, so that `return err_set(...)` reads well. */
int err_set(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The same with "what: " and the text of errno. */
int err_sys(struct err *e, int code, const char *what);

/* Say where; a copy is made. They give -1 as well. */
int err_at(struct err *e, const char *file, int line);
int err_hint(struct err *e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Moves `from` into `to` (what was in `to` is freed); `from` is empty afterwards. Gives -1. */
int err_move(struct err *to, struct err *from);

/* Frees what `e` holds and empties it; harmless when done twice. */
void err_fini(struct err *e);

#endif
