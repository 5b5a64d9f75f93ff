/*
 * The libFuzzer target of the HTTP surface: a server as `dex-lua serve` has it (tests/fuzz/http.lua
 * starts it on a small project) gets each input as the bytes of one connection, whose sending side
 * closes then. Whatever comes must be answered or closed, and no answer may be a 500. Besides the C
 * code, lines of Lua that an input reaches are counted as new ground.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <lauxlib.h>
#include <sys/socket.h>

#include "fuzz.h"
#include "io/address.h"
#include "io/loop.h"
#include "run/modules.h"
#include "script/task.h"
#include "script/vm.h"

static struct vm *vm;
static struct loop *loop;
static int port, over;

static void started(struct task *t, int ok, void *arg)
{
    (void)arg;
    if (!ok) {
        lua_State *L = task_lua(t);
        if (lua_istable(L, 1)) {
            lua_pushliteral(L, "message");
            lua_rawget(L, 1);
        }
        fuzz_fail(luaL_tolstring(L, -1, NULL));
    }
    port = (int)lua_tointeger(task_lua(t), 1);
    loop_stop(loop);
}

static void start(struct vm *in, void *arg)
{
    struct err *e = arg;
    vm_preload(in, "dex.graph", luaopen_dex_graph);
    vm_preload(in, "dex.run", luaopen_dex_run);
    lua_sethook(in->L, fuzz_on_line, LUA_MASKLINE, 0); /* every coroutine inherits it */
    struct task *t = task_new(in, "fuzz");
    if (luaL_loadfilex(task_lua(t), "tests/fuzz/http.lua", "t") != LUA_OK)
        fuzz_fail(lua_tostring(task_lua(t), -1));
    task_call(t, 0, started, NULL);
    if (loop_run(loop, e) < 0)
        fuzz_fail(e->message);
}

static void on_event(struct bufferevent *stream, short what, void *arg)
{
    (void)arg;
    if (what & BEV_EVENT_CONNECTED) {
        if (evbuffer_get_length(bufferevent_get_output(stream)) == 0)
            shutdown(bufferevent_getfd(stream), SHUT_WR);
        return;
    }
    over = 1;
    loop_stop(loop);
}

/* All is sent. */
static void on_write(struct bufferevent *stream, void *arg)
{
    (void)arg;
    shutdown(bufferevent_getfd(stream), SHUT_WR);
}

static void check_answers(struct evbuffer *answers)
{
    static const char wrong[] = "HTTP/1.1 500 ";
    if (evbuffer_search(answers, wrong, sizeof wrong - 1, NULL).pos >= 0)
        fuzz_fail("an answer is a 500");
    size_t length = evbuffer_get_length(answers);
    if (length > 0) {
        char first[5] = "";
        evbuffer_copyout(answers, first, sizeof first);
        if (memcmp(first, "HTTP/", 5) != 0)
            fuzz_fail("an answer is no HTTP");
    }
}

struct input {
    const uint8_t *data;
    size_t size;
};

static void exchange(struct vm *in, void *arg)
{
    const struct input *input = arg;
    union address address;
    int length = address_of("127.0.0.1", port, &address);
    struct bufferevent *stream = bufferevent_socket_new(loop_base(loop), -1, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(stream, NULL, on_write, on_event, NULL);
    bufferevent_enable(stream, EV_READ | EV_WRITE);
    if (bufferevent_socket_connect(stream, &address.any, length) < 0)
        fuzz_fail("cannot connect");
    /* no port of ours shall be in TIME_WAIT for each input */
    struct linger at_once = { .l_onoff = 1 };
    setsockopt(bufferevent_getfd(stream), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    bufferevent_write(stream, input->data, input->size);
    over = 0;
    struct err e = ERR_INIT;
    while (!over)
        if (loop_run(loop, &e) < 0)
            fuzz_fail(e.message);
    check_answers(bufferevent_get_input(stream));
    bufferevent_free(stream);
    lua_gc(in->L, LUA_GCSTEP, 0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    struct err e = ERR_INIT;
    loop = loop_new(&e);
    vm = loop ? vm_new(loop, vm_override(), &e) : NULL;
    if (!vm || vm_protect(vm, start, &e, &e) < 0)
        fuzz_fail(e.message);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err e = ERR_INIT;
    struct input input = { data, size };
    if (vm_protect(vm, exchange, &input, &e) < 0)
        fuzz_fail(e.message);
    return 0;
}
