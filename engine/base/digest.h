/* Checksums as lower-case hexadecimal text. */
#ifndef DEX_BASE_DIGEST_H
#define DEX_BASE_DIGEST_H

#include <stddef.h>

enum { DIGEST_SHA256_SIZE = 65, DIGEST_SHA1_SIZE = 41, DIGEST_MD5_SIZE = 33 };

/* Writes the checksum of `len` bytes, with a zero behind it. */
void digest_sha256(const void *data, size_t len, char out[DIGEST_SHA256_SIZE]);
void digest_sha1(const void *data, size_t len, char out[DIGEST_SHA1_SIZE]);
void digest_md5(const void *data, size_t len, char out[DIGEST_MD5_SIZE]);

/* Writes `len` bytes as 2 * len digits and a zero. */
void digest_hex(const unsigned char *bytes, size_t len, char *out);

#endif
