"""Bad input, one row for each case: the expression, the error, and the whole message.

After every error the models predict what they predicted before.
"""

import numpy as np
import pytest
from helpers import assert_same

import cycnn
from cycnn import Input, Sequential, check_gradients, layers, losses, ops, optimizers

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 6, 6, 2)).astype("float32")
Y = np.arange(6) % 3
KERNEL = np.ones((3, 3, 2, 4), "float32")
DOUT = np.ones((6, 4, 4, 4), "float32")
NAN = float("nan")


def make(units, activation, loss, *first):
    """Return a compiled model for the images X."""
    model = Sequential(
        [
            Input((6, 6, 2)),
            *first,
            layers.Conv2D(4, 3),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(units, activation=activation),
        ]
    )
    model.compile("sgd", loss, metrics=["accuracy"])
    return model


MODELS = {
    "model": make(3, "softmax", "sparse_categorical_crossentropy"),
    "categorical": make(3, "softmax", "categorical_crossentropy"),
    "binary": make(1, "sigmoid", "binary_crossentropy"),
    "rescaled": make(3, "softmax", "sparse_categorical_crossentropy", layers.Rescaling(0.5)),
}
NAMES = {
    "np": np, "cycnn": cycnn, "layers": layers, "losses": losses, "optimizers": optimizers, "ops": ops,
    "Input": Input, "Sequential": Sequential, "check_gradients": check_gradients,
    "X": X, "Y": Y, "KERNEL": KERNEL, "DOUT": DOUT, "NAN": NAN, **MODELS,
}  # fmt: skip

ACTIVATIONS = (
    "None, a function of cycnn.activations or one of 'celu', 'elu', 'exponential', 'gelu', 'hard_shrink', "
    "'hard_sigmoid', 'hard_silu', 'hard_swish', 'hard_tanh', 'leaky_relu', 'linear', 'log_sigmoid', 'log_softmax', "
    "'mish', 'relu', 'relu6', 'selu', 'sigmoid', 'silu', 'soft_shrink', 'softmax', 'softplus', 'softsign', "
    "'sparse_plus', 'sparse_sigmoid', 'squareplus', 'swish', 'tanh', 'tanh_shrink'"
)

# fmt: off
CASES = [
    # arguments of layers
    ("layers.Conv2D(0, 3)", ValueError,
     "Conv2D: `filters` must be a positive int. Received: filters=0."),
    ("layers.Conv2D(2.5, 3)", TypeError,
     "Conv2D: `filters` must be a positive int. Received: filters=2.5."),
    ("layers.Conv2D(8, (3, 3, 3))", ValueError,
     "Conv2D: `kernel_size` must be a positive int or a pair of them. Received: kernel_size=(3, 3, 3)."),
    ("layers.Conv2D(8, (3, -1))", ValueError,
     "Conv2D: `kernel_size` must be a positive int or a pair of them. Received: kernel_size=(3, -1)."),
    ('layers.Conv2D(8, "3")', TypeError,
     "Conv2D: `kernel_size` must be a positive int or a pair of them. Received: kernel_size='3'."),
    ("layers.Conv2D(8, 3, strides=(2, 0))", ValueError,
     "Conv2D: `strides` must be a positive int or a pair of them. Received: strides=(2, 0)."),
    ("layers.Conv2D(8, 3, strides=True)", TypeError,
     "Conv2D: `strides` must be a positive int or a pair of them. Received: strides=True."),
    ('layers.Conv2D(8, 3, padding="full")', ValueError,
     'Conv2D: `padding` must be "valid", "same", a non-negative int or ((top, bottom), (left, right)). '
     "Received: padding='full'."),
    ("layers.Conv2D(8, 3, padding=-1)", ValueError,
     'Conv2D: `padding` must be "valid", "same", a non-negative int or ((top, bottom), (left, right)). '
     "Received: padding=-1."),
    ("layers.Conv2D(8, 3, padding=(1, 1))", ValueError,
     'Conv2D: `padding` must be "valid", "same", a non-negative int or ((top, bottom), (left, right)). '
     "Received: padding=(1, 1)."),
    ("layers.Conv2D(8, 3, dilation_rate=0)", ValueError,
     "Conv2D: `dilation_rate` must be a positive int or a pair of them. Received: dilation_rate=0."),
    ("layers.Conv2D(8, 3, groups=3)", ValueError,
     "Conv2D: `groups` must divide the number of filters, 8. Received: groups=3."),
    ("layers.Conv2D(8, 3, groups=2).compute_output_shape((1, 9, 9, 3))", ValueError,
     "Conv2D: `groups` must divide the number of channels, 3. Received: groups=2."),
    ("layers.Conv2D(8, 3, groups=0)", ValueError,
     "Conv2D: `groups` must be a positive int. Received: groups=0."),
    ('layers.Conv2D(8, 3, data_format="channels_first")', ValueError,
     "Conv2D: `data_format` must be 'channels_last'. Received: data_format='channels_first'."),
    ('layers.Conv2D(8, 3, activation="threshold")', ValueError,
     f"Conv2D: `activation` must be {ACTIVATIONS}. Received: activation='threshold'."),
    ("layers.Conv2D(8, 3, activation=max)", TypeError,
     f"Conv2D: `activation` must be {ACTIVATIONS}. Received: activation=<built-in function max>. "
     "Layers go into the model themselves."),
    ('layers.Conv2D(8, 3, use_bias="yes")', TypeError,
     "Conv2D: `use_bias` must be True or False. Received: use_bias='yes'."),
    ('layers.Conv2D(8, 3, kernel_initializer="magic")', ValueError,
     "Conv2D: `kernel_initializer` must be one of constant, glorot_normal, glorot_uniform, he_normal, "
     "he_uniform, lecun_normal, lecun_uniform, ones, random_normal, random_uniform, truncated_normal, "
     "variance_scaling, zeros. "
     "Received: kernel_initializer='magic'."),
    ("layers.Conv2D(8, 3, kernel_initializer=3)", TypeError,
     "Conv2D: `kernel_initializer` must be the name of an initializer, its configuration, or an "
     "initializer. "
     "Received: kernel_initializer=3."),
    ('layers.Conv2D(8, 3, lora_rank=4)', TypeError,
     "Conv2D: `lora_rank` must be left out, for the layer has no such argument. Received: lora_rank=4."),
    ('layers.Conv2D(8, 3, kernel_regularizer="l3")', ValueError,
     "Conv2D: `kernel_regularizer` must be one of l1, l1_l2, l2. "
     "Received: kernel_regularizer='l3'."),
    ("layers.Conv1D(8, (3, 3))", ValueError,
     "Conv1D: `kernel_size` must be a positive int. Received: kernel_size=(3, 3)."),
    ("layers.Conv1D(8, 3, strides=0)", ValueError,
     "Conv1D: `strides` must be a positive int. Received: strides=0."),
    ('layers.Conv1D(8, 3, padding="full")', ValueError,
     "Conv1D: `padding` must be one of 'valid', 'same', 'causal'. Received: padding='full'."),
    ("layers.Conv1D(8, 3).compute_output_shape((None, 28, 28, 1))", ValueError,
     "Conv1D: `input_shape` must have the 3 axes (batch, steps, channels). "
     "Received: input_shape=(None, 28, 28, 1)."),
    ("layers.Conv1D(8, 5, dilation_rate=2).compute_output_shape((None, 7, 1))", ValueError,
     "Conv1D: `kernel_size` must fit into the padded sequence of 7 steps, but spans 9 with dilation 2. "
     "Received: kernel_size=5."),
    ("layers.MaxPooling1D(8).compute_output_shape((None, 7, 1))", ValueError,
     "MaxPooling1D: `pool_size` must fit into the padded sequence of 7 steps, but spans 8. "
     "Received: pool_size=8."),
    ('layers.MaxPooling1D(2, padding="causal")', ValueError,
     "MaxPooling1D: `padding` must be one of 'valid', 'same'. Received: padding='causal'."),
    ("layers.DepthwiseConv2D(3, depth_multiplier=0)", ValueError,
     "DepthwiseConv2D: `depth_multiplier` must be a positive int. Received: depth_multiplier=0."),
    ("layers.Conv2DTranspose(8, 3, padding=1)", TypeError,
     "Conv2DTranspose: `padding` must be one of 'valid', 'same'. Received: padding=1."),
    ("layers.Conv2DTranspose(8, 3, strides=2, output_padding=2)", ValueError,
     "Conv2DTranspose: `output_padding` must be less than `strides`=(2, 2). Received: output_padding=2."),
    ("layers.Conv2DTranspose(8, 3, output_padding=(0, -1))", ValueError,
     "Conv2DTranspose: `output_padding` must be a non-negative int or a pair of them. "
     "Received: output_padding=(0, -1)."),
    ('layers.Conv1DTranspose(8, 2, padding="same", output_padding=0).compute_output_shape((None, 1, 3))', ValueError,
     "Conv1DTranspose: `output_padding` must leave at least one pixel of the output. "
     "Received: output_padding=0, and an input of 1 pixels."),
    ('layers.Conv2D(8, 3, name="")', TypeError,
     "Conv2D: `name` must be a non-empty string. Received: name=''."),
    ('layers.Conv2D(8, 3, dtype="float16")', ValueError,
     "Conv2D: `dtype` must be one of 'float32', 'float64'. Received: dtype='float16'."),
    ("layers.Conv2D(8, 3, input_shape=28)", TypeError,
     "Conv2D: `input_shape` must be a tuple of positive ints. Received: input_shape=28."),
    ("layers.Conv2D(2**40, 3)", ValueError,
     "Conv2D: `filters` must be less than 2**31. Received: filters=1099511627776."),
    ("layers.Dense(-3)", ValueError,
     "Dense: `units` must be a positive int. Received: units=-3."),
    ("layers.Dense(3, trainable=1)", TypeError,
     "Dense: `trainable` must be True or False. Received: trainable=1."),
    ("layers.MaxPooling2D(0)", ValueError,
     "MaxPooling2D: `pool_size` must be a positive int or a pair of them. Received: pool_size=0."),
    ('layers.MaxPooling2D(2, strides="2")', TypeError,
     "MaxPooling2D: `strides` must be a positive int or a pair of them. Received: strides='2'."),
    ('layers.AveragePooling2D(2, padding="causal")', ValueError,
     'AveragePooling2D: `padding` must be "valid", "same", a non-negative int or ((top, bottom), (left, '
     "right)). "
     "Received: padding='causal'."),
    ("layers.GlobalMaxPooling2D(keepdims=2)", TypeError,
     "GlobalMaxPooling2D: `keepdims` must be True or False. Received: keepdims=2."),
    ("layers.Dropout(1.1)", ValueError,
     "Dropout: `rate` must be a finite number in [0, 1]. Received: rate=1.1."),
    ("layers.Dropout(-0.1)", ValueError,
     "Dropout: `rate` must be a finite number in [0, 1]. Received: rate=-0.1."),
    ("layers.Dropout(NAN)", ValueError,
     "Dropout: `rate` must be a finite number in [0, 1]. Received: rate=nan."),
    ('layers.Dropout("0.5")', TypeError,
     "Dropout: `rate` must be a finite number in [0, 1]. Received: rate='0.5'."),
    ("layers.Dropout(0.5, seed=-1)", ValueError,
     "Dropout: `seed` must be None or a non-negative int less than 2**64. Received: seed=-1."),
    ('layers.Rescaling("1/255")', TypeError,
     "Rescaling: `scale` must be a finite number. Received: scale='1/255'."),
    ('layers.Rescaling(float("inf"))', ValueError,
     "Rescaling: `scale` must be a finite number. Received: scale=inf."),
    ('layers.Softmax(axis="last")', TypeError,
     "Softmax: `axis` must be an int of 32 bits. Received: axis='last'."),
    ("Sequential([Input((4,)), layers.Softmax(axis=2)])", ValueError,
     "Softmax: `axis` must be an axis of the input, or several neighbours. "
     "Received: axis=2 for an input of 2 axes. "
     "The layer is 'softmax', called on 'input_layer'."),
    ("Sequential([Input((4, 4, 1)), layers.Softmax(axis=(1, 3))])", ValueError,
     "Softmax: `axis` must be an axis of the input, or several neighbours. "
     "Received: axis=(1, 3) for an input of 4 axes. "
     "The layer is 'softmax', called on 'input_layer'."),
    ("layers.ReLU(max_value=-1)", ValueError,
     "ReLU: `max_value` must be a finite number of at least 0. Received: max_value=-1."),
    ("layers.ReLU(negative_slope=-1)", ValueError,
     "ReLU: `negative_slope` must be a finite number of at least 0. Received: negative_slope=-1."),
    ("layers.ReLU(threshold=None)", TypeError,
     "ReLU: `threshold` must be a finite number of at least 0. Received: threshold=None."),
    ("layers.LeakyReLU(negative_slope=None)", TypeError,
     "LeakyReLU: `negative_slope` must be a finite number of at least 0. Received: negative_slope=None."),
    ('layers.ELU(alpha="1")', TypeError,
     "ELU: `alpha` must be a finite number. Received: alpha='1'."),
    ("layers.PReLU(shared_axes=[0])", ValueError,
     "PReLU: `shared_axes` must be a tuple of positive ints. Received: shared_axes=[0]."),
    ("Sequential([Input((4,)), layers.PReLU(shared_axes=2)])", ValueError,
     "PReLU: `input_shape` must have more than 2 axes. Received: input_shape=(None, 4). "
     "The layer is 'p_re_lu', called on 'input_layer'."),
    ("layers.Dropout(0.5, noise_shape=3)", TypeError,
     "Dropout: `noise_shape` must be None or a tuple of positive ints and None. Received: noise_shape=3."),
    ("layers.Dropout(0.5, noise_shape=(None, 0))", ValueError,
     "Dropout: `noise_shape` must be a positive int. Received: noise_shape=0."),
    ("Sequential([Input((4,)), layers.Dropout(0.5, noise_shape=(None, 3))])", ValueError,
     "Dropout: `noise_shape` must have the input's extents, None or 1. "
     "Received: noise_shape=(None, 3) for the input shape (None, 4). "
     "The layer is 'dropout', called on 'input_layer'."),
    ("layers.AlphaDropout(1)", ValueError,
     "AlphaDropout: `rate` must be a finite number in [0, 1). Received: rate=1."),
    ("Sequential([Input((4, 4, 1)), layers.SpatialDropout1D(0.5)])", ValueError,
     "SpatialDropout1D: `input_shape` must have the 3 axes (batch, steps, channels). "
     "Received: input_shape=(None, 4, 4, 1). "
     "The layer is 'spatial_dropout1d', called on 'input_layer'."),
    ('layers.SpatialDropout2D(0.5, data_format="channels_first")', ValueError,
     "SpatialDropout2D: `data_format` must be 'channels_last'. Received: data_format='channels_first'."),
    ("layers.GaussianNoise(1.5)", ValueError,
     "GaussianNoise: `stddev` must be a finite number in [0, 1]. Received: stddev=1.5."),
    ("layers.GaussianDropout(1)", ValueError,
     "GaussianDropout: `rate` must be a finite number in [0, 1). Received: rate=1."),
    ("layers.ActivityRegularization(l1=-1)", ValueError,
     "ActivityRegularization: `l1` must be a finite number of at least 0. Received: l1=-1."),
    ("layers.Activation(3)", TypeError,
     f"Activation: `activation` must be {ACTIVATIONS}. Received: activation=3."),
    ('layers.deserialize({"class_name": "Conv3D", "config": {}})', ValueError,
     "layers.deserialize: `class_name` must name one of cycnn's layers, or of `custom_objects`. "
     "Received: class_name='Conv3D'."),
    ("Input((28, None, 1))", TypeError,
     "Input: `shape` must be a tuple of positive ints. Received: shape=(28, None, 1)."),
    ("Input(())", ValueError,
     "Input: `shape` must be a tuple of positive ints. Received: shape=()."),
    ("Input(5)", TypeError,
     "Input: `shape` must be a tuple of positive ints. Received: shape=5."),
    # models
    ("Sequential(5)", TypeError,
     "Sequential: `layers` must be a list of layers. Received: layers=5."),
    ("Sequential([3])", TypeError,
     "Sequential: `layer` must be a Layer. Received: layer=3."),
    ("Sequential([layers.Flatten])", TypeError,
     "Sequential: `layer` must be a Layer. "
     "Received: layer=<class 'cycnn.layers.core.Flatten'>. Call the class: Flatten(...)."),
    ("Sequential([], name=3)", TypeError,
     "Sequential: `name` must be a non-empty string. Received: name=3."),
    ("Sequential([layers.Flatten(), Input((3,))])", ValueError,
     "Sequential: `layer` must come first if an Input. Received: layer=<InputLayer 'input_layer'>."),
    ('Sequential([layers.Flatten(name="a"), layers.Flatten(name="a")])', ValueError,
     "Sequential: `layer` must have a name that no other layer of the model has. Received: name='a'."),
    ('Sequential([Input((3,)), layers.Dense(2, dtype="float64")])', ValueError,
     "Sequential: `layer` must have the dtype of the model, float32. Received: dtype='float64'."),
    ("Sequential([Input((28, 28)), layers.Conv2D(8, 3)])", ValueError,
     "Conv2D: `input_shape` must have the 4 axes (batch, height, width, channels). "
     "Received: input_shape=(None, 28, 28). Add an axis of one channel with x[..., np.newaxis]. "
     "The layer is 'conv2d', called on 'input_layer'."),
    ("Sequential([Input((28,)), layers.MaxPooling2D()])", ValueError,
     "MaxPooling2D: `input_shape` must have the 4 axes (batch, height, width, channels). "
     "Received: input_shape=(None, 28). "
     "The layer is 'max_pooling2d', called on 'input_layer'."),
    ("Sequential([Input((4, 4, 1)), layers.Conv2D(8, 5)])", ValueError,
     "Conv2D: `kernel_size` must fit into the padded image of 4 x 4 pixels, but spans 5 x 5. "
     "Received: kernel_size=(5, 5). "
     "The layer is 'conv2d', called on 'input_layer'."),
    ("Sequential([Input((4, 4, 1)), layers.Conv2D(8, 3, dilation_rate=2)])", ValueError,
     "Conv2D: `kernel_size` must fit into the padded image of 4 x 4 pixels, but spans 5 x 5 with dilation "
     "(2, 2). "
     "Received: kernel_size=(3, 3). "
     "The layer is 'conv2d', called on 'input_layer'."),
    ("Sequential([Input((4, 4, 1)), layers.MaxPooling2D(5)])", ValueError,
     "MaxPooling2D: `pool_size` must fit into the padded image of 4 x 4 pixels, but spans 5 x 5. "
     "Received: pool_size=(5, 5). "
     "The layer is 'max_pooling2d', called on 'input_layer'."),
    ("Sequential([Input((4, 4, 1)), layers.AveragePooling2D(2, padding=2)])", ValueError,
     "AveragePooling2D: `padding` must be smaller than `pool_size`=(2, 2) on every side. "
     "Received: padding=2. "
     "The layer is 'average_pooling2d', called on 'input_layer'."),
    ("Sequential([Input((2**21, 2**21, 2**21)), layers.Flatten()])", ValueError,
     "Flatten: `output` must have at most 2**59 elements. "
     "Received: output.shape=(1, 9223372036854775808). "
     "The layer is 'flatten', called on 'input_layer'."),
    ("Sequential([Input((2**30,)), layers.Dense(2**30)])", ValueError,
     "Dense: `kernel` must have at most 2**59 elements. Received: kernel.shape=(1073741824, 1073741824). "
     "The layer is 'dense', called on 'input_layer'."),
    ("Sequential().pop()", RuntimeError,
     "Sequential: the model has no layer to remove."),
    ("Sequential([layers.Dense(3)]).output_shape", RuntimeError,
     "Sequential: the model must be built before `output_shape` is known. Put an Input layer first, or "
     "call build(input_shape)."),
    ("Sequential([layers.Dense(3)]).count_params()", RuntimeError,
     "Sequential: the model must be built before `count_params` is known. Put an Input layer first, or "
     "call build(input_shape)."),
    ("Sequential().predict(X)", RuntimeError,
     "predict: the model must have at least one layer. Add one."),
    ("Sequential([layers.Dense(3)]).fit(X, Y)", RuntimeError,
     "fit: the model must be compiled. Call compile(optimizer, loss) first."),
    ("model.add(layers.Conv2D(2, 3))", ValueError,
     "Conv2D: `input_shape` must have the 4 axes (batch, height, width, channels). "
     "Received: input_shape=(None, 3). "
     "The layer is 'conv2d', called on 'dense'."),
    ("model.build((None, 5, 5, 2))", ValueError,
     "Sequential: `input_shape` must be (None, 6, 6, 2), for which the model was built. "
     "Received: input_shape=(None, 5, 5, 2)."),
    ('model.get_layer("conv2d_7")', ValueError,
     "get_layer: `name` must be one of conv2d, max_pooling2d, flatten, dense. Received: name='conv2d_7'."),
    ("model.get_layer()", ValueError,
     "get_layer: `name` must be given, or `index`, not both. Received: name=None, index=None."),
    ("model.get_layer(index=4)", ValueError,
     "get_layer: `index` must be less than 4, the number of layers. Received: index=4."),
    ("model.set_weights(3)", TypeError,
     "set_weights: `weights` must be a list of arrays. Received: weights of type int."),
    ("model.set_weights([])", ValueError,
     "set_weights: `weights` must have 4 arrays, one for each parameter. Received: len(weights)=0."),
    ("model.set_weights([np.zeros((3, 3, 2, 4)), np.zeros(5), np.zeros((16, 3)), np.zeros(3)])", ValueError,
     "set_weights: `weights[1]` must have the shape (4,) of conv2d/bias. "
     "Received: weights[1].shape=(5,)."),
    ("model.set_weights([np.zeros((3, 3, 2, 4)), np.zeros(4, complex), np.zeros((16, 3)), np.zeros(3)])", TypeError,
     "set_weights: `weights[1]` must be an array of real numbers. "
     "Received: weights[1].dtype='complex128'."),
    ("model.weights[0].assign(np.zeros(4))", ValueError,
     "conv2d/kernel: `value` must have the shape (3, 3, 2, 4). Received: value.shape=(4,)."),
    ("model.summary(batch_size=0)", ValueError,
     "summary: `batch_size` must be a positive int. Received: batch_size=0."),
    # training, evaluation, prediction
    ('model.compile("adafactor", "mse")', ValueError,
     "compile: `optimizer` must be one of Adadelta, Adagrad, Adam, AdamW, Adamax, Lion, Nadam, RMSprop, SGD. "
     "Received: optimizer='adafactor'."),
    ('model.compile(3, "mse")', TypeError,
     "compile: `optimizer` must be the name of an optimizer, its configuration, or an optimizer. "
     "Received: optimizer=3."),
    ('model.compile("sgd", "nonsense")', ValueError,
     "compile: `loss` must be one of binary_crossentropy, binary_focal_crossentropy, categorical_crossentropy, "
     "categorical_focal_crossentropy, categorical_hinge, cosine_similarity, dice, hinge, huber, kl_divergence, "
     "log_cosh, mean_absolute_error, mean_absolute_percentage_error, mean_squared_error, "
     "mean_squared_logarithmic_error, poisson, sparse_categorical_crossentropy, squared_hinge, tversky. "
     "Received: loss='nonsense'."),
    ('model.compile("sgd", 3)', TypeError,
     "compile: `loss` must be the name of a loss, its configuration, or a loss. Received: loss=3."),
    ('model.compile("sgd", "mse", metrics="accuracy")', TypeError,
     "compile: `metrics` must be a list of names of metrics and Metric objects. "
     "Received: metrics='accuracy'."),
    ('model.compile("sgd", "mse", metrics=["nonsense"])', ValueError,
     "compile: `metrics` must name only accuracy, crossentropy, metrics and losses that need no arguments. "
     "Received: metrics=['nonsense']."),
    ('model.compile("sgd", "mse", metrics=[3])', TypeError,
     "compile: `metrics` must be a list of names of metrics and Metric objects. Received: metrics=[3]."),
    ("optimizers.SGD(-1)", ValueError,
     "SGD: `learning_rate` must be a finite number of at least 0. Received: learning_rate=-1."),
    ("optimizers.SGD(0.1, momentum=2)", ValueError,
     "SGD: `momentum` must be a finite number in [0, 1]. Received: momentum=2."),
    ("optimizers.SGD(0.1, nesterov=1)", TypeError,
     "SGD: `nesterov` must be True or False. Received: nesterov=1."),
    ('optimizers.Adam("fast")', TypeError,
     "Adam: `learning_rate` must be a finite number of at least 0. Received: learning_rate='fast'."),
    ("optimizers.Adam(beta_1=1.0)", ValueError,
     "Adam: `beta_1` must be a finite number in [0, 1). Received: beta_1=1.0."),
    ("optimizers.Adam(epsilon=-1)", ValueError,
     "Adam: `epsilon` must be a finite number of at least 0. Received: epsilon=-1."),
    ('losses.BinaryCrossentropy(from_logits="no")', TypeError,
     "BinaryCrossentropy: `from_logits` must be True or False. Received: from_logits='no'."),
    ('setattr(model.optimizer, "learning_rate", NAN)', ValueError,
     "SGD: `learning_rate` must be a finite number of at least 0. Received: learning_rate=nan."),
    ("model.fit(X[0], Y)", ValueError,
     "fit: `x` must have the shape (batch, 6, 6, 2). "
     "Received: x.shape=(6, 6, 2). Add an axis for a batch of one with x[np.newaxis]."),
    ("model.fit(X[..., 0], Y)", ValueError,
     "fit: `x` must have the shape (batch, 6, 6, 2). Received: x.shape=(6, 6, 6)."),
    ("model.fit(X[:, :, :4], Y)", ValueError,
     "fit: `x` must have the shape (batch, 6, 6, 2). Received: x.shape=(6, 6, 4, 2)."),
    ("model.fit(X[:0], Y[:0])", ValueError,
     "fit: `x` must have at least one row. Received: x.shape=(0, 6, 6, 2)."),
    ('model.fit((X * 9).astype("uint8"), Y)', TypeError,
     "fit: `x` must be a float32 or float64 array. "
     'Received: x.dtype=uint8. Convert it with x.astype("float32") / 255, or put a Rescaling layer in '
     "front."),
    ("model.fit(X > 0, Y)", TypeError,
     "fit: `x` must be a float32 or float64 array. "
     'Received: x.dtype=bool. Convert it with x.astype("float32").'),
    ("model.fit(X.astype(complex), Y)", TypeError,
     "fit: `x` must be a float32 or float64 array. Received: x.dtype=complex128."),
    ("model.fit([[1.0], [1.0, 2.0]], Y)", ValueError,
     "fit: `x` must be an array of numbers, all rows of the same length. Received: x of type list."),
    ("model.fit(None, Y)", ValueError,
     "fit: `x` must be an array of rows. Received: x=None."),
    ("model.fit(X, None)", TypeError,
     "fit: `y` must be an array of targets. Received: y=None."),
    ("model.fit(X, Y[:5])", ValueError,
     "fit: `y` must have as many rows as `x`, 6. Received: len(y)=5."),
    ("model.fit(X, Y + 1)", ValueError,
     "fit: `y` must lie between 0 and 2. Received: y.min()=1, y.max()=3."),
    ("model.fit(X, Y - 1)", ValueError,
     "fit: `y` must lie between 0 and 2. Received: y.min()=-1, y.max()=1."),
    ('model.fit(X, Y.astype("float32"))', TypeError,
     "fit: `y` must be an array of integers. "
     'Received: y.dtype=float32. Convert it with y.astype("int32").'),
    ("model.fit(X, np.eye(3)[Y])", TypeError,
     "fit: `y` must be an array of integers. "
     "Received: y.dtype=float64. Convert one-hot labels with y.argmax(-1)."),
    ("model.fit(X, np.eye(3, dtype=int)[Y])", ValueError,
     "fit: `y` must have the shape (batch,) or (batch, 1). "
     "Received: y.shape=(6, 3). Convert one-hot labels with y.argmax(-1)."),
    ("model.fit(X, Y, batch_size=0)", ValueError,
     "fit: `batch_size` must be a positive int. Received: batch_size=0."),
    ("model.fit(X, Y, batch_size=2.5)", TypeError,
     "fit: `batch_size` must be a positive int. Received: batch_size=2.5."),
    ("model.fit(X, Y, epochs=0)", ValueError,
     "fit: `epochs` must be a positive int. Received: epochs=0."),
    ('model.fit(X, Y, epochs="3")', TypeError,
     "fit: `epochs` must be a positive int. Received: epochs='3'."),
    ("model.fit(X, Y, verbose=3)", ValueError,
     'fit: `verbose` must be "auto", 0, 1 or 2. Received: verbose=3.'),
    ("model.fit(X, Y, callbacks=[print])", TypeError,
     "fit: `callbacks` must be a list of Callback objects. "
     "Received: callbacks=[<built-in function print>]."),
    ("model.fit(X, Y, validation_split=1)", ValueError,
     "fit: `validation_split` must be a finite number in [0, 1). Received: validation_split=1."),
    ("model.fit(X, Y, validation_split=0.99)", ValueError,
     "fit: `validation_split` must leave at least one of the 6 rows on either side. "
     "Received: validation_split=0.99."),
    ("model.fit(X, Y, validation_data=X)", TypeError,
     "fit: `validation_data` must be a pair (x, y). Received: validation_data of type ndarray."),
    ("model.fit(X, Y, validation_data=(X[:, :3], Y))", ValueError,
     "fit: `validation_data[0]` must have the shape (batch, 6, 6, 2). "
     "Received: validation_data[0].shape=(6, 3, 6, 2)."),
    ("model.fit(X, Y, validation_data=(X, Y + 7))", ValueError,
     "fit: `validation_data[1]` must lie between 0 and 2. "
     "Received: validation_data[1].min()=7, validation_data[1].max()=9."),
    ('model.fit(X, Y, shuffle="yes")', TypeError,
     "fit: `shuffle` must be True or False. Received: shuffle='yes'."),
    ("model.fit(X, Y, initial_epoch=-1)", ValueError,
     "fit: `initial_epoch` must be a non-negative int. Received: initial_epoch=-1."),
    ("model.evaluate(X, Y, return_dict=2)", TypeError,
     "evaluate: `return_dict` must be True or False. Received: return_dict=2."),
    ("model.evaluate(X[:, :3], Y)", ValueError,
     "evaluate: `x` must have the shape (batch, 6, 6, 2). Received: x.shape=(6, 3, 6, 2)."),
    ("model.predict((X * 9).astype(int))", TypeError,
     "predict: `x` must be a float32 or float64 array. "
     'Received: x.dtype=int64. Convert it with x.astype("float32") / 255, or put a Rescaling layer in '
     "front."),
    ("model.predict(X, batch_size=-1)", ValueError,
     "predict: `batch_size` must be a positive int. Received: batch_size=-1."),
    ('model.predict("images")', ValueError,
     "predict: `x` must be an array of rows. Received: x='images'."),
    ("model.train_on_batch(X, Y[:3])", ValueError,
     "train_on_batch: `y` must have as many rows as `x`, 6. Received: len(y)=3."),
    ("model.test_on_batch(X[:0], Y[:0])", ValueError,
     "test_on_batch: `x` must have at least one row. Received: x.shape=(0, 6, 6, 2)."),
    ("model.predict_on_batch(X[0])", ValueError,
     "predict_on_batch: `x` must have the shape (batch, 6, 6, 2). "
     "Received: x.shape=(6, 6, 2). Add an axis for a batch of one with x[np.newaxis]."),
    ("model([[1.0], [2.0, 3.0]])", ValueError,
     "Model: `x` must be an array of numbers, all rows of the same length. "
     "Received: x of type list."),
    ("binary.fit(X, [0, 1, 2, 0, 1, 0])", ValueError,
     "fit: `y` must lie between 0 and 1. Received: y.min()=0, y.max()=2."),
    ("binary.fit(X, [0.5, NAN, 0, 0, 0, 0])", ValueError,
     "fit: `y` must lie between 0 and 1. Received: y.min()=nan, y.max()=nan."),
    ("binary.fit(X, np.zeros((6, 2)))", ValueError,
     "fit: `y` must have the shape (batch, 1). Received: y.shape=(6, 2)."),
    ("categorical.fit(X, Y)", ValueError,
     "fit: `y` must have the shape (batch, 3). "
     'Received: y.shape=(6,). For class numbers use loss="sparse_categorical_crossentropy".'),
    ('rescaled.predict(X.astype("uint64"))', TypeError,
     "predict: `x` must be an array of floats, or of integers that fit into an int64. "
     "Received: x.dtype=uint64."),
    ('rescaled.predict(X.astype("S1"))', TypeError,
     "predict: `x` must be a float32 or float64 array. Received: x.dtype=|S1."),
    ("check_gradients(model, X, Y + 9)", ValueError,
     "check_gradients: `y` must lie between 0 and 2. Received: y.min()=9, y.max()=11."),
    ("check_gradients(model, X, Y, entries=0)", ValueError,
     "check_gradients: `entries` must be a positive int. Received: entries=0."),
    ("cycnn.set_num_threads(0)", ValueError,
     "set_num_threads: `n` must be a positive int. Received: n=0."),
    ("cycnn.set_num_threads(10**9)", ValueError,
     "set_num_threads: `n` must be at most 1024. Received: n=1000000000."),
    ('cycnn.set_num_threads("2")', TypeError,
     "set_num_threads: `n` must be a positive int. Received: n='2'."),
    ("cycnn.utils.set_random_seed(-1)", ValueError,
     "set_random_seed: `seed` must be None or a non-negative int less than 2**64. Received: seed=-1."),
    # operations on arrays
    ("ops.conv2d(X[0], KERNEL)", ValueError,
     "conv2d: `x` must have 4 dimensions. Received: x.shape=(6, 6, 2)."),
    ("ops.conv2d(X.astype(int), KERNEL)", TypeError,
     "conv2d: `x` must be a float32 or float64 array. "
     'Received: x.dtype=int64. Convert it with x.astype("float32") / 255, or put a Rescaling layer in '
     "front."),
    ('ops.conv2d(X, KERNEL.astype("float64"))', TypeError,
     "conv2d: `kernel` must have the dtype of `x`, float32. Received: kernel.dtype=float64."),
    ("ops.conv2d(X, KERNEL[:, :, :1])", ValueError,
     "conv2d: `kernel` must have 2 channels, as `x` has. "
     "Received: x.shape=(6, 6, 6, 2), kernel.shape=(3, 3, 1, 4)."),
    ("ops.conv2d(X, KERNEL[:0])", ValueError,
     "conv2d: `kernel` must have no extent of zero. Received: kernel.shape=(0, 3, 2, 4)."),
    ("ops.conv2d(X[:, :0], KERNEL)", ValueError,
     "conv2d: `x` must have at least one row and one column of pixels. Received: height=0, width=6."),
    ('ops.conv2d(X, KERNEL, np.zeros(5, "float32"))', ValueError,
     "conv2d: `bias` must have the shape (4,). Received: bias.shape=(5,)."),
    ("ops.conv2d(X, KERNEL, strides=0)", ValueError,
     "conv2d: `strides` must be a positive int or a pair of them. Received: strides=0."),
    ('ops.conv2d(X, KERNEL, padding="reflect")', ValueError,
     'conv2d: `padding` must be "valid", "same", a non-negative int or ((top, bottom), (left, right)). '
     "Received: padding='reflect'."),
    ("ops.conv2d(X, KERNEL, dilation_rate=3)", ValueError,
     "conv2d: `kernel_size` must fit into the padded image of 6 x 6 pixels, but spans 7 x 7 with dilation "
     "(3, 3). "
     "Received: kernel_size=(3, 3)."),
    ("ops.conv2d(X, KERNEL, padding=2**31)", ValueError,
     "conv2d: `padding` must be less than 2**31. Received: padding=2147483648."),
    ("ops.conv2d(X, KERNEL, padding=2**30)", ValueError,
     "conv2d: `out` must have at most 2**59 elements. "
     "Received: out.shape=(6, 2147483652, 2147483652, 4)."),
    ("ops.conv2d_backward_input(X, KERNEL, (8, 8))", ValueError,
     "conv2d_backward_input: `kernel` must have 2 filters, as `dout` has. "
     "Received: dout.shape=(6, 6, 6, 2), kernel.shape=(3, 3, 2, 4)."),
    ("ops.conv2d_backward_input(DOUT, KERNEL, (9, 9))", ValueError,
     "conv2d_backward_input: `dout` must have the shape (6, 7, 7, 4). Received: dout.shape=(6, 4, 4, 4)."),
    ("ops.conv2d_backward_kernel(X, DOUT[:3], 3)", ValueError,
     "conv2d_backward_kernel: `dout` must have the shape (6, 4, 4, 4). "
     "Received: dout.shape=(3, 4, 4, 4)."),
    ("ops.conv2d_backward_kernel(X, DOUT, 2)", ValueError,
     "conv2d_backward_kernel: `dout` must have the shape (6, 5, 5, 4). "
     "Received: dout.shape=(6, 4, 4, 4)."),
    ('ops.dense(np.zeros((3, 4), "float32"), np.zeros((5, 2), "float32"))', ValueError,
     "dense: `kernel` must have the shape (channels, units), where `x` has (..., channels). "
     "Received: x.shape=(3, 4), kernel.shape=(5, 2)."),
    ('ops.dense(np.float32(3), np.zeros((5, 2), "float32"))', ValueError,
     "dense: `kernel` must have the shape (channels, units), where `x` has (..., channels). "
     "Received: x.shape=(), kernel.shape=(5, 2)."),
    ('ops.dense_backward(np.zeros((3, 3), "float32"), np.zeros((3, 4), "float32"), np.zeros((4, 2), "float32"))',
     ValueError,
     "dense_backward: `dout` must have the shape (3, 2). Received: dout.shape=(3, 3)."),
    ("ops.max_pool2d(X, 7)", ValueError,
     "max_pool2d: `pool_size` must fit into the padded image of 6 x 6 pixels, but spans 7 x 7. "
     "Received: pool_size=(7, 7)."),
    ("ops.max_pool2d(X, 2, padding=2)", ValueError,
     "max_pool2d: `padding` must be smaller than `pool_size`=(2, 2) on every side. Received: padding=2."),
    ("ops.max_pool2d(X[..., :0])", ValueError,
     "max_pool2d: `x` must have at least one channel. Received: x.shape=(6, 6, 6, 0)."),
    ("ops.max_pool2d_backward(X, X)", ValueError,
     "max_pool2d_backward: `dout` must have the shape (6, 3, 3, 2). Received: dout.shape=(6, 6, 6, 2)."),
    ("ops.average_pool2d_backward(DOUT, (4, 4), 2)", ValueError,
     "average_pool2d_backward: `dout` must have the shape (6, 2, 2, 4). "
     "Received: dout.shape=(6, 4, 4, 4)."),
    ("ops.average_pool2d(X, (2, 2, 2))", ValueError,
     "average_pool2d: `pool_size` must be a positive int or a pair of them. "
     "Received: pool_size=(2, 2, 2)."),
    ("ops.relu([1, 2])", TypeError,
     "relu: `x` must be a float32 or float64 array. "
     'Received: x.dtype=int64. Convert it with np.asarray(x).astype("float32") / 255, or put a Rescaling '
     "layer in front."),
    ('ops.relu("x")', TypeError,
     "relu: `x` must be a float32 or float64 array. Received: x.dtype=<U1."),
    ("ops.relu_backward(X, X[:2])", ValueError,
     "relu_backward: `out` must have the shape (6, 6, 6, 2). Received: out.shape=(2, 6, 6, 2)."),
    ('ops.sigmoid_backward(X, X.astype("float64"))', TypeError,
     "sigmoid_backward: `out` must have the dtype of `dout`, float32. Received: out.dtype=float64."),
    ("ops.softmax(1.0)", ValueError,
     "softmax: `x` must have at least one axis. Received: x.shape=()."),
    ("ops.sparse_categorical_crossentropy([3], [[0.5, 0.5]])", ValueError,
     "sparse_categorical_crossentropy: `y_true` must lie between 0 and 1. "
     "Received: y_true.min()=3, y_true.max()=3."),
    ("ops.sparse_categorical_crossentropy([0, 1], [[0.5, 0.5]])", ValueError,
     "sparse_categorical_crossentropy: `y_true` must have as many rows as `y_pred`, 1. "
     "Received: len(y_true)=2."),
    ("ops.sparse_categorical_crossentropy([0], [0.5, 0.5])", ValueError,
     "sparse_categorical_crossentropy: `y_pred` must have the axes (batch, ..., classes). "
     "Received: y_pred.shape=(2,)."),
    ("ops.categorical_crossentropy([[0.5, 1.5]], [[0.5, 0.5]])", ValueError,
     "categorical_crossentropy: `y_true` must lie between 0 and 1. "
     "Received: y_true.min()=0.5, y_true.max()=1.5."),
    ("ops.binary_crossentropy([[0.5]], [[0.5]], from_logits=1)", TypeError,
     "BinaryCrossentropy: `from_logits` must be True or False. Received: from_logits=1."),
    ('ops.mean_squared_error([["a"]], [[0.5]])', TypeError,
     "mean_squared_error: `y_true` must be an array of real numbers. Received: y_true.dtype=<U1."),
    ("model.summary(positions=[0.5, 1.0])", ValueError,
     "summary: `positions` must be left out, for the table has all layers and is as wide as what is in it. "
     "Received: positions=[0.5, 1.0]."),
    ("Input((4,), sparse=True)", ValueError,
     "Input: `sparse` must be left out, for data are whole arrays that are given later. Received: sparse=True."),
    ("Input((4,), batch_shape=(None, 4))", ValueError,
     "Input: `batch_shape` must be a tuple, given without `shape`. Received: shape=(4,), batch_shape=(None, 4)."),
    ("Input(batch_shape=(None, None, 4))", TypeError,
     "Input: `shape` must be a tuple of positive ints. Received: shape=(None, 4)."),
    ("model.compile('sgd', 'mse', run_eagerly=True)", ValueError,
     "compile: `run_eagerly` must be False. Received: run_eagerly=True. "
     "Models are lowered to programs; call layers on arrays to see what they compute."),
    ("model.compile('sgd', 'mse', steps_per_execution=0)", ValueError,
     "compile: `steps_per_execution` must be a positive int. Received: steps_per_execution=0."),
    ("model.compile('sgd', 'mse', jit_compile='always')", ValueError,
     "compile: `jit_compile` must be True, False or \"auto\". Received: jit_compile='always'."),
]
# fmt: on


@pytest.mark.parametrize(("expression", "error", "words"), CASES, ids=[case[0] for case in CASES])
def test_bad_input_gets_one_clear_error(expression, error, words):
    before = {name: (model.get_weights(), model(X)) for name, model in MODELS.items()}
    with pytest.raises(error) as caught:
        eval(expression, dict(NAMES))
    assert str(caught.value) == words
    for name, model in MODELS.items():
        weights, predictions = before[name]
        assert_same(model(X), predictions)
        for weight, was in zip(model.get_weights(), weights, strict=True):
            assert_same(weight, was)
        assert model.optimizer.iterations == 0 and model.optimizer.learning_rate == 0.01


def test_every_message_has_the_house_form():
    for _, error, words in CASES:
        owner, _, rest = words.partition(": ")
        assert owner and " " not in owner
        if error is not RuntimeError:  # a state has no argument to name
            assert rest.startswith("`") and "` must " in rest and " Received: " in rest
        assert words[-1] in ".)"


def test_the_models_still_train():
    for model, y in zip(MODELS.values(), (Y, np.eye(3)[Y], Y % 2, Y), strict=True):
        model = model.astype("float32")
        model.compile("sgd", model.loss)
        history = model.fit(X, y, epochs=5, verbose=0).history["loss"]
        assert history[-1] < history[0]
