"""Which algorithm computes a convolution: one table, by the shape of the layer alone.

Winograd's F(4x4, 3x3) computes a tile of 4 x 4 pixels with 36 multiplications for each pair of channels, not 144, but
it transforms tiles and kernel, and computes whole tiles where an image ends within one. It can do so for kernels of
3 x 3 taps with stride 1, in float32, and is chosen where both numbers of channels are at least `CHANNELS` and

    output, gradient to the input    4 (tiles + `SPARE`) <= pixels, or `SPARE_LARGE` where channels are `PAIRS` and more
    gradient to the kernel           `TILES` <= tiles

The kernel's transform costs about as much as SPARE tiles; from `PAIRS` on it is made at each use, too large to be kept.
The gradient to the kernel is accumulated between the transforms, F(3x3, 4x4). All limits are measured with the kernel
transformed anew for every batch, as in training. They know nothing of threads, so that results do not depend on them.
Everything else is computed directly.
"""

from __future__ import annotations

from types import SimpleNamespace

from cycnn import config
from cycnn.shapes import Window
from cycnn.validation import message, received

CHANNELS = 16
SPARE, SPARE_LARGE, PAIRS = 6, 12, 340 * 340
TILES = 16


def winograd(kernels: SimpleNamespace, kernel: tuple[int, ...], window: Window, pixels: tuple[int, ...]) -> bool:
    """Return whether Winograd's algorithm computes a convolution, or its gradient to the input.

    Parameters
    ----------
    kernels : namespace of step classes
    kernel : tuple of int
        The kernel's shape.
    window : Window
    pixels : tuple of int
        Batch, height and width of what is computed.
    """
    batch, height, width = pixels
    spare = SPARE_LARGE if kernel[-2] * kernel[-1] >= PAIRS else SPARE
    return _possible(kernels, kernel, window) and 4 * (_tiles(pixels) + spare) <= batch * height * width


def winograd_kernel(kernels: SimpleNamespace, kernel: tuple[int, ...], window: Window, pixels: tuple[int, ...]) -> bool:
    """Return whether Winograd's algorithm computes the gradient of a convolution to its kernel.

    Parameters
    ----------
    kernels : namespace of step classes
    kernel : tuple of int
        The kernel's shape.
    window : Window
    pixels : tuple of int
        Batch, height and width of the output.
    """
    return _possible(kernels, kernel, window) and _tiles(pixels) >= TILES


def _tiles(pixels: tuple[int, ...]) -> int:
    batch, height, width = pixels
    return batch * -(-height // 4) * -(-width // 4)


def _possible(kernels: SimpleNamespace, kernel: tuple[int, ...], window: Window) -> bool:
    """Return whether the algorithm can be used, and has channels enough."""
    if config.winograd not in ("auto", "off"):
        raise ValueError(message("config", "winograd", 'be "auto" or "off"', received("winograd", config.winograd)))
    if config.winograd == "off" or not hasattr(kernels, "WinogradForward") or min(kernel[-2:]) < CHANNELS:
        return False
    taps = (window.kernel_h, window.kernel_w, window.stride_h, window.stride_w, window.dilation_h, window.dilation_w)
    return taps == (3, 3, 1, 1, 1, 1)
