/* SHA-256. A file of its own: OpenSSL's headers and common/error.h both have an ERR_STATE. */
#ifndef SR_COMMON_DIGEST_H
#define SR_COMMON_DIGEST_H

#include <stddef.h>

#define DIGEST_SIZE 32

void digest_of(const void *data, size_t len, unsigned char out[DIGEST_SIZE]);

#endif
