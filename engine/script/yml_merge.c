/* dex.yaml: merge keys, `<<`. */
#include <lauxlib.h>
#include <string.h>

#include "script/value.h"
#include "script/yml.h"

void yml_put(lua_State *L, int dict, int line)
{
    lua_pushvalue(L, dict + MAPPING_KEY);
    if (lua_rawget(L, dict) == LUA_TNIL) {
        lua_pushvalue(L, dict + MAPPING_KEY);
        lua_rawseti(L, dict + MAPPING_ORDER, (lua_Integer)lua_rawlen(L, dict + MAPPING_ORDER) + 1);
    }
    lua_pop(L, 1);
    lua_pushvalue(L, dict + MAPPING_KEY);
    lua_pushinteger(L, line);
    lua_rawset(L, dict + MAPPING_LINES);
    lua_rawset(L, dict);
}

static const char *kind_name(lua_State *L, int index)
{
    if (!lua_istable(L, index))
        return "scalar";
    lua_getmetatable(L, index);
    int is_list = lua_rawequal(L, -1, YML_LIST_META);
    lua_pop(L, 1);
    return is_list ? "sequence" : "mapping";
}

static int is_mapping(lua_State *L, int index)
{
    return strcmp(kind_name(L, index), "mapping") == 0;
}

void yml_note_merge(struct yml *p, int dict, const yaml_mark_t *mark)
{
    lua_State *L = p->L;
    if (lua_isnil(L, dict + MAPPING_MERGES)) {
        lua_newtable(L);
        lua_replace(L, dict + MAPPING_MERGES);
    }
    int value = lua_gettop(L);
    lua_Integer n = (lua_Integer)lua_rawlen(L, dict + MAPPING_MERGES);
    if (is_mapping(L, value)) {
        lua_rawseti(L, dict + MAPPING_MERGES, n + 1);
        return;
    }
    if (!lua_istable(L, value))
        yml_fail_at(p, mark,
                    "expected a mapping or list of mappings for merging, but found scalar");
    for (lua_Integer i = (lua_Integer)lua_rawlen(L, value); i >= 1; i--) {
        lua_rawgeti(L, value, i);
        if (!is_mapping(L, -1)) {
            yml_fail_at(p, mark, "expected a mapping for merging, but found %s", kind_name(L, -1));
        }
        lua_rawseti(L, dict + MAPPING_MERGES, ++n);
    }
    lua_pop(L, 1);
}

/*
 * Copies the entries of the dict at `from`, with their lines, over those of `dict`. Uses the slot
 * MAPPING_KEY.
 */
static void copy_entries(lua_State *L, int dict, int from)
{
    lua_pushvalue(L, from);
    lua_rawget(L, YML_LINES);
    int lines = lua_gettop(L);
    lua_rawgetp(L, from, &value_order);
    int order = lua_gettop(L);
    size_t n = lua_rawlen(L, order);
    for (size_t i = 1; i <= n; i++) {
        lua_rawgeti(L, order, (lua_Integer)i);
        lua_pushvalue(L, -1);
        lua_replace(L, dict + MAPPING_KEY);
        lua_pushvalue(L, -1);
        lua_rawget(L, lines);
        int line = (int)lua_tointeger(L, -1);
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        lua_rawget(L, from);
        yml_put(L, dict, line);
    }
    lua_settop(L, lines - 1);
}

void yml_merge(struct yml *p, int own)
{
    lua_State *L = p->L;
    luaL_checkstack(L, 20, "nested too deeply");
    lua_newtable(L);
    int dict = lua_gettop(L);
    lua_newtable(L);
    lua_newtable(L);
    lua_pushvalue(L, own + MAPPING_MERGES);
    lua_pushnil(L);
    size_t n = lua_rawlen(L, own + MAPPING_MERGES);
    for (size_t i = 1; i <= n; i++) {
        lua_rawgeti(L, own + MAPPING_MERGES, (lua_Integer)i);
        copy_entries(L, dict, lua_gettop(L));
        lua_pop(L, 1);
    }
    lua_pushvalue(L, own + MAPPING_ORDER); /* copy_entries reads a finished dict */
    lua_rawsetp(L, own, &value_order);
    copy_entries(L, dict, own);
    lua_rawgeti(L, own + MAPPING_LINES, 0);
    lua_rawseti(L, dict + MAPPING_LINES, 0);
    lua_pushvalue(L, dict);
    lua_pushvalue(L, dict + MAPPING_LINES);
    lua_rawset(L, YML_LINES);
    for (int i = MAPPING_DICT; i <= MAPPING_LINES; i++) {
        lua_pushvalue(L, dict + i);
        lua_replace(L, own + i);
    }
    lua_settop(L, own + MAPPING_KEY);
}
