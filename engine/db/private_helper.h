/*
 * What the helper process of a private server does, and what it answers. It begins as a copy of the
 * process that asks for an action, and tells the answer through a pipe.
 */
#ifndef DEX_DB_PRIVATE_HELPER_H
#define DEX_DB_PRIVATE_HELPER_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "db/private.h"

/* What it needs. Descriptors are -1 where there is none. */
struct private_job {
    enum private_action action;
    const char *root; /* the project, absolute */
    int lock;         /* .dex/pg.lock, open, the helper's own description: its end unlocks */
    int users;        /* .dex/pg.users, open; the lock is the asker's as well */
    int held;         /* the asker has a share */
    int answer;       /* the pipe; -1 when nobody waits for it */
};

/* For child_detach: does the job, a struct private_job, and answers. Blocks. */
void private_helper(void *job);

/*
 * Takes an answer apart: gives 0 and `state`, or -1 and `e`, which is what the helper failed with,
 * or 419 if the answer is not whole. The caller frees the strings.
 */
MUST_CHECK int private_helper_answer(const struct buf *answer, struct private_state *state,
                                     struct err *e);

#endif
