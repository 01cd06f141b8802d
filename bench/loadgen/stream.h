// What the bytes of a bulk stream must be, so that a proxy that loses, repeats or reorders some is noticed.
#pragma once

#include <stddef.h>
#include <stdint.h>

// The first byte a client of the TCP backend sends says what it wants.
enum { WANT_STREAM = 'S', WANT_ECHO = 'E' };

// The stream repeats itself after so many bytes: a prime's multiple, so that a lost block of a round size shows.
enum { PATTERN_BYTES = 1021 * 1024 };

static inline uint8_t pattern_byte(uint64_t position) {
  uint32_t index = (uint32_t)(position % PATTERN_BYTES);
  return (uint8_t)((index * 2654435761u) >> 24);
}
