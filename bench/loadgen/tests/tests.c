// The arithmetic the latencies rest on: buckets, percentiles, the pattern of the streams. Ends with status 1 at the first failure.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "histogram.h"
#include "http1.h"
#include "stream.h"

#define EXPECT(condition) \
  do { \
    if (!(condition)) { \
      fprintf(stderr, "%s:%d: %s is false\n", __FILE__, __LINE__, #condition); \
      exit(1); \
    } \
  } while (0)

static struct histogram *empty(void) {
  static struct histogram histogram;
  memset(&histogram, 0, sizeof histogram);
  return &histogram;
}

static void nothing_recorded_is_zero(void) { EXPECT(histogram_percentile(empty(), 0.5) == 0); }

static void small_values_are_exact(void) {
  struct histogram *histogram = empty();
  for (uint64_t value = 1; value <= 100; value++) histogram_record(histogram, value);
  EXPECT(histogram_percentile(histogram, 0.5) == 50);
  EXPECT(histogram_percentile(histogram, 0.99) == 99);
  EXPECT(histogram_percentile(histogram, 0.999) == 100);
  EXPECT(histogram_percentile(histogram, 0) == 1);
}

static void a_single_value_is_every_percentile(void) {
  static const uint64_t values[] = {0, 1, 127, 128, 129, 255, 256, 1000003, UINT64_MAX / 2, UINT64_MAX};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    struct histogram *histogram = empty();
    histogram_record(histogram, values[i]);
    EXPECT(histogram_percentile(histogram, 0.001) == values[i]);
    EXPECT(histogram_percentile(histogram, 1) == values[i]);
  }
}

// Each value stands beside a larger one, so that its own bucket's end is what is reported.
static void a_bucket_is_no_wider_than_its_share(void) {
  for (uint64_t value = 1; value < UINT64_MAX / 4; value += value / 7 + 1) {
    struct histogram *histogram = empty();
    histogram_record(histogram, value);
    histogram_record(histogram, UINT64_MAX);
    uint64_t reported = histogram_percentile(histogram, 0.5);
    EXPECT(reported >= value);
    EXPECT(reported - value <= value / 128);
  }
}

static void one_slow_request_in_a_thousand_is_the_last_percentile(void) {
  struct histogram *histogram = empty();
  for (int i = 0; i < 998; i++) histogram_record(histogram, 100);
  histogram_record(histogram, 5000000);
  histogram_record(histogram, 5000000);
  EXPECT(histogram_percentile(histogram, 0.99) == 100);
  EXPECT(histogram_percentile(histogram, 0.999) == 5000000);
}

static void a_response_is_read_at_every_split(void) {
  static const char text[] = "HTTP/1.1 200 OK\r\nContent-length: 5\r\nX: y\r\n\r\nhello";
  size_t size = sizeof text - 1;
  for (size_t split = 1; split < size; split++) {
    struct http1_response response = {0};
    EXPECT(!http1_feed(&response, text, split));
    EXPECT(http1_feed(&response, text + split, size - split));
    EXPECT(http1_feed(&response, text, size));
  }
}

static void the_pattern_differs_at_a_round_offset(void) {
  int same = 0;
  for (uint64_t position = 0; position < 4096; position++) same += pattern_byte(position) == pattern_byte(position + 16384);
  EXPECT(same < 256);
  EXPECT(pattern_byte(3) == pattern_byte(3 + PATTERN_BYTES));
}

int main(void) {
  nothing_recorded_is_zero();
  small_values_are_exact();
  a_single_value_is_every_percentile();
  a_bucket_is_no_wider_than_its_share();
  one_slow_request_in_a_thousand_is_the_last_percentile();
  a_response_is_read_at_every_split();
  the_pattern_differs_at_a_round_offset();
  puts("loadgen: tests passed");
}
