"""Parameter updates, in one pass over memory: a rule of `update_rules`, and what is around it.

In Keras's order: gradients are averaged over some steps, clipped, the parameter decays, and an average of its values is
kept.

All of it is done to a chunk of each array while that is in the cache, so every array moves once however much there is
to do. The hyperparameters are read from a float64 buffer when a step runs, and so is whether this step only adds to
the accumulated gradient: one program serves all steps. An update raises the version of its parameter: packed copies of
it are then made anew.
"""

from libc.math cimport NAN, sqrt
from libc.string cimport memset

from cycnn._native.runtime cimport Buffer, Step
from .activations cimport real_t
from .rows cimport row_dot
from .update_rules cimport adadelta, adagrad, adam, adamax, lion, nadam, rmsprop, sgd

cdef enum:
    CHUNK = 8192  # numbers per task: 32 KiB of float32

# The hyperparameters of a step; behind them are those of the rule, in the order in which its docstring lists them.
cdef enum:
    APPLIES       # 1, or 0 where the gradient is only accumulated
    DECAY         # share of the parameter that is taken away
    EMA_MOMENTUM  # share of its old value in the average
    OVERWRITES    # 1 where the average becomes the parameter
    OWN

# a, b and c are what the rule remembers, in the order of its arguments; NULL where it does not.
ctypedef void (*rule_loop)(
    void* w, const void* g, void* a, void* b, void* c, Py_ssize_t n, const double* hyper
) noexcept nogil

cdef struct Recipe:
    rule_loop rule
    const double* hyper
    double steps  # gradients in an accumulated one
    double scale  # by which gradients are multiplied
    double bound  # to which they are clipped, or 0
    bint decays

# g is averaged or clipped in `scratch`, which has room for a chunk; `accumulator` and `average` may be NULL.
ctypedef void (*chunk_loop)(
    void* w, const void* g, void* accumulator, void* average, void* scratch,
    void* a, void* b, void* c, Py_ssize_t n, const Recipe* recipe
) noexcept nogil
ctypedef double (*square_loop)(
    const void* g, const void* accumulator, void* scratch, Py_ssize_t n, double steps
) noexcept nogil


cdef rule_loop _rule(str name, real_t zero) except NULL:
    """Return the loop of a rule for numbers of the type of `zero`."""
    if name == "sgd":
        return <rule_loop> sgd[real_t]
    if name == "adam":
        return <rule_loop> adam[real_t]
    if name == "adamax":
        return <rule_loop> adamax[real_t]
    if name == "nadam":
        return <rule_loop> nadam[real_t]
    if name == "rmsprop":
        return <rule_loop> rmsprop[real_t]
    if name == "adagrad":
        return <rule_loop> adagrad[real_t]
    if name == "adadelta":
        return <rule_loop> adadelta[real_t]
    if name == "lion":
        return <rule_loop> lion[real_t]
    raise KeyError(name)


cdef void _average(
    const real_t* g, const real_t* accumulator, real_t* out, Py_ssize_t n, double steps
) noexcept nogil:
    """out = (g + accumulator) / steps."""
    cdef Py_ssize_t i
    cdef real_t divisor = <real_t> steps
    for i in range(n):
        out[i] = (g[i] + accumulator[i]) / divisor


cdef void _follow(real_t* w, real_t* average, Py_ssize_t n, const double* hyper) noexcept nogil:
    """Take w into its moving average, and the average for w where the step says so."""
    cdef Py_ssize_t i
    cdef real_t momentum = <real_t> hyper[EMA_MOMENTUM], rest = <real_t> (1 - hyper[EMA_MOMENTUM])
    for i in range(n):
        average[i] = momentum * average[i] + rest * w[i]
    if hyper[OVERWRITES] != 0:
        for i in range(n):
            w[i] = average[i]


cdef void _update(
    real_t* w, const real_t* g, real_t* accumulator, real_t* average, real_t* scratch,
    void* a, void* b, void* c, Py_ssize_t n, const Recipe* recipe
) noexcept nogil:
    cdef:
        Py_ssize_t i
        const double* hyper = recipe.hyper
        real_t scale = <real_t> recipe.scale, bound = <real_t> recipe.bound, decay = <real_t> hyper[DECAY]
    if hyper[APPLIES] == 0:
        for i in range(n):
            accumulator[i] = g[i] + accumulator[i]
    else:
        if accumulator != NULL:
            _average(g, accumulator, scratch, n, recipe.steps)
            memset(accumulator, 0, n * sizeof(real_t))
            g = scratch
        if recipe.scale != 1:  # NaN is not
            for i in range(n):
                scratch[i] = scale * g[i]
            g = scratch
        if bound > 0:
            for i in range(n):
                scratch[i] = bound if g[i] > bound else -bound if g[i] < -bound else g[i]
            g = scratch
        if recipe.decays:
            for i in range(n):
                w[i] -= decay * w[i]
        recipe.rule(w, g, a, b, c, n, hyper + OWN)
    if average != NULL:
        _follow(w, average, n, hyper)


cdef double _square(
    const real_t* g, const real_t* accumulator, real_t* scratch, Py_ssize_t n, double steps
) noexcept nogil:
    if accumulator != NULL:
        _average(g, accumulator, scratch, n, steps)
        g = scratch
    return row_dot(g, g, n)


cdef inline char* _at(Buffer buffer, Py_ssize_t start) noexcept nogil:
    """Return where number `start` of a buffer is, NULL if there is no buffer."""
    return NULL if buffer is None else buffer.data + start * buffer.itemsize


cdef class SquaredNorm(Step):
    """One of some sums of squares of gradients: chunk by chunk, and then over the chunks in their order."""

    cdef:
        Buffer gradient     # IN
        Buffer accumulator  # IN, of the gradient's shape, or None
        Buffer squares      # OUT, in the place `index`: float64
        Buffer hyper        # IN: float64
        Py_ssize_t index, count
        double steps
        square_loop loop

    def __init__(
        self, Buffer gradient, Buffer accumulator, Buffer squares, index, Buffer hyper, double steps
    ):
        self.gradient, self.accumulator, self.squares, self.hyper = gradient, accumulator, squares, hyper
        self.index, self.steps = index, steps
        self.count = (gradient.size + CHUNK - 1) // CHUNK
        self.workspace = self.count * sizeof(double)
        self.scratch = 0 if accumulator is None else CHUNK * gradient.itemsize
        self.loop = <square_loop> _square[float] if gradient.dtype == "float32" else <square_loop> _square[double]

    cdef void run(self) noexcept nogil:
        cdef double total = 0
        cdef Py_ssize_t i
        if (<const double*> self.hyper.data)[APPLIES] != 0:
            self.split(self.count, 2.0 * self.gradient.size)
            for i in range(self.count):
                total += (<double*> self.work)[i]
            (<double*> self.squares.data)[self.index] = total

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef Py_ssize_t start = i * CHUNK
        (<double*> self.work)[i] = self.loop(
            _at(self.gradient, start), _at(self.accumulator, start), scratch,
            min(<Py_ssize_t> CHUNK, self.gradient.size - start), self.steps
        )


cdef class ParameterUpdate(Step):
    """One update of one parameter by a rule, with everything around it.

    `squares` has the sums of squares of the gradients whose common norm is clipped to `most`: of this parameter's
    alone, or `across` all of them, where an infinite norm makes every gradient NaN.
    """

    cdef:
        Buffer parameter    # INOUT
        Buffer gradient     # IN, of the parameter's shape
        Buffer a, b, c      # INOUT, likewise, or None
        Buffer accumulator  # INOUT, likewise, or None
        Buffer average      # INOUT, likewise, or None
        Buffer squares      # IN: float64, or None
        Buffer hyper        # IN: float64
        double most
        bint across
        Recipe recipe
        chunk_loop loop

    def __init__(
        self, str rule, Buffer parameter, Buffer gradient, slots, Buffer hyper, Buffer accumulator, double steps,
        Buffer squares, double most, bint across, double bound, bint decays, Buffer average
    ):
        self.parameter, self.gradient, self.hyper = parameter, gradient, hyper
        self.a, self.b, self.c = (*slots, None, None, None)[:3]
        self.accumulator, self.average, self.squares = accumulator, average, squares
        self.most, self.across = most, across
        self.recipe.steps, self.recipe.scale, self.recipe.bound, self.recipe.decays = steps, 1, bound, decays
        if accumulator is not None or squares is not None or bound > 0:
            self.scratch = CHUNK * parameter.itemsize
        if parameter.dtype == "float32":
            self.recipe.rule, self.loop = _rule(rule, <float> 0), <chunk_loop> _update[float]
        else:
            self.recipe.rule, self.loop = _rule(rule, <double> 0), <chunk_loop> _update[double]

    cdef double scale(self) noexcept nogil:
        """Return what the gradient is to be multiplied by, so that the norm is at most `most`."""
        cdef:
            const double* squares = <const double*> self.squares.data
            double norm = 0
            Py_ssize_t i
        for i in range(self.squares.size):
            norm += squares[i]
        norm = sqrt(norm)
        if self.across and norm - norm != 0:
            return NAN
        return 1 if norm <= self.most else self.most / norm

    cdef void run(self) noexcept nogil:
        self.recipe.hyper = <const double*> self.hyper.data
        if self.squares is not None:
            self.recipe.scale = self.scale()
        self.split((self.parameter.size + CHUNK - 1) // CHUNK, 8.0 * self.parameter.size)
        if self.recipe.hyper[APPLIES] != 0 or self.recipe.hyper[OVERWRITES] != 0:
            self.parameter.version += 1

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef Py_ssize_t start = i * CHUNK
        self.loop(
            _at(self.parameter, start), _at(self.gradient, start), _at(self.accumulator, start),
            _at(self.average, start), scratch, _at(self.a, start), _at(self.b, start), _at(self.c, start),
            min(<Py_ssize_t> CHUNK, self.parameter.size - start), &self.recipe
        )
