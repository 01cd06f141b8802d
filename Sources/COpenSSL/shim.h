// OpenSSL 3 for Swift: the headers, plus functions for what OpenSSL offers only as macros,
// plus a socket BIO of our own (MSG_NOSIGNAL, syscall counts, no read after a short read).
#ifndef APUS_COPENSSL_SHIM_H
#define APUS_COPENSSL_SHIM_H

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "peers.h"
#include "secrets.h"
#include "signatures.h"
#include "tickets.h"

// MARK: socket BIO

// State of one connection's BIO; owned by the TLS session that made it.
typedef struct {
  int fd;
  int error;            // errno of the last failed call, 0 when it would only have blocked
  int at_end;           // the peer's FIN was read
  int drained;          // the last read came back short: nothing more until epoll says so
  int read_to_the_end;  // FIN is known to wait behind the data: do not stop after a short read
  int write_blocked;    // the socket's send buffer is full
  int more;             // another record follows at once: the kernel may wait for it to fill a segment
  uint64_t reads, writes, bytes_read, bytes_written;
} apus_bio_state;

static inline int apus_bio_read(BIO *bio, char *buffer, int size) {
  apus_bio_state *s = (apus_bio_state *)BIO_get_data(bio);
  BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
  if (s->drained) {
    BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
    return -1;
  }
  ssize_t n;
  // By `syscall`: recv and send are cancellation points (see CLinux).
  do n = syscall(SYS_recvfrom, s->fd, buffer, (size_t)size, 0, NULL, NULL); while (n < 0 && errno == EINTR);
  s->reads++;
  if (n > 0) {
    s->bytes_read += (uint64_t)n;
    if (n < size && !s->read_to_the_end) s->drained = 1;
    return (int)n;
  }
  if (n == 0) {
    s->at_end = 1;
    return 0;
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK) {
    s->drained = 1;
    BIO_set_flags(bio, BIO_FLAGS_READ | BIO_FLAGS_SHOULD_RETRY);
  } else {
    s->error = errno;
  }
  return -1;
}

static inline int apus_bio_write(BIO *bio, const char *buffer, int size) {
  apus_bio_state *s = (apus_bio_state *)BIO_get_data(bio);
  BIO_clear_flags(bio, BIO_FLAGS_RWS | BIO_FLAGS_SHOULD_RETRY);
  if (s->write_blocked) {
    BIO_set_flags(bio, BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY);
    return -1;
  }
  ssize_t n;
  int flags = MSG_NOSIGNAL | (s->more ? MSG_MORE : 0);
  do n = syscall(SYS_sendto, s->fd, buffer, (size_t)size, flags, NULL, 0); while (n < 0 && errno == EINTR);
  s->writes++;
  if (n >= 0) {
    s->bytes_written += (uint64_t)n;
    return (int)n;
  }
  if (errno == EAGAIN || errno == EWOULDBLOCK) {
    s->write_blocked = 1;
    BIO_set_flags(bio, BIO_FLAGS_WRITE | BIO_FLAGS_SHOULD_RETRY);
  } else {
    s->error = errno;
  }
  return -1;
}

static inline long apus_bio_ctrl(BIO *bio, int command, long number, void *pointer) {
  (void)number;
  (void)pointer;
  switch (command) {
    case BIO_CTRL_FLUSH: return 1;
    case BIO_CTRL_EOF: return ((apus_bio_state *)BIO_get_data(bio))->at_end;
    default: return 0;
  }
}

// One method table for the process; NULL when out of memory.
static inline BIO_METHOD *apus_bio_method_new(void) {
  BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "apus socket");
  if (!method) return NULL;
  BIO_meth_set_read(method, apus_bio_read);
  BIO_meth_set_write(method, apus_bio_write);
  BIO_meth_set_ctrl(method, apus_bio_ctrl);
  return method;
}

static inline BIO *apus_bio_new(const BIO_METHOD *method, apus_bio_state *state) {
  BIO *bio = BIO_new(method);
  if (!bio) return NULL;
  BIO_set_data(bio, state);
  BIO_set_init(bio, 1);
  return bio;
}

// MARK: SSL macros

// AES-128 before AES-256, which costs more per byte (14 rounds for 10) and is no safer against anything but a quantum
// computer, which would break the key exchange first.
static inline int apus_ssl_ctx_prefer_aes128(SSL_CTX *ctx) {
  return SSL_CTX_set_ciphersuites(
    ctx, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
}

static inline int apus_ssl_ctx_tls13_only(SSL_CTX *ctx) {
  return SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) && SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) &&
         apus_ssl_ctx_prefer_aes128(ctx);
}

// TLS 1.2 only with ephemeral keys and authenticated encryption: the suites RFC 9113, appendix A leaves for HTTP/2.
static inline int apus_ssl_ctx_tls12_and_above(SSL_CTX *ctx) {
  return SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) && SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) &&
         apus_ssl_ctx_prefer_aes128(ctx) && SSL_CTX_set_cipher_list(ctx, "ECDHE+AESGCM:ECDHE+CHACHA20");
}

static inline void apus_ssl_ctx_set_modes(SSL_CTX *ctx) {
  SSL_CTX_set_mode(
    ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(ctx, 1);
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // 112 bits: RSA of 2,048 bits and curves of 224 at the least, and no SHA-1 in signatures, whatever the machine's configuration says.
  if (SSL_CTX_get_security_level(ctx) < 2) SSL_CTX_set_security_level(ctx, 2);
}

static inline int apus_ssl_ctx_set_groups(SSL_CTX *ctx, const char *list) {
  return (int)SSL_CTX_set1_groups_list(ctx, list);
}

static inline void apus_ssl_ctx_client_sessions(SSL_CTX *ctx) {
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
}

static inline void apus_ssl_ctx_no_sessions(SSL_CTX *ctx) { SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); }

static inline int apus_ssl_set_host_name(SSL *ssl, const char *name) {
  return (int)SSL_set_tlsext_host_name(ssl, name);
}

static inline int apus_ssl_ctx_add_chain(SSL_CTX *ctx, X509 *certificate) {
  return (int)SSL_CTX_add1_chain_cert(ctx, certificate);
}

static inline int apus_err_reason(unsigned long code) { return ERR_GET_REASON(code); }
static inline int apus_err_library(unsigned long code) { return ERR_GET_LIB(code); }

// MARK: certificates

static inline EVP_PKEY *apus_generate_p256(void) { return EVP_EC_gen("P-256"); }

// Copies the first URI of the subject alternative names to `out`. Returns the number of URIs, or -1 for a malformed
// extension.
static inline int apus_x509_uris(const X509 *certificate, char *out, int capacity, int *length) {
  int critical = 0;
  *length = 0;
  GENERAL_NAMES *names = (GENERAL_NAMES *)X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, NULL);
  if (!names) return critical == -1 ? 0 : -1;
  int count = 0;
  for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
    GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_URI) continue;
    int size = ASN1_STRING_length(name->d.uniformResourceIdentifier);
    if (count++ == 0 && size <= capacity) {
      memcpy(out, ASN1_STRING_get0_data(name->d.uniformResourceIdentifier), (size_t)size);
      *length = size;
    }
  }
  GENERAL_NAMES_free(names);
  return count;
}

// Writes the names that a certificate is for, `a.example, b.example, spiffe://x`, as far as they fit, with what is not
// printable ASCII as `?`. Returns the number of bytes.
static inline int apus_x509_names(const X509 *certificate, char *out, int capacity) {
  GENERAL_NAMES *names = (GENERAL_NAMES *)X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
  int length = 0;
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
    GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_DNS && name->type != GEN_URI) continue;
    const ASN1_STRING *text = name->type == GEN_DNS ? name->d.dNSName : name->d.uniformResourceIdentifier;
    int size = ASN1_STRING_length(text);
    if (size < 0 || length + size + 2 > capacity) break;
    if (length > 0) {
      out[length++] = ',';
      out[length++] = ' ';
    }
    const unsigned char *bytes = ASN1_STRING_get0_data(text);
    for (int at = 0; at < size; at++) out[length++] = bytes[at] > 0x20 && bytes[at] < 0x7F ? (char)bytes[at] : '?';
  }
  GENERAL_NAMES_free(names);
  return length;
}

// Whether a certificate has the URI among its alternative names, byte for byte.
static inline int apus_x509_has_uri(const X509 *certificate, const char *uri, size_t size) {
  GENERAL_NAMES *names = (GENERAL_NAMES *)X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
  int found = 0;
  for (int i = 0; names && !found && i < sk_GENERAL_NAME_num(names); i++) {
    GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_URI) continue;
    const ASN1_STRING *text = name->d.uniformResourceIdentifier;
    found = (size_t)ASN1_STRING_length(text) == size && memcmp(ASN1_STRING_get0_data(text), uri, size) == 0;
  }
  GENERAL_NAMES_free(names);
  return found;
}

// RFC 9525: only alternative names count, and a wildcard is a whole label.
static inline int apus_x509_has_host(X509 *certificate, const char *host, size_t size) {
  unsigned int flags = X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
  return X509_check_host(certificate, host, size, flags, NULL) == 1;
}

static inline int apus_x509_has_address(X509 *certificate, const char *address) {
  return X509_check_ip_asc(certificate, address, 0) == 1;
}

static inline int apus_x509_name_print(BIO *out, const X509_NAME *name) {
  return X509_NAME_print_ex(out, name, 0, XN_FLAG_RFC2253);
}

// Seconds since 1970 of a certificate's bound, or INT64_MIN when it cannot be read.
static inline int64_t apus_asn1_time(const ASN1_TIME *time) {
  int days = 0, seconds = 0;
  ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
  int ok = epoch && ASN1_TIME_diff(&days, &seconds, epoch, time);
  ASN1_TIME_free(epoch);
  return ok ? (int64_t)days * 86400 + seconds : INT64_MIN;
}

static inline int apus_add_extension(X509_REQ *request, int nid, const char *value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, NULL, NULL, request, NULL, 0);
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
  if (!extension) return 0;
  STACK_OF(X509_EXTENSION) *list = sk_X509_EXTENSION_new_null();
  int ok = list && sk_X509_EXTENSION_push(list, extension) && X509_REQ_add_extensions(request, list);
  sk_X509_EXTENSION_pop_free(list, X509_EXTENSION_free);
  return ok;
}

static inline int apus_x509_add_extension(X509 *certificate, X509 *issuer, int nid, const char *value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
  X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
  if (!extension) return 0;
  int ok = X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
  return ok;
}

#endif
