"""The thread pool of the process (`pool.c`), for the kernels and for Python.

Work is divided by the problem, never by the number of threads: results are the same bits for any number.
"""

cdef extern from "pool.h" nogil:
    void pool_run(task_t task, void* context, Py_ssize_t count, double cost) noexcept
    void pool_resize(int threads, int cpus) noexcept
    int pool_size() noexcept
    int pool_reserve(size_t nbytes) noexcept
    void pool_enter() noexcept
    void pool_leave() noexcept
    int pool_begin_copy(unsigned long long* made, unsigned long long version) noexcept
    void pool_end_copy(unsigned long long* made, unsigned long long version) noexcept
    Py_ssize_t pool_take_turn(Py_ssize_t* next) noexcept
    unsigned long long pool_flush_denormals() noexcept
    void pool_restore_denormals(unsigned long long saved) noexcept


cdef void parallel_for(task_t task, void* context, Py_ssize_t count, double cost) noexcept nogil:
    """Run `task(context, i, scratch)` for i in 0..count-1; `cost` is about their operations together."""
    pool_run(task, context, count, cost)


cdef bint reserve_scratch(Py_ssize_t nbytes) noexcept nogil:
    return pool_reserve(nbytes)


cdef void enter_program() noexcept nogil:
    """Say that this thread begins to run a program: threads that do so at once leave processors to each other."""
    pool_enter()


cdef void leave_program() noexcept nogil:
    pool_leave()


cdef bint begin_copy(unsigned long long* made, unsigned long long version) noexcept nogil:
    """Return whether what threads share of a parameter is to be made anew; then `end_copy` lets the others go on."""
    return pool_begin_copy(made, version)


cdef void end_copy(unsigned long long* made, unsigned long long version) noexcept nogil:
    pool_end_copy(made, version)


cdef Py_ssize_t take_turn(Py_ssize_t* next) noexcept nogil:
    """Return a number that no other thread gets, from `next[0]` on."""
    return pool_take_turn(next)


cdef unsigned long long flush_denormals() noexcept nogil:
    return pool_flush_denormals()


cdef void restore_denormals(unsigned long long saved) noexcept nogil:
    pool_restore_denormals(saved)


def resize(int threads, int cpus):
    """Use `threads` threads, the caller among them; `cpus` is how many may run at once."""
    with nogil:
        pool_resize(threads, cpus)


def size():
    """Return the number of threads, the caller among them."""
    return pool_size()


cdef void _divide_often(void* context, Py_ssize_t task, char* scratch) noexcept nogil:
    cdef double x = 1e300
    for _ in range(<Py_ssize_t> (<double*> context)[0]):
        x = x / 1.0000001
    (<double*> context)[1 + task] = x


def divide_often(Py_ssize_t tasks, Py_ssize_t divisions, Py_ssize_t runs):
    """Run `tasks` equal tasks of so many dependent divisions each, `runs` times: the yardstick of the pool's benchmark.

    At most 63 tasks.
    """
    cdef double context[64]
    context[0] = divisions
    with nogil:
        for _ in range(runs):
            pool_run(_divide_often, context, tasks, 1e9)
