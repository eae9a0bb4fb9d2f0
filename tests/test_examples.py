"""The examples run, and print what they promise."""

import os
import re
import tarfile
from pathlib import Path

import pytest
from processes import output_of

EXAMPLES = Path(__file__).parent.parent / "examples"
DATA = Path(os.environ.get("CYCNN_DATA") or "nowhere")
MNIST, CIFAR = DATA / "mnist", DATA / "cifar10-jpeg.tar.gz"


def run(script, folder, *options):
    """Return what an example prints."""
    path = EXAMPLES / script
    if not path.exists():
        pytest.skip("the examples are not beside the tests")
    argv = [str(path), *options]
    code = f"import runpy, sys; sys.argv = {argv!r}; runpy.run_path({str(path)!r}, run_name='__main__')"
    return output_of(code, folder, timeout=120)


def rows_of_the_lesson(out):
    """Return what the lesson's table says of both networks, by row."""
    table = out[re.search("^ +perceptron +CNN$", out, re.MULTILINE).end() :]
    rows = re.findall(r"^(\w[\w -]*?) +([\d.,]+) +([\d.,]+)$", table, re.MULTILINE)
    # Each row is followed by its explanation, indented.
    assert len(re.findall(r"^    \S", table, re.MULTILINE)) >= len(rows)
    values = {name: (float(mlp.replace(",", "")), float(cnn.replace(",", ""))) for name, mlp, cnn in rows}
    assert list(values) == ["parameters", "multiply-adds", "centred digits", "moved digits"]
    assert values["multiply-adds"][0] < values["multiply-adds"][1]
    return values


def perceptron_parameters(pixels):
    return pixels * 128 + 128 + 128 * 64 + 64 + 64 * 10 + 10


def test_lesson_is_learned_with_no_data_at_hand_and_the_cnn_wins_where_it_says(tmp_path):
    values = rows_of_the_lesson(run("mlp_against_cnn.py", tmp_path))
    assert values["parameters"] == (perceptron_parameters(32 * 32), 160 + 4640 + 18496 + 650)
    assert all(accuracy > 0.9 for accuracy in values["centred digits"])
    assert values["moved digits"][0] < 0.3  # chance is 0.1
    assert values["moved digits"][1] > 0.6


@pytest.mark.skipif(not MNIST.is_dir(), reason="CYCNN_DATA names no folder that holds mnist/")
def test_perceptron_and_cnn_are_compared_in_a_table(tmp_path):
    data = str(MNIST.resolve())
    values = rows_of_the_lesson(
        run("mlp_against_cnn.py", tmp_path, "--data", data, "--images", "2000", "--epochs", "1")
    )
    assert values["parameters"] == (perceptron_parameters(40 * 40), 160 + 4640 + 18496 + 650)
    assert all(accuracy > 0.2 for accuracy in values["centred digits"])  # 31 batches teach little; chance is 0.1


EXAMPLE_RUNS = {
    "mnist_convnet.py": (MNIST, r"Test accuracy: (0\.\d+)", 0.4),
    "unet_segmentation.py": (MNIST, r"Intersection over union: (0\.\d+)", 0.1),
    "autoencoder.py": (MNIST, r"(0\.\d+) restored", 0.0),
    "transfer.py": (MNIST, r"Test accuracy on 5 to 9: (0\.\d+)", 0.4),
    "cifar10_convnet.py": (CIFAR, r"Test accuracy: (0\.\d+)", 0.15),
    "cifar10_resnet.py": (CIFAR, r"Epoch 2/2 .* val_accuracy: (0\.\d+)", 0.1),
}


@pytest.mark.parametrize("script", EXAMPLE_RUNS)
def test_ports_of_keras_s_examples_learn(tmp_path, script):
    data, pattern, least = EXAMPLE_RUNS[script]
    if not data.exists():
        pytest.skip("CYCNN_DATA names no folder that holds the data")
    out = run(script, tmp_path, "--data", str(data.resolve()), "--images", "2000", "--epochs", "2")
    assert float(re.search(pattern, out)[1]) > least


@pytest.mark.skipif(not CIFAR.exists(), reason="CYCNN_DATA names no folder that holds CIFAR-10")
def test_mobilenet_learns_from_a_folder_of_images(tmp_path):
    with tarfile.open(CIFAR) as archive:
        for member in archive:
            if re.fullmatch(r"(.*/)?test/(frog|truck)/\d+\.jpg", member.name):
                target = tmp_path / "images" / Path(member.name).parent.name
                target.mkdir(parents=True, exist_ok=True)
                if len(list(target.iterdir())) < 60:
                    (target / Path(member.name).name).write_bytes(archive.extractfile(member).read())
    options = "--data", str(tmp_path / "images"), "--size", "32", "--epochs", "2"
    assert "Validation accuracy: " in run("mobilenet_image_folder.py", tmp_path, *options)


def test_options_are_explained(tmp_path):
    text = run("mlp_against_cnn.py", tmp_path, "--help")
    for option in ("--data", "--images", "--epochs"):
        assert option in text
