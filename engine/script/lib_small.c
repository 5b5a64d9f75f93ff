/* dex.hash, dex.time, dex.term, dex.env, dex.uuid: a few functions each, none of which waits. */
#include <errno.h>
#include <lauxlib.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "script/libs.h"
#include "script/lua_err.h"

extern char **environ;

/* hash.sha256(text) -> 64 lower-case hexadecimal digits */
static int hash_sha256(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    char out[DIGEST_SHA256_SIZE];
    digest_sha256(text, len, out);
    lua_pushstring(L, out);
    return 1;
}

/* hash.sha1(text) -> 40 lower-case hexadecimal digits */
static int hash_sha1(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    char out[DIGEST_SHA1_SIZE];
    digest_sha1(text, len, out);
    lua_pushstring(L, out);
    return 1;
}

/* hash.md5(text) -> 32 lower-case hexadecimal digits */
static int hash_md5(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    char out[DIGEST_MD5_SIZE];
    digest_md5(text, len, out);
    lua_pushstring(L, out);
    return 1;
}

/*
 * hash.equal(a, b) -> whether two texts are the same, in a time that depends on their lengths only:
 * for secrets
 */
static int hash_equal(lua_State *L)
{
    size_t a_len, b_len;
    const char *a = luaL_checklstring(L, 1, &a_len);
    const char *b = luaL_checklstring(L, 2, &b_len);
    lua_pushboolean(L, a_len == b_len && CRYPTO_memcmp(a, b, a_len) == 0);
    return 1;
}

/* hash.token() -> 64 hexadecimal digits that nobody can guess */
static int hash_token(lua_State *L)
{
    unsigned char bytes[32];
    char hex[2 * sizeof bytes + 1];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return luaL_error(L, "the system gives no random numbers: %s", strerror(errno));
    digest_hex(bytes, sizeof bytes, hex);
    lua_pushstring(L, hex);
    return 1;
}

int luaopen_dex_hash(lua_State *L)
{
    static const luaL_Reg functions[] = { { "sha256", hash_sha256 }, { "sha1", hash_sha1 },
                                          { "md5", hash_md5 },       { "equal", hash_equal },
                                          { "token", hash_token },   { NULL, NULL } };
    luaL_newlib(L, functions);
    return 1;
}

/* time.now() -> seconds since 1970 as a float */
static int time_now(lua_State *L)
{
    lua_pushnumber(L, clock_wall());
    return 1;
}

/* time.mono() -> seconds that never go back, for durations */
static int time_mono(lua_State *L)
{
    lua_pushnumber(L, clock_mono());
    return 1;
}

/* time.iso(seconds since 1970) -> "2026-01-02T03:04:05.678901Z" */
static int time_iso(lua_State *L)
{
    char out[CLOCK_ISO_SIZE];
    clock_iso(luaL_checknumber(L, 1), out);
    lua_pushstring(L, out);
    return 1;
}

int luaopen_dex_time(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "now", time_now }, { "mono", time_mono }, { "iso", time_iso }, { NULL, NULL }
    };
    luaL_newlib(L, functions);
    return 1;
}

/* term.isatty(fd) -> whether the descriptor is a terminal */
static int term_isatty(lua_State *L)
{
    lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
    return 1;
}

/* term.width() -> columns of the terminal behind standard output, or nil */
static int term_width(lua_State *L)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return 0;
    lua_pushinteger(L, size.ws_col);
    return 1;
}

/*
 * term.write(fd, text) -> true, or false when nobody reads any more (a closed pipe). Raises 110
 * else.
 */
static int term_write(lua_State *L)
{
    int fd = (int)luaL_checkinteger(L, 1);
    size_t len;
    const char *text = luaL_checklstring(L, 2, &len);
    int failed = file_write_all(fd, text, len) < 0;
    if (failed && errno != EPIPE) {
        struct err e = ERR_INIT;
        err_sys(&e, FILE_CODE,
                fd == STDOUT_FILENO ? "cannot write to standard output" : "cannot write");
        return lua_err_raise(L, &e);
    }
    lua_pushboolean(L, !failed);
    return 1;
}

int luaopen_dex_term(lua_State *L)
{
    static const luaL_Reg functions[] = {
        { "isatty", term_isatty }, { "width", term_width }, { "write", term_write }, { NULL, NULL }
    };
    luaL_newlib(L, functions);
    return 1;
}

/* env.get(name) -> the variable's value, or nil */
static int env_get(lua_State *L)
{
    lua_pushstring(L, getenv(luaL_checkstring(L, 1)));
    return 1;
}

/* env.all() -> a plain table of all variables */
static int env_all(lua_State *L)
{
    lua_newtable(L);
    for (char **e = environ; *e; e++) {
        const char *equals = strchr(*e, '=');
        if (!equals)
            continue;
        lua_pushlstring(L, *e, (size_t)(equals - *e));
        lua_pushstring(L, equals + 1);
        lua_rawset(L, -3);
    }
    return 1;
}

/*
 * env.set(name, value): for us and for the programs that we start. A variable that is set already
 * stays as it is. Gives whether it was set.
 */
static int env_set(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    const char *value = luaL_checkstring(L, 2);
    luaL_argcheck(L, *name && !strchr(name, '='), 1, "a name");
    int there = getenv(name) != NULL;
    if (setenv(name, value, 0) < 0)
        return luaL_error(L, "cannot set the variable %s", name);
    lua_pushboolean(L, !there);
    return 1;
}

/* env.unset(name): the variable is gone, for us and for the programs that we start */
static int env_unset(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    luaL_argcheck(L, *name && !strchr(name, '='), 1, "a name");
    unsetenv(name);
    return 0;
}

int luaopen_dex_env(lua_State *L)
{
    static const luaL_Reg functions[] = { { "get", env_get },
                                          { "all", env_all },
                                          { "set", env_set },
                                          { "unset", env_unset },
                                          { NULL, NULL } };
    luaL_newlib(L, functions);
    return 1;
}

/* uuid() -> a random UUID (version 4), lower case */
static int uuid(lua_State *L)
{
    unsigned char b[16];
    if (getrandom(b, sizeof b, 0) != (ssize_t)sizeof b)
        return luaL_error(L, "the system gives no random numbers: %s", strerror(errno));
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    char hex[33];
    digest_hex(b, sizeof b, hex);
    char out[37];
    snprintf(out, sizeof out, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
             hex + 20);
    lua_pushstring(L, out);
    return 1;
}

int luaopen_dex_uuid(lua_State *L)
{
    lua_pushcfunction(L, uuid);
    return 1;
}
