/* How the pool works: see pool.h for what it promises. */

#define _GNU_SOURCE /* processors, below */

#include "pool.h"
#include "platform.h"

#include <stdatomic.h>
#if defined(__linux__)
#include <sched.h>
#endif

#if defined(__SSE__) || defined(_M_X64)
#define HAS_SSE
#include <xmmintrin.h>
#endif

/* Work below this cost is not worth dividing, by how far apart the threads run: about 1 and 10 microseconds. */
static const double SMALL_WORK[] = {12e3, 100e3};
/* Nanoseconds for a word from one core to another: 40 where they share the last cache, 250 where they do not. */
#define FAR_AWAY 120
#define SAMPLES 16 /* of which the quickest counts: others were held up */
/* Of so many small runs, some are divided to see whether threads have come nearer: a virtual processor moves. */
#define TRIAL 1024
/* Nanoseconds that a waiting thread spins before it sleeps: about what waking it would cost. */
#define SPIN 50000
/* Nanoseconds for which threads that have run programs at once are expected to do so again. */
#define CROWDED 1000000
#define SCRATCH_ALIGNMENT 4096
#define CACHE_LINE 64

/* The state of the current run in one word: its number, whether workers may still join, how many have. */
#define OPEN ((uint64_t)1 << 15)
#define ACTIVE (OPEN - 1)
#define RUN_ONE ((uint64_t)1 << 16)
#define RUN_OF(state) ((state) / RUN_ONE)

/* One thread of a run and the tasks that it begins with, in a line of the cache that is mostly its own. */
typedef struct { _Alignas(CACHE_LINE) _Atomic ptrdiff_t next; ptrdiff_t end; thread_t thread; } member_t;

static struct {
    lock_t owner; /* held by the thread whose run the workers serve, and while resizing */
    lock_t asleep; /* protects the two conditions */
    lock_t copying; /* held by the thread that makes a copy of a parameter */
    condition_t wake, finished;
    _Atomic uint64_t state;
    _Atomic int sleepers, waiting, stop;
    task_t task;
    void *context;
    _Atomic int cpu; /* where the last run was called */
    _Atomic int64_t called; /* when */
    _Atomic int apart; /* whether the threads do not share a cache */
    _Atomic unsigned int spared; /* runs that were small for this reason only */
    size_t scratch_bytes;
    member_t *members; /* the caller, and the workers; NULL before these are started */
    int started;
    _Atomic int numbered; /* workers that have taken their number, from 1 */
    _Atomic int wanted, helpers; /* workers, and those that may join the run */
    _Atomic int callers, crowd; /* threads that run programs, and how many others have done so lately */
    _Atomic int64_t crowded; /* until when these are expected again, or 0 */
    int64_t spin; /* SPIN, or 0 with more threads than processors */
} pool = {
    .owner = LOCK_INITIAL, .asleep = LOCK_INITIAL, .copying = LOCK_INITIAL,
    .wake = CONDITION_INITIAL, .finished = CONDITION_INITIAL, .spin = SPIN,
};

static THREAD_LOCAL struct { char *data; size_t bytes; int inside; } self;

static inline void pause_cpu(void)
{
#if defined(HAS_SSE)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

unsigned long long pool_flush_denormals(void)
{
#if defined(HAS_SSE)
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
#if defined(HAS_SSE)
    _mm_setcsr((unsigned int)saved);
#elif defined(__aarch64__)
    __asm__ __volatile__("msr fpcr, %0" : : "r"(saved));
#else
    (void)saved;
#endif
}

/* What a thread leaves behind is its scratch memory; what a fork leaves, in the child, is nobody's workers. */
#if defined(_WIN32)
static DWORD scratch_key;
static INIT_ONCE once = INIT_ONCE_STATIC_INIT;

static void WINAPI free_scratch(void *data) { free_aligned(data); }
static void keep_scratch(void *data) { FlsSetValue(scratch_key, data); }
static BOOL CALLBACK prepare(PINIT_ONCE unused, void *parameter, void **context)
{
    (void)unused, (void)parameter, (void)context;
    scratch_key = FlsAlloc(free_scratch);
    return TRUE;
}
static void initialise(void) { InitOnceExecuteOnce(&once, prepare, NULL, NULL); }
#else
static pthread_key_t scratch_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void keep_scratch(void *data) { pthread_setspecific(scratch_key, data); }

/* The child has none of the workers and may have inherited any lock: start afresh. */
static void reset_after_fork(void)
{
    pthread_mutex_init(&pool.owner, NULL);
    pthread_mutex_init(&pool.asleep, NULL);
    pthread_mutex_init(&pool.copying, NULL);
    pthread_cond_init(&pool.wake, NULL);
    pthread_cond_init(&pool.finished, NULL);
    pool.state = 0;
    pool.sleepers = pool.waiting = pool.stop = pool.callers = 0;
    pool.crowded = 0;
    pool.members = NULL;
    pool.started = pool.numbered = 0;
    self.inside = 0;
}

static void prepare(void)
{
    pthread_key_create(&scratch_key, free_aligned);
    pthread_atfork(NULL, NULL, reset_after_fork);
}
static void initialise(void) { pthread_once(&once, prepare); }
#endif

int pool_reserve(size_t bytes)
{
    initialise();
    if (self.bytes < bytes) {
        void *data = allocate_aligned(SCRATCH_ALIGNMENT, bytes);
        if (!data) return 0;
        free_aligned(self.data);
        self.data = data;
        self.bytes = bytes;
        keep_scratch(data);
    }
    return 1;
}

int pool_begin_copy(unsigned long long *made, unsigned long long version)
{
    _Atomic unsigned long long *number = (_Atomic unsigned long long *)made;
    if (atomic_load_explicit(number, memory_order_acquire) == version) return 0;
    lock(&pool.copying);
    if (atomic_load_explicit(number, memory_order_relaxed) != version) return 1;
    unlock(&pool.copying);
    return 0;
}

void pool_end_copy(unsigned long long *made, unsigned long long version)
{
    atomic_store_explicit((_Atomic unsigned long long *)made, version, memory_order_release);
    unlock(&pool.copying);
}

ptrdiff_t pool_take_turn(ptrdiff_t *next)
{
    return atomic_fetch_add_explicit((_Atomic ptrdiff_t *)next, 1, memory_order_relaxed);
}

/* The number-th thread always begins with the same part of the tasks, for what it has computed in the run before is
   still in its cache, which another core may be far from; then it takes what the others have not begun. */
static void divide(ptrdiff_t count)
{
    ptrdiff_t begin = 0, threads = pool.started + 1;
    for (ptrdiff_t i = 0; i < threads; i++) {
        atomic_store_explicit(&pool.members[i].next, begin, memory_order_relaxed);
        begin = pool.members[i].end = begin + count / threads + (i < count % threads);
    }
}

static void run_tasks(int number)
{
    for (int i = number; i <= pool.started + number; i++) {
        member_t *member = &pool.members[i % (pool.started + 1)];
        ptrdiff_t task = atomic_load_explicit(&member->next, memory_order_relaxed);
        while (task < member->end) {
            task = atomic_fetch_add_explicit(&member->next, 1, memory_order_relaxed);
            if (task < member->end) pool.task(pool.context, task, self.data);
        }
    }
}

/* Learn from how long the first worker took to see a call how far it is from the caller. */
static void note_distance(int64_t taken)
{
    static int64_t least = INT64_MAX;
    static int samples;
    if (taken < least) least = taken;
    if (++samples < SAMPLES) return;
    atomic_store(&pool.apart, least > FAR_AWAY);
    least = INT64_MAX;
    samples = 0;
}

/* Join the run in `state`, if it is new to this worker and open; returns whether it was served. */
static int serve(uint64_t state, int number)
{
    if (number == 1) note_distance(nanoseconds() - atomic_load(&pool.called));
    if (!atomic_compare_exchange_strong(&pool.state, &state, state + 1)) return 0;
    if (pool_reserve(pool.scratch_bytes)) run_tasks(number);
    state = atomic_fetch_sub(&pool.state, 1) - 1;
    if (!(state & (OPEN | ACTIVE)) && atomic_load(&pool.waiting)) {
        lock(&pool.asleep);
        signal_one(&pool.finished);
        unlock(&pool.asleep);
    }
    return 1;
}

static int is_new(uint64_t state, uint64_t seen) { return (state & OPEN) && RUN_OF(state) != seen; }
static int is_full(uint64_t state) { return (int)(state & ACTIVE) >= atomic_load(&pool.helpers); }

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
    lock(&pool.asleep);
    atomic_fetch_add(&pool.sleepers, 1);
    if (!is_new(atomic_load(&pool.state), seen) && !atomic_load(&pool.stop)) wait_for(&pool.wake, &pool.asleep);
    atomic_fetch_sub(&pool.sleepers, 1);
    unlock(&pool.asleep);
    restore_processors(&processors);
}

THREAD_FUNCTION(work)
{
    uint64_t seen = 0, state;
    int number = atomic_fetch_add(&pool.numbered, 1) + 1;
    (void)unused;
    pool_flush_denormals();
    self.inside = 1;
    while (!atomic_load(&pool.stop)) {
        state = atomic_load(&pool.state);
        if (is_new(state, seen)) {
            if (is_full(state) || serve(state, number)) seen = RUN_OF(state);
        } else if (!spin_for_run(seen)) {
            sleep_for_run(seen);
        }
    }
    return 0;
}

static void wake_all(void)
{
    lock(&pool.asleep);
    signal_all(&pool.wake);
    unlock(&pool.asleep);
}

/* Called with `owner` held. Fewer workers than wanted is no error: the others do what they leave. */
static void start_workers(void)
{
    pool.members = allocate_aligned(CACHE_LINE, ((size_t)pool.wanted + 1) * sizeof(member_t));
    while (pool.members && pool.started < pool.wanted && start_thread(&pool.members[pool.started + 1].thread, work))
        pool.started++;
}

static void stop_workers(void)
{
    atomic_store(&pool.stop, 1);
    wake_all();
    for (int i = 1; i <= pool.started; i++) join_thread(pool.members[i].thread);
    free_aligned(pool.members);
    pool.members = NULL;
    pool.started = pool.numbered = 0;
    atomic_store(&pool.stop, 0);
}

void pool_resize(int threads, int cpus)
{
    initialise();
    lock(&pool.owner);
    stop_workers();
    pool.wanted = threads - 1;
    pool.spin = threads <= cpus ? SPIN : 0;
    unlock(&pool.owner);
}

int pool_size(void) { return pool.wanted + 1; }

void pool_enter(void)
{
    int others = atomic_fetch_add(&pool.callers, 1);
    if (others == 0) return;
    atomic_store(&pool.crowd, others);
    atomic_store(&pool.crowded, nanoseconds() + CROWDED);
}

void pool_leave(void) { atomic_fetch_sub(&pool.callers, 1); }

/* Return how many other threads run programs now, or have done so a moment ago: those that predict in a loop. */
static int other_callers(void)
{
    int others = atomic_load(&pool.callers) - 1, crowd = atomic_load(&pool.crowd);
    int64_t until = atomic_load(&pool.crowded);
    if (until && nanoseconds() >= until) atomic_compare_exchange_strong(&pool.crowded, &until, 0);
    else if (until && others < crowd) others = crowd;
    return others > 0 ? others : 0;
}

static void wait_for_workers(void)
{
    int64_t end = nanoseconds() + pool.spin;
    do {
        for (int i = 0; i < 64; i++) {
            if (!(atomic_load(&pool.state) & ACTIVE)) return;
            pause_cpu();
        }
    } while (nanoseconds() < end);
    lock(&pool.asleep);
    atomic_store(&pool.waiting, 1);
    while (atomic_load(&pool.state) & ACTIVE) wait_for(&pool.finished, &pool.asleep);
    atomic_store(&pool.waiting, 0);
    unlock(&pool.asleep);
}

static void run_alone(task_t task, void *context, ptrdiff_t count)
{
    for (ptrdiff_t i = 0; i < count; i++) task(context, i, self.data);
}

static void run_together(task_t task, void *context, ptrdiff_t count, int helpers)
{
    self.inside = 1;
    pool.task = task;
    pool.context = context;
    divide(count);
    atomic_store(&pool.cpu, sched_getcpu());
    atomic_store(&pool.called, nanoseconds());
    pool.scratch_bytes = self.bytes;
    atomic_store(&pool.helpers, helpers);
    atomic_store(&pool.state, (RUN_OF(atomic_load(&pool.state)) + 1) * RUN_ONE | OPEN);
    if (atomic_load(&pool.sleepers)) wake_all();
    run_tasks(0);
    atomic_fetch_and(&pool.state, ~OPEN);
    wait_for_workers();
    self.inside = 0;
}

static int is_small(double cost)
{
    if (cost < SMALL_WORK[0]) return 1;
    if (!atomic_load(&pool.apart) || cost >= SMALL_WORK[1]) return 0;
    return atomic_fetch_add(&pool.spared, 1) % TRIAL >= SAMPLES;
}

void pool_run(task_t task, void *context, ptrdiff_t count, double cost)
{
    /* Small work, a run inside a run, and a run beside another thread's run stay on this thread. */
    int helpers = 0;
    if (count > 1 && !self.inside && !is_small(cost)) helpers = pool.wanted - other_callers();
    if (helpers < 1 || !try_lock(&pool.owner)) {
        run_alone(task, context, count);
        return;
    }
    if (!pool.members) start_workers();
    if (pool.members) run_together(task, context, count, helpers);
    else run_alone(task, context, count);
    unlock(&pool.owner);
}
