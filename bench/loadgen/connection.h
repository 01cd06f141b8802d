// A client's connection, plain or TLS 1.3, without blocking.
#pragma once

#include <openssl/ssl.h>
#include <stdbool.h>
#include <sys/types.h>

#include "loop.h"

struct options;

struct connection {
  struct watch watch;
  SSL *ssl;            // NULL: plaintext
  bool is_connected;   // TCP
  bool is_open;        // and the TLS handshake, if there is one
};

enum { CONNECTION_EOF = 0, CONNECTION_AGAIN = -1 };

// Offers TLS 1.3 with one cipher suite, so that every server does the same work, and ALPN http/1.1.
SSL_CTX *client_context(void);

// Starts to connect from source address number `index % sources`. `watch.ready` must be set.
void connection_start(struct connection *, const struct options *, SSL_CTX *, int index);

// Call on every event until `is_open`; returns whether it now is. Fails the run when the peer refuses.
bool connection_advance(struct connection *);

// Bytes read, CONNECTION_EOF (also for a reset) or CONNECTION_AGAIN.
ssize_t connection_read(struct connection *, void *, size_t);

// Small messages only: what does not fit into the socket's buffer at once fails the run.
void connection_write(struct connection *, const void *, size_t);

void connection_close(struct connection *);
