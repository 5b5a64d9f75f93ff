#include "script/vm.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/mem.h"
#include "script/embed.h"
#include "script/libs.h"
#include "script/limits.h"
#include "script/lua_buf.h"
#include "script/lua_err.h"
#include "script/task_vm.h"
#include "script/value.h"

enum { CODE_VM = 903 };

/* The `ud` is the VM: vm_from relies on it. NULL makes Lua raise. */
static void *allocate(void *ud, void *p, size_t old, size_t wanted)
{
    struct vm *vm = ud;
    if (!p)
        old = 0; /* it is the kind of the new object */
    if (wanted > old && vm->memory_limit && vm->memory + (wanted - old) > vm->memory_limit)
        return NULL;
    void *q = slab_resize(&vm->slab, p, old, wanted);
    if (q || wanted == 0)
        vm->memory += wanted - old;
    return q;
}

static int panic(lua_State *L)
{
    const char *text = lua_tostring(L, -1);
    fprintf(stderr, "dex-lua: Lua error outside of everything: %s\n", text ? text : "?");
    return 0;
}

/* _G's __index and __newindex: upvalue 1 says what happened. */
static int strict(lua_State *L)
{
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2);
    return luaL_error(L, "%s '%s'", lua_tostring(L, lua_upvalueindex(1)), name);
}

static void make_globals_strict(lua_State *L)
{
    lua_pushglobaltable(L);
    lua_createtable(L, 0, 2);
    lua_pushliteral(L, "undeclared variable");
    lua_pushcclosure(L, strict, 1);
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "assignment to undeclared variable");
    lua_pushcclosure(L, strict, 1);
    lua_setfield(L, -2, "__newindex");
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
}

/*
 * Compiles the text on top of the stack, named by its path, and replaces it by the function and the
 * path, as a searcher gives them.
 */
static int load_module(lua_State *L, const char *name, const char *path)
{
    size_t len;
    const char *text = lua_tolstring(L, -1, &len);
    const char *chunk = lua_pushfstring(L, "@%s", path);
    int status = luaL_loadbufferx(L, text, len, chunk, "t");
    if (status == LUA_ERRMEM)
        return lua_error(L); /* no defect of the module's */
    if (status != LUA_OK)
        return luaL_error(L, "module '%s' does not load: %s", name, lua_tostring(L, -1));
    lua_pushstring(L, path);
    return 2;
}

/* From the binary: as load_module does it, but compiled already if this is the Lua it was built
 * for. */
static int load_embedded(lua_State *L, const char *name, const struct embed_file *file)
{
    const char *chunk = lua_pushfstring(L, "@%s", file->path);
    if (file->code && luaL_loadbufferx(L, file->code, file->code_len, chunk, "b") == LUA_OK) {
        lua_pushstring(L, file->path);
        return 2;
    }
    lua_pushlstring(L, file->data, file->len);
    return load_module(L, name, file->path);
}

/* Gives the number of results pushed: those of load_module, or none when there is no such file. */
static int find_module(lua_State *L, const char *name, const char *path)
{
    struct vm *vm = vm_from(L);
    if (!vm->override) {
        const struct embed_file *file = embed_find(path);
        return file ? load_embedded(L, name, file) : 0;
    }
    struct err e = ERR_INIT;
    struct buf *text = lua_buf_push(L);
    int found = embed_read(vm->override, path, text, &e);
    if (found < 0)
        return lua_err_raise(L, &e);
    if (found == 0)
        return 0;
    lua_buf_finish(L, -1);
    return load_module(L, name, path);
}

/* The searcher for "project.files", "project" (lua/project/init.lua) and "stdlib.hooks.x". */
static int search_embedded(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    const char *slashed = luaL_gsub(L, name, ".", "/");
    const char *root = strncmp(name, "stdlib.", 7) == 0 ? "" : "lua/";
    const char *file = lua_pushfstring(L, "%s%s.lua", root, slashed);
    int results = find_module(L, name, file);
    if (results > 0)
        return results;
    const char *init = lua_pushfstring(L, "%s%s/init.lua", root, slashed);
    results = find_module(L, name, init);
    if (results > 0)
        return results;
    lua_pushfstring(L, "no module '%s' in dex-lua", file);
    return 1;
}

/* The searcher of vm_add_module_dir; upvalue 1 is the folder. */
static int search_dir(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    const char *slashed = luaL_gsub(L, name, ".", "/");
    const char *path =
        lua_pushfstring(L, "%s/%s.lua", lua_tostring(L, lua_upvalueindex(1)), slashed);
    if (access(path, F_OK) < 0) {
        lua_pushfstring(L, "no file '%s'", path);
        return 1;
    }
    struct err e = ERR_INIT;
    struct buf *text = lua_buf_push(L);
    if (file_read(path, text, &e) < 0)
        return lua_err_raise(L, &e);
    lua_buf_finish(L, -1);
    return load_module(L, name, path);
}

static void close_package(lua_State *L)
{
    lua_getglobal(L, "package");
    lua_pushliteral(L, "");
    lua_setfield(L, -2, "path");
    lua_pushliteral(L, "");
    lua_setfield(L, -2, "cpath");
    lua_getfield(L, -1, "searchers"); /* the first one, package.preload's, stays */
    lua_pushcfunction(L, search_embedded);
    lua_rawseti(L, -2, 2);
    for (lua_Integer i = 3; i <= 4; i++) {
        lua_pushnil(L);
        lua_rawseti(L, -2, i);
    }
    lua_pop(L, 2);
}

static void open_vm(struct vm *vm, void *arg)
{
    (void)arg;
    lua_State *L = vm->L;
    static const char *const shared[] = { VALUE_DICT, VALUE_LIST, VALUE_ERROR };
    luaL_openlibs(L);
    /* a run is short and keeps most of what it makes: collecting less often halves parsing */
    lua_gc(L, LUA_GCINC, 300, 400, 0);
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
        luaL_newmetatable(L, shared[i]);
        lua_pop(L, 1);
    }
    close_package(L);
    pattern_install(L);
    libs_preload(L);
    make_globals_strict(L);
}

struct vm *vm_new(struct loop *loop, const char *override, struct err *e)
{
    struct vm *vm = mem_zalloc(sizeof *vm);
    vm->loop = loop;
    vm->override = mem_strdup(override);
    vm->memory_limit = limits_memory();
    slab_init(&vm->slab);
    list_init(&vm->tasks);
    vm->L = lua_newstate(allocate, vm);
    if (!vm->L) {
        err_set(e, CODE_VM, "no memory for Lua");
        goto fail;
    }
    *(struct task **)lua_getextraspace(vm->L) = NULL; /* coroutines inherit this */
    lua_atpanic(vm->L, panic);
    if (vm_protect(vm, open_vm, NULL, e) < 0)
        goto fail;
    return vm;
fail:
    vm_free(vm);
    return NULL;
}

const char *vm_override(void)
{
    const char *dir = getenv("DEX_LUA");
    return dir && *dir ? dir : NULL;
}

void vm_free(struct vm *vm)
{
    if (!vm)
        return;
    limits_forget(vm);
    task_abandon_all(vm);
    if (vm->L)
        lua_close(vm->L);
    slab_fini(&vm->slab);
    task_release_all(vm);
    mem_free(vm->override);
    mem_free(vm);
}

struct vm *vm_from(lua_State *L)
{
    void *vm;
    lua_getallocf(L, &vm);
    return vm;
}

struct loop *vm_loop(struct vm *vm)
{
    return vm->loop;
}

struct protect {
    void (*fn)(struct vm *vm, void *arg);
    void *arg;
};

static int call_protected(lua_State *L)
{
    struct protect *protect = lua_touserdata(L, 1);
    protect->fn(vm_from(L), protect->arg);
    return 0;
}

static int explain(lua_State *L)
{
    lua_err_explain(L, L);
    return 1;
}

int vm_protect(struct vm *vm, void (*fn)(struct vm *vm, void *arg), void *arg, struct err *e)
{
    struct protect protect = { fn, arg };
    lua_State *L = vm->L;
    int top = lua_gettop(L);
    lua_pushcfunction(L, explain);
    lua_pushcfunction(L, call_protected);
    lua_pushlightuserdata(L, &protect);
    int status = lua_pcall(L, 1, 0, top + 1);
    vm->running = NULL;
    if (status != LUA_OK)
        lua_err_take(L, -1, e);
    lua_settop(L, top);
    return status == LUA_OK ? 0 : -1;
}

void vm_preload(struct vm *vm, const char *name, lua_CFunction open)
{
    luaL_getsubtable(vm->L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(vm->L, open);
    lua_setfield(vm->L, -2, name);
    lua_pop(vm->L, 1);
}

void vm_add_module_dir(struct vm *vm, const char *dir)
{
    lua_State *L = vm->L;
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "searchers");
    lua_pushstring(L, dir);
    lua_pushcclosure(L, search_dir, 1);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pop(L, 2);
}
