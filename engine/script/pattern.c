#include "script/pattern.h"

#include <ctype.h>
#include <lauxlib.h>
#include <string.h>

/* Steps of one call: many, and some for each byte. A second holds some hundred millions. */
enum { STEPS = 200000000, STEPS_A_BYTE = 16 };
enum { MOST_DEPTH = 200 };

static const char *match_here(struct match *m, const char *s, const char *p);

static void spend(struct match *m)
{
    if (--m->steps < 0)
        luaL_error(m->L, "this pattern takes too many steps on a text of %d bytes",
                   (int)(m->end - m->begin));
}

/* The end of the item at p that stands for one character. */
static const char *item_end(struct match *m, const char *p)
{
    char c = *p++;
    if (c == '%') {
        if (p == m->pattern_end)
            luaL_error(m->L, "malformed pattern (ends with '%%')");
        return p + 1;
    }
    if (c != '[')
        return p;
    if (p < m->pattern_end && *p == '^')
        p++;
    do { /* the first one may be a ']' */
        if (p == m->pattern_end)
            luaL_error(m->L, "malformed pattern (missing ']')");
        if (*p++ == '%') {
            if (p == m->pattern_end)
                luaL_error(m->L, "malformed pattern (missing ']')");
            p++;
        }
    } while (p == m->pattern_end || *p != ']');
    return p + 1;
}

/* Whether c is what `%class` stands for. */
static int in_class(int c, int class)
{
    int found;
    switch (tolower(class)) {
    case 'a':
        found = isalpha(c);
        break;
    case 'c':
        found = iscntrl(c);
        break;
    case 'd':
        found = isdigit(c);
        break;
    case 'g':
        found = isgraph(c);
        break;
    case 'l':
        found = islower(c);
        break;
    case 'p':
        found = ispunct(c);
        break;
    case 's':
        found = isspace(c);
        break;
    case 'u':
        found = isupper(c);
        break;
    case 'w':
        found = isalnum(c);
        break;
    case 'x':
        found = isxdigit(c);
        break;
    case 'z': /* of Lua 5.1, and still there */
        found = c == 0;
        break;
    default:
        return class == c;
    }
    return isupper(class) ? !found : found != 0;
}

/* Whether c is in the set from `[` to its `]` at `last`. */
static int in_set(int c, const char *p, const char *last)
{
    int found = 1;
    if (p[1] == '^') {
        found = 0;
        p++;
    }
    while (++p < last) {
        if (*p == '%') {
            p++;
            if (in_class(c, (unsigned char)*p))
                return found;
        } else if (p[1] == '-' && p + 2 < last) {
            if ((unsigned char)p[0] <= c && c <= (unsigned char)p[2])
                return found;
            p += 2;
        } else if ((unsigned char)*p == c) {
            return found;
        }
    }
    return !found;
}

/* Whether the character at s is what the item from p to `after` stands for. */
static int item_matches(struct match *m, const char *s, const char *p, const char *after)
{
    spend(m);
    if (s >= m->end)
        return 0;
    int c = (unsigned char)*s;
    switch (*p) {
    case '.':
        return 1;
    case '%':
        return in_class(c, (unsigned char)p[1]);
    case '[':
        return in_set(c, p, after - 1);
    default:
        return (unsigned char)*p == c;
    }
}

/* %bxy, p behind the b. */
static const char *match_balanced(struct match *m, const char *s, const char *p)
{
    if (p + 1 >= m->pattern_end)
        luaL_error(m->L, "malformed pattern (missing arguments to '%%b')");
    if (s >= m->end || *s != p[0])
        return NULL;
    for (int level = 1; ++s < m->end;) {
        spend(m);
        if (*s == p[1]) {
            if (--level == 0)
                return s + 1;
        } else if (*s == p[0]) {
            level++;
        }
    }
    return NULL;
}

/* item* and item+: as many as there are, then fewer. */
static const char *match_longest(struct match *m, const char *s, const char *p, const char *after,
                                 ptrdiff_t least)
{
    ptrdiff_t n = 0;
    while (item_matches(m, s + n, p, after))
        n++;
    for (; n >= least; n--) {
        const char *end = match_here(m, s + n, after + 1);
        if (end)
            return end;
    }
    return NULL;
}

/* item-: none, then more. */
static const char *match_shortest(struct match *m, const char *s, const char *p, const char *after)
{
    for (;; s++) {
        const char *end = match_here(m, s, after + 1);
        if (end)
            return end;
        if (!item_matches(m, s, p, after))
            return NULL;
    }
}

static const char *open_capture(struct match *m, const char *s, const char *p, ptrdiff_t kind)
{
    if (m->count >= MOST_CAPTURES)
        luaL_error(m->L, "too many captures");
    m->captures[m->count].at = s;
    m->captures[m->count].len = kind;
    m->count++;
    const char *end = match_here(m, s, p);
    if (!end)
        m->count--;
    return end;
}

static const char *close_capture(struct match *m, const char *s, const char *p)
{
    int i = m->count - 1;
    while (i >= 0 && m->captures[i].len != UNFINISHED)
        i--;
    if (i < 0)
        luaL_error(m->L, "invalid pattern capture");
    m->captures[i].len = s - m->captures[i].at;
    const char *end = match_here(m, s, p);
    if (!end)
        m->captures[i].len = UNFINISHED;
    return end;
}

/* %1 to %9: what that capture holds, once more. */
static const char *match_again(struct match *m, const char *s, int digit)
{
    int i = digit - '1';
    if (i < 0 || i >= m->count || m->captures[i].len == UNFINISHED)
        luaL_error(m->L, "invalid capture index %%%d", i + 1);
    /* that of a position has no text: like Lua, never found */
    size_t len = (size_t)m->captures[i].len;
    if ((size_t)(m->end - s) < len || memcmp(m->captures[i].at, s, len) != 0)
        return NULL;
    m->steps -= (int64_t)len;
    return s + len;
}

/* %f[set], p at the set: whether the set begins here. */
static int at_frontier(struct match *m, const char *s, const char *p, const char *after)
{
    int before = s == m->begin ? 0 : (unsigned char)s[-1];
    int here = s == m->end ? 0 : (unsigned char)*s;
    return !in_set(before, p, after - 1) && in_set(here, p, after - 1);
}

/*
 * What begins with a `%` and is no class: gives 1 with the end of the match in `end`, NULL for
 * none, and in `p` where the pattern goes on; 0 when it is a class.
 */
static int match_special(struct match *m, const char *s, const char **p, const char **end)
{
    if (*p + 1 >= m->pattern_end)
        return 0;
    char c = (*p)[1];
    if (c == 'b') {
        *end = match_balanced(m, s, *p + 2);
        *p += 4;
    } else if (c == 'f') {
        const char *set = *p + 2;
        if (set >= m->pattern_end || *set != '[')
            luaL_error(m->L, "missing '[' after '%%f' in pattern");
        const char *after = item_end(m, set);
        *end = at_frontier(m, s, set, after) ? s : NULL;
        *p = after;
    } else if (isdigit((unsigned char)c)) {
        *end = match_again(m, s, c);
        *p += 2;
    } else {
        return 0;
    }
    return 1;
}

/* Matches the rest of the pattern: gives the end of the match or NULL. */
static const char *match_rest(struct match *m, const char *s, const char *p)
{
    while (p != m->pattern_end) {
        spend(m);
        const char *end;
        if (*p == '(' && p + 1 < m->pattern_end && p[1] == ')')
            return open_capture(m, s, p + 2, POSITION);
        if (*p == '(')
            return open_capture(m, s, p + 1, UNFINISHED);
        if (*p == ')')
            return close_capture(m, s, p + 1);
        if (*p == '$' && p + 1 == m->pattern_end)
            return s == m->end ? s : NULL;
        if (*p == '%' && match_special(m, s, &p, &end)) {
            if (!end)
                return NULL;
            s = end;
            continue;
        }
        const char *after = item_end(m, p);
        char how = after < m->pattern_end ? *after : '\0';
        if (how == '*' || how == '+')
            return match_longest(m, s, p, after, how == '+');
        if (how == '-')
            return match_shortest(m, s, p, after);
        int matches = item_matches(m, s, p, after);
        if (how == '?') {
            if (matches && (end = match_here(m, s + 1, after + 1)) != NULL)
                return end;
            p = after + 1;
            continue;
        }
        if (!matches)
            return NULL;
        s++;
        p = after;
    }
    return s;
}

static const char *match_here(struct match *m, const char *s, const char *p)
{
    if (m->depth-- == 0)
        luaL_error(m->L, "pattern too complex");
    const char *end = match_rest(m, s, p);
    m->depth++;
    return end;
}

void match_init(struct match *m, lua_State *L, const char *s, size_t len, const char *pattern_end)
{
    m->L = L;
    m->begin = s;
    m->end = s + len;
    m->pattern_end = pattern_end;
    m->steps = STEPS + STEPS_A_BYTE * (int64_t)len;
    m->depth = MOST_DEPTH;
    m->count = 0;
}

const char *match_at(struct match *m, const char *s, const char *p)
{
    m->count = 0;
    m->depth = MOST_DEPTH;
    return match_here(m, s, p);
}
