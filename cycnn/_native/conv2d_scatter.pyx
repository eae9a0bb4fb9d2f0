"""Gradient of a convolution to an input of few channels, float32.

    dx[n, oh stride_h + kh dilation_h - pad_top, ow stride_w + kw dilation_w - pad_left, ic] +=
        sum over oc of dout[n, oh, ow, oc] kernel[kh, kw, ic, oc]

A tile of output channels leaves most lanes of a vector empty where there are fewer channels than lanes. Here the lanes
are columns of the kernel as well: for each row of dx, pixels of dout are multiplied by matrices (OC, KW * IC) and
summed over kh in registers; then each pixel of the row adds up the products of the columns that meet in it. A task is
some rows of an image. As a transposed convolution it adds a bias and applies an activation.
"""

from libc.stdlib cimport calloc, free
from libc.string cimport memset

from cycnn._native.runtime cimport MULTIPLY_ADD, Buffer, Memory, Step
from .activations cimport LINEAR, activate, activation_code, chain_activation
from .correlation cimport PANEL, PackedKernel, correlate_tile, packed_kernel, phase_taps
from .geometry cimport real_taps
from .simd cimport TILE_ROWS, VL, vf, vf_add, vf_load, vf_load_first, vf_store, vf_store_first, vf_zero
from .tiles cimport Epilogue, Taps, ceil_div, check_scratch

cdef enum:
    MIN_TASKS = 16  # divide few images at least into so many tasks


cdef class ScatterInput(Step):
    """dx = act(the transpose of the convolution applied to dout, + bias), or times act'(y) of the layer before."""

    def __init__(self, Buffer dout, Buffer kernel, Buffer bias, Buffer dx, window, str activation, Buffer y):
        cdef Py_ssize_t p, KH, count
        self.dout, self.bias, self.dx, self.y = dout, bias, dx, y
        self.activation = activation_code(activation)
        self.N, self.IH, self.IW, self.IC = dx.shape
        _, self.OH, self.OW, self.OC = dout.shape
        KH, self.KW, self.stride_h = window.kernel_h, window.kernel_w, window.stride_h
        self.lanes = self.KW * self.IC
        self.products = ceil_div(self.lanes, PANEL) * PANEL
        check_scratch(self.OW, self.products, 1)
        self.scratch = (self.OW * self.products + VL) * sizeof(float) + KH * sizeof(Py_ssize_t)
        count = min(self.stride_h, self.IH)
        self.phases = <Phase*> calloc(max(count, 1), sizeof(Phase))
        if self.phases == NULL:
            raise MemoryError("no memory for the phases of a convolution")
        self.packed = ()
        for p in range(count):
            taps, dilation, pad = phase_taps(p, KH, self.stride_h, window.dilation_h, window.pad_top)
            packed = packed_kernel(kernel, taps, (1, 0, 1), True, True)
            self.packed += (packed,)
            self.phases[p].taps, self.phases[p].dilation, self.phases[p].pad = taps[0], dilation, pad
            self.phases[p].packed = <void*> packed
        self.list_products(window)
        self.block_h = max(min(self.IH, ceil_div(self.N * self.IH, MIN_TASKS)), 1)
        self.blocks = ceil_div(self.IH, self.block_h)

    cdef int list_products(self, window) except -1:
        """List for each column of dx where the products are that meet in it, in a row of dout's pixels."""
        cdef:
            Py_ssize_t stride = window.stride_w, dilation = window.dilation_w, iw, kw, place
            Py_ssize_t* found
        check_scratch(self.IW, self.KW + 1, 2)
        self.lists = Memory(self.IW * (self.KW + 1) * sizeof(Py_ssize_t))
        found = <Py_ssize_t*> self.lists.data
        for iw in range(self.IW):
            found[0] = 0
            for kw in range(self.KW):
                place = iw + <Py_ssize_t> window.pad_left - kw * dilation
                if place >= 0 and place % stride == 0 and place // stride < self.OW:
                    found[0] += 1
                    found[found[0]] = place // stride * self.products + kw * self.IC
            found += self.KW + 1
        return 0

    cdef void run(self) noexcept nogil:
        cdef Py_ssize_t p
        for p in range(min(self.stride_h, self.IH)):
            (<PackedKernel> self.phases[p].packed).run()
        self.split(self.N * self.blocks, MULTIPLY_ADD * self.N * self.OH * self.OW * self.OC * self.products)

    cdef void task(self, Py_ssize_t i, char* scratch) noexcept nogil:
        cdef:
            Py_ssize_t n = i // self.blocks, first = i % self.blocks * self.block_h, ih
            float* products = <float*> scratch
            Py_ssize_t* starts = <Py_ssize_t*> (products + self.OW * self.products + VL)
        for ih in range(first, min(first + self.block_h, self.IH)):
            self.multiply(n, ih, products, starts)
            self.add(n, ih, products)

    cdef void multiply(self, Py_ssize_t n, Py_ssize_t ih, float* products, Py_ssize_t* starts) noexcept nogil:
        """products[ow][kw, ic] = sum over kh, oc of dout[n, oh, ow, oc] kernel[kh, kw, ic, oc], where oh meets ih."""
        cdef:
            Phase* phase = &self.phases[ih % self.stride_h]
            Py_ssize_t top = ih // self.stride_h - phase.pad, tiles = ceil_div(self.OW, TILE_ROWS)
            Py_ssize_t row = self.OW * self.OC, first, stop, a, p, t, start, end, channels
            const float* dout = <const float*> self.dout.data + n * self.OH * row
            const float* panel
            float no_bias[PANEL]
            Taps taps
            Epilogue epilogue
        memset(no_bias, 0, sizeof(no_bias))
        memset(&epilogue, 0, sizeof(epilogue))
        epilogue.bias = no_bias
        real_taps(top, self.OH, phase.taps, phase.dilation, &first, &stop)
        if stop <= first:
            first = stop = 0
        else:
            dout += (top + first * phase.dilation) * row
        for a in range(stop - first):
            starts[a] = a * phase.dilation * row
        taps.runs, taps.length, taps.starts = stop - first, self.OC, starts
        taps.ahead, taps.ahead_step = NULL, 0  # the kernel is small
        for p in range(self.products // PANEL):
            channels = min(<Py_ssize_t> PANEL, self.lanes - p * PANEL)
            panel = (<PackedKernel> phase.packed).data + p * phase.taps * self.OC * PANEL
            panel += first * self.OC * (VL if channels <= VL else PANEL)
            for t in range(tiles):
                start, end = self.OW * t // tiles, self.OW * (t + 1) // tiles
                correlate_tile(
                    end - start, &taps, dout + start * self.OC, self.OC, panel, &epilogue,
                    products + start * self.products + p * PANEL, self.products, channels,
                )

    cdef void add(self, Py_ssize_t n, Py_ssize_t ih, const float* products) noexcept nogil:
        """Add up the products that meet in each pixel of a row of dx, and apply the epilogue.

        Lanes beyond the channels of a pixel hold anything; the next pixel overwrites them.
        """
        cdef:
            Py_ssize_t row = self.IW * self.IC, place = (n * self.IH + ih) * row, iw, i
            const Py_ssize_t* found = <const Py_ssize_t*> self.lists.data
            float* dx = <float*> self.dx.data + place
            vf bias = vf_load_first(<const float*> self.bias.data, self.IC) if self.bias is not None else vf_zero()
            vf total
        for iw in range(self.IW):
            total = bias
            for i in range(found[0]):
                total = vf_add(total, vf_load(products + found[1 + i]))
            found += self.KW + 1
            if iw * self.IC + VL <= row:
                vf_store(dx + iw * self.IC, total)
            else:
                vf_store_first(dx + iw * self.IC, total, self.IC)
        if self.activation != LINEAR and self.y is not None:
            chain_activation(self.activation, <const float*> self.y.data + place, dx, row)
        elif self.activation != LINEAR:
            activate(self.activation, dx, row)

    def __dealloc__(self):
        free(self.phases)
