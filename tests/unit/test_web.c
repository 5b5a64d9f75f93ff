/* io/web_head.h: what is read as the head of a request, and what is refused. */
#include "io/web_head.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

static char *text;
static struct web_head head;

/* Reads a head in memory of exactly its size, so that a sanitizer sees every byte beyond. */
static int reads(const char *lines)
{
    size_t length = strlen(lines);
    free(text);
    text = malloc(length);
    memcpy(text, lines, length);
    return web_head_read(text, length, &head);
}

static int is(struct web_span span, const char *expected)
{
    return span.at ? span.length == strlen(expected) && !memcmp(span.at, expected, span.length)
                   : !expected;
}

#define HOST "Host: h\r\n"

static void test_a_request(void)
{
    CHECK(reads("POST /a/b?x=1&y HTTP/1.1\r\nHost: h:80\r\nX-A:  b c \t\r\nContent-Length: 12\r\n"
                "Connection: Keep-Alive, CLOSE\r\nExpect: 100-Continue\r\n\r\n") == 0);
    CHECK(is(head.method, "POST"));
    CHECK(is(head.path, "/a/b"));
    CHECK(is(head.query, "x=1&y"));
    CHECK(is(head.host, "h:80"));
    CHECK(head.minor == 1 && head.closes && head.expects && head.length == 12);
    CHECK(head.count == 5);
    CHECK(is(web_head_field(&head, "x-a"), "b c"));
    CHECK(!web_head_field(&head, "x-b").at);
    CHECK(reads("GET / HTTP/1.1\r\n" HOST "\r\n") == 0);
    CHECK(!head.query.at && head.length == 0 && !head.closes && !head.expects);
    CHECK(reads("GET /? HTTP/1.1\r\n" HOST "\r\n") == 0 && is(head.query, ""));
}

static void test_other_targets(void)
{
    CHECK(reads("GET http://n:1/p?q HTTP/1.1\r\n" HOST "\r\n") == 0);
    CHECK(is(head.host, "n:1") && is(head.path, "/p") && is(head.query, "q"));
    CHECK(reads("OPTIONS * HTTP/1.1\r\n" HOST "\r\n") == 0);
    CHECK(is(head.path, "*"));
    CHECK(reads("GET * HTTP/1.1\r\n" HOST "\r\n") == 400);
    CHECK(reads("GET http://n HTTP/1.1\r\n" HOST "\r\n") == 400);
    CHECK(reads("GET http:///p HTTP/1.1\r\n" HOST "\r\n") == 400);
    CHECK(reads("GET a HTTP/1.1\r\n" HOST "\r\n") == 400);
    CHECK(reads("GET /\x80 HTTP/1.1\r\n" HOST "\r\n") == 400);
    CHECK(reads("GET /a#b HTTP/1.1\r\n" HOST "\r\n") == 400);
}

static void test_old_version(void)
{
    CHECK(reads("GET / HTTP/1.0\r\n\r\n") == 0);
    CHECK(head.closes && head.minor == 0 && !head.host.at);
    CHECK(reads("GET / HTTP/2.0\r\n" HOST "\r\n") == 505);
    CHECK(reads("GET / HTTP/1.2\r\n" HOST "\r\n") == 505);
    CHECK(reads("GET / http/1.1\r\n" HOST "\r\n") == 400);
}

static void test_two_meanings(void)
{
    CHECK(reads("GET / HTTP/1.1\r\n\r\n") == 400);
    CHECK(reads("GET / HTTP/1.1\r\n" HOST HOST "\r\n") == 400);
    CHECK(reads("POST / HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Length: 1\r\n\r\n") ==
          400);
    CHECK(reads("POST / HTTP/1.1\r\n" HOST "Content-Length: 1, 1\r\n\r\n") == 400);
    CHECK(reads("POST / HTTP/1.1\r\n" HOST "Content-Length: +1\r\n\r\n") == 400);
    CHECK(reads("POST / HTTP/1.1\r\n" HOST "Content-Length: 0x1\r\n\r\n") == 400);
    CHECK(reads("POST / HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n") == 400);
    CHECK(reads("POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n") == 400);
    CHECK(reads("POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n") == 411);
    CHECK(reads("POST / HTTP/1.1\r\n" HOST
                "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n") == 400);
    CHECK(reads("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n") == 400);
    CHECK(reads("GET / HTTP/1.1\r\n" HOST "Expect: miracles\r\n\r\n") == 417);
}

static void test_malformed_lines(void)
{
    CHECK(reads("\r\n") == 400);
    CHECK(reads("GET /\r\n\r\n") == 400);
    CHECK(reads("GET  / HTTP/1.1\r\n" HOST "\r\n") == 400);
    CHECK(reads("GET / HTTP/1.1 \r\n" HOST "\r\n") == 400);
    CHECK(reads("G@T / HTTP/1.1\r\n" HOST "\r\n") == 400);
    CHECK(reads("GET / HTTP/1.1\n" HOST "\r\n") == 400);
    CHECK(reads("GET / HTTP/1.1\r\nHost: h\nA: b\r\n\r\n") == 400);
    CHECK(reads("GET / HTTP/1.1\r\nHost : h\r\n\r\n") == 400);
    CHECK(reads("GET / HTTP/1.1\r\n" HOST " folded\r\n\r\n") == 400);
    CHECK(reads("GET / HTTP/1.1\r\n" HOST "nothing\r\n\r\n") == 400);
    CHECK(reads("GET / HTTP/1.1\r\n" HOST ": b\r\n\r\n") == 400);
    CHECK(reads("GET / HTTP/1.1\r\n" HOST "A: b\x01\r\n\r\n") == 400);
    CHECK(reads("GET / HTTP/1.1\r\n" HOST "A: \x80\r\n\r\n") == 0);
    CHECK(reads("GET / HTTP/1.1\r\n" HOST) == 400);
}

static void test_many_fields(void)
{
    char lines[8192] = "GET / HTTP/1.1\r\n" HOST;
    for (int i = 1; i < WEB_FIELDS; i++)
        strcat(lines, "a: b\r\n");
    char *end = lines + strlen(lines);
    strcpy(end, "\r\n");
    CHECK(reads(lines) == 0 && head.count == WEB_FIELDS);
    strcpy(end, "a: b\r\n\r\n");
    CHECK(reads(lines) == 431);
}

int main(void)
{
    RUN(test_a_request);
    RUN(test_other_targets);
    RUN(test_old_version);
    RUN(test_two_meanings);
    RUN(test_malformed_lines);
    RUN(test_many_fields);
    free(text);
    return check_finish();
}
