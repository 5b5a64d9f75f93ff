/*
 * The values that projects and templates hold (lua/jinja/value.lua), as C makes them. A dict is a
 * table with the metatable "dex.dict": its entries, and under the key ORDER an array of its keys in
 * order. A list is a plain sequence with the metatable "dex.list". None is a light userdata of
 * NULL.
 */
#ifndef DEX_SCRIPT_VALUE_H
#define DEX_SCRIPT_VALUE_H

#include <lua.h>

#define VALUE_DICT "dex.dict"
#define VALUE_LIST "dex.list"
#define VALUE_TUPLE "dex.tuple" /* made by value.lua only; known by its metatable's __name */
#define VALUE_ERROR "dex.error"

/* The address is the key, for lua_rawgetp and lua_rawsetp. */
extern const char value_order;

/* Pushes an empty dict or list. */
void value_new_dict(lua_State *L);
void value_new_list(lua_State *L);

/* Pushes `none`, which stands for a missing value where nil cannot. */
void value_push_none(lua_State *L);

/*
 * dict[key] = value, a new key going to the end: pops the value, and under it the key. Neither may
 * be nil.
 */
void value_set(lua_State *L, int dict);

/* Whether the value is none. */
int value_is_none(lua_State *L, int index);

#endif
