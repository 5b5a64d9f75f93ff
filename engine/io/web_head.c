#include "io/web_head.h"

#include <string.h>
#include <strings.h>

enum { BAD = 400, LENGTH_REQUIRED = 411, EXPECTATION = 417, MANY = 431, VERSION = 505 };

/* More than any body may have, and far from what a long long cannot hold. */
enum { DIGITS = 15 };

static int is_token_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

static int is_token(struct web_span s)
{
    for (size_t i = 0; i < s.length; i++)
        if (!is_token_byte(s.at[i]))
            return 0;
    return s.length > 0;
}

static int is(struct web_span s, const char *text)
{
    return s.length == strlen(text) && strncasecmp(s.at, text, s.length) == 0;
}

/* The text up to `c`, which is left out of both parts; all of it, and nothing left, without. */
static struct web_span cut(struct web_span *rest, char c)
{
    const char *at = rest->length > 0 ? memchr(rest->at, c, rest->length) : NULL;
    struct web_span part = { rest->at, at ? (size_t)(at - rest->at) : rest->length };
    size_t used = at ? part.length + 1 : part.length;
    rest->at += used;
    rest->length -= used;
    return part;
}

static struct web_span trimmed(struct web_span s)
{
    while (s.length > 0 && (*s.at == ' ' || *s.at == '\t')) {
        s.at++;
        s.length--;
    }
    while (s.length > 0 && (s.at[s.length - 1] == ' ' || s.at[s.length - 1] == '\t'))
        s.length--;
    return s;
}

/* The next line without its CR LF; `at` is NULL when it does not end so. */
static struct web_span next_line(struct web_span *rest)
{
    struct web_span line = cut(rest, '\n');
    if (line.length == 0 || line.at[line.length - 1] != '\r')
        return (struct web_span){ 0 };
    line.length--;
    return line;
}

/* What may stand in the target of a request: no blanks, no control bytes, nothing beyond ASCII. */
static int is_plain(struct web_span s)
{
    for (size_t i = 0; i < s.length; i++)
        if (s.at[i] <= ' ' || s.at[i] > '~' || s.at[i] == '#')
            return 0;
    return s.length > 0;
}

static int read_target(struct web_span target, struct web_head *head)
{
    static const char scheme[] = "http://";
    size_t n = sizeof scheme - 1;
    if (!is_plain(target))
        return BAD;
    if (target.length > n && strncasecmp(target.at, scheme, n) == 0) { /* as sent to a proxy */
        struct web_span rest = { target.at + n, target.length - n };
        const char *slash = memchr(rest.at, '/', rest.length);
        head->host.at = rest.at;
        head->host.length = slash ? (size_t)(slash - rest.at) : rest.length;
        if (!slash || head->host.length == 0)
            return BAD;
        target.at = slash;
        target.length = rest.length - head->host.length;
    }
    if (*target.at != '/' && !(is(target, "*") && is(head->method, "OPTIONS")))
        return BAD;
    const char *question = memchr(target.at, '?', target.length);
    head->path = cut(&target, '?');
    if (question)
        head->query = target;
    return 0;
}

/* "GET /path HTTP/1.1" */
static int read_first_line(struct web_span line, struct web_head *head)
{
    head->method = cut(&line, ' ');
    struct web_span target = cut(&line, ' ');
    if (!is_token(head->method) || line.length != 8 || strncmp(line.at, "HTTP/", 5) != 0)
        return BAD;
    if (strncmp(line.at + 5, "1.0", 3) != 0 && strncmp(line.at + 5, "1.1", 3) != 0)
        return VERSION;
    head->minor = line.at[7] - '0';
    return read_target(target, head);
}

/* The fields that frame the message and the connection. */
struct framing {
    int hosts, lengths, expectations, encoded;
};

static int read_length(struct web_span value, long long *length)
{
    if (value.length == 0 || value.length > DIGITS)
        return BAD;
    *length = 0;
    for (size_t i = 0; i < value.length; i++) {
        if (value.at[i] < '0' || value.at[i] > '9')
            return BAD;
        *length = *length * 10 + (value.at[i] - '0');
    }
    return 0;
}

static int note(struct web_head *head, const struct web_field *field, struct framing *f)
{
    struct web_span value = field->value;
    if (is(field->name, "host")) {
        if (!head->host.at)
            head->host = value;
        f->hosts++;
    } else if (is(field->name, "content-length")) {
        f->lengths++;
        return read_length(value, &head->length);
    } else if (is(field->name, "transfer-encoding")) {
        f->encoded = 1;
    } else if (is(field->name, "expect")) {
        f->expectations += !is(value, "100-continue");
        head->expects = head->minor == 1;
    } else if (is(field->name, "connection")) {
        while (value.length > 0) {
            struct web_span word = trimmed(cut(&value, ','));
            head->closes |= is(word, "close");
        }
    }
    return 0;
}

static int read_field(struct web_span line, struct web_head *head, struct framing *f)
{
    if (head->count == WEB_FIELDS)
        return MANY;
    struct web_field *field = &head->fields[head->count];
    struct web_span value = line;
    field->name = cut(&value, ':');
    if (!is_token(field->name) || field->name.length == line.length)
        return BAD;
    field->value = trimmed(value);
    for (size_t i = 0; i < value.length; i++) {
        unsigned char c = (unsigned char)value.at[i];
        if ((c < ' ' && c != '\t') || c == 127)
            return BAD;
    }
    char *name = (char *)field->name.at; /* the caller's own memory, not const */
    for (size_t i = 0; i < field->name.length; i++)
        if (name[i] >= 'A' && name[i] <= 'Z')
            name[i] = (char)(name[i] - 'A' + 'a');
    head->count++;
    return note(head, field, f);
}

int web_head_read(char *text, size_t length, struct web_head *head)
{
    struct web_span rest = { text, length };
    struct framing f = { 0 };
    *head = (struct web_head){ 0 };
    struct web_span line = next_line(&rest);
    int refused = line.at ? read_first_line(line, head) : BAD;
    while (!refused) {
        line = next_line(&rest);
        if (!line.at)
            return BAD;
        if (line.length == 0)
            break;
        refused = read_field(line, head, &f);
    }
    if (refused)
        return refused;
    if (f.hosts > 1 || (f.hosts == 0 && head->minor == 1) || f.lengths > 1)
        return BAD;
    if (f.encoded)
        return f.lengths || head->minor == 0 ? BAD : LENGTH_REQUIRED;
    if (head->minor == 0)
        head->closes = 1;
    return f.expectations ? EXPECTATION : 0;
}

struct web_span web_head_field(const struct web_head *head, const char *name)
{
    for (int i = 0; i < head->count; i++)
        if (is(head->fields[i].name, name))
            return head->fields[i].value;
    return (struct web_span){ 0 };
}
