"""Steps that combine several arrays, number by number.

    AddShares   out = (a + b) act'(y)
    Combine     out = act(((x_0 op x_1) op x_2) ...), for op +, -, *, maximum and minimum; or act(mean of the x_k)
    Select      out = x where index == k, else 0: the gradient of the maximum and minimum

An extent of 1 in x_k is repeated as often as out wants. The loops are plain, and the compiler turns them into vectors.
They are bound by memory, so out is made chunk by chunk: while a chunk is in the first-level cache all x_k are folded
into it, those that are repeated are spelled out beside it, and the activation is applied; each array passes through
memory once.

Combine gives the gradients too: that of a product with respect to x_k is a product again, of dout and the others.
Where an array was repeated, `StridedSum` adds up the gradients of its copies.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memset

from cycnn._native.runtime cimport Buffer, Step
from .activations cimport activate, activation_code, chain_activation, real_t
from .elementwise cimport Elementwise
from .rearrange cimport MOST, close, copy_walk, join, walk_t

cdef enum:
    CHUNK = 4096  # numbers per task: out and what is spelled out beside it stay in the first-level cache

cdef enum:
    ADD
    SUBTRACT
    MULTIPLY
    AVERAGE
    MAXIMUM
    MINIMUM

ctypedef void (*add_loop)(
    const void* a, const void* b, void* out, Py_ssize_t n, int activation, const void* y
) noexcept nogil
ctypedef void (*select_loop)(const void* x, const uint8_t* index, uint8_t k, void* out, Py_ssize_t n) noexcept nogil
ctypedef void (*combine_loop)(
    const combine_t* c, Py_ssize_t start, Py_ssize_t n, void* out, uint8_t* index, void* beside
) noexcept nogil

cdef struct source_t:
    const char** data  # where the buffer's address is: it may be bound anew between runs
    bint repeated
    walk_t walk        # to out, where it is repeated

cdef struct combine_t:
    int operation, activation
    Py_ssize_t count
    source_t* sources


cdef inline void _sum(const real_t* a, const real_t* b, real_t* out, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        out[i] = a[i] + b[i]


cdef void _add(
    const real_t* a, const real_t* b, real_t* out, Py_ssize_t n, int activation, const real_t* y
) noexcept nogil:
    if out == a:  # said so, for the compiler makes no vectors of arrays that may overlap
        _sum(out, b, out, n)
    else:
        _sum(a, b, out, n)
    if y != NULL:
        chain_activation(activation, y, out, n)


cdef void _select(const real_t* x, const uint8_t* index, uint8_t k, real_t* out, Py_ssize_t n) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n):
        out[i] = x[i] if index[i] == k else 0


cdef inline void _fold(int operation, const real_t* a, const real_t* b, real_t* out, Py_ssize_t n) noexcept nogil:
    """out = a op b; a NaN in either makes out NaN."""
    cdef Py_ssize_t i
    if operation == ADD or operation == AVERAGE:
        for i in range(n):
            out[i] = a[i] + b[i]
    elif operation == SUBTRACT:
        for i in range(n):
            out[i] = a[i] - b[i]
    elif operation == MULTIPLY:
        for i in range(n):
            out[i] = a[i] * b[i]
    elif operation == MAXIMUM:
        for i in range(n):
            out[i] = a[i] if (a[i] >= b[i]) | (a[i] != a[i]) else b[i]
    elif operation == MINIMUM:
        for i in range(n):
            out[i] = a[i] if (a[i] <= b[i]) | (a[i] != a[i]) else b[i]


cdef inline void _choose(
    int operation, const real_t* a, const real_t* b, uint8_t* index, uint8_t k, Py_ssize_t n
) noexcept nogil:
    """index = k where b and not a receives the gradient: the first of equals does, and b where one is NaN."""
    cdef Py_ssize_t i
    if operation == MAXIMUM:
        for i in range(n):
            index[i] = index[i] if a[i] >= b[i] else k
    else:
        for i in range(n):
            index[i] = index[i] if a[i] <= b[i] else k


cdef inline const real_t* _read(
    const source_t* source, Py_ssize_t start, Py_ssize_t n, real_t* beside
) noexcept nogil:
    """Return n numbers of a source from `start` of out on, spelled out in `beside` where they are repeated."""
    if not source.repeated:
        return <const real_t*> source.data[0] + start
    if real_t is float:
        copy_walk[uint32_t](&source.walk, <const uint32_t*> source.data[0], <uint32_t*> beside - start, start, n)
    else:
        copy_walk[uint64_t](&source.walk, <const uint64_t*> source.data[0], <uint64_t*> beside - start, start, n)
    return beside


cdef void _combine(
    const combine_t* c, Py_ssize_t start, Py_ssize_t n, real_t* out, uint8_t* index, real_t* beside
) noexcept nogil:
    """Combine one chunk; where the first of the sources is repeated, it is spelled out in out."""
    cdef:
        const real_t* a = _read(&c.sources[0], start, n, out)
        const real_t* b
        Py_ssize_t k, i
        real_t count = <real_t> c.count
    if index != NULL:
        memset(index, 0, n)
    for k in range(1, c.count):
        b = _read(&c.sources[k], start, n, beside)
        if index != NULL:
            _choose(c.operation, a, b, index, <uint8_t> k, n)
        _fold(c.operation, a, b, out, n)
        a = out
    if c.operation == AVERAGE:
        for i in range(n):
            out[i] = out[i] / count
    activate(c.activation, out, n)


cdef int _read_source(source_t* source, Buffer x, Buffer out) except -1:
    """Describe x as one of the arrays that make out."""
    cdef Py_ssize_t a, axes = len(out.shape)
    if axes > MOST:
        raise ValueError(f"arrays have at most {MOST} axes here, not {axes}")
    source.data = <const char**> &x.data
    source.repeated = x.shape != out.shape
    source.walk.axes = source.walk.x_offset = source.walk.out_offset = 0
    for a in range(axes):
        join(
            &source.walk, out.extents[a],
            0 if x.extents[a] == 1 else x.strides[a] // x.itemsize, out.strides[a] // out.itemsize,
        )
    close(&source.walk)
    return 0


cdef class AddShares(Elementwise):
    """out = (a + b) act'(y): two shares of a gradient become one."""

    cdef:
        Buffer a    # IN
        Buffer b    # IN, of a's size
        Buffer out  # OUT, of a's size; may be a
        Buffer y    # IN, of a's size, or None: the output of the activation before
        int activation
        add_loop loop

    def __init__(self, Buffer a, Buffer b, Buffer out, str activation, Buffer y):
        self.a, self.b, self.out, self.y = a, b, out, y
        self.activation = activation_code(activation)
        self.size = out.size
        self.loop = <add_loop> _add[float] if out.dtype == "float32" else <add_loop> _add[double]

    cdef void chunk(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        cdef Py_ssize_t at = start * self.out.itemsize
        self.loop(
            self.a.data + at, self.b.data + at, self.out.data + at, n, self.activation,
            NULL if self.y is None else self.y.data + at,
        )


cdef class Combine(Step):
    """out = act(x_0 op x_1 op ...), from the left."""

    cdef:
        tuple xs      # IN: two or more, of out's shape or with extents of 1 instead
        Buffer out    # OUT
        Buffer index  # OUT: uint8, out's shape, which x_k receives the gradient of a maximum or minimum; or None
        combine_t c
        combine_loop loop

    def __init__(self, str operation, xs, Buffer out, Buffer index, str activation):
        cdef Buffer x
        cdef Py_ssize_t k
        self.xs, self.out, self.index = tuple(xs), out, index
        self.c.operation = ("add", "subtract", "multiply", "average", "maximum", "minimum").index(operation)
        self.c.activation = activation_code(activation)
        self.c.count = len(self.xs)
        self.c.sources = <source_t*> calloc(self.c.count, sizeof(source_t))
        if self.c.sources == NULL:
            raise MemoryError("no memory for the list of sources")
        for k, x in enumerate(self.xs):
            _read_source(&self.c.sources[k], x, out)
        self.scratch = CHUNK * out.itemsize
        self.loop = <combine_loop> _combine[float] if out.dtype == "float32" else <combine_loop> _combine[double]

    cdef void run(self) noexcept nogil:
        self.split((self.out.size + CHUNK - 1) // CHUNK, <double> self.c.count * self.out.size)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef:
            Py_ssize_t start = i * CHUNK
            uint8_t* index = NULL if self.index is None else <uint8_t*> self.index.data + start
        self.loop(
            &self.c, start, min(<Py_ssize_t> CHUNK, self.out.size - start),
            self.out.data + start * self.out.itemsize, index, scratch,
        )

    def __dealloc__(self):
        free(self.c.sources)


cdef class Select(Elementwise):
    """out = x where index == k, else 0."""

    cdef:
        Buffer x      # IN
        Buffer index  # IN: uint8, of x's size
        Buffer out    # OUT, of x's size; may be x
        uint8_t k
        select_loop loop

    def __init__(self, Buffer x, Buffer index, uint8_t k, Buffer out):
        self.x, self.index, self.out, self.k = x, index, out, k
        self.size = x.size
        self.loop = <select_loop> _select[float] if x.dtype == "float32" else <select_loop> _select[double]

    cdef void chunk(self, Py_ssize_t start, Py_ssize_t n) noexcept nogil:
        cdef Py_ssize_t at = start * self.x.itemsize
        self.loop(self.x.data + at, <const uint8_t*> self.index.data + start, self.k, self.out.data + at, n)
