"""Threads and processes: the same bits from any number of them, and no call that hangs or leaves a trace."""

import hashlib
import multiprocessing
import os
import platform
import signal
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from helpers import assert_same
from processes import output_of, run_python

import cycnn
from cycnn import Input, Sequential, _native, layers, optimizers

# Python 3.12 and later warn that a forked child of a process with several threads may deadlock. That a child does not,
# as far as it is up to the pool, is what is tested.
forks_beside_threads = [
    pytest.mark.filterwarnings(r"ignore:.*multi-threaded, use of fork\(\):DeprecationWarning"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork"),
]


def network(seed=1, dtype="float32"):
    """Return a compiled network with dropout whose every convolution is work for several threads."""
    cycnn.utils.set_random_seed(seed)
    model = Sequential(
        [
            Input((16, 16, 3), dtype=dtype),
            layers.Conv2D(16, 3, activation="relu", padding="same", dtype=dtype),
            layers.MaxPooling2D(2, dtype=dtype),
            layers.Conv2D(33, 3, activation="tanh", dtype=dtype),
            layers.AveragePooling2D(2, dtype=dtype),
            layers.Dropout(0.4, seed=5, dtype=dtype),
            layers.Flatten(dtype=dtype),
            layers.Dense(10, activation="softmax", dtype=dtype),
        ]
    )
    model.compile(optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    return model


def images(n=24, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 16, 16, 3)).astype("float32"), rng.integers(0, 10, n).astype("int32")


def digest(*arrays):
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()


def trained(steps=20):
    """Return the SHA-256 of all weights after some steps on different batches."""
    model = network()
    for step in range(steps):
        model.train_on_batch(*images(seed=step))
    return digest(*model.get_weights())


@pytest.fixture(autouse=True)
def threads():
    """Return the function that sets the number of threads; every test starts with three, whatever the machine."""
    before = _native.get_num_threads()
    _native.set_num_threads(3)
    yield _native.set_num_threads
    _native.set_num_threads(before)


class TestSameBits:
    def test_training_depends_on_no_number_of_threads(self, threads):
        hashes = []
        for n in (1, 2, 5, 1, 2, 5):
            threads(n)
            hashes.append(trained())
        assert len(set(hashes)) == 1, hashes

    def test_training_in_another_process_gives_the_same_weights(self, tmp_path):
        code = (
            "import numpy as np, hashlib, cycnn\nfrom cycnn import Input, Sequential, layers\n"
            "cycnn.utils.set_random_seed(3)\n"
            "m = Sequential([Input((12, 12, 2)), layers.Conv2D(16, 3, activation='relu'), layers.MaxPooling2D(),"
            " layers.Flatten(), layers.Dropout(0.5), layers.Dense(10, activation='softmax')])\n"
            "m.compile('adam', 'sparse_categorical_crossentropy')\n"
            "rng = np.random.default_rng(0)\n"
            "x, y = rng.standard_normal((64, 12, 12, 2)).astype('f'), rng.integers(0, 10, 64)\n"
            "m.fit(x, y, batch_size=16, epochs=5, verbose=0)\n"
            "print(hashlib.sha256(b''.join(w.tobytes() for w in m.get_weights())).hexdigest())\n"
        )
        hashes = [output_of(code, tmp_path, CYCNN_NUM_THREADS=str(n)) for n in (1, 2, 5, 5)]
        assert len(set(hashes)) == 1, hashes

    @pytest.mark.parametrize("isa", _native.supported)
    def test_every_instruction_set_is_consistent_with_itself(self, isa, tmp_path):
        # Programs use the instruction set of the process, so each has a process of its own.
        code = (
            "import numpy as np, hashlib, cycnn\nfrom cycnn import Input, Sequential, layers\n"
            "def weights(n):\n"
            "    cycnn.set_num_threads(n)\n"
            "    cycnn.utils.set_random_seed(3)\n"
            "    m = Sequential([Input((14, 14, 3)), layers.Conv2D(33, 3, activation='relu', strides=(1, 2)),"
            " layers.MaxPooling2D(), layers.Conv2D(17, 3, activation='sigmoid', padding='same'),"
            " layers.Flatten(), layers.Dropout(0.5), layers.Dense(10, activation='softmax')])\n"
            "    m.compile('adam', 'sparse_categorical_crossentropy')\n"
            "    rng = np.random.default_rng(0)\n"
            "    x, y = rng.standard_normal((60, 14, 14, 3)).astype('f'), rng.integers(0, 10, 60)\n"
            "    m.fit(x, y, batch_size=25, epochs=2, verbose=0)\n"
            "    w = m.get_weights() + [m.predict(x, verbose=0)]\n"
            "    return hashlib.sha256(b''.join(a.tobytes() for a in w)).hexdigest()\n"
            "print(*{weights(n) for n in (1, 2, 5, 1, 2, 5)})\n"
        )
        hashes = output_of(code, tmp_path, CYCNN_ISA=isa).split()
        assert len(hashes) == 1, hashes

    def test_float64_depends_on_no_number_of_threads(self, threads):
        x, y = images(8)
        hashes = set()
        for n in (1, 2, 5):
            threads(n)
            model = network(dtype="float64")
            for _ in range(2):
                model.train_on_batch(x, y)
            hashes.add(digest(*model.get_weights()))
        assert len(hashes) == 1

    def test_number_of_threads_may_change_between_calls(self, threads):
        model, (x, _) = network(), images()
        expected = model.predict(x, verbose=0)
        for n in (5, 1, 2, 8, 1, 1, 3, 64, 2):
            threads(n)
            assert _native.get_num_threads() == n
            assert_same(model.predict(x, verbose=0), expected)

    def test_number_of_threads_may_change_while_others_compute(self, threads):
        model, (x, _) = network(), images()
        expected = model.predict(x, verbose=0)

        def predict():
            return [model.predict(x, verbose=0) for _ in range(20)]

        with ThreadPoolExecutor(2) as executor:
            futures = [executor.submit(predict) for _ in range(2)]
            for n in [1, 4, 2, 5] * 10:
                threads(n)
                time.sleep(0.001)
            for future in futures:
                for output in future.result(timeout=60):
                    assert_same(output, expected)


class TestPythonThreads:
    @pytest.mark.parametrize("before", [True, False], ids=["after-the-parent", "at-first-use"])
    def test_eight_predict_at_once_on_one_model(self, before):
        model = network()
        batches = [images(n=5 + 3 * i, seed=i)[0] for i in range(8)]
        expected = [network().predict(x, verbose=0) for x in batches]
        if before:
            model.predict(batches[0], verbose=0)
        start = threading.Barrier(8)

        def predict(i):
            start.wait(timeout=60)
            return [model.predict(batches[i], verbose=0) for _ in range(10)]

        with ThreadPoolExecutor(8) as executor:
            for outputs, right in zip(executor.map(predict, range(8), timeout=60), expected, strict=True):
                for output in outputs:
                    assert_same(output, right)

    def test_four_read_new_parameters_at_once(self):
        # Some of them find what is packed of the parameters out of date at the same time.
        model, (x, _) = network(), images(4)
        weights = model.get_weights()
        expected = []
        for sign in (1, -1):
            other = network()
            other.set_weights([sign * weight for weight in weights])
            expected.append(other.predict(x, verbose=0))
        with ThreadPoolExecutor(4) as executor:
            for i in range(40):
                model.set_weights([(-1) ** i * weight for weight in weights])
                for output in executor.map(model, [x] * 8, timeout=60):
                    assert_same(output, expected[i % 2])

    def test_two_models_learn_at_once(self):
        x, y = images(96)
        alone, together = [], [network(seed) for seed in (1, 2)]
        for seed in (1, 2):
            model = network(seed)
            model.fit(x, y, batch_size=24, epochs=3, shuffle=False, verbose=0)
            alone.append(digest(*model.get_weights()))
        with ThreadPoolExecutor(2) as executor:
            fits = [executor.submit(m.fit, x, y, batch_size=24, epochs=3, shuffle=False, verbose=0) for m in together]
            for done in fits:
                done.result(timeout=60)
        assert [digest(*model.get_weights()) for model in together] == alone

    def test_callback_may_predict_and_fit_another_model(self):
        inner, (x, y) = network(2), images()
        expected = network(2).predict(x, verbose=0)
        outputs = []

        class Predicts(cycnn.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                outputs.append(inner.predict(x, verbose=0))
                network(3).fit(x, y, epochs=1, verbose=0)

        network(1).fit(x, y, epochs=2, verbose=0, callbacks=[Predicts()])
        assert len(outputs) == 2
        for output in outputs:
            assert_same(output, expected)


def outcome_of_child(pid, seconds=30):
    """Wait for a forked child and return its exit status; one that hangs is killed and fails the test."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    pytest.fail("the forked child hangs")


def succeeds_in_fork(check):
    """Return whether `check()` is true in a forked child."""
    pid = os.fork()
    if pid == 0:
        status = 2
        try:
            status = 0 if check() else 1
        finally:
            os._exit(status)  # not pytest's way out, which belongs to the parent
    return outcome_of_child(pid) == 0


class TestProcesses:
    pytestmark = forks_beside_threads

    def test_forked_child_predicts_the_same_bits(self):
        model, (x, _) = network(), images()
        expected = digest(model.predict(x, verbose=0))
        assert succeeds_in_fork(lambda: digest(model.predict(x, verbose=0)) == expected)
        assert digest(model.predict(x, verbose=0)) == expected

    def test_forked_child_has_a_pool_of_its_own(self):
        model, (x, _) = network(), images()
        expected = digest(model.predict(x, verbose=0))

        def check():
            model.predict(x, verbose=0)
            several = sys.platform != "linux" or len(os.listdir("/proc/self/task")) == 3
            _native.set_num_threads(2)
            return several and digest(model.predict(x, verbose=0)) == expected

        assert succeeds_in_fork(check)
        assert _native.get_num_threads() == 3

    def test_child_of_a_child_predicts_and_learns(self):
        model, (x, _) = network(), images()
        expected = digest(model.predict(x, verbose=0))
        learned = trained(3)

        def check():
            ours = digest(model.predict(x, verbose=0)) == expected
            return ours and succeeds_in_fork(
                lambda: digest(model.predict(x, verbose=0)) == expected and trained(3) == learned
            )

        assert succeeds_in_fork(check)

    @pytest.mark.parametrize("same", [False, True], ids=["another-model", "the-same-model"])
    def test_forked_while_a_model_works_predicts_the_same_bits(self, same):
        model, (x, _) = network(), images()
        busy = model if same else network(2)
        expected = digest(model.predict(x, verbose=0))
        stop = threading.Event()

        def work():
            while not stop.is_set():
                busy.predict(x, verbose=0)

        worker = threading.Thread(target=work)
        worker.start()
        try:
            assert all(succeeds_in_fork(lambda: digest(model.predict(x, verbose=0)) == expected) for _ in range(20))
        finally:
            stop.set()
            worker.join(timeout=60)
        assert digest(model.predict(x, verbose=0)) == expected

    @pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
    def test_multiprocessing_child_predicts_the_same_bits(self, method, tmp_path):
        # In a script, because children that do not fork import the main module, which here is pytest.
        script = tmp_path / "script.py"
        script.write_text(
            "import hashlib, multiprocessing, warnings\nimport numpy as np, cycnn\nfrom cycnn import layers\n"
            "def predict():\n"
            "    cycnn.utils.set_random_seed(0)\n"
            "    m = cycnn.Sequential([cycnn.Input((20, 20, 4)), layers.Conv2D(32, 3, activation='relu'),"
            " layers.GlobalAveragePooling2D(), layers.Dense(10, activation='softmax')])\n"
            "    x = np.random.default_rng(0).standard_normal((16, 20, 20, 4)).astype('f')\n"
            "    return hashlib.sha256(m.predict(x, verbose=0).tobytes()).hexdigest()\n"
            "def child(queue):\n"
            "    queue.put(predict())\n"
            "if __name__ == '__main__':\n"
            "    warnings.filterwarnings('ignore', '.*multi-threaded', DeprecationWarning)\n"
            "    ours = predict()\n"
            f"    context = multiprocessing.get_context({method!r})\n"
            "    queue = context.Queue()\n"
            "    children = [context.Process(target=child, args=(queue,)) for _ in range(2)]\n"
            "    [c.start() for c in children]\n"
            "    assert [queue.get(timeout=30) for c in children] == [ours, ours]\n"
            "    [c.join(30) for c in children]\n"
            "    assert [c.exitcode for c in children] == [0, 0]\n"
            "    assert predict() == ours\n"
        )
        run = f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')"
        output_of(run, tmp_path, CYCNN_NUM_THREADS="3")


class TestDenormals:
    tiny = np.float32(1e-39)
    flushes = pytest.mark.skipif(
        platform.machine().lower() not in ("x86_64", "amd64", "aarch64", "arm64"),
        reason="denormals are flushed on x86-64 and aarch64",
    )

    def assert_numpy_makes_denormals(self):
        assert np.float32(1e-30) * np.float32(1e-9) > 0
        assert np.all(np.full(100, 1e-30, "float32") * np.float32(1e-9) > 0)
        assert np.all(np.full(100, self.tiny) + np.float32(0) > 0)
        assert 5e-324 + float("0") > 0

    @pytest.mark.parametrize("n", [1, 3])
    def test_are_possible_again_after_every_call(self, threads, n):
        threads(n)
        model, (x, y) = network(), images()
        for call in (
            lambda: model.predict(x, verbose=0),
            lambda: model.train_on_batch(x, y),
            lambda: model.fit(x, y, verbose=0),
            lambda: cycnn.ops.relu(x),
            lambda: model.predict(x[:0], verbose=0),
        ):
            call()
            self.assert_numpy_makes_denormals()
        with pytest.raises(ValueError, match="x"):
            model.predict(np.zeros((2, 3, 3, 3), "float32"))
        self.assert_numpy_makes_denormals()

    def test_are_possible_again_in_threads_and_forked_children(self):
        model, (x, _) = network(), images()

        def predict():
            model.predict(x, verbose=0)
            self.assert_numpy_makes_denormals()

        with ThreadPoolExecutor(3) as executor:
            for done in [executor.submit(predict) for _ in range(6)]:
                done.result(timeout=60)

    @flushes
    @pytest.mark.parametrize("n", [1, 3])
    def test_are_zero_within_a_call(self, threads, n):
        threads(n)
        x = np.full((8, 16, 16, 4), self.tiny)
        kernel = np.ones((3, 3, 4, 8), "float32")
        assert not np.any(cycnn.ops.conv2d(x, kernel))


class TestExit:
    MODEL = (
        "import threading, time, numpy as np, cycnn\nfrom cycnn import layers\n"
        "m = cycnn.Sequential([cycnn.Input((32, 32, 8)), layers.Conv2D(32, 3)])\n"
        "x = np.ones((16, 32, 32, 8), 'f')\n"
        "m.predict(x, verbose=0)\n"
    )
    DAEMON = (
        "def work():\n"
        "    while True: m.predict(x, verbose=0)\n"
        "for _ in range(2): threading.Thread(target=work, daemon=True).start()\n"
        "time.sleep(0.1)\n"
    )

    @pytest.mark.parametrize(
        "code",
        ["", DAEMON, "cycnn.set_num_threads(64); m.predict(x, verbose=0)\n"],
        ids=["workers-sleep", "workers-run", "many-workers"],
    )
    def test_of_the_interpreter_is_clean_and_quick(self, code, tmp_path):
        start = time.monotonic()
        process = run_python(self.MODEL + code, tmp_path, CYCNN_NUM_THREADS="4", timeout=30)
        assert (process.returncode, process.stdout, process.stderr) == (0, "", "")
        assert time.monotonic() - start < 10

    def test_by_an_exception_is_the_exception_s(self, tmp_path):
        process = run_python(self.MODEL + "raise SystemExit(7)", tmp_path, CYCNN_NUM_THREADS="4", timeout=30)
        assert process.returncode == 7
