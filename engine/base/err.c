#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/mem.h"

int err_set(struct err *e, int code, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *message = mem_vprintf(fmt, args); /* first: an argument may be a field of `e` */
    va_end(args);
    err_fini(e);
    e->code = code;
    e->message = message;
    return -1;
}

int err_sys(struct err *e, int code, const char *what)
{
    int number = errno;
    return err_set(e, code, "%s: %s", what, strerror(number));
}

int err_at(struct err *e, const char *file, int line)
{
    char *copy = mem_strdup(file);
    mem_free(e->file);
    e->file = copy;
    e->line = line;
    return -1;
}

int err_hint(struct err *e, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    char *hint = mem_vprintf(fmt, args);
    va_end(args);
    mem_free(e->hint);
    e->hint = hint;
    return -1;
}

int err_move(struct err *to, struct err *from)
{
    if (to != from) {
        err_fini(to);
        *to = *from;
        memset(from, 0, sizeof *from);
    }
    return -1;
}

void err_fini(struct err *e)
{
    mem_free(e->message);
    mem_free(e->hint);
    mem_free(e->file);
    memset(e, 0, sizeof *e);
}
