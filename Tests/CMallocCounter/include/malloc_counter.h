// Counts the calls of the calling thread into the allocator (tests only).
//
// Linking this target replaces malloc and its relatives in the whole test process: each call is
// counted in a thread-local variable and passed on to glibc's own allocator.

#ifndef APUS_MALLOC_COUNTER_H
#define APUS_MALLOC_COUNTER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Allocations (malloc, calloc, realloc, posix_memalign, aligned_alloc, memalign) of the calling
/// thread so far; 0 forever where glibc's allocator cannot be replaced.
uint64_t apus_malloc_count(void);

/// Bytes that the calling thread has allocated and not freed. What another thread frees counts against that thread, so
/// differences mean something for memory that stays on its thread.
int64_t apus_malloc_held(void);

/// Allocates and frees once, which optimizers leave alone: tells whether counting works here.
void apus_malloc_probe(void);

/// Prints a stack trace to standard error for each of the calling thread's next `limit`
/// allocations; 0 ends that. A tool to find out who allocates.
void apus_malloc_trace(int limit);

#ifdef __cplusplus
}
#endif

#endif
