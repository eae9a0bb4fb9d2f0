"""Which algorithm computes a convolution: one table, by the shape of the layer alone.

Winograd's F(4x4, 3x3) computes a tile of 4 x 4 pixels with 36 multiplications for each pair of channels, not 144, but
it transforms tiles and kernel, and computes whole tiles where an image ends within one. It is chosen for kernels of
3 x 3 taps with stride 1, in float32, where both numbers of channels are at least `CHANNELS`, their product is at most
`PAIRS`, and there are `TILES` tiles. The limits are measured with the kernel transformed anew for every batch, as in
training. They know nothing of threads, so that results do not depend on them. Everything else is computed directly.

The gradient to the kernel is accumulated between the transforms, F(3x3, 4x4), which pays for any number of pairs: its
sums over many channels are transformed back before they leave the caches.
"""

from __future__ import annotations

from types import SimpleNamespace

from cycnn import config
from cycnn.shapes import Window
from cycnn.validation import message, received

CHANNELS = 16
PAIRS = 256 * 256  # of channels, at most: transformed, a larger kernel exceeds the caches
TILES = 16  # of all images; with fewer, reading the transformed kernel costs more than it saves


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
    return kernel[-2] * kernel[-1] <= PAIRS and winograd_kernel(kernels, kernel, window, pixels)


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
    if config.winograd not in ("auto", "off"):
        raise ValueError(message("config", "winograd", 'be "auto" or "off"', received("winograd", config.winograd)))
    if config.winograd == "off" or not hasattr(kernels, "WinogradForward"):
        return False
    if (window.kernel_h, window.kernel_w, window.stride_h, window.stride_w) != (3, 3, 1, 1):
        return False
    if (window.dilation_h, window.dilation_w) != (1, 1):
        return False
    if min(kernel[-2:]) < CHANNELS:
        return False
    batch, height, width = pixels
    return batch * -(-height // 4) * -(-width // 4) >= TILES
