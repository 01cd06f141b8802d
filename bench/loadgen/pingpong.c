// Small messages: each connection sends one, waits for its echo, compares it and sends the next.
#include <stdlib.h>
#include <string.h>

#include "connection.h"
#include "stream.h"
#include "support.h"

enum { LARGEST = 4096 };

struct client {
  struct connection connection;
  uint64_t sequence;
  int64_t sent;
  size_t received;
  char echo[LARGEST];
};

static const struct options *options;
static struct histogram latencies;
static int64_t measured_from;

static void send_next(struct client *client) {
  char message[LARGEST + 1];
  bool is_first = client->sequence == 0;
  client->sequence++;
  message[0] = WANT_ECHO;
  memset(message + 1, (int)(client->sequence & 0x7f), (size_t)options->bytes);
  memcpy(message + 1, &client->sequence, sizeof client->sequence);
  client->received = 0;
  client->sent = now_ns();
  // The first message follows the byte that asks for an echo.
  if (is_first) connection_write(&client->connection, message, (size_t)options->bytes + 1);
  else connection_write(&client->connection, message + 1, (size_t)options->bytes);
}

static void on_ready(struct watch *watch, uint32_t events) {
  (void)events;
  struct client *client = (struct client *)watch;
  if (!client->connection.is_open) {
    if (connection_advance(&client->connection)) send_next(client);
    return;
  }
  size_t size = (size_t)options->bytes;
  ssize_t count = connection_read(&client->connection, client->echo + client->received, size - client->received + 1);
  if (count == CONNECTION_AGAIN) return;
  if (count == CONNECTION_EOF) fail("a connection was closed");
  client->received += (size_t)count;
  if (client->received < size) return;
  if (client->received > size || memcmp(client->echo, &client->sequence, sizeof client->sequence) != 0 ||
      client->echo[size - 1] != (char)(client->sequence & 0x7f))
    fail("a wrong echo");
  if (client->sent >= measured_from) histogram_record(&latencies, (uint64_t)(now_ns() - client->sent));
  send_next(client);
}

void run_pingpong(const struct options *given) {
  options = given;
  if (options->bytes <= (int)sizeof(uint64_t) || options->bytes >= LARGEST) fail("--bytes is not between 9 and 4095");
  loop_open();
  struct client *clients = calloc((size_t)options->connections, sizeof *clients);
  measured_from = now_ns() + (int64_t)(options->warmup_seconds * 1e9);
  int64_t end = measured_from + (int64_t)(options->seconds * 1e9);
  for (int i = 0; i < options->connections; i++) {
    clients[i].connection.watch.ready = on_ready;
    connection_start(&clients[i].connection, options, NULL, i);
  }
  while (now_ns() < end) loop_turn(100000000);
  if (latencies.total == 0) fail("no message came back");
  json_begin();
  json_number("messages", (double)latencies.total);
  json_number("messages_per_second", (double)latencies.total * 1e9 / (double)(now_ns() - measured_from));
  json_percentiles("", &latencies);
  json_number("load_cpu_seconds", cpu_seconds());
  json_end();
}
