/*
 * Errors on their way into Lua: tables with the metatable "dex.error" (lua/err.lua) and the fields
 * code, message, hint, file, line.
 */
#ifndef DEX_SCRIPT_LUA_ERR_H
#define DEX_SCRIPT_LUA_ERR_H

#include <lua.h>
#include <stdarg.h>

#include "base/err.h"

/* Pushes the error object and frees `e`. */
void lua_err_push(lua_State *L, struct err *e);

/* Raises it; never returns (the type lets a caller write `return lua_err_raise(L, &e)`). */
int lua_err_raise(lua_State *L, struct err *e);

/* Pushes an error object; the message as by lua_pushfstring. */
void lua_err_pushf(lua_State *L, int code, const char *fmt, ...);
void lua_err_pushv(lua_State *L, int code, const char *fmt, va_list args);

/*
 * Raises an error that is the caller's mistake: it carries the file and line of the calling Lua
 * code.
 */
int lua_err_misuse(lua_State *L, int code, const char *fmt, ...);

/* Fills `e` from the error value at `index`, whatever it is: the way back into C. Gives -1. */
int lua_err_take(lua_State *L, int index, struct err *e);

/*
 * Replaces the error value on top of `L`, unless it is an error object already, by one with code
 * 901 (what lua/err.lua gives a plain error too), its position split off, and the field `traceback`
 * with the stack of `from`. An error object stays as it is, but gets the traceback when it lacks
 * one.
 */
void lua_err_explain(lua_State *L, lua_State *from);

#endif
