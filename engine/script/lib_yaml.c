/*
 * dex.yaml: libyaml's events become dicts and lists by the rules of PyYAML's safe_load, and every key and list
 * item is remembered with its line.
 */
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/scalar.h"
#include "script/libs.h"
#include "script/lua_err.h"
#include "script/value.h"

#define TYPE "dex.yaml.parser"
#define TAG "tag:yaml.org,2002:"

enum {
    BAD_YAML = 103,
    MAX_DEPTH = 500,
    MAX_VALUES = 10000000 /* aliases counted as if copied: stops a file that explodes */
};

/* Stack slots of yaml_decode. Anchors and sizes go by the anchor's name; one in the making is `false`. */
enum { TEXT = 1, FILE_NAME, PARSER, LINES, ANCHORS, SIZES, DICT_META, LIST_META, DATE_HOOK };

/* A userdata, so that an error frees libyaml's memory. */
struct parser {
    lua_State *L;
    yaml_parser_t yaml;
    yaml_event_t event; /* the current one */
    int has_event;
    int depth;
    long long values;
};

static int parser_gc(lua_State *L)
{
    struct parser *p = luaL_checkudata(L, 1, TYPE);
    if (p->has_event)
        yaml_event_delete(&p->event);
    if (p->L)
        yaml_parser_delete(&p->yaml);
    p->has_event = 0;
    p->L = NULL;
    return 0;
}

/* Adds what every error says to the object on top of the stack, and raises it. Line and column from 1. */
static int raise_at(struct parser *p, size_t line, size_t column)
{
    lua_State *L = p->L;
    if (!lua_isnil(L, FILE_NAME)) {
        lua_pushvalue(L, FILE_NAME);
        lua_setfield(L, -2, "file");
    }
    lua_pushinteger(L, (lua_Integer)line);
    lua_setfield(L, -2, "line");
    lua_pushinteger(L, (lua_Integer)column);
    lua_setfield(L, -2, "column");
    return lua_error(L);
}

static int fail_at(struct parser *p, const yaml_mark_t *mark, const char *words)
{
    lua_err_pushf(p->L, BAD_YAML, "%s", words);
    return raise_at(p, mark->line + 1, mark->column + 1);
}

/* An error of this file's at the current event. */
static int fail(struct parser *p, const char *words)
{
    yaml_mark_t mark = p->event.start_mark;
    return fail_at(p, &mark, words);
}

/* Text that is not UTF-8: libyaml knows the byte only. */
static int fail_reader(struct parser *p)
{
    size_t len, line = 1, column = 1;
    const char *text = lua_tolstring(p->L, TEXT, &len);
    for (size_t i = 0; i < p->yaml.problem_offset && i < len; i++) {
        column = text[i] == '\n' ? 1 : column + 1;
        line += text[i] == '\n';
    }
    if (p->yaml.problem_value >= 0)
        lua_err_pushf(p->L, BAD_YAML, "%s (character %d)", p->yaml.problem, p->yaml.problem_value);
    else
        lua_err_pushf(p->L, BAD_YAML, "%s", p->yaml.problem);
    return raise_at(p, line, column);
}

static int fail_parse(struct parser *p)
{
    const yaml_parser_t *yaml = &p->yaml;
    if (yaml->error == YAML_READER_ERROR)
        return fail_reader(p);
    if (yaml->error == YAML_MEMORY_ERROR)
        return luaL_error(p->L, "not enough memory");
    if (!yaml->context)
        lua_err_pushf(p->L, BAD_YAML, "%s", yaml->problem);
    else if (yaml->context_mark.line == yaml->problem_mark.line)
        lua_err_pushf(p->L, BAD_YAML, "%s %s", yaml->problem, yaml->context);
    else
        lua_err_pushf(p->L, BAD_YAML, "%s %s that begins in line %d", yaml->problem, yaml->context,
                      (int)yaml->context_mark.line + 1);
    return raise_at(p, yaml->problem_mark.line + 1, yaml->problem_mark.column + 1);
}

static void next(struct parser *p)
{
    if (p->has_event)
        yaml_event_delete(&p->event);
    p->has_event = 0;
    if (!yaml_parser_parse(&p->yaml, &p->event))
        fail_parse(p);
    p->has_event = 1;
}

static int line_of(const struct parser *p)
{
    return (int)p->event.start_mark.line + 1;
}

/* Pushes the table of the container on top of the stack: its keys' lines, and under 0 its own. */
static void new_lines(struct parser *p)
{
    lua_State *L = p->L;
    lua_newtable(L);
    lua_pushinteger(L, line_of(p));
    lua_rawseti(L, -2, 0);
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, LINES);
}

static void compose(struct parser *p);

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

static int unknown_tag(struct parser *p, const yaml_char_t *tag)
{
    lua_err_pushf(p->L, BAD_YAML, "could not determine a constructor for the tag '%s'", (const char *)tag);
    return raise_at(p, p->event.start_mark.line + 1, p->event.start_mark.column + 1);
}

static void push_time(lua_State *L, const char *text, size_t len)
{
    lua_pushvalue(L, DATE_HOOK);
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

static void compose_scalar(struct parser *p)
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
        fail(p, "the value does not fit its tag");
    push_scalar(p->L, &s, text, len);
}

/* Goes into a container: the table, with its metatable, on top of the stack. */
static void enter(struct parser *p, int meta)
{
    lua_State *L = p->L;
    if (++p->depth > MAX_DEPTH)
        fail(p, "nested too deeply");
    luaL_checkstack(L, 20, "nested too deeply");
    lua_newtable(L);
    lua_pushvalue(L, meta);
    lua_setmetatable(L, -2);
}

static void compose_list(struct parser *p)
{
    lua_State *L = p->L;
    const yaml_char_t *tag = own_tag(p->event.data.sequence_start.tag);
    if (tag && !has_tag(tag, TAG "seq"))
        unknown_tag(p, tag);
    enter(p, LIST_META);
    new_lines(p);
    int list = lua_gettop(L) - 1, lines = list + 1;
    next(p);
    for (lua_Integer n = 1; p->event.type != YAML_SEQUENCE_END_EVENT; n++) {
        lua_pushinteger(L, line_of(p));
        lua_rawseti(L, lines, n);
        compose(p);
        lua_rawseti(L, list, n);
    }
    lua_settop(L, list);
    p->depth--;
}

/* Slots of a mapping in the making, counted from the dict. */
enum { DICT, ORDER, KEY_LINES, MERGES, KEY };

/* Stores the value on top under the key below it and pops both; a new key goes to the end of the order. */
static void put(lua_State *L, int dict, int line)
{
    lua_pushvalue(L, dict + KEY);
    if (lua_rawget(L, dict) == LUA_TNIL) {
        lua_pushvalue(L, dict + KEY);
        lua_rawseti(L, dict + ORDER, (lua_Integer)lua_rawlen(L, dict + ORDER) + 1);
    }
    lua_pop(L, 1);
    lua_pushvalue(L, dict + KEY);
    lua_pushinteger(L, line);
    lua_rawset(L, dict + KEY_LINES);
    lua_rawset(L, dict);
}

static const char *kind_name(lua_State *L, int index)
{
    if (!lua_istable(L, index))
        return "scalar";
    lua_getmetatable(L, index);
    int is_list = lua_rawequal(L, -1, LIST_META);
    lua_pop(L, 1);
    return is_list ? "sequence" : "mapping";
}

static int is_mapping(lua_State *L, int index)
{
    return strcmp(kind_name(L, index), "mapping") == 0;
}

/*
 * The value of a `<<` key is on top; it is popped and its mappings are added to the list of those to merge, the
 * one that counts least first.
 */
static void note_merge(struct parser *p, int dict, const yaml_mark_t *mark)
{
    lua_State *L = p->L;
    if (lua_isnil(L, dict + MERGES)) {
        lua_newtable(L);
        lua_replace(L, dict + MERGES);
    }
    int value = lua_gettop(L);
    lua_Integer n = (lua_Integer)lua_rawlen(L, dict + MERGES);
    if (is_mapping(L, value)) {
        lua_rawseti(L, dict + MERGES, n + 1);
        return;
    }
    if (!lua_istable(L, value))
        fail_at(p, mark, "expected a mapping or list of mappings for merging, but found scalar");
    for (lua_Integer i = (lua_Integer)lua_rawlen(L, value); i >= 1; i--) {
        lua_rawgeti(L, value, i);
        if (!is_mapping(L, -1)) {
            char words[80];
            snprintf(words, sizeof words, "expected a mapping for merging, but found %s", kind_name(L, -1));
            fail_at(p, mark, words);
        }
        lua_rawseti(L, dict + MERGES, ++n);
    }
    lua_pop(L, 1);
}

/* Copies the entries of the dict at `from`, with their lines, over those of `dict`. Uses the slot KEY. */
static void copy_entries(lua_State *L, int dict, int from)
{
    lua_pushvalue(L, from);
    lua_rawget(L, LINES);
    int lines = lua_gettop(L);
    lua_rawgetp(L, from, &value_order);
    int order = lua_gettop(L);
    size_t n = lua_rawlen(L, order);
    for (size_t i = 1; i <= n; i++) {
        lua_rawgeti(L, order, (lua_Integer)i);
        lua_pushvalue(L, -1);
        lua_replace(L, dict + KEY);
        lua_pushvalue(L, -1);
        lua_rawget(L, lines);
        int line = (int)lua_tointeger(L, -1);
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
        lua_rawget(L, from);
        put(L, dict, line);
    }
    lua_settop(L, lines - 1);
}

/*
 * Puts what is to be merged before the mapping's own entries, as PyYAML does: the own ones win. The dict is made
 * anew and takes the place of the first one.
 */
static void merge(struct parser *p, int own)
{
    lua_State *L = p->L;
    luaL_checkstack(L, 20, "nested too deeply");
    lua_newtable(L);
    int dict = lua_gettop(L);
    lua_newtable(L);
    lua_newtable(L);
    lua_pushvalue(L, own + MERGES);
    lua_pushnil(L);
    size_t n = lua_rawlen(L, own + MERGES);
    for (size_t i = 1; i <= n; i++) {
        lua_rawgeti(L, own + MERGES, (lua_Integer)i);
        copy_entries(L, dict, lua_gettop(L));
        lua_pop(L, 1);
    }
    lua_pushvalue(L, own + ORDER); /* copy_entries reads a finished dict */
    lua_rawsetp(L, own, &value_order);
    copy_entries(L, dict, own);
    lua_rawgeti(L, own + KEY_LINES, 0);
    lua_rawseti(L, dict + KEY_LINES, 0);
    lua_pushvalue(L, dict);
    lua_pushvalue(L, dict + KEY_LINES);
    lua_rawset(L, LINES);
    for (int i = DICT; i <= KEY_LINES; i++) {
        lua_pushvalue(L, dict + i);
        lua_replace(L, own + i);
    }
    lua_settop(L, own + KEY);
}

static int is_merge_key(const yaml_event_t *event)
{
    return event->type == YAML_SCALAR_EVENT && event->data.scalar.plain_implicit &&
           !event->data.scalar.tag && strcmp((const char *)event->data.scalar.value, "<<") == 0;
}

static void compose_key(struct parser *p)
{
    lua_State *L = p->L;
    yaml_mark_t mark = p->event.start_mark;
    compose(p);
    if (lua_istable(L, -1))
        fail_at(p, &mark, "found unhashable key: a mapping or a list cannot be a key");
    if (lua_isnumber(L, -1) && lua_tonumber(L, -1) != lua_tonumber(L, -1))
        fail_at(p, &mark, "a key cannot be .nan");
}

static void compose_dict(struct parser *p)
{
    lua_State *L = p->L;
    const yaml_char_t *tag = own_tag(p->event.data.mapping_start.tag);
    if (tag && !has_tag(tag, TAG "map"))
        unknown_tag(p, tag);
    int dict = lua_gettop(L) + 1;
    luaL_checkstack(L, 20, "nested too deeply");
    lua_newtable(L);
    if (++p->depth > MAX_DEPTH)
        fail(p, "nested too deeply");
    new_lines(p);
    lua_newtable(L);
    lua_insert(L, dict + ORDER);
    lua_pushnil(L); /* MERGES */
    next(p);
    while (p->event.type != YAML_MAPPING_END_EVENT) {
        yaml_mark_t mark = p->event.start_mark;
        if (is_merge_key(&p->event)) {
            next(p);
            compose(p);
            note_merge(p, dict, &mark);
            continue;
        }
        compose_key(p);
        compose(p);
        put(L, dict, (int)mark.line + 1);
    }
    lua_pushnil(L); /* KEY */
    if (!lua_isnil(L, dict + MERGES))
        merge(p, dict);
    lua_pushvalue(L, dict + ORDER);
    lua_rawsetp(L, dict, &value_order);
    lua_settop(L, dict);
    lua_pushvalue(L, DICT_META);
    lua_setmetatable(L, -2);
    p->depth--;
}

/* Pushes what the anchor of an alias names. */
static void push_alias(struct parser *p)
{
    lua_State *L = p->L;
    const char *name = (const char *)p->event.data.alias.anchor;
    int type = lua_getfield(L, ANCHORS, name);
    if (lua_getfield(L, SIZES, name) == LUA_TNIL) {
        lua_err_pushf(L, BAD_YAML, type == LUA_TNIL ? "found undefined alias '%s'" : "the anchor '%s' holds itself",
                      name);
        raise_at(p, p->event.start_mark.line + 1, p->event.start_mark.column + 1);
    }
    p->values += lua_tointeger(L, -1);
    lua_pop(L, 1);
}

/* Pushes the anchor's name, or nil; a second anchor of the same name is an error. */
static void push_anchor(struct parser *p)
{
    lua_State *L = p->L;
    yaml_event_t *event = &p->event;
    const yaml_char_t *anchor = event->type == YAML_SCALAR_EVENT           ? event->data.scalar.anchor
                                : event->type == YAML_SEQUENCE_START_EVENT ? event->data.sequence_start.anchor
                                : event->type == YAML_MAPPING_START_EVENT  ? event->data.mapping_start.anchor
                                                                           : NULL;
    lua_pushstring(L, (const char *)anchor);
    if (!anchor)
        return;
    lua_pushvalue(L, -1);
    if (lua_rawget(L, ANCHORS) != LUA_TNIL)
        fail(p, "found duplicate anchor");
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_pushboolean(L, 0);
    lua_rawset(L, ANCHORS);
}

/* The value on top, the name under it: remembers the value, and how many it counts for, and drops the name. */
static void keep_anchor(struct parser *p, long long values)
{
    lua_State *L = p->L;
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, ANCHORS);
    lua_pushvalue(L, -2);
    lua_pushinteger(L, values);
    lua_rawset(L, SIZES);
    lua_remove(L, -2);
}

/* Pushes the value that begins at the current event, and moves to the event after it. */
static void compose(struct parser *p)
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
    if (p->values > MAX_VALUES)
        fail(p, "the aliases in this file expand to too many values");
    if (lua_isnil(L, -2))
        lua_remove(L, -2);
    else
        keep_anchor(p, p->values - before);
    next(p);
}

static void push_parser(lua_State *L)
{
    size_t len;
    const char *text = lua_tolstring(L, TEXT, &len);
    struct parser *p = lua_newuserdatauv(L, sizeof *p, 0);
    memset(p, 0, sizeof *p);
    luaL_setmetatable(L, TYPE);
    if (!yaml_parser_initialize(&p->yaml))
        luaL_error(L, "not enough memory");
    p->L = L;
    yaml_parser_set_input_string(&p->yaml, (const unsigned char *)text, len);
}

/* The stack as the enum above says. */
static void prepare(lua_State *L)
{
    push_parser(L);
    lua_newtable(L);
    lua_createtable(L, 0, 1); /* the lines of a container that is gone are of no use */
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, LINES);
    lua_newtable(L);
    lua_newtable(L);
    luaL_getmetatable(L, VALUE_DICT);
    luaL_getmetatable(L, VALUE_LIST);
    lua_getfield(L, lua_upvalueindex(1), "date_hook");
}

/*
 * yaml.decode(text, file=nil) -> value, lines. An empty text is none. `lines[container][key or index]` is the line
 * of that key or item, `lines[container][0]` the container's own. Dates and timestamps are given as text to
 * yaml.date_hook, when that is set, and stay text when it gives nil; it may not wait. An integer that does not
 * fit in 64 bits stays text. Raises 103 with file, line and column; `file` is used for nothing else.
 */
static int yaml_decode(lua_State *L)
{
    luaL_checkstring(L, TEXT);
    luaL_optstring(L, FILE_NAME, NULL);
    lua_settop(L, FILE_NAME);
    prepare(L);
    struct parser *p = lua_touserdata(L, PARSER);
    next(p); /* the stream's start */
    next(p);
    if (p->event.type == YAML_STREAM_END_EVENT) {
        value_push_none(L);
    } else {
        next(p);
        compose(p);
        next(p); /* the document's end is the current event: go on */
        if (p->event.type != YAML_STREAM_END_EVENT)
            fail(p, "expected a single document in the stream, but found another document");
    }
    lua_pushvalue(L, LINES);
    lua_pushcfunction(L, parser_gc); /* at once, not at the collector's leisure */
    lua_pushvalue(L, PARSER);
    lua_call(L, 1, 0);
    return 2;
}

int luaopen_dex_yaml(lua_State *L)
{
    luaL_newmetatable(L, TYPE);
    lua_pushcfunction(L, parser_gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_pushcclosure(L, yaml_decode, 1);
    lua_setfield(L, -2, "decode");
    return 1;
}
