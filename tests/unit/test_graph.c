/* engine/graph, held against slow and obvious versions of itself on random graphs. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "check.h"
#include "graph/dag.h"
#include "graph/sched.h"

enum { MAX = 40, ROUNDS = 300 };

static uint64_t seed;

/* A number in 0 .. below-1, the same in every run. */
static int draw(int below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (int)((seed >> 33) % (uint64_t)below);
}

/* A random graph beside its matrix. Without `cycles` its edges go up in a shuffled numbering. */
struct sample {
    int n;
    struct dag *dag;
    unsigned char edge[MAX][MAX];
};

static void sample_edge(struct sample *s, int from, int to)
{
    dag_edge(s->dag, from, to);
    s->edge[from][to] = 1;
}

static void sample_init(struct sample *s, int cycles)
{
    int name[MAX];
    memset(s, 0, sizeof *s);
    s->n = draw(MAX) + 1;
    s->dag = dag_new(s->n);
    for (int i = 0; i < s->n; i++)
        name[i] = i;
    for (int i = s->n - 1; i > 0; i--) {
        int k = draw(i + 1), held = name[i];
        name[i] = name[k];
        name[k] = held;
    }
    int edges = draw(s->n * 3);
    for (int i = 0; i < edges; i++) {
        int a = draw(s->n), b = draw(s->n);
        if (cycles)
            sample_edge(s, a, b);
        else if (a != b)
            sample_edge(s, name[a < b ? a : b], name[a < b ? b : a]);
    }
    dag_freeze(s->dag);
}

static void sample_fini(struct sample *s)
{
    dag_free(s->dag);
}

static void each_sample(int cycles, void (*fn)(struct sample *s))
{
    struct sample s;
    seed = 7;
    for (int i = 0; i < ROUNDS; i++) {
        sample_init(&s, cycles);
        fn(&s);
        sample_fini(&s);
    }
}

/* steps[i][k]: least number of edges from i to k, 0 when there is no way. */
static void measure(const struct sample *s, int steps[MAX][MAX])
{
    for (int i = 0; i < s->n; i++)
        for (int k = 0; k < s->n; k++)
            steps[i][k] = s->edge[i][k];
    for (int via = 0; via < s->n; via++)
        for (int i = 0; i < s->n; i++)
            for (int k = 0; k < s->n; k++)
                if (steps[i][via] && steps[via][k] &&
                    (!steps[i][k] || steps[i][via] + steps[via][k] < steps[i][k]))
                    steps[i][k] = steps[i][via] + steps[via][k];
}

static void neighbours_of(struct sample *s)
{
    for (int i = 0; i < s->n; i++) {
        struct dag_span down = dag_neighbours(s->dag, i, DAG_DOWN);
        struct dag_span up = dag_neighbours(s->dag, i, DAG_UP);
        int at = 0, at_up = 0;
        for (int k = 0; k < s->n; k++) {
            if (s->edge[i][k])
                CHECK(at < down.count && down.nodes[at++] == k);
            if (s->edge[k][i])
                CHECK(at_up < up.count && up.nodes[at_up++] == k);
        }
        CHECK(at == down.count && at_up == up.count);
    }
}

static void test_neighbours_are_folded_and_ascending(void)
{
    each_sample(1, neighbours_of);
}

/* The slow version: again and again the lowest index of which all parents are placed. */
static void order_of(struct sample *s)
{
    int order[MAX];
    unsigned char placed[MAX] = { 0 };
    CHECK(dag_order(s->dag, order) == s->n);
    for (int at = 0; at < s->n; at++) {
        int lowest = -1;
        for (int i = s->n - 1; i >= 0; i--) {
            int free = !placed[i];
            for (int k = 0; k < s->n; k++)
                free = free && (!s->edge[k][i] || placed[k]);
            if (free)
                lowest = i;
        }
        CHECK(order[at] == lowest);
        placed[order[at]] = 1;
    }
}

static void test_order_respects_edges_and_indexes(void)
{
    each_sample(0, order_of);
}

static void cycle_of(struct sample *s)
{
    int path[MAX], order[MAX], steps[MAX][MAX], cyclic = 0;
    unsigned char met[MAX] = { 0 };
    measure(s, steps);
    for (int i = 0; i < s->n; i++)
        cyclic = cyclic || steps[i][i];
    int len = dag_cycle(s->dag, path);
    CHECK((len > 0) == cyclic);
    CHECK((dag_order(s->dag, order) < s->n) == cyclic);
    for (int i = 0; i < len; i++) {
        CHECK(s->edge[path[i]][path[(i + 1) % len]]);
        CHECK(!met[path[i]] && path[i] >= path[0]);
        met[path[i]] = 1;
    }
}

static void test_a_cycle_is_found_and_is_one(void)
{
    each_sample(1, cycle_of);
    each_sample(0, cycle_of);
}

static void reach_of(struct sample *s)
{
    int steps[MAX][MAX], from[MAX];
    unsigned char marks[MAX];
    measure(s, steps);
    int count = draw(4);
    for (int i = 0; i < count; i++)
        from[i] = draw(s->n);
    for (int depth = -1; depth < 4; depth++) {
        for (int up = 0; up < 2; up++) {
            dag_reach(s->dag, from, count, up ? DAG_UP : DAG_DOWN, depth, marks);
            for (int k = 0; k < s->n; k++) {
                int reached = 0;
                for (int i = 0; i < count; i++) {
                    int distance = up ? steps[k][from[i]] : steps[from[i]][k];
                    reached = reached || (distance && (depth < 0 || distance <= depth));
                }
                CHECK(marks[k] == reached);
            }
        }
    }
}

static void test_reach_equals_all_pairs(void)
{
    each_sample(0, reach_of);
    each_sample(1, reach_of);
}

static double longest_from(const struct sample *s, const double *weights, int node)
{
    double best = 0;
    for (int k = 0; k < s->n; k++) {
        double below = s->edge[node][k] ? longest_from(s, weights, k) : 0;
        best = below > best ? below : best;
    }
    return best + weights[node];
}

static void longest_of(struct sample *s)
{
    double weights[MAX], longest[MAX];
    if (s->n > 12)
        return; /* the slow version takes every path */
    for (int i = 0; i < s->n; i++)
        weights[i] = draw(10);
    dag_longest(s->dag, weights, longest);
    for (int i = 0; i < s->n; i++)
        CHECK(longest[i] == longest_from(s, weights, i));
}

static void test_longest_path_equals_all_paths(void)
{
    each_sample(0, longest_of);
}

static void test_long_chains(void)
{
    enum { LONG = 100000 };
    struct dag *dag = dag_new(LONG);
    int *order = mem_alloc(LONG * sizeof *order);
    unsigned char *marks = mem_alloc(LONG);
    double *longest = mem_alloc(LONG * sizeof *longest);
    int first = 0, last = LONG - 1;
    for (int i = LONG - 1; i > 0; i--)
        dag_edge(dag, i - 1, i);
    dag_freeze(dag);
    CHECK(dag_order(dag, order) == LONG && order[0] == 0 && order[LONG - 1] == LONG - 1);
    CHECK(dag_cycle(dag, order) == 0);
    dag_longest(dag, NULL, longest);
    CHECK(longest[0] == LONG && longest[LONG - 1] == 1);
    dag_reach(dag, &first, 1, DAG_DOWN, -1, marks);
    CHECK(!marks[0] && marks[1] && marks[LONG - 1]);
    dag_reach(dag, &last, 1, DAG_UP, 5, marks);
    CHECK(marks[LONG - 6] && !marks[LONG - 7]);
    struct sched *sched = sched_new(dag, NULL, 4, NULL, NULL);
    CHECK(sched_next(sched) == 0 && sched_next(sched) == -1);
    sched_fail(sched, 0);
    CHECK(sched_left(sched) == 0);
    sched_free(sched);
    dag_edge(dag, LONG - 1, 0);
    dag_freeze(dag);
    CHECK(dag_cycle(dag, order) == LONG && order[0] == 0 && order[LONG - 1] == LONG - 1);
    mem_free(longest);
    mem_free(marks);
    mem_free(order);
    dag_free(dag);
}

static void test_empty_and_tiny_graphs(void)
{
    int path[1];
    unsigned char marks[1];
    struct dag *none = dag_new(0);
    dag_freeze(none);
    CHECK(dag_order(none, path) == 0 && dag_cycle(none, path) == 0);
    struct sched *sched = sched_new(none, NULL, 4, NULL, NULL);
    CHECK(sched_next(sched) == -1 && sched_left(sched) == 0);
    sched_stop(sched);
    sched_free(sched);
    dag_free(none);
    struct dag *self = dag_new(1);
    dag_edge(self, 0, 0);
    dag_freeze(self);
    CHECK(dag_cycle(self, path) == 1 && path[0] == 0);
    dag_reach(self, path, 1, DAG_UP, 1, marks);
    CHECK(marks[0] == 1);
    dag_free(self);
}

/* What a run of the scheduler did. */
struct trace {
    const struct sample *sample;
    struct sched *sched;
    int started[MAX], over[MAX]; /* the moment, 0 for never */
    int cause[MAX];              /* of a skipped node */
    int skipped[MAX], failed[MAX];
    int clock, stopped;
};

static void on_skip(void *arg, int node, int cause)
{
    struct trace *t = arg;
    CHECK(!t->started[node] && !t->skipped[node]);
    t->skipped[node] = ++t->clock;
    t->cause[node] = cause;
}

/* No node that is ready has a longer remaining path than the one just given, nor as long and a
 * lower index. */
static void check_choice(const struct trace *t, const double *longest, int chosen)
{
    const struct sample *s = t->sample;
    for (int i = 0; i < s->n; i++) {
        int ready = !t->started[i] && !t->skipped[i];
        for (int k = 0; k < s->n; k++)
            ready = ready && (!s->edge[k][i] || (t->over[k] && !t->failed[k]));
        if (ready && i != chosen)
            CHECK(longest[i] < longest[chosen] || (longest[i] == longest[chosen] && i > chosen));
    }
}

/* Starts what may start, then ends one of the running nodes, well or badly. */
static int sched_step(struct trace *t, const double *longest, int threads, int trouble)
{
    const struct sample *s = t->sample;
    int running[MAX], count = 0, node;
    while ((node = sched_next(t->sched)) >= 0) {
        CHECK(!t->started[node] && !t->skipped[node] && !t->stopped);
        for (int k = 0; k < s->n; k++)
            if (s->edge[k][node])
                CHECK(t->over[k] && !t->failed[k]);
        check_choice(t, longest, node);
        t->started[node] = ++t->clock;
    }
    for (int i = 0; i < s->n; i++)
        if (t->started[i] && !t->over[i])
            running[count++] = i;
    CHECK(count <= threads && count == sched_running(t->sched));
    if (count == 0)
        return 0;
    node = running[draw(count)];
    t->over[node] = ++t->clock;
    t->failed[node] = trouble && draw(4) == 0;
    if (t->failed[node])
        sched_fail(t->sched, node);
    else
        sched_done(t->sched, node);
    if (trouble && !t->stopped && draw(40) == 0) {
        t->stopped = 1;
        sched_stop(t->sched);
    }
    return 1;
}

static void run_sample(struct sample *s, int trouble)
{
    struct trace t = { .sample = s };
    double weights[MAX], longest[MAX];
    int steps[MAX][MAX], threads = draw(5) + 1;
    for (int i = 0; i < s->n; i++)
        weights[i] = draw(5);
    dag_longest(s->dag, weights, longest);
    measure(s, steps);
    t.sched = sched_new(s->dag, weights, threads, on_skip, &t);
    while (sched_step(&t, longest, threads, trouble))
        ;
    CHECK(sched_left(t.sched) == 0 && sched_running(t.sched) == 0);
    for (int i = 0; i < s->n; i++) {
        CHECK(!!t.over[i] + !!t.skipped[i] == 1);
        if (t.skipped[i] && t.cause[i] != SCHED_STOPPED)
            CHECK(t.failed[t.cause[i]] && steps[t.cause[i]][i] > 0);
        if (t.skipped[i] && t.cause[i] == SCHED_STOPPED)
            CHECK(t.stopped);
        for (int k = 0; k < s->n; k++)
            if (t.failed[k] && steps[k][i])
                CHECK(t.skipped[i]);
    }
    sched_free(t.sched);
}

static void run_well(struct sample *s)
{
    run_sample(s, 0);
}

static void run_with_trouble(struct sample *s)
{
    run_sample(s, 1);
}

static void test_scheduler_runs_everything_in_the_best_order(void)
{
    each_sample(0, run_well);
}

static void test_scheduler_skips_what_is_below_a_failure(void)
{
    each_sample(0, run_with_trouble);
}

static int skip_order[MAX], skip_count;

static void note_skip(void *arg, int node, int cause)
{
    (void)arg;
    (void)cause;
    skip_order[skip_count++] = node;
}

/* 0 -> 3 -> 1, 0 -> 1, 1 -> 2: a plain breadth-first walk would tell 1 before its parent 3. */
static void test_skips_are_told_parents_first(void)
{
    static const int expected[] = { 3, 1, 2 };
    struct dag *dag = dag_new(4);
    dag_edge(dag, 0, 1);
    dag_edge(dag, 0, 3);
    dag_edge(dag, 3, 1);
    dag_edge(dag, 1, 2);
    dag_freeze(dag);
    struct sched *sched = sched_new(dag, NULL, 1, note_skip, NULL);
    skip_count = 0;
    CHECK(sched_next(sched) == 0);
    sched_fail(sched, 0);
    CHECK(skip_count == 3 && memcmp(skip_order, expected, sizeof expected) == 0);
    sched_free(sched);
    dag_free(dag);
}

int main(void)
{
    RUN(test_neighbours_are_folded_and_ascending);
    RUN(test_order_respects_edges_and_indexes);
    RUN(test_a_cycle_is_found_and_is_one);
    RUN(test_reach_equals_all_pairs);
    RUN(test_longest_path_equals_all_paths);
    RUN(test_long_chains);
    RUN(test_empty_and_tiny_graphs);
    RUN(test_scheduler_runs_everything_in_the_best_order);
    RUN(test_scheduler_skips_what_is_below_a_failure);
    RUN(test_skips_are_told_parents_first);
    return check_finish();
}
