/*
 * The files below lua/ and stdlib/ as the binary holds them: sorted by path, byte for byte, each
 * followed by a zero. Lua files are there compiled, too, lines and names included: most of a short
 * command's time would go into compiling. The table is made by embed_gen.c when the program is
 * built.
 */
#ifndef DEX_SCRIPT_EMBED_H
#define DEX_SCRIPT_EMBED_H

#include <stddef.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/file.h"

struct embed_file {
    const char *path; /* "lua/err.lua" */
    const char *data;
    size_t len;
    const char *code; /* what lua_dump gave, for the version of Lua at build time; or NULL */
    size_t code_len;
};

extern const struct embed_file embed_files[];
extern const size_t embed_count;

/* The file with this path, or NULL. */
const struct embed_file *embed_find(const char *path);

/*
 * Adds a file's content to `out`: from the binary, or from the folder `override` when that is not
 * NULL. Gives 1, or 0 when there is no such file, or -1 when it cannot be read.
 */
MUST_CHECK int embed_read(const char *override, const char *path, struct buf *out, struct err *e);

/* Calls `fn` for every path that begins with `prefix`, sorted. */
MUST_CHECK int embed_list(const char *override, const char *prefix, file_walk_fn fn, void *arg,
                          struct err *e);

#endif
