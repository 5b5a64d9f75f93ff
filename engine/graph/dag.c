#include "graph/dag.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct edge {
    int from, to;
};

/* Neighbours of node i: nodes[start[i]] up to nodes[start[i + 1]]. */
struct side {
    int *start;
    int *nodes;
};

struct dag {
    int count;
    struct edge *edges;
    size_t edge_count, edge_cap;
    struct side up, down;
};

/* A binary heap of indexes, the lowest on top. */
struct heap {
    int *items;
    int len;
};

struct dag *dag_new(int nodes)
{
    assert(nodes >= 0);
    struct dag *dag = mem_zalloc(sizeof *dag);
    dag->count = nodes;
    dag_freeze(dag);
    return dag;
}

static void side_fini(struct side *side)
{
    mem_free(side->start);
    mem_free(side->nodes);
}

void dag_free(struct dag *dag)
{
    if (!dag)
        return;
    side_fini(&dag->up);
    side_fini(&dag->down);
    mem_free(dag->edges);
    mem_free(dag);
}

int dag_count(const struct dag *dag)
{
    return dag->count;
}

void dag_edge(struct dag *dag, int from, int to)
{
    assert(from >= 0 && from < dag->count && to >= 0 && to < dag->count);
    if (dag->edge_count == dag->edge_cap) {
        dag->edge_cap = dag->edge_cap ? dag->edge_cap * 2 : 64;
        dag->edges = mem_realloc(dag->edges, dag->edge_cap * sizeof *dag->edges);
    }
    dag->edges[dag->edge_count++] = (struct edge){ from, to };
}

static int compare_edges(const void *a, const void *b)
{
    const struct edge *x = a, *y = b;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    return (x->to > y->to) - (x->to < y->to);
}

static void fold_edges(struct dag *dag)
{
    if (dag->edge_count == 0)
        return;
    qsort(dag->edges, dag->edge_count, sizeof *dag->edges, compare_edges);
    size_t kept = 1;
    for (size_t i = 1; i < dag->edge_count; i++)
        if (compare_edges(&dag->edges[i], &dag->edges[kept - 1]) != 0)
            dag->edges[kept++] = dag->edges[i];
    dag->edge_count = kept;
}

/* The edges are sorted by `from`, then `to`; filling in that order leaves each node's neighbours
 * ascending. */
static void fill_side(const struct dag *dag, struct side *side, enum dag_direction direction)
{
    size_t n = (size_t)dag->count;
    side_fini(side);
    side->start = mem_zalloc((n + 2) * sizeof *side->start);
    side->nodes = mem_alloc(dag->edge_count * sizeof *side->nodes);
    int *next =
        side->start + 1; /* one ahead while filling: afterwards start[i + 1] is the end of node i */
    for (size_t i = 0; i < dag->edge_count; i++) {
        const struct edge *edge = &dag->edges[i];
        next[(direction == DAG_DOWN ? edge->from : edge->to) + 1]++;
    }
    for (size_t i = 1; i <= n; i++)
        next[i] += next[i - 1];
    for (size_t i = 0; i < dag->edge_count; i++) {
        const struct edge *edge = &dag->edges[i];
        int key = direction == DAG_DOWN ? edge->from : edge->to;
        side->nodes[next[key]++] = direction == DAG_DOWN ? edge->to : edge->from;
    }
}

void dag_freeze(struct dag *dag)
{
    fold_edges(dag);
    fill_side(dag, &dag->up, DAG_UP);
    fill_side(dag, &dag->down, DAG_DOWN);
}

struct dag_span dag_neighbours(const struct dag *dag, int node, enum dag_direction direction)
{
    const struct side *side = direction == DAG_UP ? &dag->up : &dag->down;
    int start = side->start[node];
    return (struct dag_span){ side->nodes + start, side->start[node + 1] - start };
}

static void heap_push(struct heap *heap, int item)
{
    int at = heap->len++;
    while (at > 0 && heap->items[(at - 1) / 2] > item) {
        heap->items[at] = heap->items[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap->items[at] = item;
}

static int heap_pop(struct heap *heap)
{
    int top = heap->items[0];
    int item = heap->items[--heap->len];
    int at = 0;
    for (int child = 1; child < heap->len; child = 2 * at + 1) {
        if (child + 1 < heap->len && heap->items[child + 1] < heap->items[child])
            child++;
        if (heap->items[child] >= item)
            break;
        heap->items[at] = heap->items[child];
        at = child;
    }
    if (heap->len > 0)
        heap->items[at] = item;
    return top;
}

int dag_order(const struct dag *dag, int *order)
{
    size_t n = (size_t)dag->count;
    int *waits = mem_alloc(n * sizeof *waits);
    struct heap ready = { mem_alloc(n * sizeof *ready.items), 0 };
    int written = 0;
    for (int i = 0; i < dag->count; i++) {
        waits[i] = dag_neighbours(dag, i, DAG_UP).count;
        if (waits[i] == 0)
            heap_push(&ready, i);
    }
    while (ready.len > 0) {
        int node = heap_pop(&ready);
        order[written++] = node;
        struct dag_span below = dag_neighbours(dag, node, DAG_DOWN);
        for (int i = 0; i < below.count; i++)
            if (--waits[below.nodes[i]] == 0)
                heap_push(&ready, below.nodes[i]);
    }
    mem_free(ready.items);
    mem_free(waits);
    return written;
}

/* A node that dag_order left out and that is on a cycle or behind one waits for another such node.
 */
static int left_out_parent(const struct dag *dag, int node, const unsigned char *ordered)
{
    struct dag_span above = dag_neighbours(dag, node, DAG_UP);
    for (int i = 0; i < above.count; i++)
        if (!ordered[above.nodes[i]])
            return above.nodes[i];
    return -1;
}

/* Turns a ring so that its lowest index comes first. */
static void rotate(int *ring, int len, int *room)
{
    int lowest = 0;
    for (int i = 1; i < len; i++)
        if (ring[i] < ring[lowest])
            lowest = i;
    for (int i = 0; i < len; i++)
        room[i] = ring[(lowest + i) % len];
    memcpy(ring, room, (size_t)len * sizeof *ring);
}

int dag_cycle(const struct dag *dag, int *path)
{
    size_t n = (size_t)dag->count;
    int *order = mem_alloc(n * sizeof *order);
    unsigned char *ordered = mem_zalloc(n);
    int found = 0, len = 0;
    int written = dag_order(dag, order);
    for (int i = 0; i < written; i++)
        ordered[order[i]] = 1;
    int node = 0;
    while (node < dag->count && ordered[node])
        node++;
    if (node == dag->count)
        goto done;
    /* Up and up among those left out: the first node met again closes a cycle, which then runs
     * backwards. */
    int *seen_at = mem_zalloc(n * sizeof *seen_at);
    while (!seen_at[node]) {
        order[len++] = node;
        seen_at[node] = len;
        node = left_out_parent(dag, node, ordered);
    }
    found = len - seen_at[node] + 1;
    for (int i = 0; i < found; i++)
        path[i] = order[len - 1 - i];
    mem_free(seen_at);
    rotate(path, found, order);
done:
    mem_free(ordered);
    mem_free(order);
    return found;
}

void dag_longest(const struct dag *dag, const double *weights, double *longest)
{
    int *order = mem_alloc((size_t)dag->count * sizeof *order);
    int written = dag_order(dag, order);
    assert(written == dag->count);
    for (int i = written - 1; i >= 0; i--) {
        int node = order[i];
        double heaviest = 0;
        struct dag_span below = dag_neighbours(dag, node, DAG_DOWN);
        for (int k = 0; k < below.count; k++)
            if (longest[below.nodes[k]] > heaviest)
                heaviest = longest[below.nodes[k]];
        longest[node] = heaviest + (weights ? weights[node] : 1);
    }
    mem_free(order);
}

void dag_reach(const struct dag *dag, const int *from, int count, enum dag_direction direction,
               int depth, unsigned char *marks)
{
    size_t n = (size_t)dag->count;
    int *queue = mem_alloc((n + (size_t)count) * sizeof *queue);
    int len = count, at = 0;
    memset(marks, 0, n);
    if (count > 0)
        memcpy(queue, from, (size_t)count * sizeof *queue);
    /* Breadth first, one step at a time: a node is met at its least distance. */
    for (int step = 0; at < len && step != depth; step++) {
        for (int end = len; at < end; at++) {
            struct dag_span next = dag_neighbours(dag, queue[at], direction);
            for (int i = 0; i < next.count; i++) {
                if (marks[next.nodes[i]])
                    continue;
                marks[next.nodes[i]] = 1;
                queue[len++] = next.nodes[i];
            }
        }
    }
    mem_free(queue);
}
