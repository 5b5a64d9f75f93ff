/*
 * The head of an HTTP/1 request, from its first line to the empty one. It is read strictly, as what
 * one program lets pass and the next reads differently is how requests are smuggled: lines end with
 * CR LF, names are tokens, nothing is folded, and the length of the body is said once.
 */
#ifndef DEX_IO_WEB_HEAD_H
#define DEX_IO_WEB_HEAD_H

#include <stddef.h>

#include "base/attr.h"

enum { WEB_FIELDS = 64 };

/* Bytes of the text that was read. */
struct web_span {
    const char *at;
    size_t length;
};

struct web_field {
    struct web_span name, value; /* the name in lower case, the value without blanks around it */
};

struct web_head {
    struct web_span method;
    struct web_span path;  /* as it was sent: begins with '/', or is '*' */
    struct web_span query; /* what stands after '?'; `at` is NULL without one */
    struct web_span host;  /* of the target, else of the field; empty in HTTP/1.0 without one */
    struct web_field fields[WEB_FIELDS];
    int count;
    int minor;        /* of the version: 1.0 or 1.1 */
    int closes;       /* the client wants no other answer on this connection */
    int expects;      /* "Expect: 100-continue" */
    long long length; /* of the body */
};

/*
 * Reads `text`, which ends with an empty line and is changed: names become lower case. `head`
 * points into it. Gives 0, or the status of the answer that refuses it.
 */
MUST_CHECK int web_head_read(char *text, size_t length, struct web_head *head);

/* The value of a field, by its name in lower case; `at` is NULL when there is none. */
struct web_span web_head_field(const struct web_head *head, const char *name);

#endif
