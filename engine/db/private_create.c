#include "db/private_create.h"

#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "db/private.h"
#include "db/private_site.h"
#include "io/child.h"

#define NEW "data.new"

/* What every step needs. */
struct making {
    const char *root, *bin;
    struct private_reach reach;
    int log;
    off_t start;
};

/* Runs one of the programs to its end, with `in` for its standard input. */
static int step(const struct making *m, const char *const *argv, int in, struct err *e)
{
    char *program = mem_printf("%s/%s", m->bin, argv[0]);
    const char *all[16] = { program };
    for (size_t i = 1; argv[i]; i++)
        all[i] = argv[i];
    struct child_spec spec = {
        .argv = all,
        .cwd = "/",
        .stdio = { in, m->log, m->log },
        .keep = m->reach.fd,
        .place = CHILD_FOREGROUND, /* in the helper's group */
    };
    pid_t pid = child_exec(&spec, e);
    mem_free(program);
    if (pid < 0)
        return private_site_fail(m->root, m->start, PRIVATE_NOT_CREATED, e->message, e);
    int status = child_wait(pid);
    if (status == 0)
        return 0;
    char *what = mem_printf("the private server could not be created: %s %s %d", argv[0],
                            status < 0 ? "was killed by signal" : "ended with status",
                            status < 0 ? -status : status);
    private_site_fail(m->root, m->start, PRIVATE_NOT_CREATED, what, e);
    mem_free(what);
    return -1;
}

/* C.UTF-8 knows the letters of all languages and sorts by code; old systems lack it. */
static const char *locale_option(void)
{
    locale_t locale = newlocale(LC_ALL_MASK, "C.UTF-8", (locale_t)0);
    if (!locale)
        return "--locale=C";
    freelocale(locale);
    return "--locale=C.UTF-8";
}

static int init(const struct making *m, struct err *e)
{
    const char *const argv[] = { "initdb", "-D", m->reach.name, "-U", PRIVATE_NAME,    "-E",
                                 "UTF8",   "-A", "trust",       "-N", locale_option(), NULL };
    return step(m, argv, CHILD_NULL, e);
}

/* By a server without clients and, until everything is flushed at once, without flushing. */
static int create_database(const struct making *m, struct err *e)
{
    static const char sql[] = "create database " PRIVATE_NAME ";\n";
    const char *const argv[] = { "postgres",    "--single",  "-F", "-D",
                                 m->reach.name, "template1", NULL };
    int in[2];
    if (pipe2(in, O_CLOEXEC) < 0)
        return err_sys(e, PRIVATE_SYSTEM, "cannot create the private server");
    int failed = file_write_all(in[1], sql, sizeof sql - 1) < 0;
    close(in[1]);
    failed = failed || step(m, argv, in[0], e) < 0;
    close(in[0]);
    if (!failed &&
        private_site_logged(m->start, " ERROR: ")) /* which are no reason for it to fail */
        failed = private_site_fail(m->root, m->start, PRIVATE_NOT_CREATED,
                                   "the private server's database could not be created", e);
    return failed ? -1 : 0;
}

/* Everything at once where the system can do that: a thousand files one by one take a second. */
static int flush(const struct making *m, struct err *e)
{
#if defined(__linux__)
    int fd = open(NEW, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int bad = fd < 0 || syncfs(fd) < 0;
    if (bad)
        private_site_fail(m->root, m->start, PRIVATE_NOT_CREATED,
                          "the private server could not be written to the disk", e);
    if (fd >= 0)
        close(fd);
    return bad ? -1 : 0;
#else
    const char *const argv[] = { "initdb", "--sync-only", "-D", m->reach.name, NULL };
    return step(m, argv, CHILD_NULL, e);
#endif
}

/* Gives the folder its name. */
static int publish(const struct making *m, struct err *e)
{
    int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int bad = fd < 0 || rename(NEW, "data") < 0 || fsync(fd) < 0;
    if (bad) {
        err_sys(e, PRIVATE_SYSTEM, "cannot name the private server's data folder");
        char *path = private_site_path(m->root, "data");
        err_at(e, path, 0);
        mem_free(path);
    }
    if (fd >= 0)
        close(fd);
    return bad ? -1 : 0;
}

static int make(struct making *m, struct err *e)
{
    if (private_site_reach(m->root, NEW, &m->reach, e) < 0 || init(m, e) < 0 ||
        create_database(m, e) < 0 || flush(m, e) < 0)
        return -1;
    return publish(m, e);
}

int private_create(const char *root, const char *bin, struct err *e)
{
    struct making m = { .root = root, .bin = bin };
    struct err ignored = ERR_INIT;
    if (file_remove_tree(NEW, e) < 0)
        goto fail;
    if (mkdir(NEW, 0700) < 0) {
        err_sys(e, PRIVATE_SYSTEM, "cannot create the private server's data folder");
        goto fail;
    }
    m.log = private_site_log(root, 1, &m.start, e);
    if (m.log < 0)
        return -1;
    int result = make(&m, e);
    close(m.log);
    private_site_reach_fini(&m.reach);
    if (result < 0 && file_remove_tree(NEW, &ignored) < 0)
        err_fini(&ignored);
    return result;
fail:
    e->code = PRIVATE_SYSTEM;
    char *path = private_site_path(root, NEW);
    err_at(e, path, 0);
    mem_free(path);
    return -1;
}
