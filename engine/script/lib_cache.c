/*
 * dex.cache: the files of the parse cache (base/chunks.h), and what a parse has read
 * (base/inputs.h). None of it waits.
 */
#include "script/lib_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/chunks.h"
#include "base/file.h"
#include "base/mem.h"
#include "script/libs.h"
#include "script/lua_buf.h"
#include "script/lua_err.h"

#define WRITER "dex.cache.writer"
#define FILE_META "dex.cache.file"

static const char watch_key = 0; /* registry: the buffer of the list, while it is being made */

/* The list, which stays valid while the registry holds it; NULL when nobody watches. */
static struct buf *watching(lua_State *L)
{
    struct buf *list = NULL;
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &watch_key) == LUA_TUSERDATA)
        list = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return list;
}

int cache_is_watching(lua_State *L)
{
    return watching(L) != NULL;
}

void cache_note(lua_State *L, enum inputs_kind kind, const char *path, const struct stat *st,
                const void *answer, size_t len)
{
    int number = errno;
    struct buf *list = watching(L);
    if (list)
        inputs_note(list, kind, path, st, answer, len);
    errno = number;
}

/* cache.watch(): from now on dex.fs notes what it is asked. */
static int cache_watch(lua_State *L)
{
    inputs_begin(lua_buf_push(L));
    lua_rawsetp(L, LUA_REGISTRYINDEX, &watch_key);
    return 0;
}

/* cache.watched() -> the list of questions and answers since cache.watch(), as bytes, or nil; it
 * ends. */
static int cache_watched(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &watch_key) != LUA_TUSERDATA)
        return 0;
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &watch_key);
    lua_buf_finish(L, -1);
    return 1;
}

/* cache.watch_more(list): what cache.watched() gave in another process has been asked, too. */
static int cache_watch_more(lua_State *L)
{
    size_t len;
    const char *more = luaL_checklstring(L, 1, &len);
    struct buf *list = watching(L);
    if (list)
        inputs_append(list, more, len);
    return 0;
}

/*
 * cache.changed(list) -> the paths of files that have another content now, none of them when all
 * answers are the same; nil when any other answer is another one
 */
static int cache_changed(lua_State *L)
{
    size_t len;
    const char *list = luaL_checklstring(L, 1, &len);
    struct buf *changed = lua_buf_push(L);
    if (!inputs_compare(list, len, changed))
        return 0;
    lua_newtable(L);
    lua_Integer n = 0;
    for (size_t at = 0; at < changed->len; at += strlen(changed->data + at) + 1) {
        lua_pushstring(L, changed->data + at);
        lua_rawseti(L, -2, ++n);
    }
    return 1;
}

/* cache.program() -> a text that another build of the program does not have; nil when it cannot be
 * told */
static int cache_program(lua_State *L)
{
    struct stat st;
    if (stat("/proc/self/exe", &st) < 0)
        return 0;
    lua_pushfstring(L, "%I %I %I.%I", (LUAI_UACINT)st.st_ino, (LUAI_UACINT)st.st_size,
                    (LUAI_UACINT)st.st_mtim.tv_sec, (LUAI_UACINT)st.st_mtim.tv_nsec);
    return 1;
}

static struct chunk_writer **check_writer(lua_State *L)
{
    struct chunk_writer **w = luaL_checkudata(L, 1, WRITER);
    luaL_argcheck(L, *w, 1, "closed");
    return w;
}

/* Pushes the writer that `open` gives for the text at 1. Raises 110. */
static int push_writer(lua_State *L, struct chunk_writer *(*open)(const char *, struct err *))
{
    const char *where = luaL_checkstring(L, 1);
    struct err e = ERR_INIT;
    struct chunk_writer **w = lua_newuserdatauv(L, sizeof *w, 0);
    *w = NULL;
    luaL_setmetatable(L, WRITER);
    *w = open(where, &e);
    if (!*w)
        return lua_err_raise(L, &e);
    return 1;
}

/* cache.writer(path) -> writer. Raises 110. */
static int cache_writer(lua_State *L)
{
    return push_writer(L, chunk_writer_new);
}

/* cache.unnamed(folder) -> writer of a file without a name. Raises 110. */
static int cache_unnamed(lua_State *L)
{
    return push_writer(L, chunk_writer_unnamed);
}

/* writer:add(text) -> the chunk's number, from 0 */
static int writer_add(lua_State *L)
{
    struct chunk_writer *w = *check_writer(L);
    size_t len;
    const char *text = luaL_checklstring(L, 2, &len);
    lua_pushinteger(L, (lua_Integer)chunk_writer_count(w));
    chunk_writer_add(w, text, len);
    return 1;
}

static int writer_close(lua_State *L)
{
    struct chunk_writer **w = luaL_checkudata(L, 1, WRITER);
    chunk_writer_free(*w);
    *w = NULL;
    return 0;
}

/*
 * writer:finish(): puts the file in its place, or makes one without a name readable by
 * writer:file(). Raises 110; nothing of it is left then.
 */
static int writer_finish(lua_State *L)
{
    struct chunk_writer *w = *check_writer(L);
    struct err e = ERR_INIT;
    int named = chunk_writer_is_named(w), bad = chunk_writer_finish(w, &e) < 0;
    if (named || bad)
        writer_close(L);
    return bad ? lua_err_raise(L, &e) : 0;
}

static struct chunk_file *check_file(lua_State *L, int index)
{
    struct chunk_file **f = luaL_checkudata(L, index, FILE_META);
    luaL_argcheck(L, *f, index, "closed");
    return *f;
}

static size_t check_number(lua_State *L, int index, const struct chunk_file *f)
{
    lua_Integer n = luaL_checkinteger(L, index);
    luaL_argcheck(L, n >= 0 && (size_t)n < chunk_file_count(f), index, "no chunk has this number");
    return (size_t)n;
}

/*
 * writer:add_parts(...) -> the chunk's number. The chunk is made of texts, and of chunks of other
 * files, each given as the file and a number. Raises 110.
 */
static int writer_add_parts(lua_State *L)
{
    struct chunk_writer *w = *check_writer(L);
    int top = lua_gettop(L);
    lua_pushinteger(L, (lua_Integer)chunk_writer_count(w));
    for (int i = 2; i <= top; i++) {
        if (lua_type(L, i) == LUA_TSTRING)
            continue;
        struct chunk_file *f = check_file(L, i++);
        check_number(L, i, f);
    }
    chunk_writer_add(w, "", 0);
    for (int i = 2; i <= top; i++) {
        size_t len;
        struct err e = ERR_INIT;
        if (lua_type(L, i) == LUA_TSTRING) {
            const char *text = lua_tolstring(L, i, &len);
            chunk_writer_extend(w, text, len);
            continue;
        }
        struct chunk_file *f = check_file(L, i++);
        if (chunk_file_extend(f, check_number(L, i, f), w, &e) < 0)
            return lua_err_raise(L, &e);
    }
    return 1;
}

/* writer:file() -> what has been written and finished, as cache.open gives it, or nil */
static int writer_file(lua_State *L)
{
    struct chunk_writer *w = *check_writer(L);
    struct chunk_file **f = lua_newuserdatauv(L, sizeof *f, 0);
    *f = NULL;
    luaL_setmetatable(L, FILE_META);
    *f = chunk_file_of(w);
    return *f ? 1 : 0;
}

/* cache.open(path) -> file, or nil when there is none that is whole */
static int cache_open(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    struct chunk_file **f = lua_newuserdatauv(L, sizeof *f, 0);
    *f = NULL;
    luaL_setmetatable(L, FILE_META);
    *f = chunk_file_open(path);
    return *f ? 1 : 0;
}

/* file:read(number) -> the chunk. Raises 110. */
static int file_read_chunk(lua_State *L)
{
    struct chunk_file *f = check_file(L, 1);
    size_t n = check_number(L, 2, f);
    struct buf *text = lua_buf_push(L);
    struct err e = ERR_INIT;
    if (chunk_file_read(f, n, n, text, &e) < 0)
        return lua_err_raise(L, &e);
    lua_buf_finish(L, -1);
    return 1;
}

/* file:count() -> how many chunks there are */
static int file_count(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)chunk_file_count(check_file(L, 1)));
    return 1;
}

/* Writes what the list at stack slot 3 says; its shape has been checked. */
static int write_pieces(lua_State *L, struct chunk_file *f, int fd, struct err *e)
{
    lua_Integer count = (lua_Integer)lua_rawlen(L, 3);
    int bad = 0;
    for (lua_Integer i = 1; i <= count && !bad;) {
        size_t len;
        if (lua_rawgeti(L, 3, i) == LUA_TSTRING) {
            const char *text = lua_tolstring(L, -1, &len);
            bad = file_write_all(fd, text, len) < 0;
            if (bad)
                err_sys(e, FILE_CODE, "cannot write the file");
            i++;
        } else {
            lua_rawgeti(L, 3, i + 1);
            bad = chunk_file_copy(f, (size_t)lua_tointeger(L, -2), (size_t)lua_tointeger(L, -1), fd,
                                  e) < 0;
            lua_pop(L, 1);
            i += 2;
        }
        lua_pop(L, 1);
    }
    return bad ? -1 : 0;
}

static void check_pieces(lua_State *L, struct chunk_file *f)
{
    luaL_checktype(L, 3, LUA_TTABLE);
    lua_Integer count = (lua_Integer)lua_rawlen(L, 3);
    for (lua_Integer i = 1; i <= count; i++) {
        if (lua_rawgeti(L, 3, i) != LUA_TSTRING) {
            size_t from = check_number(L, -1, f);
            lua_rawgeti(L, 3, ++i);
            luaL_argcheck(L, check_number(L, -1, f) >= from, 3, "a range ends before it begins");
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
}

/*
 * file:compose(path, pieces): replaces the file at `path` in one step by its pieces one behind the
 * other. A piece is a text, or two numbers: the first and the last of a range of chunks. Raises
 * 110.
 */
static int file_compose(lua_State *L)
{
    struct chunk_file *f = check_file(L, 1);
    const char *path = luaL_checkstring(L, 2);
    check_pieces(L, f);
    struct err e = ERR_INIT;
    struct buf *temp = lua_buf_push(L);
    buf_printf(temp, "%s.%ld.tmp", path, (long)getpid());
    int fd = open(temp->data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        err_sys(&e, FILE_CODE, "cannot create the file");
        err_at(&e, path, 0);
        return lua_err_raise(L, &e);
    }
    int bad = write_pieces(L, f, fd, &e) < 0;
    if ((close(fd) < 0 || (!bad && rename(temp->data, path) < 0)) && !bad) {
        err_sys(&e, FILE_CODE, "cannot write the file");
        bad = 1;
    }
    if (!bad)
        return 0;
    unlink(temp->data);
    err_at(&e, path, 0);
    return lua_err_raise(L, &e);
}

/* file:close() */
static int file_close(lua_State *L)
{
    struct chunk_file **f = luaL_checkudata(L, 1, FILE_META);
    chunk_file_free(*f);
    *f = NULL;
    return 0;
}

static void make_meta(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction gc)
{
    luaL_newmetatable(L, name);
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, gc);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
}

int luaopen_dex_cache(lua_State *L)
{
    static const luaL_Reg writer[] = { { "add", writer_add },     { "add_parts", writer_add_parts },
                                       { "file", writer_file },   { "finish", writer_finish },
                                       { "close", writer_close }, { NULL, NULL } };
    static const luaL_Reg file[] = { { "read", file_read_chunk },
                                     { "count", file_count },
                                     { "compose", file_compose },
                                     { "close", file_close },
                                     { NULL, NULL } };
    static const luaL_Reg functions[] = { { "watch", cache_watch },
                                          { "watched", cache_watched },
                                          { "watch_more", cache_watch_more },
                                          { "changed", cache_changed },
                                          { "program", cache_program },
                                          { "writer", cache_writer },
                                          { "unnamed", cache_unnamed },
                                          { "open", cache_open },
                                          { NULL, NULL } };
    make_meta(L, WRITER, writer, writer_close);
    make_meta(L, FILE_META, file, file_close);
    luaL_newlib(L, functions);
    return 1;
}
