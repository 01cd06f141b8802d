#define _GNU_SOURCE
#include <sys/stat.h>
#include "clinux.h"

#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Static_assert(CLINUX_IN == EPOLLIN && CLINUX_OUT == EPOLLOUT && CLINUX_ERR == EPOLLERR && CLINUX_HUP == EPOLLHUP &&
                 CLINUX_RDHUP == EPOLLRDHUP,
               "epoll flags");

static int result(int value) { return value < 0 ? -errno : value; }

// MARK: addresses

static int is_ipv4(clinux_address a) { return a.high == 0 && a.low >> 32 == 0xFFFF; }

static socklen_t to_sockaddr(clinux_address a, struct sockaddr_storage *out) {
  memset(out, 0, sizeof *out);
  if (is_ipv4(a)) {
    struct sockaddr_in *in = (struct sockaddr_in *)out;
    in->sin_family = AF_INET;
    in->sin_port = htons(a.port);
    in->sin_addr.s_addr = htonl((uint32_t)a.low);
    return sizeof *in;
  }
  struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
  in6->sin6_family = AF_INET6;
  in6->sin6_port = htons(a.port);
  for (int i = 0; i < 8; i++) {
    in6->sin6_addr.s6_addr[i] = (uint8_t)(a.high >> (56 - 8 * i));
    in6->sin6_addr.s6_addr[8 + i] = (uint8_t)(a.low >> (56 - 8 * i));
  }
  return sizeof *in6;
}

static int from_sockaddr(const struct sockaddr_storage *in, clinux_address *out) {
  memset(out, 0, sizeof *out);
  if (in->ss_family == AF_INET) {
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)in;
    out->low = 0xFFFF00000000ull | ntohl(v4->sin_addr.s_addr);
    out->port = ntohs(v4->sin_port);
    return 0;
  }
  if (in->ss_family != AF_INET6) return -EAFNOSUPPORT;
  const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)in;
  for (int i = 0; i < 8; i++) {
    out->high = out->high << 8 | v6->sin6_addr.s6_addr[i];
    out->low = out->low << 8 | v6->sin6_addr.s6_addr[8 + i];
  }
  out->port = ntohs(v6->sin6_port);
  return 0;
}

// MARK: epoll

int clinux_epoll_create(void) { return result(epoll_create1(EPOLL_CLOEXEC)); }

static int control(int epoll, int operation, int fd, uint32_t events, uint64_t key) {
  struct epoll_event event = {.events = events, .data = {.u64 = key}};
  return result(epoll_ctl(epoll, operation, fd, &event));
}

int clinux_epoll_add(int epoll, int fd, uint32_t events, uint64_t key) {
  return control(epoll, EPOLL_CTL_ADD, fd, events, key);
}

int clinux_epoll_modify(int epoll, int fd, uint32_t events, uint64_t key) {
  return control(epoll, EPOLL_CTL_MOD, fd, events, key);
}

int clinux_epoll_remove(int epoll, int fd) { return control(epoll, EPOLL_CTL_DEL, fd, 0, 0); }

// What every turn and every message calls goes to the kernel by `syscall`: the C library's own functions are cancellation
// points, which in a program with threads costs two locked instructions each. No thread here is ever cancelled.

int clinux_epoll_wait(int epoll, void *events, int capacity, int timeout_ms) {
  // arm64 has no epoll_wait. The last argument is the size of the kernel's signal set, which is not given.
  long n = syscall(SYS_epoll_pwait, epoll, events, capacity, timeout_ms, NULL, 8);
  if (n >= 0) return (int)n;
  return errno == EINTR ? 0 : -errno;
}

void *clinux_events_new(int capacity) { return calloc((size_t)capacity, sizeof(struct epoll_event)); }
void clinux_events_free(void *events) { free(events); }

uint64_t clinux_event_key(const void *events, int index) {
  return ((const struct epoll_event *)events)[index].data.u64;
}

uint32_t clinux_event_flags(const void *events, int index) {
  return ((const struct epoll_event *)events)[index].events;
}

// MARK: eventfd

int clinux_eventfd(void) { return result(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

int clinux_eventfd_signal(int fd) {
  uint64_t one = 1;
  return write(fd, &one, sizeof one) == sizeof one ? 0 : -errno;
}

int clinux_eventfd_drain(int fd) {
  uint64_t value;
  return read(fd, &value, sizeof value) == sizeof value ? 0 : -errno;
}

// MARK: sockets

static int set_int(int fd, int level, int option, int value) {
  return result(setsockopt(fd, level, option, &value, sizeof value));
}

static int fail(int fd) {
  int code = errno;
  close(fd);
  return -code;
}

int clinux_listen(clinux_address address, int backlog, int reuse_port) {
  struct sockaddr_storage storage;
  socklen_t length = to_sockaddr(address, &storage);
  int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  if (set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1) < 0) return fail(fd);
  if (reuse_port && set_int(fd, SOL_SOCKET, SO_REUSEPORT, 1) < 0) return fail(fd);
  set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (bind(fd, (struct sockaddr *)&storage, length) < 0) return fail(fd);
  if (listen(fd, backlog) < 0) return fail(fd);
  return fd;
}

int clinux_accept(int listener, clinux_address *peer) {
  struct sockaddr_storage storage;
  socklen_t length = sizeof storage;
  int fd = accept4(listener, (struct sockaddr *)&storage, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) return -errno;
  from_sockaddr(&storage, peer);
  return fd;
}

int clinux_connect(clinux_address address, const clinux_address *source, int bind_source, int keep_alive,
                   unsigned user_timeout_ms, int *in_progress) {
  struct sockaddr_storage storage;
  socklen_t length = to_sockaddr(address, &storage);
  *in_progress = 0;
  int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -errno;
  set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  if (keep_alive) {
    set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, 30);
    set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, 10);
    set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
  }
  if (user_timeout_ms) set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, (int)user_timeout_ms);
  if (bind_source) {
    struct sockaddr_storage from;
    socklen_t from_length = to_sockaddr(*source, &from);
    if (source->port == 0) set_int(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
    if (bind(fd, (struct sockaddr *)&from, from_length) < 0) return fail(fd);
  }
  if (connect(fd, (struct sockaddr *)&storage, length) == 0) return fd;
  if (errno != EINPROGRESS) return fail(fd);
  *in_progress = 1;
  return fd;
}

int clinux_set_nonblocking(int fd) {
  int flags = fcntl(fd, F_GETFL);
  if (flags < 0) return -errno;
  return result(fcntl(fd, F_SETFL, flags | O_NONBLOCK));
}

int clinux_set_nodelay(int fd) { return set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1); }

int clinux_socket_error(int fd) {
  int code = 0;
  socklen_t length = sizeof code;
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &length) < 0 ? errno : code;
}

int clinux_local_address(int fd, clinux_address *out) {
  struct sockaddr_storage storage;
  socklen_t length = sizeof storage;
  if (getsockname(fd, (struct sockaddr *)&storage, &length) < 0) return -errno;
  return from_sockaddr(&storage, out);
}

int clinux_peer_address(int fd, clinux_address *out) {
  struct sockaddr_storage storage;
  socklen_t length = sizeof storage;
  if (getpeername(fd, (struct sockaddr *)&storage, &length) < 0) return -errno;
  return from_sockaddr(&storage, out);
}

int clinux_unread_bytes(int fd) {
  int n = 0;
  return ioctl(fd, FIONREAD, &n) < 0 ? -errno : n;
}

int clinux_shutdown_write(int fd) { return result(shutdown(fd, SHUT_WR)); }

int clinux_set_reset_on_close(int fd) {
  struct linger linger = {.l_onoff = 1, .l_linger = 0};
  return result(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
}

long clinux_recv(int fd, void *buffer, size_t size) {
  for (;;) {
    ssize_t n = syscall(SYS_recvfrom, fd, buffer, size, 0, NULL, NULL);
    if (n >= 0) return n;
    if (errno != EINTR) return -errno;
  }
}

long clinux_peek(int fd) {
  char byte;
  for (;;) {
    ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n >= 0) return n;
    if (errno != EINTR) return -errno;
  }
}

long clinux_send(int fd, const void *buffer, size_t size) {
  for (;;) {
    ssize_t n = syscall(SYS_sendto, fd, buffer, size, MSG_NOSIGNAL, NULL, 0);
    if (n >= 0) return n;
    if (errno != EINTR) return -errno;
  }
}

void clinux_close(int fd) { close(fd); }

// MARK: clocks

static uint64_t clock_ns(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

uint64_t clinux_monotonic_ns(void) { return clock_ns(CLOCK_MONOTONIC); }
int64_t clinux_wall_ms(void) { return (int64_t)(clock_ns(CLOCK_REALTIME) / 1000000); }

// MARK: process

static int release_constant_segments(struct dl_phdr_info *object, size_t size, void *unused) {
  (void)size, (void)unused;
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
    /* What can be written is the process's own and would be lost. */
    if (segment->p_type != PT_LOAD || segment->p_flags & PF_W) continue;
    uintptr_t start = (object->dlpi_addr + segment->p_vaddr + page - 1) & ~(page - 1);
    uintptr_t end = (object->dlpi_addr + segment->p_vaddr + segment->p_filesz) & ~(page - 1);
    if (start < end) (void)madvise((void *)start, end - start, MADV_DONTNEED);
  }
  return 0;
}

void clinux_release_code(void) { (void)dl_iterate_phdr(release_constant_segments, NULL); }

void clinux_return_memory(void) { (void)malloc_trim(0); }

long clinux_raise_file_limit(void) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
  }
  return (long)limit.rlim_cur;
}

int clinux_reserve_files(int count) {
  int highest = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, count - 1);
  if (highest < 0) return -errno;
  close(highest);
  return 0;
}

int clinux_forbid_dumps(void) {
  struct rlimit none = {0, 0};
  if (setrlimit(RLIMIT_CORE, &none) < 0) return -errno;
  return result(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
}

const char *clinux_error_text(int code) {
  const char *text = strerrordesc_np(code);
  return text ? text : "unknown error";
}

void clinux_name_thread(const char *name) { pthread_setname_np(pthread_self(), name); }

struct clinux_file clinux_file_status(const char *path, int follow) {
  struct clinux_file file = {CLINUX_MISSING, 0, 0, 0};
  struct stat status;
  if ((follow ? stat(path, &status) : lstat(path, &status)) != 0) return file;
  file.kind = S_ISREG(status.st_mode)   ? CLINUX_FILE
              : S_ISDIR(status.st_mode) ? CLINUX_DIRECTORY
              : S_ISLNK(status.st_mode) ? CLINUX_LINK
                                        : CLINUX_OTHER;
  file.permissions = status.st_mode & 0777;
  file.owner = status.st_uid;
  file.links = status.st_nlink;
  return file;
}

static _Thread_local int wiping;

void clinux_wiping_begin(void) { wiping++; }
void clinux_wiping_end(void) { wiping--; }

void *clinux_wiping_malloc(size_t size, const char *file, int line) {
  (void)file, (void)line;
  return malloc(size);
}

void clinux_wiping_free(void *bytes, const char *file, int line) {
  (void)file, (void)line;
  if (wiping && bytes) explicit_bzero(bytes, malloc_usable_size(bytes));
  free(bytes);
}

void *clinux_wiping_realloc(void *bytes, size_t size, const char *file, int line) {
  if (!wiping || !bytes || !size) return realloc(bytes, size);
  void *moved = malloc(size);
  if (!moved) return NULL;
  size_t had = malloc_usable_size(bytes);
  memcpy(moved, bytes, had < size ? had : size);
  clinux_wiping_free(bytes, file, line);
  return moved;
}
