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
from cycnn import _native
from cycnn.cli import main

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
            ([], "required: {train,config}"),
            (["learn"], "invalid choice: 'learn'"),
            (["config", "--all"], "unrecognized arguments: --all"),
            (["train"], "required: dataset, --data"),
            (["train", "mnist"], "required: --data"),
            (["train", "cifar10", "--data", "."], "invalid choice: 'cifar10'"),
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
        for option in ("--data", "--epochs", "--batch-size", "--learning-rate", "--seed", "--threads"):
            assert option in out

    def test_command_line_of_the_process_is_the_default(self, monkeypatch, capsys):
        monkeypatch.setattr(sys, "argv", ["cycnn", "config"])
        assert main() == 0
        assert cycnn.__version__ in capsys.readouterr().out
