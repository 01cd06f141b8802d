#include "http1.h"

#include <stdlib.h>
#include <string.h>

#include "support.h"

const char http1_request[] = "GET / HTTP/1.1\r\nHost: bench.test\r\nUser-Agent: loadgen\r\n\r\n";

size_t http1_request_size(void) { return sizeof http1_request - 1; }

static void read_head(struct http1_response *response) {
  response->head[response->head_size] = 0;
  if (strncmp(response->head, "HTTP/1.1 200 ", 13) != 0) fail("not a 200: %.60s", response->head);
  const char *length = strcasestr(response->head, "\r\ncontent-length:");
  if (length == NULL) fail("a response without Content-Length");
  response->body_left = strtoul(length + strlen("\r\ncontent-length:"), NULL, 10);
  response->in_body = true;
}

// Appends to the head until its end; returns how many bytes belonged to it.
static size_t feed_head(struct http1_response *response, const char *bytes, size_t count) {
  size_t taken = 0;
  while (taken < count && !response->in_body) {
    if (response->head_size + 1 == sizeof response->head) fail("a response head of more than 4 KiB");
    response->head[response->head_size++] = bytes[taken++];
    if (response->head_size >= 4 && memcmp(response->head + response->head_size - 4, "\r\n\r\n", 4) == 0)
      read_head(response);
  }
  return taken;
}

bool http1_feed(struct http1_response *response, const char *bytes, size_t count) {
  size_t taken = response->in_body ? 0 : feed_head(response, bytes, count);
  if (!response->in_body) return false;
  size_t rest = count - taken;
  if (rest > response->body_left) fail("bytes after the end of a response");
  response->body_left -= rest;
  if (response->body_left > 0) return false;
  response->head_size = 0;
  response->in_body = false;
  return true;
}
