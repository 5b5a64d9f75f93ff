/* One message to a Unix datagram socket, such as that of the service manager (sd_notify). */
#ifndef DEX_IO_DATAGRAM_H
#define DEX_IO_DATAGRAM_H

#include <stddef.h>

#include "base/attr.h"
#include "base/err.h"

/*
 * Sends it to the socket at a path, or to an abstract one when the path begins with @. -1 and code
 * 110 when nobody takes it. Does not wait.
 */
MUST_CHECK int datagram_send(const char *path, const char *text, size_t length, struct err *e);

#endif
