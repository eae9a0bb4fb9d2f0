"""The benchmarks run, as far as they need nothing but cycnn; what they measure is not asserted."""

import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest

import cycnn

sys.path.append(str(Path(__file__).parent.parent))  # at the end: an installed cycnn is found before the checkout's
pytest.importorskip("benchmarks", reason="the benchmarks are not beside the tests")
from benchmarks import layers, memory, networks, scaling, zoo
from benchmarks.libraries import LIBRARIES
from benchmarks.libraries.keras_api import Subject

PARAMETERS = {
    "mnist_cnn": 34_826,
    "lenet5": 61_706,
    "cifar_small": 2_168_362,
    "resnet20": 272_474,
    "mobilenet_025": 470_072,
    "mobilenet_100": 4_231_976,
    "resnet18": 11_689_512,
}  # as published, where they are


@pytest.fixture(autouse=True)
def threads():
    before = cycnn.get_num_threads()
    yield
    cycnn.set_num_threads(before)


@pytest.mark.parametrize("name", zoo.NETWORKS)
def test_table_agrees_with_the_network_that_is_built(name):
    network = zoo.NETWORKS[name]
    subject = Subject(network, None, 1, package="cycnn")
    assert subject.model.output_shape == (None, *zoo.placed(network)[-1].output)
    assert subject.model.input_shape == (None, *network.shape)
    named = {place.name: place for place in zoo.flat(zoo.placed(network))}
    for layer in subject.model.layers:
        if layer.name in named:
            assert layer.output.shape[1:] == named[layer.name].output
    assert subject.parameters == PARAMETERS[name]


def test_operations_are_those_of_the_formula():
    assert zoo.operations(zoo.NETWORKS["mnist_cnn"]) == 2 * (26**2 * 32 * 9 + 11**2 * 64 * 9 * 32 + 1600 * 10)


def test_every_library_says_what_it_needs():
    for library in LIBRARIES.values():
        assert set(library.tasks) <= set(networks.TASKS)
        assert isinstance(library.missing(), list)


def test_networks_are_measured_and_written(capsys, tmp_path):
    file = tmp_path / "figures.json"
    quick = ["--rounds", "2", "--seconds", "0.01", "--threads", "1", "--json", str(file)]
    networks.main(["--networks", "lenet5", "--libraries", "--tasks", "train", "one", *quick])
    networks.main(["--networks", "mnist_cnn", "--libraries", "--tasks", "train", *quick])
    written = json.loads(file.read_text())["networks"]
    assert set(written) == {"lenet5", "mnist_cnn"}
    assert [len(written["lenet5"]["times"][task]["cycnn"]) for task in ("train", "one")] == [2, 2]
    assert all(seconds > 0 for seconds in written["lenet5"]["times"]["train"]["cycnn"])
    assert "lenet5, batch 128" in capsys.readouterr().out


def test_disagreeing_library_is_refused():
    right = {"parameters": 3, "logits": [[1.0, -2.0]], "loss": 1.0}
    networks.agree(right, right)
    networks.agree({**right, "loss": 1.00005}, right)
    for wrong in ({"parameters": 4}, {"logits": [[1.0, math.nan]]}, {"logits": [[1.0, -2.001]]}, {"loss": 1.001}):
        with pytest.raises(RuntimeError, match=r"instead of|differ"):
            networks.agree({**right, **wrong}, right)


def test_geometric_mean_is_that_of_the_best_peers():
    times = {"cycnn": [1.0, 1.0], "torch": [3.0, 3.0], "keras": [2.0, 2.0]}
    found = {"a": {"train": times}, "b": {"train": {**times, "keras": [8.0, 8.0], "torch": [4.5, 4.5]}}}
    assert networks.summary(found, ["train"], "v4") == [
        "training step: best peer / cycnn, geometric mean over 2 networks 3.00, least 2.00 (a)"
    ]


def test_convolutions_are_measured(capsys, tmp_path):
    file = tmp_path / "layers.json"
    layers.main(["--networks", "lenet5", "--rounds", "1", "--seconds", "0.001", "--json", str(file)])
    written = json.loads(file.read_text())
    assert {each["layer"] for each in written} > {"5x5 6->16 128x14x14"}
    assert "5x5 1->6 128x28x28" in capsys.readouterr().out


def test_every_convolution_occurs_once():
    found = list(layers.cases(list(zoo.NETWORKS)))
    assert len(found) == len(set(found))
    assert {case.kernel[0] for case in found} == {1, 3, 5, 7}
    assert sum(case.depthwise for case in found) == 18


def test_memory_is_measured(capsys):
    memory.main(["--networks", "lenet5", "--libraries", "--steps", "1", "--threads", "1"])
    assert "lenet5" in capsys.readouterr().out


def test_scaling_stops_in_time(capsys):
    scaling.main(["--threads", "1", "--extents", "channels", "--budget", "0.1"])
    assert "channels" in capsys.readouterr().out


def test_batches_are_the_same_for_all():
    network = zoo.NETWORKS["lenet5"]
    for one, other in zip(zoo.batch_of(network, 4), zoo.batch_of(network, 4), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", ("float32", "uint8"))
def test_training_on_a_mapped_file_is_measured(capsys, tmp_path, dtype):
    pytest.importorskip("resource", reason="this system tells the memory of a process in another way")
    from benchmarks import mapped

    mapped.main(["--gigabytes", "0.01", "--dtype", dtype, "--folder", str(tmp_path)])
    assert "MB more" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
