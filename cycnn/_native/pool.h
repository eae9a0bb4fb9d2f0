/* The thread pool: one per process, started when first needed, safe to fork.

   pool_run(task, context, count) runs task(context, i, scratch) for every i in 0..count-1 and returns
   when all are done. Every thread, the caller among them, begins with its own part of the tasks, the same in every
   run, and then claims what the others have not begun; the caller waits only for workers that have joined, so that a
   worker which the operating system has not woken yet costs nothing. What a task computes must not depend on who
   runs it. */

#ifndef CYCNN_POOL_H
#define CYCNN_POOL_H

#include <stddef.h>

typedef void (*task_t)(void *context, ptrdiff_t task, char *scratch);

/* `cost` is about the operations of all tasks, as `Step` counts them. What is small is done by the caller alone, and
   more is small while the threads run on cores that do not share a cache. */
void pool_run(task_t task, void *context, ptrdiff_t count, double cost);

/* A thread says when it begins and ends to run a program. Of those that do so at once each leaves a processor to every
   other: while there are as many as threads, all compute alone. */
void pool_enter(void);
void pool_leave(void);

/* `threads` counts the caller. Threads beyond `cpus` never spin. Takes effect at the next run. */
void pool_resize(int threads, int cpus);
int pool_size(void);

/* Give the calling thread at least `bytes` of scratch memory, and the workers of its next runs as much.
   Returns 0 where memory is short. */
int pool_reserve(size_t bytes);

/* What is derived from parameters is shared by the threads that read it: one of them makes it anew while others wait.
   Returns 0 if `*made` says that it is of this version; otherwise it is to be made, and then pool_end_copy to be
   called. */
int pool_begin_copy(unsigned long long *made, unsigned long long version);
void pool_end_copy(unsigned long long *made, unsigned long long version);

/* Return a number that no other thread gets, from `*next` on. */
ptrdiff_t pool_take_turn(ptrdiff_t *next);

/* Denormal numbers cost 40-100 times as much as others: flush them to zero, and restore. */
unsigned long long pool_flush_denormals(void);
void pool_restore_denormals(unsigned long long saved);

#endif
