#include "base/chunks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/file.h"
#include "base/mem.h"

enum { BLOCK = 1 << 18 };

/* Behind the chunks: where each begins, and where the last one ends; then this. */
struct trailer {
    char magic[8];
    uint64_t count, index;
    uint64_t checksum; /* of everything before it */
};

static const char magic[8] = { 'd', 'e', 'x', 'c', 'h', 'n', 'k', '1' };

struct chunk_writer {
    char *path, *temp;
    int fd, failed; /* `failed` is the first failure's errno */
    struct buf block;
    uint64_t at;
    uint64_t *starts;
    size_t count, cap;
    XXH3_state_t *hash;
};

struct chunk_file {
    int fd;
    uint64_t *starts;
    size_t count;
    struct buf window; /* what lies at window_at, for chunks that are read in their order */
    uint64_t window_at;
};

static int fail(struct err *e, const char *what, const char *path)
{
    err_sys(e, FILE_CODE, what);
    return err_at(e, path, 0);
}

static struct chunk_writer *new_writer(int fd)
{
    struct chunk_writer *w = mem_zalloc(sizeof *w);
    w->fd = fd;
    w->hash = XXH3_createState();
    XXH3_64bits_reset(w->hash);
    return w;
}

struct chunk_writer *chunk_writer_new(const char *path, struct err *e)
{
    char *temp = mem_printf("%s.%ld.tmp", path, (long)getpid());
    int fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        fail(e, "cannot create the file", path);
        mem_free(temp);
        return NULL;
    }
    struct chunk_writer *w = new_writer(fd);
    w->path = mem_strdup(path);
    w->temp = temp;
    return w;
}

struct chunk_writer *chunk_writer_unnamed(const char *folder, struct err *e)
{
    char *temp = mem_printf("%s/.dex-XXXXXX", folder);
    int fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0) {
        mem_free(temp);
        const char *usual = getenv("TMPDIR");
        temp = mem_printf("%s/dex-XXXXXX", usual && *usual ? usual : "/tmp");
        fd = mkostemp(temp, O_CLOEXEC);
    }
    if (fd < 0)
        fail(e, "cannot create the file", temp);
    else
        unlink(temp);
    mem_free(temp);
    return fd < 0 ? NULL : new_writer(fd);
}

static void flush(struct chunk_writer *w)
{
    if (!w->failed && file_write_all(w->fd, w->block.data, w->block.len) < 0)
        w->failed = errno;
    buf_clear(&w->block);
}

static void put(struct chunk_writer *w, const void *data, size_t len)
{
    XXH3_64bits_update(w->hash, data, len);
    buf_add(&w->block, data, len);
    w->at += len;
    if (w->block.len >= BLOCK)
        flush(w);
}

static void note_start(struct chunk_writer *w)
{
    if (w->count == w->cap) {
        w->cap = w->cap ? w->cap * 2 : 64;
        w->starts = mem_realloc(w->starts, w->cap * sizeof *w->starts);
    }
    w->starts[w->count++] = w->at;
}

void chunk_writer_add(struct chunk_writer *w, const void *data, size_t len)
{
    note_start(w);
    put(w, data, len);
}

void chunk_writer_extend(struct chunk_writer *w, const void *text, size_t len)
{
    put(w, text, len);
}

size_t chunk_writer_count(const struct chunk_writer *w)
{
    return w->count;
}

int chunk_writer_is_named(const struct chunk_writer *w)
{
    return w->path != NULL;
}

/* Gives a file that is whole its name. */
static void place(struct chunk_writer *w)
{
    int closed = close(w->fd);
    w->fd = -1;
    if (!w->failed && closed < 0)
        w->failed = errno;
    if (!w->failed && rename(w->temp, w->path) < 0)
        w->failed = errno;
    if (w->failed)
        return;
    mem_free(w->temp);
    w->temp = NULL;
}

int chunk_writer_finish(struct chunk_writer *w, struct err *e)
{
    struct trailer t = { .count = w->count, .index = w->at };
    memcpy(t.magic, magic, sizeof magic);
    note_start(w);
    put(w, w->starts, w->count * sizeof *w->starts);
    put(w, &t, offsetof(struct trailer, checksum));
    t.checksum = XXH3_64bits_digest(w->hash);
    buf_add(&w->block, &t.checksum, sizeof t.checksum);
    flush(w);
    if (w->temp)
        place(w);
    if (w->failed) {
        errno = w->failed;
        return fail(e, "cannot write the file", w->path ? w->path : "a file without a name");
    }
    return 0;
}

void chunk_writer_free(struct chunk_writer *w)
{
    if (!w)
        return;
    if (w->fd >= 0)
        close(w->fd);
    if (w->temp)
        unlink(w->temp);
    XXH3_freeState(w->hash);
    buf_fini(&w->block);
    mem_free(w->starts);
    mem_free(w->temp);
    mem_free(w->path);
    mem_free(w);
}

/* Reads exactly this much, or gives -1. */
static int read_at(int fd, void *data, size_t len, uint64_t at)
{
    char *p = data;
    while (len > 0) {
        ssize_t n = pread(fd, p, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0)
            errno = EIO; /* shorter than it was */
        if (n <= 0)
            return -1;
        p += n;
        len -= (size_t)n;
        at += (size_t)n;
    }
    return 0;
}

/* Whether the first `len` bytes have this checksum. */
static int is_whole(int fd, uint64_t len, uint64_t checksum)
{
    XXH3_state_t *hash = XXH3_createState();
    char *block = mem_alloc(BLOCK);
    XXH3_64bits_reset(hash);
    int bad = 0;
    for (uint64_t at = 0; at < len && !bad;) {
        size_t n = len - at < BLOCK ? (size_t)(len - at) : BLOCK;
        bad = read_at(fd, block, n, at) < 0;
        if (!bad)
            XXH3_64bits_update(hash, block, n);
        at += n;
    }
    int whole = !bad && XXH3_64bits_digest(hash) == checksum;
    XXH3_freeState(hash);
    mem_free(block);
    return whole;
}

/* Reads the index; gives 0 when the file is damaged. */
static int load(struct chunk_file *f)
{
    struct stat st;
    struct trailer t;
    if (fstat(f->fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size < sizeof t)
        return 0;
    uint64_t size = (uint64_t)st.st_size;
    if (read_at(f->fd, &t, sizeof t, size - sizeof t) < 0 ||
        memcmp(t.magic, magic, sizeof magic) != 0)
        return 0;
    uint64_t room = size - sizeof t;
    if (t.index > room || (room - t.index) / sizeof *f->starts != t.count + 1 ||
        !is_whole(f->fd, size - sizeof t.checksum, t.checksum))
        return 0;
    f->count = (size_t)t.count;
    f->starts = mem_alloc((f->count + 1) * sizeof *f->starts);
    return read_at(f->fd, f->starts, (f->count + 1) * sizeof *f->starts, t.index) == 0;
}

/* Takes the descriptor. */
static struct chunk_file *open_file(int fd)
{
    if (fd < 0)
        return NULL;
    struct chunk_file *f = mem_zalloc(sizeof *f);
    f->fd = fd;
    if (load(f))
        return f;
    chunk_file_free(f);
    return NULL;
}

struct chunk_file *chunk_file_open(const char *path)
{
    return open_file(open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
}

struct chunk_file *chunk_file_of(const struct chunk_writer *w)
{
    return open_file(fcntl(w->fd, F_DUPFD_CLOEXEC, 3));
}

size_t chunk_file_count(const struct chunk_file *f)
{
    return f->count;
}

static int broken(struct err *e)
{
    err_sys(e, FILE_CODE, "cannot read the cache of the parse");
    return -1;
}

int chunk_file_read(struct chunk_file *f, size_t from, size_t to, struct buf *out, struct err *e)
{
    size_t len = (size_t)(f->starts[to + 1] - f->starts[from]);
    if (read_at(f->fd, buf_room(out, len), len, f->starts[from]) < 0)
        return broken(e);
    out->len += len;
    out->data[out->len] = '\0';
    return 0;
}

/* Makes the window hold the chunk that lies there, if it does not. */
static int move_window(struct chunk_file *f, uint64_t at, size_t len, struct err *e)
{
    struct buf *window = &f->window;
    if (at >= f->window_at && at + len <= f->window_at + window->len)
        return 0;
    uint64_t left = f->starts[f->count] - at;
    size_t wanted = len > BLOCK ? len : BLOCK;
    if (wanted > left)
        wanted = (size_t)left;
    buf_clear(window);
    if (read_at(f->fd, buf_room(window, wanted), wanted, at) < 0)
        return broken(e);
    window->len = wanted;
    f->window_at = at;
    return 0;
}

int chunk_file_extend(struct chunk_file *f, size_t number, struct chunk_writer *w, struct err *e)
{
    uint64_t at = f->starts[number];
    size_t len = (size_t)(f->starts[number + 1] - at);
    if (len == 0)
        return 0;
    if (move_window(f, at, len, e) < 0)
        return -1;
    chunk_writer_extend(w, f->window.data + (at - f->window_at), len);
    return 0;
}

int chunk_file_copy(struct chunk_file *f, size_t from, size_t to, int fd, struct err *e)
{
    char *block = mem_alloc(BLOCK);
    uint64_t at = f->starts[from], end = f->starts[to + 1];
    int bad = 0;
    while (at < end && !bad) {
        size_t n = end - at < BLOCK ? (size_t)(end - at) : BLOCK;
        bad = read_at(f->fd, block, n, at) < 0 ? broken(e) : 0;
        if (!bad && file_write_all(fd, block, n) < 0)
            bad = fail(e, "cannot write the file", NULL);
        at += n;
    }
    mem_free(block);
    return bad;
}

void chunk_file_free(struct chunk_file *f)
{
    if (!f)
        return;
    close(f->fd);
    buf_fini(&f->window);
    mem_free(f->starts);
    mem_free(f);
}
