"""The command `cycnn`: what it prints, its exit status, and its errors, each one line."""

import gzip
import os
import re
import struct
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from processes import PACKAGE, output_of, run_python

import cycnn
from cycnn import Input, Sequential, _native, layers
from cycnn.cli import main
from cycnn.recipes import RECIPES

FILES = "train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"
COMMAND = Path(sysconfig.get_path("scripts")) / ("cycnn.exe" if os.name == "nt" else "cycnn")
CALL = "import sys; from cycnn.cli import main; sys.exit(main({!r}))"


def write_idx(path, array):
    """Write bytes in the format of MNIST."""
    path.write_bytes(struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes())


@pytest.fixture
def folder(tmp_path):
    """Return a folder of the form of MNIST: 96 and 32 images, bright in the upper or in the lower half."""
    rng = np.random.default_rng(0)
    for (images, labels), n in zip((FILES[:2], FILES[2:]), (96, 32), strict=True):
        y = rng.integers(0, 2, n).astype("uint8")
        x = rng.integers(0, 60, (n, 28, 28)).astype("uint8")
        for image, label in zip(x, y, strict=True):
            image[14 * label : 14 * label + 14] += 180
        write_idx(tmp_path / images, x)
        write_idx(tmp_path / labels, y)
    return tmp_path


@pytest.fixture(autouse=True)
def threads():
    """Let `--threads` last no longer than its test."""
    before = cycnn.get_num_threads()
    yield
    cycnn.set_num_threads(before)


def train(folder, *options):
    return main(["train", "mnist", "--data", str(folder), *options])


class TestConfig:
    def test_prints_what_is_in_use(self, capsys):
        assert main(["config"]) == 0
        printed = capsys.readouterr()
        assert printed.err == ""
        rows = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in printed.out.splitlines())
        assert rows["cycnn"] == cycnn.__version__
        assert rows["NumPy"] == np.__version__
        assert rows["instruction sets built"] == ", ".join(_native.built)
        assert rows["supported by this CPU"] == ", ".join(_native.supported)
        assert rows["chosen"].split()[0] == _native.isa
        assert int(rows["threads"].split()[0]) == cycnn.get_num_threads()

    def test_shows_what_the_environment_asks_for(self, tmp_path):
        isa = _native.supported[-1]
        out = output_of(CALL.format(["config"]), tmp_path, CYCNN_ISA=isa, CYCNN_NUM_THREADS="3")
        assert re.search(rf"^chosen +{isa} ", out, re.MULTILINE)
        assert re.search(r"^threads +3 ", out, re.MULTILINE)

    def test_installed_command_does_the_same(self, tmp_path, capsys):
        if not COMMAND.exists() or PACKAGE.parent != Path(sysconfig.get_path("platlib")):
            pytest.skip("cycnn is not installed in this environment, so there is no command")
        out = subprocess.run([COMMAND, "config"], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        main(["config"])
        assert out == capsys.readouterr().out


class TestTrain:
    def test_learns_and_prints_accuracy_and_speed(self, folder, capsys):
        assert train(folder, "--epochs", "6", "--batch-size", "16", "--learning-rate", "0.01", "--threads", "2") == 0
        out = capsys.readouterr().out
        assert "34,826" in out  # the parameters of the recipe
        assert "96 images to learn from, 32 to test with; 2 threads" in out
        assert float(re.search(r"test accuracy (\S+),", out)[1]) >= 0.95
        assert re.search(r"[\d.]+ s of training, [\d,]+ images per second", out)
        assert "Try next" in out

    def test_digits_are_learned_with_no_data_at_hand(self, capsys):
        assert main(["train", "digits", "--seed", "0"]) == 0
        out = capsys.readouterr().out
        assert "1,437 images to learn from, 360 to test with" in out
        assert len(re.findall(r"^Epoch \d+/100 ", out, re.MULTILINE)) == 100
        assert float(re.search(r"test accuracy (\S+),", out)[1]) >= 0.985
        assert float(re.search(r"([\d.]+) s of training, [\d,]+ images per second", out)[1]) > 0
        assert "Try next" in out

    def test_options_replace_the_settings_of_the_data_set(self, capsys):
        assert main(["train", "digits", "--epochs", "1", "--batch-size", "64", "--learning-rate", "1e-9"]) == 0
        out = capsys.readouterr().out
        assert "Epoch 1/1" in out
        assert "a batch of 64" in out
        assert float(re.search(r"test accuracy (\S+),", out)[1]) < 0.5

    def test_every_data_set_has_a_loader_and_a_recipe(self):
        loaders = {name.removeprefix("load_") for name in cycnn.datasets.__all__ if name.startswith("load_")}
        assert set(RECIPES) == loaders

    def test_seed_decides_the_result(self, folder, capsys):
        def result(seed):
            assert train(folder, "--epochs", "1", "--seed", seed) == 0
            return re.search("test accuracy .*", capsys.readouterr().out)[0]

        assert result("1") == result("1")
        assert result("1") != result("2")

    def test_last_words_of_a_log_are_not_held_back(self, folder):
        process = run_python(CALL.format(["train", "mnist", "--data", str(folder), "--epochs", "1"]), folder)
        assert (process.returncode, process.stderr) == (0, "")
        assert process.stdout.rstrip().splitlines()[-1].startswith("Try next")

    def test_ctrl_c_while_reading_is_one_line(self, folder, capsys, monkeypatch):
        def interrupted(folder):
            raise KeyboardInterrupt

        monkeypatch.setattr("cycnn.datasets.load_mnist", interrupted)
        assert train(folder) == 130
        assert capsys.readouterr().err == "\ncycnn: stopped\n"

    def test_reads_real_digits(self, capsys):
        data = os.environ.get("CYCNN_DATA")
        if not data or not (Path(data) / "mnist").is_dir():
            pytest.skip("CYCNN_DATA names no folder that holds mnist/")
        assert train(Path(data) / "mnist", "--epochs", "1") == 0
        out = capsys.readouterr().out
        assert "60,000 images to learn from, 10,000 to test with" in out
        assert float(re.search(r"test accuracy (\S+),", out)[1]) >= 0.95


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Return a file of a model that tells which half of a grey image is bright: 4 x 4 pixels from 0 to 1."""
    path = tmp_path_factory.mktemp("saved") / "model.safetensors"
    model = Sequential([Input((4, 4, 1)), layers.Flatten(), layers.Dense(2, use_bias=False, activation="softmax")])
    model.set_weights([np.repeat(np.eye(2, dtype=np.float32), 8, axis=0)])
    model.save(path)
    return path


def write_image(path, array):
    """Write an image, if Pillow is there to do it."""
    Image = pytest.importorskip("PIL.Image")
    Image.fromarray(np.asarray(array, np.uint8)).save(path)
    return str(path)


class TestSavedModels:
    def test_trained_model_is_saved_and_loads(self, folder, capsys):
        path = folder / "digits.safetensors"
        assert train(folder, "--epochs", "1", "--save", str(path)) == 0
        assert f"cycnn predict {path}" in capsys.readouterr().out
        assert cycnn.load_model(path).count_params() == 34_826
        assert main(["summary", str(path)]) == 0
        assert "34,826" in capsys.readouterr().out

    def test_place_of_the_model_is_checked_before_training(self, folder, capsys):
        assert train(folder, "--save", str(folder / "nowhere" / "model.safetensors")) == 1
        printed = capsys.readouterr()
        assert printed.out == ""
        assert re.fullmatch(r"cycnn: --save: there is no folder for .*nowhere.*\n", printed.err)

    def test_cifar10_is_learned_from_bytes(self, folder, capsys, monkeypatch):
        x = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3)).astype("uint8")
        y = np.arange(8, dtype="int32")
        monkeypatch.setattr("cycnn.datasets.load_cifar10", lambda data: ((x, y), (x, y)))
        path = folder / "colours.safetensors"
        assert main(["train", "cifar10", "--data", "any", "--epochs", "1", "--save", str(path)]) == 0
        assert "8 images to learn from" in capsys.readouterr().out
        image = write_image(folder / "some.png", x[0])
        assert main(["predict", str(path), image, "--top", "10"]) == 0
        expected = cycnn.load_model(path).predict(x[:1], verbose=0)[0]
        found = dict(re.findall(r"class (\d) (0\.\d+)", capsys.readouterr().out))
        assert [float(found[str(label)]) for label in range(10)] == pytest.approx(expected, abs=1e-4)

    def test_summary_shows_the_layers(self, saved, capsys):
        assert main(["summary", str(saved)]) == 0
        out = capsys.readouterr().out
        assert "flatten" in out
        assert "dense" in out


class TestPredict:
    def test_prints_classes_by_their_probability(self, saved, tmp_path, capsys):
        upper, lower = np.zeros((2, 4, 4), np.uint8)
        upper[:2], lower[2:] = 255, 51
        files = [write_image(tmp_path / f"{i}.png", image) for i, image in enumerate((upper, lower))]
        assert main(["predict", str(saved), *files]) == 0
        likely = 1 / (1 + np.exp(-8)), 1 / (1 + np.exp(-1.6))  # sums of eight pixels: 8 x 1 and 8 x 0.2
        assert capsys.readouterr().out.splitlines() == [
            f"{files[0]}: class 0 {likely[0]:.4f}, class 1 {1 - likely[0]:.4f}",
            f"{files[1]}: class 1 {likely[1]:.4f}, class 0 {1 - likely[1]:.4f}",
        ]

    def test_image_is_greyed_and_resized(self, saved, tmp_path, capsys):
        colours = np.zeros((40, 20, 3), np.uint8)
        colours[20:] = 200
        assert main(["predict", str(saved), write_image(tmp_path / "x.png", colours), "--top", "1"]) == 0
        assert re.search(r"x\.png: class 1 0\.99\d+$", capsys.readouterr().out)

    def test_logits_become_probabilities(self, tmp_path, capsys):
        model = Sequential([Input((1, 1, 1)), layers.Flatten(), layers.Dense(2, use_bias=False)])
        model.set_weights([np.array([[5.0, 3.0]], np.float32)])
        model.save(tmp_path / "logits.safetensors")
        image = write_image(tmp_path / "x.png", [[255]])
        assert main(["predict", str(tmp_path / "logits.safetensors"), image]) == 0
        assert f"class 0 {1 / (1 + np.exp(-2)):.4f}" in capsys.readouterr().out

    @pytest.mark.parametrize("command", [["predict", "{}", "x.png"], ["summary", "{}"]])
    @pytest.mark.parametrize("content", [None, b"", b"no model"])
    def test_bad_model_is_one_line(self, command, content, tmp_path, capsys):
        path = tmp_path / "bad.safetensors"
        if content is not None:
            path.write_bytes(content)
        self.refused([word.format(path) for word in command], "bad.safetensors", capsys)

    def test_bad_image_is_one_line(self, saved, tmp_path, capsys):
        pytest.importorskip("PIL")
        (tmp_path / "text.png").write_text("no image")
        for name in ("absent.png", "text.png"):
            self.refused(["predict", str(saved), str(tmp_path / name)], name, capsys)

    def test_models_of_other_things_are_refused(self, tmp_path, capsys):
        for name, shape, told in (("row", (4,), "one image"), ("layers", (2, 2, 7), "7 channels")):
            path = tmp_path / f"{name}.safetensors"
            Sequential([Input(shape), layers.Flatten(), layers.Dense(2)]).save(path)
            self.refused(["predict", str(path), "x.png"], told, capsys)

    def test_absent_pillow_is_told(self, saved, capsys, monkeypatch):
        monkeypatch.setitem(sys.modules, "PIL", None)
        self.refused(["predict", str(saved), "x.png"], "pip install 'cycnn[images]'", capsys)

    def refused(self, command, told, capsys):
        assert main(command) == 1
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert lines[0].startswith("cycnn: ")
        assert told in lines[0]


class TestBadData:
    def error(self, folder, capsys):
        """Return the one line that is printed to the standard error."""
        assert train(folder) == 1
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert lines[0].startswith("cycnn: ")
        return lines[0]

    def test_absent_folder_is_named(self, tmp_path, capsys):
        assert "no such place" in self.error(tmp_path / "no such place", capsys)

    def test_empty_folder_is_named_with_what_is_missing(self, tmp_path, capsys):
        line = self.error(tmp_path, capsys)
        assert str(tmp_path) in line
        assert "ubyte" in line

    @pytest.mark.parametrize("name", FILES)
    def test_absent_file_is_named(self, folder, capsys, name):
        (folder / name).unlink()
        assert name in self.error(folder, capsys)

    @pytest.mark.parametrize("name", FILES)
    @pytest.mark.parametrize(
        "spoil",
        [lambda b: b[:-7], lambda b: b"", lambda b: b"PK" + b, lambda b: b[:9], lambda b: b + b"more"],
        ids=["truncated", "empty", "another-format", "half-a-header", "too-long"],
    )
    def test_corrupt_file_is_named(self, folder, capsys, name, spoil):
        (folder / name).write_bytes(spoil((folder / name).read_bytes()))
        assert name in self.error(folder, capsys)

    @pytest.mark.parametrize(
        "spoil",
        [lambda b: b[:-20], lambda b: b[:40] + bytes(20) + b[60:], lambda b: b"\x1f\x8b" + bytes(30), lambda b: b[:5]],
        ids=["truncated", "overwritten", "no-gzip", "half-a-header"],
    )
    def test_corrupt_gzip_is_named(self, folder, capsys, spoil):
        name = FILES[0]
        packed = gzip.compress((folder / name).read_bytes())
        (folder / name).unlink()
        (folder / f"{name}.gz").write_bytes(spoil(packed))
        assert f"{name}.gz" in self.error(folder, capsys)

    def test_file_in_the_folder_s_place_is_named(self, folder, capsys):
        assert FILES[0] in self.error(folder / FILES[0], capsys)


class TestBadOptions:
    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ([], "required: {train,predict,summary,profile,config}"),
            (["learn"], "invalid choice: 'learn'"),
            (["config", "--all"], "unrecognized arguments: --all"),
            (["train"], "required: dataset"),
            (["train", "mnist"], "required: --data, the folder of the four files of MNIST"),
            (["train", "cifar10"], "required: --data, the folder of CIFAR-10"),
            (["train", "digits", "--data", "."], "argument --data: digits come with cycnn"),
            (["train", "imagenet", "--data", "."], "invalid choice: 'imagenet'"),
            (["predict", "model.safetensors"], "required: IMAGE"),
            (["summary"], "required: FILE"),
            *[
                (["train", "mnist", "--data", ".", option, value], f"argument {option}: {told}")
                for option, value, told in (
                    ("--epochs", "0", "must be positive: 0"),
                    ("--epochs", "-3", "must be positive: -3"),
                    ("--epochs", "two", "invalid int value: 'two'"),
                    ("--epochs", "1.5", "invalid int value: '1.5'"),
                    ("--batch-size", "0", "must be positive: 0"),
                    ("--batch-size", "many", "invalid int value: 'many'"),
                    ("--learning-rate", "0", "must be positive: 0"),
                    ("--learning-rate", "-0.1", "must be positive: -0.1"),
                    ("--learning-rate", "nan", "must be positive: nan"),
                    ("--learning-rate", "inf", "must be positive: inf"),
                    ("--learning-rate", "fast", "invalid float value: 'fast'"),
                    ("--threads", "0", "must be positive: 0"),
                    ("--threads", "all", "invalid int value: 'all'"),
                    ("--seed", "x", "invalid int value: 'x'"),
                )
            ],
        ],
        ids=lambda value: " ".join(value) if isinstance(value, list) else "",
    )
    def test_are_refused_with_the_usage(self, options, told, capsys):
        with pytest.raises(SystemExit) as refused:
            main(options)
        assert refused.value.code == 2
        err = capsys.readouterr().err
        assert err.startswith("usage: cycnn")
        assert told in err

    @pytest.mark.parametrize(
        ("option", "value", "told"),
        [("--seed", "-1", "seed"), ("--threads", "100000", "set_num_threads: `n` must be at most")],
    )
    def test_are_refused_by_the_library_in_one_line(self, folder, capsys, option, value, told):
        assert train(folder, option, value) == 1
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert lines[0].startswith("cycnn: ")
        assert told in lines[0]

    def test_help_names_every_option(self, capsys):
        with pytest.raises(SystemExit) as done:
            main(["train", "--help"])
        assert done.value.code == 0
        out = capsys.readouterr().out
        for option in ("--data", "--epochs", "--batch-size", "--learning-rate", "--seed", "--threads", "--save"):
            assert option in out

    def test_command_line_of_the_process_is_the_default(self, monkeypatch, capsys):
        monkeypatch.setattr(sys, "argv", ["cycnn", "config"])
        assert main() == 0
        assert cycnn.__version__ in capsys.readouterr().out
