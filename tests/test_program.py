"""Programs: the plan of the arena, what fusion leaves, and that a program computes what its layers say."""

import itertools

import numpy as np
import pytest
from helpers import assert_same, integers
from hypothesis import given
from hypothesis import strategies as st

import cycnn
from cycnn import Input, Sequential, layers, ops
from cycnn.program import Graph, lower, nodes
from cycnn.program.arena import ALIGNMENT, Span, plan
from cycnn.program.fusion import fuse

DTYPES = ("float32", "float64")

spans = st.lists(
    st.builds(
        lambda nbytes, first, length: Span(nbytes, first, first + length),
        st.integers(0, 5000),
        st.integers(0, 30),
        st.integers(0, 12),
    ),
    max_size=40,
)


def together(a, b):
    return a.first <= b.last and b.first <= a.last


def aligned(nbytes):
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


class TestPlan:
    @given(spans)
    def test_spans_alive_together_do_not_overlap(self, spans):
        plan(spans)
        for a, b in itertools.combinations(spans, 2):
            if together(a, b) and a.nbytes and b.nbytes:
                assert a.offset + a.nbytes <= b.offset or b.offset + b.nbytes <= a.offset

    @given(spans)
    def test_places_are_aligned_and_inside(self, spans):
        total = plan(spans)
        for span in spans:
            assert span.offset % ALIGNMENT == 0
            assert 0 <= span.offset <= total - span.nbytes

    @given(spans)
    def test_total_lies_between_what_lives_at_once_and_the_sum(self, spans):
        total = plan(spans)
        steps = range(max((span.last for span in spans), default=0) + 1)
        at_once = max(sum(s.nbytes for s in spans if s.first <= step <= s.last) for step in steps)
        assert at_once <= total <= sum(aligned(span.nbytes) for span in spans)

    @given(spans)
    def test_plan_is_the_same_again(self, spans):
        total, offsets = plan(spans), [span.offset for span in spans]
        assert (plan(spans), [span.offset for span in spans]) == (total, offsets)

    def test_of_nothing_is_nothing(self):
        assert plan([]) == 0
        assert plan([Span(0, 0, 3)]) == 0

    def test_one_after_the_other_share_a_place(self):
        chain = [Span(1024, i, i + 1) for i in range(10)]
        assert plan(chain) == 2 * 1024
        assert plan([Span(1024, i, i) for i in range(10)]) == 1024

    def test_gap_between_large_spans_is_used(self):
        spans = [Span(1000, 0, 9), Span(900, 0, 1), Span(800, 2, 9), Span(100, 2, 9)]
        assert plan(spans) == 1024 + 832 + 100


def model_of(*stack, shape=(6, 6, 2), dtype="float32", loss="mse"):
    """Return a model whose parameters are small whole numbers, so that sums of products are exact."""
    model = Sequential([Input(shape, dtype=dtype), *stack])
    rng = np.random.default_rng(3)
    model.set_weights([rng.integers(-2, 2, w.shape, endpoint=True).astype(dtype) for w in model.get_weights()])
    model.compile(cycnn.optimizers.SGD(0.5), loss)
    return model


def nodes_of(model, mode="train", batch_size=3):
    """Return what is left of a model's nodes after fusion: kinds, and fused activations."""
    graph = Graph(model.dtype, mode == "train")
    output = model.lower(graph, graph.input((batch_size, *model.input_shape[1:]), model.dtype))
    if mode != "predict":
        model.loss.lower(graph, output, 1.0, False)
    fuse(graph)
    words = []
    for node in graph.nodes:
        absorbed = getattr(node, "probabilities", None) is not None
        fused = node.absorbs if absorbed else node.activation
        words.append(type(node).__name__ + ("" if fused == "linear" else f"+{fused}"))
    return words


def steps_of(model, mode="predict", batch_size=3):
    """Return the names of a program's steps."""
    return [type(step).__name__ for step in lower(model, batch_size, mode, [model.dtype]).steps]


class TestFusion:
    @pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh"])
    def test_convolution_takes_its_activation(self, name):
        assert nodes_of(model_of(layers.Conv2D(4, 3, activation=name)), "predict") == [f"Conv2D+{name}"]
        assert nodes_of(model_of(layers.Dense(4, activation=name)), "predict") == [f"Dense+{name}"]

    @pytest.mark.parametrize("layer", [layers.ReLU, lambda: layers.Activation("relu")], ids=["ReLU", "Activation"])
    def test_convolution_takes_the_activation_of_a_layer_behind_it(self, layer):
        assert nodes_of(model_of(layers.Conv2D(4, 3), layer()), "predict") == ["Conv2D+relu"]

    def test_second_activation_stays(self):
        stack = layers.Conv2D(4, 3, activation="relu"), layers.Activation("tanh")
        assert nodes_of(model_of(*stack), "predict") == ["Conv2D+relu", "Activation"]

    def test_linear_activation_is_nothing(self):
        assert nodes_of(model_of(layers.Conv2D(4, 3), layers.Activation("linear")), "predict") == ["Conv2D"]

    @pytest.mark.parametrize("pooling", [layers.MaxPooling2D, layers.AveragePooling2D])
    def test_activation_behind_pooling_stays(self, pooling):
        stack = layers.Conv2D(4, 3), pooling(2), layers.ReLU()
        assert nodes_of(model_of(*stack), "predict") == ["Conv2D", pooling.__name__.replace("ing", ""), "Activation"]

    def test_activation_behind_a_change_of_shape_stays_right(self):
        # A view has no node of its own; whether the activation is fused or not is free, what it computes is not.
        model = model_of(layers.Conv2D(4, 3), layers.Flatten(), layers.ReLU())
        assert nodes_of(model, "predict") in (["Conv2D", "Activation"], ["Conv2D+relu"])
        x = integers(np.random.default_rng(0), (3, 6, 6, 2))
        assert_same(model.predict(x, verbose=0), ops.relu(ops.conv2d(x, *model.get_weights())).reshape(3, -1))

    def test_softmax_goes_into_the_loss(self):
        dense = layers.Dense(4, activation="softmax")
        model = model_of(layers.Flatten(), dense, loss="sparse_categorical_crossentropy")
        assert nodes_of(model) == ["Dense", "Loss+softmax"]
        assert nodes_of(model, "predict") == ["Dense", "Softmax"]
        assert "SoftmaxForward" not in steps_of(model, "evaluate")

    def test_softmax_layer_goes_into_the_loss(self):
        model = model_of(layers.Flatten(), layers.Dense(4), layers.Softmax(), loss="categorical_crossentropy")
        assert nodes_of(model) == ["Dense", "Loss+softmax"]

    def test_sigmoid_goes_into_the_binary_loss(self):
        model = model_of(layers.Flatten(), layers.Dense(1, activation="sigmoid"), loss="binary_crossentropy")
        assert nodes_of(model) == ["Dense", "Loss+sigmoid"]
        assert nodes_of(model, "predict") == ["Dense+sigmoid"]

    @pytest.mark.parametrize(
        ("activation", "loss"),
        [("softmax", "mse"), ("softmax", "binary_crossentropy"), ("sigmoid", "categorical_crossentropy")],
    )
    def test_activation_that_is_not_the_loss_s_own_stays(self, activation, loss):
        left = nodes_of(model_of(layers.Flatten(), layers.Dense(4, activation=activation), loss=loss))
        expected = ["Dense", "Softmax"] if activation == "softmax" else ["Dense+sigmoid"]
        assert left == [*expected, "Loss"]

    def test_activation_before_a_loss_from_logits_stays(self):
        loss = cycnn.losses.SparseCategoricalCrossentropy(from_logits=True)
        model = model_of(layers.Flatten(), layers.Dense(4, activation="softmax"), loss=loss)
        assert nodes_of(model) == ["Dense", "Softmax", "Loss"]

    def test_softmax_seen_through_a_view_stays(self):
        model = model_of(
            layers.Conv2D(4, 6, activation="softmax"), layers.Flatten(), loss="sparse_categorical_crossentropy"
        )
        assert nodes_of(model) == ["Conv2D", "Softmax", "Loss"]

    def test_dropout_is_nothing_in_inference(self):
        model = model_of(layers.Dropout(0.5), layers.Conv2D(2, 3), layers.Dropout(0.0))
        assert nodes_of(model) == ["Dropout", "Conv2D", "Loss"]
        assert nodes_of(model, "predict") == ["Conv2D"]

    def test_value_with_two_readers_keeps_its_activation_apart(self):
        model = model_of(layers.Conv2D(2, 3))
        kernel, bias = model.weights
        graph = Graph("float32", False)
        window = cycnn.shapes.window("Conv2D", (3, 3), (1, 1), "valid", (1, 1), (6, 6))
        z = graph.add(nodes.Conv2D(graph.input((1, 6, 6, 2), "float32"), kernel, bias, window))
        graph.activation(z, "relu")
        graph.activation(z, "tanh")
        fuse(graph)
        assert [type(node).__name__ for node in graph.nodes] == ["Conv2D", "Activation", "Activation"]


class TestSteps:
    def test_first_layer_computes_no_gradient_to_its_input(self):
        model = model_of(layers.Conv2D(4, 3, activation="relu"), layers.Conv2D(4, 3), layers.Flatten())
        steps = steps_of(model, "gradients")
        assert steps == [
            "Conv2DForward",
            "Conv2DForward",
            "ElementwiseLoss",
            "Conv2DBackwardKernel",
            "Conv2DBackwardInput",
            "Conv2DBackwardKernel",
        ]

    def test_layers_without_parameters_first_compute_no_gradients(self):
        model = model_of(
            layers.Rescaling(0.5),
            layers.MaxPooling2D(2),
            layers.ReLU(),
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Dense(2),
        )
        assert steps_of(model, "gradients")[6:] == ["Conv2DBackwardKernel"]

    def test_one_update_for_each_parameter(self):
        model = model_of(layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(2, use_bias=False))
        model.predict(np.zeros((1, 6, 6, 2), "float32"), verbose=0)
        model.optimizer.build(model.trainable_variables)
        assert steps_of(model, "train").count("ParameterUpdate") == 3
        assert "ParameterUpdate" not in steps_of(model, "gradients") + steps_of(model, "evaluate")

    def test_parameter_is_updated_behind_its_gradient(self):
        model = model_of(layers.Conv2D(4, 3, use_bias=False), layers.Flatten(), layers.Dense(2, use_bias=False))
        model.optimizer.build(model.trainable_variables)
        last = ["Conv2DBackwardKernel", "Conv2DBackwardInput", "ParameterUpdate"]
        assert steps_of(model, "train")[-5:] == [*last, "Conv2DBackwardKernel", "ParameterUpdate"]

    def test_parameter_of_several_layers_is_updated_once_behind_all(self):
        shared, x = layers.Conv2D(2, 3, padding="same", use_bias=False), Input((6, 6, 2))
        model = cycnn.Model(x, shared(layers.Activation("tanh")(layers.Conv2D(2, 1, use_bias=False)(shared(x)))))
        model.compile(cycnn.optimizers.SGD(0.5), "mse")
        model.optimizer.build(model.trainable_variables)
        steps = steps_of(model, "train")
        assert [i for i, step in enumerate(steps) if step == "ParameterUpdate"] == [len(steps) - 4, len(steps) - 1]

    @pytest.mark.parametrize("option", ["global_clipnorm", "guarded", "python"])
    def test_updates_come_last_where_they_wait_for_all_gradients(self, option):
        class Double(cycnn.layers.PythonLayer):
            def forward(self, x, training):
                return 2 * x

            def backward(self, x, y, dy):
                return 2 * dy

        middle = [Double()] if option == "python" else []
        first, last = layers.Conv2D(4, 3, use_bias=False), layers.Dense(2, use_bias=False)
        model = model_of(first, *middle, layers.Flatten(), last)
        clip = 1.0 if option == "global_clipnorm" else None
        model.compile(cycnn.optimizers.SGD(0.5, global_clipnorm=clip), "mse")
        model.guarded = option == "guarded"
        model.optimizer.build(model.trainable_variables)
        assert steps_of(model, "train")[-2:] == ["ParameterUpdate"] * 2

    def test_change_of_shape_is_no_step(self):
        assert steps_of(model_of(layers.Conv2D(4, 3), layers.Flatten())) == ["Conv2DForward"]


def unfused(model, x):
    """Return the output of every layer, computed one by one on NumPy arrays."""
    outputs = [x]
    for layer in model.layers:
        x, weights = outputs[-1], layer.get_weights()
        match layer:
            case layers.Conv2D():
                y = ops.conv2d(x, *weights, strides=layer.strides, padding=layer.padding)
            case layers.Dense():
                y = ops.dense(x, *weights)
            case layers.MaxPooling2D():
                y = ops.max_pool2d(x, layer.pool_size, strides=layer.strides, padding=layer.padding)
            case layers.AveragePooling2D():
                y = ops.average_pool2d(x, layer.pool_size, strides=layer.strides, padding=layer.padding)
            case layers.GlobalMaxPooling2D():
                y = ops.max_pool2d(x, x.shape[1:3])[:, 0, 0]
            case layers.GlobalAveragePooling2D():
                y = ops.average_pool2d(x, x.shape[1:3])[:, 0, 0]
            case layers.Flatten():
                y = x.reshape(len(x), -1)
            case layers.ReLU():
                y = ops.relu(x)
            case layers.Softmax():
                y = ops.softmax(x)
            case layers.Rescaling():
                y = x * x.dtype.type(layer.scale) + x.dtype.type(layer.offset)
            case _:
                y = x
        activation = getattr(layer, "activation", "linear")
        outputs.append(y if activation == "linear" else getattr(ops, activation)(y))
    return outputs


STACKS = {
    "convolutions": lambda d: [
        layers.Conv2D(5, 3, activation="relu", padding="same", dtype=d),
        layers.Conv2D(17, 3, strides=2, dtype=d),
        layers.ReLU(dtype=d),
    ],
    "pooling": lambda d: [
        layers.MaxPooling2D(2, dtype=d),
        layers.ReLU(dtype=d),
        layers.Conv2D(4, 2, dtype=d),
        layers.AveragePooling2D(2, dtype=d),
        layers.Activation("relu", dtype=d),
        layers.GlobalMaxPooling2D(dtype=d),
    ],
    "reshape-between": lambda d: [
        layers.Conv2D(3, 3, dtype=d),
        layers.Flatten(dtype=d),
        layers.ReLU(dtype=d),
        layers.Dense(7, dtype=d),
    ],
    "dense-over-pixels": lambda d: [
        layers.Dense(9, activation="relu", dtype=d),
        layers.Dense(3, dtype=d),
        layers.GlobalAveragePooling2D(dtype=d),
    ],
    "sigmoid-tanh-softmax": lambda d: [
        layers.Conv2D(4, 3, activation="sigmoid", dtype=d),
        layers.Activation("tanh", dtype=d),
        layers.Flatten(dtype=d),
        layers.Dense(6, activation="softmax", dtype=d),
    ],
    "two-activations": lambda d: [
        layers.Conv2D(4, 3, activation="relu", dtype=d),
        layers.Activation("sigmoid", dtype=d),
        layers.Flatten(dtype=d),
        layers.Dense(6, dtype=d),
        layers.Softmax(dtype=d),
    ],
    "rescaling": lambda d: [
        layers.Rescaling(0.5, -1.0, dtype=d),
        layers.Dropout(0.5, dtype=d),
        layers.Conv2D(2, 6, dtype=d),
        layers.Flatten(dtype=d),
    ],
}


class TestResults:
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("name", STACKS)
    def test_predictions_equal_the_unfused_computation(self, name, dtype):
        model = model_of(*STACKS[name](dtype), dtype=dtype)
        x = integers(np.random.default_rng(1), (3, 6, 6, 2), dtype)
        assert_same(model.predict(x, verbose=0), unfused(model, x)[-1])

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_gradients_equal_the_unfused_computation(self, dtype):
        # Whole numbers everywhere: a mean over 4 x 2 = 8 outputs is exact, too.
        model = model_of(
            layers.Conv2D(4, 3, dtype=dtype),
            layers.ReLU(dtype=dtype),
            layers.MaxPooling2D(2, dtype=dtype),
            layers.ReLU(dtype=dtype),
            layers.Flatten(dtype=dtype),
            layers.Dense(2, dtype=dtype),
            dtype=dtype,
        )
        rng = np.random.default_rng(2)
        x, y = integers(rng, (4, 6, 6, 2), dtype), integers(rng, (4, 2), dtype)
        kernel, _, dense_kernel, _ = model.get_weights()
        _, _, a, _, b, flat, out = unfused(model, x)
        dout = ops.mean_squared_error_backward(y, out)
        dflat, ddense, ddense_bias = ops.dense_backward(dout, flat, dense_kernel)
        dpooled = ops.relu_backward(dflat.reshape(b.shape), b)
        dz = ops.relu_backward(ops.max_pool2d_backward(dpooled, a, 2), a)
        dkernel, dbias = ops.conv2d_backward_kernel(x, dz, kernel.shape[:2])
        program = lower(model, 4, "gradients", [dtype])
        program.run([x], [y])
        assert_same(program.outputs[0], out)
        assert_same(program.losses[0], ops.mean_squared_error(y, out))
        for gradient, expected in zip(program.gradients.values(), (dkernel, dbias, ddense, ddense_bias), strict=True):
            assert_same(gradient, expected)
        before = model.get_weights()
        model.train_on_batch(x, y)
        for weight, old, gradient in zip(model.get_weights(), before, program.gradients.values(), strict=True):
            assert_same(weight, old - gradient.dtype.type(0.5) * gradient)

    @pytest.mark.parametrize(
        ("activation", "loss", "labels"),
        [
            ("softmax", "sparse_categorical_crossentropy", True),
            ("softmax", "categorical_crossentropy", False),
            ("sigmoid", "binary_crossentropy", False),
        ],
    )
    def test_loss_with_its_activation_equals_the_two_apart(self, activation, loss, labels):
        dense = layers.Dense(3, activation=activation, dtype="float64")
        model = model_of(dense, shape=(4,), dtype="float64", loss=loss)
        rng = np.random.default_rng(5)
        x, y = rng.standard_normal((5, 4)), np.eye(3)[[0, 2, 1, 1, 0]]
        y = y.argmax(1).astype("int32") if labels else y
        kernel, bias = model.get_weights()
        out = getattr(ops, activation)(ops.dense(x, kernel, bias))
        dout = getattr(ops, f"{loss}_backward")(y, out)
        _, dkernel, dbias = ops.dense_backward(getattr(ops, f"{activation}_backward")(dout, out), x, kernel)
        program = lower(model, 5, "gradients", ["float64"])
        program.run([x], [y])
        # The two ways round differently; the sums are of few terms near one.
        np.testing.assert_allclose(program.outputs[0], out, rtol=1e-13)
        np.testing.assert_allclose(program.losses[0], getattr(ops, loss)(y, out), rtol=1e-11, atol=1e-13)
        for gradient, expected in zip(program.gradients.values(), (dkernel, dbias), strict=True):
            np.testing.assert_allclose(gradient, expected, rtol=1e-11, atol=1e-13)

    def test_model_that_only_reshapes_copies(self):
        model = Sequential([Input((2, 3, 4)), layers.Flatten()])
        x = integers(np.random.default_rng(0), (5, 2, 3, 4))
        out = model.predict(x, verbose=0)
        assert_same(out, x.reshape(5, 24))
        assert not np.shares_memory(out, x)

    @pytest.mark.parametrize("stack", [[layers.Activation("linear")], [layers.Dropout(0.3)]], ids=["linear", "dropout"])
    def test_model_that_does_nothing_copies(self, stack):
        x = integers(np.random.default_rng(0), (5, 3))
        out = Sequential([Input((3,)), *stack]).predict(x, verbose=0)
        assert_same(out, x)
        assert not np.shares_memory(out, x)

    def test_model_that_only_reshapes_has_a_loss(self):
        model = Sequential([Input((2, 3)), layers.Flatten()])
        model.compile("sgd", "mse")
        x = integers(np.random.default_rng(0), (4, 2, 3))
        assert model.evaluate(x, x.reshape(4, 6) + 2, verbose=0) == 4.0

    def test_several_batch_sizes_give_the_same_rows(self):
        # Exact on small integers: few rows are summed up in another order than many.
        model = model_of(layers.Conv2D(4, 3, activation="relu"), layers.Flatten(), layers.Dense(5))
        rng = np.random.default_rng(1)
        model.set_weights([integers(rng, w.shape) for w in model.get_weights()])
        x = integers(rng, (6, 6, 6, 2))
        whole = lower(model, 6, "predict", ["float32"])
        whole.run([x])
        for size in (1, 2, 4):
            part = lower(model, size, "predict", ["float32"])
            part.run([x[:size]])
            assert_same(part.outputs[0], whole.outputs[0][:size])
        assert_same(model.predict(x, batch_size=4, verbose=0), whole.outputs[0])

    def test_new_weights_are_seen_by_every_program(self):
        model = model_of(layers.Conv2D(4, 3), layers.Flatten())
        x = integers(np.random.default_rng(1), (6, 6, 6, 2))
        programs = [lower(model, 6, mode, ["float32"]) for mode in ("predict", "predict", "evaluate")]
        for program in programs:
            program.run([x], [np.zeros((6, 64), "float32")] if program.losses else [])
        model.set_weights([w + 1 for w in model.get_weights()])
        expected = ops.conv2d(x, *model.get_weights()).reshape(6, -1)
        for program in programs:
            program.run_again()
            assert_same(program.outputs[0], expected)


class TestMemory:
    def test_batch_is_read_in_place(self):
        model = model_of(layers.Conv2D(4, 3))
        x = integers(np.random.default_rng(1), (2, 6, 6, 2))
        view = x.view()
        view.flags.writeable = False
        program = lower(model, 2, "predict", ["float32"])
        program.run([view])
        assert_same(program.outputs[0], ops.conv2d(x, *model.get_weights()))
        x[...] = x[::-1, ::-1].copy()
        program.run_again()
        assert_same(program.outputs[0], ops.conv2d(x, *model.get_weights()))

    @pytest.mark.parametrize("stack", [[layers.Flatten(), layers.Dense(3)], [layers.Dense(3)]], ids=["flat", "pixels"])
    def test_batch_seen_in_another_shape_is_read_in_place(self, stack):
        model = model_of(*stack)
        x = integers(np.random.default_rng(1), (2, 6, 6, 2))
        program = lower(model, 2, "predict", ["float32"])
        program.run([x])
        before = program.outputs[0].copy()
        x += 1
        program.run_again()
        assert not np.array_equal(program.outputs[0], before)
        assert_same(program.outputs[0], unfused(model, x)[-1])

    @pytest.mark.parametrize("name", STACKS)
    def test_batches_and_targets_are_left_as_they_are(self, name):
        model = model_of(*STACKS[name]("float32"))
        x = integers(np.random.default_rng(1), (4, 6, 6, 2))
        y = integers(np.random.default_rng(1), (4, *model.output_shape[1:]))
        copies = x.copy(), y.copy()
        x.flags.writeable = y.flags.writeable = False
        model.fit(x, y, shuffle=False, verbose=0)
        model.evaluate(x, y, verbose=0)
        assert_same(x, copies[0])
        assert_same(y, copies[1])

    def test_prediction_needs_less_than_training(self):
        model = model_of(*[layers.Conv2D(8, 3, padding="same", activation="relu") for _ in range(6)])
        predict, evaluate, train = (model.memory(mode, 16) for mode in ("predict", "evaluate", "train"))
        assert predict <= evaluate < train / 3

    def test_gradients_of_parameters_share_a_place(self):
        def memory(depth, **options):
            model = model_of(layers.Flatten(), *[layers.Dense(300, use_bias=False) for _ in range(depth)], shape=(300,))
            model.compile(cycnn.optimizers.SGD(**options), "mse")
            return model.memory("train", 1)

        one_gradient = 300 * 300 * 4
        assert memory(9) - memory(3) < one_gradient / 10
        assert memory(9, global_clipnorm=1.0) - memory(3, global_clipnorm=1.0) > 5 * one_gradient

    def test_prediction_needs_no_more_for_more_layers(self):
        def memory(depth):
            stack = [layers.Conv2D(8, 3, padding="same", activation="relu") for _ in range(depth)]
            return model_of(*stack).memory("predict", 16)

        one_map = 16 * 6 * 6 * 8 * 4
        assert memory(3) == memory(9) == 2 * one_map

    def test_batch_is_not_part_of_the_arena(self):
        model = model_of(layers.GlobalMaxPooling2D(), shape=(64, 64, 3))
        assert model.memory("predict", 16) < 16 * 64 * 64 * 3

    def test_memory_grows_with_the_batch(self):
        model = model_of(*STACKS["convolutions"]("float32"))
        for mode in ("predict", "evaluate", "train"):
            assert model.memory(mode, 2) < model.memory(mode, 8)

    def test_predictions_outlive_the_model(self):
        model = model_of(*STACKS["sigmoid-tanh-softmax"]("float32"))
        x = integers(np.random.default_rng(1), (4, 6, 6, 2))
        out = model.predict(x, verbose=0)
        expected = unfused(model, x)[-1]
        del model
        assert_same(out, expected)

    def test_next_call_does_not_change_the_last_predictions(self):
        model = model_of(*STACKS["convolutions"]("float32"))
        x = integers(np.random.default_rng(1), (4, 6, 6, 2))
        for call in (lambda x: model.predict(x, verbose=0), model.predict_on_batch, model):
            first = call(x)
            copy = first.copy()
            call(-x)
            assert_same(first, copy)
