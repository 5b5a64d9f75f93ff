/*
 * A web server for the files of one folder: GET and HEAD, one request a connection. It is for a
 * person's browser on the same machine, so it answers only requests that were sent to its own
 * address by name (a page elsewhere cannot read the files through a name that it controls).
 */
#ifndef DEX_IO_WEB_H
#define DEX_IO_WEB_H

#include "base/attr.h"
#include "base/err.h"

struct loop;
struct web;

/*
 * Listens on a numeric IPv4 or IPv6 address; port 0 is any free one. `dir` is copied. Gives NULL
 * and an error of code 110 when the address cannot be had.
 */
MUST_CHECK struct web *web_new(struct loop *loop, const char *dir, const char *host, int port,
                               struct err *e);

/* The port that it listens on. */
int web_port(const struct web *web);

/* Closes it and every connection. NULL is allowed. */
void web_free(struct web *web);

#endif
