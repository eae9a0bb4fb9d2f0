"""Normalisation by fixed statistics folded into the convolution before it, for inference.

    factor_c = gamma_c / sqrt(variance_c + epsilon)
    folded   = kernel * factor_c for the numbers of output channel c,  shift_c = beta_c + (bias_c - mean_c) factor_c

so that act(conv(x, folded) + shift) = act(normalised(conv(x, kernel) + bias)), and the normalisation costs nothing.

The kernel is seen as rows of `line` numbers: C output channels, each with `inner` neighbouring numbers of its own (one,
or the input channels of a transposed convolution). The idea: parameters only ever raise their versions, so the sum of
these tells whether any of them has changed since the last run; where none has, there is nothing to do.
"""

from libc.math cimport sqrt

from cycnn._native.runtime cimport Buffer, Memory, Step
from cycnn._native.threads cimport begin_copy, end_copy
from .activations cimport real_t

cdef enum:
    BLOCK = 16384  # numbers of a task, about

ctypedef void (*prepare_loop)(
    const void* bias, const void* mean, const void* variance, const void* gamma, const void* beta, void* factors,
    void* shift, Py_ssize_t C, Py_ssize_t inner, double epsilon
) noexcept nogil
ctypedef void (*multiply_loop)(
    const void* kernel, const void* factors, void* folded, Py_ssize_t rows, Py_ssize_t line
) noexcept nogil


cdef void _prepare(
    const real_t* bias, const real_t* mean, const real_t* variance, const real_t* gamma, const real_t* beta,
    real_t* factors, real_t* shift, Py_ssize_t C, Py_ssize_t inner, double epsilon
) noexcept nogil:
    """Write the factors of a line, and the shifts."""
    cdef:
        Py_ssize_t c, i
        double factor
    for c in range(C):
        factor = 1 / sqrt(variance[c] + epsilon)
        if gamma != NULL:
            factor *= gamma[c]
        for i in range(c * inner, (c + 1) * inner):
            factors[i] = <real_t> factor
        shift[c] = <real_t> (
            (0.0 if beta == NULL else beta[c]) + ((0.0 if bias == NULL else bias[c]) - <double> mean[c]) * factor
        )


cdef void _multiply(
    const real_t* kernel, const real_t* factors, real_t* folded, Py_ssize_t rows, Py_ssize_t line
) noexcept nogil:
    cdef Py_ssize_t r, i
    for r in range(rows):
        for i in range(line):
            folded[r * line + i] = kernel[r * line + i] * factors[i]


cdef class FoldNorm(Step):
    """The kernel and the bias of a convolution and the normalisation behind it, made again only when either changes."""

    cdef:
        Buffer kernel          # IN  rows of C channels of `inner` numbers
        Buffer bias            # IN  (C,) or None for zeros
        Buffer mean, variance  # IN  (C,)
        Buffer gamma, beta     # IN  (C,) or None for ones and zeros
        Buffer folded          # OUT of kernel's shape
        Buffer shift           # OUT (C,)
        Py_ssize_t C, inner, line, rows, block  # rows of the kernel, and of a task
        double epsilon
        unsigned long long version
        Memory factors
        prepare_loop prepare
        multiply_loop multiply

    def __init__(
        self, Buffer kernel, Buffer bias, Buffer mean, Buffer variance, Buffer gamma, Buffer beta, Buffer folded,
        Buffer shift, Py_ssize_t inner, double epsilon
    ):
        self.kernel, self.bias, self.mean, self.variance = kernel, bias, mean, variance
        self.gamma, self.beta, self.folded, self.shift = gamma, beta, folded, shift
        self.inner, self.epsilon = inner, epsilon
        self.C, self.line = mean.size, mean.size * inner
        self.rows, self.block = kernel.size // max(self.line, 1), max(1, BLOCK // max(self.line, 1))
        self.factors = Memory(self.line * kernel.itemsize)
        if kernel.dtype == "float32":
            self.prepare, self.multiply = <prepare_loop> _prepare[float], <multiply_loop> _multiply[float]
        else:
            self.prepare, self.multiply = <prepare_loop> _prepare[double], <multiply_loop> _multiply[double]

    cdef unsigned long long versions(self) noexcept nogil:
        return (
            self.kernel.version + self.mean.version + self.variance.version
            + (0 if self.bias is None else self.bias.version) + (0 if self.gamma is None else self.gamma.version)
            + (0 if self.beta is None else self.beta.version)
        )

    cdef void run(self) noexcept nogil:
        cdef unsigned long long version = self.versions()  # before, for a parameter may change meanwhile
        if not begin_copy(&self.version, version):
            return
        self.prepare(
            NULL if self.bias is None else self.bias.data, self.mean.data, self.variance.data,
            NULL if self.gamma is None else self.gamma.data, NULL if self.beta is None else self.beta.data,
            self.factors.data, self.shift.data, self.C, self.inner, self.epsilon
        )
        self.split((self.rows + self.block - 1) // self.block, <double> self.kernel.size)
        self.folded.version += 1
        self.shift.version += 1
        end_copy(&self.version, version)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef Py_ssize_t first = i * self.block, at = first * self.line * self.kernel.itemsize
        self.multiply(
            self.kernel.data + at, self.factors.data, self.folded.data + at, min(self.block, self.rows - first),
            self.line
        )
