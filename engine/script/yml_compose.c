/* dex.yaml: scalars, lists, mappings and anchors. */
#include <lauxlib.h>
#include <string.h>

#include "base/scalar.h"
#include "script/value.h"
#include "script/yml.h"

#define TAG "tag:yaml.org,2002:"

static int line_of(const struct yml *p)
{
    return (int)p->event.start_mark.line + 1;
}

/* Pushes the table of the container on top of the stack: its keys' lines, and under 0 its own. */
static void new_lines(struct yml *p)
{
    lua_State *L = p->L;
    lua_newtable(L);
    lua_pushinteger(L, line_of(p));
    lua_rawseti(L, -2, 0);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, YML_LINES);
}

/* The tag "!" says nothing to PyYAML. */
static const yaml_char_t *own_tag(const yaml_char_t *tag)
{
    return tag && strcmp((const char *)tag, "!") == 0 ? NULL : tag;
}

/* Whether the current event has this tag of YAML's own, as in !!int. */
static int has_tag(const yaml_char_t *tag, const char *name)
{
    return tag && strcmp((const char *)tag, name) == 0;
}

static int unknown_tag(struct yml *p, const yaml_char_t *tag)
{
    return yml_fail(p, "could not determine a constructor for the tag '%s'", (const char *)tag);
}

static void push_time(lua_State *L, const char *text, size_t len)
{
    lua_pushvalue(L, YML_DATE_HOOK);
    lua_pushlstring(L, text, len);
    if (lua_isnil(L, -2))
        lua_remove(L, -2);
    else
        lua_call(L, 1, 1);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_pushlstring(L, text, len);
    }
}

static void push_scalar(lua_State *L, const struct scalar *s, const char *text, size_t len)
{
    switch (s->kind) {
    case SCALAR_NULL:
        value_push_none(L);
        break;
    case SCALAR_BOOL:
        lua_pushboolean(L, s->i != 0);
        break;
    case SCALAR_INT:
        lua_pushinteger(L, s->i);
        break;
    case SCALAR_FLOAT:
        lua_pushnumber(L, s->f);
        break;
    case SCALAR_TIME:
        push_time(L, text, len);
        break;
    default:
        lua_pushlstring(L, text, len);
    }
}

static void compose_scalar(struct yml *p)
{
    const char *text = (const char *)p->event.data.scalar.value;
    size_t len = p->event.data.scalar.length;
    const yaml_char_t *tag = own_tag(p->event.data.scalar.tag);
    struct scalar s = { .kind = SCALAR_TEXT };
    int bad = 0;
    if (!tag && p->event.data.scalar.plain_implicit)
        s = scalar_resolve(text, len);
    else if (has_tag(tag, TAG "null"))
        s.kind = SCALAR_NULL;
    else if (has_tag(tag, TAG "int"))
        bad = scalar_int(text, len, &s);
    else if (has_tag(tag, TAG "float"))
        bad = scalar_float(text, len, &s);
    else if (has_tag(tag, TAG "bool"))
        bad = scalar_bool(text, len, &s);
    else if (has_tag(tag, TAG "timestamp"))
        s.kind = SCALAR_TIME;
    else if (tag && !has_tag(tag, TAG "str"))
        unknown_tag(p, tag);
    if (bad)
        yml_fail(p, "the value does not fit its tag");
    push_scalar(p->L, &s, text, len);
}

/* Goes into a container: the table, with its metatable, on top of the stack. */
static void enter(struct yml *p, int meta)
{
    lua_State *L = p->L;
    if (++p->depth > YML_MAX_DEPTH)
        yml_fail(p, "nested too deeply");
    luaL_checkstack(L, 20, "nested too deeply");
    lua_newtable(L);
    lua_pushvalue(L, meta);
    lua_setmetatable(L, -2);
}

static void compose_list(struct yml *p)
{
    lua_State *L = p->L;
    const yaml_char_t *tag = own_tag(p->event.data.sequence_start.tag);
    if (tag && !has_tag(tag, TAG "seq"))
        unknown_tag(p, tag);
    enter(p, YML_LIST_META);
    new_lines(p);
    int list = lua_gettop(L) - 1, lines = list + 1;
    yml_next(p);
    for (lua_Integer n = 1; p->event.type != YAML_SEQUENCE_END_EVENT; n++) {
        lua_pushinteger(L, line_of(p));
        lua_rawseti(L, lines, n);
        yml_compose(p);
        lua_rawseti(L, list, n);
    }
    lua_settop(L, list);
    p->depth--;
}

static int is_merge_key(const yaml_event_t *event)
{
    return event->type == YAML_SCALAR_EVENT && event->data.scalar.plain_implicit &&
           !event->data.scalar.tag && strcmp((const char *)event->data.scalar.value, "<<") == 0;
}

static void compose_key(struct yml *p)
{
    lua_State *L = p->L;
    yaml_mark_t mark = p->event.start_mark;
    yml_compose(p);
    if (lua_istable(L, -1))
        yml_fail_at(p, &mark, "found unhashable key: a mapping or a list cannot be a key");
    if (lua_isnumber(L, -1) && lua_tonumber(L, -1) != lua_tonumber(L, -1))
        yml_fail_at(p, &mark, "a key cannot be .nan");
}

static void compose_dict(struct yml *p)
{
    lua_State *L = p->L;
    const yaml_char_t *tag = own_tag(p->event.data.mapping_start.tag);
    if (tag && !has_tag(tag, TAG "map"))
        unknown_tag(p, tag);
    int dict = lua_gettop(L) + 1;
    luaL_checkstack(L, 20, "nested too deeply");
    lua_newtable(L);
    if (++p->depth > YML_MAX_DEPTH)
        yml_fail(p, "nested too deeply");
    new_lines(p);
    lua_newtable(L);
    lua_insert(L, dict + MAPPING_ORDER);
    lua_pushnil(L); /* MAPPING_MERGES */
    yml_next(p);
    while (p->event.type != YAML_MAPPING_END_EVENT) {
        yaml_mark_t mark = p->event.start_mark;
        if (is_merge_key(&p->event)) {
            yml_next(p);
            yml_compose(p);
            yml_note_merge(p, dict, &mark);
            continue;
        }
        compose_key(p);
        yml_compose(p);
        yml_put(L, dict, (int)mark.line + 1);
    }
    lua_pushnil(L); /* MAPPING_KEY */
    if (!lua_isnil(L, dict + MAPPING_MERGES))
        yml_merge(p, dict);
    lua_pushvalue(L, dict + MAPPING_ORDER);
    lua_rawsetp(L, dict, &value_order);
    lua_settop(L, dict);
    lua_pushvalue(L, YML_DICT_META);
    lua_setmetatable(L, -2);
    p->depth--;
}

/* Pushes what the anchor of an alias names. */
static void push_alias(struct yml *p)
{
    lua_State *L = p->L;
    const char *name = (const char *)p->event.data.alias.anchor;
    int type = lua_getfield(L, YML_ANCHORS, name);
    if (lua_getfield(L, YML_SIZES, name) == LUA_TNIL) {
        yml_fail(p,
                 type == LUA_TNIL ? "found undefined alias '%s'" : "the anchor '%s' holds itself",
                 name);
    }
    p->values += lua_tointeger(L, -1);
    lua_pop(L, 1);
}

/* Pushes the anchor's name, or nil; a second anchor of the same name is an error. */
static void push_anchor(struct yml *p)
{
    lua_State *L = p->L;
    yaml_event_t *event = &p->event;
    const yaml_char_t *anchor =
        event->type == YAML_SCALAR_EVENT           ? event->data.scalar.anchor
        : event->type == YAML_SEQUENCE_START_EVENT ? event->data.sequence_start.anchor
        : event->type == YAML_MAPPING_START_EVENT  ? event->data.mapping_start.anchor
                                                   : NULL;
    lua_pushstring(L, (const char *)anchor);
    if (!anchor)
        return;
    lua_pushvalue(L, -1);
    if (lua_rawget(L, YML_ANCHORS) != LUA_TNIL)
        yml_fail(p, "found duplicate anchor");
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_pushboolean(L, 0);
    lua_rawset(L, YML_ANCHORS);
}

/*
 * The value on top, the name under it: remembers the value, and how many it counts for, and drops
 * the name.
 */
static void keep_anchor(struct yml *p, long long values)
{
    lua_State *L = p->L;
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, YML_ANCHORS);
    lua_pushvalue(L, -2);
    lua_pushinteger(L, values);
    lua_rawset(L, YML_SIZES);
    lua_remove(L, -2);
}

void yml_compose(struct yml *p)
{
    lua_State *L = p->L;
    luaL_checkstack(L, 10, "nested too deeply");
    long long before = p->values++;
    push_anchor(p);
    if (p->event.type == YAML_ALIAS_EVENT)
        push_alias(p);
    else if (p->event.type == YAML_SCALAR_EVENT)
        compose_scalar(p);
    else if (p->event.type == YAML_SEQUENCE_START_EVENT)
        compose_list(p);
    else
        compose_dict(p);
    if (p->values > YML_MAX_VALUES)
        yml_fail(p, "the aliases in this file expand to too many values");
    if (lua_isnil(L, -2))
        lua_remove(L, -2);
    else
        keep_anchor(p, p->values - before);
    yml_next(p);
}
