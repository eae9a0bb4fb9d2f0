"""The thread pool, for the kernels: `parallel_for` and the tasks it runs."""

ctypedef void (*task_t)(void* context, Py_ssize_t task, char* scratch) noexcept nogil

cdef void parallel_for(task_t task, void* context, Py_ssize_t count, double cost) noexcept nogil
cdef bint reserve_scratch(Py_ssize_t nbytes) noexcept nogil
cdef void enter_program() noexcept nogil
cdef void leave_program() noexcept nogil
cdef bint begin_copy(unsigned long long* made, unsigned long long version) noexcept nogil
cdef void end_copy(unsigned long long* made, unsigned long long version) noexcept nogil
cdef Py_ssize_t take_turn(Py_ssize_t* next) noexcept nogil
cdef unsigned long long flush_denormals() noexcept nogil
cdef void restore_denormals(unsigned long long saved) noexcept nogil
