/* engine/db/private on real servers, without Lua. As root, it also tests what only root meets. */
#include <errno.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "check.h"
#include "db/private.h"
#include "db/private_bin.h"
#include "io/child.h"

static struct loop *loop;
static struct err err;

/* A new project folder, below `parent`. Not private, as mkdtemp's would be. */
static char *new_project(const char *parent)
{
    char *dir = mem_printf("%s/dex-test-XXXXXX", parent);
    CHECK(mkdtemp(dir) != NULL);
    CHECK(chmod(dir, 0755) == 0);
    return dir;
}

static void remove_project(char *dir)
{
    CHECK(file_remove_tree(dir, &err) == 0);
    mem_free(dir);
}

/* The one that most tests use: to create another takes a second. It has data, and no server runs.
 */
static char *shared;

static void answered(void *arg)
{
    *(int *)arg = 1;
    loop_stop(loop);
}

/* One action to its end; `err` is that of the last one. Gives its state, or NULL. */
static const struct private_state *act(struct private *p, enum private_action action)
{
    const struct private_state *state;
    int done = 0;
    err_fini(&err);
    if (private_begin(p, action, answered, &done, &err) < 0)
        return NULL;
    while (!done && loop_run(loop, &err) == 0)
        ;
    return private_result(p, &state, &err) < 0 ? NULL : state;
}

static struct private *open_private(const char *dir)
{
    struct private *p = private_new(loop, dir, &err);
    CHECK(p != NULL);
    return p;
}

/* Runs a statement on the server of `state`; gives the first value, or NULL. The caller frees it.
 */
static char *query(const struct private_state *state, const char *sql)
{
    const char *const keys[] = { "host", "port", "user", "dbname", NULL };
    const char *const values[] = { state->socket, PRIVATE_PORT, PRIVATE_NAME, PRIVATE_NAME, NULL };
    PGconn *conn = PQconnectdbParams(keys, values, 0);
    PGresult *result = PQexec(conn, sql);
    char *value = NULL;
    if (PQntuples(result) > 0)
        value = mem_strdup(PQgetvalue(result, 0, 0));
    else if (PQresultStatus(result) != PGRES_COMMAND_OK)
        printf("%s", PQerrorMessage(conn));
    PQclear(result);
    PQfinish(conn);
    return value;
}

static void check_query(const struct private_state *state, const char *sql, const char *expected)
{
    char *value = state ? query(state, sql) : NULL;
    CHECK_TEXT(value, expected);
    mem_free(value);
}

static int is_running(struct private *p)
{
    const struct private_state *state = act(p, PRIVATE_STATUS);
    return state && state->running;
}

/* Lets a server end that was killed: its number may be looked at meanwhile. */
static void await_end(long pid)
{
    while (kill((pid_t)pid, 0) == 0) {
        char *path = mem_printf("/proc/%ld/stat", pid);
        struct buf text = BUF_INIT;
        struct err none = ERR_INIT;
        int zombie = file_read(path, &text, &none) < 0 || strstr(text.data, ") Z ") != NULL;
        buf_fini(&text);
        err_fini(&none);
        mem_free(path);
        if (zombie)
            break;
        poll(NULL, 0, 1);
    }
}

static void test_life(void)
{
    char *dir = new_project("/tmp");
    struct private *p = open_private(dir);
    const struct private_state *state = act(p, PRIVATE_STATUS);
    CHECK(state && !state->running && !state->exists && state->pid == 0 && !state->socket);
    CHECK((state = act(p, PRIVATE_STOP)) && !state->ran);
    CHECK((state = act(p, PRIVATE_DESTROY)) && !state->ran);
    CHECK((state = act(p, PRIVATE_RELEASE)) && !state->ran);
    char *path = mem_printf("%s/.dex", dir);
    CHECK(access(path, F_OK) < 0); /* nothing was touched */
    mem_free(path);

    state = act(p, PRIVATE_ENSURE);
    CHECK(state && state->running && state->exists && !state->kept && state->pid > 1);
    check_query(state, "select current_user || current_database() || upper('\xc3\xa9')",
                "dexdex\xc3\x89");
    check_query(state, "select current_setting('listen_addresses') || current_setting('fsync')",
                "on");
    check_query(state, "select rolsuper from pg_roles where rolname = current_user", "t");
    check_query(state, "create table t as select 7 as x", NULL);
    CHECK(atoi(state->version) > 9);
    long pid = state->pid;
    CHECK(getsid((pid_t)pid) == (pid_t)pid); /* no Ctrl-C of ours reaches it */
    CHECK((state = act(p, PRIVATE_ENSURE)) && state->pid == pid);
    CHECK((state = act(p, PRIVATE_RELEASE)) && state->ran && !state->running && state->exists);
    CHECK(kill((pid_t)pid, 0) < 0 || !is_running(p));

    state = act(p, PRIVATE_ENSURE);
    check_query(state, "select x from t", "7");
    CHECK((state = act(p, PRIVATE_RELEASE)) && state->ran);
    CHECK((state = act(p, PRIVATE_RELEASE)) && !state->ran);
    private_free(p);
    shared = dir;
}

/* The last test of the shared project. */
static void test_destroy(void)
{
    struct private *p = open_private(shared);
    const struct private_state *state = act(p, PRIVATE_ENSURE);
    CHECK(state != NULL);
    CHECK((state = act(p, PRIVATE_DESTROY)) && state->ran && !state->exists && !state->running);
    char *path = mem_printf("%s/.dex/pg", shared);
    CHECK(access(path, F_OK) < 0);
    CHECK((state = act(p, PRIVATE_RELEASE)) && !state->ran);
    mem_free(path);
    private_free(p);
    remove_project(shared);
}

static void test_kept(void)
{
    struct private *p = open_private(shared);
    const struct private_state *state = act(p, PRIVATE_START);
    CHECK(state && state->running && state->kept);
    long pid = state ? state->pid : 0;
    CHECK(act(p, PRIVATE_ENSURE) != NULL);
    CHECK((state = act(p, PRIVATE_RELEASE)) && !state->ran && state->running);
    CHECK((state = act(p, PRIVATE_STATUS)) && state->running && state->kept && state->pid == pid);
    CHECK((state = act(p, PRIVATE_STOP)) && state->ran && !state->running && !state->kept);
    CHECK(act(p, PRIVATE_ENSURE) != NULL);
    CHECK((state = act(p, PRIVATE_RELEASE)) && state->ran);
    private_free(p);
}

/* Another process that uses the server: it tells by a byte that it does, and lives until told. */
struct client {
    pid_t pid;
    int from, to;
};

static struct client start_client(const char *dir)
{
    int told[2], tell[2];
    CHECK(pipe(told) == 0 && pipe(tell) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        char byte = '-';
        close(told[0]);
        close(tell[1]);
        loop = loop_new(&err);
        struct private *p = open_private(dir);
        if (act(p, PRIVATE_ENSURE))
            byte = '+';
        if (write(told[1], &byte, 1) < 0 || read(tell[0], &byte, 1) < 0)
            abort();
        act(p, PRIVATE_RELEASE);
        _exit(0);
    }
    close(told[1]);
    close(tell[0]);
    return (struct client){ pid, told[0], tell[1] };
}

static int client_ready(const struct client *client)
{
    char byte = 0;
    return read(client->from, &byte, 1) == 1 && byte == '+';
}

static void end_client(struct client *client, int killed)
{
    if (killed)
        kill(client->pid, SIGKILL);
    else if (write(client->to, "", 1) < 0)
        abort();
    close(client->to);
    waitpid(client->pid, NULL, 0);
    close(client->from);
}

static void test_shares(void)
{
    enum { CLIENTS = 4 };
    char *dir = new_project("/tmp");
    struct client clients[CLIENTS]; /* all of them begin with no data */
    for (int i = 0; i < CLIENTS; i++)
        clients[i] = start_client(dir);
    for (int i = 0; i < CLIENTS; i++)
        CHECK(client_ready(&clients[i]));
    struct private *p = open_private(dir);
    const struct private_state *state = act(p, PRIVATE_STATUS);
    CHECK(state && state->running);
    long pid = state ? state->pid : 0;
    end_client(&clients[0], 0);
    end_client(&clients[1], 0);
    CHECK((state = act(p, PRIVATE_STATUS)) && state->running && state->pid == pid);

    CHECK(act(p, PRIVATE_DESTROY) == NULL);
    CHECK(err.code == PRIVATE_IN_USE);
    CHECK(is_running(p));

    CHECK((state = act(p, PRIVATE_ENSURE)) && state->pid == pid);
    CHECK(act(p, PRIVATE_DESTROY) == NULL); /* which must not cost our own share */
    end_client(&clients[2], 0);
    end_client(&clients[3], 1);
    CHECK((state = act(p, PRIVATE_STATUS)) && state->running && state->pid == pid);
    struct private *other = open_private(dir); /* of the same process */
    CHECK(act(other, PRIVATE_ENSURE) != NULL);
    CHECK((state = act(p, PRIVATE_RELEASE)) && !state->ran && state->running);
    CHECK((state = act(other, PRIVATE_RELEASE)) && state->ran && !state->running);
    private_free(other);
    private_free(p);
    remove_project(dir);
}

static void test_killed(void)
{
    struct private *p = open_private(shared);
    struct client client = start_client(shared);
    CHECK(client_ready(&client));
    end_client(&client, 1);
    const struct private_state *state = act(p, PRIVATE_STATUS);
    CHECK(state && state->running); /* it outlives its client, and is stopped by the next */
    long pid = state ? state->pid : 0;
    CHECK((state = act(p, PRIVATE_ENSURE)) && state->pid == pid);
    check_query(state, "create table killed as select 8 as x", NULL);
    kill((pid_t)pid, SIGKILL);
    await_end(pid);
    CHECK(!is_running(p));
    state = act(p, PRIVATE_ENSURE);
    CHECK(state && state->pid != pid);
    check_query(state, "select x from killed", "8");
    if (state)
        kill((pid_t)state->pid, SIGKILL), await_end(state->pid);

    /* The number of the dead server is another process's by now: our own. */
    struct buf text = BUF_INIT;
    char *path = mem_printf("%s/.dex/pg/data/postmaster.pid", shared);
    CHECK(file_read(path, &text, &err) == 0);
    char *changed = mem_printf("%ld%s", (long)getpid(), strchr(text.data, '\n'));
    CHECK(file_write(path, changed, strlen(changed), &err) == 0);
    CHECK((state = act(p, PRIVATE_STATUS)) && !state->running && state->pid == 0);
    CHECK((state = act(p, PRIVATE_STOP)) && !state->ran);
    state = act(p, PRIVATE_ENSURE);
    check_query(state, "select x from killed", "8");
    CHECK((state = act(p, PRIVATE_RELEASE)) && state->ran);
    buf_fini(&text);
    mem_free(changed);
    mem_free(path);
    private_free(p);
}

static void await_stop(struct private *p)
{
    while (is_running(p))
        poll(NULL, 0, 1);
}

/* Whoever does not wait for what it began, or is freed, leaves no server behind. */
static void test_abandoned(void)
{
    char *dir = new_project("/tmp");
    struct private *p = open_private(dir), *watcher = open_private(dir);
    int never = 0;
    CHECK(private_begin(p, PRIVATE_ENSURE, answered, &never, &err) == 0);
    CHECK(private_begin(p, PRIVATE_STATUS, answered, &never, &err) == -1);
    CHECK(err.code == PRIVATE_IN_USE);
    private_cancel(p);
    private_cancel(p);
    const struct private_state *state = act(watcher, PRIVATE_START); /* after the helper's end */
    CHECK(state && state->exists);
    CHECK((state = act(watcher, PRIVATE_STOP)) && state->ran);
    CHECK(!never);

    CHECK(private_begin(p, PRIVATE_ENSURE, answered, &never, &err) == 0);
    private_free(p);
    CHECK(act(watcher, PRIVATE_ENSURE) != NULL);
    CHECK(act(watcher, PRIVATE_RELEASE) != NULL);
    await_stop(watcher);

    p = open_private(dir);
    CHECK(act(p, PRIVATE_ENSURE) != NULL);
    CHECK(private_begin(p, PRIVATE_ENSURE, answered, &never, &err) == 0);
    private_cancel(p); /* the share that was held stays */
    CHECK(act(watcher, PRIVATE_ENSURE) != NULL);
    CHECK((state = act(watcher, PRIVATE_RELEASE)) && !state->ran);
    private_free(p);
    await_stop(watcher);
    CHECK(!never);
    private_free(watcher);
    remove_project(dir);
}

/* A path too long for a socket's name. */
static void test_long_path(void)
{
    char *top = new_project("/tmp");
    char *dir = mem_printf("%s/%0120d", top, 0);
    CHECK(file_mkdirs(dir, &err) == 0);
    struct private *p = open_private(dir);
    const struct private_state *state = act(p, PRIVATE_ENSURE);
    check_query(state, "select 1", "1");
    struct stat st;
    char *outside = state ? mem_strdup(state->socket) : mem_strdup("");
    CHECK(strlen(outside) < 60 && stat(outside, &st) == 0 && (st.st_mode & 077) == 0);
    if (state)
        kill((pid_t)state->pid, SIGKILL), await_end(state->pid);
    CHECK((state = act(p, PRIVATE_ENSURE)) && strcmp(state->socket, outside) == 0);
    check_query(state, "select 1", "1");
    CHECK((state = act(p, PRIVATE_RELEASE)) && state->ran);
    CHECK(stat(outside, &st) < 0);
    mem_free(outside);
    mem_free(dir);
    private_free(p);
    remove_project(top);
}

/* A script in place of a program. */
static void write_program(const char *dir, const char *name, const char *text)
{
    char *path = mem_printf("%s/%s", dir, name);
    CHECK(file_write(path, text, strlen(text), &err) == 0);
    CHECK(chmod(path, 0755) == 0);
    mem_free(path);
}

static void test_bad_programs(void)
{
    char *dir = new_project("/tmp"), *bin = new_project("/tmp");
    struct private *p = open_private(dir);
    setenv("DEX_PG_BIN", bin, 1);
    CHECK(act(p, PRIVATE_ENSURE) == NULL);
    CHECK(err.code == PRIVATE_NO_PROGRAM && strstr(err.message, bin));

    write_program(bin, "postgres", "#!/bin/sh\necho 'postgres (PostgreSQL) 9.6.24'\n");
    write_program(bin, "initdb", "#!/bin/sh\necho No space left on device >&2\nexit 3\n");
    CHECK(act(p, PRIVATE_ENSURE) == NULL);
    CHECK(err.code == PRIVATE_NOT_CREATED);
    CHECK_TEXT(err.message, "the private server could not be created: initdb ended with status 3; "
                            "its log ends with\nNo space left on device");
    CHECK(err.file && access(err.file, R_OK) == 0);
    const struct private_state *state = act(p, PRIVATE_STATUS);
    CHECK(state && !state->exists && !state->running);

    unsetenv("DEX_PG_BIN");
    CHECK(act(p, PRIVATE_ENSURE) != NULL); /* what the failed attempt left is no hindrance */
    CHECK(act(p, PRIVATE_RELEASE) != NULL);
    setenv("DEX_PG_BIN", bin, 1);
    CHECK(act(p, PRIVATE_ENSURE) == NULL);
    CHECK(err.code == PRIVATE_OTHER_VERSION && strstr(err.message, "there is 9 in "));

    unsetenv("DEX_PG_BIN");
    char *conf = mem_printf("%s/.dex/pg/data/postgresql.conf", dir);
    CHECK(file_append(conf, "shared_buffers = lots\n", 22, &err) == 0);
    CHECK(act(p, PRIVATE_ENSURE) == NULL);
    CHECK(err.code == PRIVATE_ENDED && strstr(err.message, "shared_buffers"));
    CHECK((state = act(p, PRIVATE_DESTROY)) && state->ran);
    mem_free(conf);
    private_free(p);
    remove_project(bin);
    remove_project(dir);
}

static void test_no_programs(void)
{
    char *path = mem_strdup(getenv("PATH"));
    setenv("PATH", "/no/such/folder", 1);
    setenv("DEX_PG_BIN", "/no/such/folder", 1);
    CHECK(private_bin_server(0, &err) == NULL);
    CHECK_TEXT(err.message, "DEX_PG_BIN names no folder with PostgreSQL's server: /no/such/folder");
    unsetenv("DEX_PG_BIN");
    setenv("PATH", path, 1);
    mem_free(path);
    CHECK(private_new(loop, "/no/such/folder", &err) == NULL);
    CHECK(err.code == 110);
}

/* What an interrupted creation leaves is removed, and what is set for other servers ignored. */
static void test_leftovers(void)
{
    struct private *p = open_private(shared);
    char *data = mem_printf("%s/.dex/pg/data", shared), *half = mem_printf("%s.new", data);
    CHECK(rename(data, half) == 0);
    setenv("PGPORT", "1", 1);
    setenv("PGDATA", "/no/such/folder", 1);
    setenv("PGOPTIONS", "--nonsense", 1);
    const struct private_state *state = act(p, PRIVATE_ENSURE);
    CHECK(state && state->running && access(half, F_OK) < 0);
    CHECK(act(p, PRIVATE_RELEASE) != NULL);
    unsetenv("PGOPTIONS");
    unsetenv("PGDATA");
    unsetenv("PGPORT");
    mem_free(half);
    mem_free(data);
    private_free(p);
}

/* Root's own folder, into which nobody else can look: the server runs there all the same. */
static void test_unreachable(void)
{
    if (geteuid() != 0)
        return;
    char *top = new_project("/tmp"), *dir = mem_printf("%s/project", top);
    CHECK(mkdir(dir, 0700) == 0 && chmod(top, 0700) == 0);
    struct private *p = open_private(dir);
    const struct private_state *state = act(p, PRIVATE_ENSURE);
    check_query(state, "create table t as select 9 as x", NULL);
    if (state)
        kill((pid_t)state->pid, SIGKILL), await_end(state->pid);
    state = act(p, PRIVATE_ENSURE);
    check_query(state, "select x from t", "9");
    check_query(state, "select pg_reload_conf()", "t");
    check_query(state, "create database other", NULL);
    check_query(state, "vacuum", NULL);
    CHECK((state = act(p, PRIVATE_RELEASE)) && state->ran);
    CHECK((state = act(p, PRIVATE_DESTROY)) && state->ran);
    private_free(p);
    mem_free(dir);
    remove_project(top);
}

/* As another user, in a process of its own: what `fn` finds wrong is its status. */
static int as_user(struct child_user user, int (*fn)(const char *dir), const char *dir)
{
    pid_t pid = fork();
    if (pid == 0) {
        if (child_become(&user) < 0)
            _exit(99);
        loop = loop_new(&err);
        _exit(fn(dir));
    }
    int status;
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : 98;
}

static int use(const char *dir)
{
    struct private *p = private_new(loop, dir, &err);
    const struct private_state *state = act(p, PRIVATE_ENSURE);
    if (!state || !state->running)
        return err.code == PRIVATE_NOT_OURS ? 2 : 1;
    return (state = act(p, PRIVATE_RELEASE)) && state->ran ? 0 : 3;
}

/* A user's project stays usable for that user when root has worked on it; root's is root's. */
static void test_owners(void)
{
    const struct passwd *entry = getpwnam("nobody");
    if (geteuid() != 0 || !entry)
        return;
    struct child_user nobody = { entry->pw_uid, entry->pw_gid };
    char *dir = new_project("/tmp");
    struct private *p = open_private(dir);
    CHECK(chown(dir, nobody.uid, nobody.gid) == 0);
    const struct private_state *state = act(p, PRIVATE_ENSURE);
    check_query(state, "select 1", "1");
    CHECK((state = act(p, PRIVATE_RELEASE)) && state->ran);
    CHECK(as_user(nobody, use, dir) == 0);
    CHECK((state = act(p, PRIVATE_ENSURE)) && state->running);
    CHECK((state = act(p, PRIVATE_DESTROY)) && state->ran);
    CHECK(as_user(nobody, use, dir) == 0); /* created by the user, used by root */
    CHECK((state = act(p, PRIVATE_ENSURE)) && state->running);
    CHECK((state = act(p, PRIVATE_DESTROY)) && state->ran);
    private_free(p);
    remove_project(dir);

    if (!getpwnam("postgres"))
        return;
    dir = new_project("/tmp");
    p = open_private(dir);
    CHECK(act(p, PRIVATE_ENSURE) != NULL);
    CHECK((state = act(p, PRIVATE_RELEASE)) && state->ran);
    CHECK(as_user(nobody, use, dir) == 2);
    private_free(p);
    remove_project(dir);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    loop = loop_new(&err);
    RUN(test_life);
    RUN(test_kept);
    RUN(test_killed);
    RUN(test_leftovers);
    RUN(test_destroy);
    RUN(test_shares);
    RUN(test_abandoned);
    RUN(test_long_path);
    RUN(test_bad_programs);
    RUN(test_no_programs);
    RUN(test_unreachable);
    RUN(test_owners);
    err_fini(&err);
    loop_free(loop);
    return check_finish();
}
