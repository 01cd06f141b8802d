#include "loop.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>

#include "support.h"

enum { EVENTS = 256 };

static int epoll_fd;

void loop_open(void) {
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) fail("epoll_create1: %s", strerror(errno));
  // Timers fire when they are due, not up to 50 us later: the open loop sends on time.
  prctl(PR_SET_TIMERSLACK, 1);
}

static void control(int operation, struct watch *watch, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = watch};
  if (epoll_ctl(epoll_fd, operation, watch->fd, &event) < 0) fail("epoll_ctl: %s", strerror(errno));
}

void loop_add(struct watch *watch, uint32_t events) { control(EPOLL_CTL_ADD, watch, events); }

void loop_change(struct watch *watch, uint32_t events) { control(EPOLL_CTL_MOD, watch, events); }

void loop_turn(int64_t timeout_ns) {
  struct epoll_event events[EVENTS];
  struct timespec timeout = {timeout_ns / 1000000000, timeout_ns % 1000000000};
  int count = epoll_pwait2(epoll_fd, events, EVENTS, timeout_ns < 0 ? NULL : &timeout, NULL);
  if (count < 0 && errno != EINTR) fail("epoll_pwait2: %s", strerror(errno));
  for (int i = 0; i < count; i++) {
    struct watch *watch = events[i].data.ptr;
    watch->ready(watch, events[i].events);
  }
}

int listen_on(const void *address) {
  int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket: %s", strerror(errno));
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(fd, address, sizeof(struct sockaddr_in)) < 0) fail("bind: %s", strerror(errno));
  if (listen(fd, 4096) < 0) fail("listen: %s", strerror(errno));
  return fd;
}
