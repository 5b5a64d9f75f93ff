/* Time, in seconds. */
#ifndef DEX_BASE_CLOCK_H
#define DEX_BASE_CLOCK_H

/* Never goes back; its zero means nothing. For durations. */
double clock_mono(void);

/* Seconds since 1970, UTC. */
double clock_wall(void);

enum { CLOCK_ISO_SIZE = 40 };

/* Writes `wall` as 2026-01-02T03:04:05.678901Z. */
void clock_iso(double wall, char out[CLOCK_ISO_SIZE]);

#endif
