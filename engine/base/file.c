#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static int fail(struct err *e, const char *what, const char *path)
{
    err_sys(e, FILE_CODE, what);
    return err_at(e, path, 0);
}

int file_read(const char *path, struct buf *out, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(e, "cannot open the file", path);
    struct stat st;
    size_t guess = fstat(fd, &st) == 0 && st.st_size > 0 ? (size_t)st.st_size : 4096;
    for (;;) {
        ssize_t n = read(fd, buf_room(out, guess), guess);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            fail(e, "cannot read the file", path);
            close(fd);
            return -1;
        }
        if (n == 0)
            break;
        out->len += (size_t)n;
        out->data[out->len] = '\0';
        guess = 4096;
    }
    close(fd);
    return 0;
}

int file_write_all(int fd, const void *data, size_t len)
{
    const char *p = data;
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            struct pollfd room = { .fd = fd, .events = POLLOUT };
            poll(&room, 1, -1); /* a terminal that another program has made non-blocking */
            continue;
        }
        if (n < 0)
            return -1;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

static int write_in_place(const char *path, int flags, const void *data, size_t len, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0666);
    if (fd < 0)
        return fail(e, "cannot open the file for writing", path);
    int failed = file_write_all(fd, data, len) < 0;
    if (failed)
        fail(e, "cannot write the file", path);
    if (close(fd) < 0 && !failed)
        return fail(e, "cannot write the file", path);
    return failed ? -1 : 0;
}

static int replace(const char *path, const void *data, size_t len, int flush, struct err *e)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return write_in_place(path, 0, data, len, e);
    char *temp = mem_printf("%s.%ld.tmp", path, (long)getpid());
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        fail(e, "cannot create the file", path);
        mem_free(temp);
        return -1;
    }
    int bad = file_write_all(fd, data, len) < 0 || (flush && fsync(fd) < 0);
    int number = errno;
    if (close(fd) < 0 && !bad) {
        bad = 1;
        number = errno;
    }
    if (!bad && rename(temp, path) < 0) {
        bad = 1;
        number = errno;
    }
    if (bad) {
        unlink(temp);
        errno = number;
        fail(e, "cannot write the file", path);
    }
    mem_free(temp);
    return bad ? -1 : 0;
}

int file_write(const char *path, const void *data, size_t len, struct err *e)
{
    return replace(path, data, len, 1, e);
}

int file_write_fast(const char *path, const void *data, size_t len, struct err *e)
{
    return replace(path, data, len, 0, e);
}

/* Whether an open file holds exactly this. */
static int holds(int fd, const char *data, size_t len)
{
    char block[4096];
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size != (off_t)len)
        return 0;
    for (size_t at = 0; at < len;) {
        size_t rest = len - at < sizeof block ? len - at : sizeof block;
        ssize_t n = pread(fd, block, rest, (off_t)at);
        if (n <= 0 || memcmp(block, data + at, (size_t)n) != 0)
            return 0;
        at += (size_t)n;
    }
    return 1;
}

/* Writes from the beginning and cuts off what was longer. */
static int overwrite(int fd, const void *data, size_t len)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || file_write_all(fd, data, len) < 0)
        return -1;
    return S_ISREG(st.st_mode) && st.st_size > (off_t)len ? ftruncate(fd, (off_t)len) : 0;
}

int file_update(const char *path, const void *data, size_t len, struct err *e)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return fail(e, "cannot open the file for writing", path);
    int failed = !holds(fd, data, len) && overwrite(fd, data, len) < 0;
    if (failed)
        fail(e, "cannot write the file", path);
    if (close(fd) < 0 && !failed)
        return fail(e, "cannot write the file", path);
    return failed ? -1 : 0;
}

int file_append(const char *path, const void *data, size_t len, struct err *e)
{
    return write_in_place(path, O_CREAT | O_APPEND, data, len, e);
}

static int is_dir(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int file_mkdirs(const char *path, struct err *e)
{
    if (mkdir(path, 0777) == 0 || (errno == EEXIST && is_dir(path)))
        return 0;
    if (errno != ENOENT)
        return fail(e, "cannot create the folder", path);
    char *copy = mem_strdup(path);
    int bad = 0;
    for (char *p = copy + 1; *copy && !bad; p++) {
        char c = *p;
        if (c != '/' && c != '\0')
            continue;
        *p = '\0';
        if (mkdir(copy, 0777) < 0 && !(errno == EEXIST && is_dir(copy)))
            bad = fail(e, "cannot create the folder", copy);
        *p = c;
        if (c == '\0')
            break;
    }
    if (!*copy) {
        errno = ENOENT;
        bad = fail(e, "cannot create the folder", path);
    }
    mem_free(copy);
    return bad;
}
