/*
 * How dex.yaml turns libyaml's events into values: for script/lib_yaml.c and script/yml_*.c only.
 */
#ifndef DEX_SCRIPT_YML_H
#define DEX_SCRIPT_YML_H

#include <lua.h>
#include <yaml.h>

enum {
    YML_BAD = 103,
    YML_MAX_DEPTH = 500,
    YML_MAX_VALUES = 10000000 /* aliases counted as if copied: stops a file that explodes */
};

/*
 * Stack slots of yaml.decode. Anchors and sizes go by the anchor's name; one whose value is not
 * complete yet is `false`.
 */
enum {
    YML_TEXT = 1,
    YML_FILE,
    YML_PARSER,
    YML_LINES,
    YML_ANCHORS,
    YML_SIZES,
    YML_DICT_META,
    YML_LIST_META,
    YML_DATE_HOOK
};

/* A userdata, so that an error frees libyaml's memory. */
struct yml {
    lua_State *L;
    yaml_parser_t yaml;
    yaml_event_t event; /* the current one */
    int has_event;
    int depth;
    long long values;
};

/* Slots of a mapping in the making, counted from the dict. */
enum { MAPPING_DICT, MAPPING_ORDER, MAPPING_LINES, MAPPING_MERGES, MAPPING_KEY };

/* Moves to the next event, or raises libyaml's error. */
void yml_next(struct yml *p);

/*
 * Raises an error 103 at the mark, or at the current event. The words as lua_pushfstring takes
 * them.
 */
int yml_fail_at(struct yml *p, const yaml_mark_t *mark, const char *fmt, ...);
int yml_fail(struct yml *p, const char *fmt, ...);

/* Pushes the value that begins at the current event, and moves to the event after it. */
void yml_compose(struct yml *p);

/*
 * Stores the value on top of the stack under the key below it, which is in the slot MAPPING_KEY
 * too, and pops both; a new key goes to the end of the order.
 */
void yml_put(lua_State *L, int dict, int line);

/*
 * The value of a `<<` key is on top: it is popped, and its mappings are added to those to merge,
 * the one that counts least first.
 */
void yml_note_merge(struct yml *p, int dict, const yaml_mark_t *mark);

/*
 * Puts what is to be merged before the mapping's own entries, as PyYAML does: the own ones win. The
 * result takes the place of dict, order and lines.
 */
void yml_merge(struct yml *p, int dict);

#endif
