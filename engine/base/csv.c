#include "base/csv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

enum { BLOCK = 256 * 1024, CODE_UNREADABLE = 110, CODE_QUOTE = 161 };

/* Of csv->ends. */
enum { ENDS = 1, QUOTES = 2 };

static int fill(struct csv *csv, struct err *e)
{
    csv->block_from += (long long)csv->block_len;
    csv->block_len = csv->pos = 0;
    while (!csv->eof && csv->block_len == 0) {
        ssize_t n = read(csv->fd, csv->block, BLOCK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_sys(e, CODE_UNREADABLE, "cannot read the file");
        csv->block_len = (size_t)n;
        csv->eof = n == 0;
    }
    return 0;
}

int csv_open(struct csv *csv, const char *path, char delimiter, struct err *e)
{
    memset(csv, 0, sizeof *csv);
    csv->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (csv->fd < 0)
        return err_sys(e, CODE_UNREADABLE, "cannot open the file");
    csv->block = mem_alloc(BLOCK);
    csv->delimiter = delimiter;
    csv->ends['"'] = QUOTES;
    csv->ends['\n'] = csv->ends['\r'] = csv->ends[(unsigned char)delimiter] = ENDS;
    csv->line = csv->row_line = 1;
    if (fill(csv, e) < 0) {
        csv_close(csv);
        return -1;
    }
    if (csv->block_len >= 3 && memcmp(csv->block, "\xEF\xBB\xBF", 3) == 0)
        csv->pos = 3;
    return 0;
}

void csv_close(struct csv *csv)
{
    if (!csv->block)
        return;
    close(csv->fd);
    mem_free(csv->block);
    buf_fini(&csv->cell);
    csv->block = NULL;
}

long long csv_offset(const struct csv *csv)
{
    return csv->block_from + (long long)csv->pos;
}

/* The next byte without taking it: 0..255, -1 at the end of the file, -2 after a failure. */
static int peek(struct csv *csv, struct err *e)
{
    if (csv->pos == csv->block_len) {
        if (!csv->eof && fill(csv, e) < 0)
            return -2;
        if (csv->pos == csv->block_len)
            return -1;
    }
    return (unsigned char)csv->block[csv->pos];
}

/* Takes the line end at `pos`: LF, CR, or CR LF. */
static int take_newline(struct csv *csv, struct err *e)
{
    int kind = csv->block[csv->pos++];
    if (kind == '\r') {
        int next = peek(csv, e);
        if (next == -2)
            return -1;
        if (next == '\n') {
            csv->pos++;
            kind = 'c';
        }
    }
    if ((csv->newline && csv->newline != kind) || kind == '\r')
        csv->odd |= CSV_ODD_NEWLINE;
    csv->newline = kind;
    csv->line++;
    return 0;
}

/* From `pos` to the delimiter or line end. Appends to the cell when it has begun there, or when it
 * crosses the end of the block; else the cell is a slice of the block. */
static int unquoted(struct csv *csv, int begun, struct err *e)
{
    for (;;) {
        const char *from = csv->block + csv->pos;
        const char *end = csv->block + csv->block_len;
        const char *p = from;
        while (p < end && csv->ends[(unsigned char)*p] != ENDS) {
            if (csv->ends[(unsigned char)*p] == QUOTES)
                csv->odd |= CSV_ODD_QUOTE;
            p++;
        }
        csv->pos = (size_t)(p - csv->block);
        if (p < end && !begun) {
            csv->text = from;
            csv->len = (size_t)(p - from);
            return 0;
        }
        buf_add(&csv->cell, from, (size_t)(p - from));
        begun = 1;
        int next = p < end ? 0 : peek(csv, e);
        if (next == -2)
            return -1;
        if (p < end || next == -1)
            break;
    }
    csv->text = csv->cell.data ? csv->cell.data : "";
    csv->len = csv->cell.len;
    return 0;
}

/* A line end inside quotes: Python's text files turn each kind into LF. */
static int quoted_newline(struct csv *csv, struct err *e)
{
    if (csv->block[csv->pos] == '\r')
        csv->odd |= CSV_ODD_NEWLINE;
    int kind = csv->newline;
    csv->newline = 0;
    if (take_newline(csv, e) < 0)
        return -1;
    csv->newline = kind;
    buf_putc(&csv->cell, '\n');
    return 0;
}

static int unterminated(long line, struct err *e)
{
    err_set(e, CODE_QUOTE, "a quoted cell begins here and never ends");
    e->line = (int)line;
    return -1;
}

/* Reads from after the opening quote to the closing one and what follows it. */
static int quoted(struct csv *csv, struct err *e)
{
    long begun_at = csv->line;
    csv->quoted = 1;
    csv->pos++;
    for (;;) {
        int c = peek(csv, e);
        if (c == -2)
            return -1;
        if (c == -1)
            return unterminated(begun_at, e);
        if (c == '\n' || c == '\r') {
            if (quoted_newline(csv, e) < 0)
                return -1;
            continue;
        }
        if (c != '"') {
            const char *from = csv->block + csv->pos;
            const char *end = csv->block + csv->block_len;
            const char *p = from;
            while (p < end && *p != '"' && *p != '\n' && *p != '\r')
                p++;
            buf_add(&csv->cell, from, (size_t)(p - from));
            csv->pos += (size_t)(p - from);
            continue;
        }
        csv->pos++;
        c = peek(csv, e);
        if (c == -2)
            return -1;
        if (c != '"')
            break;
        buf_putc(&csv->cell, '"');
        csv->pos++;
    }
    int after = peek(csv, e);
    if (after == -2)
        return -1;
    if (after != -1 && after != csv->delimiter && after != '\n' && after != '\r') {
        csv->odd |= CSV_ODD_QUOTE;
        return unquoted(csv, 1, e);
    }
    csv->text = csv->cell.data ? csv->cell.data : "";
    csv->len = csv->cell.len;
    return 0;
}

static int read_cell(struct csv *csv, struct err *e)
{
    csv->cell.len = 0;
    csv->quoted = 0;
    csv->cell_due = 0;
    int c = peek(csv, e);
    if (c == -2)
        return -1;
    if (c == '"' ? quoted(csv, e) < 0 : unquoted(csv, 0, e) < 0)
        return -1;
    if (csv->len == 2 && !csv->quoted && memcmp(csv->text, "\\.", 2) == 0)
        csv->odd |= CSV_ODD_CELL;
    if (csv->pos < csv->block_len && csv->block[csv->pos] == csv->delimiter) {
        csv->pos++;
        csv->cell_due = 1;
    }
    csv->cells++;
    return 0;
}

int csv_next(struct csv *csv, enum csv_event *event, struct err *e)
{
    if (csv->row_done) {
        csv->row_done = 0;
        csv->cells = 0;
        csv->row_line = csv->line;
    }
    if (csv->cell_due) {
        *event = CSV_CELL;
        return read_cell(csv, e);
    }
    int c = peek(csv, e);
    if (c == -2)
        return -1;
    if (c == -1) {
        csv->row_done = csv->cells > 0;
        *event = csv->row_done ? CSV_ROW : CSV_END;
        return 0;
    }
    if (c == '\n' || c == '\r') {
        if (csv->cells == 0)
            csv->odd |= CSV_ODD_BLANK;
        csv->row_done = 1;
        *event = CSV_ROW;
        return take_newline(csv, e);
    }
    *event = CSV_CELL;
    return read_cell(csv, e);
}
