/*
 * dex.csv: the scanner behind seeds. Only finds out what a file holds and rewrites what COPY would
 * misread; the rows themselves go to the server as bytes of the file.
 */
#include <lauxlib.h>
#include <lua.h>
#include <string.h>

#include "base/buf.h"
#include "base/csv.h"
#include "base/csv_type.h"
#include "base/err.h"
#include "base/mem.h"
#include "script/libs.h"
#include "script/lua_err.h"

#define SCAN "dex.csv.scan"

enum { CODE_RAGGED = 160, CODE_EMPTY = 162, CHUNK = 64 * 1024 };

struct scan {
    struct csv csv;
    struct csv_column *columns;
    size_t count;         /* of columns */
    size_t cell;          /* of the current row, when a step ended inside it */
    long long rows, body; /* body: where the first row begins */
    long body_line;
    int done;       /* 1 when the end of the file was reached */
    struct buf out; /* what a rewriting step produced */
};

static struct scan *check_scan(lua_State *L)
{
    return luaL_checkudata(L, 1, SCAN);
}

static int scan_close(lua_State *L)
{
    struct scan *scan = check_scan(L);
    csv_close(&scan->csv);
    mem_free(scan->columns);
    buf_fini(&scan->out);
    scan->columns = NULL;
    scan->count = 0;
    scan->done = 1;
    return 0;
}

static int fail(lua_State *L, struct err *e)
{
    return lua_err_raise(L, e);
}

/* Reads the header and pushes the list of names: cells of the first row, kept as they are. */
static int read_header(lua_State *L, struct scan *scan, struct err *e)
{
    lua_newtable(L);
    enum csv_event event;
    while (csv_next(&scan->csv, &event, e) == 0) {
        if (event == CSV_CELL) {
            lua_pushlstring(L, scan->csv.text ? scan->csv.text : "", scan->csv.len);
            lua_rawseti(L, -2, (lua_Integer)scan->csv.cells);
        } else if (scan->csv.cells == 0) {
            err_set(e, CODE_EMPTY, "the file has no header row");
            e->line = 1;
            return -1;
        } else {
            scan->count = scan->csv.cells;
            scan->body = csv_offset(&scan->csv);
            scan->body_line = scan->csv.line;
            return 0;
        }
    }
    return -1;
}

/* scan(path, delimiter, {name = true for the columns that are not inferred}) -> scan, names */
static int csv_scan(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    const char *delimiter = luaL_checkstring(L, 2);
    luaL_argcheck(L, strlen(delimiter) == 1, 2, "one character expected");
    luaL_checktype(L, 3, LUA_TTABLE);
    struct scan *scan = lua_newuserdatauv(L, sizeof *scan, 0);
    memset(scan, 0, sizeof *scan);
    luaL_setmetatable(L, SCAN);
    struct err e = ERR_INIT;
    if (csv_open(&scan->csv, path, delimiter[0], &e) < 0 || read_header(L, scan, &e) < 0)
        return fail(L, &e);
    scan->columns = mem_zalloc(scan->count * sizeof *scan->columns);
    for (size_t i = 0; i < scan->count; i++) {
        lua_rawgeti(L, 5, (lua_Integer)i + 1);
        int text = lua_gettable(L, 3) != LUA_TNIL;
        lua_pop(L, 1);
        csv_column_init(&scan->columns[i], text);
    }
    return 2;
}

static int ragged(struct scan *scan, struct err *e)
{
    size_t found = scan->csv.cells;
    err_set(e, CODE_RAGGED, "this row has %zu cell%s, and the header has %zu", found,
            found == 1 ? "" : "s", scan->count);
    e->line = (int)scan->csv.row_line;
    return -1;
}

/* Reads `bytes` of the file, and to the end of the row. */
static int scan_some(struct scan *scan, long long bytes, struct err *e)
{
    struct csv *csv = &scan->csv;
    long long until = csv_offset(csv) + bytes;
    for (;;) {
        enum csv_event event;
        if (csv_next(csv, &event, e) < 0)
            return -1;
        if (event == CSV_CELL) {
            if (csv->cells <= scan->count)
                csv_column_add(&scan->columns[csv->cells - 1], csv->text, csv->len, csv->quoted);
            continue;
        }
        if (event == CSV_END) {
            scan->done = 1;
            return 0;
        }
        if (csv->cells != scan->count && csv->cells != 0)
            return ragged(scan, e);
        scan->rows++;
        if (csv_offset(csv) >= until)
            return 0;
    }
}

/* scan:step(bytes) -> whether the end of the file is reached */
static int scan_step(lua_State *L)
{
    struct scan *scan = check_scan(L);
    struct err e = ERR_INIT;
    if (!scan->done && scan_some(scan, luaL_checkinteger(L, 2), &e) < 0)
        return fail(L, &e);
    lua_pushboolean(L, scan->done);
    return 1;
}

/*
 * Whether COPY reads the bytes of the file as they are. A blank line is a NULL for one column only.
 */
static int is_plain(const struct scan *scan)
{
    unsigned odd = scan->csv.odd;
    if (scan->count == 1)
        odd &= ~(unsigned)CSV_ODD_BLANK;
    for (size_t i = 0; i < scan->count; i++)
        if (csv_column_odd(&scan->columns[i]))
            return 0;
    return odd == 0;
}

/* scan:result() -> {rows=, types={}, body=, line=, plain=} */
static int scan_result(lua_State *L)
{
    struct scan *scan = check_scan(L);
    lua_createtable(L, 0, 5);
    lua_pushinteger(L, scan->rows);
    lua_setfield(L, -2, "rows");
    lua_pushinteger(L, scan->body);
    lua_setfield(L, -2, "body");
    lua_pushinteger(L, scan->body_line);
    lua_setfield(L, -2, "line");
    lua_pushboolean(L, is_plain(scan));
    lua_setfield(L, -2, "plain");
    lua_createtable(L, (int)scan->count, 0);
    for (size_t i = 0; i < scan->count; i++) {
        lua_pushstring(L, csv_column_type(&scan->columns[i]));
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "types");
    return 1;
}

/* Opens the file again and goes past its header. */
static int rewind_to_rows(struct scan *scan, const char *path, struct err *e)
{
    char delimiter = scan->csv.delimiter;
    csv_close(&scan->csv);
    if (csv_open(&scan->csv, path, delimiter, e) < 0)
        return -1;
    enum csv_event event = CSV_CELL;
    while (event == CSV_CELL)
        if (csv_next(&scan->csv, &event, e) < 0)
            return -1;
    scan->done = 0;
    return 0;
}

/* Goes back to the first row, for scan:rewrite. */
static int scan_rewind(lua_State *L)
{
    struct scan *scan = check_scan(L);
    struct err e = ERR_INIT;
    if (rewind_to_rows(scan, luaL_checkstring(L, 2), &e) < 0)
        return fail(L, &e);
    return 0;
}

/*
 * scan:find(path, column, text) -> line and number of the first row whose cell in that column is
 * this text, or nil. Reads the file again: for the message about a cell that the database refuses.
 */
static int scan_find(lua_State *L)
{
    struct scan *scan = check_scan(L);
    size_t column = (size_t)luaL_checkinteger(L, 3), len;
    const char *text = luaL_checklstring(L, 4, &len);
    struct csv *csv = &scan->csv;
    struct err e = ERR_INIT;
    if (rewind_to_rows(scan, luaL_checkstring(L, 2), &e) < 0)
        return fail(L, &e);
    lua_Integer row = 1;
    for (enum csv_event event = CSV_CELL; event != CSV_END;) {
        if (csv_next(csv, &event, &e) < 0)
            return fail(L, &e);
        row += event == CSV_ROW;
        if (event == CSV_CELL && csv->cells == column && csv->len == len &&
            (len == 0 || memcmp(csv->text, text, len) == 0)) {
            lua_pushinteger(L, csv->row_line);
            lua_pushinteger(L, row);
            return 2;
        }
    }
    return 0;
}

static int rewrite_some(struct scan *scan, struct err *e)
{
    struct csv *csv = &scan->csv;
    struct buf *out = &scan->out;
    while (out->len < CHUNK) {
        enum csv_event event;
        if (csv_next(csv, &event, e) < 0)
            return -1;
        if (event == CSV_END) {
            scan->done = 1;
            return 0;
        }
        if (event == CSV_ROW) {
            for (size_t i = 1; csv->cells == 0 && i < scan->count; i++)
                buf_putc(out, csv->delimiter);
            buf_putc(out, '\n');
            continue;
        }
        if (csv->cells > scan->count)
            return ragged(scan, e);
        if (csv->cells > 1)
            buf_putc(out, csv->delimiter);
        csv_column_write(&scan->columns[csv->cells - 1], out, csv->text, csv->len, csv->delimiter);
    }
    return 0;
}

/* scan:rewrite() -> the next piece of the rows as COPY reads them, or nil at the end */
static int scan_rewrite(lua_State *L)
{
    struct scan *scan = check_scan(L);
    struct err e = ERR_INIT;
    scan->out.len = 0;
    if (!scan->done && rewrite_some(scan, &e) < 0)
        return fail(L, &e);
    if (scan->out.len == 0)
        return 0;
    lua_pushlstring(L, scan->out.data, scan->out.len);
    return 1;
}

static const luaL_Reg methods[] = {
    { "step", scan_step },
    { "result", scan_result },
    { "rewind", scan_rewind },
    { "rewrite", scan_rewrite },
    { "find", scan_find },
    { "close", scan_close },
    { NULL, NULL },
};

static const luaL_Reg functions[] = {
    { "scan", csv_scan },
    { NULL, NULL },
};

int luaopen_dex_csv(lua_State *L)
{
    luaL_newmetatable(L, SCAN);
    luaL_newlib(L, methods);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, scan_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, scan_close);
    lua_setfield(L, -2, "__close");
    lua_pop(L, 1);
    luaL_newlib(L, functions);
    return 1;
}
