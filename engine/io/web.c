#include "io/web.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"
#include "io/address.h"
#include "io/loop.h"

enum { CODE_IO = 110, HEAD_LIMIT = 16384, PATH_LIMIT = 512, TIMEOUT_SECONDS = 30 };

struct web {
    struct evconnlistener *listener;
    char *dir;
    char *host;
    int port;
    struct list clients;
};

struct client {
    struct list node;
    struct web *web;
    struct bufferevent *stream;
    int answered; /* the answer is on its way; then it closes */
};

static void client_free(struct client *client)
{
    list_remove(&client->node);
    bufferevent_free(client->stream);
    mem_free(client);
}

static const char *type_of(const char *path)
{
    static const char *const types[][2] = {
        { ".html", "text/html; charset=utf-8" },
        { ".json", "application/json" },
        { ".js", "text/javascript" },
        { ".css", "text/css" },
        { ".svg", "image/svg+xml" },
        { ".sql", "text/plain; charset=utf-8" },
    };
    const char *dot = strrchr(path, '.');
    for (size_t i = 0; dot && i < sizeof types / sizeof *types; i++) {
        if (strcmp(dot, types[i][0]) == 0)
            return types[i][1];
    }
    return "application/octet-stream";
}

static void head(struct client *client, const char *status, const char *type, long long size)
{
    client->answered = 1;
    evbuffer_add_printf(bufferevent_get_output(client->stream),
                        "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %lld\r\n"
                        "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
                        "Connection: close\r\n\r\n",
                        status, type, size);
}

static void refuse(struct client *client, const char *status)
{
    head(client, status, "text/plain", (long long)strlen(status) + 1);
    evbuffer_add_printf(bufferevent_get_output(client->stream), "%s\n", status);
}

/* Only plain names between slashes: nothing hidden, nothing above. */
static int is_plain(const char *path)
{
    for (const char *p = path; *p; p++) {
        int letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                     (*p >= '0' && *p <= '9') || strchr("._-/", *p);
        if (!letter || (*p == '/' && (p[1] == '.' || p[1] == '/')))
            return 0;
    }
    return path[0] == '/';
}

static void send_file(struct client *client, const char *path, int with_body)
{
    if (!is_plain(path)) {
        refuse(client, "404 Not Found");
        return;
    }
    char *full =
        mem_printf("%s%s", client->web->dir, strcmp(path, "/") == 0 ? "/index.html" : path);
    int fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        if (fd >= 0)
            close(fd);
        refuse(client, "404 Not Found");
    } else {
        head(client, "200 OK", type_of(full), (long long)st.st_size);
        if (!with_body || st.st_size == 0 ||
            evbuffer_add_file(bufferevent_get_output(client->stream), fd, 0, st.st_size) < 0)
            close(fd);
    }
    mem_free(full);
}

/* Whether the Host header names this server: its address, or the machine itself. */
static int is_for_us(const struct web *web, const char *request)
{
    const char *const names[] = { web->host, "localhost", "127.0.0.1", "[::1]" };
    const char *line = strcasestr(request, "\r\nhost:");
    if (!line)
        return 0;
    line += strlen("\r\nhost:");
    line += strspn(line, " ");
    size_t length = strcspn(line, "\r");
    const char *colon = memchr(line, ':', length);
    if (*line != '[' && colon)
        length = (size_t)(colon - line);
    else if (*line == '[')
        length = strcspn(line, "]\r") + 1;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strlen(names[i]) == length && strncasecmp(line, names[i], length) == 0)
            return 1;
    }
    return 0;
}

static void answer(struct client *client, const char *request)
{
    char method[8], path[PATH_LIMIT];
    if (sscanf(request, "%7[A-Z] %511[^ ?#\r\n]", method, path) != 2)
        refuse(client, "400 Bad Request");
    else if (!is_for_us(client->web, request))
        refuse(client, "403 Forbidden");
    else if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        refuse(client, "405 Method Not Allowed");
    else
        send_file(client, path, method[0] == 'G');
}

static void on_read(struct bufferevent *stream, void *arg)
{
    struct client *client = arg;
    struct evbuffer *input = bufferevent_get_input(stream);
    if (client->answered)
        return;
    struct evbuffer_ptr end = evbuffer_search(input, "\r\n\r\n", 4, NULL);
    size_t length = evbuffer_get_length(input);
    if (end.pos < 0) {
        if (length > HEAD_LIMIT)
            refuse(client, "431 Request Header Fields Too Large");
        return;
    }
    char *request = mem_alloc(length + 1);
    evbuffer_copyout(input, request, length);
    request[length] = '\0';
    answer(client, request);
    mem_free(request);
}

/* All has been written. */
static void on_write(struct bufferevent *stream, void *arg)
{
    struct client *client = arg;
    if (client->answered && evbuffer_get_length(bufferevent_get_output(stream)) == 0)
        client_free(client);
}

static void on_event(struct bufferevent *stream, short what, void *arg)
{
    (void)stream;
    (void)what;
    client_free(arg);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *from,
                      int length, void *arg)
{
    static const struct timeval timeout = { .tv_sec = TIMEOUT_SECONDS };
    (void)from;
    (void)length;
    struct event_base *base = evconnlistener_get_base(listener);
    struct bufferevent *stream = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (!stream) {
        close(fd);
        return;
    }
    struct client *client = mem_zalloc(sizeof *client);
    client->web = arg;
    client->stream = stream;
    list_append(&client->web->clients, &client->node);
    bufferevent_setcb(stream, on_read, on_write, on_event, client);
    bufferevent_set_timeouts(stream, &timeout, &timeout);
    bufferevent_enable(stream, EV_READ | EV_WRITE);
}

struct web *web_new(struct loop *loop, const char *dir, const char *host, int port, struct err *e)
{
    union address address;
    int length = address_of(host, port, &address);
    if (length == 0) {
        err_set(e, CODE_IO, "'%s' is no address of this machine", host);
        return NULL;
    }
    struct web *web = mem_zalloc(sizeof *web);
    list_init(&web->clients);
    web->listener =
        evconnlistener_new_bind(loop_base(loop), on_accept, web,
                                LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE,
                                -1, &address.any, length);
    if (!web->listener) {
        err_sys(e, CODE_IO, "cannot listen there");
        mem_free(web);
        return NULL;
    }
    web->dir = mem_printf("%s", dir);
    web->host =
        address.any.sa_family == AF_INET ? mem_printf("%s", host) : mem_printf("[%s]", host);
    web->port = address_port(evconnlistener_get_fd(web->listener));
    return web;
}

int web_port(const struct web *web)
{
    return web->port;
}

void web_free(struct web *web)
{
    if (!web)
        return;
    list_each (it, &web->clients)
        client_free(list_entry(it, struct client, node));
    evconnlistener_free(web->listener);
    mem_free(web->dir);
    mem_free(web->host);
    mem_free(web);
}
