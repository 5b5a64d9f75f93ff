/*
 * One node on its way through the phases: a machine whose every step either ends at once or waits
 * for a connection, an answer of the server, or a Lua handler, and goes on from the loop's next
 * turn. A run has as many of these as threads, and uses each, with its task, for one node after the
 * other.
 */
#ifndef DEX_RUN_NODE_RUN_H
#define DEX_RUN_NODE_RUN_H

#include "base/list.h"
#include "run/node_conn.h"
#include "run/phase.h"
#include "run/run.h"

/*
 * What a phase consists of, in this order. One with a transaction of its own has the first four,
 * others have one of these; a rollback follows any that fails. Behind that of the node's own
 * transaction the handler `again` is asked whether it is to be repeated.
 */
enum node_part {
    PART_LEASE,
    PART_BEGIN,
    PART_CALL,
    PART_COMMIT,
    PART_ROLLBACK,
    PART_AGAIN,
    PART_END
};

enum node_wait { WAIT_NONE, WAIT_CONN, WAIT_SQL, WAIT_CALL };

struct node_run {
    struct list place; /* in run->idle or run->busy */
    struct run *run;
    struct task *task;
    int index; /* of the node */
    int ctx;   /* reference of its table in the registry */
    int phase; /* enum phase_id, or NODE_START */
    enum node_part part;
    enum node_wait waits;
    struct node_conn conn;
    int part_failed; /* the part that just ended did, and its error is kept */
    int began;       /* the node's own transaction, as far as it was not lost with a connection */
    int failed;      /* the node is: what follows is rolling back, on_failure, always, report */
    int cancelled;   /* is to end as cancelled */
    int no_conn;     /* a lease failed: no further try */
    double phase_wall, phase_mono;
};

enum { NODE_START = -1 };

/* An idle slot. Nothing is to be freed later but `task`. */
void node_run_init(struct node_run *slot, struct run *run);

/*
 * Sets off with a node, on a slot that is idle; run_node_over is called at the end, never before
 * this returns. `L` is any thread that may be used now.
 */
void node_run_start(struct node_run *slot, lua_State *L, int index);

/*
 * Ends what the node waits for, unless it has come to its last phases, which are finished. To be
 * repeated until it ends: a handler may catch the error and go on, and a statement may begin in
 * between.
 */
void node_run_cancel(struct node_run *slot);

/* Lets go of everything outside of Lua, in the middle of whatever is going on. */
void node_run_drop(struct node_run *slot);

#endif
