"""Readers of image data sets; nothing here downloads anything.

Every ``load_*`` function returns ``(x_train, y_train), (x_test, y_test)`` in one form: images
float32 in 0..1 of shape ``(count, height, width, channels)``, labels int32 of shape ``(count,)``.
That is what the first layer of a network takes, with no preprocessing in between.
"""

from .idx import read_idx
from .mnist import load_mnist

__all__ = ["load_mnist", "read_idx"]
