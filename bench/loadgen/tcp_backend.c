// The program behind the TCP workloads: an endless stream from memory, or an echo, as the first byte asks.
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop.h"
#include "stream.h"
#include "support.h"

enum { COPIES = 8, CHUNK = 1 << 20 };

struct peer {
  struct watch watch;
  char want;
  off_t position;
};

static int pattern_fd;

// The stream lies in memory once, some periods long, and sendfile() passes its pages on without a copy.
static void make_pattern(void) {
  size_t size = (size_t)COPIES * PATTERN_BYTES;
  pattern_fd = memfd_create("pattern", MFD_CLOEXEC);
  if (pattern_fd < 0 || ftruncate(pattern_fd, (off_t)size) < 0) fail("memfd: %s", strerror(errno));
  uint8_t *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, pattern_fd, 0);
  if (bytes == MAP_FAILED) fail("mmap: %s", strerror(errno));
  for (size_t i = 0; i < size; i++) bytes[i] = pattern_byte(i);
  munmap(bytes, size);
}

static void close_peer(struct peer *peer) {
  close(peer->watch.fd);
  free(peer);
}

static void stream(struct peer *peer) {
  ssize_t count = sendfile(peer->watch.fd, pattern_fd, &peer->position, CHUNK);
  if (peer->position >= (off_t)COPIES * PATTERN_BYTES) peer->position = 0;
  if (count < 0 && errno != EAGAIN) close_peer(peer);
}

static void echo(struct peer *peer, const char *bytes, ssize_t count) {
  if (count > 0 && send(peer->watch.fd, bytes, (size_t)count, MSG_NOSIGNAL) != count) close_peer(peer);
}

static void on_ready(struct watch *watch, uint32_t events) {
  struct peer *peer = (struct peer *)watch;
  if (peer->want == WANT_STREAM && (events & EPOLLOUT)) return stream(peer);
  char buffer[65536];
  ssize_t count = recv(watch->fd, buffer, sizeof buffer, 0);
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) return close_peer(peer);
  if (peer->want) return echo(peer, buffer, count);
  peer->want = buffer[0];
  if (peer->want == WANT_STREAM) return loop_change(watch, EPOLLOUT);
  if (peer->want != WANT_ECHO) return close_peer(peer);
  echo(peer, buffer + 1, count - 1);
}

static void on_accept(struct watch *listener, uint32_t events) {
  (void)events;
  int one = 1, fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct peer *peer = calloc(1, sizeof *peer);
  peer->watch = (struct watch){.fd = fd, .ready = on_ready};
  loop_add(&peer->watch, EPOLLIN);
}

void run_tcp_backend(const struct options *options) {
  loop_open();
  make_pattern();
  struct watch listener = {.fd = listen_on(&options->target), .ready = on_accept};
  loop_add(&listener, EPOLLIN);
  for (;;) loop_turn(-1);
}
