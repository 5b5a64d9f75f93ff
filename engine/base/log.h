/*
 * The C side's own log, for people who look for a defect: lines on standard error, off by default.
 * What a user should read goes through lua/report instead.
 */
#ifndef DEX_BASE_LOG_H
#define DEX_BASE_LOG_H

#include "base/attr.h"

enum log_level { LOG_OFF, LOG_WARN, LOG_DEBUG };

/* One of the two globals of the program. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* One line; the newline is added. */
void log_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_debug(const char *fmt, ...) PRINTF_LIKE(1, 2);

#endif
