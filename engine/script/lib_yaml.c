/*
 * dex.yaml: libyaml's events become dicts and lists by the rules of PyYAML's safe_load, and every
 * key and list item is remembered with its line.
 */
#include <lauxlib.h>
#include <stdarg.h>
#include <string.h>
#include <yaml.h>

#include "script/libs.h"
#include "script/lua_err.h"
#include "script/value.h"
#include "script/yml.h"

#define TYPE "dex.yaml.parser"

static int parser_gc(lua_State *L)
{
    struct yml *p = luaL_checkudata(L, 1, TYPE);
    if (p->has_event)
        yaml_event_delete(&p->event);
    if (p->L)
        yaml_parser_delete(&p->yaml);
    p->has_event = 0;
    p->L = NULL;
    return 0;
}

/*
 * Adds what every error says to the object on top of the stack, and raises it. Line and column
 * from 1.
 */
static int raise_at(struct yml *p, size_t line, size_t column)
{
    lua_State *L = p->L;
    if (!lua_isnil(L, YML_FILE)) {
        lua_pushvalue(L, YML_FILE);
        lua_setfield(L, -2, "file");
    }
    lua_pushinteger(L, (lua_Integer)line);
    lua_setfield(L, -2, "line");
    lua_pushinteger(L, (lua_Integer)column);
    lua_setfield(L, -2, "column");
    return lua_error(L);
}

int yml_fail_at(struct yml *p, const yaml_mark_t *mark, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    lua_err_pushv(p->L, YML_BAD, fmt, args);
    va_end(args);
    return raise_at(p, mark->line + 1, mark->column + 1);
}

int yml_fail(struct yml *p, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    lua_err_pushv(p->L, YML_BAD, fmt, args);
    va_end(args);
    return raise_at(p, p->event.start_mark.line + 1, p->event.start_mark.column + 1);
}

/* Text that is not UTF-8: libyaml knows the byte only. */
static int fail_reader(struct yml *p)
{
    size_t len, line = 1, column = 1;
    const char *text = lua_tolstring(p->L, YML_TEXT, &len);
    for (size_t i = 0; i < p->yaml.problem_offset && i < len; i++) {
        column = text[i] == '\n' ? 1 : column + 1;
        line += text[i] == '\n';
    }
    if (p->yaml.problem_value >= 0)
        lua_err_pushf(p->L, YML_BAD, "%s (character %d)", p->yaml.problem, p->yaml.problem_value);
    else
        lua_err_pushf(p->L, YML_BAD, "%s", p->yaml.problem);
    return raise_at(p, line, column);
}

/* Whether a line is indented with a tab: libyaml's words do not say so. */
static int has_tab(struct yml *p, size_t line)
{
    const char *text = lua_tostring(p->L, YML_TEXT);
    while (text && line-- > 0) {
        text = strchr(text, '\n');
        if (text)
            text++;
    }
    return text && text[strspn(text, " ")] == '\t';
}

static int fail_parse(struct yml *p)
{
    const yaml_parser_t *yaml = &p->yaml;
    if (yaml->error == YAML_READER_ERROR)
        return fail_reader(p);
    if (yaml->error == YAML_MEMORY_ERROR)
        return luaL_error(p->L, "not enough memory");
    if (!yaml->context)
        lua_err_pushf(p->L, YML_BAD, "%s", yaml->problem);
    else if (yaml->context_mark.line == yaml->problem_mark.line)
        lua_err_pushf(p->L, YML_BAD, "%s %s", yaml->problem, yaml->context);
    else
        lua_err_pushf(p->L, YML_BAD, "%s %s that begins in line %d", yaml->problem, yaml->context,
                      (int)yaml->context_mark.line + 1);
    if (has_tab(p, yaml->problem_mark.line)) {
        lua_pushliteral(p->L, "YAML takes no tabs: indent with spaces");
        lua_setfield(p->L, -2, "hint");
    }
    return raise_at(p, yaml->problem_mark.line + 1, yaml->problem_mark.column + 1);
}

void yml_next(struct yml *p)
{
    if (p->has_event)
        yaml_event_delete(&p->event);
    p->has_event = 0;
    if (!yaml_parser_parse(&p->yaml, &p->event))
        fail_parse(p);
    p->has_event = 1;
}

static void push_parser(lua_State *L)
{
    size_t len;
    const char *text = lua_tolstring(L, YML_TEXT, &len);
    struct yml *p = lua_newuserdatauv(L, sizeof *p, 0);
    memset(p, 0, sizeof *p);
    luaL_setmetatable(L, TYPE);
    if (!yaml_parser_initialize(&p->yaml))
        luaL_error(L, "not enough memory");
    p->L = L;
    yaml_parser_set_input_string(&p->yaml, (const unsigned char *)text, len);
}

/* The stack as script/yml.h says. */
static void prepare(lua_State *L)
{
    push_parser(L);
    lua_newtable(L);
    lua_createtable(L, 0, 1); /* the lines of a container that is gone are of no use */
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, YML_LINES);
    lua_newtable(L);
    lua_newtable(L);
    luaL_getmetatable(L, VALUE_DICT);
    luaL_getmetatable(L, VALUE_LIST);
    lua_getfield(L, lua_upvalueindex(1), "date_hook");
}

/*
 * yaml.decode(text, file=nil) -> value, lines. An empty text is none. `lines[container][key or
 * index]` is the line of that key or item, `lines[container][0]` the container's own. Dates and
 * timestamps are given as text to yaml.date_hook, when that is set, and stay text when it gives
 * nil; it may not wait. An integer that does not fit in 64 bits stays text. Raises 103 with file,
 * line and column; `file` is used for nothing else.
 */
static int yaml_decode(lua_State *L)
{
    luaL_checkstring(L, YML_TEXT);
    luaL_optstring(L, YML_FILE, NULL);
    lua_settop(L, YML_FILE);
    prepare(L);
    struct yml *p = lua_touserdata(L, YML_PARSER);
    yml_next(p); /* the stream's start */
    yml_next(p);
    if (p->event.type == YAML_STREAM_END_EVENT) {
        value_push_none(L);
    } else {
        yml_next(p);
        yml_compose(p);
        yml_next(p); /* the document's end is the current event: go on */
        if (p->event.type != YAML_STREAM_END_EVENT)
            yml_fail(p, "expected a single document in the stream, but found another document");
    }
    lua_pushvalue(L, YML_LINES);
    lua_pushcfunction(L, parser_gc); /* at once, not at the collector's leisure */
    lua_pushvalue(L, YML_PARSER);
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
