#include "io/datagram.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { CODE_IO = 110 };

int datagram_send(const char *path, const char *text, size_t length, struct err *e)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    size_t size = strlen(path);
    if (size < 2 || size > sizeof address.sun_path || (path[0] != '/' && path[0] != '@'))
        return err_set(e, CODE_IO, "'%s' is no address of a Unix socket", path);
    memcpy(address.sun_path, path, size);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_sys(e, CODE_IO, "cannot make a socket");
    socklen_t room = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size);
    ssize_t n = sendto(fd, text, length, MSG_NOSIGNAL, (struct sockaddr *)&address, room);
    int status = n == (ssize_t)length ? 0 : err_sys(e, CODE_IO, "nobody listens on this socket");
    if (status < 0)
        err_at(e, path, 0);
    close(fd);
    return status;
}
