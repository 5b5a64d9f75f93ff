/*
 * The server process of a private server: looked at, started, stopped. All in the site of a project
 * (private_site.h), under its lock; what waits here blocks.
 */
#ifndef DEX_DB_PRIVATE_SERVER_H
#define DEX_DB_PRIVATE_SERVER_H

#include <sys/types.h>

#include "base/attr.h"
#include "base/err.h"

enum private_phase { PRIVATE_DOWN, PRIVATE_STARTING, PRIVATE_READY, PRIVATE_STOPPING };

/*
 * What the server does just now. A pid file that a dead server left, whose number may be another
 * process's by now, counts for nothing. `*pid` is 0 when there is no server, or when it takes
 * connections but its process is not to be seen: it is in another container that shares the folder.
 * Does not wait.
 */
enum private_phase private_server_look(pid_t *pid);

/*
 * Lets it run and take connections, whatever it does just now; the data exists. It leads a session
 * of its own, writes to the log, and outlives us. Gives 0 or -1 (410, 411, 413, 415, 416, 419).
 */
MUST_CHECK int private_server_up(const char *root, struct err *e);

/*
 * Stops it and waits for its end: it drops its clients and writes everything to disk, or less
 * carefully if that takes very long; no committed data is lost either way. `*ran` tells whether
 * there was one. Gives 0 or -1 (418, 419).
 */
MUST_CHECK int private_server_down(const char *root, int *ran, struct err *e);

/* The major version that made the data, like "15"; NULL when there is none. The caller frees it. */
char *private_server_version(void);

#endif
