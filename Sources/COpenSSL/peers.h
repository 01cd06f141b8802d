// What is judged of a peer's certificate and key beside OpenSSL's own checks, and what a handshake tells of the peer's conduct.
#ifndef APUS_COPENSSL_PEERS_H
#define APUS_COPENSSL_PEERS_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>

// X509-SVID, sections 4.1 and 4.3: a leaf is no authority, and its critical key usage allows signatures and nothing of an authority's.
static inline int apus_x509_is_svid_leaf(X509 *certificate) {
  if (X509_get_extension_flags(certificate) & (EXFLAG_CA | EXFLAG_INVALID)) return 0;
  uint32_t usage = X509_get_key_usage(certificate);  // all bits when the extension is missing
  return usage != UINT32_MAX && usage & KU_DIGITAL_SIGNATURE && !(usage & (KU_KEY_CERT_SIGN | KU_CRL_SIGN));
}

// ECDSA on a NIST curve of 256 bits or more, Ed25519, RSA of 2,048 bits or more.
static inline int apus_x509_has_strong_key(X509 *certificate) {
  EVP_PKEY *key = X509_get0_pubkey(certificate);
  char group[32];
  size_t length = 0;
  if (!key) return 0;
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA:
    case EVP_PKEY_RSA_PSS: return EVP_PKEY_get_bits(key) >= 2048;
    case EVP_PKEY_ED25519: return 1;
    case EVP_PKEY_EC:
      return EVP_PKEY_get_group_name(key, group, sizeof group, &length) == 1 &&
             (strcmp(group, "prime256v1") == 0 || strcmp(group, "secp384r1") == 0 || strcmp(group, "secp521r1") == 0);
    default: return 0;
  }
}

// Whether one full list of the certificate's own issuer names it.
static inline int apus_crl_revokes(X509_CRL *crl, X509 *certificate) {
  X509_REVOKED *entry = NULL;
  if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_issuer_name(certificate)) != 0) return 0;
  return X509_CRL_get0_by_cert(crl, &entry, certificate) == 1;  // 2: was on hold, and is good again
}

// A list of changes, or of a part of the certificates, or of other issuers' does not say what a full list does.
static inline int apus_crl_is_full(X509_CRL *crl) {
  return X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) < 0 &&
         X509_CRL_get_ext_by_NID(crl, NID_issuing_distribution_point, -1) < 0;
}

static inline int apus_crl_count(X509_CRL *crl) {
  STACK_OF(X509_REVOKED) *entries = X509_CRL_get_REVOKED(crl);
  return entries ? sk_X509_REVOKED_num(entries) : 0;
}

static inline int apus_chain_count(const STACK_OF(X509) *chain) { return chain ? sk_X509_num(chain) : 0; }
static inline X509 *apus_chain_at(const STACK_OF(X509) *chain, int index) { return sk_X509_value(chain, index); }

// No renegotiation (the option answers with a warning alert of that name); the callback lets us count and end it.
static inline int apus_is_renegotiation_refusal(int type, int value) {
  return type == SSL_CB_WRITE_ALERT && (value & 0xff) == SSL_AD_NO_RENEGOTIATION;
}

static inline const char *apus_ssl_group(SSL *ssl) {
  int id = (int)SSL_ctrl(ssl, SSL_CTRL_GET_NEGOTIATED_GROUP, 0, NULL);
  const char *name = SSL_group_to_name(ssl, id);
  return name ? name : "";
}

#endif
