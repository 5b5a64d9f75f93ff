/* What the libFuzzer targets share. */
#ifndef DEX_TESTS_FUZZ_H
#define DEX_TESTS_FUZZ_H

#include <lua.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libFuzzer reads counters of this section as its own. */
__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t fuzz_lines[1 << 15];

/*
 * A hook for lines: each line of the engine's own Lua code that an input reaches is counted as new
 * ground. (Those of a compiled template are as many as there are inputs.)
 */
static inline void fuzz_on_line(lua_State *L, lua_Debug *ar)
{
    if (!lua_getinfo(L, "Sl", ar) || strncmp(ar->source, "@lua/", 5) != 0)
        return;
    uint32_t hash = 2166136261U;
    for (const char *c = ar->source; *c; c++)
        hash = (hash ^ (uint8_t)*c) * 16777619U;
    hash = (hash ^ (uint32_t)ar->currentline) * 16777619U;
    uint8_t *count = &fuzz_lines[hash % sizeof fuzz_lines];
    if (*count < UINT8_MAX)
        ++*count;
}

/* Tells the fuzzer that this input has found something. */
static inline void fuzz_fail(const char *what)
{
    fprintf(stderr, "fuzz: %s\n", what);
    abort();
}

#endif
