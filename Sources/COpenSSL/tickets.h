// Session tickets (RFC 5077, RFC 8446 section 4.6.1): keys that rotate. The previous key still opens tickets, so a
// rotation costs nobody a full handshake.
#ifndef APUS_COPENSSL_TICKETS_H
#define APUS_COPENSSL_TICKETS_H

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <string.h>

typedef struct {
  unsigned char name[16];
  unsigned char mac[32];     // HMAC-SHA256
  unsigned char cipher[32];  // AES-256-CBC
} apus_ticket_key;

// Belongs to one SSL_CTX and is used on its loop only.
typedef struct {
  apus_ticket_key current, previous;
  int has_previous;
  EVP_CIPHER *cipher;  // fetched once: a fetch by name for each ticket costs more than the encryption
} apus_ticket_keys;

static inline int apus_ticket_key_callback(
  SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int sealing) {
  apus_ticket_keys *keys = (apus_ticket_keys *)SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), 0);
  apus_ticket_key *key = &keys->current;
  int result = 1;
  if (sealing) {
    memcpy(name, key->name, sizeof key->name);
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(keys->cipher)) != 1) return -1;
  } else if (memcmp(name, keys->current.name, sizeof key->name) != 0) {
    if (!keys->has_previous || memcmp(name, keys->previous.name, sizeof key->name) != 0) return 0;
    key = &keys->previous;
    result = 2;  // good, and give the client a ticket under the current key
  }
  OSSL_PARAM parameters[] = {
    OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->mac, sizeof key->mac),
    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
    OSSL_PARAM_construct_end(),
  };
  if (!EVP_MAC_CTX_set_params(mac, parameters)) return -1;
  return EVP_CipherInit_ex(cipher, keys->cipher, NULL, key->cipher, iv, sealing) ? result : -1;
}

// `key`: the 80 bytes of an apus_ticket_key. NULL when out of memory.
static inline apus_ticket_keys *apus_ticket_keys_new(SSL_CTX *ctx, const void *key) {
  apus_ticket_keys *keys = (apus_ticket_keys *)OPENSSL_secure_zalloc(sizeof *keys);
  if (!keys) return NULL;
  memcpy(&keys->current, key, sizeof keys->current);
  keys->cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
  if (!keys->cipher || SSL_CTX_set_ex_data(ctx, 0, keys) != 1 ||
      SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, apus_ticket_key_callback) != 1) {
    EVP_CIPHER_free(keys->cipher);
    OPENSSL_secure_clear_free(keys, sizeof *keys);
    return NULL;
  }
  return keys;
}

static inline void apus_ticket_keys_rotate(apus_ticket_keys *keys, const void *key) {
  keys->previous = keys->current;
  keys->has_previous = 1;
  memcpy(&keys->current, key, sizeof keys->current);
}

// After the SSL_CTX is gone, or when no session uses it any more.
static inline void apus_ticket_keys_free(apus_ticket_keys *keys) {
  if (!keys) return;
  EVP_CIPHER_free(keys->cipher);
  OPENSSL_secure_clear_free(keys, sizeof *keys);
}

#endif
