/* The part of file.h that goes through folders. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

struct names {
    char **items;
    size_t count, cap;
};

/* The folders from the root down to the current one, so that a link back into them is seen. */
struct above {
    const struct above *up;
    dev_t dev;
    ino_t ino;
};

static int fail(struct err *e, const char *what, const char *path)
{
    err_sys(e, FILE_CODE, what);
    return err_at(e, path, 0);
}

static void names_add(struct names *names, char *name)
{
    if (names->count == names->cap) {
        names->cap = names->cap ? names->cap * 2 : 64;
        names->items = mem_realloc(names->items, names->cap * sizeof *names->items);
    }
    names->items[names->count++] = name;
}

static void names_fini(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        mem_free(names->items[i]);
    mem_free(names->items);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorts the names and gives each to `fn`, then frees them. */
static int names_deliver(struct names *names, file_walk_fn fn, void *arg)
{
    if (names->count > 1)
        qsort(names->items, names->count, sizeof *names->items, by_bytes);
    int result = 0;
    for (size_t i = 0; i < names->count && result == 0; i++)
        result = fn(arg, names->items[i]);
    names_fini(names);
    return result;
}

static int is_dot(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* Opens the folder `name` in `at`; gives NULL with errno set. */
static DIR *open_dir(int at, const char *name)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir && fd >= 0)
        close(fd);
    return dir;
}

enum kind { KIND_OTHER, KIND_FILE, KIND_DIR };

static enum kind kind_of(int at, const struct dirent *entry)
{
    if (entry->d_type == DT_REG)
        return KIND_FILE;
    if (entry->d_type == DT_DIR)
        return KIND_DIR;
    struct stat st;
    if ((entry->d_type != DT_LNK && entry->d_type != DT_UNKNOWN) ||
        fstatat(at, entry->d_name, &st, 0) < 0)
        return KIND_OTHER;
    return S_ISREG(st.st_mode) ? KIND_FILE : S_ISDIR(st.st_mode) ? KIND_DIR : KIND_OTHER;
}

static int walk_dir(DIR *dir, struct buf *path, const struct above *up, struct names *names,
                    struct err *e);

/* Goes into the sub-folder `name` unless it is one of those above. `path` already names it. */
static int enter(DIR *parent, const char *name, struct buf *path, const struct above *up,
                 struct names *names, struct err *e)
{
    DIR *dir = open_dir(dirfd(parent), name);
    struct stat st;
    if (!dir || fstat(dirfd(dir), &st) < 0) {
        fail(e, "cannot open the folder", path->data);
        if (dir)
            closedir(dir);
        return -1;
    }
    struct above here = { up, st.st_dev, st.st_ino };
    for (const struct above *a = up; a; a = a->up) {
        if (a->dev == here.dev && a->ino == here.ino) {
            closedir(dir);
            return 0;
        }
    }
    size_t len = path->len;
    buf_putc(path, '/');
    int result = walk_dir(dir, path, &here, names, e);
    path->len = len;
    return result;
}

/* Reads one folder; `path` is its relative path with the slash, or empty. Closes `dir`. */
static int walk_dir(DIR *dir, struct buf *path, const struct above *up, struct names *names,
                    struct err *e)
{
    int result = 0;
    size_t len = path->len;
    struct dirent *entry;
    errno = 0;
    while (result == 0 && (entry = readdir(dir))) {
        if (!is_dot(entry->d_name) && strcmp(entry->d_name, ".git") != 0) {
            enum kind kind = kind_of(dirfd(dir), entry);
            buf_puts(path, entry->d_name);
            if (kind == KIND_FILE)
                names_add(names, mem_strndup(path->data, path->len));
            else if (kind == KIND_DIR)
                result = enter(dir, entry->d_name, path, up, names, e);
            path->len = len;
        }
        errno = 0;
    }
    if (result == 0 && errno != 0)
        result = fail(e, "cannot read the folder", path->data);
    closedir(dir);
    return result;
}

int file_walk(const char *root, file_walk_fn fn, void *arg, struct err *e)
{
    DIR *dir = open_dir(AT_FDCWD, root);
    struct stat st;
    if (!dir || fstat(dirfd(dir), &st) < 0) {
        fail(e, "cannot open the folder", root);
        if (dir)
            closedir(dir);
        return -1;
    }
    struct above here = { NULL, st.st_dev, st.st_ino };
    struct buf path = BUF_INIT;
    struct names names = { NULL, 0, 0 };
    buf_room(&path, 256);
    int result = walk_dir(dir, &path, &here, &names, e);
    buf_fini(&path);
    if (result < 0) {
        char *where = mem_printf("%s/%s", root, e->file);
        err_at(e, where, 0);
        mem_free(where);
        names_fini(&names);
        return -1;
    }
    return names_deliver(&names, fn, arg);
}

int file_list(const char *path, file_walk_fn fn, void *arg, struct err *e)
{
    DIR *dir = open_dir(AT_FDCWD, path);
    if (!dir)
        return fail(e, "cannot open the folder", path);
    struct names names = { NULL, 0, 0 };
    struct dirent *entry;
    errno = 0;
    while ((entry = readdir(dir))) {
        if (!is_dot(entry->d_name))
            names_add(&names, mem_strdup(entry->d_name));
        errno = 0;
    }
    if (errno != 0) {
        fail(e, "cannot read the folder", path);
        names_fini(&names);
        closedir(dir);
        return -1;
    }
    closedir(dir);
    return names_deliver(&names, fn, arg);
}

static int remove_at(int at, const char *name, const char *shown, struct err *e)
{
    if (unlinkat(at, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return fail(e, "cannot remove the file", shown);
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        fail(e, "cannot remove", shown);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    int result = 0;
    struct dirent *entry;
    while (result == 0 && (entry = readdir(dir))) {
        if (is_dot(entry->d_name))
            continue;
        char *path = mem_printf("%s/%s", shown, entry->d_name);
        result = remove_at(dirfd(dir), entry->d_name, path, e);
        mem_free(path);
    }
    closedir(dir);
    if (result == 0 && unlinkat(at, name, AT_REMOVEDIR) < 0)
        return fail(e, "cannot remove the folder", shown);
    return result;
}

int file_remove_tree(const char *path, struct err *e)
{
    return remove_at(AT_FDCWD, path, path, e);
}
