"""The operations of networks on NumPy arrays, with their gradients.

`convolution`  conv2d and its gradients to the image, the kernel and the bias
`depthwise`    depthwise convolution and its gradients
`transposed`   transposed convolution and its gradients
`matrix`       dense and its gradients
`pooling`      maximum and average pooling and their gradients
`activations`, `activation_gradients`  activation functions with Keras's arguments
`losses`       losses of each row, and the gradients of their mean

Each function checks its arguments, allocates its results and runs one compiled step. Arrays are
float32 or float64, all arguments of a call alike; lists are taken as float32. A function that ends
in `_backward` takes the gradient of some number with respect to the result of its counterpart, and
returns the gradient of that number with respect to the arguments; images are
``(batch, height, width, channels)``, and a batch of none gives results of none.
"""

from .activation_gradients import (
    elu_backward,
    exponential_backward,
    gelu_backward,
    hard_sigmoid_backward,
    hard_silu_backward,
    leaky_relu_backward,
    log_softmax_backward,
    mish_backward,
    relu6_backward,
    relu_backward,
    selu_backward,
    sigmoid_backward,
    silu_backward,
    softmax_backward,
    softplus_backward,
    softsign_backward,
    tanh_backward,
)
from .activations import (
    elu,
    exponential,
    gelu,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    tanh,
    tanh_shrink,
)
from .convolution import conv2d, conv2d_backward_input, conv2d_backward_kernel
from .depthwise import depthwise_conv2d, depthwise_conv2d_backward_input, depthwise_conv2d_backward_kernel
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
from .transposed import conv2d_transpose, conv2d_transpose_backward_input, conv2d_transpose_backward_kernel

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
    "conv2d_transpose",
    "conv2d_transpose_backward_input",
    "conv2d_transpose_backward_kernel",
    "dense",
    "dense_backward",
    "depthwise_conv2d",
    "depthwise_conv2d_backward_input",
    "depthwise_conv2d_backward_kernel",
    "elu",
    "elu_backward",
    "exponential",
    "exponential_backward",
    "gelu",
    "gelu_backward",
    "hard_sigmoid",
    "hard_sigmoid_backward",
    "hard_silu",
    "hard_silu_backward",
    "hard_tanh",
    "leaky_relu",
    "leaky_relu_backward",
    "log_sigmoid",
    "log_softmax",
    "log_softmax_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "mean_squared_error",
    "mean_squared_error_backward",
    "mish",
    "mish_backward",
    "relu",
    "relu6",
    "relu6_backward",
    "relu_backward",
    "selu",
    "selu_backward",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "softmax",
    "softmax_backward",
    "softplus",
    "softplus_backward",
    "softsign",
    "softsign_backward",
    "sparse_categorical_crossentropy",
    "sparse_categorical_crossentropy_backward",
    "sparse_plus",
    "sparse_sigmoid",
    "tanh",
    "tanh_backward",
    "tanh_shrink",
]
