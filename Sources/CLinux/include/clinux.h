// Linux system calls for MeshRuntime, in shapes that Swift can call without unions or variadic functions.
// Every call that can fail returns -errno. Nothing here keeps state or allocates, except clinux_events_new and
// clinux_wiping_*.
#ifndef CLINUX_H
#define CLINUX_H

#include <stddef.h>
#include <stdint.h>

// An IPv6 or IPv4-mapped address: the halves in host order, as MeshCore.SocketAddress holds them.
typedef struct {
  uint64_t high;
  uint64_t low;
  uint16_t port;
} clinux_address;

// MARK: epoll

#define CLINUX_IN 0x001u
#define CLINUX_OUT 0x004u
#define CLINUX_ERR 0x008u
#define CLINUX_HUP 0x010u
#define CLINUX_RDHUP 0x2000u
#define CLINUX_EDGE (1u << 31)

int clinux_epoll_create(void);
int clinux_epoll_add(int epoll, int fd, uint32_t events, uint64_t key);
int clinux_epoll_modify(int epoll, int fd, uint32_t events, uint64_t key);
int clinux_epoll_remove(int epoll, int fd);
// Waits and fills `events` (from clinux_events_new). A signal counts as zero events.
int clinux_epoll_wait(int epoll, void *events, int capacity, int timeout_ms);
void *clinux_events_new(int capacity);
void clinux_events_free(void *events);
uint64_t clinux_event_key(const void *events, int index);
uint32_t clinux_event_flags(const void *events, int index);

// MARK: eventfd

int clinux_eventfd(void);
int clinux_eventfd_signal(int fd);
int clinux_eventfd_drain(int fd);

// MARK: sockets

// A listening, non-blocking socket with SO_REUSEADDR, SO_REUSEPORT when asked, and TCP_NODELAY (inherited).
int clinux_listen(clinux_address address, int backlog, int reuse_port);
int clinux_accept(int listener, clinux_address *peer);
// A connecting, non-blocking socket. `*in_progress` is 1 when completion comes by EPOLLOUT. `source` counts if
// `bind_source`. `user_timeout_ms` 0 leaves TCP_USER_TIMEOUT alone.
int clinux_connect(clinux_address address, const clinux_address *source, int bind_source, int keep_alive,
                   unsigned user_timeout_ms, int *in_progress);
int clinux_set_nonblocking(int fd);
int clinux_set_nodelay(int fd);
int clinux_socket_error(int fd);
int clinux_local_address(int fd, clinux_address *out);
int clinux_peer_address(int fd, clinux_address *out);
int clinux_unread_bytes(int fd);
int clinux_shutdown_write(int fd);
// Makes the coming close send RST.
int clinux_set_reset_on_close(int fd);
long clinux_recv(int fd, void *buffer, size_t size);
// 1 when a byte waits, 0 at the peer's end, -EAGAIN when there is nothing. Never blocks, takes nothing.
long clinux_peek(int fd);
// MSG_NOSIGNAL: a closed peer is an error, never SIGPIPE.
long clinux_send(int fd, const void *buffer, size_t size);
void clinux_close(int fd);

// MARK: clocks

uint64_t clinux_monotonic_ns(void);
int64_t clinux_wall_ms(void);

/* What stat(2) says of a file. Here and not in Swift, where `struct stat` belongs to whichever module is loaded first. */
enum clinux_file_kind { CLINUX_MISSING, CLINUX_FILE, CLINUX_DIRECTORY, CLINUX_LINK, CLINUX_OTHER };
struct clinux_file {
  int32_t kind;
  uint32_t permissions; /* the lowest nine bits of the mode */
  uint32_t owner;
  uint64_t links;
};
/* Follows a symbolic link if `follow`. A file that cannot be looked at is CLINUX_MISSING, and errno tells why. */
struct clinux_file clinux_file_status(const char *path, int follow);

// MARK: process

// Sets the limit of open files to its hard maximum and returns it.
long clinux_raise_file_limit(void);

// Has the kernel make room for so many descriptors now (8 bytes each). Grown later, under threads, the table costs whoever opens the
// next file a wait for all cores (synchronize_rcu), 5 to 15 ms. Needs standard error to be open; 0 or -errno.
int clinux_reserve_files(int count);

// No core file of this process, and nobody but root may trace it or read its memory. 0 or -errno.
int clinux_forbid_dumps(void);

// The C allocator, for a library that asks for its own functions (file and line are the caller's, unused): between begin and end what the
// calling thread frees is wiped first. For libraries that leave copies of secrets on the heap.
void clinux_wiping_begin(void);
void clinux_wiping_end(void);
void *clinux_wiping_malloc(size_t size, const char *file, int line);
void *clinux_wiping_realloc(void *bytes, size_t size, const char *file, int line);
void clinux_wiping_free(void *bytes, const char *file, int line);

// Gives free pages of the C allocator back to the system.
void clinux_return_memory(void);
// Takes the program's code and constants out of memory; what is still needed comes back from the page cache, page by page.
void clinux_release_code(void);
// The words for an errno value, never NULL. Static storage.
const char *clinux_error_text(int code);
void clinux_name_thread(const char *name);

#endif
