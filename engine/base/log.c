#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"

static enum log_level level = LOG_OFF;

void log_set_level(enum log_level wanted)
{
    level = wanted;
}

enum log_level log_get_level(void)
{
    return level;
}

static PRINTF_LIKE(2, 0) void line(const char *mark, const char *fmt, va_list args)
{
    fprintf(stderr, "dex-lua[%.3f] %s: ", clock_mono(), mark);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
}

void log_warn(const char *fmt, ...)
{
    if (level < LOG_WARN)
        return;
    va_list args;
    va_start(args, fmt);
    line("warning", fmt, args);
    va_end(args);
}

void log_debug(const char *fmt, ...)
{
    if (level < LOG_DEBUG)
        return;
    va_list args;
    va_start(args, fmt);
    line("debug", fmt, args);
    va_end(args);
}
