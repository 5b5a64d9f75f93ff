/* Numeric addresses of IPv4 and IPv6. */
#ifndef DEX_IO_ADDRESS_H
#define DEX_IO_ADDRESS_H

#include <netinet/in.h>

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* Fills `address`; gives its length, or 0 when `host` is no numeric address. */
int address_of(const char *host, int port, union address *address);

/* The port that a socket is bound to, or -1. */
int address_port(int fd);

#endif
