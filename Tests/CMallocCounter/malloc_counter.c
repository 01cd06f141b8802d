#include "malloc_counter.h"

#include <stddef.h>

#if defined(__GLIBC__)

#include <errno.h>
#include <execinfo.h>
#include <malloc.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *pointer, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *pointer);

// The initial-exec model keeps the first access from a thread from allocating itself.
static __thread uint64_t count __attribute__((tls_model("initial-exec")));
static __thread int trace __attribute__((tls_model("initial-exec")));
static __thread int64_t held __attribute__((tls_model("initial-exec")));

static void counted(void) {
  count += 1;
  if (trace > 0) {
    int left = trace - 1;
    trace = 0;  // backtrace itself may allocate
    void *frames[24];
    int depth = backtrace(frames, 24);
    backtrace_symbols_fd(frames, depth, 2);
    (void)!write(2, "--\n", 3);
    trace = left;
  }
}

static void *hold(void *pointer) {
  held += (int64_t)malloc_usable_size(pointer);
  return pointer;
}

void *malloc(size_t size) {
  counted();
  return hold(__libc_malloc(size));
}

void *calloc(size_t items, size_t size) {
  counted();
  return hold(__libc_calloc(items, size));
}

void *realloc(void *pointer, size_t size) {
  counted();
  int64_t before = (int64_t)malloc_usable_size(pointer);
  void *moved = __libc_realloc(pointer, size);
  // Nothing has happened when it failed.
  if (moved != NULL || size == 0) held -= before;
  return hold(moved);
}

void *memalign(size_t alignment, size_t size) {
  counted();
  return hold(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size) {
  counted();
  return hold(__libc_memalign(alignment, size));
}

int posix_memalign(void **result, size_t alignment, size_t size) {
  counted();
  if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0) {
    return EINVAL;
  }
  void *pointer = __libc_memalign(alignment, size);
  if (pointer == NULL) {
    return ENOMEM;
  }
  *result = hold(pointer);
  return 0;
}

void free(void *pointer) {
  held -= (int64_t)malloc_usable_size(pointer);
  __libc_free(pointer);
}

uint64_t apus_malloc_count(void) { return count; }

int64_t apus_malloc_held(void) { return held; }

void apus_malloc_trace(int limit) { trace = limit; }

void apus_malloc_probe(void) {
  void *volatile pointer = malloc(100);
  free(pointer);
}

#else

uint64_t apus_malloc_count(void) { return 0; }

int64_t apus_malloc_held(void) { return 0; }

void apus_malloc_trace(int limit) { (void)limit; }

void apus_malloc_probe(void) {}

#endif
