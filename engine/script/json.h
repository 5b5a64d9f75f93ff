/* The two functions of dex.json, as Python's json.loads and json.dumps. */
#ifndef DEX_SCRIPT_JSON_H
#define DEX_SCRIPT_JSON_H

#include <lua.h>

/* Deepest nesting either way; about Python's own limit. */
enum { JSON_DEPTH = 1000, JSON_BAD_TEXT = 123, JSON_BAD_VALUE = 124 };

/*
 * json.decode(text) -> value. Objects become dicts in their order (the last of equal keys wins),
 * arrays lists, null none; numbers with a point or an exponent become floats, others integers,
 * which must fit in 64 bits. NaN, Infinity and -Infinity are read. Raises 123 with line and column.
 */
int json_decode(lua_State *L);

/*
 * json.encode(value, options) -> text, ... Options: `indent` (spaces per level; none: one line),
 * `sort_keys`, `ascii` (true: everything else as \uXXXX), `compact` (no space after , and :),
 * `exact` (raises 124 for what json.decode would give back as something else: tuples, objects, keys
 * that are no text, text that is no UTF-8),
 * `holes` (a list of tables within the value, at most 4, in their order: nothing is written in
 * their place, and the texts before, between and behind them come back one by one), `default` (a
 * function that gives a plain value for objects that are none; it may not wait). An object whose
 * metatable has `__tojson` is given to that. Raises 124 for what cannot be written: nil, undefined,
 * functions, tables that are neither dict, list nor tuple.
 */
int json_encode(lua_State *L);

#endif
