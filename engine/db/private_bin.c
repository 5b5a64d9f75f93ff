#include "db/private_bin.h"

#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "db/private.h"
#include "io/child.h"

/* tests/deps.sh looks in the same places. */
static const char *const places[] = {
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
};

/* A list of folders; `n` of them, each the list's own. */
struct folders {
    char **at;
    size_t n;
};

static void add(struct folders *list, char *folder)
{
    list->at = mem_realloc(list->at, (list->n + 1) * sizeof *list->at);
    list->at[list->n++] = folder;
}

static void folders_fini(struct folders *list)
{
    for (size_t i = 0; i < list->n; i++)
        mem_free(list->at[i]);
    mem_free(list->at);
}

static int has(const char *folder, const char *program)
{
    char *path = mem_printf("%s/%s", folder, program);
    int yes = access(path, X_OK) == 0;
    mem_free(path);
    return yes;
}

static const char *setting(void)
{
    const char *folder = getenv("DEX_PG_BIN");
    return folder && *folder ? folder : NULL;
}

/* The folder of PATH with the program, which may only be a link to where its fellows are. */
static void add_from_path(struct folders *list, const char *program)
{
    const char *path = getenv("PATH");
    for (const char *p = path ? path : ""; *p;) {
        size_t len = strcspn(p, ":");
        char *folder = mem_strndup(p, len);
        p += len + (p[len] == ':');
        if (len == 0 || !has(folder, program)) {
            mem_free(folder);
            continue;
        }
        char *link = mem_printf("%s/%s", folder, program);
        char real[PATH_MAX];
        add(list, folder);
        if (realpath(link, real)) {
            *strrchr(real, '/') = '\0';
            if (strcmp(real, folder) != 0)
                add(list, mem_strdup(real));
        }
        mem_free(link);
    }
}

/* The first number in a path: the version, in all the places above. 0 if there is none. */
static int number_in(const char *path)
{
    return atoi(path + strcspn(path, "0123456789"));
}

static int newest_first(const void *a, const void *b)
{
    return number_in(*(char *const *)b) - number_in(*(char *const *)a);
}

static void add_from_places(struct folders *list)
{
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        glob_t found;
        if (glob(places[i], 0, NULL, &found) == 0) {
            qsort(found.gl_pathv, found.gl_pathc, sizeof *found.gl_pathv, newest_first);
            for (size_t j = 0; j < found.gl_pathc; j++)
                add(list, mem_strdup(found.gl_pathv[j]));
        }
        globfree(&found);
    }
}

/* "postgres (PostgreSQL) 15.13 (Debian ...)" -> 15; 0 when it says nothing like that. */
static int ask_version(const char *folder)
{
    char *program = mem_printf("%s/postgres", folder);
    const char *const argv[] = { program, "--version", NULL };
    int out[2], major = 0;
    struct err e = ERR_INIT;
    char text[200];
    if (pipe2(out, O_CLOEXEC) < 0) {
        mem_free(program);
        return 0;
    }
    struct child_spec spec = { .argv = argv, .stdio = { CHILD_NULL, out[1], CHILD_NULL } };
    pid_t pid = child_exec(&spec, &e);
    close(out[1]);
    if (pid >= 0) {
        ssize_t n = read(out[0], text, sizeof text - 1);
        text[n > 0 ? n : 0] = '\0';
        const char *bracket = strchr(text, ')');
        major = bracket ? number_in(bracket) : 0;
        child_wait(pid);
    }
    close(out[0]);
    err_fini(&e);
    mem_free(program);
    return major;
}

char *private_bin_server(int major, struct err *e)
{
    static const char install[] =
        "install it (apt-get install postgresql, dnf install postgresql-server, "
        "brew install postgresql), or name the folder of its programs in DEX_PG_BIN";
    struct folders list = { 0 };
    char *found = NULL;
    struct buf versions = BUF_INIT;
    if (setting()) {
        add(&list, mem_strdup(setting()));
    } else {
        add_from_path(&list, "postgres");
        add_from_places(&list);
    }
    for (size_t i = 0; i < list.n && !found; i++) {
        const char *folder = list.at[i];
        if (!has(folder, "postgres") || !has(folder, "initdb"))
            continue;
        int version = major > 0 ? ask_version(folder) : 0;
        if (version == major)
            found = mem_strdup(folder);
        else
            buf_printf(&versions, "%s%d in %s", versions.len ? ", " : "", version, folder);
    }
    if (!found && versions.len) {
        err_set(e, PRIVATE_OTHER_VERSION,
                "the private server's data was made by PostgreSQL %d, which is not installed: "
                "there is %s",
                major, versions.data);
        err_hint(e,
                 "install it (apt-get install postgresql-%d), name its folder in DEX_PG_BIN, or "
                 "begin anew without the data: dex-lua db destroy",
                 major);
    } else if (!found && setting()) {
        err_set(e, PRIVATE_NO_PROGRAM, "DEX_PG_BIN names no folder with PostgreSQL's server: %s",
                setting());
        err_hint(e, "it is the folder that holds the programs postgres and initdb");
    } else if (!found) {
        err_set(e, PRIVATE_NO_PROGRAM,
                "PostgreSQL's server is not installed, and a project without a profile needs it");
        err_hint(e, "%s", install);
    }
    buf_fini(&versions);
    folders_fini(&list);
    return found;
}

char *private_bin_psql(struct err *e)
{
    struct folders list = { 0 };
    char *found = NULL;
    if (setting())
        add(&list, mem_strdup(setting()));
    add_from_places(&list); /* first: on Debian, the one in PATH is a script that takes its time */
    add_from_path(&list, "psql");
    for (size_t i = 0; i < list.n && !found; i++)
        if (has(list.at[i], "psql"))
            found = mem_printf("%s/psql", list.at[i]);
    if (!found) {
        err_set(e, PRIVATE_NO_PROGRAM, "psql is not installed");
        err_hint(e, "install it: apt-get install postgresql-client");
    }
    folders_fini(&list);
    return found;
}
