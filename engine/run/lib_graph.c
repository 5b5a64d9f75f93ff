/* dex.graph: engine/graph for Lua, for the selection of nodes. Indexes begin at 1 here. */
#include <lauxlib.h>
#include <limits.h>

#include "graph/dag.h"
#include "run/modules.h"

#define GRAPH "dex.graph"

/* The userdata: made harmless (NULL) before the graph is. */
struct graph {
    struct dag *dag;
    int changed; /* edges were added since dag_freeze */
};

static struct graph *check_graph(lua_State *L)
{
    return luaL_checkudata(L, 1, GRAPH);
}

static struct dag *check_dag(lua_State *L)
{
    struct graph *graph = check_graph(L);
    if (graph->changed)
        dag_freeze(graph->dag);
    graph->changed = 0;
    return graph->dag;
}

/* Room for `count` numbers that goes away with the stack. */
static int *push_room(lua_State *L, size_t count)
{
    return lua_newuserdatauv(L, (count ? count : 1) * sizeof(int), 0);
}

static int push_list(lua_State *L, const int *nodes, int count)
{
    lua_createtable(L, count, 0);
    for (int i = 0; i < count; i++) {
        lua_pushinteger(L, nodes[i] + 1);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* graph.new(n) -> g: the nodes 1 .. n without edges. */
static int graph_new(lua_State *L)
{
    lua_Integer n = luaL_checkinteger(L, 1);
    luaL_argcheck(L, n >= 0 && n < INT_MAX, 1, "the number of nodes");
    struct graph *graph = lua_newuserdatauv(L, sizeof *graph, 0);
    graph->dag = NULL;
    graph->changed = 0;
    luaL_setmetatable(L, GRAPH);
    graph->dag = dag_new((int)n);
    return 1;
}

static int graph_gc(lua_State *L)
{
    struct graph *graph = check_graph(L);
    dag_free(graph->dag);
    graph->dag = NULL;
    return 0;
}

static int check_node(lua_State *L, const struct graph *graph, int arg)
{
    lua_Integer node = luaL_checkinteger(L, arg);
    luaL_argcheck(L, node >= 1 && node <= dag_count(graph->dag), arg, "no node has this index");
    return (int)node - 1;
}

/* g:edge(from, to): `to` waits for `from`. The same edge may be added again. */
static int graph_edge(lua_State *L)
{
    struct graph *graph = check_graph(L);
    int from = check_node(L, graph, 2), to = check_node(L, graph, 3);
    dag_edge(graph->dag, from, to);
    graph->changed = 1;
    return 0;
}

/* g:cycle() -> the indexes on a cycle, each followed by one that waits for it, the lowest first; or
 * nil. */
static int graph_cycle(lua_State *L)
{
    struct dag *dag = check_dag(L);
    int *path = push_room(L, (size_t)dag_count(dag));
    int len = dag_cycle(dag, path);
    if (len == 0)
        return 0;
    return push_list(L, path, len);
}

/*
 * g:order() -> all indexes, each after those it waits for, otherwise ascending. Without those that
 * are on a cycle or behind one.
 */
static int graph_order(lua_State *L)
{
    struct dag *dag = check_dag(L);
    int *order = push_room(L, (size_t)dag_count(dag));
    return push_list(L, order, dag_order(dag, order));
}

static int reach(lua_State *L, enum dag_direction direction)
{
    struct dag *dag = check_dag(L);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_Integer depth = luaL_optinteger(L, 3, -1);
    lua_Unsigned count = lua_rawlen(L, 2);
    luaL_argcheck(L, count < INT_MAX, 2, "too many nodes");
    int *from = push_room(L, count);
    for (lua_Unsigned i = 0; i < count; i++) {
        lua_rawgeti(L, 2, (lua_Integer)i + 1);
        lua_Integer node = lua_tointeger(L, -1);
        luaL_argcheck(L, node >= 1 && node <= dag_count(dag), 2, "a list of indexes is expected");
        from[i] = (int)node - 1;
        lua_pop(L, 1);
    }
    unsigned char *marks = (unsigned char *)push_room(L, (size_t)dag_count(dag));
    dag_reach(dag, from, (int)count, direction, depth > INT_MAX || depth < 0 ? -1 : (int)depth,
              marks);
    lua_newtable(L);
    lua_Integer found = 0;
    for (int i = 0; i < dag_count(dag); i++) {
        if (!marks[i])
            continue;
        lua_pushinteger(L, i + 1);
        lua_rawseti(L, -2, ++found);
    }
    return 1;
}

/*
 * g:ancestors(list [, depth]) -> the indexes that nodes of the list wait for, directly or over at
 * most `depth` steps (none: any number), ascending. A node of the list is in it only when another
 * one waits for it.
 */
static int graph_ancestors(lua_State *L)
{
    return reach(L, DAG_UP);
}

/* g:descendants(list [, depth]): the same downwards. */
static int graph_descendants(lua_State *L)
{
    return reach(L, DAG_DOWN);
}

/* #g -> number of nodes */
static int graph_len(lua_State *L)
{
    lua_pushinteger(L, dag_count(check_graph(L)->dag));
    return 1;
}

static const luaL_Reg metamethods[] = {
    { "__gc", graph_gc },
    { "__len", graph_len },
    { NULL, NULL },
};

static const luaL_Reg methods[] = {
    { "edge", graph_edge },
    { "cycle", graph_cycle },
    { "order", graph_order },
    { "ancestors", graph_ancestors },
    { "descendants", graph_descendants },
    { NULL, NULL },
};

static const luaL_Reg functions[] = {
    { "new", graph_new },
    { NULL, NULL },
};

int luaopen_dex_graph(lua_State *L)
{
    luaL_newmetatable(L, GRAPH);
    luaL_setfuncs(L, metamethods, 0);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
