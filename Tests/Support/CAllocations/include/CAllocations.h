// Counts what a thread takes from the allocator, for tests which claim that it takes nothing.
#pragma once
#include <stdint.h>

// How often the calling thread has allocated; -1 where a sanitizer has an allocator of its own.
int64_t test_allocations(void);
