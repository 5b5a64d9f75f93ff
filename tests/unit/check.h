/* The harness of the C unit tests: each TEST prints nothing unless it fails; main returns
 * check_finish(). */
#ifndef DEX_TESTS_CHECK_H
#define DEX_TESTS_CHECK_H

#include <stdio.h>
#include <string.h>

static int check_passed, check_failed, check_bad;
static const char *check_name;

/* Notes a failure and goes on, so that one run shows all of them. */
#define CHECK(what)                                                                                \
    do {                                                                                           \
        if (!(what) && !check_bad++)                                                               \
            printf("FAILED %s: %s:%d: %s\n", check_name, __FILE__, __LINE__, #what);               \
    } while (0)

/* The same for two strings, either of which may be NULL; the failure shows both. */
#define CHECK_TEXT(got, expected)                                                                  \
    do {                                                                                           \
        const char *check_a = (got), *check_b = (expected);                                        \
        int check_same = check_a && check_b ? strcmp(check_a, check_b) == 0 : check_a == check_b;  \
        if (!check_same && !check_bad++)                                                           \
            printf("FAILED %s: %s:%d: got \"%s\", expected \"%s\"\n", check_name, __FILE__,        \
                   __LINE__, check_a ? check_a : "(NULL)", check_b ? check_b : "(NULL)");          \
    } while (0)

#define RUN(test)                                                                                  \
    do {                                                                                           \
        check_name = #test;                                                                        \
        check_bad = 0;                                                                             \
        test();                                                                                    \
        if (check_bad)                                                                             \
            check_failed++;                                                                        \
        else                                                                                       \
            check_passed++;                                                                        \
    } while (0)

static inline int check_finish(void)
{
    printf("%d passed, %d failed\n", check_passed, check_failed);
    return check_failed > 0 || check_passed == 0;
}

#endif
