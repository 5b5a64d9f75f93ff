#include "script/embed.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

static int compare(const void *path, const void *file)
{
    return strcmp(path, ((const struct embed_file *)file)->path);
}

const struct embed_file *embed_find(const char *path)
{
    return bsearch(path, embed_files, embed_count, sizeof *embed_files, compare);
}

int embed_read(const char *override, const char *path, struct buf *out, struct err *e)
{
    if (override) {
        char *full = mem_printf("%s/%s", override, path);
        int result = access(full, F_OK) < 0 ? 0 : file_read(full, out, e) < 0 ? -1 : 1;
        mem_free(full);
        return result;
    }
    const struct embed_file *file = embed_find(path);
    if (!file)
        return 0;
    buf_add(out, file->data, file->len);
    return 1;
}

struct under {
    const char *root, *prefix;
    file_walk_fn fn;
    void *arg;
};

static int deliver(void *arg, const char *path)
{
    struct under *under = arg;
    char *full = mem_printf("%s/%s", under->root, path);
    int wanted = strncmp(full, under->prefix, strlen(under->prefix)) == 0;
    int result = wanted ? under->fn(under->arg, full) : 0;
    mem_free(full);
    return result;
}

static int list_disk(const char *override, const char *prefix, file_walk_fn fn, void *arg,
                     struct err *e)
{
    static const char *const roots[] = { "lua", "stdlib" };
    int result = 0;
    for (size_t i = 0; i < 2 && result == 0; i++) {
        struct under under = { roots[i], prefix, fn, arg };
        char *dir = mem_printf("%s/%s", override, roots[i]);
        if (access(dir, F_OK) == 0)
            result = file_walk(dir, deliver, &under, e);
        mem_free(dir);
    }
    return result;
}

int embed_list(const char *override, const char *prefix, file_walk_fn fn, void *arg, struct err *e)
{
    if (override)
        return list_disk(override, prefix, fn, arg, e);
    int result = 0;
    for (size_t i = 0; i < embed_count && result == 0; i++)
        if (strncmp(embed_files[i].path, prefix, strlen(prefix)) == 0)
            result = fn(arg, embed_files[i].path);
    return result;
}
