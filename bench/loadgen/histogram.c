#include "histogram.h"

#include <math.h>

enum { LINEAR = 1 << HISTOGRAM_BITS };

// Values below LINEAR have a bucket each; above, every power of two is cut into LINEAR buckets.
static uint32_t bucket_of(uint64_t value) {
  if (value < LINEAR) return (uint32_t)value;
  uint32_t shift = 63 - HISTOGRAM_BITS - (uint32_t)__builtin_clzll(value);
  return ((shift + 1) << HISTOGRAM_BITS) + (uint32_t)((value >> shift) - LINEAR);
}

static uint64_t last_of(uint32_t bucket) {
  if (bucket < LINEAR) return bucket;
  uint32_t shift = (bucket >> HISTOGRAM_BITS) - 1;
  uint64_t first = (uint64_t)(LINEAR + (bucket & (LINEAR - 1))) << shift;
  return first + ((1ull << shift) - 1);
}

void histogram_record(struct histogram *histogram, uint64_t value) {
  histogram->counts[bucket_of(value)]++;
  histogram->total++;
  if (value > histogram->largest) histogram->largest = value;
}

uint64_t histogram_percentile(const struct histogram *histogram, double share) {
  if (histogram->total == 0) return 0;
  uint64_t wanted = (uint64_t)ceil(share * (double)histogram->total);
  if (wanted == 0) wanted = 1;
  uint64_t seen = 0;
  for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
    seen += histogram->counts[bucket];
    if (seen >= wanted) {
      uint64_t last = last_of(bucket);
      return last < histogram->largest ? last : histogram->largest;
    }
  }
  return histogram->largest;
}
