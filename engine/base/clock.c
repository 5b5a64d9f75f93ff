#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

static double now(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

double clock_mono(void)
{
    return now(CLOCK_MONOTONIC);
}

double clock_wall(void)
{
    return now(CLOCK_REALTIME);
}

void clock_iso(double wall, char out[CLOCK_ISO_SIZE])
{
    if (!(fabs(wall) < 1e15)) /* no time_t */
        wall = 0;
    double whole = floor(wall);
    time_t seconds = (time_t)whole;
    long micros = lround((wall - whole) * 1e6);
    if (micros >= 1000000) {
        micros -= 1000000;
        seconds++;
    }
    struct tm tm;
    char date[32] = "0000-00-00T00:00:00";
    if (gmtime_r(&seconds, &tm))
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, CLOCK_ISO_SIZE, "%s.%06dZ", date, (int)micros);
}
