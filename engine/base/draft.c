#include "base/draft.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

struct draft {
    char *path;
    char *temp; /* the name beside it, by which it takes its place */
    int fd;
    int is_named;
};

static int fail(struct err *e, const char *what, const char *path)
{
    err_set(e, FILE_CODE, "%s: %s", what, strerror(errno));
    err_at(e, path, 0);
    return -1;
}

static int open_unnamed(const char *path)
{
#ifdef O_TMPFILE
    const char *slash = strrchr(path, '/');
    char *folder = slash ? mem_strndup(path, (size_t)(slash - path) + 1) : mem_strdup(".");
    int fd = open(folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    mem_free(folder);
    return fd;
#else
    (void)path;
    return -1;
#endif
}

/* Gives an unnamed file a name. */
static int give_name(int fd, const char *name)
{
    char itself[64];
    snprintf(itself, sizeof itself, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, itself, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

struct draft *draft_new(const char *path, struct err *e)
{
    struct draft *draft = mem_zalloc(sizeof *draft);
    draft->path = mem_strdup(path);
    draft->temp = mem_printf("%s.%ld.tmp", path, (long)getpid());
    draft->fd = access("/proc/self/fd", X_OK) == 0 ? open_unnamed(path) : -1;
    draft->is_named = draft->fd < 0;
    if (draft->is_named)
        draft->fd = open(draft->temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (draft->fd >= 0)
        return draft;
    fail(e, "cannot create the file", path);
    draft->is_named = 0;
    draft_free(draft);
    return NULL;
}

int draft_write(struct draft *draft, const void *data, size_t len, struct err *e)
{
    if (file_write_all(draft->fd, data, len) < 0)
        return fail(e, "cannot write the file", draft->path);
    return 0;
}

int draft_publish(struct draft *draft, struct err *e)
{
    if (!draft->is_named) {
        unlink(draft->temp); /* of an earlier process with this number */
        if (give_name(draft->fd, draft->temp) < 0)
            return fail(e, "cannot write the file", draft->path);
        draft->is_named = 1;
    }
    int fd = draft->fd;
    draft->fd = -1;
    if (close(fd) < 0 || rename(draft->temp, draft->path) < 0)
        return fail(e, "cannot write the file", draft->path);
    draft->is_named = 0;
    return 0;
}

void draft_free(struct draft *draft)
{
    if (!draft)
        return;
    if (draft->fd >= 0)
        close(draft->fd);
    if (draft->is_named)
        unlink(draft->temp);
    mem_free(draft->path);
    mem_free(draft->temp);
    mem_free(draft);
}
