/*
 * Which node runs next: of those whose parents are all done, the one with the longest remaining
 * path (ties: the lowest index), and never more at once than there are threads. A node is waiting,
 * ready, running, or over (done, failed, skipped), each in turn; what is over stays so.
 */
#ifndef DEX_GRAPH_SCHED_H
#define DEX_GRAPH_SCHED_H

#include "graph/dag.h"

struct sched;

/* The cause of a node that was skipped by sched_stop. */
enum { SCHED_STOPPED = -1 };

/*
 * Told of every node that will never run, once each, during the call that decided it. `cause` is
 * the node that failed, or SCHED_STOPPED. May not call the scheduler.
 */
typedef void (*sched_skip_fn)(void *arg, int node, int cause);

/*
 * The graph is frozen, has no cycle, and outlives the scheduler. `weights` (NULL: 1 each) is how
 * much work each node is, in any unit; it is not kept. `threads` below 1 counts as 1.
 */
struct sched *sched_new(const struct dag *dag, const double *weights, int threads,
                        sched_skip_fn skip, void *arg);

/* NULL is allowed. */
void sched_free(struct sched *sched);

/* The node that runs now, or -1 when none is ready or all threads are taken. */
int sched_next(struct sched *sched);

/* A running node ended well: those that waited for nothing else are ready. */
void sched_done(struct sched *sched, int node);

/* A running node ended badly: everything below it that is not skipped yet is skipped, parents
 * first. */
void sched_fail(struct sched *sched, int node);

/* Nothing new starts: whatever did not start yet is skipped, in the order of the indexes. */
void sched_stop(struct sched *sched);

/* How many run, and how many are not over. */
int sched_running(const struct sched *sched);
int sched_left(const struct sched *sched);

#endif
