"""When the machine fails: disks that are full, folders that may not be written, memory that there is not.

Every such call says what was asked for, and leaves files and models as they were.
"""

import os
import sys
import threading

import numpy as np
import pytest
from helpers import assert_same
from processes import output_of

import cycnn
from cycnn import Input, Sequential, files, layers, ops
from cycnn._native import Buffer, Memory

SETUP = (
    "import os, resource, signal, sys, numpy as np, cycnn\nfrom cycnn import Input, Sequential, layers\n"
    "import safetensors.numpy  # now, while the user may read it\n"
    "cycnn.utils.set_random_seed(0)\n"
    "m = Sequential([Input((32, 32, 3)), layers.Conv2D(64, 3, padding='same'), layers.Flatten(), layers.Dense(2)])\n"
    "m.compile('adam', 'mse')\n"
    "x = np.ones((4, 32, 32, 3), 'float32')\n"
)
linux = pytest.mark.skipif(sys.platform != "linux", reason="sets the limits of Linux processes")


def network(units=8):
    cycnn.utils.set_random_seed(0)
    hidden = [layers.Conv2D(16, 3, activation="relu"), layers.Flatten(), layers.Dense(units)]
    model = Sequential([Input((8, 8, 2)), *hidden, layers.Dense(3)])
    model.compile("adam", "mse")
    return model


class TestDisk:
    @linux
    def test_full_leaves_the_old_file_and_nothing_else(self, tmp_path):
        code = SETUP + (
            "m.save('model'); before = open('model', 'rb').read(); m.fit(x, np.ones((4, 2)), verbose=0)\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, len(before) // 2))\n"
            "for save in (m.save, m.save_weights):\n"
            "    try: save('model')\n"
            "    except OSError as error: print(type(error).__name__)\n"
            "assert open('model', 'rb').read() == before and os.listdir() == ['model'], os.listdir()\n"
        )
        assert output_of(code, tmp_path).split() == ["OSError", "OSError"]

    @pytest.mark.parametrize("step", ["fsync", "replace", "chmod"])
    def test_failing_at_any_step_leaves_the_old_file(self, step, tmp_path, monkeypatch):
        path = tmp_path / "model"
        files.write_atomically(path, b"old")

        def fail(*args):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, step, fail)
        with pytest.raises(OSError, match="No space left"):
            files.write_atomically(path, b"new")
        assert (path.read_bytes(), os.listdir(tmp_path)) == (b"old", ["model"])

    @linux
    def test_folder_that_may_not_be_written_is_an_error_of_the_system(self, tmp_path):
        # As another user where the tests run as root, whom no permission stops.
        code = SETUP + (
            "os.mkdir('here'); os.chmod('here', 0o555)\n"
            "user = os.geteuid()\n"
            "if user == 0: os.seteuid(65534)\n"
            "try: m.save('here/model')\n"
            "except PermissionError as error: print('here' in str(error))\n"
            "os.seteuid(user)\n"
            "m.fit(x, np.ones((4, 2)), verbose=0)\n"
        )
        tmp_path.chmod(0o755)
        assert output_of(code, tmp_path) == "True\n"

    def test_folder_that_is_not_there_is_an_error_of_the_system(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="nowhere"):
            network().save(tmp_path / "nowhere" / "model")


class TestMemory:
    @linux
    def test_too_little_for_a_program_says_how_much_and_leaves_the_model(self, tmp_path):
        code = SETUP + (
            "before = m.predict(x, verbose=0)\n"
            "many, y = np.zeros((1200, 32, 32, 3), 'float32'), np.zeros((1200, 2), 'float32')\n"
            "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
            "resource.setrlimit(resource.RLIMIT_AS, (used + (200 << 20), -1))\n"
            "calls = [lambda: m.predict(many, batch_size=1200, verbose=0), lambda: m.train_on_batch(many, y)]\n"
            "for call in calls:\n"
            "    try: call()\n"
            "    except MemoryError as error: print('MiB' in str(error), str(error)[0].isdigit())\n"
            "assert m.optimizer.iterations == 0\n"
            "assert np.array_equal(m.predict(x, verbose=0), before)\n"
            "m.fit(x, y[:4], verbose=0)\n"
            "assert m.optimizer.iterations == 1\n"
        )
        assert output_of(code, tmp_path).split() == ["True"] * 4

    @pytest.mark.parametrize("nbytes", [1 << 60, (1 << 63) - 1])
    def test_that_nobody_has_is_refused_with_its_size(self, nbytes):
        with pytest.raises(MemoryError, match=str(nbytes)):
            Memory(nbytes)

    @pytest.mark.parametrize("shape", [(1 << 32, 1 << 32), (1 << 62, 4), (1 << 20, 1 << 20, 1 << 20), (1 << 63,)])
    def test_products_of_sizes_do_not_overflow(self, shape):
        with pytest.raises((MemoryError, OverflowError)):
            Buffer(shape)

    @pytest.mark.parametrize(
        "make",
        [
            lambda: layers.Dense(1 << 40)(Input((1 << 40,))),
            lambda: layers.Conv2D(1 << 31, 3)(Input((9, 9, 1 << 31))),
            lambda: layers.UpSampling2D(1 << 31)(Input((1 << 31, 1 << 31, 3))),
            lambda: layers.ZeroPadding2D(1 << 62)(Input((3, 3, 3))),
            lambda: layers.Flatten()(Input((1 << 31, 1 << 31, 1 << 31))),
            lambda: ops.conv2d(np.ones((1, 3, 3, 1), "float32"), np.ones((1, 1, 1, 1), "float32"), padding=1 << 31),
        ],
    )
    def test_layers_of_huge_sizes_are_refused_or_only_described(self, make):
        try:
            make()
        except (MemoryError, ValueError, OverflowError) as error:
            assert str(error)


class TestTrainingBesideOthers:
    """A step of training waits for predictions of the same model in other threads, and they for it."""

    def test_predictions_see_parameters_between_steps(self):
        model, rng = network(units=1000), np.random.default_rng(0)
        x, y = rng.standard_normal((16, 8, 8, 2)).astype("float32"), rng.standard_normal((16, 3)).astype("float32")
        sizes = (14, 15, 16)  # each compared with itself: few rows are summed in another order than many
        seen, stop = [], threading.Event()
        possible = {rows: {model.predict(x[:rows], verbose=0).tobytes()} for rows in sizes}

        def predict():
            i = 0
            while not stop.is_set():
                i += 1
                rows = 16 - i % 3  # programs that are there, and new ones
                seen.append((rows, model.predict(x[:rows], verbose=0)))

        threads = [threading.Thread(target=predict) for _ in range(2)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(60):
                model.train_on_batch(x, y)
                for rows in sizes:
                    possible[rows].add(model.predict(x[:rows], verbose=0).tobytes())
        finally:
            stop.set()
            for thread in threads:
                thread.join(timeout=60)
        assert len(seen) > 10
        assert all(output.tobytes() in possible[rows] for rows, output in seen)

    def test_two_threads_train_one_model_step_by_step(self):
        model, rng = network(), np.random.default_rng(0)
        x, y = rng.standard_normal((16, 8, 8, 2)).astype("float32"), rng.standard_normal((16, 3)).astype("float32")
        alone = network()
        for _ in range(40):
            alone.train_on_batch(x, y)
        workers = [threading.Thread(target=lambda: [model.train_on_batch(x, y) for _ in range(20)]) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(timeout=60)
        assert model.optimizer.iterations == 40
        for ours, theirs in zip(model.get_weights(), alone.get_weights(), strict=True):
            assert_same(ours, theirs)


class TestThreadpoolctl:
    @pytest.fixture(autouse=True)
    def threadpoolctl(self):
        library = pytest.importorskip("threadpoolctl")
        cycnn.utils.register_with_threadpoolctl()
        return library

    def test_sees_and_limits_the_pool(self, threadpoolctl):
        before = cycnn.get_num_threads()
        (pool,) = [p for p in threadpoolctl.threadpool_info() if p["user_api"] == "cycnn"]
        assert (pool["num_threads"], pool["version"]) == (before, cycnn.__version__)
        with threadpoolctl.threadpool_limits(limits=1, user_api="cycnn"):
            assert cycnn.get_num_threads() == 1
        assert cycnn.get_num_threads() == before
        with threadpoolctl.threadpool_limits(limits=1):
            assert cycnn.get_num_threads() == 1
        assert cycnn.get_num_threads() == before
