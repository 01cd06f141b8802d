// The program behind the HTTP/2 and gRPC workloads: cleartext HTTP/2 with prior knowledge, the same small answer to every
// request. It reads frames, not header blocks: every request gets the answer, so nothing has to be decoded.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loop.h"
#include "support.h"

enum {
  FRAME_HEAD = 9, LARGEST_FRAME = 16384, INPUT = 4 * LARGEST_FRAME, OUTPUT = 1 << 20, STREAMS = 4096, OUR_WINDOW = 1 << 30,
  CREDIT_AFTER = 1 << 20,
  DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, PING = 6, GOAWAY = 7, WINDOW_UPDATE = 8, CONTINUATION = 9,
  END_STREAM = 1, ACK = 1, END_HEADERS = 4,
};

struct peer {
  struct watch watch;
  bool had_preface, ends_with_headers, is_blocked;
  int64_t window;                       // what we may still send on the connection
  uint32_t uncredited;                  // what we were sent and have not given back
  uint32_t waiting[STREAMS];            // streams whose answer waits for the window
  uint32_t waiting_count;
  size_t input_size, output_size;
  uint8_t input[INPUT], output[OUTPUT];
};

static bool is_grpc;

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static void store32(uint8_t *at, uint32_t value) {
  value = htonl(value);
  memcpy(at, &value, 4);
}

static uint32_t load32(const uint8_t *at) {
  uint32_t value;
  memcpy(&value, at, 4);
  return ntohl(value);
}

static void append(struct peer *peer, const void *bytes, size_t size) {
  if (peer->output_size + size > OUTPUT) fail("http2 backend: a client does not read its answers");
  memcpy(peer->output + peer->output_size, bytes, size);
  peer->output_size += size;
}

static void append_frame(struct peer *peer, uint8_t type, uint8_t flags, uint32_t stream, const void *bytes, size_t size) {
  uint8_t head[FRAME_HEAD];
  store32(head, (uint32_t)size << 8);
  head[3] = type;
  head[4] = flags;
  store32(head + 5, stream);
  append(peer, head, sizeof head);
  append(peer, bytes, size);
}

// MARK: answers

// Literal fields without indexing (RFC 7541, section 6.2.2); names from the static table where it has them.
static const char plain_head[] = "\x88\x0f\x10\x0atext/plain\x0f\x0d\x03" "100";
static const char plain_body[101] =
  "hello from the backend of the benchmark, a body of one hundred bytes: 01234567890123456789012345678\n";
static const char grpc_head[] = "\x88\x0f\x10\x10" "application/grpc";
static const char grpc_body[5 + 64] = "\0\0\0\0\x40" "a reply of sixty-four bytes: 0123456789012345678901234567890123";
static const char grpc_trailers[] = "\0\x0bgrpc-status\x01" "0";

static size_t body_size(void) { return is_grpc ? sizeof grpc_body : sizeof plain_body - 1; }

static void send_answer(struct peer *peer, uint32_t stream) {
  peer->window -= (int64_t)body_size();
  if (!is_grpc) {
    append_frame(peer, HEADERS, END_HEADERS, stream, plain_head, sizeof plain_head - 1);
    append_frame(peer, DATA, END_STREAM, stream, plain_body, body_size());
    return;
  }
  append_frame(peer, HEADERS, END_HEADERS, stream, grpc_head, sizeof grpc_head - 1);
  append_frame(peer, DATA, 0, stream, grpc_body, body_size());
  append_frame(peer, HEADERS, END_HEADERS | END_STREAM, stream, grpc_trailers, sizeof grpc_trailers - 1);
}

static void answer(struct peer *peer, uint32_t stream) {
  if (peer->window >= (int64_t)body_size() && peer->waiting_count == 0) return send_answer(peer, stream);
  if (peer->waiting_count == STREAMS) fail("http2 backend: too many streams wait for a window");
  peer->waiting[peer->waiting_count++] = stream;
}

static void answer_waiting(struct peer *peer) {
  uint32_t done = 0;
  while (done < peer->waiting_count && peer->window >= (int64_t)body_size()) send_answer(peer, peer->waiting[done++]);
  peer->waiting_count -= done;
  memmove(peer->waiting, peer->waiting + done, peer->waiting_count * sizeof *peer->waiting);
}

// MARK: frames

static void greet(struct peer *peer) {
  uint8_t settings[12], window[4];
  store32(settings, 3u << 16);   // MAX_CONCURRENT_STREAMS
  store32(settings + 2, STREAMS);
  store32(settings + 6, 4u << 16);   // INITIAL_WINDOW_SIZE
  store32(settings + 8, OUR_WINDOW);
  append_frame(peer, SETTINGS, 0, 0, settings, sizeof settings);
  store32(window, OUR_WINDOW);
  append_frame(peer, WINDOW_UPDATE, 0, 0, window, sizeof window);
}

static void credit(struct peer *peer, uint32_t size) {
  uint8_t window[4];
  peer->uncredited += size;
  if (peer->uncredited < CREDIT_AFTER) return;
  store32(window, peer->uncredited);
  append_frame(peer, WINDOW_UPDATE, 0, 0, window, sizeof window);
  peer->uncredited = 0;
}

static void on_frame(struct peer *peer, uint8_t type, uint8_t flags, uint32_t stream, const uint8_t *bytes, uint32_t size) {
  switch (type) {
    case DATA:
      credit(peer, size);
      if (flags & END_STREAM) answer(peer, stream);
      break;
    case HEADERS:
      peer->ends_with_headers = flags & END_STREAM;
      if ((flags & END_HEADERS) && peer->ends_with_headers) answer(peer, stream);
      break;
    case CONTINUATION:
      if ((flags & END_HEADERS) && peer->ends_with_headers) answer(peer, stream);
      break;
    case SETTINGS:
      if (!(flags & ACK)) append_frame(peer, SETTINGS, ACK, 0, NULL, 0);
      break;
    case PING:
      if (!(flags & ACK)) append_frame(peer, PING, ACK, 0, bytes, size);
      break;
    case WINDOW_UPDATE:
      if (stream == 0) peer->window += load32(bytes) & 0x7fffffff;
      answer_waiting(peer);
      break;
    default: break;   // RST_STREAM, GOAWAY and PRIORITY change nothing here
  }
}

// Handles the complete frames of the input and keeps the rest. False: not HTTP/2.
static bool take_input(struct peer *peer) {
  size_t at = 0;
  if (!peer->had_preface) {
    if (peer->input_size < sizeof preface - 1) return true;
    if (memcmp(peer->input, preface, sizeof preface - 1) != 0) return false;
    peer->had_preface = true;
    at = sizeof preface - 1;
    greet(peer);
  }
  while (peer->input_size - at >= FRAME_HEAD) {
    const uint8_t *head = peer->input + at;
    uint32_t size = load32(head) >> 8;
    if (size > LARGEST_FRAME) return false;
    if (peer->input_size - at < FRAME_HEAD + size) break;
    on_frame(peer, head[3], head[4], load32(head + 5) & 0x7fffffff, head + FRAME_HEAD, size);
    at += FRAME_HEAD + size;
  }
  peer->input_size -= at;
  memmove(peer->input, peer->input + at, peer->input_size);
  return true;
}

// MARK: sockets

static void close_peer(struct peer *peer) {
  close(peer->watch.fd);
  free(peer);
}

// One send for all answers of a turn. What does not fit waits for the socket.
static bool flush(struct peer *peer) {
  if (peer->output_size == 0) return true;
  ssize_t count = send(peer->watch.fd, peer->output, peer->output_size, MSG_NOSIGNAL);
  if (count < 0 && errno != EAGAIN) return false;
  if (count > 0) {
    peer->output_size -= (size_t)count;
    memmove(peer->output, peer->output + count, peer->output_size);
  }
  bool is_blocked = peer->output_size > 0;
  if (is_blocked != peer->is_blocked) loop_change(&peer->watch, is_blocked ? EPOLLIN | EPOLLOUT : EPOLLIN);
  peer->is_blocked = is_blocked;
  return true;
}

static void on_ready(struct watch *watch, uint32_t events) {
  struct peer *peer = (struct peer *)watch;
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
    ssize_t count = recv(watch->fd, peer->input + peer->input_size, INPUT - peer->input_size, 0);
    if (count == 0 || (count < 0 && errno != EAGAIN)) return close_peer(peer);
    if (count > 0) peer->input_size += (size_t)count;
    if (!take_input(peer)) return close_peer(peer);
  }
  if (!flush(peer)) close_peer(peer);
}

static void on_accept(struct watch *listener, uint32_t events) {
  (void)events;
  int one = 1, fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct peer *peer = calloc(1, sizeof *peer);
  peer->watch = (struct watch){.fd = fd, .ready = on_ready};
  peer->window = 65535;
  loop_add(&peer->watch, EPOLLIN);
}

void run_http2_backend(const struct options *options, bool grpc) {
  is_grpc = grpc;
  loop_open();
  struct watch listener = {.fd = listen_on(&options->target), .ready = on_accept};
  loop_add(&listener, EPOLLIN);
  for (;;) loop_turn(-1);
}
