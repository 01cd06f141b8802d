// Memory for keys: OpenSSL's secure heap, which is locked (never in swap), left out of core files, between guard pages, and wiped
// when it is given back. OpenSSL takes it for the private numbers of its own keys, too.
#ifndef APUS_COPENSSL_SECRETS_H
#define APUS_COPENSSL_SECRETS_H

#include <openssl/crypto.h>

// 1: locked; 2: there, but the system did not let it be locked; 0: not there, so that the ordinary heap is used.
static inline int apus_secure_heap_init(size_t size) { return CRYPTO_secure_malloc_init(size, 32); }

static inline void *apus_secret_new(size_t size) { return OPENSSL_secure_zalloc(size); }
static inline void apus_secret_free(void *bytes, size_t size) { OPENSSL_secure_clear_free(bytes, size); }

#endif
