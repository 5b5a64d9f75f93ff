/*
 * COPY ... FROM STDIN for Lua. From a function: copy_begin, copy_put for each piece, copy_end,
 * which lua/run/copy.lua calls. From a file: copy_file does all of it, and no byte passes through
 * Lua.
 */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <string.h>
#include <unistd.h>

#include "script/lib_db_object.h"
#include "script/lib_db_result.h"
#include "script/lua_err.h"

#define SOURCE "dex.db.source"

enum { CHUNK = 128 * 1024 };

/* The wait that was pushed last before the function waited. */
static struct db_wait *wait_at(lua_State *L, lua_KContext index)
{
    return lua_touserdata(L, (int)index);
}

static int begun(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    struct db_wait *wait = wait_at(L, ctx);
    lib_db_wait_raise(L, wait, lua_tostring(L, 2));
    if (wait->results) /* the statement was no COPY, and is over */
        return lua_err_misuse(L, DB_MISUSE, "this statement takes no data: %s", lua_tostring(L, 2));
    return 0;
}

/* Sends the statement at 2; returns by task_wait. */
static int begin(lua_State *L, lua_KFunction then)
{
    struct db_conn_object *object = lib_db_conn_check(L, 1);
    const char *sql = luaL_checkstring(L, 2);
    struct db_wait *wait = lib_db_wait_push(L, object);
    object->conn->adapter->copy_begin(object->conn, sql, lib_db_wait_answer, wait);
    return task_wait(L, lib_db_wait_leave, wait, then, lua_gettop(L));
}

/* conn:copy_begin(sql): the server takes data from now on. Waits. Raises 401. */
int lib_db_copy_begin(lua_State *L)
{
    lua_settop(L, 2);
    return begin(L, begun);
}

static int put(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    lib_db_wait_raise(L, wait_at(L, ctx), NULL);
    return 0;
}

/* conn:copy_put(data): a piece of any size. Waits while the server is slower than we are. */
int lib_db_copy_put(lua_State *L)
{
    struct db_conn_object *object = lib_db_conn_check(L, 1);
    size_t len;
    const char *data = luaL_checklstring(L, 2, &len);
    struct db_wait *wait = lib_db_wait_push(L, object);
    if (object->conn->adapter->copy_put(object->conn, data, len, lib_db_wait_answer, wait))
        return 0;
    return task_wait(L, lib_db_wait_leave, wait, put, lua_gettop(L));
}

static int ended(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    struct db_conn_object *object = luaL_checkudata(L, 1, LIB_DB_CONN);
    struct db_wait *wait = wait_at(L, ctx);
    if (object->conn)
        lib_db_tell_notices(L, object->pool);
    lib_db_wait_raise(L, wait, NULL);
    long long rows = wait->results ? lib_db_result_affected(wait->results->res) : -1;
    lua_pushinteger(L, rows < 0 ? 0 : rows);
    return 1;
}

/* Ends the copy; returns by task_wait. */
static int end(lua_State *L, const char *failure, lua_KFunction then)
{
    struct db_conn_object *object = lib_db_conn_check(L, 1);
    struct db_wait *wait = lib_db_wait_push(L, object);
    object->conn->adapter->copy_end(object->conn, failure, lib_db_wait_answer, wait);
    return task_wait(L, lib_db_wait_leave, wait, then, lua_gettop(L));
}

/*
 * conn:copy_end(failure) -> rows that were copied. With `failure`, a text, the server discards
 * everything and answers with an error. Waits. Raises 401.
 */
int lib_db_copy_end(lua_State *L)
{
    return end(L, luaL_optstring(L, 2, NULL), ended);
}

/* From a file ------------------------------------------------------------------ */

enum { ARG_CONN = 1, ARG_SQL, ARG_PATH, ARG_FROM, SLOT_SOURCE };

struct source {
    int fd;
    int failed; /* errno, when it cannot be read */
    char data[CHUNK];
};

static int source_gc(lua_State *L)
{
    struct source *source = lua_touserdata(L, 1);
    if (source->fd >= 0)
        close(source->fd);
    source->fd = -1;
    return 0;
}

static int raise_source(lua_State *L, int number)
{
    struct err e = ERR_INIT;
    errno = number;
    err_sys(&e, DB_COPY_SOURCE, "cannot read the file");
    err_at(&e, lua_tostring(L, ARG_PATH), 0);
    return lua_err_raise(L, &e);
}

static int file_ended(lua_State *L, int status, lua_KContext ctx)
{
    const struct source *source = lua_touserdata(L, SLOT_SOURCE);
    if (source->failed)
        return raise_source(L, source->failed);
    return ended(L, status, ctx);
}

static int pump(lua_State *L, int status, lua_KContext ctx);

/* Reads and sends until the socket is full, or the file at its end. */
static int pump_on(lua_State *L)
{
    struct db_conn_object *object = lib_db_conn_check(L, ARG_CONN);
    struct source *source = lua_touserdata(L, SLOT_SOURCE);
    lua_settop(L, SLOT_SOURCE);
    struct db_wait *wait = lib_db_wait_push(L, object);
    for (;;) {
        ssize_t n = read(source->fd, source->data, CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            source->failed = errno;
        if (n <= 0) {
            lua_settop(L, SLOT_SOURCE);
            return end(L, n < 0 ? "the file cannot be read" : NULL, file_ended);
        }
        if (!object->conn->adapter->copy_put(object->conn, source->data, (size_t)n,
                                             lib_db_wait_answer, wait))
            return task_wait(L, lib_db_wait_leave, wait, pump, lua_gettop(L));
    }
}

static int pump(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    lib_db_wait_raise(L, wait_at(L, ctx), NULL);
    return pump_on(L);
}

static int file_begun(lua_State *L, int status, lua_KContext ctx)
{
    begun(L, status, ctx);
    return pump_on(L);
}

/*
 * conn:copy_file(sql, path, from) -> rows. Copies the file's bytes from offset `from` on, in
 * constant memory. Waits. Raises 401, and 405 when the file cannot be read.
 */
int lib_db_copy_file(lua_State *L)
{
    const char *path = luaL_checkstring(L, ARG_PATH);
    lua_Integer from = luaL_optinteger(L, ARG_FROM, 0);
    lua_settop(L, ARG_FROM);
    struct source *source = lua_newuserdatauv(L, sizeof *source, 0);
    source->fd = -1;
    source->failed = 0;
    if (luaL_newmetatable(L, SOURCE)) {
        lua_pushcfunction(L, source_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, SLOT_SOURCE);
    source->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (source->fd < 0 || lseek(source->fd, (off_t)from, SEEK_SET) < 0)
        return raise_source(L, errno);
    return begin(L, file_begun);
}
