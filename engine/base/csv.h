#ifndef DEX_BASE_CSV_H
#define DEX_BASE_CSV_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * A pull reader of CSV (RFC 4180, read as Python's csv module reads it: a quote inside an unquoted
 * cell is a plain character, text after a closing quote belongs to the cell). Memory is one block
 * and the longest cell, whatever the size of the file.
 */

/* What COPY would read in another way than this reader does: such a file has to be rewritten. */
enum {
    CSV_ODD_QUOTE = 1 << 0,   /* a quote inside an unquoted cell, or text after a closing one */
    CSV_ODD_NEWLINE = 1 << 1, /* more than one kind of line end, or a bare carriage return */
    CSV_ODD_CELL = 1 << 2,    /* the cell \. which ends a COPY */
    CSV_ODD_BLANK = 1 << 3    /* a blank line */
};

enum csv_event {
    CSV_CELL, /* csv->text, csv->len, csv->quoted: a cell of the current row */
    CSV_ROW,  /* the row is complete and had csv->cells cells: 0 for a blank line */
    CSV_END   /* end of the file */
};

struct csv {
    int fd;
    char delimiter;
    unsigned char ends[256]; /* 1 for what may end an unquoted cell, 2 for a quote, by byte */
    int eof;
    int newline;  /* '\n', '\r', or 'c' for CR LF; 0 until the first line end */
    int cell_due; /* the last byte read was a delimiter: one more cell follows */
    int row_done; /* the last event was CSV_ROW */
    unsigned odd; /* CSV_ODD_ flags of everything read so far */
    char *block;
    size_t block_len, pos;
    long long block_from; /* offset of the block in the file */
    long line;            /* of the next byte, 1-based, counting every line end */
    long row_line;        /* where the current row began */
    size_t cells;         /* of the current row, so far */
    const char *text;     /* the last cell: valid until the next call, not terminated */
    size_t len;
    int quoted;
    struct buf cell; /* holds the cell when it is not a plain slice of the block */
};

/* Opens `path` and skips a byte order mark. After a failure there is nothing to close. */
MUST_CHECK int csv_open(struct csv *csv, const char *path, char delimiter, struct err *e);

/* The next event, or -1 (unreadable, or a quoted cell that does not end: e->line is set). */
MUST_CHECK int csv_next(struct csv *csv, enum csv_event *event, struct err *e);

/* Offset in the file of the next byte to be read. */
long long csv_offset(const struct csv *csv);

/* Closes the file and frees everything; harmless when done twice. */
void csv_close(struct csv *csv);

#endif
