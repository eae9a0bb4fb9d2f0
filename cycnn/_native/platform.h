/* What the pool and the arena need of the operating system, under one set of names: POSIX threads, or Windows's own.

   Locks and conditions are usable as soon as they are initialised statically, and need no destruction. */

#ifndef CYCNN_PLATFORM_H
#define CYCNN_PLATFORM_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#if defined(_WIN32)

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>
#include <malloc.h>
#include <process.h>

#if defined(_MSC_VER)
#define THREAD_LOCAL __declspec(thread)
#else
#define THREAD_LOCAL _Thread_local
#endif
typedef SRWLOCK lock_t;
typedef CONDITION_VARIABLE condition_t;
typedef HANDLE thread_t;
#define LOCK_INITIAL SRWLOCK_INIT
#define CONDITION_INITIAL CONDITION_VARIABLE_INIT
#define THREAD_FUNCTION(name) static unsigned __stdcall name(void *unused)
typedef unsigned(__stdcall *thread_function_t)(void *);

static inline void lock(lock_t *l) { AcquireSRWLockExclusive(l); }
static inline int try_lock(lock_t *l) { return TryAcquireSRWLockExclusive(l) != 0; }
static inline void unlock(lock_t *l) { ReleaseSRWLockExclusive(l); }
static inline void wait_for(condition_t *c, lock_t *l) { SleepConditionVariableSRW(c, l, INFINITE, 0); }
static inline void signal_one(condition_t *c) { WakeConditionVariable(c); }
static inline void signal_all(condition_t *c) { WakeAllConditionVariable(c); }

static inline int start_thread(thread_t *thread, thread_function_t function)
{
    *thread = (HANDLE)_beginthreadex(NULL, 1 << 20, function, NULL, STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    return *thread != NULL;
}
static inline void join_thread(thread_t thread)
{
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
}

static inline int64_t nanoseconds(void)
{
    LARGE_INTEGER now, frequency;
    QueryPerformanceCounter(&now);
    QueryPerformanceFrequency(&frequency);
    return (int64_t)((double)now.QuadPart * (1e9 / (double)frequency.QuadPart));
}

static inline void *allocate_aligned(size_t alignment, size_t nbytes) { return _aligned_malloc(nbytes, alignment); }
static inline void free_aligned(void *data) { _aligned_free(data); }

#else /* POSIX */

#include <pthread.h>
#include <signal.h>
#include <time.h>

#define THREAD_LOCAL _Thread_local
typedef pthread_mutex_t lock_t;
typedef pthread_cond_t condition_t;
typedef pthread_t thread_t;
#define LOCK_INITIAL PTHREAD_MUTEX_INITIALIZER
#define CONDITION_INITIAL PTHREAD_COND_INITIALIZER
#define THREAD_FUNCTION(name) static void *name(void *unused)
typedef void *(*thread_function_t)(void *);

static inline void lock(lock_t *l) { pthread_mutex_lock(l); }
static inline int try_lock(lock_t *l) { return pthread_mutex_trylock(l) == 0; }
static inline void unlock(lock_t *l) { pthread_mutex_unlock(l); }
static inline void wait_for(condition_t *c, lock_t *l) { pthread_cond_wait(c, l); }
static inline void signal_one(condition_t *c) { pthread_cond_signal(c); }
static inline void signal_all(condition_t *c) { pthread_cond_broadcast(c); }

static inline int start_thread(thread_t *thread, thread_function_t function)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    int failed;
    sigfillset(&all); /* signals belong to Python's threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 1 << 20);
    failed = pthread_create(thread, &attributes, function, NULL);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return !failed;
}
static inline void join_thread(thread_t thread) { pthread_join(thread, NULL); }

static inline int64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * (int64_t)1000000000 + now.tv_nsec;
}

static inline void *allocate_aligned(size_t alignment, size_t nbytes)
{
    void *data;
    return posix_memalign(&data, alignment, nbytes) ? NULL : data;
}
static inline void free_aligned(void *data) { free(data); }

#endif
#endif
