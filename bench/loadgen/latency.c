// Open loop: requests are due at a constant rate, whatever the answers do. A latency counts from the moment the request
// was due, not from when a connection was free to send it, so a stall is charged to every request it delayed
// (no coordinated omission).
#include <stdlib.h>

#include "connection.h"
#include "http1.h"
#include "support.h"

struct client {
  struct connection connection;
  struct http1_response response;
  int64_t due;   // of the request under way, 0: none
};

static struct client *clients;
static struct client **idle;   // a ring: the connections take turns
static int client_count, idle_first, idle_count;
static struct histogram latencies, send_lags;
static int64_t measured_from;
static uint64_t answered;

static void became_idle(struct client *client) {
  client->due = 0;
  idle[(idle_first + idle_count++) % client_count] = client;
}

static void on_ready(struct watch *watch, uint32_t events) {
  (void)events;
  struct client *client = (struct client *)watch;
  if (!client->connection.is_open) {
    if (connection_advance(&client->connection)) became_idle(client);
    return;
  }
  char buffer[16384];
  ssize_t count = connection_read(&client->connection, buffer, sizeof buffer);
  if (count == CONNECTION_AGAIN) return;
  if (count == CONNECTION_EOF) fail("a connection was closed");
  if (client->due == 0) fail("a response nobody asked for");
  if (!http1_feed(&client->response, buffer, (size_t)count)) return;
  if (client->due >= measured_from) histogram_record(&latencies, (uint64_t)(now_ns() - client->due));
  answered++;
  became_idle(client);
}

static void send_one(int64_t due) {
  struct client *client = idle[idle_first];
  idle_first = (idle_first + 1) % client_count;
  idle_count--;
  client->due = due;
  connection_write(&client->connection, http1_request, http1_request_size());
  if (due >= measured_from) histogram_record(&send_lags, (uint64_t)(now_ns() - due));
}

// Sends what is due until the end; what no connection is free for waits, and its clock runs.
static uint64_t keep_rate(double rate, int64_t start, int64_t end) {
  uint64_t sent = 0;
  for (;;) {
    int64_t due = start + (int64_t)((double)sent * 1e9 / rate);
    if (due >= end) return sent;
    int64_t now = now_ns();
    if (due <= now && idle_count > 0) {
      send_one(due);
      sent++;
      continue;
    }
    loop_turn(due > now ? due - now : -1);
  }
}

void run_latency(const struct options *options) {
  loop_open();
  client_count = options->connections;
  clients = calloc((size_t)options->connections, sizeof *clients);
  idle = calloc((size_t)options->connections, sizeof *idle);
  for (int i = 0; i < options->connections; i++) {
    clients[i].connection.watch.ready = on_ready;
    connection_start(&clients[i].connection, options, NULL, i);
  }
  while (idle_count < options->connections) loop_turn(-1);
  int64_t start = now_ns();
  measured_from = start + (int64_t)(options->warmup_seconds * 1e9);
  int64_t end = measured_from + (int64_t)(options->seconds * 1e9);
  uint64_t sent = keep_rate(options->rate, start, end);
  while (answered < sent) {
    if (now_ns() > end + 5000000000) fail("%llu requests were not answered", (unsigned long long)(sent - answered));
    loop_turn(100000000);
  }
  json_begin();
  json_number("requests", (double)latencies.total);
  json_percentiles("", &latencies);
  json_percentiles("send_lag_", &send_lags);
  json_number("load_cpu_seconds", cpu_seconds());
  json_end();
}
