/* What dex.cache shares with dex.fs. */
#ifndef DEX_SCRIPT_LIB_CACHE_H
#define DEX_SCRIPT_LIB_CACHE_H

#include <lua.h>
#include <sys/stat.h>

#include "base/inputs.h"

/*
 * Notes a question to the file system and its answer (base/inputs.h) while cache.watch() is on. It
 * leaves the stack as it is, and errno too.
 */
void cache_note(lua_State *L, enum inputs_kind kind, const char *path, const struct stat *st,
                const void *answer, size_t len);

/* Whether it is on. */
int cache_is_watching(lua_State *L);

#endif
