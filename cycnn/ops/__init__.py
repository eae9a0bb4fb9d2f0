"""The operations of networks on NumPy arrays, with their gradients.

`convolution`  conv2d and its gradients to the image, the kernel and the bias
`matrix`       dense and its gradients
`pooling`      maximum and average pooling and their gradients
`activations`  relu, sigmoid, tanh, softmax and their gradients
`losses`       losses of each row, and the gradients of their mean

Each function checks its arguments, allocates its results and runs one compiled step. Arrays are
float32 or float64, all arguments of a call alike; lists are taken as float32. A function that ends
in `_backward` takes the gradient of some number with respect to the result of its counterpart, and
returns the gradient of that number with respect to the arguments; images are
``(batch, height, width, channels)``, and a batch of none gives results of none.
"""

from .activations import (
    relu,
    relu_backward,
    sigmoid,
    sigmoid_backward,
    softmax,
    softmax_backward,
    tanh,
    tanh_backward,
)
from .convolution import conv2d, conv2d_backward_input, conv2d_backward_kernel
from .losses import (
    binary_crossentropy,
    binary_crossentropy_backward,
    categorical_crossentropy,
    categorical_crossentropy_backward,
    mean_squared_error,
    mean_squared_error_backward,
    sparse_categorical_crossentropy,
    sparse_categorical_crossentropy_backward,
)
from .matrix import dense, dense_backward
from .pooling import (
    average_pool2d,
    average_pool2d_backward,
    max_pool2d,
    max_pool2d_backward,
)

__all__ = [
    "average_pool2d",
    "average_pool2d_backward",
    "binary_crossentropy",
    "binary_crossentropy_backward",
    "categorical_crossentropy",
    "categorical_crossentropy_backward",
    "conv2d",
    "conv2d_backward_input",
    "conv2d_backward_kernel",
    "dense",
    "dense_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "mean_squared_error",
    "mean_squared_error_backward",
    "relu",
    "relu_backward",
    "sigmoid",
    "sigmoid_backward",
    "softmax",
    "softmax_backward",
    "sparse_categorical_crossentropy",
    "sparse_categorical_crossentropy_backward",
    "tanh",
    "tanh_backward",
]
