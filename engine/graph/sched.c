#include "graph/sched.h"

#include <assert.h>

#include "base/mem.h"

enum state {
    WAITING,
    READY,
    RUNNING,
    DOOMED, /* inside sched_fail: skipped, but not told yet */
    OVER
};

struct sched {
    const struct dag *dag;
    int threads, running, left;
    sched_skip_fn skip;
    void *arg;
    double *longest;
    int *waits; /* parents that are not done */
    unsigned char *state;
    int *ready; /* a binary heap, see before() */
    int ready_count;
    int *queue; /* of sched_fail: as long as the graph */
};

/* Whether node a runs rather than node b. */
static int before(const struct sched *sched, int a, int b)
{
    if (sched->longest[a] > sched->longest[b])
        return 1;
    if (sched->longest[a] < sched->longest[b])
        return 0;
    return a < b;
}

static void push(struct sched *sched, int node)
{
    int *heap = sched->ready;
    int at = sched->ready_count++;
    sched->state[node] = READY;
    while (at > 0 && before(sched, node, heap[(at - 1) / 2])) {
        heap[at] = heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    heap[at] = node;
}

static int pop(struct sched *sched)
{
    int *heap = sched->ready;
    int top = heap[0];
    int node = heap[--sched->ready_count];
    int at = 0;
    for (int child = 1; child < sched->ready_count; child = 2 * at + 1) {
        if (child + 1 < sched->ready_count && before(sched, heap[child + 1], heap[child]))
            child++;
        if (!before(sched, heap[child], node))
            break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = node;
    return top;
}

struct sched *sched_new(const struct dag *dag, const double *weights, int threads,
                        sched_skip_fn skip, void *arg)
{
    struct sched *sched = mem_zalloc(sizeof *sched);
    size_t n = (size_t)dag_count(dag);
    sched->dag = dag;
    sched->threads = threads < 1 ? 1 : threads;
    sched->left = dag_count(dag);
    sched->skip = skip;
    sched->arg = arg;
    sched->longest = mem_alloc(n * sizeof *sched->longest);
    sched->waits = mem_alloc(n * sizeof *sched->waits);
    sched->state = mem_zalloc(n);
    sched->ready = mem_alloc(n * sizeof *sched->ready);
    sched->queue = mem_alloc(n * sizeof *sched->queue);
    dag_longest(dag, weights, sched->longest);
    for (int i = 0; i < dag_count(dag); i++) {
        sched->waits[i] = dag_neighbours(dag, i, DAG_UP).count;
        if (sched->waits[i] == 0)
            push(sched, i);
    }
    return sched;
}

void sched_free(struct sched *sched)
{
    if (!sched)
        return;
    mem_free(sched->longest);
    mem_free(sched->waits);
    mem_free(sched->state);
    mem_free(sched->ready);
    mem_free(sched->queue);
    mem_free(sched);
}

int sched_next(struct sched *sched)
{
    if (sched->ready_count == 0 || sched->running >= sched->threads)
        return -1;
    int node = pop(sched);
    sched->state[node] = RUNNING;
    sched->running++;
    return node;
}

static void end(struct sched *sched, int node)
{
    assert(sched->state[node] == RUNNING);
    sched->state[node] = OVER;
    sched->running--;
    sched->left--;
}

void sched_done(struct sched *sched, int node)
{
    end(sched, node);
    struct dag_span below = dag_neighbours(sched->dag, node, DAG_DOWN);
    for (int i = 0; i < below.count; i++)
        if (--sched->waits[below.nodes[i]] == 0 && sched->state[below.nodes[i]] == WAITING)
            push(sched, below.nodes[i]);
}

static void skip(struct sched *sched, int node, int cause)
{
    sched->state[node] = OVER;
    sched->left--;
    if (sched->skip)
        sched->skip(sched->arg, node, cause);
}

/* Makes everything below `node` that waits DOOMED, and its `waits` the number of parents that are
 * so as well. */
static void doom(struct sched *sched, int node)
{
    int *queue = sched->queue;
    int len = 0;
    queue[len++] = node;
    for (int at = 0; at < len; at++) {
        struct dag_span below = dag_neighbours(sched->dag, queue[at], DAG_DOWN);
        for (int i = 0; i < below.count; i++) {
            int child = below.nodes[i];
            if (sched->state[child] == WAITING) {
                sched->state[child] = DOOMED;
                sched->waits[child] = 0;
                queue[len++] = child;
            }
            if (sched->state[child] == DOOMED)
                sched->waits[child]++;
        }
    }
}

void sched_fail(struct sched *sched, int node)
{
    int *queue = sched->queue;
    int len = 0;
    end(sched, node);
    doom(sched, node);
    queue[len++] = node;
    for (int at = 0; at < len; at++) {
        struct dag_span below = dag_neighbours(sched->dag, queue[at], DAG_DOWN);
        for (int i = 0; i < below.count; i++) {
            int child = below.nodes[i];
            if (sched->state[child] != DOOMED || --sched->waits[child] > 0)
                continue;
            skip(sched, child, node);
            queue[len++] = child;
        }
    }
}

void sched_stop(struct sched *sched)
{
    sched->ready_count = 0;
    for (int i = 0; i < dag_count(sched->dag); i++)
        if (sched->state[i] == WAITING || sched->state[i] == READY)
            skip(sched, i, SCHED_STOPPED);
}

int sched_running(const struct sched *sched)
{
    return sched->running;
}

int sched_left(const struct sched *sched)
{
    return sched->left;
}
