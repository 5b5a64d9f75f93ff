#include "script/lua_err.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

#include "script/value.h"

static void set_text(lua_State *L, const char *field, const char *text)
{
    if (text) {
        lua_pushstring(L, text);
        lua_setfield(L, -2, field);
    }
}

static void set_integer(lua_State *L, const char *field, lua_Integer n)
{
    lua_pushinteger(L, n);
    lua_setfield(L, -2, field);
}

void lua_err_push(lua_State *L, struct err *e)
{
    luaL_checkstack(L, 4, "too many errors");
    lua_createtable(L, 0, 5);
    luaL_setmetatable(L, VALUE_ERROR);
    set_integer(L, "code", e->code);
    set_text(L, "message", e->message);
    set_text(L, "hint", e->hint);
    set_text(L, "file", e->file);
    if (e->line > 0)
        set_integer(L, "line", e->line);
    err_fini(e);
}

int lua_err_raise(lua_State *L, struct err *e)
{
    lua_err_push(L, e);
    return lua_error(L);
}

/* Makes the message on top of the stack an error object. */
static void push_object(lua_State *L, int code)
{
    lua_createtable(L, 0, 4);
    luaL_setmetatable(L, VALUE_ERROR);
    lua_insert(L, -2);
    lua_setfield(L, -2, "message");
    set_integer(L, "code", code);
}

void lua_err_pushf(lua_State *L, int code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    lua_err_pushv(L, code, fmt, args);
    va_end(args);
}

void lua_err_pushv(lua_State *L, int code, const char *fmt, va_list args)
{
    luaL_checkstack(L, 4, "too many errors");
    lua_pushvfstring(L, fmt, args);
    push_object(L, code);
}

int lua_err_misuse(lua_State *L, int code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    lua_pushvfstring(L, fmt, args);
    va_end(args);
    push_object(L, code);
    lua_Debug ar;
    if (lua_getstack(L, 1, &ar) && lua_getinfo(L, "Sl", &ar) && ar.currentline > 0) {
        set_text(L, "file", ar.short_src);
        set_integer(L, "line", ar.currentline);
    }
    return lua_error(L);
}

/* A raw field of the table at `index`, left on the stack. */
static const char *text_field(lua_State *L, int index, const char *name)
{
    lua_pushstring(L, name);
    lua_rawget(L, index);
    return lua_isstring(L, -1) ? lua_tostring(L, -1) : NULL;
}

/* A raw field as an integer, or 0. */
static int integer_field(lua_State *L, int index, const char *name)
{
    lua_pushstring(L, name);
    lua_rawget(L, index);
    int n = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    return n;
}

int lua_err_take(lua_State *L, int index, struct err *e)
{
    index = lua_absindex(L, index);
    int top = lua_gettop(L);
    luaL_checkstack(L, 6, "too many errors");
    if (!lua_istable(L, index)) {
        const char *text =
            lua_isstring(L, index) ? lua_tostring(L, index) : luaL_typename(L, index);
        return err_set(e, 901, "%s", text);
    }
    const char *message = text_field(L, index, "message");
    const char *file = text_field(L, index, "file");
    const char *hint = text_field(L, index, "hint");
    int code = integer_field(L, index, "code");
    err_set(e, code ? code : 901, "%s", message ? message : "an error without words");
    err_at(e, file, integer_field(L, index, "line"));
    if (hint)
        err_hint(e, "%s", hint);
    lua_settop(L, top);
    return -1;
}

static int is_error(lua_State *L, int index)
{
    if (!lua_istable(L, index) || !lua_getmetatable(L, index))
        return 0;
    luaL_getmetatable(L, VALUE_ERROR);
    int same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

/* "lua/x.lua:12: words": sets file and line of the object on top; gives the words. */
static const char *split_position(lua_State *L, const char *text)
{
    const char *colon = strchr(text, ':');
    const char *end_of_line = strchr(text, '\n');
    if (!colon || colon == text || (end_of_line && end_of_line < colon))
        return text;
    char *end;
    long line = strtol(colon + 1, &end, 10);
    if (end == colon + 1 || line <= 0 || end[0] != ':' || end[1] != ' ')
        return text;
    lua_pushlstring(L, text, (size_t)(colon - text));
    lua_setfield(L, -2, "file");
    set_integer(L, "line", line);
    return end + 2;
}

void lua_err_explain(lua_State *L, lua_State *from)
{
    luaL_checkstack(L, 6, "too many errors");
    if (!is_error(L, -1)) {
        const char *text = luaL_tolstring(L, -1, NULL);
        lua_createtable(L, 0, 5);
        luaL_setmetatable(L, VALUE_ERROR);
        set_integer(L, "code", 901);
        lua_pushstring(L, split_position(L, text));
        lua_setfield(L, -2, "message");
        lua_replace(L, -3);
        lua_pop(L, 1);
    }
    lua_pushliteral(L, "traceback");
    if (lua_rawget(L, -2) == LUA_TNIL) {
        luaL_traceback(L, from, NULL, 0);
        lua_setfield(L, -3, "traceback");
    }
    lua_pop(L, 1);
}
