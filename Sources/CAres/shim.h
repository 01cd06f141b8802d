// c-ares without its varying structures, for Swift.
#ifndef APUS_CARES_SHIM_H
#define APUS_CARES_SHIM_H

#include <ares.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/time.h>

// An IPv6 address in host byte order; an IPv4 address as the mapped one.
typedef struct {
  uint64_t high, low;
} apus_ares_address;

// `servers` as "IP:PORT,IP:PORT"; empty for the system's.
static inline int apus_ares_new(
  ares_channel *channel, const char *servers, int timeout_ms, int tries, ares_sock_state_cb watch, void *context) {
  struct ares_options options;
  memset(&options, 0, sizeof options);
  // Names are whole: a search list would send "api.example.com.corp.local" to others.
  options.flags = ARES_FLAG_NOSEARCH;
  options.timeout = timeout_ms;
  options.tries = tries;
  options.sock_state_cb = watch;
  options.sock_state_cb_data = context;
  int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
  int status = ares_init_options(channel, &options, mask);
  if (status != ARES_SUCCESS || !*servers) return status;
  status = ares_set_servers_ports_csv(*channel, servers);
  if (status != ARES_SUCCESS) ares_destroy(*channel);
  return status;
}

// Addresses of both families, in the servers' order.
static inline void apus_ares_resolve(
  ares_channel channel, const char *name, ares_addrinfo_callback answered, void *context) {
  struct ares_addrinfo_hints hints;
  memset(&hints, 0, sizeof hints);
  hints.ai_family = AF_UNSPEC;
  hints.ai_flags = ARES_AI_NOSORT;
  ares_getaddrinfo(channel, name, NULL, &hints, answered, context);
}

// Milliseconds until the channel wants to be woken; -1 for not at all.
static inline int apus_ares_wait(ares_channel channel) {
  struct timeval room, *wait = ares_timeout(channel, NULL, &room);
  return wait ? (int)(wait->tv_sec * 1000 + (wait->tv_usec + 999) / 1000) : -1;
}

// Copies at most `capacity` addresses. `ttl` becomes the smallest of all records, in seconds. Returns their number.
static inline int apus_ares_read(
  const struct ares_addrinfo *info, apus_ares_address *out, int capacity, int *ttl) {
  int count = 0;
  int least = INT32_MAX;
  for (const struct ares_addrinfo_cname *alias = info->cnames; alias; alias = alias->next) {
    if (alias->ttl < least) least = alias->ttl;
  }
  for (const struct ares_addrinfo_node *node = info->nodes; node && count < capacity; node = node->ai_next) {
    apus_ares_address address = {0, 0};
    if (node->ai_family == AF_INET) {
      const struct sockaddr_in *v4 = (const struct sockaddr_in *)(const void *)node->ai_addr;
      address.low = UINT64_C(0xFFFF00000000) | ntohl(v4->sin_addr.s_addr);
    } else if (node->ai_family == AF_INET6) {
      const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)(const void *)node->ai_addr;
      for (int i = 0; i < 8; i++) {
        address.high = address.high << 8 | v6->sin6_addr.s6_addr[i];
        address.low = address.low << 8 | v6->sin6_addr.s6_addr[i + 8];
      }
    } else {
      continue;
    }
    if (node->ai_ttl < least) least = node->ai_ttl;
    out[count++] = address;
  }
  *ttl = least == INT32_MAX || least < 0 ? 0 : least;
  return count;
}

#endif
