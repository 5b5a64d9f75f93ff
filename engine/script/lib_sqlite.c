/*
 * dex.sqlite: SQLite as a thin, safe set of functions. Statements are prepared once and kept;
 * values are bound by their Lua type, never pasted. No function here yields: what is asked is
 * short, but a lock of another process is waited for, as long as `timeout` allows.
 */
#include <fcntl.h>
#include <lauxlib.h>
#include <sqlite3.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "io/signals.h"
#include "script/libs.h"
#include "script/lua_err.h"

#define DATABASE "dex.sqlite.database"
#define STATEMENT "dex.sqlite.statement"

enum {
    MOST_KEPT = 128, /* statements, before all that rest are forgotten */
    STEPS = 100000,  /* of SQLite's machine, before it is asked whether somebody interrupts */
    PAUSE = 1000,    /* microseconds between two looks at a lock */
    KEPT = 1,        /* user value of a database: SQL -> its statement */
    NAMES = 1,       /* user value of a statement: names of its columns */
};

struct database {
    sqlite3 *handle;        /* NULL when closed */
    struct list statements; /* all that live */
    int kept;               /* how many are in the table */
    double timeout;         /* seconds that a lock of another process is waited for */
    double waiting;         /* since when it is */
};

/* A full userdata, so that the collector finds those that nobody keeps. */
struct statement {
    struct list node;
    sqlite3_stmt *stmt; /* NULL when finalized */
    int busy;           /* its rows are being read */
};

/* Errors --------------------------------------------------------------------- */

/* Our code for what SQLite says. */
static int code_of(int result)
{
    switch (result & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return 651;
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_NOMEM:
        return 652;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
        return 653;
    case SQLITE_INTERRUPT:
        return 907;
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return 650;
    default:
        return 901; /* SQL of ours that is wrong */
    }
}

/* Raises what went wrong last; `path` may be NULL. */
static int raise_error(lua_State *L, sqlite3 *handle, int result)
{
    struct err e = ERR_INIT;
    int code = code_of(result);
    const char *words = sqlite3_errmsg(handle), *path = sqlite3_db_filename(handle, "main");
    /* the last error may be of an earlier call: what was given counts */
    if ((sqlite3_errcode(handle) & 0xff) != (result & 0xff))
        words = sqlite3_errstr(result);
    err_set(&e, code, code == 907 ? "interrupted" : "%s", words);
    if (path && *path)
        err_at(&e, path, 0);
    return lua_err_raise(L, &e);
}

/* Databases ------------------------------------------------------------------ */

static struct database *check_database(lua_State *L)
{
    struct database *db = luaL_checkudata(L, 1, DATABASE);
    luaL_argcheck(L, db->handle, 1, "the database is closed");
    return db;
}

static void finalize(struct statement *s)
{
    sqlite3_finalize(s->stmt); /* what it says was said when it happened */
    s->stmt = NULL;
    list_remove(&s->node);
}

static int database_close(lua_State *L)
{
    struct database *db = luaL_checkudata(L, 1, DATABASE);
    if (!db->handle)
        return 0;
    list_each (it, &db->statements)
        finalize(list_entry(it, struct statement, node));
    sqlite3_close(db->handle);
    db->handle = NULL;
    return 0;
}

static int is_interrupted(void *arg)
{
    (void)arg;
    return signals_interrupted(0);
}

/* db:interruptible(yes): from now on SIGINT ends a long statement, which raises 907 */
static int database_interruptible(lua_State *L)
{
    struct database *db = check_database(L);
    sqlite3_progress_handler(db->handle, STEPS, lua_toboolean(L, 2) ? is_interrupted : NULL, NULL);
    return 0;
}

/*
 * Waits for the lock of another process, a moment at a time: whoever sleeps longer and longer, as
 * SQLite's own handler does, never finds a gap between the commits of a busy writer.
 */
static int wait_for_lock(void *arg, int count)
{
    struct database *db = arg;
    if (count == 0)
        db->waiting = clock_mono();
    if (clock_mono() - db->waiting >= db->timeout)
        return 0;
    usleep(PAUSE);
    return 1;
}

/*
 * sqlite.open(path, {readonly=, immutable=, timeout=}) -> database. `immutable`: read a file that
 * nobody changes, in a folder where nothing can be made. `timeout`: seconds that another process's
 * lock is waited for, 0 without. Raises 650 when it cannot be opened.
 */
static int sqlite_open(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    lua_getfield(L, 2, "readonly");
    lua_getfield(L, 2, "immutable");
    lua_getfield(L, 2, "timeout");
    int immutable = lua_toboolean(L, 4), readonly = immutable || lua_toboolean(L, 3);
    int flags = readonly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    const char *name = path;
    if (immutable) {
        luaL_argcheck(L, !strpbrk(path, "?#%"), 1, "a path without ? # %");
        name = lua_pushfstring(L, "file:%s?immutable=1", path);
        flags |= SQLITE_OPEN_URI;
    }
    struct database *db = lua_newuserdatauv(L, sizeof *db, 1);
    memset(db, 0, sizeof *db);
    list_init(&db->statements);
    luaL_setmetatable(L, DATABASE);
    lua_newtable(L);
    lua_setiuservalue(L, -2, KEPT);
    int result = sqlite3_open_v2(name, &db->handle, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (result != SQLITE_OK) {
        struct err e = ERR_INIT;
        err_set(&e, code_of(result), "%s", sqlite3_errstr(result));
        err_at(&e, path, 0);
        return lua_err_raise(L, &e);
    }
    sqlite3_extended_result_codes(db->handle, 1);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    db->timeout = lua_tonumber(L, 5);
    sqlite3_busy_handler(db->handle, wait_for_lock, db);
    return 1;
}

/* db:timeout(seconds): how long another process's lock is waited for from now on */
static int database_timeout(lua_State *L)
{
    check_database(L)->timeout = luaL_checknumber(L, 2);
    return 0;
}

/*
 * db:wal(): the database keeps a write-ahead log, so that readers and a writer do not wait for each
 * other. Of several processes that make a file at once, SQLite refuses all but one without asking
 * the handler above.
 */
static int database_wal(lua_State *L)
{
    struct database *db = check_database(L);
    for (int count = 0;; count++) {
        int result = sqlite3_exec(db->handle, "pragma journal_mode = wal", NULL, NULL, NULL);
        if (result == SQLITE_OK)
            return 0;
        if ((result & 0xff) != SQLITE_BUSY || !wait_for_lock(db, count))
            return raise_error(L, db->handle, result);
    }
}

/* Statements ----------------------------------------------------------------- */

static int statement_gc(lua_State *L)
{
    struct statement *s = luaL_checkudata(L, 1, STATEMENT);
    if (s->stmt)
        finalize(s);
    return 0;
}

/* The end of a loop over rows, however it ended. */
static int statement_close(lua_State *L)
{
    struct statement *s = luaL_checkudata(L, 1, STATEMENT);
    if (s->stmt)
        sqlite3_reset(s->stmt);
    s->busy = 0;
    return 0;
}

/* Forgets the statements that rest; the collector finalizes them. */
static void forget_kept(lua_State *L, struct database *db)
{
    lua_newtable(L);
    lua_setiuservalue(L, 1, KEPT);
    db->kept = 0;
}

/* Pushes a new statement of the SQL at 2. */
static struct statement *prepare(lua_State *L, struct database *db)
{
    size_t length;
    const char *sql = luaL_checklstring(L, 2, &length), *rest;
    luaL_argcheck(L, length < INT32_MAX, 2, "a statement of less than 2 GB");
    struct statement *s = lua_newuserdatauv(L, sizeof *s, 1);
    memset(s, 0, sizeof *s);
    list_init(&s->node);
    luaL_setmetatable(L, STATEMENT);
    int result = sqlite3_prepare_v3(db->handle, sql, (int)length + 1, SQLITE_PREPARE_PERSISTENT,
                                    &s->stmt, &rest);
    if (result != SQLITE_OK)
        raise_error(L, db->handle, result);
    luaL_argcheck(L, s->stmt, 2, "a statement");
    list_append(&db->statements, &s->node);
    luaL_argcheck(L, rest[strspn(rest, " \t\r\n;")] == '\0', 2, "one statement, not several");
    int count = sqlite3_column_count(s->stmt);
    lua_createtable(L, count, 0);
    for (int i = 0; i < count; i++) {
        lua_pushstring(L, sqlite3_column_name(s->stmt, i));
        lua_rawseti(L, -2, i + 1);
    }
    lua_setiuservalue(L, -2, NAMES);
    return s;
}

/* Pushes the statement of the SQL at 2: the kept one, unless its rows are being read. */
static struct statement *statement_of(lua_State *L, struct database *db)
{
    luaL_checkstring(L, 2);
    lua_getiuservalue(L, 1, KEPT);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL) {
        lua_remove(L, -2);
        struct statement *s = lua_touserdata(L, -1);
        if (!s->busy)
            return s;
        lua_pop(L, 1);
        return prepare(L, db);
    }
    lua_pop(L, 2);
    struct statement *s = prepare(L, db);
    if (db->kept >= MOST_KEPT)
        forget_kept(L, db);
    lua_getiuservalue(L, 1, KEPT);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    db->kept++;
    return s;
}

/* Binds the argument at `index` as number `at`; texts are copied, or not, as `keep` says. */
static int bind_value(lua_State *L, struct statement *s, int at, int index,
                      sqlite3_destructor_type keep)
{
    size_t length;
    const char *text;
    switch (lua_type(L, index)) {
    case LUA_TNONE:
    case LUA_TNIL:
        return sqlite3_bind_null(s->stmt, at);
    case LUA_TBOOLEAN:
        return sqlite3_bind_int(s->stmt, at, lua_toboolean(L, index));
    case LUA_TNUMBER:
        if (lua_isinteger(L, index))
            return sqlite3_bind_int64(s->stmt, at, lua_tointeger(L, index));
        return sqlite3_bind_double(s->stmt, at, lua_tonumber(L, index));
    case LUA_TSTRING:
        text = lua_tolstring(L, index, &length);
        return sqlite3_bind_text64(s->stmt, at, text, length, keep, SQLITE_UTF8);
    default:
        if (lua_touserdata(L, index) == NULL && lua_islightuserdata(L, index)) /* none */
            return sqlite3_bind_null(s->stmt, at);
        return luaL_error(L, "a %s cannot be kept in SQLite", luaL_typename(L, index));
    }
}

/*
 * Binds the arguments from 3 up to `last`; those that are missing at the end are NULL. Without a
 * copy the texts are those on the stack: every use of a statement binds all of them anew.
 */
static void bind_arguments(lua_State *L, struct database *db, struct statement *s, int last,
                           sqlite3_destructor_type keep)
{
    int wanted = sqlite3_bind_parameter_count(s->stmt);
    if (last - 2 > wanted)
        luaL_error(L, "the statement takes %d values, not %d", wanted, last - 2);
    for (int i = 1; i <= wanted; i++) {
        int result =
            i + 2 > last ? sqlite3_bind_null(s->stmt, i) : bind_value(L, s, i, i + 2, keep);
        if (result != SQLITE_OK)
            raise_error(L, db->handle, result);
    }
}

/* Pushes one value of the row. */
static void push_cell(lua_State *L, sqlite3_stmt *stmt, int column)
{
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_INTEGER:
        lua_pushinteger(L, sqlite3_column_int64(stmt, column));
        break;
    case SQLITE_FLOAT:
        lua_pushnumber(L, sqlite3_column_double(stmt, column));
        break;
    case SQLITE_NULL:
        lua_pushnil(L);
        break;
    default: {
        const char *bytes = sqlite3_column_blob(stmt, column); /* first this, then its length */
        lua_pushlstring(L, bytes ? bytes : "", (size_t)sqlite3_column_bytes(stmt, column));
    }
    }
}

/* Pushes the row as a table; `names` is where the list of its columns' names stands. */
static void push_row(lua_State *L, sqlite3_stmt *stmt, int names)
{
    int count = sqlite3_column_count(stmt);
    lua_createtable(L, 0, count);
    for (int i = 0; i < count; i++) {
        lua_rawgeti(L, names, i + 1);
        push_cell(L, stmt, i);
        lua_rawset(L, -3);
    }
}

/* One step. 1: there is a row. 0: the end; the statement is reset. Raises what went wrong. */
static int step(lua_State *L, struct database *db, struct statement *s)
{
    int result = sqlite3_step(s->stmt);
    if (result == SQLITE_ROW)
        return 1;
    sqlite3_reset(s->stmt);
    s->busy = 0;
    if (result != SQLITE_DONE)
        raise_error(L, db->handle, result);
    return 0;
}

/*
 * Begins a statement: its SQL is at 2, its values follow. The statement is on top. Where values are
 * made of its rows Lua may raise (memory): there it is marked to be closed, so that it is reset.
 */
static struct statement *begin(lua_State *L, struct database **db, sqlite3_destructor_type keep)
{
    *db = check_database(L);
    int last = lua_gettop(L);
    luaL_checkstack(L, 12, "too many values");
    struct statement *s = statement_of(L, *db);
    bind_arguments(L, *db, s, last, keep);
    s->busy = 1;
    return s;
}

/* db:exec(sql, ...) -> how many rows it changed */
static int database_exec(lua_State *L)
{
    struct database *db;
    struct statement *s = begin(L, &db, SQLITE_STATIC);
    while (step(L, db, s)) {
    }
    lua_pushinteger(L, sqlite3_changes64(db->handle));
    return 1;
}

/* db:row(sql, ...) -> the first row as a table by name, or nil */
static int database_row(lua_State *L)
{
    struct database *db;
    struct statement *s = begin(L, &db, SQLITE_STATIC);
    int statement = lua_gettop(L);
    lua_toclose(L, statement);
    if (!step(L, db, s))
        return 0;
    lua_getiuservalue(L, statement, NAMES);
    push_row(L, s->stmt, statement + 1);
    return 1;
}

/* db:value(sql, ...) -> the first value of the first row, or nil */
static int database_value(lua_State *L)
{
    struct database *db;
    struct statement *s = begin(L, &db, SQLITE_STATIC);
    lua_toclose(L, -1);
    if (!step(L, db, s))
        return 0;
    push_cell(L, s->stmt, 0);
    return 1;
}

/* db:rows(sql, ...) -> list of rows, tables by name */
static int database_rows(lua_State *L)
{
    struct database *db;
    struct statement *s = begin(L, &db, SQLITE_STATIC);
    int statement = lua_gettop(L);
    lua_toclose(L, statement);
    lua_getiuservalue(L, statement, NAMES);
    lua_newtable(L);
    for (lua_Integer n = 1; step(L, db, s); n++) {
        push_row(L, s->stmt, statement + 1);
        lua_rawseti(L, -2, n);
    }
    return 1;
}

/* The function that a loop calls: upvalues the statement and its database. */
static int next_row(lua_State *L)
{
    struct statement *s = lua_touserdata(L, lua_upvalueindex(1));
    struct database *db = lua_touserdata(L, lua_upvalueindex(2));
    if (!s->stmt || !s->busy)
        return 0;
    if (!step(L, db, s))
        return 0;
    lua_settop(L, 0);
    lua_getiuservalue(L, lua_upvalueindex(1), NAMES);
    push_row(L, s->stmt, 1);
    return 1;
}

/*
 * for row in db:each(sql, ...) do: rows one after the other, tables by name, in constant memory.
 * What the loop sees is the state at its beginning. It may be left at any row.
 */
static int database_each(lua_State *L)
{
    struct database *db;
    begin(L, &db, SQLITE_TRANSIENT); /* the arguments may be collected while rows are still read */
    int statement = lua_gettop(L);
    lua_pushvalue(L, statement);
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, next_row, 2);
    lua_pushnil(L);
    lua_pushnil(L);
    lua_pushvalue(L, statement); /* closed when the loop is left */
    return 4;
}

/* db:script(sql): runs statements that take and give nothing, one after the other */
static int database_script(lua_State *L)
{
    struct database *db = check_database(L);
    int result = sqlite3_exec(db->handle, luaL_checkstring(L, 2), NULL, NULL, NULL);
    return result == SQLITE_OK ? 0 : raise_error(L, db->handle, result);
}

/* db:last_id() -> the row id of the last insert */
static int database_last_id(lua_State *L)
{
    lua_pushinteger(L, sqlite3_last_insert_rowid(check_database(L)->handle));
    return 1;
}

/* db:in_transaction() -> whether one is open */
static int database_in_transaction(lua_State *L)
{
    lua_pushboolean(L, !sqlite3_get_autocommit(check_database(L)->handle));
    return 1;
}

/*
 * db:touch(): sets the times of the database's file, which wakes who watches it (dex.watch). Called
 * after a commit, as what SQLite itself writes may come before others can see it.
 */
static int database_touch(lua_State *L)
{
    const char *path = sqlite3_db_filename(check_database(L)->handle, "main");
    if (path && *path)
        utimensat(AT_FDCWD, path, NULL, 0); /* on failure readers hear of it with the next one */
    return 0;
}

/*
 * db:keep_log(): what is committed stays in the log file when the database is closed, until it is
 * large: closing costs nothing.
 */
static int database_keep_log(lua_State *L)
{
    sqlite3_db_config(check_database(L)->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return 0;
}

static const luaL_Reg methods[] = {
    { "exec", database_exec },
    { "row", database_row },
    { "value", database_value },
    { "rows", database_rows },
    { "each", database_each },
    { "script", database_script },
    { "last_id", database_last_id },
    { "in_transaction", database_in_transaction },
    { "interruptible", database_interruptible },
    { "timeout", database_timeout },
    { "wal", database_wal },
    { "touch", database_touch },
    { "keep_log", database_keep_log },
    { "close", database_close },
    { NULL, NULL },
};

static const luaL_Reg functions[] = {
    { "open", sqlite_open },
    { NULL, NULL },
};

int luaopen_dex_sqlite(lua_State *L)
{
    luaL_newmetatable(L, STATEMENT);
    lua_pushcfunction(L, statement_gc);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, statement_close);
    lua_setfield(L, -2, "__close");
    lua_pop(L, 1);
    luaL_newmetatable(L, DATABASE);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, database_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, database_close);
    lua_setfield(L, -2, "__close");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
