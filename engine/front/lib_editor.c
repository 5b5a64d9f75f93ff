/*
 * dex.editor: a line that is typed at the terminal, edited by libedit, on the event loop. The
 * terminal is in libedit's mode only while a task waits for a line: what runs meanwhile has it as
 * the shell left it. There is one terminal, so there is one editor at a time.
 */
#include <histedit.h>
#include <langinfo.h>
#include <lauxlib.h>
#include <locale.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "front/modules.h"
#include "io/loop.h"
#include "script/lua_err.h"
#include "script/task.h"
#include "script/vm.h"

#define EDITOR "dex.editor"

enum { CODE_TERMINAL = 110, HISTORY_SIZE = 1000, COLUMNS = 80 };

enum outcome { NOTHING, LINE, END, INTERRUPTED, COMPLETE };

struct editor {
    EditLine *el; /* NULL when closed */
    History *history;
    struct event *event;
    struct task *task; /* who waits for a line, or NULL */
    char *prompt;
    enum outcome outcome;
    int active; /* the terminal is in libedit's mode, with a line on it */
    int tab;    /* the key was pressed */
};

/* libedit knows only its own client data. */
static struct editor *editor_of(EditLine *el)
{
    void *data = NULL;
    el_get(el, EL_CLIENTDATA, &data);
    return data;
}

static char *prompt_of(EditLine *el)
{
    struct editor *editor = editor_of(el);
    static char none[] = "";
    return editor && editor->prompt ? editor->prompt : none;
}

static unsigned char on_tab(EditLine *el, int ch)
{
    (void)ch;
    editor_of(el)->tab = 1;
    return CC_NORM;
}

/* Gives the terminal back; the line, if any, stays where it is on the screen. */
static void leave(struct editor *editor)
{
    if (!editor->active)
        return;
    event_del(editor->event);
    el_set(editor->el, EL_UNBUFFERED, 0);
    editor->active = 0;
}

static void give(struct editor *editor, enum outcome outcome)
{
    struct task *task = editor->task;
    editor->outcome = outcome;
    if (outcome == END && editor->active) { /* what follows stands on a line of its own */
        fputc('\n', stdout);
        fflush(stdout);
    }
    if (outcome != COMPLETE)
        leave(editor);
    else
        event_del(editor->event);
    editor->task = NULL;
    if (task)
        task_resume(task);
}

/* Readable with nothing to read: nobody is there any more, or Ctrl-D where lines are not edited. */
static int is_end(void)
{
    int bytes = 0;
    return ioctl(STDIN_FILENO, FIONREAD, &bytes) < 0 || bytes == 0;
}

/* The terminal itself is gone, and no signal said so: SIGHUP is ignored, or it was never ours. */
static int is_gone(void)
{
    struct pollfd fd = { .fd = STDIN_FILENO, .events = POLLIN };
    return poll(&fd, 1, 0) > 0 && (fd.revents & (POLLHUP | POLLERR | POLLNVAL));
}

/* One key, or what is pasted of it: libedit reads it and draws what changed. */
static void on_input(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct editor *editor = arg;
    int count = 0, end = is_end();
    if (end && is_gone()) { /* whatever is typed already: libedit would give that for ever */
        give(editor, END);
        return;
    }
    editor->tab = 0;
    el_resize(editor->el);
    const char *text = el_gets(editor->el, &count);
    if (editor->tab) {
        give(editor, COMPLETE);
    } else if (!text || count <= 0) { /* the line is empty */
        if (end)
            give(editor, END);
    } else if (text[count - 1] == '\n' || text[count - 1] == '\r') {
        give(editor, LINE);
    } else if (count == 1 && text[0] == 'D' - '@') {
        give(editor, END);
    }
}

/* The terminal's text is UTF-8, whatever the environment forgot to say. */
static void set_locale(void)
{
    setlocale(LC_CTYPE, "");
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
}

static int open_line_editor(struct editor *editor, struct loop *loop)
{
    HistEvent ev;
    set_locale();
    editor->el = el_init("dex-lua", stdin, stdout, stderr);
    editor->history = history_init();
    editor->event =
        event_new(loop_base(loop), STDIN_FILENO, EV_READ | EV_PERSIST, on_input, editor);
    if (!editor->el || !editor->history || !editor->event)
        return -1;
    history(editor->history, &ev, H_SETSIZE, HISTORY_SIZE);
    history(editor->history, &ev, H_SETUNIQUE, 1);
    el_set(editor->el, EL_CLIENTDATA, editor);
    el_set(editor->el, EL_PROMPT, prompt_of);
    el_set(editor->el, EL_EDITOR, "emacs");
    el_set(editor->el, EL_HIST, history, editor->history);
    el_set(editor->el, EL_ADDFN, "dex-complete", "complete what is typed", on_tab);
    el_set(editor->el, EL_BIND, "^I", "dex-complete", NULL);
    el_set(editor->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_set(editor->el, EL_BIND, "\\e[1;5C", "em-next-word", NULL);
    el_set(editor->el, EL_BIND, "\\e[1;5D", "ed-prev-word", NULL);
    el_set(editor->el, EL_BIND, "\\e[3~", "ed-delete-next-char", NULL);
    return 0;
}

static void close_line_editor(struct editor *editor)
{
    if (editor->el)
        leave(editor);
    if (editor->event)
        event_free(editor->event);
    if (editor->el)
        el_end(editor->el);
    if (editor->history)
        history_end(editor->history);
    mem_free(editor->prompt);
    editor->event = NULL;
    editor->el = NULL;
    editor->history = NULL;
    editor->prompt = NULL;
}

static struct editor *check(lua_State *L)
{
    struct editor *editor = luaL_checkudata(L, 1, EDITOR);
    luaL_argcheck(L, editor->el, 1, "closed");
    return editor;
}

/* editor.open() -> editor on standard input and output, which are a terminal. Raises 110. */
static int editor_open(lua_State *L)
{
    struct editor *editor = lua_newuserdatauv(L, sizeof *editor, 0);
    memset(editor, 0, sizeof *editor);
    luaL_setmetatable(L, EDITOR);
    if (open_line_editor(editor, vm_loop(vm_from(L))) < 0) {
        close_line_editor(editor);
        return lua_err_misuse(L, CODE_TERMINAL, "this terminal cannot be read line by line");
    }
    return 1;
}

static void withdraw(void *arg)
{
    struct editor *editor = arg;
    editor->task = NULL;
    leave(editor);
}

static int waited(lua_State *L, int status, lua_KContext ctx)
{
    (void)status;
    (void)ctx;
    static const char *const names[] = { "nothing", "line", "end", "interrupt", "complete" };
    struct editor *editor = check(L);
    lua_pushstring(L, names[editor->outcome]);
    if (editor->outcome != LINE && editor->outcome != COMPLETE)
        return 1;
    const LineInfo *line = el_line(editor->el);
    size_t length = (size_t)(line->lastchar - line->buffer);
    while (editor->outcome == LINE && length > 0 &&
           (line->buffer[length - 1] == '\n' || line->buffer[length - 1] == '\r'))
        length--;
    lua_pushlstring(L, line->buffer, length);
    lua_pushinteger(L, line->cursor - line->buffer + 1);
    return 3;
}

/*
 * editor:wait(prompt) -> "line", text | "complete", text, cursor (a byte, 1 is before the first) |
 * "interrupt" | "end". After "complete" the line is still there: waiting again goes on with it.
 * Waits.
 */
static int editor_wait(lua_State *L)
{
    struct editor *editor = check(L);
    const char *prompt = luaL_checkstring(L, 2);
    struct task *t = task_current(L);
    if (editor->task)
        return lua_err_misuse(L, TASK_NO_WAIT, "somebody waits for this line already");
    editor->outcome = NOTHING;
    editor->task = t;
    if (!editor->active) {
        mem_free(editor->prompt);
        editor->prompt = mem_strdup(prompt);
        editor->active = 1;
        el_set(editor->el, EL_UNBUFFERED, 1);
    }
    event_add(editor->event, NULL);
    return task_wait(L, withdraw, editor, waited, 0);
}

/* editor:interrupt(): who waits for a line gets "interrupt". Does not wait. */
static int editor_interrupt(lua_State *L)
{
    struct editor *editor = check(L);
    if (editor->task) {
        fputs("^C\n", stdout);
        fflush(stdout);
        give(editor, INTERRUPTED);
    }
    return 0;
}

/* editor:leave(): who waits for a line gets "end". Does not wait. */
static int editor_leave(lua_State *L)
{
    struct editor *editor = check(L);
    if (editor->task)
        give(editor, END);
    return 0;
}

static int columns(void)
{
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0 ? COLUMNS : size.ws_col;
}

/* Characters of UTF-8. */
static int characters(const char *from, const char *to)
{
    int n = 0;
    for (; from < to; from++)
        n += (*from & 0xC0) != 0x80;
    return n;
}

/* Takes prompt and line off the screen: libedit draws them again where the cursor is then. */
static void wipe(struct editor *editor)
{
    const LineInfo *line = el_line(editor->el);
    const char *prompt = prompt_of(editor->el);
    int at = characters(prompt, prompt + strlen(prompt)) + characters(line->buffer, line->cursor);
    int up = at / columns();
    if (up > 0)
        fprintf(stdout, "\033[%dA", up);
    fputs("\r\033[J", stdout);
    fflush(stdout);
}

/* editor:insert(text): at the cursor of the line that is being typed. Does not wait. */
static int editor_insert(lua_State *L)
{
    struct editor *editor = check(L);
    if (editor->active) {
        const char *text = luaL_checkstring(L, 2);
        wipe(editor);
        el_insertstr(editor->el, text);
        el_set(editor->el, EL_REFRESH);
    }
    return 0;
}

/*
 * editor:print(text): whole lines, above the line that is being typed, which is drawn again. Does
 * not wait.
 */
static int editor_print(lua_State *L)
{
    struct editor *editor = check(L);
    size_t len;
    const char *text = luaL_checklstring(L, 2, &len);
    if (editor->active)
        wipe(editor);
    fwrite(text, 1, len, stdout);
    fflush(stdout);
    if (editor->active)
        el_set(editor->el, EL_REFRESH);
    return 0;
}

/* editor:remember(text): for the keys that go back. Does not wait. */
static int editor_remember(lua_State *L)
{
    struct editor *editor = check(L);
    HistEvent ev;
    history(editor->history, &ev, H_ENTER, luaL_checkstring(L, 2));
    return 0;
}

/* editor:width() -> columns of the terminal */
static int editor_width(lua_State *L)
{
    check(L);
    lua_pushinteger(L, columns());
    return 1;
}

/* editor:gone() -> whether the terminal is no longer there. Does not wait. */
static int editor_gone(lua_State *L)
{
    check(L);
    lua_pushboolean(L, is_gone());
    return 1;
}

/* editor:close(): the terminal is as it was. Harmless when done twice. Does not wait. */
static int editor_close(lua_State *L)
{
    close_line_editor(luaL_checkudata(L, 1, EDITOR));
    return 0;
}

static const luaL_Reg methods[] = {
    { "close", editor_close },       { "gone", editor_gone },
    { "insert", editor_insert },     { "interrupt", editor_interrupt },
    { "leave", editor_leave },       { "print", editor_print },
    { "remember", editor_remember }, { "wait", editor_wait },
    { "width", editor_width },       { NULL, NULL },
};

int luaopen_dex_editor(lua_State *L)
{
    static const luaL_Reg functions[] = { { "open", editor_open }, { NULL, NULL } };
    luaL_newmetatable(L, EDITOR);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, editor_close);
    lua_setfield(L, -2, "__gc");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
