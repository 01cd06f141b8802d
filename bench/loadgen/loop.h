// One epoll loop and one thread. A `watch` is the first member of whatever it belongs to.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct watch {
  int fd;
  void (*ready)(struct watch *, uint32_t events);
};

void loop_open(void);
void loop_add(struct watch *, uint32_t events);
void loop_change(struct watch *, uint32_t events);

// Waits for events at most so long (negative: for ever) and hands them out.
void loop_turn(int64_t timeout_ns);

// A listening socket whose `ready` accepts, or fails.
int listen_on(const void *address);
