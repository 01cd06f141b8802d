// Opens many connections, does one request on each and leaves them idle until a line arrives on standard input; then one
// more request on each shows that they were kept.
#include <stdio.h>
#include <stdlib.h>

#include "connection.h"
#include "http1.h"
#include "support.h"

// So many are between connect() and their response at a time: what is measured afterwards is idle memory, not a burst's.
enum { AT_ONCE = 64 };

struct client {
  struct connection connection;
  struct http1_response *response;   // only while a request is under way
};

static struct client *clients;
static int answered;

static void ask(struct client *client) {
  client->response = calloc(1, sizeof *client->response);
  connection_write(&client->connection, http1_request, http1_request_size());
}

static void on_ready(struct watch *watch, uint32_t events) {
  (void)events;
  struct client *client = (struct client *)watch;
  if (!client->connection.is_open) {
    if (connection_advance(&client->connection)) ask(client);
    return;
  }
  char buffer[16384];
  ssize_t count = connection_read(&client->connection, buffer, sizeof buffer);
  if (count == CONNECTION_AGAIN) return;
  if (count == CONNECTION_EOF) fail("connection %d was closed", (int)(client - clients));
  if (client->response == NULL) fail("a response nobody asked for");
  if (!http1_feed(client->response, buffer, (size_t)count)) return;
  free(client->response);
  client->response = NULL;
  answered++;
}

static void wait_for(int wanted) {
  int64_t deadline = now_ns() + 30000000000;
  while (answered < wanted) {
    if (now_ns() > deadline) fail("%d of %d connections answered within 30 s", answered, wanted);
    loop_turn(100000000);
  }
}

static void open_all(const struct options *options, SSL_CTX *context) {
  for (int i = 0; i < options->connections; i++) {
    clients[i].connection.watch.ready = on_ready;
    connection_start(&clients[i].connection, options, context, i);
    wait_for(i + 1 - AT_ONCE);
  }
  wait_for(options->connections);
}

static void ask_all(const struct options *options) {
  answered = 0;
  for (int i = 0; i < options->connections; i++) {
    ask(&clients[i]);
    wait_for(i + 1 - AT_ONCE);
  }
  wait_for(options->connections);
}

void run_idle(const struct options *options) {
  loop_open();
  clients = calloc((size_t)options->connections, sizeof *clients);
  open_all(options, options->tls ? client_context() : NULL);
  json_begin();
  json_number("idle", options->connections);
  json_end();
  getchar();
  ask_all(options);
  json_begin();
  json_number("kept", answered);
  json_number("load_cpu_seconds", cpu_seconds());
  json_end();
}
