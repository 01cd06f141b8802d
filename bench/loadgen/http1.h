// As much of HTTP/1.1 as a load generator needs: one fixed request, responses with Content-Length.
#pragma once

#include <stdbool.h>
#include <stddef.h>

extern const char http1_request[];
size_t http1_request_size(void);

struct http1_response {
  char head[4096];     // what has arrived of the head
  size_t head_size;
  size_t body_left;
  bool in_body;
};

// Takes bytes of a response. True: it is complete, and the reader is ready for the next one. Anything other than a 200
// with Content-Length, or bytes after the response, fails the run.
bool http1_feed(struct http1_response *, const char *bytes, size_t count);
