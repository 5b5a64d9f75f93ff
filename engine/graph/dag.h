/*
 * A directed graph whose nodes are the indexes 0 .. n-1. An edge from a to b says that b waits for
 * a. First come the edges, then dag_freeze, then everything else, which changes nothing. No
 * function recurses, so a chain of 100,000 nodes is no deeper than one of two. Knows nothing of Lua
 * and of files.
 */
#ifndef DEX_GRAPH_DAG_H
#define DEX_GRAPH_DAG_H

#include <stddef.h>

#include "base/attr.h"

struct dag;

/* Some nodes, in memory of the dag's own. */
struct dag_span {
    const int *nodes;
    int count;
};

enum dag_direction { DAG_UP, DAG_DOWN };

/* A graph of `nodes` nodes (0 or more) without edges. */
struct dag *dag_new(int nodes);

/* NULL is allowed. */
void dag_free(struct dag *dag);

/* The number of nodes. */
int dag_count(const struct dag *dag);

/* Adds an edge; both ends exist. The same edge may be added again, and one from a node to itself (a
 * cycle). */
void dag_edge(struct dag *dag, int from, int to);

/* Sorts the edges and folds equal ones. Edges added later begin to count with the next call. */
void dag_freeze(struct dag *dag);

/* The direct neighbours of a node, ascending: DAG_UP what it waits for, DAG_DOWN what waits for it.
 */
struct dag_span dag_neighbours(const struct dag *dag, int node, enum dag_direction direction);

/*
 * Writes all nodes to `order` (room for dag_count of them) so that every edge goes forward; among
 * the nodes that could come next, the lowest index does. Gives how many were written: fewer than
 * all when there is a cycle, whose nodes and those behind it are missing.
 */
int dag_order(const struct dag *dag, int *order);

/*
 * Gives the number of nodes on some cycle, 0 when there is none, and writes them to `path` (room
 * for dag_count of them) such that each has an edge to the next and the last one to the first. The
 * lowest index comes first.
 */
int dag_cycle(const struct dag *dag, int *path);

/*
 * Writes to `longest` for each node the weight of the heaviest path that begins there, its own
 * weight included. `weights` is NULL for 1 each. The graph has no cycle.
 */
void dag_longest(const struct dag *dag, const double *weights, double *longest);

/*
 * Sets marks[i] to 1 for every node that can be reached from a node of `from` in one step or more
 * and at most `depth` steps (below 0: any number), and to 0 for all others. A node of `from` itself
 * is marked only when another of them leads to it. `marks` has room for dag_count.
 */
void dag_reach(const struct dag *dag, const int *from, int count, enum dag_direction direction,
               int depth, unsigned char *marks);

#endif
