// Receives as many bytes as come, over a few connections.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "connection.h"
#include "stream.h"
#include "support.h"

enum { READ_BYTES = 256 * 1024, CHECKED_BYTES = 4 * PATTERN_BYTES };

struct client {
  struct connection connection;
  uint64_t received;
};

static uint64_t all, measured;   // bytes
static bool is_measuring;

static void check(const struct client *client, const uint8_t *bytes, ssize_t count) {
  for (ssize_t i = 0; i < count; i++)
    if (bytes[i] != pattern_byte(client->received + (uint64_t)i)) fail("a wrong byte in the stream");
}

// The start of each stream is compared byte by byte; after that the kernel is asked to drop what it has (MSG_TRUNC), so that the
// generator's copying does not hold the proxies back.
static void on_ready(struct watch *watch, uint32_t events) {
  (void)events;
  static uint8_t buffer[READ_BYTES];
  struct client *client = (struct client *)watch;
  if (!client->connection.is_open) {
    char want = WANT_STREAM;
    if (connection_advance(&client->connection)) connection_write(&client->connection, &want, 1);
    return;
  }
  bool is_checked = client->received < CHECKED_BYTES;
  ssize_t count = recv(watch->fd, buffer, sizeof buffer, is_checked ? 0 : MSG_TRUNC);
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) fail("a stream ended: %s", count < 0 ? strerror(errno) : "closed");
  if (is_checked) check(client, buffer, count);
  client->received += (uint64_t)count;
  all += (uint64_t)count;
  if (is_measuring) measured += (uint64_t)count;
}

void run_bulk(const struct options *options) {
  loop_open();
  struct client *clients = calloc((size_t)options->connections, sizeof *clients);
  for (int i = 0; i < options->connections; i++) {
    clients[i].connection.watch.ready = on_ready;
    connection_start(&clients[i].connection, options, NULL, i);
  }
  int64_t start = now_ns() + (int64_t)(options->warmup_seconds * 1e9);
  while (now_ns() < start) loop_turn(10000000);
  for (int i = 0; i < options->connections; i++)
    if (clients[i].received < CHECKED_BYTES) fail("connection %d was not past its checked bytes after the warm-up", i);
  is_measuring = true;
  start = now_ns();
  int64_t end = start + (int64_t)(options->seconds * 1e9);
  while (now_ns() < end) loop_turn(10000000);
  json_begin();
  json_number("bytes", (double)measured);
  json_number("all_bytes", (double)all);   // with those of the warm-up
  json_number("bytes_per_second", (double)measured * 1e9 / (double)(now_ns() - start));
  json_number("load_cpu_seconds", cpu_seconds());
  json_end();
}
