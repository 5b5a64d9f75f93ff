/* engine/base and engine/io, without Lua. */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/file.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/scalar.h"
#include "base/slab.h"
#include "check.h"
#include "io/loop.h"
#include "io/signals.h"

static void test_mem(void)
{
    char *s = mem_strndup("abc", 2);
    CHECK_TEXT(s, "ab");
    char *t = mem_printf("%s-%d", s, 7);
    CHECK_TEXT(t, "ab-7");
    CHECK(mem_strdup(NULL) == NULL);
    t = mem_realloc(t, 100);
    CHECK_TEXT(t, "ab-7");
    int *zeros = mem_zalloc(4 * sizeof *zeros);
    CHECK(zeros[0] == 0 && zeros[3] == 0);
    mem_free(zeros);
    mem_free(s);
    mem_free(t);
    mem_free(mem_alloc(0));
}

static void test_err(void)
{
    struct err e = ERR_INIT;
    CHECK(err_set(&e, 103, "no %s", "bread") == -1);
    err_at(&e, "a.sql", 3);
    err_hint(&e, "buy %d", 2);
    CHECK(e.code == 103 && e.line == 3);
    CHECK_TEXT(e.hint, "buy 2");
    err_set(&e, 104, "really, %s", e.message); /* from its own field */
    CHECK_TEXT(e.message, "really, no bread");
    CHECK(e.file == NULL);
    struct err other = ERR_INIT;
    errno = ENOENT;
    err_sys(&other, 110, "cannot open");
    CHECK_TEXT(other.message, "cannot open: No such file or directory");
    err_move(&e, &other);
    CHECK(e.code == 110 && other.code == 0 && other.message == NULL);
    err_fini(&e);
    err_fini(&e);
    CHECK(e.code == 0 && e.message == NULL);
}

static void test_buf(void)
{
    struct buf b = BUF_INIT;
    buf_putc(&b, 'a');
    buf_puts(&b, "bc");
    buf_add(&b, "\0d", 2);
    CHECK(b.len == 5 && memcmp(b.data, "abc\0d", 6) == 0);
    buf_clear(&b);
    CHECK_TEXT(b.data, "");
    for (int i = 0; i < 1000; i++)
        buf_printf(&b, "%03d", i);
    CHECK(b.len == 3000 && strncmp(b.data + 2997, "999", 4) == 0);
    buf_printf(&b, "%0300d", 1); /* longer than its first try */
    CHECK(b.len == 3300);
    b.data[b.len = 3000] = '\0';
    char *s = buf_take(&b);
    CHECK(strlen(s) == 3000 && b.data == NULL && b.len == 0);
    mem_free(s);
    s = buf_take(&b);
    CHECK_TEXT(s, "");
    mem_free(s);
    buf_fini(&b);
    buf_fini(&b);
}

struct item {
    int n;
    struct list node;
};

static void test_list(void)
{
    struct list head, other;
    struct item items[4];
    list_init(&head);
    list_init(&other);
    CHECK(list_empty(&head) && list_first(&head) == NULL);
    for (int i = 0; i < 4; i++) {
        items[i].n = i;
        list_append(i < 3 ? &head : &other, &items[i].node);
    }
    list_remove(&items[1].node);
    list_remove(&items[1].node);
    list_splice(&head, &other);
    list_splice(&head, &other);
    CHECK(list_empty(&other));
    int sum = 0;
    list_each (it, &head) {
        struct item *item = list_entry(it, struct item, node);
        sum = sum * 10 + item->n;
        list_remove(it);
    }
    CHECK(sum == 23);
    CHECK(list_empty(&head));
}

static void check_repr(double x, const char *expected)
{
    char text[NUMBER_SIZE];
    number_repr(x, text);
    CHECK_TEXT(text, expected);
}

static void test_number(void)
{
    check_repr(0, "0.0");
    check_repr(-0.0, "-0.0");
    check_repr(1, "1.0");
    check_repr(-12.5, "-12.5");
    check_repr(0.1, "0.1");
    check_repr(1.0 / 3, "0.3333333333333333");
    check_repr(1e15, "1000000000000000.0");
    check_repr(9007199254740993.0, "9007199254740992.0");
    check_repr(1e16, "1e+16");
    check_repr(1.5e300, "1.5e+300");
    check_repr(0.0001, "0.0001");
    check_repr(0.00012, "0.00012");
    check_repr(0.00001, "1e-05");
    check_repr(5e-324, "5e-324");
    check_repr(2.2250738585072014e-308, "2.2250738585072014e-308");
    check_repr(1.7976931348623157e308, "1.7976931348623157e+308");
    check_repr(INFINITY, "inf");
    check_repr(-INFINITY, "-inf");
    check_repr(NAN, "nan");
}

static int kind(const char *text)
{
    return (int)scalar_resolve(text, strlen(text)).kind;
}

static void test_scalar(void)
{
    static const struct {
        const char *text;
        enum scalar_kind kind;
    } cases[] = {
        { "", SCALAR_NULL },
        { "~", SCALAR_NULL },
        { "NULL", SCALAR_NULL },
        { "nULL", SCALAR_TEXT },
        { "yes", SCALAR_BOOL },
        { "Off", SCALAR_BOOL },
        { "n", SCALAR_TEXT },
        { "trUe", SCALAR_TEXT },
        { "0", SCALAR_INT },
        { "+1_2", SCALAR_INT },
        { "08", SCALAR_TEXT },
        { "0x", SCALAR_TEXT },
        { "0b2", SCALAR_TEXT },
        { "1:59", SCALAR_INT },
        { "1:60", SCALAR_TEXT },
        { "1.", SCALAR_FLOAT },
        { "1e3", SCALAR_TEXT },
        { "1.e+3", SCALAR_FLOAT },
        { ".", SCALAR_TEXT },
        { "-", SCALAR_TEXT },
        { "+.inf", SCALAR_FLOAT },
        { "-.nan", SCALAR_TEXT },
        { "1:2.", SCALAR_FLOAT },
        { "2026-01-02", SCALAR_TIME },
        { "2026-1-2", SCALAR_TEXT },
        { "2026-1-2 1:02:03", SCALAR_TIME },
        { "2026-01-02T03:04:05.6Z", SCALAR_TIME },
        { "2026-01-02 03:04:05 +1:30", SCALAR_TIME },
        { "2026-01-02 03:04", SCALAR_TEXT },
        { "2026-01-02x", SCALAR_TEXT },
        { "18446744073709551616", SCALAR_WIDE },
        { "0x8000000000000000", SCALAR_WIDE },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (kind(cases[i].text) != (int)cases[i].kind)
            printf("  of \"%s\":\n", cases[i].text);
        CHECK(kind(cases[i].text) == (int)cases[i].kind);
    }
    struct scalar s;
    CHECK(scalar_int("-0x10", 5, &s) == 0 && s.i == -16);
    CHECK(scalar_int("", 0, &s) < 0 && scalar_int("0x", 2, &s) < 0 && scalar_int("1 ", 2, &s) < 0);
    CHECK(scalar_int("0x-1", 4, &s) < 0 && scalar_int("--1", 3, &s) < 0);
    CHECK(scalar_int("-9223372036854775808", 20, &s) == 0 && s.i == -9223372036854775807LL - 1);
    CHECK(scalar_int("1:9223372036854775807", 21, &s) < 0);
    CHECK(scalar_int("1:-9223372036854775808", 22, &s) < 0);
    CHECK(scalar_float("0x1p3", 5, &s) < 0 && scalar_float("3", 1, &s) == 0 && s.f == 3);
    CHECK(scalar_bool("TRUE", 4, &s) == 0 && s.i == 1 && scalar_bool("y", 1, &s) < 0);
}

static void test_clock_and_digest(void)
{
    char iso[CLOCK_ISO_SIZE], sha[DIGEST_SHA256_SIZE], md5[DIGEST_MD5_SIZE];
    clock_iso(951782400.5, iso);
    CHECK_TEXT(iso, "2000-02-29T00:00:00.500000Z");
    clock_iso(1e300, iso);
    CHECK(iso[0] != '\0');
    double before = clock_mono();
    CHECK(clock_mono() >= before && clock_wall() > 1.7e9);
    digest_sha256("", 0, sha);
    CHECK_TEXT(sha, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    digest_md5("abc", 3, md5);
    CHECK_TEXT(md5, "900150983cd24fb0d6963f7d28e17f72");
}

/* Every size is filled and read back, grown and shrunk, and pieces are used again. */
static void test_slab(void)
{
    enum { COUNT = 700 };
    struct slab slab;
    unsigned char *pieces[COUNT];
    slab_init(&slab);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < COUNT; i++) {
            pieces[i] = slab_resize(&slab, NULL, 0, i + 1);
            memset(pieces[i], (int)(i & 0xff), i + 1);
        }
        for (size_t i = 0; i < COUNT; i++) {
            size_t wanted = (i * 37) % COUNT + 1, kept = wanted < i + 1 ? wanted : i + 1;
            pieces[i] = slab_resize(&slab, pieces[i], i + 1, wanted);
            CHECK(((size_t)pieces[i] & 15) == 0);
            CHECK(pieces[i][0] == (i & 0xff) && pieces[i][kept - 1] == (i & 0xff));
        }
        for (size_t i = 0; i < COUNT; i++)
            CHECK(slab_resize(&slab, pieces[i], (i * 37) % COUNT + 1, 0) == NULL);
    }
    CHECK(slab_resize(&slab, NULL, 0, 0) == NULL);
    slab_fini(&slab);
    slab_fini(&slab);
}

static int count_blocks(const struct slab *slab)
{
    int n = 0;
    for (void *block = slab->blocks; block; block = *(void **)block)
        n++;
    return n;
}

/* Blocks without a piece in use go; what is in use stays as it is, and more can be had. */
static void test_slab_trim(void)
{
    enum { COUNT = 40000, SIZE = 100 };
    struct slab slab;
    static char *pieces[COUNT];
    slab_init(&slab);
    slab_trim(&slab);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++) {
            pieces[i] = slab_resize(&slab, NULL, 0, SIZE + (size_t)i % 3 * 100);
            memset(pieces[i], i & 0x7f, SIZE);
        }
        int before = count_blocks(&slab);
        slab_trim(&slab);
        CHECK(count_blocks(&slab) == before);
        for (int i = 0; i < COUNT; i++)
            if (i != 777)
                slab_resize(&slab, pieces[i], SIZE + (size_t)i % 3 * 100, 0);
        slab_trim(&slab);
        if (before > 0) /* a checker of memory has none */
            CHECK(before > 10 && count_blocks(&slab) == 1);
        CHECK(pieces[777][0] == (777 & 0x7f) && pieces[777][SIZE - 1] == (777 & 0x7f));
        slab_resize(&slab, pieces[777], SIZE + 777 % 3 * 100, 0);
        slab_trim(&slab);
        CHECK(count_blocks(&slab) == 0);
    }
    slab_fini(&slab);
}

static int join(void *arg, const char *path)
{
    buf_printf(arg, "%s;", path);
    return strcmp(path, "stop") == 0 ? 7 : 0;
}

static void test_file(void)
{
    char root[] = "/tmp/dex-test-XXXXXX";
    CHECK(mkdtemp(root) != NULL);
    CHECK(chdir(root) == 0);
    struct err e = ERR_INIT;
    struct buf b = BUF_INIT;
    CHECK(file_mkdirs("a/b//c/", &e) == 0 && file_mkdirs("a/b/c", &e) == 0);
    CHECK(file_write("a/f", "one", 3, &e) == 0 && file_write_fast("a/f", "two", 3, &e) == 0);
    CHECK(file_update("a/f", "longer", 6, &e) == 0 && file_update("a/f", "two", 3, &e) == 0);
    CHECK(file_append("a/f", "!", 1, &e) == 0);
    CHECK(file_read("a/f", &b, &e) == 0);
    CHECK_TEXT(b.data, "two!");
    buf_clear(&b);
    CHECK(file_read("/proc/self/stat", &b, &e) == 0 && b.len > 10); /* its size is said to be 0 */
    buf_clear(&b);
    CHECK(file_read("nothing", &b, &e) < 0 && e.code == 110);
    CHECK_TEXT(e.file, "nothing");
    CHECK(file_mkdirs("a/f/x", &e) < 0);
    CHECK_TEXT(e.file, "a/f/x");
    CHECK(file_write("no/f", "", 0, &e) < 0);
    CHECK(file_write_fast("a/b/z", "", 0, &e) == 0 && file_write_fast("stop", "", 0, &e) == 0);
    CHECK(file_walk(".", join, &b, &e) == 7);
    CHECK_TEXT(b.data, "a/b/z;a/f;stop;");
    buf_clear(&b);
    CHECK(file_list("a", join, &b, &e) == 0);
    CHECK_TEXT(b.data, "b;f;");
    CHECK(file_walk("nothing", join, &b, &e) < 0);
    CHECK(symlink("..", "a/up") == 0);
    CHECK(chdir("/") == 0 && file_remove_tree(root, &e) == 0 && access(root, F_OK) < 0);
    CHECK(file_remove_tree(root, &e) == 0);
    buf_fini(&b);
    err_fini(&e);
}

struct turns {
    struct loop *loop;
    char seen[32];
    size_t n;
};

static void see(struct turns *turns, char c)
{
    turns->seen[turns->n++] = c;
    turns->seen[turns->n] = '\0';
}

static void see_stop(void *arg)
{
    struct turns *turns = arg;
    see(turns, 's');
    loop_stop(turns->loop);
}

static void see_again(void *arg)
{
    struct turns *turns = arg;
    see(turns, 'a');
    loop_defer(turns->loop, see_stop, turns);
}

static void see_first(void *arg)
{
    see(arg, 'f');
}

static void test_loop(void)
{
    struct err e = ERR_INIT;
    struct turns turns = { .loop = loop_new(&e) };
    struct loop *loop = turns.loop;
    int dropped = 0;
    loop_defer(loop, see_again, &turns);
    loop_defer(loop, see_stop, &dropped); /* withdrawn: would crash */
    loop_defer(loop, see_first, &turns);
    loop_undefer(loop, &dropped);
    CHECK(loop_run(loop, &e) == 0);
    CHECK_TEXT(turns.seen, "afs");
    struct loop_timer late, early, never;
    loop_timer_init(&late, loop, see_stop, &turns);
    loop_timer_init(&early, loop, see_first, &turns);
    loop_timer_init(&never, loop, see_first, &turns);
    double began = clock_mono();
    loop_timer_start(&late, 0.02);
    loop_timer_start(&early, 0.001);
    loop_timer_start(&never, 1e300);
    loop_timer_stop(&never);
    loop_timer_stop(&never);
    CHECK(loop_run(loop, &e) == 0);
    CHECK_TEXT(turns.seen, "afsfs");
    CHECK(clock_mono() - began > 0.01);
    loop_stop(loop);
    CHECK(loop_run(loop, &e) == 0); /* at once */
    loop_defer(loop, see_first, &turns);
    loop_free(loop); /* drops the call */
    loop_free(NULL);
    CHECK_TEXT(turns.seen, "afsfs");
}

static void on_signal(void *arg, int number)
{
    struct turns *turns = arg;
    see(turns, number == SIGTERM ? 'T' : 'I');
    loop_stop(turns->loop);
}

static void raise_term(void *arg)
{
    (void)arg;
    raise(SIGTERM);
}

/* The second signal ends the process, so it is a child's. */
static int status_of_two_signals(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct err e = ERR_INIT;
        struct turns turns = { .loop = loop_new(&e) };
        struct signals *signals = signals_new(turns.loop, on_signal, &turns, &e);
        raise(SIGINT);
        raise(SIGTERM); /* the loop never ran in between, as when Lua is busy */
        signals_free(signals);
        _exit(1);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_signals(void)
{
    struct err e = ERR_INIT;
    struct turns turns = { .loop = loop_new(&e) };
    struct signals *signals = signals_new(turns.loop, on_signal, &turns, &e);
    CHECK(signals != NULL);
    loop_defer(turns.loop, raise_term, NULL);
    CHECK(loop_run(turns.loop, &e) == 0);
    CHECK_TEXT(turns.seen, "T");
    raise(SIGPIPE); /* ignored */
    signals_free(signals);
    signals_free(NULL);
    loop_free(turns.loop);
    CHECK(status_of_two_signals() == 128 + SIGTERM);
    CHECK_TEXT(signals_name(SIGINT), "SIGINT");
}

int main(void)
{
    RUN(test_mem);
    RUN(test_slab);
    RUN(test_slab_trim);
    RUN(test_err);
    RUN(test_buf);
    RUN(test_list);
    RUN(test_number);
    RUN(test_scalar);
    RUN(test_clock_and_digest);
    RUN(test_file);
    RUN(test_loop);
    RUN(test_signals);
    return check_finish();
}
