"""Buffers, memory, steps and programs: what a lowered model is made of.

A `Buffer` is a typed, C-contiguous block that may be bound late: to an array of the user's or to a place in the
arena. A `Step` reads and writes buffers; its `run` is a C-level method without the GIL. A `Program` runs its
steps in order in one call. Steps read `buffer.data` when they run, so a buffer may be bound anew between runs, and
`Pieces` lets programs of one kind share a batch.
"""

from cpython.buffer cimport (
    PyBUF_FORMAT, PyBUF_ND, PyBUF_STRIDES, PyBUF_WRITABLE, Py_buffer, PyBuffer_IsContiguous, PyBuffer_Release,
    PyObject_GetBuffer,
)
from libc.math cimport INFINITY
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from cycnn._native.threads cimport (
    enter_program, flush_denormals, leave_program, parallel_for, reserve_scratch, restore_denormals, take_turn,
)

from math import prod

cdef extern from "memory.h" nogil:
    char* memory_allocate(size_t nbytes) noexcept
    void memory_free(char* data) noexcept

# name: (struct format, bytes)
DTYPES = {
    "float32": (b"f", 4), "float64": (b"d", 8), "uint8": (b"B", 1),
    "int32": (b"i", 4), "int64": (b"q", 8), "uint64": (b"Q", 8),
}


cdef inline char generic(char format) noexcept nogil:
    """Return one letter for the integers of a sign: which of C's types has the wanted size is the platform's choice."""
    return b"q" if format in b"il" else b"Q" if format in b"IL" else format


cdef class Buffer:
    """A typed, C-contiguous block of memory with a shape.

    Parameters
    ----------
    shape : tuple of int
    dtype : str
        A key of `DTYPES`.
    """

    def __init__(self, tuple shape, str dtype="float32"):
        cdef Py_ssize_t axis, extent, size = 1
        cdef double nbytes
        if len(shape) > MOST_AXES:
            raise ValueError(f"a buffer has at most {MOST_AXES} axes, not {len(shape)}")
        self.shape = shape
        self.dtype = dtype
        self.format, self.itemsize = DTYPES[dtype]
        nbytes = float(prod(shape)) * self.itemsize
        if nbytes > MOST_BYTES:
            raise MemoryError(f"an array of the shape {shape} needs {nbytes:.3g} bytes")
        for axis in range(len(shape) - 1, -1, -1):
            extent = shape[axis]
            self.extents[axis] = extent
            self.strides[axis] = size * self.itemsize
            size *= extent
        self.size = size
        self.nbytes = size * self.itemsize
        self.cache = {}
        self.version = 1

    @staticmethod
    def of(array):
        """Return a buffer bound to a C-contiguous NumPy array, which it keeps alive."""
        buffer = Buffer(array.shape, array.dtype.name)
        buffer.bind(array)
        return buffer

    def bind(self, array):
        """Read and write `array`, C-contiguous and of this buffer's shape and dtype, from now on."""
        cdef Py_buffer view
        cdef bint fits
        PyObject_GetBuffer(array, &view, PyBUF_FORMAT | PyBUF_STRIDES)
        fits = has_form(&view, self)
        if fits:
            self.data, self.readonly = <char*> view.buf, view.readonly
        PyBuffer_Release(&view)
        if not fits:
            raise ValueError(f"cannot bind {array.dtype} {array.shape} to {self.dtype} {self.shape}")
        self.owner = array
        self.touch()

    def place(self, Memory memory, Py_ssize_t offset):
        """Live at `offset` bytes into `memory` from now on."""
        if offset < 0 or offset + self.nbytes > memory.nbytes:
            raise ValueError(f"{self.nbytes} bytes at {offset} do not fit into {memory.nbytes}")
        self.data = memory.data + offset
        self.readonly = False
        self.owner = memory
        self.touch()

    def touch(self):
        """Say that the values have changed, so that packed copies of them are made anew."""
        self.version += 1

    def __getbuffer__(self, Py_buffer* view, int flags):
        if self.data == NULL:
            raise BufferError("the buffer is not bound to memory")
        if self.readonly and flags & PyBUF_WRITABLE == PyBUF_WRITABLE:
            raise BufferError("the buffer is bound to read-only memory")
        view.buf = self.data
        view.obj = self
        view.len = self.nbytes
        view.itemsize = self.itemsize
        view.readonly = self.readonly
        view.format = <char*> self.format if flags & PyBUF_FORMAT else NULL
        view.ndim = <int> len(self.shape)
        view.shape = self.extents if flags & PyBUF_ND else NULL
        view.strides = self.strides if (flags & PyBUF_STRIDES) == PyBUF_STRIDES else NULL
        view.suboffsets = NULL
        view.internal = NULL


cdef bint has_form(Py_buffer* view, Buffer buffer):
    """Return whether a view has the shape, type and layout of a buffer."""
    cdef Py_ssize_t axis
    if view.ndim != len(buffer.shape) or view.itemsize != buffer.itemsize or not PyBuffer_IsContiguous(view, b"C"):
        return False
    for axis in range(view.ndim):
        if view.shape[axis] != buffer.extents[axis]:
            return False
    return generic(view.format[0]) == generic((<char*> buffer.format)[0])


cdef class Memory:
    """One aligned block, advised to use huge pages where it is large; untouched until written."""

    def __init__(self, Py_ssize_t nbytes):
        self.data = memory_allocate(nbytes)
        if self.data == NULL:
            raise MemoryError(f"{nbytes} bytes ({nbytes / 2**20:.0f} MiB) could not be allocated")
        self.nbytes = nbytes

    def __dealloc__(self):
        memory_free(self.data)


cdef class Step:
    """One piece of work on buffers, done by `run` without the GIL.

    Most steps are divided: `run` calls `split(count, cost)`, which runs `task(i, scratch)` for every i in 0..count-1
    on the threads of the pool; `cost` is about the number of operations of all tasks together, those of a pass over
    memory, of which one takes about 0.1 nanoseconds.
    """

    cdef void run(self) noexcept nogil:
        pass

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        pass

    cdef void split(self, Py_ssize_t count, double cost) noexcept nogil:
        parallel_for(_run_task, <void*> self, count, cost)

    def place_workspace(self, Memory memory, Py_ssize_t offset):
        """Use `workspace` bytes at `offset` into `memory` while running."""
        if offset < 0 or offset + self.workspace > memory.nbytes:
            raise ValueError(f"{self.workspace} bytes at {offset} do not fit into {memory.nbytes}")
        self.work = memory.data + offset
        self.work_owner = memory


cdef void _run_task(void* step, Py_ssize_t i, char* scratch) noexcept nogil:
    (<Step> step).task(i, scratch)


cdef class GatedStep(Step):
    """A step that can store a gradient multiplied by the derivative of the activation before, whose output is y.

    Where that is a rectifier behind a normalisation of the batch, it can read what was normalised instead, and sum up
    in passing what the gradients of the normalisation need.
    """

    def gate(self, Buffer x, Buffer scale, Buffer shift, Buffer mean, Buffer sums, str activation):
        """Take the output for the gradient of act(scale x + shift)."""
        self.y, self.scale, self.shift, self.mean, self.sums = x, scale, shift, mean, sums
        self.ends = activation == "relu6"


cdef class Program:
    """Steps that run in order, in one call without the GIL."""

    def __init__(self, steps):
        cdef Step step
        cdef Py_ssize_t i
        self.steps = tuple(steps)
        self.count = len(self.steps)
        self.calls = <void**> malloc(max(self.count, 1) * sizeof(void*))
        if self.calls == NULL:
            raise MemoryError("no memory for the list of steps")
        for i, step in enumerate(self.steps):
            self.calls[i] = <void*> step
            self.scratch = max(self.scratch, step.scratch)

    def run(self):
        """Run every step. Denormal numbers are flushed to zero meanwhile."""
        cdef unsigned long long saved
        if not reserve_scratch(self.scratch):
            raise MemoryError(f"{self.scratch} bytes of scratch memory could not be allocated")
        with nogil:
            enter_program()
            saved = flush_denormals()
            self.run_steps()
            restore_denormals(saved)
            leave_program()

    cdef void run_steps(self) noexcept nogil:
        cdef Py_ssize_t i
        for i in range(self.count):
            (<Step> self.calls[i]).run()

    def __dealloc__(self):
        free(self.calls)


cdef struct Port:
    void* buffer  # a program's, of one piece
    char* whole   # what it is a piece of


cdef class Pieces(Step):
    """A batch in pieces of equal size: programs of one kind take piece after piece, each on a thread of its own.

    What a program's steps hand on then stays in the caches of one core.

    Parameters
    ----------
    programs : list of Program
    inputs : list of list of (Buffer, int)
        Of each program what it reads of a piece, and of which array.
    outputs : list of list of Buffer
        Of each program what it computes.
    x, out : list of ndarray
        The whole batch, C-contiguous, and where its outputs go.
    count : int
        The number of pieces.
    """

    cdef:
        list programs, buffers  # kept alive
        void** calls
        Port* ports             # of each program: what it reads, and what it writes
        Py_ssize_t lanes, width, reads, count, next

    def __init__(self, list programs, list inputs, list outputs, list x, list out, Py_ssize_t count):
        cdef Program program
        cdef Buffer buffer, whole
        cdef list read = [Buffer.of(array) for array in x], written = [Buffer.of(array) for array in out]
        cdef Py_ssize_t lane, i, at = 0
        self.programs, self.buffers, self.count = programs, [*inputs, *outputs, read, written], count
        self.lanes, self.reads = len(programs), len(inputs[0])
        self.width = self.reads + len(outputs[0])
        self.calls = <void**> malloc(self.lanes * sizeof(void*))
        self.ports = <Port*> malloc(self.lanes * self.width * sizeof(Port))
        if self.calls == NULL or self.ports == NULL:
            raise MemoryError("no memory for the list of programs")
        for lane, (program, own, results) in enumerate(zip(programs, inputs, outputs, strict=True)):
            self.calls[lane] = <void*> program
            self.scratch = max(self.scratch, program.scratch)
            for buffer, i in own:
                whole = read[i]
                buffer.owner, buffer.readonly = whole, True
                at = self.join(at, buffer, whole)
            for buffer, whole in zip(results, written, strict=True):
                at = self.join(at, buffer, whole)

    cdef Py_ssize_t join(self, Py_ssize_t at, Buffer buffer, Buffer whole) except -1:
        """Let a program's buffer be a piece of an array."""
        if buffer.dtype != whole.dtype or buffer.nbytes * self.count != whole.nbytes:
            raise ValueError(f"{self.count} pieces of {buffer.dtype} {buffer.shape} are no {whole.dtype} {whole.shape}")
        self.ports[at].buffer, self.ports[at].whole = <void*> buffer, whole.data
        return at + 1

    cdef void run(self) noexcept nogil:
        self.next = 0
        self.split(self.lanes, INFINITY)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef:
            Port* ports = self.ports + i * self.width
            Py_ssize_t piece = take_turn(&self.next), j, nbytes
        while piece < self.count:
            for j in range(self.reads):
                nbytes = (<Buffer> ports[j].buffer).nbytes
                (<Buffer> ports[j].buffer).data = ports[j].whole + piece * nbytes
            (<Program> self.calls[i]).run_steps()
            for j in range(self.reads, self.width):
                nbytes = (<Buffer> ports[j].buffer).nbytes
                memcpy(ports[j].whole + piece * nbytes, (<Buffer> ports[j].buffer).data, nbytes)
            piece = take_turn(&self.next)

    def __dealloc__(self):
        free(self.calls)
        free(self.ports)
