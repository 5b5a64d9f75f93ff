/*
 * What Lua may have: how much memory, and dex.limits, which reads and sets that and tells Lua code
 * of each second that it has used.
 */
#ifndef DEX_SCRIPT_LIMITS_H
#define DEX_SCRIPT_LIMITS_H

#include <stddef.h>

struct vm;

/*
 * Half of the memory that this process may use: of the machine's, or of its control group's when
 * that is less. 0 when nothing is known. A script that grows without end is then told so, before
 * the machine swaps.
 */
size_t limits_memory(void);

/*
 * In a copy of this process, which has none of its timers: counts the seconds of the VM if that is
 * what the process does.
 */
void limits_go_on(const struct vm *vm);

/* The VM is about to go: its seconds are counted no longer. */
void limits_forget(const struct vm *vm);

#endif
