"""What fusion leaves of a model, and that fused programs compute what the layers say."""

import functools

import numpy as np
import pytest
from helpers import assert_same, assert_within_rounding

import cycnn
from cycnn import Input, Model, Sequential, _native, layers
from cycnn._native import Buffer, run_step
from cycnn.program import Graph, fusion, lower

RNG = np.random.default_rng(11)


def randomise(model, seed=5):
    """Give all parameters values as after some training: variances above 0, nothing zero or one."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        value = rng.standard_normal(variable.shape)
        variable.assign(0.5 + np.abs(value) if variable.name in ("moving_variance", "gamma") else value)
    return model


def nodes_of(model, training=False, batch_size=3):
    """Return what is left of a model's nodes after fusion: kinds, and fused activations."""
    graph = Graph(model.dtype, training)
    inputs = [graph.input((batch_size, *shape[1:]), model.dtype) for shape in model.input_shapes]
    for output in model.lower_all(graph, inputs):
        output.root.kept = True
    fusion.fuse(graph)
    return [type(node).__name__ + f"+{node.activation}".removesuffix("+linear") for node in graph.nodes]


def steps_of(model, mode="predict", batch_size=3):
    """Return the names of a program's steps."""
    return [type(step).__name__ for step in lower(model, batch_size, mode, [model.dtype]).steps]


def data(model, batch_size=3):
    return RNG.standard_normal((batch_size, *model.input_shape[1:])).astype(model.dtype)


def without(monkeypatch, *rewrites):
    """Leave some rewrites out from now on."""
    left = tuple(rewrite for rewrite in fusion.REWRITES if rewrite.__name__ not in rewrites)
    assert len(left) == len(fusion.REWRITES) - len(rewrites)
    monkeypatch.setattr(fusion, "REWRITES", left)


FOLDED = {
    "conv": (lambda: layers.Conv2D(5, 3), (6, 7, 4)),
    "no_bias": (lambda: layers.Conv2D(20, 3, strides=2, padding="same", use_bias=False), (6, 7, 4)),
    "groups": (lambda: layers.Conv2D(6, 3, groups=2), (6, 7, 4)),
    "depthwise": (lambda: layers.DepthwiseConv2D(3, depth_multiplier=2), (6, 7, 4)),
    "separable": (lambda: layers.SeparableConv2D(5, 3), (6, 7, 4)),
    "transposed": (lambda: layers.Conv2DTranspose(5, 3, strides=2), (6, 7, 4)),
    "transposed_few": (lambda: layers.Conv2DTranspose(2, 3, use_bias=False), (6, 7, 33)),
    "dense": (lambda: layers.Dense(7), (9,)),
    "dense_rows": (lambda: layers.Dense(7, use_bias=False), (4, 9)),
}
every_kind = pytest.mark.parametrize("kind", FOLDED)
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def convolution_and_norm(kind, *behind, **options):
    make, shape = FOLDED[kind]
    return randomise(Sequential([Input(shape), make(), layers.BatchNormalization(**options), *behind]))


def clone(model):
    """Return another model with the same values."""
    copy = cycnn.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


class TestFolding:
    @every_kind
    def test_normalization_and_activation_disappear_in_inference(self, kind):
        model = convolution_and_norm(kind, layers.ReLU())
        assert [word for word in nodes_of(model) if "Norm" in word or word == "Activation"] == []
        assert nodes_of(model)[-1].endswith("+relu")
        assert nodes_of(model, training=True)[-1] == "BatchNorm+relu"
        for mode in ("predict", "evaluate"):
            model.compile("sgd", "mse")
            assert "ChannelAffine" not in steps_of(model, mode)
        for mode in ("gradients", "call"):
            assert "FoldNorm" not in steps_of(model, mode)

    @pytest.mark.parametrize("options", [{}, {"scale": False}, {"center": False, "epsilon": 0.5}], ids=str)
    @every_kind
    def test_predictions_stay_within_rounding(self, monkeypatch, kind, options):
        """Each product carries two roundings more, of the factor and of kernel times factor, and the shift its own."""
        model = convolution_and_norm(kind, **options)
        if kind == "separable":  # its first convolution rounds too: the second alone
            model = randomise(Sequential([Input((4, 5, 4)), layers.Conv2D(5, 1), layers.BatchNormalization(**options)]))
        x = data(model)
        actual = model.predict(x, verbose=0)
        without(monkeypatch, "fold_normalization")
        exact = model.astype("float64").predict(x.astype("float64"), verbose=0)
        norm = model.layers[-1]
        gamma = 1 if norm.gamma is None else norm.gamma.value
        factor = gamma / np.sqrt(norm.moving_variance.value.astype("float64") + norm.epsilon)
        absolute = model.astype("float64")  # of absolute values, with nothing to be subtracted
        for variable in absolute.weights:
            variable.assign(0 * variable.value if variable.name == "moving_mean" else np.abs(variable.value))
        magnitude = absolute.predict(np.abs(x).astype("float64"), verbose=0) + np.abs(norm.moving_mean.value * factor)
        assert_within_rounding(actual, exact, magnitude, model.layers[0].kernel.value.size + 4)

    @every_dtype
    @every_kind
    def test_is_the_same_as_apart(self, monkeypatch, kind, dtype):
        model = convolution_and_norm(kind, layers.ReLU(6.0)).astype(dtype)
        x = data(model)
        folded = model.predict(x, verbose=0)
        model.forget_programs()
        without(monkeypatch, "fold_normalization")
        apart = model.predict(x, verbose=0)
        assert "ChannelAffine" in steps_of(model)
        np.testing.assert_allclose(folded, apart, rtol=0, atol=2000 * np.finfo(dtype).eps)

    @every_kind
    def test_sees_every_parameter_that_changes(self, kind):
        model = convolution_and_norm(kind)
        x = data(model)
        model.predict(x, verbose=0)
        for variable in model.weights:
            before = model.predict(x, verbose=0)
            variable.assign(variable.value * 1.25 + 0.125)
            after = model.predict(x, verbose=0)
            assert not np.array_equal(before, after), variable.path
            assert_same(after, clone(model).predict(x, verbose=0))

    def test_sees_what_training_has_changed(self):
        model = convolution_and_norm("conv", layers.ReLU(), momentum=0.5)
        model.compile(cycnn.optimizers.SGD(0.01), "mse")
        x = data(model, 8)
        y = RNG.standard_normal((8, *model.output_shape[1:])).astype("float32")
        for _ in range(3):
            before = model.predict(x, verbose=0)
            model.fit(x, y, batch_size=4, verbose=0)
            after = model.predict(x, verbose=0)
            assert not np.array_equal(before, after)
            assert_same(after, clone(model).predict(x, verbose=0))
            assert model.evaluate(x, y, verbose=0) == pytest.approx(np.mean((after - y) ** 2), rel=1e-5)

    def test_batches_of_all_sizes_share_one_copy(self):
        model = convolution_and_norm("conv")
        programs = [lower(model, n, mode, ["float32"]) for n, mode in ((1, "predict"), (5, "predict"), (5, "predict"))]
        folds = {step for program in programs for step in program.steps if type(step).__name__ == "FoldNorm"}
        assert len(folds) == 1

    def test_one_kernel_before_two_normalizations_has_two_copies(self):
        x = Input((5, 5, 3))
        conv = layers.Conv2D(4, 3)
        outputs = [layers.BatchNormalization()(conv(x)), layers.BatchNormalization()(conv(x))]
        model = randomise(Model(x, outputs))
        images = data(model)
        together = model.predict(images, verbose=0)
        assert steps_of(model).count("FoldNorm") == 2
        for output, expected in zip(outputs, together, strict=True):
            assert_same(Model(x, output).predict(images, verbose=0), expected)

    @pytest.mark.parametrize(
        "between",
        [
            lambda: layers.ReLU(),
            lambda: layers.MaxPooling2D(2),
            lambda: layers.ActivityRegularization(0.1),
            lambda: layers.Reshape((4, 4, 4)),
            lambda: layers.BatchNormalization(),
        ],
        ids=["activation", "pooling", "penalty", "view", "normalization"],
    )
    def test_what_stands_between_keeps_them_apart(self, between):
        stack = layers.Conv2D(4, 3), between(), layers.BatchNormalization()
        model = Sequential([Input((6, 6, 2)), *stack])
        model.compile("sgd", "mse")
        assert "ChannelAffine" in steps_of(model, "evaluate")  # one of two; a penalty is nothing in "predict"

    @pytest.mark.parametrize("kept", [False, True], ids=["read", "kept"])
    def test_second_reader_keeps_them_apart(self, kept):
        x = Input((6, 6, 2))
        y = layers.Conv2D(2, 3)(x)
        z = layers.BatchNormalization()(y)
        model = Model(x, [z, y] if kept else layers.Add()([z, y]))
        assert "FrozenBatchNorm" in nodes_of(model)

    def test_frozen_part_is_folded_in_training(self):
        frozen = [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU()]
        model = Sequential([Input((6, 6, 2)), *frozen, layers.Flatten(), layers.Dense(3)])
        randomise(model)
        model.compile("sgd", "mse")
        assert "FoldNorm" not in steps_of(model, "gradients")
        for layer in frozen:
            layer.trainable = False
        model.compile("sgd", "mse")
        assert "FoldNorm" in steps_of(model, "gradients")
        assert cycnn.check_gradients(model, data(model), RNG.standard_normal((3, 3))).worst < 1e-7
        frozen[0].trainable = True
        model.compile("sgd", "mse")
        assert "FoldNorm" not in steps_of(model, "gradients")
        assert cycnn.check_gradients(model, data(model), RNG.standard_normal((3, 3))).worst < 1e-7


def block(x, filters=4, kind=layers.BatchNormalization, behind=layers.ReLU, project=False):
    """Return a residual block of two convolutions; a bias before a normalisation would have no gradient to check."""
    y = behind()(kind()(layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)))
    y = kind()(layers.Conv2D(filters, 3, padding="same", use_bias=False)(y))
    if project:
        x = kind()(layers.Conv2D(filters, 1, use_bias=False)(x))
    return behind()(layers.Add()([x, y]))


def residual_model(*blocks, dtype="float32", **options):
    x = Input((5, 5, 3))
    y = layers.ReLU()(layers.Conv2D(4, 3, padding="same")(x))
    for project in blocks:
        y = block(y, project=project, **options)
    model = randomise(Model(x, layers.Dense(3)(layers.GlobalAveragePooling2D()(y)))).astype(dtype)
    model.compile("sgd", "mse")
    return model


def gradients_of(model, x, y):
    run, lowered = model.gradient_program("test", x, y)
    run()
    return {variable.path: gradient.copy() for variable, gradient in lowered.gradients.items()}


GroupNorm = functools.partial(layers.GroupNormalization, groups=2)
Tanh = functools.partial(layers.Activation, "tanh")


class TestResidual:
    @pytest.mark.parametrize("project", [False, True], ids=["identity", "projection"])
    def test_sum_and_activation_join_the_normalization(self, project):
        model = residual_model(project)
        words = nodes_of(model, training=True)
        assert [word for word in words if word.startswith(("Sum", "Activation"))] == []
        assert words.count("BatchNorm+relu") == 2
        assert words.count("BatchNorm") == project

    @pytest.mark.parametrize("options", [{}, {"kind": GroupNorm}, {"behind": Tanh}], ids=["batch", "group", "tanh"])
    @pytest.mark.parametrize("blocks", [(False, False), (True, False), (False, True)], ids=str)
    def test_gradients_agree_with_differences(self, blocks, options):
        model = residual_model(*blocks, **options)
        assert cycnn.check_gradients(model, data(model), RNG.standard_normal((3, 3)), entries=12).worst < 1e-7

    @pytest.mark.parametrize("options", [{}, {"kind": GroupNorm}], ids=["batch", "group"])
    @every_dtype
    def test_is_the_same_as_apart_to_the_last_bit(self, monkeypatch, dtype, options):
        model = residual_model(False, True, False, dtype=dtype, **options)
        x, y = data(model), RNG.standard_normal((3, 3)).astype(dtype)
        together, outputs = gradients_of(model, x, y), model.predict(x, verbose=0)
        model.forget_programs()
        without(monkeypatch, "join_sum")
        assert "Sum+relu" in nodes_of(model, training=True)
        assert_same(model.predict(x, verbose=0), outputs)
        apart = gradients_of(model, x, y)
        assert together.keys() == apart.keys()
        for path, gradient in together.items():
            assert_same(gradient, apart[path])

    def test_no_derivative_is_a_pass_of_its_own(self):
        steps = steps_of(residual_model(False, True, False), "gradients")
        assert "ActivationBackward" not in steps
        assert steps.count("AddShares") == 3

    @pytest.mark.parametrize("name", ["relu", "tanh", "elu", "softplus"])
    @pytest.mark.parametrize("readers", [2, 3, 4])
    def test_derivative_is_applied_once_to_the_sum_of_shares(self, name, readers):
        x = Input((4, 4, 2))
        y = layers.Conv2D(3, 3, padding="same", activation=name)(x)
        kinds = [lambda y: y, layers.Conv2D(3, 3, padding="same"), layers.BatchNormalization(), lambda y: y]
        model = Model(x, layers.Flatten()(layers.Add()([kind(y) for kind in kinds[:readers]])))
        model.compile("sgd", "mse")
        assert "ActivationBackward" not in steps_of(model, "gradients")
        report = cycnn.check_gradients(model, data(model), RNG.standard_normal((3, *model.output_shape[1:])))
        assert report.worst < 1e-7

    def test_reader_without_gradient_leaves_the_derivative_to_a_pass(self):
        x = Input((4, 4, 2))
        y = layers.Conv2D(3, 3, activation="tanh")(x)
        model = Model(x, [layers.Flatten()(y), layers.Conv2D(2, 1)(y)])
        model.compile("sgd", ["mse", None])
        report = cycnn.check_gradients(model, data(model), RNG.standard_normal((3, 12)))
        assert report.worst < 1e-7

    @pytest.mark.parametrize(
        "merge",
        [
            lambda x, y: layers.Subtract()([x, y]),
            lambda x, y: layers.Average()([x, y]),
            lambda x, y: layers.Add()([x, x, y]),
            lambda x, y: layers.Add()([layers.GlobalAveragePooling2D(keepdims=True)(x), y]),
            lambda x, y: layers.Add()([layers.Concatenate()([x, y]), layers.Concatenate()([y, x])]),
            lambda x, y: layers.Add()([y, y]),
        ],
        ids=["subtract", "average", "three", "broadcast", "two_readers", "itself"],
    )
    def test_other_sums_stay(self, merge):
        x = Input((4, 4, 3))
        model = Model(x, layers.Flatten()(merge(x, layers.BatchNormalization()(x))))
        assert any(word.startswith("Sum") for word in nodes_of(model, training=True))
        model.compile("sgd", "mse")
        y = RNG.standard_normal((3, *model.output_shape[1:]))
        assert cycnn.check_gradients(model, data(model), y).worst < 1e-7

    def test_value_made_after_the_normalization_stays_a_sum(self):
        """The order of calls is that in which moving statistics move."""
        x = Input((4, 4, 3))
        y = layers.BatchNormalization()(x)
        model = Model(x, layers.Add()([y, layers.AveragePooling2D(3, 1, padding="same")(x)]))
        assert nodes_of(model, training=True) == ["BatchNorm", "AveragePool2D", "Sum"]

    def test_gradient_is_stored_in_the_place_of_the_one_before(self):
        stack = [layers.Conv2D(4, 3), layers.BatchNormalization(), layers.ReLU()] * 1
        model = Sequential([Input((9, 9, 2)), *stack, layers.Flatten(), layers.Dense(2)])
        model.compile("sgd", "mse")
        program = lower(model, 64, "gradients", ["float32"])
        image = 64 * 7 * 7 * 4 * 4  # bytes; x, out and one gradient live at once
        assert program.nbytes < 3.7 * image


WINDOW = cycnn.shapes.window("Conv2D", (3, 3), (1, 1), "same", (1, 1), (13, 11))
every_isa = pytest.mark.parametrize("isa", _native.supported)


def arrays(*shapes):
    return [RNG.standard_normal(shape).astype("float32") for shape in shapes]


def run(step_class, *arguments, residual=None):
    """Run a step on arrays and what else it takes, with something added to what it stores."""
    step = step_class(*[Buffer.of(a) if isinstance(a, np.ndarray) else a for a in arguments])
    if residual is not None:
        step.residual = Buffer.of(residual)
    run_step(step)


class TestAddingConvolutions:
    """Steps with an attribute `residual` add it to what they store: the same bits as in passes of their own."""

    @every_isa
    @pytest.mark.parametrize("activation", ["linear", "relu", "tanh"])
    @pytest.mark.parametrize("channels", [16, 33, 64])
    @pytest.mark.parametrize("algorithm", ["Winograd", "Conv2D"])
    def test_forward(self, isa, algorithm, channels, activation):
        kernels = _native.kernels("float32", isa)
        step_class = getattr(kernels, f"{algorithm}Forward")
        if not hasattr(step_class, "residual"):
            pytest.skip("adds in a pass of its own")
        x, kernel, bias, residual = arrays((2, 13, 11, 20), (3, 3, 20, channels), channels, (2, 13, 11, channels))
        out, expected = np.full_like(residual, np.nan), np.full_like(residual, np.nan)
        run(step_class, x, kernel, bias, expected, WINDOW, "linear")
        run(kernels.Combine, "add", (Buffer.of(expected), Buffer.of(residual)), expected, None, activation)
        run(step_class, x, kernel, bias, out, WINDOW, activation, residual=residual)
        assert_same(out, expected)

    @every_isa
    @pytest.mark.parametrize("activation", ["linear", "relu", "tanh"])
    @pytest.mark.parametrize("channels", [16, 33, 64])
    @pytest.mark.parametrize("algorithm", ["Winograd", "Conv2D"])
    def test_backward_input(self, isa, algorithm, channels, activation):
        kernels = _native.kernels("float32", isa)
        step_class = getattr(kernels, f"{algorithm}BackwardInput")
        if not hasattr(step_class, "residual"):
            pytest.skip("adds in a pass of its own")
        dout, kernel, residual, y = arrays((2, 13, 11, 20), (3, 3, channels, 20), *[(2, 13, 11, channels)] * 2)
        dx, expected = np.full_like(residual, np.nan), np.full_like(residual, np.nan)
        run(step_class, dout, kernel, expected, WINDOW, "linear", None)
        chain = activation, None if activation == "linear" else y
        run(kernels.AddShares, expected.copy(), residual, expected, *chain)
        run(step_class, dout, kernel, dx, WINDOW, *chain, residual=residual)
        assert_same(dx, expected)

    def test_residual_blocks_need_no_pass(self):
        x = y = Input((16, 16, 16))
        for _ in range(2):
            y = block(y, 16)
        model = Model(x, layers.Dense(3)(layers.GlobalAveragePooling2D()(y)))
        model.compile("sgd", "mse")
        assert "Combine" not in steps_of(model, "predict")
        assert "AddShares" not in steps_of(model, "gradients")

    @every_dtype
    @pytest.mark.parametrize("training", [False, True])
    def test_sum_behind_a_convolution_joins_it(self, monkeypatch, training, dtype):
        x = Input((12, 12, 16))
        y = layers.Conv2D(16, 3, padding="same", activation="tanh")(x)
        z = layers.Add()([y, layers.Conv2D(16, 3, padding="same")(y)])
        z = layers.Add()([z, layers.DepthwiseConv2D(3, padding="same")(z)])
        z = layers.ReLU()(layers.Add()([z, layers.Dense(16)(z)]))
        model = Model(x, layers.Dense(2)(layers.GlobalAveragePooling2D()(z))).astype(dtype)
        model.compile("sgd", "mse")
        assert not any(word.startswith("Sum") for word in nodes_of(model, training))
        images, y = data(model), RNG.standard_normal((3, 2)).astype(dtype)
        if training and dtype == "float64":
            assert cycnn.check_gradients(model, images, y, entries=8).worst < 1e-7
        together, outputs = gradients_of(model, images, y), model.predict(images, verbose=0)
        model.forget_programs()
        without(monkeypatch, "join_sum")
        assert_same(model.predict(images, verbose=0), outputs)
        for path, gradient in gradients_of(model, images, y).items():
            assert_same(gradient, together[path])
