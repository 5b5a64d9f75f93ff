#include "base/digest.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

/* EVP_Digest fails only when libcrypto is broken or forbids the algorithm (MD5 in FIPS mode). */
static void digest(const EVP_MD *md, const char *name, const void *data, size_t len, char *out)
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (!EVP_Digest(data, len, bytes, &size, md, NULL)) {
        fprintf(stderr, "dex-lua: libcrypto gives no %s\n", name);
        abort();
    }
    digest_hex(bytes, size, out);
}

void digest_sha256(const void *data, size_t len, char out[DIGEST_SHA256_SIZE])
{
    digest(EVP_sha256(), "SHA-256", data, len, out);
}

void digest_sha1(const void *data, size_t len, char out[DIGEST_SHA1_SIZE])
{
    digest(EVP_sha1(), "SHA-1", data, len, out);
}

void digest_md5(const void *data, size_t len, char out[DIGEST_MD5_SIZE])
{
    digest(EVP_md5(), "MD5", data, len, out);
}

void digest_hex(const unsigned char *bytes, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * len] = '\0';
}
