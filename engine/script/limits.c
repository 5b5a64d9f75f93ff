#include "script/limits.h"

#include <lauxlib.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "script/libs.h"
#include "script/vm.h"

/* The limit of a control group, version 2 or 1; 0 when the file is not there or says none. */
static size_t group_limit(const char *path)
{
    unsigned long long bytes = 0;
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    if (fscanf(f, "%llu", &bytes) != 1 || bytes > SIZE_MAX)
        bytes = 0;
    fclose(f);
    return (size_t)bytes;
}

size_t limits_memory(void)
{
    static const char *const groups[] = { "/sys/fs/cgroup/memory.max",
                                          "/sys/fs/cgroup/memory/memory.limit_in_bytes" };
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    size_t least = pages > 0 && size > 0 ? (size_t)pages * (size_t)size : 0;
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        size_t limit = group_limit(groups[i]);
        if (limit && (!least || limit < least))
            least = limit;
    }
    return least / 2;
}

/* limits.memory([bytes]) -> the limit before; 0 is none, a negative number is counted from now */
static int limits_lua_memory(lua_State *L)
{
    struct vm *vm = vm_from(L);
    lua_Integer wanted = luaL_optinteger(L, 1, 0);
    lua_pushinteger(L, (lua_Integer)vm->memory_limit);
    if (!lua_isnoneornil(L, 1))
        vm->memory_limit = wanted < 0 ? vm->memory + (size_t)-wanted : (size_t)wanted;
    return 1;
}

int luaopen_dex_limits(lua_State *L)
{
    static const luaL_Reg functions[] = { { "memory", limits_lua_memory }, { NULL, NULL } };
    luaL_newlib(L, functions);
    return 1;
}
