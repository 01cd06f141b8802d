// Latencies in nanoseconds, in buckets no wider than 1/128 of their value: any 64-bit value, no allocation.
#pragma once

#include <stdint.h>

enum { HISTOGRAM_BITS = 7, HISTOGRAM_BUCKETS = (65 - HISTOGRAM_BITS) << HISTOGRAM_BITS };

struct histogram {
  uint64_t counts[HISTOGRAM_BUCKETS];
  uint64_t total;
  uint64_t largest;
};

void histogram_record(struct histogram *, uint64_t value);

// The smallest recorded value that at least `share` (0 to 1) of all are at most, rounded up to the end of its bucket
// and never above the largest; 0 when nothing was recorded.
uint64_t histogram_percentile(const struct histogram *, double share);
