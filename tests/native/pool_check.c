/* The thread pool without Python: for systems and tools where there is no Python to load it, such as Windows under an
   emulator. Every task of every run must have been done exactly once when the run returns; prints "ok". */

#include <stdatomic.h>
#include <stdio.h>

#include "memory.h"
#include "platform.h"
#include "pool.h"

enum { TASKS = 200, RUNS = 3000, CALLERS = 3 };

static atomic_int failures, finished;

static void count_task(void *context, ptrdiff_t task, char *scratch)
{
    scratch[0] = (char)task;
    ((int *)context)[task]++;
    if (scratch[0] != (char)task) atomic_fetch_add(&failures, 1); /* scratch memory is a thread's own */
}

static void run_often(void)
{
    int done[TASKS] = {0};
    if (!pool_reserve(1 << 16)) atomic_fetch_add(&failures, 1);
    for (int run = 0; run < RUNS; run++) {
        unsigned long long saved = pool_flush_denormals();
        pool_enter();
        pool_run(count_task, done, TASKS, run % 2 ? 1e9 : 50e3); /* small or not, by how far apart the threads are */
        pool_leave();
        pool_restore_denormals(saved);
        for (int i = 0; i < TASKS; i++)
            if (done[i] != run + 1) atomic_fetch_add(&failures, 1);
    }
}

THREAD_FUNCTION(call)
{
    (void)unused;
    run_often();
    atomic_fetch_add(&finished, 1);
    return 0;
}

int main(void)
{
    const int sizes[] = {1, 2, 5, 3};
    char *memory = memory_allocate((size_t)5 << 20);
    if (!memory || (uintptr_t)memory % 64) atomic_fetch_add(&failures, 1);
    memory[((size_t)5 << 20) - 1] = 1;
    memory_free(memory);
    for (int i = 0; i < 4; i++) {
        thread_t callers[CALLERS];
        int started = 0;
        pool_resize(sizes[i], 2);
        if (pool_size() != sizes[i]) atomic_fetch_add(&failures, 1);
        while (started < CALLERS && start_thread(&callers[started], call)) started++;
        run_often();
        for (int j = 0; j < started; j++) join_thread(callers[j]);
        if (started != CALLERS) atomic_fetch_add(&failures, 1);
    }
    if (finished != 4 * CALLERS || failures) {
        printf("%d failures, %d callers finished\n", (int)failures, (int)finished);
        return 1;
    }
    puts("ok");
    return 0;
}
