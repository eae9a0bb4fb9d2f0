"""Readers of image data sets, and one small set that comes with them; nothing here downloads anything.

Every ``load_*`` function returns ``(x_train, y_train), (x_test, y_test)``: images of shape ``(count, height, width,
channels)``, labels int32 of shape ``(count,)``. The digits of the package and those of MNIST are float32 in 0..1, which
the first layer of a network takes with no preprocessing in between. Those of CIFAR-10 are the bytes that are stored, a
quarter of the memory, for which a ``Rescaling(1 / 255)`` layer comes first.
"""

from .cifar import load_cifar10
from .digits import load_digits
from .idx import read_idx
from .mnist import load_mnist

__all__ = ["load_cifar10", "load_digits", "load_mnist", "read_idx"]
