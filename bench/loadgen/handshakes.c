// New TLS connections, as many as the server makes: connect, handshake, one request, close. The request is there because a
// TLS 1.3 client has finished before the server has, and because a session's ticket comes after the handshake.
#include <stdlib.h>

#include "connection.h"
#include "http1.h"
#include "support.h"

struct slot {
  struct connection connection;
  struct http1_response response;
  SSL_SESSION *session;   // what the next connection resumes, if it is to
  int64_t started;
  bool is_warm;           // a full handshake has brought the first ticket
  bool offers_session;
};

static const struct options *options;
static SSL_CTX *context;
static struct histogram latencies;
static uint64_t connections, resumed;
static int64_t measured_from;
static int next_source;

// Each slot resumes what its last connection was given: a ticket is used once, as RFC 8446, appendix C.4 wants.
static int on_ticket(SSL *ssl, SSL_SESSION *session) {
  struct slot *slot = SSL_get_app_data(ssl);
  SSL_SESSION_free(slot->session);
  slot->session = session;
  return 1;
}

static void start(struct slot *slot) {
  slot->started = now_ns();
  connection_start(&slot->connection, options, context, next_source++);
  SSL_set_app_data(slot->connection.ssl, slot);
  slot->offers_session = options->resume && slot->session != NULL;
  if (slot->offers_session) {
    SSL_set_session(slot->connection.ssl, slot->session);
    SSL_SESSION_free(slot->session);
    slot->session = NULL;
  }
}

static void finish(struct slot *slot) {
  bool was_resumed = SSL_session_reused(slot->connection.ssl);
  if (was_resumed && !slot->offers_session) fail("a full handshake was resumed");
  if (options->resume && slot->is_warm && !was_resumed) fail("a handshake was not resumed (%s)",
      slot->offers_session ? "the ticket was refused" : "no ticket had come");
  if (slot->started >= measured_from && (slot->is_warm || !options->resume)) {
    connections++;
    resumed += was_resumed;
    histogram_record(&latencies, (uint64_t)(now_ns() - slot->started));
  }
  slot->is_warm = true;
  connection_close(&slot->connection);
  start(slot);
}

static void on_ready(struct watch *watch, uint32_t events) {
  (void)events;
  struct slot *slot = (struct slot *)watch;
  if (!slot->connection.is_open) {
    if (connection_advance(&slot->connection))
      connection_write(&slot->connection, http1_request, http1_request_size());
    return;
  }
  char buffer[16384];
  ssize_t count = connection_read(&slot->connection, buffer, sizeof buffer);
  if (count == CONNECTION_AGAIN) return;
  if (count == CONNECTION_EOF) fail("a connection was closed before its response");
  if (http1_feed(&slot->response, buffer, (size_t)count)) finish(slot);
}

void run_handshakes(const struct options *given) {
  options = given;
  loop_open();
  context = client_context();
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, on_ticket);
  measured_from = now_ns() + (int64_t)(options->warmup_seconds * 1e9);
  int64_t end = measured_from + (int64_t)(options->seconds * 1e9);
  struct slot *slots = calloc((size_t)options->connections, sizeof *slots);
  for (int i = 0; i < options->connections; i++) {
    slots[i].connection.watch.ready = on_ready;
    start(&slots[i]);
  }
  while (now_ns() < end) loop_turn(100000000);
  double elapsed = (double)(now_ns() - measured_from) / 1e9;
  json_begin();
  json_number("connections", (double)connections);
  json_number("resumed", (double)resumed);
  json_number("connections_per_second", (double)connections / elapsed);
  json_percentiles("", &latencies);
  json_number("load_cpu_seconds", cpu_seconds());
  json_end();
}
