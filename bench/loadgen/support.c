#include "support.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

int64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

double cpu_seconds(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

void fail(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("loadgen: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  exit(1);
}

struct sockaddr_in parse_address(const char *text) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  char host[64];
  int port;
  if (sscanf(text, "%63[0-9.]:%d", host, &port) != 2 || port < 1 || port > 65535 ||
      inet_pton(AF_INET, host, &address.sin_addr) != 1)
    fail("\"%s\" is not IP:PORT", text);
  address.sin_port = htons((uint16_t)port);
  return address;
}

static bool first_member;

void json_begin(void) {
  putchar('{');
  first_member = true;
}

void json_number(const char *name, double value) {
  printf("%s\"%s\": %.6g", first_member ? "" : ", ", name, value);
  first_member = false;
}

void json_percentiles(const char *prefix, const struct histogram *histogram) {
  static const struct { const char *name; double share; } points[] = {
    {"p50_us", 0.5}, {"p90_us", 0.9}, {"p99_us", 0.99}, {"p99_9_us", 0.999}, {"max_us", 1}};
  for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
    char name[64];
    snprintf(name, sizeof name, "%s%s", prefix, points[i].name);
    json_number(name, (double)histogram_percentile(histogram, points[i].share) / 1e3);
  }
}

void json_end(void) {
  puts("}");
  fflush(stdout);
}
