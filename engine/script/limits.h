/* How much memory Lua may have, and dex.limits, which reads and sets that. */
#ifndef DEX_SCRIPT_LIMITS_H
#define DEX_SCRIPT_LIMITS_H

#include <stddef.h>

/*
 * Half of the memory that this process may use: of the machine's, or of its control group's when
 * that is less. 0 when nothing is known. A script that grows without end is then told so, before
 * the machine swaps.
 */
size_t limits_memory(void);

#endif
