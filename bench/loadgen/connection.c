#include "connection.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support.h"

SSL_CTX *client_context(void) {
  static const unsigned char http1[] = "\x08http/1.1";
  SSL_CTX *context = SSL_CTX_new(TLS_client_method());
  if (context == NULL) fail("no TLS context");
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
  SSL_CTX_set_alpn_protos(context, http1, sizeof http1 - 1);
  // The servers' certificates are throw-away ones; whether they verify is not what is measured.
  SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
  // An idle connection's record buffers are the generator's own memory, but 10,000 of them slow it down.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  return context;
}

static void bind_source(int fd, int index, int sources) {
  int one = 1;
  struct sockaddr_in source = {.sin_family = AF_INET};
  source.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(index % sources));
  // The port is then chosen at connect(), where the whole four-tuple counts.
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
  if (bind(fd, (struct sockaddr *)&source, sizeof source) < 0) fail("bind to a source address: %s", strerror(errno));
}

void connection_start(struct connection *connection, const struct options *options, SSL_CTX *context, int index) {
  int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket: %s (raise the limit of open files?)", strerror(errno));
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (options->sources > 1) bind_source(fd, index, options->sources);
  connection->watch.fd = fd;
  connection->is_connected = connection->is_open = false;
  connection->ssl = context ? SSL_new(context) : NULL;
  if (connection->ssl) {
    SSL_set_fd(connection->ssl, fd);
    SSL_set_connect_state(connection->ssl);
  }
  if (connect(fd, (const struct sockaddr *)&options->target, sizeof options->target) < 0 && errno != EINPROGRESS)
    fail("connect: %s", strerror(errno));
  loop_add(&connection->watch, EPOLLOUT);
}

static bool finish_connect(struct connection *connection) {
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(connection->watch.fd, SOL_SOCKET, SO_ERROR, &error, &length);
  if (error) fail("connect: %s", strerror(error));
  connection->is_connected = true;
  loop_change(&connection->watch, EPOLLIN);
  return true;
}

bool connection_advance(struct connection *connection) {
  if (!connection->is_connected && !finish_connect(connection)) return false;
  if (connection->ssl) {
    int result = SSL_do_handshake(connection->ssl);
    if (result != 1) {
      int error = SSL_get_error(connection->ssl, result);
      if (error == SSL_ERROR_WANT_READ) return false;
      fail("TLS handshake: error %d: %s", error, ERR_reason_error_string(ERR_peek_error()) ?: strerror(errno));
    }
  }
  connection->is_open = true;
  return true;
}

ssize_t connection_read(struct connection *connection, void *buffer, size_t size) {
  if (connection->ssl) {
    int result = SSL_read(connection->ssl, buffer, (int)size);
    if (result > 0) return result;
    bool again = SSL_get_error(connection->ssl, result) == SSL_ERROR_WANT_READ;
    ERR_clear_error();
    return again ? CONNECTION_AGAIN : CONNECTION_EOF;
  }
  ssize_t result = recv(connection->watch.fd, buffer, size, 0);
  if (result > 0) return result;
  return result < 0 && errno == EAGAIN ? CONNECTION_AGAIN : CONNECTION_EOF;
}

void connection_write(struct connection *connection, const void *bytes, size_t size) {
  ssize_t result = connection->ssl ? SSL_write(connection->ssl, bytes, (int)size)
                                   : send(connection->watch.fd, bytes, size, MSG_NOSIGNAL);
  if (result != (ssize_t)size) fail("write: %s", result < 0 ? strerror(errno) : "did not fit");
}

void connection_close(struct connection *connection) {
  if (connection->ssl) {
    SSL_shutdown(connection->ssl);
    SSL_free(connection->ssl);
    ERR_clear_error();
  }
  close(connection->watch.fd);
}
