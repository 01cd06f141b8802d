// All connections at once, as peers come back to a proxy that was restarted: connect, TLS handshake with a client certificate where one is
// given, one request, and stay. Tells how long the first and the last took. Nobody may be refused.
#include <stdlib.h>

#include "connection.h"
#include "http1.h"
#include "support.h"

struct client {
  struct connection connection;
  struct http1_response response;
  bool is_answered;
};

static struct histogram latencies;
static int64_t started;
static int answered;

static void on_ready(struct watch *watch, uint32_t events) {
  (void)events;
  struct client *client = (struct client *)watch;
  if (!client->connection.is_open) {
    if (connection_advance(&client->connection))
      connection_write(&client->connection, http1_request, http1_request_size());
    return;
  }
  char buffer[16384];
  ssize_t count = connection_read(&client->connection, buffer, sizeof buffer);
  if (count == CONNECTION_AGAIN) return;
  if (count == CONNECTION_EOF) fail("a connection was closed %s its response", client->is_answered ? "after" : "before");
  if (!client->is_answered && http1_feed(&client->response, buffer, (size_t)count)) {
    client->is_answered = true;
    answered++;
    histogram_record(&latencies, (uint64_t)(now_ns() - started));
  }
}

void run_storm(const struct options *options) {
  loop_open();
  SSL_CTX *context = client_context();
  if (options->certificate &&
      (SSL_CTX_use_certificate_chain_file(context, options->certificate) != 1 ||
       SSL_CTX_use_PrivateKey_file(context, options->certificate, SSL_FILETYPE_PEM) != 1))
    fail("cannot use the certificate and key in %s", options->certificate);
  struct client *clients = calloc((size_t)options->connections, sizeof *clients);
  started = now_ns();
  int64_t deadline = started + (int64_t)(options->seconds * 1e9);
  for (int i = 0; i < options->connections; i++) {
    clients[i].connection.watch.ready = on_ready;
    connection_start(&clients[i].connection, options, context, i);
  }
  while (answered < options->connections) {
    if (now_ns() > deadline) fail("%d of %d connections answered in time", answered, options->connections);
    loop_turn(100000000);
  }
  json_begin();
  json_number("connections", answered);
  json_number("recovered_seconds", (double)(now_ns() - started) / 1e9);
  json_percentiles("", &latencies);
  json_number("load_cpu_seconds", cpu_seconds());
  json_end();
}
