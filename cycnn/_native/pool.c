/* How the pool works: see pool.h for what it promises. */

#define _GNU_SOURCE /* processors, below */

#include "pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

/* Work below this many scalar operations is not worth waking anyone for (about 5 microseconds). */
#define SMALL_WORK 50000.0
/* Nanoseconds that a waiting thread spins before it sleeps: about what waking it would cost. */
#define SPIN 50000
#define SCRATCH_ALIGNMENT 4096

/* The state of the current run in one word: its number, whether workers may still join, how many have. */
#define OPEN ((uint64_t)1 << 15)
#define ACTIVE (OPEN - 1)
#define RUN_ONE ((uint64_t)1 << 16)
#define RUN_OF(state) ((state) / RUN_ONE)

static struct {
    pthread_mutex_t owner; /* held by the thread whose run the workers serve, and while resizing */
    pthread_mutex_t lock;  /* protects the two conditions */
    pthread_cond_t wake, finished;
    _Atomic uint64_t state;
    _Atomic ptrdiff_t next;
    _Atomic int sleepers, waiting, stop;
    task_t task;
    void *context;
    ptrdiff_t count;
    _Atomic int cpu; /* where the last run was called */
    size_t scratch_bytes;
    pthread_t *workers;
    int started, wanted;
    int64_t spin; /* SPIN, or 0 with more threads than processors */
} pool = {
    .owner = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER,
    .wake = PTHREAD_COND_INITIALIZER, .finished = PTHREAD_COND_INITIALIZER,
    .spin = SPIN,
};

static _Thread_local struct { char *data; size_t bytes; int inside; } self;
static pthread_key_t scratch_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static inline void pause_cpu(void)
{
#if defined(__SSE__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

static int64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * (int64_t)1000000000 + now.tv_nsec;
}

unsigned long long pool_flush_denormals(void)
{
#if defined(__SSE__)
    unsigned int saved = _mm_getcsr();
    _mm_setcsr(saved | 0x8040); /* flush results to zero, read denormals as zero */
    return saved;
#elif defined(__aarch64__)
    unsigned long long saved;
    __asm__ __volatile__("mrs %0, fpcr" : "=r"(saved));
    __asm__ __volatile__("msr fpcr, %0" : : "r"(saved | (1ull << 24)));
    return saved;
#else
    return 0;
#endif
}

void pool_restore_denormals(unsigned long long saved)
{
#if defined(__SSE__)
    _mm_setcsr((unsigned int)saved);
#elif defined(__aarch64__)
    __asm__ __volatile__("msr fpcr, %0" : : "r"(saved));
#else
    (void)saved;
#endif
}

/* A forked child has none of the workers and may have inherited any lock: start afresh. */
static void reset_after_fork(void)
{
    pthread_mutex_init(&pool.owner, NULL);
    pthread_mutex_init(&pool.lock, NULL);
    pthread_cond_init(&pool.wake, NULL);
    pthread_cond_init(&pool.finished, NULL);
    pool.state = 0;
    pool.sleepers = pool.waiting = pool.stop = 0;
    pool.workers = NULL;
    pool.started = 0;
    self.inside = 0;
}

static void initialise(void)
{
    pthread_key_create(&scratch_key, free);
    pthread_atfork(NULL, NULL, reset_after_fork);
}

int pool_reserve(size_t bytes)
{
    pthread_once(&once, initialise);
    if (self.bytes < bytes) {
        void *data;
        if (posix_memalign(&data, SCRATCH_ALIGNMENT, bytes)) return 0;
        free(self.data);
        self.data = data;
        self.bytes = bytes;
        pthread_setspecific(scratch_key, data);
    }
    return 1;
}

static void run_tasks(void)
{
    ptrdiff_t i;
    while ((i = atomic_fetch_add_explicit(&pool.next, 1, memory_order_relaxed)) < pool.count)
        pool.task(pool.context, i, self.data);
}

/* Join the run in `state`, if it is new to this worker and open; returns whether it was served. */
static int serve(uint64_t state)
{
    if (!atomic_compare_exchange_strong(&pool.state, &state, state + 1)) return 0;
    if (pool_reserve(pool.scratch_bytes)) run_tasks();
    state = atomic_fetch_sub(&pool.state, 1) - 1;
    if (!(state & (OPEN | ACTIVE)) && atomic_load(&pool.waiting)) {
        pthread_mutex_lock(&pool.lock);
        pthread_cond_signal(&pool.finished);
        pthread_mutex_unlock(&pool.lock);
    }
    return 1;
}

static int is_new(uint64_t state, uint64_t seen) { return (state & OPEN) && RUN_OF(state) != seen; }

/* Spin until a run opens that is new to this worker, for a while; returns whether one has. */
static int spin_for_run(uint64_t seen)
{
    int64_t end = nanoseconds() + pool.spin;
    do {
        for (int i = 0; i < 64; i++) {
            if (is_new(atomic_load(&pool.state), seen)) return 1;
            pause_cpu();
        }
    } while (nanoseconds() < end && !atomic_load(&pool.stop));
    return 0;
}

#if defined(__linux__)
/* A thread that sleeps here wakes up on another processor than the caller's, if it may. Left to itself, Linux often
   takes a halted virtual processor for a busy one, and queues the thread behind the caller for milliseconds. */
typedef struct { cpu_set_t all, others; int set; } processors_t;

static void leave_caller(processors_t *processors)
{
    processors->set = 0;
    if (sched_getaffinity(0, sizeof processors->all, &processors->all)) return;
    processors->others = processors->all;
    CPU_CLR(atomic_load(&pool.cpu), &processors->others);
    if (CPU_COUNT(&processors->others) == 0) return;
    processors->set = !sched_setaffinity(0, sizeof processors->others, &processors->others);
}

static void restore_processors(processors_t *processors)
{
    cpu_set_t now;
    if (processors->set && !sched_getaffinity(0, sizeof now, &now) && CPU_EQUAL(&now, &processors->others))
        sched_setaffinity(0, sizeof processors->all, &processors->all); /* unless somebody else has changed them */
}
#else
typedef int processors_t;
static void leave_caller(processors_t *processors) { (void)processors; }
static void restore_processors(processors_t *processors) { (void)processors; }
static int sched_getcpu(void) { return 0; }
#endif

/* Sleep until woken, if not for this run then for another soon: runs that are shorter than waking up takes would
   otherwise never be joined. The caller of this function spins next. */
static void sleep_for_run(uint64_t seen)
{
    processors_t processors;
    leave_caller(&processors);
    pthread_mutex_lock(&pool.lock);
    atomic_fetch_add(&pool.sleepers, 1);
    if (!is_new(atomic_load(&pool.state), seen) && !atomic_load(&pool.stop))
        pthread_cond_wait(&pool.wake, &pool.lock);
    atomic_fetch_sub(&pool.sleepers, 1);
    pthread_mutex_unlock(&pool.lock);
    restore_processors(&processors);
}

static void *work(void *unused)
{
    uint64_t seen = 0, state;
    (void)unused;
    pool_flush_denormals();
    self.inside = 1;
    while (!atomic_load(&pool.stop)) {
        state = atomic_load(&pool.state);
        if (is_new(state, seen)) {
            if (serve(state)) seen = RUN_OF(state);
        } else if (!spin_for_run(seen)) {
            sleep_for_run(seen);
        }
    }
    return NULL;
}

static void wake_all(void)
{
    pthread_mutex_lock(&pool.lock);
    pthread_cond_broadcast(&pool.wake);
    pthread_mutex_unlock(&pool.lock);
}

/* Called with `owner` held. Fewer workers than wanted is no error: the caller does what they leave. */
static void start_workers(void)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    if (!(pool.workers = calloc((size_t)pool.wanted, sizeof(pthread_t)))) return;
    sigfillset(&all); /* signals belong to Python's threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 1 << 20);
    while (pool.started < pool.wanted
           && !pthread_create(&pool.workers[pool.started], &attributes, work, NULL))
        pool.started++;
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void stop_workers(void)
{
    atomic_store(&pool.stop, 1);
    wake_all();
    for (int i = 0; i < pool.started; i++) pthread_join(pool.workers[i], NULL);
    free(pool.workers);
    pool.workers = NULL;
    pool.started = 0;
    atomic_store(&pool.stop, 0);
}

void pool_resize(int threads, int cpus)
{
    pthread_once(&once, initialise);
    pthread_mutex_lock(&pool.owner);
    stop_workers();
    pool.wanted = threads - 1;
    pool.spin = threads <= cpus ? SPIN : 0;
    pthread_mutex_unlock(&pool.owner);
}

int pool_size(void) { return pool.wanted + 1; }

static void wait_for_workers(void)
{
    int64_t end = nanoseconds() + pool.spin;
    do {
        for (int i = 0; i < 64; i++) {
            if (!(atomic_load(&pool.state) & ACTIVE)) return;
            pause_cpu();
        }
    } while (nanoseconds() < end);
    pthread_mutex_lock(&pool.lock);
    atomic_store(&pool.waiting, 1);
    while (atomic_load(&pool.state) & ACTIVE) pthread_cond_wait(&pool.finished, &pool.lock);
    atomic_store(&pool.waiting, 0);
    pthread_mutex_unlock(&pool.lock);
}

void pool_run(task_t task, void *context, ptrdiff_t count, double cost)
{
    /* Small work, a run inside a run, and a run beside another thread's run stay on this thread. */
    if (count < 2 || cost < SMALL_WORK || pool.wanted < 1 || self.inside
        || pthread_mutex_trylock(&pool.owner)) {
        for (ptrdiff_t i = 0; i < count; i++) task(context, i, self.data);
        return;
    }
    if (!pool.workers) start_workers();
    self.inside = 1;
    pool.task = task;
    pool.context = context;
    pool.count = count;
    atomic_store(&pool.cpu, sched_getcpu());
    pool.scratch_bytes = self.bytes;
    atomic_store(&pool.next, 0);
    atomic_store(&pool.state, (RUN_OF(atomic_load(&pool.state)) + 1) * RUN_ONE | OPEN);
    if (atomic_load(&pool.sleepers)) wake_all();
    run_tasks();
    atomic_fetch_and(&pool.state, ~OPEN);
    wait_for_workers();
    self.inside = 0;
    pthread_mutex_unlock(&pool.owner);
}
