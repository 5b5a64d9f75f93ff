/*
 * The private server's folder, .dex/pg, as the helper process sees it: its working directory, on
 * behalf of the server's user. Everything in it is named relative to it, so that it makes no
 * difference whether that user could walk there from the root.
 *
 *     data      the data folder                 data.new   one that is being made
 *     sock      the folder of the socket        socket     where that is instead, if the path is
 * long log       of initdb and the server        log.1      the one before kept      exists while
 * `db start` holds
 */
#ifndef DEX_DB_PRIVATE_SITE_H
#define DEX_DB_PRIVATE_SITE_H

#include <sys/types.h>

#include "base/attr.h"
#include "base/err.h"

/*
 * Makes the folder of project `root` if `create` says so, enters it and becomes the server's user:
 * ourselves; when we are root, whoever owns the folder, else the project, else `postgres` or
 * `nobody`. Gives 1, or 0 when there is no folder and none was to be made, or -1 (412, 413, 419).
 */
MUST_CHECK int private_site_enter(const char *root, int create, struct err *e);

/* "<root>/.dex/pg/<name>", for messages. The caller frees it. */
char *private_site_path(const char *root, const char *name);

/* How a program is told of a folder in the site. */
struct private_reach {
    char *name;
    int fd; /* for child_spec.keep */
};

/*
 * Fills `reach` for the folder `name`: its path; or, when the server's user may not walk there, a
 * name that goes through an open descriptor. (Its working directory would not do: these programs
 * leave it to look for themselves, and must be able to come back, so they are started in "/".)
 * Gives 0, or -1 and 413 where the system has no such names. private_site_reach_fini is for both.
 */
MUST_CHECK int private_site_reach(const char *root, const char *name, struct private_reach *reach,
                                  struct err *e);
void private_site_reach_fini(struct private_reach *reach);

/*
 * The folder of the socket, where it is or would be. With `create` it is made, outside when the
 * path would be longer than a socket's may be; NULL and 419 when that fails. The caller frees it.
 */
char *private_site_socket(const char *root, int create, struct err *e);

/* Where the socket's folder is when it lies outside, else NULL. The caller frees it. */
char *private_site_outside(void);

/* Removes what a server that is gone left in a socket folder. */
void private_site_clear_socket(const char *folder);

/* Forgets and removes a socket folder that lies outside. */
void private_site_drop_socket(void);

/*
 * Opens the log to add to it; `*start` is its length. A long one is put aside first if `renew`.
 * Gives the descriptor or -1 (419).
 */
MUST_CHECK int private_site_log(const char *root, int renew, off_t *start, struct err *e);

/* Fails with `code`, `what`, and the last lines that the log got since `start`. Gives -1. */
int private_site_fail(const char *root, off_t start, int code, const char *what, struct err *e);

/* Whether the log got this text since `start`. */
int private_site_logged(off_t start, const char *text);

#endif
