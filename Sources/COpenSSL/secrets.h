// Memory for keys: OpenSSL's secure heap, which is locked (never in swap), left out of core files, between guard pages, and wiped
// when it is given back. OpenSSL takes it for the private numbers of its own keys, too.
#ifndef APUS_COPENSSL_SECRETS_H
#define APUS_COPENSSL_SECRETS_H

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>

// 1: locked; 2: there, but the system did not let it be locked; 0: not there, so that the ordinary heap is used.
static inline int apus_secure_heap_init(size_t size) { return CRYPTO_secure_malloc_init(size, 32); }

static inline void *apus_secret_new(size_t size) { return OPENSSL_secure_zalloc(size); }
static inline void apus_secret_free(void *bytes, size_t size) { OPENSSL_secure_clear_free(bytes, size); }

// What is taken of it now, in bytes.
static inline size_t apus_secure_heap_used(void) { return CRYPTO_secure_used(); }

// After a handshake. OpenSSL keeps the private number of the key exchange for as long as the connection, without a use for it: thousands
// of connections would fill the secure heap, and no handshake succeed any more. Setting its type empties the key; OpenSSL frees the rest.
static inline void apus_ssl_forget_key_share(SSL *ssl) {
  EVP_PKEY *key = NULL;
  if (SSL_get_tmp_key(ssl, &key) != 1 || !key) return;
  EVP_PKEY_set_type(key, EVP_PKEY_X25519);
  EVP_PKEY_free(key);
}

#endif
