#include "base/inputs.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/file.h"

/*
 * A file system's clock goes in steps, of some milliseconds on most, of two seconds on some: times
 * that are this near to the list's beginning do not tell whether a file changed after it was read.
 */
enum { STEP_NS = 20 * 1000 * 1000, COARSE_STEP_S = 3 };

struct moment {
    int64_t s, ns;
};

/* Before each path, which ends with a zero. */
struct question {
    uint32_t size; /* of the question with its path */
    char kind;
    char has_state, has_answer;
    struct moment modified, changed;
    int64_t length;
    uint64_t dev, ino;
    uint64_t answer[2];
};

void inputs_begin(struct buf *list)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct moment m = { .s = now.tv_sec, .ns = now.tv_nsec };
    buf_add(list, &m, sizeof m);
}

static void set_state(struct question *q, const struct stat *st)
{
    q->has_state = 1;
    q->modified = (struct moment){ st->st_mtim.tv_sec, st->st_mtim.tv_nsec };
    q->changed = (struct moment){ st->st_ctim.tv_sec, st->st_ctim.tv_nsec };
    q->length = st->st_size;
    q->dev = (uint64_t)st->st_dev;
    q->ino = (uint64_t)st->st_ino;
}

static void set_answer(struct question *q, const void *answer, size_t len)
{
    if (!answer)
        return;
    XXH128_hash_t hash = XXH3_128bits(answer, len);
    q->has_answer = 1;
    q->answer[0] = hash.low64;
    q->answer[1] = hash.high64;
}

void inputs_note(struct buf *list, enum inputs_kind kind, const char *path, const struct stat *st,
                 const void *answer, size_t len)
{
    size_t path_len = strlen(path) + 1;
    struct question q;
    memset(&q, 0, sizeof q);
    q.size = (uint32_t)(sizeof q + path_len);
    q.kind = (char)kind;
    if (st)
        set_state(&q, st);
    set_answer(&q, answer, len);
    buf_add(list, &q, sizeof q);
    buf_add(list, path, path_len);
}

void inputs_append(struct buf *list, const void *other, size_t len)
{
    if (len > sizeof(struct moment))
        buf_add(list, (const char *)other + sizeof(struct moment), len - sizeof(struct moment));
}

/* Whether the file was changed so late that it may have been changed once more unseen. */
static int is_late(const struct moment *changed, const struct moment *begun)
{
    if (changed->ns == 0)
        return changed->s + COARSE_STEP_S >= begun->s;
    struct moment edge = { begun->s, begun->ns - STEP_NS };
    if (edge.ns < 0) {
        edge.s--;
        edge.ns += 1000 * 1000 * 1000;
    }
    return changed->s > edge.s || (changed->s == edge.s && changed->ns >= edge.ns);
}

static int same_moment(const struct moment *a, const struct moment *b)
{
    return a->s == b->s && a->ns == b->ns;
}

static int same_answer(const struct question *a, const struct question *b)
{
    return a->has_answer == b->has_answer && a->answer[0] == b->answer[0] &&
           a->answer[1] == b->answer[1];
}

/*
 * Whether a file is as it was when it was read, or both times is there: then its path is added to
 * those that changed. `room` is for its content.
 */
static int compare_file(const struct question *q, const char *path, const struct moment *begun,
                        struct buf *room, struct buf *changed)
{
    struct question now;
    struct stat st;
    memset(&now, 0, sizeof now);
    if (stat(path, &st) < 0)
        return !q->has_answer;
    set_state(&now, &st);
    if (q->has_state && q->has_answer && now.length == q->length && now.dev == q->dev &&
        now.ino == q->ino && same_moment(&now.modified, &q->modified) &&
        same_moment(&now.changed, &q->changed) && !is_late(&q->changed, begun))
        return 1;
    struct err e = ERR_INIT;
    buf_clear(room);
    if (file_read(path, room, &e) < 0)
        err_fini(&e);
    else
        set_answer(&now, room->data ? room->data : "", room->len);
    if (same_answer(&now, q))
        return 1;
    if (now.has_answer && q->has_answer)
        buf_add(changed, path, strlen(path) + 1);
    return now.has_answer && q->has_answer;
}

static int add_path(void *list, const char *path)
{
    buf_add(list, path, strlen(path) + 1);
    return 0;
}

/* Asks one question that is not about a file's content. */
static void ask(struct question *now, char kind, const char *path, struct buf *room)
{
    struct stat st;
    char real[PATH_MAX];
    struct err e = ERR_INIT;
    buf_clear(room);
    switch (kind) {
    case INPUTS_EXISTS:
        if (access(path, F_OK) == 0)
            set_answer(now, "", 0);
        break;
    case INPUTS_ISDIR:
        if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
            set_answer(now, "", 0);
        break;
    case INPUTS_SIZE:
        if (stat(path, &st) == 0) {
            buf_printf(room, "%lld %d", (long long)st.st_size, (int)(st.st_mode & S_IFMT));
            set_answer(now, room->data, room->len);
        }
        break;
    case INPUTS_REAL:
        if (realpath(path, real))
            set_answer(now, real, strlen(real));
        break;
    default:
        if ((kind == INPUTS_WALK ? file_walk : file_list)(path, add_path, room, &e) < 0)
            err_fini(&e);
        else
            set_answer(now, room->data ? room->data : "", room->len);
    }
}

int inputs_compare(const void *list, size_t len, struct buf *changed)
{
    struct moment begun;
    const char *p = list;
    if (len < sizeof begun)
        return 0;
    memcpy(&begun, p, sizeof begun);
    struct buf room = BUF_INIT;
    int same = 1;
    for (size_t at = sizeof begun; at < len && same;) {
        struct question q, now;
        same = len - at > sizeof q;
        if (!same)
            break;
        memcpy(&q, p + at, sizeof q);
        same = q.size > sizeof q && q.size <= len - at && p[at + q.size - 1] == '\0';
        if (!same)
            break;
        const char *path = p + at + sizeof q;
        if (q.kind == INPUTS_READ) {
            same = compare_file(&q, path, &begun, &room, changed);
        } else {
            memset(&now, 0, sizeof now);
            ask(&now, q.kind, path, &room);
            same = same_answer(&now, &q);
        }
        at += q.size;
    }
    buf_fini(&room);
    return same;
}
