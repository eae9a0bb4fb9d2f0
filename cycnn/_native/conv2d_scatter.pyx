"""Gradient of a convolution to an input of few channels, float32.

    dx[n, oh stride_h + kh dilation_h - pad_top, ow stride_w + kw dilation_w - pad_left, ic] +=
        sum over oc of dout[n, oh, ow, oc] kernel[kh, kw, ic, oc]

A tile of output channels leaves most lanes of a vector empty where there are fewer channels than lanes. Here the lanes
are taps: each pixel of dout is multiplied by the whole kernel, a matrix (OC, KH * KW * IC), and its products are added
to a padded image of dx, where the taps of one kernel row are a contiguous run. One task is one image. As a transposed
convolution it adds a bias and applies an activation.
"""

from libc.string cimport memcpy, memset

from cycnn._native.runtime cimport Buffer, Step
from .activations cimport LINEAR, activate, activation_code, chain_activation
from .correlation cimport PANEL, correlate_tile, packed_kernel
from .simd cimport TILE_ROWS, VL, vf, vf_add, vf_load, vf_load_first, vf_store, vf_store_first
from .tiles cimport Epilogue, Taps, ceil_div, check_scratch


cdef class ScatterInput(Step):
    """dx = act(the transpose of the convolution applied to dout, + bias), or times act'(y) of the layer before."""

    def __init__(self, Buffer dout, Buffer kernel, Buffer bias, Buffer dx, window, str activation, Buffer y):
        self.dout, self.bias, self.dx, self.y = dout, bias, dx, y
        self.activation = activation_code(activation)
        (self.KH, self.KW, self.stride_h, self.stride_w, self.pad_top, _, self.pad_left, _, self.dilation_h,
         self.dilation_w) = window
        self.N, self.IH, self.IW, self.IC = dx.shape
        _, self.OH, self.OW, self.OC = dout.shape
        check_scratch(
            <double> self.OH * self.stride_h + self.KH * self.dilation_h + self.pad_top + self.IH,
            <double> self.OW * self.stride_w + self.KW * self.dilation_w + self.pad_left + self.IW, self.IC + PANEL)
        self.height = max((self.OH - 1) * self.stride_h + (self.KH - 1) * self.dilation_h + 1, self.pad_top + self.IH)
        self.width = max((self.OW - 1) * self.stride_w + (self.KW - 1) * self.dilation_w + 1, self.pad_left + self.IW)
        if self.dilation_w == 1:
            self.runs, self.length = 1, self.KW * self.IC
        else:
            self.runs, self.length = self.KW, self.IC
        self.packed = packed_kernel(kernel, (1, 0, 1), (1, 0, 1), True, True)
        self.products = ceil_div(self.KH * self.KW * self.IC, PANEL) * PANEL
        self.scratch = (self.height * self.width * self.IC + TILE_ROWS * self.products) * sizeof(float)

    cdef void run(self) noexcept nogil:
        self.packed.run()
        self.split(self.N, 2.0 * self.N * self.OH * self.OW * self.OC * self.products)

    cdef void task(self, Py_ssize_t n, char* scratch) noexcept nogil:
        cdef:
            float* products = <float*> scratch
            float* image = products + TILE_ROWS * self.products
            Py_ssize_t oh, t, start, stop, p, r, tiles = ceil_div(self.OW, TILE_ROWS), taps = self.KH * self.KW * self.IC
            const float* dout
            float no_bias[PANEL]
            Py_ssize_t zero = 0
            Taps channels
            Epilogue epilogue
        epilogue.bias, epilogue.clamps = no_bias, False
        channels.runs, channels.length, channels.starts = 1, self.OC, &zero
        memset(no_bias, 0, sizeof(no_bias))
        memset(image, 0, self.height * self.width * self.IC * sizeof(float))
        for oh in range(self.OH):
            for t in range(tiles):
                start, stop = self.OW * t // tiles, self.OW * (t + 1) // tiles
                dout = <const float*> self.dout.data + ((n * self.OH + oh) * self.OW + start) * self.OC
                for p in range(self.packed.panels):
                    correlate_tile(
                        stop - start, &channels, dout, self.OC, self.packed.data + p * self.OC * PANEL, &epilogue,
                        products + p * PANEL, self.products, min(<Py_ssize_t> PANEL, taps - p * PANEL),
                    )
                for r in range(stop - start):
                    self.add_products(products + r * self.products, oh, start + r, image)
        self.crop(image, n)

    cdef void add_products(self, const float* products, Py_ssize_t oh, Py_ssize_t ow, float* image) noexcept nogil:
        """Add what one pixel of dout gives to all pixels under its window."""
        cdef:
            Py_ssize_t kh, s, i, rest
            float* run
            vf value
        for kh in range(self.KH):
            for s in range(self.runs):
                run = image + self.IC * (
                    (oh * self.stride_h + kh * self.dilation_h) * self.width
                    + ow * self.stride_w + s * self.dilation_w
                )
                i = 0
                while i + VL <= self.length:
                    vf_store(run + i, vf_add(vf_load(run + i), vf_load(products + i)))
                    i += VL
                if i < self.length:
                    rest = self.length - i
                    value = vf_add(vf_load_first(run + i, rest), vf_load_first(products + i, rest))
                    vf_store_first(run + i, value, rest)
                products += self.length

    cdef void crop(self, const float* image, Py_ssize_t n) noexcept nogil:
        """Store the image without its padding, and apply the epilogue."""
        cdef:
            Py_ssize_t row = self.IW * self.IC, place, ih, iw, ic
            float* dx
            const float* bias = <const float*> self.bias.data if self.bias is not None else NULL
        for ih in range(self.IH):
            place = (n * self.IH + ih) * row
            dx = <float*> self.dx.data + place
            memcpy(dx, image + ((self.pad_top + ih) * self.width + self.pad_left) * self.IC, row * sizeof(float))
            if bias != NULL:
                for iw in range(self.IW):
                    for ic in range(self.IC):
                        dx[iw * self.IC + ic] += bias[ic]
            if self.activation != LINEAR and self.y is not None:
                chain_activation(self.activation, <const float*> self.y.data + place, dx, row)
            elif self.activation != LINEAR:
                activate(self.activation, dx, row)
