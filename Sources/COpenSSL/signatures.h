// Public keys from their numbers, and signatures as JOSE writes them (RFC 7515, RFC 7518).
#ifndef APUS_COPENSSL_SIGNATURES_H
#define APUS_COPENSSL_SIGNATURES_H

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <string.h>

static inline EVP_PKEY *apus_public_key(const char *type, OSSL_PARAM *parameters) {
  EVP_PKEY *key = NULL;
  EVP_PKEY_CTX *context = parameters ? EVP_PKEY_CTX_new_from_name(NULL, type, NULL) : NULL;
  if (!context || EVP_PKEY_fromdata_init(context) != 1 ||
      EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
    key = NULL;
  EVP_PKEY_CTX_free(context);
  return key;
}

// A key that OpenSSL finds fault with, such as a point off its curve, is none.
static inline EVP_PKEY *apus_checked_key(EVP_PKEY *key) {
  EVP_PKEY_CTX *context = key ? EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL) : NULL;
  int good = context && EVP_PKEY_public_check_quick(context) == 1;
  EVP_PKEY_CTX_free(context);
  if (good) return key;
  EVP_PKEY_free(key);
  return NULL;
}

static inline EVP_PKEY *apus_rsa_public_key(
  const unsigned char *modulus, size_t modulus_size, const unsigned char *exponent, size_t exponent_size) {
  BIGNUM *n = BN_bin2bn(modulus, (int)modulus_size, NULL);
  BIGNUM *e = BN_bin2bn(exponent, (int)exponent_size, NULL);
  OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
  OSSL_PARAM *parameters = NULL;
  if (n && e && build && OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n) &&
      OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e))
    parameters = OSSL_PARAM_BLD_to_param(build);
  EVP_PKEY *key = apus_public_key("RSA", parameters);
  OSSL_PARAM_free(parameters);
  OSSL_PARAM_BLD_free(build);
  BN_free(n);
  BN_free(e);
  return apus_checked_key(key);
}

// `point` has 65 bytes: 4, x, y.
static inline EVP_PKEY *apus_p256_public_key(const unsigned char *point) {
  char group[] = "P-256";
  unsigned char copy[65];
  memcpy(copy, point, sizeof copy);
  OSSL_PARAM parameters[] = {
    OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
    OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, copy, sizeof copy),
    OSSL_PARAM_construct_end(),
  };
  return apus_checked_key(apus_public_key("EC", parameters));
}

// DER of the signature whose two numbers `raw` holds. Returns its size, 0 when out of memory; free `*der`.
static inline int apus_ecdsa_der(const unsigned char *raw, unsigned char **der) {
  ECDSA_SIG *signature = ECDSA_SIG_new();
  BIGNUM *r = BN_bin2bn(raw, 32, NULL);
  BIGNUM *s = BN_bin2bn(raw + 32, 32, NULL);
  int size = 0;
  if (signature && r && s && ECDSA_SIG_set0(signature, r, s) == 1) {
    r = s = NULL;
    size = i2d_ECDSA_SIG(signature, der);
  }
  BN_free(r);
  BN_free(s);
  ECDSA_SIG_free(signature);
  return size > 0 ? size : 0;
}

// 1: the signature is good. `scheme`: 0 PKCS #1 v1.5, 1 PSS, 2 ECDSA of P-256, 3 Ed25519.
static inline int apus_verify_signature(
  EVP_PKEY *key, int scheme, const unsigned char *signature, size_t size, const unsigned char *message,
  size_t message_size) {
  unsigned char *der = NULL;
  if (scheme == 2) {
    if (size != 64) return 0;
    size = (size_t)apus_ecdsa_der(signature, &der);
    if (size == 0) return 0;
    signature = der;
  }
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  EVP_PKEY_CTX *options = NULL;
  int good = context && EVP_DigestVerifyInit(context, &options, scheme == 3 ? NULL : EVP_sha256(), NULL, key) == 1;
  if (good && scheme == 0) good = EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PADDING) == 1;
  if (good && scheme == 1)
    good = EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_mgf1_md(options, EVP_sha256()) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1;
  good = good && EVP_DigestVerify(context, signature, size, message, message_size) == 1;
  EVP_MD_CTX_free(context);
  OPENSSL_free(der);
  return good;
}

#endif
