/* Connections of dex.db: statements, their waits, and the server's notices. */
#include <lauxlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/number.h"
#include "script/lib_db.h"
#include "script/lib_db_object.h"
#include "script/lib_db_result.h"
#include "script/lua_err.h"
#include "script/value.h"

#define WAIT "dex.db.wait"

/* Waits ------------------------------------------------------------------------ */

static int wait_gc(lua_State *L)
{
    struct db_wait *wait = luaL_checkudata(L, 1, WAIT);
    db_result_free(wait->results);
    wait->results = NULL;
    err_fini(&wait->error);
    return 0;
}

struct db_wait *lib_db_wait_push(lua_State *L, struct db_conn_object *object)
{
    struct task *task = task_current(L);
    struct db_wait *wait = lua_newuserdatauv(L, sizeof *wait, 0);
    memset(wait, 0, sizeof *wait);
    wait->task = task;
    wait->object = object;
    luaL_setmetatable(L, WAIT);
    return wait;
}

void lib_db_wait_answer(void *arg, struct db_result *results, struct err *e)
{
    struct db_wait *wait = arg;
    wait->results = results;
    wait->answered = 1;
    if (e)
        err_move(&wait->error, e);
    task_resume(wait->task);
}

void lib_db_wait_leave(void *arg)
{
    struct db_wait *wait = arg;
    struct db_conn *conn = wait->object->conn;
    if (conn && !wait->answered)
        conn->adapter->abandon(conn, wait);
}

void lib_db_wait_raise(lua_State *L, struct db_wait *wait, const char *sql)
{
    if (wait->error.code) {
        lua_err_push(L, &wait->error);
        if (sql) {
            lua_pushstring(L, sql);
            lua_setfield(L, -2, "sql");
        }
        lua_error(L);
    }
    if (!db_result_error(wait->results))
        return;
    lib_db_push_error(L, wait->results, sql);
    db_result_free(wait->results);
    wait->results = NULL;
    lua_error(L);
}

/* Notices ---------------------------------------------------------------------- */

/* They come from the loop, where no Lua may run: the next task that has an answer tells them. */
struct notice {
    struct list place;
    char *severity, *message;
};

static void notice_free(struct notice *notice)
{
    list_remove(&notice->place);
    mem_free(notice->severity);
    mem_free(notice->message);
    mem_free(notice);
}

void lib_db_on_notice(void *arg, const char *severity, const char *message)
{
    struct db_pool_object *pool = arg;
    struct notice *notice = mem_alloc(sizeof *notice);
    list_init(&notice->place);
    notice->severity = mem_strdup(severity);
    notice->message = mem_strdup(message);
    list_append(&pool->notices, &notice->place);
}

void lib_db_drop_notices(struct db_pool_object *pool)
{
    list_each (place, &pool->notices)
        notice_free(list_entry(place, struct notice, place));
}

/* The object is at 1, and its user value the pool's. */
void lib_db_tell_notices(lua_State *L, struct db_pool_object *pool)
{
    struct list *first;
    while ((first = list_first(&pool->notices))) {
        struct notice *notice = list_entry(first, struct notice, place);
        lua_getiuservalue(L, 1, 1);
        int wanted = lua_getiuservalue(L, -1, 1) == LUA_TFUNCTION;
        lua_pushstring(L, notice->severity);
        lua_pushstring(L, notice->message);
        notice_free(notice);
        if (wanted)
            lua_call(L, 2, 0);
        else
            lua_pop(L, 3);
        lua_pop(L, 1);
    }
}

/* The object ------------------------------------------------------------------- */

struct db_conn_object *lib_db_conn_check(lua_State *L, int index)
{
    struct db_conn_object *object = luaL_checkudata(L, index, LIB_DB_CONN);
    if (!object->conn)
        lua_err_misuse(L, DB_MISUSE, "this connection was given back already");
    return object;
}

void lib_db_conn_push(lua_State *L, int pool_index, struct db_conn *conn, int owned)
{
    pool_index = lua_absindex(L, pool_index);
    struct db_pool_object *pool = luaL_checkudata(L, pool_index, LIB_DB_POOL);
    struct db_conn_object *object = lua_newuserdatauv(L, sizeof *object, 1);
    memset(object, 0, sizeof *object);
    list_init(&object->place);
    luaL_setmetatable(L, LIB_DB_CONN);
    lua_pushvalue(L, pool_index);
    lua_setiuservalue(L, -2, 1);
    object->pool = pool;
    object->conn = conn;
    object->owned = owned;
    list_append(&pool->conns, &object->place);
}

static void give_back(struct db_conn_object *object)
{
    struct db_conn *conn = object->conn;
    object->conn = NULL;
    list_remove(&object->place);
    if (conn && object->owned && object->pool->pool)
        pool_release(object->pool->pool, conn);
}

void lib_db_drop_conn(lua_State *L, int index)
{
    struct db_conn_object *object = luaL_checkudata(L, index, LIB_DB_CONN);
    object->owned = 0;
    give_back(object);
}

static int conn_gc(lua_State *L)
{
    give_back(luaL_checkudata(L, 1, LIB_DB_CONN));
    return 0;
}

/* conn:release(): back to the pool. Harmless when done twice. Does not wait. */
static int conn_release(lua_State *L)
{
    struct db_conn_object *object = luaL_checkudata(L, 1, LIB_DB_CONN);
    if (object->conn && !object->owned)
        return lua_err_misuse(L, DB_MISUSE, "the engine gives a node's connection back itself");
    give_back(object);
    return 0;
}

/* conn:txn() -> "idle", "active", "intrans", "inerror" or "broken", by the server's word */
static int conn_txn(lua_State *L)
{
    static const char *const names[] = { "idle", "active", "intrans", "inerror", "broken" };
    struct db_conn *conn = lib_db_conn_check(L, 1)->conn;
    lua_pushstring(L, names[conn->adapter->txn(conn)]);
    return 1;
}

/* conn:ended() -> how many transactions have ended on it; see adapter.h */
static int conn_ended(lua_State *L)
{
    struct db_conn *conn = lib_db_conn_check(L, 1)->conn;
    lua_pushinteger(L, conn->adapter->ended(conn));
    return 1;
}

/* conn:forget_ended(before) makes conn:ended() say `before` again */
static int conn_forget_ended(lua_State *L)
{
    struct db_conn *conn = lib_db_conn_check(L, 1)->conn;
    conn->adapter->forget_ended(conn, (unsigned)luaL_checkinteger(L, 2));
    return 0;
}

/* conn:escape_literal(text) -> the text in quotes */
static int conn_escape_literal(lua_State *L)
{
    struct db_conn *conn = lib_db_conn_check(L, 1)->conn;
    size_t len;
    const char *text = luaL_checklstring(L, 2, &len);
    struct err e = ERR_INIT;
    char *escaped = conn->adapter->escape(conn, text, len, &e);
    if (!escaped)
        return lua_err_raise(L, &e);
    lua_pushstring(L, escaped);
    mem_free(escaped);
    return 1;
}

/* Statements ------------------------------------------------------------------- */

static const char *number_text(lua_State *L, int index)
{
    char text[NUMBER_SIZE];
    if (lua_isinteger(L, index))
        return luaL_tolstring(L, index, NULL);
    number_repr(lua_tonumber(L, index), text);
    return lua_pushstring(L, text);
}

/* The value at `index` as the server reads it; pushes what holds the text. NULL for none and nil.
 */
static const char *param_text(lua_State *L, int index)
{
    size_t len;
    const char *text;
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        lua_pushnil(L);
        return NULL;
    case LUA_TBOOLEAN:
        return lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false");
    case LUA_TNUMBER:
        return number_text(L, index);
    case LUA_TSTRING:
        lua_pushvalue(L, index);
        text = lua_tolstring(L, -1, &len);
        break;
    default:
        if (value_is_none(L, index)) {
            lua_pushnil(L);
            return NULL;
        }
        if (!luaL_getmetafield(L, index, "__tostring"))
            lua_err_misuse(L, DB_BAD_PARAMETER, "a %s cannot be bound as a parameter",
                           luaL_typename(L, index));
        lua_pop(L, 1);
        text = luaL_tolstring(L, index, &len);
    }
    if (strlen(text) != len)
        lua_err_misuse(L, DB_BAD_PARAMETER, "PostgreSQL's text cannot hold a zero byte");
    return text;
}

/* The arguments from 3 on, as an array that is pushed. */
static const char *const *params_of(lua_State *L, int count)
{
    if (count == 0)
        return NULL;
    luaL_checkstack(L, count + 4, "too many parameters");
    const char **params = lua_newuserdatauv(L, (size_t)count * sizeof *params, 0);
    for (int i = 0; i < count; i++)
        params[i] = param_text(L, i + 3);
    return params;
}

static int executed(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    struct db_conn_object *object = luaL_checkudata(L, 1, LIB_DB_CONN);
    struct db_wait *wait = luaL_checkudata(L, (int)ctx, WAIT);
    if (object->conn)
        lib_db_tell_notices(L, object->pool);
    lib_db_wait_raise(L, wait, lua_tostring(L, 2));
    lib_db_result_push(L, &wait->results);
    return 1;
}

/*
 * conn:exec(sql, ...) -> result of the last statement. Further arguments are bound as $1, $2, ...,
 * and there may be one statement only. Waits. Raises 401 for what the server refuses, 402 when the
 * connection breaks.
 */
static int conn_exec(lua_State *L)
{
    struct db_conn_object *object = lib_db_conn_check(L, 1);
    size_t len;
    const char *sql = luaL_checklstring(L, 2, &len);
    if (strlen(sql) != len)
        return lua_err_misuse(L, DB_BAD_PARAMETER, "a statement cannot hold a zero byte");
    int count = lua_gettop(L) - 2;
    const char *const *params = params_of(L, count);
    struct db_wait *wait = lib_db_wait_push(L, object);
    object->conn->adapter->send(object->conn, sql, count, params, lib_db_wait_answer, wait);
    return task_wait(L, lib_db_wait_leave, wait, executed, lua_gettop(L));
}

/* __index; upvalue 1: the methods. conn.pid is the server process. */
static int conn_index(lua_State *L)
{
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    if (lua_type(L, 2) != LUA_TSTRING || strcmp(lua_tostring(L, 2), "pid") != 0)
        return 0;
    struct db_conn *conn = lib_db_conn_check(L, 1)->conn;
    lua_pushinteger(L, conn->adapter->pid(conn));
    return 1;
}

void lib_db_conn_open(lua_State *L)
{
    static const luaL_Reg methods[] = {
        { "exec", conn_exec },
        { "txn", conn_txn },
        { "ended", conn_ended },
        { "forget_ended", conn_forget_ended },
        { "release", conn_release },
        { "escape_literal", conn_escape_literal },
        { "copy_begin", lib_db_copy_begin },
        { "copy_put", lib_db_copy_put },
        { "copy_end", lib_db_copy_end },
        { "copy_file", lib_db_copy_file },
        { NULL, NULL },
    };
    luaL_newmetatable(L, WAIT);
    lua_pushcfunction(L, wait_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newmetatable(L, LIB_DB_CONN);
    lua_pushcfunction(L, conn_gc);
    lua_setfield(L, -2, "__gc");
    luaL_newlib(L, methods);
    lua_pushcclosure(L, conn_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 2);
}
