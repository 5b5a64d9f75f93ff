/*
 * Lua's patterns, as its manual describes them, with an end: matching goes through every way that a
 * pattern can, which a text may make longer than anybody waits, and no hook that counts
 * instructions sees it. Here steps are counted, and too many raise.
 */
#ifndef DEX_SCRIPT_PATTERN_H
#define DEX_SCRIPT_PATTERN_H

#include <lua.h>
#include <stddef.h>
#include <stdint.h>

enum { MOST_CAPTURES = 32 };
/* What a capture has instead of a length. */
enum { UNFINISHED = -1, POSITION = -2 };

/* Fields but `begin`, `end`, `count` and `captures` are for script/pattern.c. */
struct match {
    lua_State *L;
    const char *begin, *end; /* of the subject */
    const char *pattern_end;
    int64_t steps; /* left */
    int depth;     /* of calls, left */
    int count;     /* of captures */
    struct {
        const char *at;
        ptrdiff_t len;
    } captures[MOST_CAPTURES];
};

/*
 * Begins to match texts of a subject: one budget of steps for all that follows. Subject and pattern
 * are borrowed; errors of the pattern are raised in `L`.
 */
void match_init(struct match *m, lua_State *L, const char *s, size_t len, const char *pattern_end);

/*
 * Matches the pattern from p on at s, anchored there. Gives the end of the match, with the captures
 * in `m`, or NULL. Raises what is wrong with the pattern, or that it takes too many steps. Does not
 * wait.
 */
const char *match_at(struct match *m, const char *s, const char *p);

#endif
