// loadgen: the load and the backends that wrk, h2load and nginx do not give. See bench/README.md.
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support.h"

static const char usage[] =
  "usage: loadgen MODE IP:PORT [options]\n"
  "  latency        HTTP/1.1 requests at a constant rate; latency from when each was due\n"
  "  idle           connections with one request each, then idle until a line on standard input\n"
  "  handshakes     new TLS connections, one request each\n"
  "  storm          all connections at once, one request each\n"
  "  bulk           receives a stream from tcp-backend\n"
  "  pingpong       small messages to and from tcp-backend\n"
  "  tcp-backend, http2-backend, grpc-backend   the programs behind the proxies\n"
  "  --connections N --seconds S --warmup S --rate R --sources N --bytes N --tls --resume --certificate FILE\n";

static struct options parse_options(int count, char **arguments) {
  static const struct option flags[] = {
    {"connections", required_argument, NULL, 'c'}, {"seconds", required_argument, NULL, 's'},
    {"warmup", required_argument, NULL, 'w'},      {"rate", required_argument, NULL, 'r'},
    {"sources", required_argument, NULL, 'a'},     {"bytes", required_argument, NULL, 'b'},
    {"tls", no_argument, NULL, 't'},               {"resume", no_argument, NULL, 'u'},
    {"certificate", required_argument, NULL, 'e'},
    {0}};
  struct options options = {
    .connections = 1, .seconds = 1, .warmup_seconds = 0.5, .rate = 1000, .sources = 1, .bytes = 64};
  for (int flag; (flag = getopt_long(count, arguments, "", flags, NULL)) != -1;) {
    switch (flag) {
      case 'c': options.connections = atoi(optarg); break;
      case 's': options.seconds = atof(optarg); break;
      case 'w': options.warmup_seconds = atof(optarg); break;
      case 'r': options.rate = atof(optarg); break;
      case 'a': options.sources = atoi(optarg); break;
      case 'b': options.bytes = atoi(optarg); break;
      case 't': options.tls = true; break;
      case 'u': options.resume = true; break;
      case 'e': options.certificate = optarg; break;
      default: fputs(usage, stderr); exit(64);
    }
  }
  if (options.connections < 1 || options.seconds <= 0 || options.rate <= 0 || options.sources < 1) fail("bad options");
  return options;
}

int main(int count, char **arguments) {
  if (count < 3) {
    fputs(usage, stderr);
    return 64;
  }
  signal(SIGPIPE, SIG_IGN);
  struct options options = parse_options(count - 2, arguments + 2);
  options.target = parse_address(arguments[2]);
  const char *mode = arguments[1];
  if (strcmp(mode, "latency") == 0) run_latency(&options);
  else if (strcmp(mode, "idle") == 0) run_idle(&options);
  else if (strcmp(mode, "handshakes") == 0) run_handshakes(&options);
  else if (strcmp(mode, "storm") == 0) run_storm(&options);
  else if (strcmp(mode, "bulk") == 0) run_bulk(&options);
  else if (strcmp(mode, "pingpong") == 0) run_pingpong(&options);
  else if (strcmp(mode, "tcp-backend") == 0) run_tcp_backend(&options);
  else if (strcmp(mode, "http2-backend") == 0) run_http2_backend(&options, false);
  else if (strcmp(mode, "grpc-backend") == 0) run_http2_backend(&options, true);
  else fail("no mode \"%s\"", mode);
  return 0;
}
