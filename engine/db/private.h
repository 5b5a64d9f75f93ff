/*
 * A project's private PostgreSQL: the data in <project>/.dex/pg, reached through a Unix socket
 * only, shared by all processes that work on the project.
 *
 * Whoever uses the server holds a share: a shared lock on .dex/pg.users, which the system drops
 * when its holder dies, however it dies. The last one to give its share back stops the server,
 * unless `db start` said to keep it. Every change of state is made under the lock .dex/pg.lock, by
 * a helper process (private_helper.c): it may block, and as root it is nobody special any more
 * before it touches the server. So the loop here never waits, and an action that nobody waits for
 * any longer still ends properly.
 */
#ifndef DEX_DB_PRIVATE_H
#define DEX_DB_PRIVATE_H

#include "base/attr.h"
#include "base/err.h"
#include "io/loop.h"

/* Codes of failures; the messages name the log or the folder. */
enum {
    PRIVATE_NO_PROGRAM = 410,
    PRIVATE_OTHER_VERSION = 411,
    PRIVATE_NO_USER = 412,
    PRIVATE_NOT_OURS = 413,
    PRIVATE_NOT_CREATED = 414,
    PRIVATE_ENDED = 415,
    PRIVATE_SLOW_START = 416,
    PRIVATE_IN_USE = 417,
    PRIVATE_SLOW_STOP = 418,
    PRIVATE_SYSTEM = 419
};

/* The server's port, a part of its socket's name, and the user and database that always exist. */
#define PRIVATE_PORT "5432"
#define PRIVATE_NAME "dex"

enum private_action {
    PRIVATE_ENSURE,  /* takes a share; creates and starts the server when needed */
    PRIVATE_RELEASE, /* gives the share back; the last one stops a server that is not kept */
    PRIVATE_START,   /* starts the server and keeps it, with or without shares */
    PRIVATE_STOP,    /* stops it whoever uses it, and keeps it no longer; the share is gone */
    PRIVATE_STATUS,  /* only looks */
    PRIVATE_DESTROY  /* stops it and deletes the data; fails (417) when others use it */
};

/* What the last action found or left. The strings are NULL where there is nothing to name. */
struct private_state {
    int running;   /* and takes connections */
    int exists;    /* there is data */
    int kept;      /* until PRIVATE_STOP */
    int ran;       /* STOP: it was running. DESTROY: there was something. */
    long pid;      /* 0 when it does not run */
    char *socket;  /* the folder with the socket: libpq's host */
    char *data;    /* the data folder */
    char *version; /* the data's major version, like "15" */
};

struct private;

/* Called once per action, on the loop or before private_begin returns; ask private_result. */
typedef void (*private_fn)(void *arg);

/* The server of the project folder `dir`, which must exist (code 110). Touches nothing. */
struct private *private_new(struct loop *loop, const char *dir, struct err *e);

/* Cancels, and gives the share back without waiting for it. NULL is allowed. */
void private_free(struct private *p);

/*
 * Begins an action. Gives -1 when that is impossible, and `done` is not called; code 417 when
 * another action of this struct still runs.
 */
MUST_CHECK int private_begin(struct private *p, enum private_action action, private_fn done,
                             void *arg, struct err *e);

/*
 * Once `done` was called: whether it failed (-1, and the error moves to `e`). `*state` is valid
 * until the next action begins.
 */
MUST_CHECK int private_result(struct private *p, const struct private_state **state, struct err *e);

/*
 * Stops waiting: `done` will not be called. What has begun goes on without us, and a share that was
 * about to be taken is given back behind our back. Nothing happens when no action runs.
 */
void private_cancel(struct private *p);

#endif
