/*
 * The result of a statement. Fields: columns (names), types (oids), status (the command tag),
 * affected (rows, or nil), all (every result, when one request held several statements); #result is
 * the number of rows. Nothing here waits.
 */
#include "script/lib_db_result.h"

#include <lauxlib.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "script/lib_db.h"
#include "script/lua_err.h"

#define RESULT "dex.db.result"

/* pg_type.oid of what becomes something else than text */
enum {
    OID_BOOL = 16,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_OID = 26,
    OID_FLOAT4 = 700,
    OID_FLOAT8 = 701
};

/* User value 1: a table with what was asked for before, and `all`. */
struct result {
    PGresult *res; /* NULL: the request held no statement */
};

static struct result *check(lua_State *L)
{
    return luaL_checkudata(L, 1, RESULT);
}

static int result_gc(lua_State *L)
{
    struct result *result = check(L);
    PQclear(result->res);
    result->res = NULL;
    return 0;
}

long long lib_db_result_affected(const PGresult *res)
{
    const char *text = PQcmdTuples((PGresult *)(uintptr_t)res);
    return *text ? strtoll(text, NULL, 10) : -1;
}

/* The row and column at 2 and 3, counted from 0. Gives 0 for NULL. */
static int locate(lua_State *L, const PGresult *res, int *row, int *column)
{
    lua_Integer r = luaL_checkinteger(L, 2), c = luaL_checkinteger(L, 3);
    luaL_argcheck(L, r >= 1 && r <= PQntuples(res), 2, "there is no such row");
    luaL_argcheck(L, c >= 1 && c <= PQnfields(res), 3, "there is no such column");
    *row = (int)r - 1;
    *column = (int)c - 1;
    return !PQgetisnull(res, *row, *column);
}

/* result:text(row, column) -> what the server sent, or nil for NULL */
static int result_text(lua_State *L)
{
    const PGresult *res = check(L)->res;
    int r, c;
    if (!locate(L, res, &r, &c))
        return 0;
    lua_pushlstring(L, PQgetvalue(res, r, c), (size_t)PQgetlength(res, r, c));
    return 1;
}

/* result:get(row, column) -> an integer, float or boolean where the type is one, else the text */
static int result_get(lua_State *L)
{
    const PGresult *res = check(L)->res;
    int r, c;
    if (!locate(L, res, &r, &c))
        return 0;
    const char *text = PQgetvalue(res, r, c);
    switch (PQftype(res, c)) {
    case OID_BOOL:
        lua_pushboolean(L, text[0] == 't');
        break;
    case OID_INT8:
    case OID_INT2:
    case OID_INT4:
    case OID_OID:
        lua_pushinteger(L, strtoll(text, NULL, 10));
        break;
    case OID_FLOAT4:
    case OID_FLOAT8:
        lua_pushnumber(L, strtod(text, NULL));
        break;
    default:
        lua_pushlstring(L, text, (size_t)PQgetlength(res, r, c));
    }
    return 1;
}

/* Adds text as COPY's text format has it. */
static void add_escaped(luaL_Buffer *out, const char *text, size_t len)
{
    static const char special[] = "\\\t\n\r", instead[] = "\\tnr";
    const char *end = text + len;
    while (text < end) {
        size_t plain = strcspn(text, special);
        luaL_addlstring(out, text, plain);
        text += plain;
        if (text == end)
            break;
        luaL_addchar(out, '\\');
        luaL_addchar(out, instead[strchr(special, *text++) - special]);
    }
}

/*
 * result:copy_text(positions) -> all rows in COPY's text format, without the way through Lua's
 * values; positions: which columns, in their order
 */
static int result_copy_text(lua_State *L)
{
    enum { MOST = 1664 }; /* columns that a query can have */
    const PGresult *res = check(L)->res;
    int columns[MOST];
    lua_Integer n = luaL_len(L, 2);
    luaL_argcheck(L, n <= MOST, 2, "too many columns");
    for (int i = 0; i < n; i++) {
        lua_geti(L, 2, i + 1);
        columns[i] = (int)luaL_checkinteger(L, -1) - 1;
        luaL_argcheck(L, columns[i] >= 0 && columns[i] < PQnfields(res), 2, "no such column");
        lua_pop(L, 1);
    }
    luaL_Buffer out;
    luaL_buffinit(L, &out);
    for (int r = 0; r < PQntuples(res); r++) {
        for (int i = 0; i < n; i++) {
            if (i > 0)
                luaL_addchar(&out, '\t');
            if (PQgetisnull(res, r, columns[i]))
                luaL_addstring(&out, "\\N");
            else
                add_escaped(&out, PQgetvalue(res, r, columns[i]),
                            (size_t)PQgetlength(res, r, columns[i]));
        }
        luaL_addchar(&out, '\n');
    }
    luaL_pushresult(&out);
    return 1;
}

static int result_len(lua_State *L)
{
    lua_pushinteger(L, PQntuples(check(L)->res));
    return 1;
}

static void push_columns(lua_State *L, const PGresult *res)
{
    int n = PQnfields(res);
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        lua_pushstring(L, PQfname(res, i));
        lua_rawseti(L, -2, i + 1);
    }
}

static void push_types(lua_State *L, const PGresult *res)
{
    int n = PQnfields(res);
    lua_createtable(L, n, 0);
    for (int i = 0; i < n; i++) {
        lua_pushinteger(L, PQftype(res, i));
        lua_rawseti(L, -2, i + 1);
    }
}

/* Pushes a field that is made when it is asked for; gives 0 when there is none of this name. */
static int push_field(lua_State *L, const PGresult *res, const char *name)
{
    if (strcmp(name, "columns") == 0) {
        push_columns(L, res);
    } else if (strcmp(name, "types") == 0) {
        push_types(L, res);
    } else if (strcmp(name, "status") == 0) {
        lua_pushstring(L, PQcmdStatus((PGresult *)(uintptr_t)res));
    } else if (strcmp(name, "affected") == 0) {
        long long affected = lib_db_result_affected(res);
        if (affected < 0)
            return 0;
        lua_pushinteger(L, affected);
    } else {
        return 0;
    }
    return 1;
}

/* __index; upvalue 1: the methods */
static int result_index(lua_State *L)
{
    const struct result *result = check(L);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    lua_getiuservalue(L, 1, 1);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL)
        return 1;
    lua_pop(L, 1);
    if (lua_type(L, 2) != LUA_TSTRING || !push_field(L, result->res, lua_tostring(L, 2)))
        return 0;
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, -4);
    return 1;
}

/* Pushes one result, which is the object's from now on. Lua does not see how large it is: a big one
 * makes the collector work as if it did. */
static void push_one(lua_State *L, PGresult **res)
{
    enum { LARGE = 64 * 1024, KILO = 1024 };
    struct result *result = lua_newuserdatauv(L, sizeof *result, 1);
    result->res = NULL;
    luaL_setmetatable(L, RESULT);
    lua_newtable(L);
    lua_setiuservalue(L, -2, 1);
    result->res = *res;
    *res = NULL;
    size_t size = result->res ? PQresultMemorySize(result->res) : 0;
    if (size > LARGE)
        lua_gc(L, LUA_GCSTEP, (int)(size / KILO));
}

static void push_last(lua_State *L, struct db_result *results)
{
    PGresult *none = NULL;
    push_one(L, results ? &results->res : &none);
}

void lib_db_result_push(lua_State *L, struct db_result **results)
{
    luaL_checkstack(L, 6, "too many results");
    if (!*results || !(*results)->next) {
        push_last(L, *results);
    } else {
        lua_newtable(L);
        lua_Integer n = 0;
        for (struct db_result *one = *results; one; one = one->next) {
            push_one(L, &one->res);
            lua_rawseti(L, -2, ++n);
        }
        lua_rawgeti(L, -1, n);
        lua_getiuservalue(L, -1, 1);
        lua_pushvalue(L, -3);
        lua_setfield(L, -2, "all"); /* a cycle, which the collector sees through */
        lua_pop(L, 1);
        lua_remove(L, -2);
    }
    db_result_free(*results);
    *results = NULL;
}

static void set_text(lua_State *L, const char *field, const char *text)
{
    if (!text)
        return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, field);
}

void lib_db_push_error(lua_State *L, const struct db_result *results, const char *sql)
{
    const PGresult *error = db_result_error(results);
    const char *message = PQresultErrorField(error, PG_DIAG_MESSAGE_PRIMARY);
    const char *position = PQresultErrorField(error, PG_DIAG_STATEMENT_POSITION);
    lua_err_pushf(L, DB_STATEMENT, "%s", message ? message : PQresultErrorMessage(error));
    set_text(L, "detail", PQresultErrorField(error, PG_DIAG_MESSAGE_DETAIL));
    set_text(L, "hint", PQresultErrorField(error, PG_DIAG_MESSAGE_HINT));
    set_text(L, "sqlstate", PQresultErrorField(error, PG_DIAG_SQLSTATE));
    set_text(L, "severity", PQresultErrorField(error, PG_DIAG_SEVERITY_NONLOCALIZED));
    set_text(L, "context", PQresultErrorField(error, PG_DIAG_CONTEXT));
    set_text(L, "sql", sql);
    if (position) {
        lua_pushinteger(L, strtoll(position, NULL, 10));
        lua_setfield(L, -2, "position");
    }
}

void lib_db_result_open(lua_State *L)
{
    static const luaL_Reg methods[] = { { "get", result_get },
                                        { "text", result_text },
                                        { "copy_text", result_copy_text },
                                        { NULL, NULL } };
    static const luaL_Reg meta[] = {
        { "__gc", result_gc }, { "__close", result_gc }, { "__len", result_len }, { NULL, NULL }
    };
    luaL_newmetatable(L, RESULT);
    luaL_setfuncs(L, meta, 0);
    luaL_newlib(L, methods);
    lua_pushcclosure(L, result_index, 1);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}
