/* Where PostgreSQL's programs are. The functions may run a program and so may block. */
#ifndef DEX_DB_PRIVATE_BIN_H
#define DEX_DB_PRIVATE_BIN_H

#include "base/attr.h"
#include "base/err.h"

/*
 * The first folder with `initdb` and `postgres` that this process may run: DEX_PG_BIN and nothing
 * else when it is set, else PATH, then where systems put them, newest first. With `major` above 0,
 * the first of that major version. The caller frees it. NULL and code 410 if there is none, 411 if
 * there are only others.
 */
char *private_bin_server(int major, struct err *e);

/* The path of psql, from the same places. The caller frees it. NULL and code 410 if there is none.
 */
char *private_bin_psql(struct err *e);

#endif
