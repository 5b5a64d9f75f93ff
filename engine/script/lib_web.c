/* dex.web: an HTTP server whose requests are tasks (io/web.h). */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/web.h"
#include "script/libs.h"
#include "script/lua_err.h"
#include "script/task.h"
#include "script/vm.h"

#define SERVER "dex.web.server"
#define ANSWER "dex.web.answer"
#define CHUNK "dex.web.chunk"

/* The handler is kept in the registry under the address of this userdata. */
struct server {
    struct vm *vm;
    struct web *web; /* NULL when closed */
};

/* Kept in the registry, under its address, until its task has ended. */
struct answer {
    struct web_request *request; /* NULL when the task has ended */
    struct task *waiter;         /* inside of wait(), or NULL */
    lua_Integer low;             /* it waits for as few unsent bytes; negative: for no such thing */
    int woken;
};

/* Chunks -------------------------------------------------------------------- */

/* web.chunk(text) -> a text that many streams may send without a copy for each */
static int web_chunk(lua_State *L)
{
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    struct web_chunk **chunk = lua_newuserdatauv(L, sizeof *chunk, 0);
    *chunk = NULL;
    luaL_setmetatable(L, CHUNK);
    *chunk = web_chunk_new(text, length);
    return 1;
}

static int chunk_gc(lua_State *L)
{
    struct web_chunk **chunk = luaL_checkudata(L, 1, CHUNK);
    web_chunk_free(*chunk);
    *chunk = NULL;
    return 0;
}

/* Answers ------------------------------------------------------------------- */

static struct answer *check_answer(lua_State *L)
{
    struct answer *answer = luaL_checkudata(L, 1, ANSWER);
    luaL_argcheck(L, answer->request, 1, "its handler has ended");
    return answer;
}

static int answer_gc(lua_State *L)
{
    struct answer *answer = luaL_checkudata(L, 1, ANSWER);
    web_request_free(answer->request);
    answer->request = NULL;
    return 0;
}

static void add_field(lua_State *L, luaL_Buffer *b, int index)
{
    size_t length;
    const char *text = lua_tolstring(L, index, &length);
    if (!text || strpbrk(text, "\r\n") || strlen(text) != length)
        luaL_argerror(L, 3, "a field is two texts of one line each");
    lua_pushvalue(L, index);
    luaL_addvalue(b);
}

/* Pushes the lines of {{name, value}...}, or NULL's own nil. */
static const char *push_fields(lua_State *L, int index)
{
    if (lua_isnoneornil(L, index)) {
        lua_pushnil(L);
        return NULL;
    }
    luaL_checktype(L, index, LUA_TTABLE);
    luaL_Buffer b;
    lua_Integer n = luaL_len(L, index);
    lua_newtable(L); /* where the pair stands while the buffer grows above it */
    int pair = lua_gettop(L);
    lua_pushnil(L);
    lua_pushnil(L);
    luaL_buffinit(L, &b);
    for (lua_Integer i = 1; i <= n; i++) {
        if (lua_rawgeti(L, index, i) != LUA_TTABLE)
            luaL_argerror(L, 3, "a field is two texts of one line each");
        lua_replace(L, pair);
        lua_rawgeti(L, pair, 1);
        lua_replace(L, pair + 1);
        lua_rawgeti(L, pair, 2);
        lua_replace(L, pair + 2);
        add_field(L, &b, pair + 1);
        luaL_addstring(&b, ": ");
        add_field(L, &b, pair + 2);
        luaL_addstring(&b, "\r\n");
    }
    luaL_pushresult(&b);
    return lua_tostring(L, -1);
}

static int check_status(lua_State *L)
{
    lua_Integer status = luaL_checkinteger(L, 2);
    luaL_argcheck(L, status >= 200 && status <= 599, 2, "no status of an answer");
    return (int)status;
}

/* answer:reply(status, fields or nil, body): answers; fields are a list of {name, value} */
static int answer_reply(lua_State *L)
{
    struct answer *answer = check_answer(L);
    int status = check_status(L);
    size_t length;
    const char *body = luaL_checklstring(L, 4, &length);
    web_reply(answer->request, status, push_fields(L, 3), body, length);
    return 0;
}

/*
 * answer:file(status, fields or nil, path) -> whether it is a file that can be read: answers with
 * what it holds; nothing is answered else
 */
static int answer_file(lua_State *L)
{
    struct answer *answer = check_answer(L);
    int status = check_status(L);
    const char *path = luaL_checkstring(L, 4);
    const char *fields = push_fields(L, 3);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    struct stat st;
    int there = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    if (there)
        web_reply_file(answer->request, status, fields, fd, (size_t)st.st_size);
    else if (fd >= 0)
        close(fd);
    lua_pushboolean(L, there);
    return 1;
}

/* answer:stream(status, fields or nil): begins an answer that write() goes on with */
static int answer_stream(lua_State *L)
{
    struct answer *answer = check_answer(L);
    int status = check_status(L);
    web_stream(answer->request, status, push_fields(L, 3));
    return 0;
}

/* answer:write(text or chunk) -> how many bytes are unsent, or nil when the client is gone */
static int answer_write(lua_State *L)
{
    struct answer *answer = check_answer(L);
    if (web_is_gone(answer->request))
        return 0;
    struct web_chunk **shared = luaL_testudata(L, 2, CHUNK);
    if (shared) {
        web_write(answer->request, *shared);
    } else {
        size_t length;
        const char *text = luaL_checklstring(L, 2, &length);
        struct web_chunk *chunk = web_chunk_new(text, length);
        web_write(answer->request, chunk);
        web_chunk_free(chunk);
    }
    lua_pushinteger(L, (lua_Integer)web_unsent(answer->request));
    return 1;
}

static void on_change(void *arg)
{
    struct answer *answer = arg;
    if (answer->waiter && (answer->low >= 0 || web_is_gone(answer->request)))
        task_resume(answer->waiter);
}

static void forget_waiter(void *arg)
{
    ((struct answer *)arg)->waiter = NULL;
}

static int waited(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    struct answer *answer = check_answer(L);
    int gone = web_is_gone(answer->request);
    answer->waiter = NULL;
    if (gone || answer->woken ||
        (answer->low >= 0 && (lua_Integer)web_unsent(answer->request) <= answer->low)) {
        answer->woken = 0;
        lua_pushboolean(L, !gone);
        return 1;
    }
    answer->waiter = task_current(L);
    web_request_watch(answer->request, answer->low > 0 ? (size_t)answer->low : 0, on_change,
                      answer);
    return task_wait(L, forget_waiter, answer, waited, 0);
}

/*
 * answer:wait([low]) -> false when the client is gone, true when wake() was called or at most `low`
 * bytes are unsent. Waits.
 */
static int answer_wait(lua_State *L)
{
    struct answer *answer = check_answer(L);
    lua_Integer low = luaL_optinteger(L, 2, -1);
    luaL_argcheck(L, !answer->waiter, 1, "somebody waits for it already");
    answer->low = low;
    task_current(L);
    return waited(L, LUA_OK, 0);
}

/* answer:wake(): ends a wait, or the next one */
static int answer_wake(lua_State *L)
{
    struct answer *answer = luaL_checkudata(L, 1, ANSWER);
    answer->woken = 1;
    if (answer->waiter)
        task_resume(answer->waiter);
    return 0;
}

/* answer:gone() -> whether nobody is left to be answered, or the answer was given */
static int answer_gone(lua_State *L)
{
    struct answer *answer = luaL_checkudata(L, 1, ANSWER);
    lua_pushboolean(L, !answer->request || web_is_gone(answer->request));
    return 1;
}

/* Requests ------------------------------------------------------------------ */

/* The handler has ended. What it raised is its own business to tell: the client gets a 500. */
static void handled(struct task *t, int ok, void *arg)
{
    struct answer *answer = arg;
    lua_State *L = task_lua(t);
    (void)ok;
    web_request_free(answer->request);
    answer->request = NULL;
    if (answer->waiter) /* another task, which is told that it waits in vain */
        task_resume(answer->waiter);
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, answer);
    task_free(t);
}

static void set_span(lua_State *L, const char *key, struct web_span span)
{
    if (!span.at)
        return;
    lua_pushlstring(L, span.at, span.length);
    lua_setfield(L, -2, key);
}

/* Fields that came several times are joined by commas, which means the same. */
static void push_headers(lua_State *L, const struct web_head *head)
{
    lua_createtable(L, 0, head->count);
    for (int i = 0; i < head->count; i++) {
        const struct web_field *field = &head->fields[i];
        lua_pushlstring(L, field->name.at, field->name.length);
        lua_pushvalue(L, -1);
        int again = lua_rawget(L, -3) == LUA_TSTRING;
        if (again)
            lua_pushliteral(L, ", ");
        else
            lua_pop(L, 1);
        lua_pushlstring(L, field->value.at, field->value.length);
        if (again)
            lua_concat(L, 3);
        lua_rawset(L, -3);
    }
}

static void push_request(lua_State *L, const struct web_request *request)
{
    const struct web_head *head = web_request_head(request);
    lua_createtable(L, 0, 6);
    set_span(L, "method", head->method);
    set_span(L, "path", head->path);
    set_span(L, "query", head->query);
    push_headers(L, head);
    lua_setfield(L, -2, "headers");
    size_t length;
    const char *body = web_request_body(request, &length);
    lua_pushlstring(L, body, length);
    lua_setfield(L, -2, "body");
    lua_pushstring(L, web_request_peer(request));
    lua_setfield(L, -2, "peer");
}

static void on_request(void *arg, struct web_request *request)
{
    struct server *server = arg;
    struct task *t = task_new(server->vm, "http");
    lua_State *L = task_lua(t);
    lua_rawgetp(L, LUA_REGISTRYINDEX, server);
    push_request(L, request);
    struct answer *answer = lua_newuserdatauv(L, sizeof *answer, 0);
    memset(answer, 0, sizeof *answer);
    answer->request = request;
    luaL_setmetatable(L, ANSWER);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, answer);
    task_call(t, 2, handled, answer);
}

/* Servers ------------------------------------------------------------------- */

static struct server *check_server(lua_State *L)
{
    struct server *server = luaL_checkudata(L, 1, SERVER);
    luaL_argcheck(L, server->web, 1, "closed");
    return server;
}

static double number_field(lua_State *L, const char *key)
{
    lua_getfield(L, 1, key);
    double value = luaL_optnumber(L, -1, 0);
    luaL_argcheck(L, value >= 0 && value < 1e9, 1, key);
    lua_pop(L, 1);
    return value;
}

/*
 * web.listen{host=, port=, handler=, ...} -> server, which answers while the loop runs. The other
 * fields are those of struct web_limits. Each request calls handler(request, answer) in a task of
 * its own: `request` is a table with method, path, query, headers (by names in lower case), body
 * and peer; without an answer the client gets status 500. Raises code 110.
 */
static int web_listen(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    struct web_limits limits = {
        .head = (size_t)number_field(L, "head"),
        .body = (size_t)number_field(L, "body"),
        .connections = (int)number_field(L, "connections"),
        .head_seconds = number_field(L, "head_seconds"),
        .body_seconds = number_field(L, "body_seconds"),
        .idle_seconds = number_field(L, "idle_seconds"),
        .write_seconds = number_field(L, "write_seconds"),
    };
    lua_Integer port = (lua_Integer)number_field(L, "port");
    luaL_argcheck(L, port <= 65535, 1, "port");
    lua_getfield(L, 1, "host");
    const char *host = luaL_checkstring(L, 2);
    struct server *server = lua_newuserdatauv(L, sizeof *server, 0);
    *server = (struct server){ .vm = vm_from(L) };
    luaL_setmetatable(L, SERVER);
    lua_getfield(L, 1, "handler");
    luaL_checktype(L, -1, LUA_TFUNCTION);
    lua_rawsetp(L, LUA_REGISTRYINDEX, server);
    struct err e = ERR_INIT;
    server->web = web_new(vm_loop(server->vm), host, (int)port, &limits, on_request, server, &e);
    if (!server->web)
        return lua_err_raise(L, &e);
    return 1;
}

/* server:port() */
static int server_port(lua_State *L)
{
    lua_pushinteger(L, web_port(check_server(L)->web));
    return 1;
}

/* server:allow(name): requests may be sent to this name, too */
static int server_allow(lua_State *L)
{
    web_allow(check_server(L)->web, luaL_checkstring(L, 2));
    return 0;
}

/* server:connections() -> how many are open */
static int server_connections(lua_State *L)
{
    lua_pushinteger(L, web_connections(check_server(L)->web));
    return 1;
}

/* server:close(): closes every connection. Handlers run on, with nobody to answer. */
static int server_close(lua_State *L)
{
    struct server *server = luaL_checkudata(L, 1, SERVER);
    struct web *web = server->web;
    server->web = NULL; /* first: a handler that is told may close it, too */
    web_free(web);
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, server);
    return 0;
}

static void new_type(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction close)
{
    luaL_newmetatable(L, name);
    lua_pushcfunction(L, close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, close);
    lua_setfield(L, -2, "__close");
    lua_newtable(L);
    luaL_setfuncs(L, methods, 0);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

int luaopen_dex_web(lua_State *L)
{
    static const luaL_Reg server[] = {
        { "port", server_port },
        { "allow", server_allow },
        { "connections", server_connections },
        { "close", server_close },
        { NULL, NULL },
    };
    static const luaL_Reg answer[] = {
        { "reply", answer_reply }, { "file", answer_file }, { "stream", answer_stream },
        { "write", answer_write }, { "wait", answer_wait }, { "wake", answer_wake },
        { "gone", answer_gone },   { NULL, NULL },
    };
    static const luaL_Reg chunk[] = { { NULL, NULL } };
    static const luaL_Reg functions[] = { { "listen", web_listen },
                                          { "chunk", web_chunk },
                                          { NULL, NULL } };
    new_type(L, SERVER, server, server_close);
    new_type(L, ANSWER, answer, answer_gc);
    new_type(L, CHUNK, chunk, chunk_gc);
    luaL_newlib(L, functions);
    return 1;
}
