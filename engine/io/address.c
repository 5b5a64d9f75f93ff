#include "io/address.h"

#include <arpa/inet.h>
#include <string.h>

int address_of(const char *host, int port, union address *address)
{
    memset(address, 0, sizeof *address);
    if (inet_pton(AF_INET, host, &address->v4.sin_addr) == 1) {
        address->v4.sin_family = AF_INET;
        address->v4.sin_port = htons((unsigned short)port);
        return sizeof address->v4;
    }
    if (inet_pton(AF_INET6, host, &address->v6.sin6_addr) == 1) {
        address->v6.sin6_family = AF_INET6;
        address->v6.sin6_port = htons((unsigned short)port);
        return sizeof address->v6;
    }
    return 0;
}

int address_port(int fd)
{
    union address address;
    socklen_t size = sizeof address;
    if (getsockname(fd, &address.any, &size) < 0)
        return -1;
    return ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
}
