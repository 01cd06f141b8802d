// What every mode needs: time, failure, the options, JSON output.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>

#include "histogram.h"

struct options {
  struct sockaddr_in target;   // where a client connects, where a backend listens
  int connections;
  double seconds;
  double warmup_seconds;       // measured nothing, before `seconds`
  double rate;                 // requests per second, open loop
  int sources;                 // how many addresses 127.0.0.1.. the connections come from
  int bytes;                   // of one message
  bool tls;
  bool resume;
  const char *certificate;     // PEM with chain and key that a client shows, or NULL
};

int64_t now_ns(void);
double cpu_seconds(void);

// A measurement that went wrong has no number: say why, on stderr, and end with status 1.
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

struct sockaddr_in parse_address(const char *text);

// One JSON object on stdout, flushed at its end.
void json_begin(void);
void json_number(const char *name, double value);
void json_percentiles(const char *prefix, const struct histogram *);
void json_end(void);

void run_latency(const struct options *);
void run_idle(const struct options *);
void run_handshakes(const struct options *);
void run_storm(const struct options *);
void run_bulk(const struct options *);
void run_pingpong(const struct options *);
void run_tcp_backend(const struct options *);
void run_http2_backend(const struct options *, bool grpc);
