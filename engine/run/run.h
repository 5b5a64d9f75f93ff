/*
 * A run: the nodes of a graph, each taken through its phases (run/phase.h, run/node_run.h) as soon
 * as its parents are done, on at most `threads` tasks and connections at once. lib_run.c is what
 * Lua sees of it.
 */
#ifndef DEX_RUN_RUN_H
#define DEX_RUN_RUN_H

#include <lua.h>

#include "base/list.h"
#include "graph/dag.h"
#include "graph/sched.h"
#include "io/loop.h"
#include "script/task.h"
#include "script/vm.h"

struct node_run;
struct pool;

/* What a run keeps in Lua: a table in the registry, whose key there is the run's address. */
enum run_value {
    RUN_SELF = 1, /* the userdata that holds the run: it lives until all has ended */
    RUN_POOL,     /* keeps the pool alive */
    RUN_NODES,    /* list of {id=, kind=, node=, ...} */
    RUN_HANDLERS, /* functions by phase name */
    RUN_COUNTS,   /* number of nodes by status, filled as they end */
    RUN_DEFECT,   /* the first error of a handler that may not fail (report, skip) */
    RUN_OWNER,    /* whose it is, for who cancels some of the runs: any value, or nil */
    RUN_REASON    /* of the cancellation, a string */
};

/* Why a node did not start. */
enum run_skip { RUN_SKIP_ANCESTOR, RUN_SKIP_FAIL_FAST, RUN_SKIP_CANCELLED, RUN_SKIP_DEFECT };

struct run_skipped {
    int node, cause; /* `cause` is a node, or SCHED_STOPPED */
    enum run_skip why;
};

/* Fields are for the files of this folder. All zero before run_start, but `dag`. */
struct run {
    struct list place; /* among the active runs: lib_run.c */
    struct vm *vm;
    struct dag *dag;   /* owned; frozen, without a cycle */
    struct pool *pool; /* NULL: no node gets a connection */
    int holds_pool;    /* pool_hold, while nodes may run */
    struct sched *sched;
    struct node_run *slots; /* one for each thread */
    int slot_count;
    struct list idle, busy; /* of struct node_run */
    int fail_fast, cancelled, over;
    int held;               /* no node starts: run_hold */
    enum run_skip stop_why; /* of what sched_stop skips */
    int stop_cause;
    struct run_skipped *skipped; /* in the order in which they are told */
    int skipped_count, told_count;
    struct task *teller; /* calls the skip handler, for one node after the other */
    int telling, teller_ctx;
    struct loop_timer tick; /* while cancelled: asks again those that did not stop */
    struct task *waiter;    /* who waits for the end, or NULL */
};

/*
 * Starts. `weights` is one number per node or NULL, and not kept; `threads` is at least 1. The
 * table of enum run_value is in the registry. No handler is called before the loop's next turn;
 * without nodes the run is over at once (run->over). Otherwise run->waiter is resumed at the end.
 */
void run_start(struct run *run, struct vm *vm, const double *weights, int threads);

/*
 * No node starts any more, what runs on the server is cancelled, other waits end with error 907,
 * and each node that runs is rolled back and reported as cancelled. `reason` is for the summary.
 * Does not wait; harmless when done twice.
 */
void run_cancel(struct run *run, const char *reason);

/* While it is held no node starts; those that run go on. Does not wait. */
void run_hold(struct run *run, int held);

/*
 * Frees what the run holds outside of Lua, even in the middle of everything: connections in use are
 * closed then, and nobody is told. Harmless when done twice.
 */
void run_fini(struct run *run);

/* Pushes one of the values above. */
void run_push(const struct run *run, lua_State *L, enum run_value which);

/* Pops a value and stores it as RUN_DEFECT unless there is one already; nothing new starts. */
void run_defect(struct run *run, lua_State *L);

/* Adds one to the count of the status of the ctx on top of the stack, which stays there. */
void run_count(const struct run *run, lua_State *L);

/* A text of a node's description, "id" or "kind". It belongs to the list of nodes and lives as long
 * as the run. */
const char *run_node_text(const struct run *run, lua_State *L, int node, const char *field);

/* Pushes a new table for a node: id, node, index. */
void run_push_ctx(const struct run *run, lua_State *L, int node);

/* For node_run.c: the slot's node has been reported. `blocks`: what is below it is skipped. May
 * free the slot. */
void run_node_over(struct run *run, struct node_run *slot, int blocks);

#endif
