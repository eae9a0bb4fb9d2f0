"""What every kernel family builds on: typed blocks of memory, steps, and the program that runs them."""

cdef enum:
    MOST_AXES = 64  # NumPy's arrays have no more

cdef extern from *:
    """
    #define MOST_BYTES 0x1p57   /* of an array or of scratch memory: sums of a few do not overflow */
    #define MULTIPLY_ADD 0.125  /* operations of a pass over memory that take as long as one in registers */
    """
    const double MOST_BYTES, MULTIPLY_ADD

cdef class Buffer:
    cdef:
        char* data                     # NULL until bound
        readonly tuple shape
        readonly str dtype
        readonly Py_ssize_t size       # elements
        readonly Py_ssize_t nbytes
        readonly dict cache            # packed copies of a parameter, made by the steps that read it
        readonly unsigned long long version  # raised whenever a parameter's values change
        object owner                   # keeps the memory alive
        Py_ssize_t extents[MOST_AXES]
        Py_ssize_t strides[MOST_AXES]
        bytes format
        Py_ssize_t itemsize
        bint readonly                  # what it is bound to may only be read

cdef class Memory:
    cdef:
        char* data
        readonly Py_ssize_t nbytes

cdef class Step:
    cdef:
        readonly Py_ssize_t workspace  # bytes wanted in the arena while the step runs
        readonly Py_ssize_t scratch    # bytes wanted per thread
        char* work                     # the workspace
        object work_owner
    cdef void run(self) noexcept nogil
    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil
    cdef void split(self, Py_ssize_t count, double cost) noexcept nogil

cdef class GatedStep(Step):
    cdef:
        # IN  of the output's shape: the output of the activation before, by whose derivative the step multiplies, or
        #     what was normalised before it; or None: an activation is applied
        Buffer y
        Buffer scale, shift, mean  # IN  (C,): of that normalisation, or None
        Buffer sums                # OUT (parts, 2, C)
        bint ends                  # whether the rectifier ends, at 6
        readonly Py_ssize_t parts  # into which the sums are divided; 0 where the step cannot take them

cdef class Program:
    cdef:
        readonly tuple steps
        void** calls
        Py_ssize_t count
        Py_ssize_t scratch
    cdef void run_steps(self) noexcept nogil
