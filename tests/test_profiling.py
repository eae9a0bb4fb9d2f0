"""What a profile says of a model's program, and that the model stays as it was."""

import numpy as np
import pytest

from cycnn import Input, Sequential, layers, utils
from cycnn.cli import main


@pytest.fixture
def model():
    model = Sequential(
        [
            Input((8, 8, 2)),
            layers.Conv2D(4, 3, use_bias=False, name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(3, name="dense"),
        ],
        name="small",
    )
    model.compile("adam", "mse")
    return model


@pytest.mark.parametrize("mode", ["predict", "evaluate", "train"])
def test_every_step_is_timed_and_names_its_layer(model, mode):
    profile = utils.profile(model, 4, mode)
    assert all(timed.seconds > 0 for timed in profile.steps)
    assert {"conv", "pool", "dense"} <= {timed.layer for timed in profile.steps}
    assert profile.peak > 1e8
    times = 1 if mode != "train" else 3
    dense = [timed.operations for timed in profile.steps if timed.layer == "dense" and timed.operations]
    assert dense == times * [2.0 * 4 * 36 * 3]
    conv = [timed.operations for timed in profile.steps if timed.layer == "conv" and timed.operations]
    assert conv == min(times, 2) * [2.0 * 4 * 36 * 4 * 18]  # the first layer has no gradient to its input
    lines = profile.lines()
    assert lines[0].startswith(f"small: {mode}, batch of 4, ")
    assert len(lines) == len(profile.steps) + 6


def test_predictions_in_pieces_show_one_piece():
    model = Sequential([Input((32, 32, 3)), layers.Conv2D(32, 3), layers.GlobalAveragePooling2D()], name="large")
    profile = utils.profile(model, 96)
    rows = model.program("test", "predict", 96).rows
    assert profile.title.startswith(f"large: predict, batch of 96, one piece of {rows}, ")
    assert profile.steps[0].operations == 2.0 * rows * 30 * 30 * 32 * 27


def test_the_model_is_not_trained(model):
    before = model.get_weights()
    utils.profile(model, 4, "train")
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert model.optimizer.iterations == 0


@pytest.mark.parametrize(
    ("layer", "operations"),
    [
        (layers.DepthwiseConv2D(3, depth_multiplier=2), 2.0 * 36 * 4 * 9),
        (layers.Conv2D(4, 3, groups=2), 2.0 * 36 * 4 * 9),
        (layers.Conv2DTranspose(5, 3, strides=2), 2.0 * 64 * 2 * 9 * 5),
    ],
    ids=["depthwise", "grouped", "transposed"],
)
def test_operations_of_convolutions(layer, operations):
    profile = utils.profile(Sequential([Input((8, 8, 2)), layer]), 1)
    assert [timed.operations for timed in profile.steps] == [operations]


def test_bad_arguments_are_refused(model):
    with pytest.raises(ValueError, match="profile: `mode` must be"):
        utils.profile(model, 4, "fit")
    with pytest.raises(ValueError, match="profile: `batch_size` must be a positive int"):
        utils.profile(model, 0)
    with pytest.raises(RuntimeError, match="profile: the model must be compiled"):
        utils.profile(Sequential([Input((3,)), layers.Dense(2)]), 4, "train")


def test_command(model, tmp_path, capsys):
    model.save(tmp_path / "model.safetensors")
    assert main(["profile", str(tmp_path / "model.safetensors"), "--batch-size", "2", "--train"]) == 0
    printed = capsys.readouterr().out
    assert "small: train, batch of 2" in printed
    assert "GFLOP/s" in printed
