/* dex.fs and dex.embed. Failures raise error objects, code 110, with the path as `file`. */
#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "script/embed.h"
#include "script/lib_cache.h"
#include "script/libs.h"
#include "script/lua_buf.h"
#include "script/lua_err.h"
#include "script/vm.h"

static int fail(lua_State *L, const char *what, const char *path)
{
    struct err e = ERR_INIT;
    err_sys(&e, FILE_CODE, what);
    err_at(&e, path, 0);
    return lua_err_raise(L, &e);
}

static int nothing_there(int number)
{
    return number == ENOENT || number == ENOTDIR || number == ELOOP || number == ENAMETOOLONG;
}

/* fs.read(path) -> text */
static int fs_read(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct buf *text = lua_buf_push(L);
    struct err e = ERR_INIT;
    struct stat st;
    int known = cache_is_watching(L) && stat(path, &st) == 0;
    int bad = file_read(path, text, &e) < 0;
    cache_note(L, INPUTS_READ, path, known ? &st : NULL,
               bad          ? NULL
               : text->data ? text->data
                            : "",
               text->len);
    if (bad)
        return lua_err_raise(L, &e);
    lua_buf_finish(L, -1);
    return 1;
}

/* fs.update(path, text): in place, and only if the file has another text. */
static int fs_update(lua_State *L)
{
    size_t len;
    const char *path = luaL_checkstring(L, 1);
    const char *text = luaL_checklstring(L, 2, &len);
    struct err e = ERR_INIT;
    if (file_update(path, text, len, &e) < 0)
        return lua_err_raise(L, &e);
    return 0;
}

/* fs.write(path, text, durable=false): in one step; `durable` waits until it is on the disk. */
static int fs_write(lua_State *L)
{
    size_t len;
    const char *path = luaL_checkstring(L, 1);
    const char *text = luaL_checklstring(L, 2, &len);
    struct err e = ERR_INIT;
    if ((lua_toboolean(L, 3) ? file_write : file_write_fast)(path, text, len, &e) < 0)
        return lua_err_raise(L, &e);
    return 0;
}

/* fs.append(path, text) */
static int fs_append(lua_State *L)
{
    size_t len;
    const char *path = luaL_checkstring(L, 1);
    const char *text = luaL_checklstring(L, 2, &len);
    struct err e = ERR_INIT;
    if (file_append(path, text, len, &e) < 0)
        return lua_err_raise(L, &e);
    return 0;
}

/* fs.exists(path) -> whether anything is there (a broken link is not) */
static int fs_exists(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    int there = access(path, F_OK) == 0;
    cache_note(L, INPUTS_EXISTS, path, NULL, there ? "" : NULL, 0);
    lua_pushboolean(L, there);
    return 1;
}

/* fs.isdir(path) -> whether it is a folder, or a link to one */
static int fs_isdir(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct stat st;
    int is = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    cache_note(L, INPUTS_ISDIR, path, NULL, is ? "" : NULL, 0);
    lua_pushboolean(L, is);
    return 1;
}

/*
 * fs.stat(path) -> {size=, mtime= (seconds, float), mode= (permission bits), type=
 * "file"|"dir"|"other"} or nil
 */
static int fs_stat(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct stat st;
    if (stat(path, &st) < 0) {
        cache_note(L, INPUTS_SIZE, path, NULL, NULL, 0);
        if (nothing_there(errno))
            return 0;
        return fail(L, "cannot look at the file", path);
    }
    char answer[48];
    int len = snprintf(answer, sizeof answer, "%lld %d", (long long)st.st_size,
                       (int)(st.st_mode & S_IFMT));
    cache_note(L, INPUTS_SIZE, path, NULL, answer, (size_t)len);
    lua_createtable(L, 0, 4);
    lua_pushinteger(L, st.st_size);
    lua_setfield(L, -2, "size");
    lua_pushnumber(L, (double)st.st_mtim.tv_sec + (double)st.st_mtim.tv_nsec / 1e9);
    lua_setfield(L, -2, "mtime");
    lua_pushinteger(L, st.st_mode & 07777);
    lua_setfield(L, -2, "mode");
    lua_pushstring(L, S_ISREG(st.st_mode) ? "file" : S_ISDIR(st.st_mode) ? "dir" : "other");
    lua_setfield(L, -2, "type");
    return 1;
}

/* fs.mkdirs(path): with all folders above; nothing happens when it exists. */
static int fs_mkdirs(lua_State *L)
{
    struct err e = ERR_INIT;
    if (file_mkdirs(luaL_checkstring(L, 1), &e) < 0)
        return lua_err_raise(L, &e);
    return 0;
}

/* fs.remove_tree(path): a file or a whole folder; nothing happens when it is missing. */
static int fs_remove_tree(lua_State *L)
{
    struct err e = ERR_INIT;
    if (file_remove_tree(luaL_checkstring(L, 1), &e) < 0)
        return lua_err_raise(L, &e);
    return 0;
}

/* fs.rename(from, to): within one file system; what was at `to` goes. */
static int fs_rename(lua_State *L)
{
    const char *from = luaL_checkstring(L, 1);
    if (rename(from, luaL_checkstring(L, 2)) < 0)
        return fail(L, "cannot rename", from);
    return 0;
}

/* fs.symlink(target, path): a link at `path`, where nothing may be. */
static int fs_symlink(lua_State *L)
{
    const char *target = luaL_checkstring(L, 1);
    const char *path = luaL_checkstring(L, 2);
    if (symlink(target, path) < 0)
        return fail(L, "cannot make the link", path);
    return 0;
}

/* fs.temporary(prefix) -> a new folder, prefix and six more letters, for us alone */
static int fs_temporary(lua_State *L)
{
    char path[PATH_MAX];
    const char *prefix = luaL_checkstring(L, 1);
    if (snprintf(path, sizeof path, "%sXXXXXX", prefix) >= (int)sizeof path || !mkdtemp(path))
        return fail(L, "cannot make a folder", prefix);
    lua_pushstring(L, path);
    return 1;
}

/* fs.chmod(path, mode): mode as the system has it, such as 0x180 for 0600 */
static int fs_chmod(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    if (chmod(path, (mode_t)luaL_checkinteger(L, 2)) < 0)
        return fail(L, "cannot change who may read the file", path);
    return 0;
}

/* fs.realpath(path) -> the absolute path without links, or nil when there is nothing */
static int fs_realpath(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    char real[PATH_MAX];
    const char *found = realpath(path, real);
    cache_note(L, INPUTS_REAL, path, NULL, found, found ? strlen(found) : 0);
    if (!found) {
        if (nothing_there(errno))
            return 0;
        return fail(L, "cannot find the path", path);
    }
    lua_pushstring(L, real);
    return 1;
}

/* fs.cwd() -> the current folder */
static int fs_cwd(lua_State *L)
{
    char dir[PATH_MAX];
    if (!getcwd(dir, sizeof dir))
        return fail(L, "cannot find the current folder", ".");
    lua_pushstring(L, dir);
    return 1;
}

/*
 * Collects the paths in a buffer, each with its zero: no Lua call may raise while the walk owns
 * memory.
 */
static int collect(void *arg, const char *path)
{
    buf_add(arg, path, strlen(path) + 1);
    return 0;
}

/* Replaces the userdata of such a buffer on top of the stack by the list. */
static void push_paths(lua_State *L, const struct buf *paths)
{
    lua_newtable(L);
    lua_Integer n = 0;
    for (size_t at = 0; at < paths->len; at += strlen(paths->data + at) + 1) {
        lua_pushstring(L, paths->data + at);
        lua_rawseti(L, -2, ++n);
    }
}

static int gather(lua_State *L, enum inputs_kind kind,
                  int (*walk)(const char *, file_walk_fn, void *, struct err *))
{
    const char *dir = luaL_checkstring(L, 1);
    struct buf *paths = lua_buf_push(L);
    struct err e = ERR_INIT;
    int bad = walk(dir, collect, paths, &e) < 0;
    cache_note(L, kind, dir, NULL, bad ? NULL : paths->data ? paths->data : "", paths->len);
    if (bad)
        return lua_err_raise(L, &e);
    push_paths(L, paths);
    return 1;
}

/* fs.walk(dir) -> the relative paths of all files below it, sorted by bytes; see file_walk */
static int fs_walk(lua_State *L)
{
    return gather(L, INPUTS_WALK, file_walk);
}

/* fs.list(dir) -> the names in it, sorted by bytes */
static int fs_list(lua_State *L)
{
    return gather(L, INPUTS_LIST, file_list);
}

static const luaL_Reg fs_functions[] = {
    { "read", fs_read },           { "update", fs_update }, { "write", fs_write },
    { "append", fs_append },       { "exists", fs_exists }, { "isdir", fs_isdir },
    { "stat", fs_stat },           { "mkdirs", fs_mkdirs }, { "remove_tree", fs_remove_tree },
    { "realpath", fs_realpath },   { "cwd", fs_cwd },       { "walk", fs_walk },
    { "list", fs_list },           { "rename", fs_rename }, { "symlink", fs_symlink },
    { "temporary", fs_temporary }, { "chmod", fs_chmod },   { NULL, NULL },
};

int luaopen_dex_fs(lua_State *L)
{
    luaL_newlib(L, fs_functions);
    return 1;
}

/*
 * embed.read(path) -> text of "stdlib/..." or "lua/..." as the program holds it. Raises 110 when
 * missing.
 */
static int embed_lua_read(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct buf *text = lua_buf_push(L);
    struct err e = ERR_INIT;
    int found = embed_read(vm_from(L)->override, path, text, &e);
    if (found == 0) {
        err_set(&e, FILE_CODE, "dex-lua holds no such file");
        err_at(&e, path, 0);
    }
    if (found != 1)
        return lua_err_raise(L, &e);
    lua_buf_finish(L, -1);
    return 1;
}

/* embed.list(prefix="") -> the paths that begin with it, sorted */
static int embed_lua_list(lua_State *L)
{
    const char *prefix = luaL_optstring(L, 1, "");
    struct buf *paths = lua_buf_push(L);
    struct err e = ERR_INIT;
    if (embed_list(vm_from(L)->override, prefix, collect, paths, &e) < 0)
        return lua_err_raise(L, &e);
    push_paths(L, paths);
    return 1;
}

int luaopen_dex_embed(lua_State *L)
{
    static const luaL_Reg functions[] = { { "read", embed_lua_read },
                                          { "list", embed_lua_list },
                                          { NULL, NULL } };
    luaL_newlib(L, functions);
    return 1;
}
