#include "db/private_site.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "db/private.h"
#include "io/child.h"

#define SOCKET_NAME "/.s.PGSQL." PRIVATE_PORT
#define OUTSIDE "socket"

enum { LOG_LIMIT = 1 << 20, LOG_LINES = 12, LOG_BYTES = 4000 };

char *private_site_path(const char *root, const char *name)
{
    return mem_printf("%s/.dex/pg%s%s", root, *name ? "/" : "", name);
}

static int fail(const char *root, const char *name, int code, const char *what, struct err *e)
{
    err_sys(e, code, what);
    char *path = private_site_path(root, name);
    err_at(e, path, 0);
    mem_free(path);
    return -1;
}

static int take(const struct passwd *entry, struct child_user *user)
{
    if (!entry || entry->pw_uid == 0)
        return 0;
    *user = (struct child_user){ entry->pw_uid, entry->pw_gid };
    return 1;
}

/* `st` is the folder's own, or NULL while there is none. */
static int choose_user(const char *root, const struct stat *st, struct child_user *user,
                       struct err *e)
{
    struct stat project;
    if (geteuid() != 0) {
        *user = (struct child_user){ geteuid(), getegid() };
        return 0;
    }
    if (st && st->st_uid != 0) {
        *user = (struct child_user){ st->st_uid, st->st_gid };
        return 0;
    }
    if (stat(root, &project) == 0 && project.st_uid != 0 &&
        take(getpwuid(project.st_uid), user)) /* without an entry, initdb would refuse */
        return 0;
    if (take(getpwnam("postgres"), user) || take(getpwnam("nobody"), user))
        return 0;
    err_set(e, PRIVATE_NO_USER,
            "PostgreSQL does not run as root, and there is no user to run it as: neither "
            "postgres nor nobody");
    return err_hint(e, "create one (useradd --system postgres), or run dex-lua as another user");
}

static int foreign(const char *root, uid_t owner, struct err *e)
{
    const struct passwd *entry = getpwuid(owner);
    char *path = private_site_path(root, "");
    if (entry)
        err_set(e, PRIVATE_NOT_OURS, "the private server belongs to the user %s", entry->pw_name);
    else
        err_set(e, PRIVATE_NOT_OURS, "the private server belongs to user %ld", (long)owner);
    err_at(e, path, 0);
    mem_free(path);
    return err_hint(e, "run dex-lua as that user or as root, or have the folder deleted");
}

int private_site_enter(const char *root, int create, struct err *e)
{
    char *path = private_site_path(root, "");
    struct child_user user;
    struct stat st;
    int result = -1;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        result = create ? -1 : 0;
        if (!create)
            goto out;
        if (mkdir(path, 0700) == 0)
            fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (fd < 0 || fstat(fd, &st) < 0) {
        if (errno == EACCES && stat(path, &st) == 0 && st.st_uid != geteuid())
            foreign(root, st.st_uid, e);
        else
            fail(root, "", PRIVATE_SYSTEM, "cannot open the private server's folder", e);
        goto out;
    }
    if (choose_user(root, &st, &user, e) < 0)
        goto out;
    if (st.st_uid == 0 && user.uid != 0) {
        if (fchown(fd, user.uid, user.gid) < 0) {
            fail(root, "", PRIVATE_NO_USER,
                 "cannot give the folder to the user that PostgreSQL would run as", e);
            goto out;
        }
        st.st_uid = user.uid;
    }
    if (st.st_uid != user.uid)
        foreign(root, st.st_uid, e);
    else if (fchdir(fd) < 0)
        fail(root, "", PRIVATE_SYSTEM, "cannot enter the private server's folder", e);
    else if (child_become(&user) < 0)
        err_sys(e, PRIVATE_NO_USER, "cannot become the user that PostgreSQL would run as");
    else
        result = 1;
out:
    if (fd >= 0)
        close(fd);
    mem_free(path);
    return result;
}

static int same(const char *a, const char *b)
{
    struct stat one, other;
    return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev &&
           one.st_ino == other.st_ino;
}

int private_site_reach(const char *root, const char *name, struct private_reach *reach,
                       struct err *e)
{
    char *path = private_site_path(root, name);
    *reach = (struct private_reach){ 0 };
    if (same(path, name)) {
        reach->name = path;
        return 0;
    }
    int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        reach->fd = fd;
        reach->name = mem_printf("/proc/self/fd/%d", fd);
        if (same(reach->name, name)) {
            mem_free(path);
            return 0;
        }
    }
    const struct passwd *entry = getpwuid(geteuid());
    err_set(e, PRIVATE_NOT_OURS, "the user that PostgreSQL runs as (%s) cannot reach its folder",
            entry ? entry->pw_name : "?");
    err_at(e, path, 0);
    mem_free(path);
    return err_hint(e, "let others walk through the folders above it (chmod o+x), or run as "
                       "another user");
}

void private_site_reach_fini(struct private_reach *reach)
{
    mem_free(reach->name);
    if (reach->fd > 0)
        close(reach->fd);
    *reach = (struct private_reach){ 0 };
}

/* A folder of ours that nobody else can enter. */
static int is_own(const char *folder)
{
    struct stat st;
    return lstat(folder, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
           (st.st_mode & 077) == 0;
}

char *private_site_outside(void)
{
    struct buf text = BUF_INIT;
    struct err none = ERR_INIT;
    if (access(OUTSIDE, F_OK) < 0 || file_read(OUTSIDE, &text, &none) < 0 || text.len == 0 ||
        text.data[0] != '/') {
        err_fini(&none);
        buf_fini(&text);
        return NULL;
    }
    return buf_take(&text);
}

static char *make_outside(struct err *e)
{
    const char *run = getenv("XDG_RUNTIME_DIR");
    struct sockaddr_un address;
    char *made = NULL;
    if (run && *run == '/' && is_own(run)) {
        made = mem_printf("%s/dex-XXXXXX", run);
        if (strlen(made) + sizeof SOCKET_NAME > sizeof address.sun_path || !mkdtemp(made)) {
            mem_free(made);
            made = NULL;
        }
    }
    if (!made) {
        made = mem_strdup("/tmp/dex-XXXXXX");
        if (!mkdtemp(made)) {
            err_sys(e, PRIVATE_SYSTEM, "cannot create a folder for the server's socket in /tmp");
            mem_free(made);
            return NULL;
        }
    }
    if (file_write(OUTSIDE, made, strlen(made), e) < 0) {
        e->code = PRIVATE_SYSTEM;
        rmdir(made);
        mem_free(made);
        return NULL;
    }
    return made;
}

char *private_site_socket(const char *root, int create, struct err *e)
{
    struct sockaddr_un address;
    char *inside = private_site_path(root, "sock");
    char *other = private_site_outside();
    if (!create) {
        if (!other)
            return inside;
        mem_free(inside);
        return other;
    }
    if (strlen(inside) + sizeof SOCKET_NAME <= sizeof address.sun_path) {
        private_site_drop_socket(); /* of the time when the project lay elsewhere */
        mem_free(other);
        if (mkdir("sock", 0700) == 0 || is_own("sock"))
            return inside;
        fail(root, "sock", PRIVATE_SYSTEM, "cannot create the folder of the socket", e);
        mem_free(inside);
        return NULL;
    }
    mem_free(inside);
    if (other && is_own(other))
        return other;
    mem_free(other);
    return make_outside(e);
}

void private_site_clear_socket(const char *folder)
{
    struct buf path = BUF_INIT;
    buf_printf(&path, "%s" SOCKET_NAME, folder);
    unlink(path.data);
    buf_puts(&path, ".lock");
    unlink(path.data);
    buf_fini(&path);
}

void private_site_drop_socket(void)
{
    char *other = private_site_outside();
    if (other && is_own(other)) {
        private_site_clear_socket(other);
        rmdir(other);
    }
    if (other)
        unlink(OUTSIDE);
    mem_free(other);
}

int private_site_log(const char *root, int renew, off_t *start, struct err *e)
{
    struct stat st;
    if (renew && stat("log", &st) == 0 && st.st_size > LOG_LIMIT)
        rename("log", "log.1");
    int fd = open("log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return fail(root, "log", PRIVATE_SYSTEM, "cannot open the private server's log", e);
    *start = fstat(fd, &st) == 0 ? st.st_size : 0;
    return fd;
}

/* What the log got since `start`, at most the last LOG_BYTES of it. */
static void read_tail(off_t start, struct buf *out)
{
    struct stat st;
    int fd = open("log", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && st.st_size - start > LOG_BYTES)
        start = st.st_size - LOG_BYTES;
    ssize_t n = pread(fd, buf_room(out, LOG_BYTES), LOG_BYTES, start);
    out->len = n > 0 ? (size_t)n : 0;
    out->data[out->len] = '\0';
    close(fd);
}

int private_site_fail(const char *root, off_t start, int code, const char *what, struct err *e)
{
    struct buf tail = BUF_INIT;
    read_tail(start, &tail);
    while (tail.len > 0 && strchr("\n ", tail.data[tail.len - 1]))
        tail.data[--tail.len] = '\0';
    size_t from = tail.len;
    for (int lines = 0; from > 0; from--)
        if (tail.data[from - 1] == '\n' && ++lines == LOG_LINES)
            break;
    err_set(e, code, "%s%s%s", what, tail.len ? "; its log ends with\n" : "",
            tail.len ? tail.data + from : "");
    buf_fini(&tail);
    char *path = private_site_path(root, "log");
    err_at(e, path, 0);
    mem_free(path);
    return -1;
}

int private_site_logged(off_t start, const char *text)
{
    struct buf tail = BUF_INIT;
    read_tail(start, &tail);
    int yes = tail.data && strstr(tail.data, text) != NULL;
    buf_fini(&tail);
    return yes;
}
