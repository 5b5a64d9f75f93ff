/* The data folder of a private server: made whole or not at all. */
#ifndef DEX_DB_PRIVATE_CREATE_H
#define DEX_DB_PRIVATE_CREATE_H

#include "base/attr.h"
#include "base/err.h"

/*
 * Makes the data folder with the programs in `bin`, on the disk before it has its name, with the
 * role and the database that always exist. What an interrupted attempt left is removed first.
 * Blocks; in the site of `root`. Gives 0 or -1 (413, 414, 419).
 */
MUST_CHECK int private_create(const char *root, const char *bin, struct err *e);

#endif
