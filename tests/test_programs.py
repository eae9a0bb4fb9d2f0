"""The programs that a model keeps, and the short way of arrays that need no checks."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cycnn import Input, Model, Sequential, get_num_threads, layers, set_num_threads
from cycnn._native import Pieces
from cycnn.programs import FEWEST_ROWS, MOST_PROGRAMS, PIECE, release


@pytest.fixture
def model():
    return Sequential([Input((6, 6, 2)), layers.Conv2D(3, 3), layers.Flatten(), layers.Dense(4)])


def images(rows=2, dtype="float32"):
    return np.random.default_rng(rows).standard_normal((rows, 6, 6, 2)).astype(dtype)


class TestRecall:
    def test_an_array_like_one_before_goes_the_short_way(self, model):
        x = images()
        assert not model._programs.recall(x)
        first = model(x)
        recalled = model._programs.recall(images(2))
        assert recalled
        release(recalled)
        np.testing.assert_array_equal(model(x), first)
        np.testing.assert_array_equal(model(x), model.predict(x, verbose=0))

    def test_new_parameters_count(self, model):
        x = images()
        before = model(x)
        model.set_weights([2 * weight for weight in model.get_weights()])
        np.testing.assert_array_equal(model(x), 4 * before)

    def test_results_are_arrays_of_their_own(self, model):
        first = model(images())
        kept = first.copy()
        model(-images())
        np.testing.assert_array_equal(first, kept)

    @pytest.mark.parametrize(
        "change",
        [
            lambda x: x.astype("float64"),
            lambda x: x.astype(">f4"),
            lambda x: np.asfortranarray(x),
            lambda x: np.repeat(x, 2, axis=0)[::2],
            lambda x: x.tolist(),
            lambda x: x.view(np.memmap),
        ],
        ids=["float64", "byte order", "Fortran order", "strided", "list", "subclass"],
    )
    def test_others_are_checked_and_converted(self, model, change):
        x = images()
        expected = model(x)
        other = change(x)
        assert not model._programs.recall(other)
        if not isinstance(other, list):
            np.testing.assert_allclose(model(other), expected, rtol=1e-6)
        np.testing.assert_array_equal(model(x), expected)

    def test_read_only_arrays_are_read(self, model):
        x = images()
        expected = model(x)
        x.setflags(write=False)
        np.testing.assert_array_equal(model(x), expected)

    def test_a_layer_more_is_seen(self, model):
        x = images()
        model(x)
        model.add(layers.Dense(7))
        assert model(x).shape == (2, 7)

    def test_a_wrong_shape_is_refused_after_a_right_one(self, model):
        model(images())
        with pytest.raises(ValueError, match="shape"):
            model(np.zeros((2, 6, 6, 3), "float32"))


def test_few_programs_are_kept(model):
    for rows in range(1, 2 * MOST_PROGRAMS):
        model(images(rows))
    assert len(model._programs.values()) == MOST_PROGRAMS
    assert len(model._programs._keys) <= MOST_PROGRAMS + 1
    x = images(1)
    assert not model._programs.recall(x)
    assert model(x).shape == (1, 4)


class TestPieces:
    """Predictions of a batch whose activations would not stay in the cache come piece by piece."""

    def network(self, *more):
        return Sequential([Input((32, 32, 3)), layers.Conv2D(32, 3), *more, layers.GlobalAveragePooling2D()])

    @pytest.mark.parametrize("rows", [96, 97, 126])
    def test_predictions_are_those_of_the_rows(self, rows):
        model = self.network()
        x = np.random.default_rng(0).standard_normal((rows, 32, 32, 3), dtype="float32")
        size = model.program("test", "predict", rows).rows
        np.testing.assert_array_equal(model(x), np.concatenate([model(x[i : i + size]) for i in range(0, rows, size)]))
        alone = np.concatenate([model(x[i : i + 1]) for i in range(rows)])
        np.testing.assert_allclose(model(x), alone, atol=1e-5 * np.abs(alone).max())
        np.testing.assert_array_equal(model.predict(x, batch_size=rows, verbose=0), model(x))

    def test_a_piece_divides_the_batch_and_fits(self):
        model = self.network()
        lowered = model.program("test", "predict", 96)
        assert 96 % lowered.rows == 0
        assert FEWEST_ROWS <= lowered.rows < 96
        assert lowered.nbytes <= PIECE
        assert model.program("test", "predict", 97).rows == 97  # no divisors

    def test_every_number_of_threads_gives_the_same_bits(self):
        a, b = Input((24, 24, 4)), Input((24, 24, 4))
        x = layers.Conv2D(32, 3, activation="relu")(layers.Add()([a, b]))
        model = Model([a, b], [layers.GlobalMaxPooling2D()(x), layers.Conv2D(3, 1)(x)])
        arrays = [np.random.default_rng(i).standard_normal((90, 24, 24, 4), dtype="float32") for i in range(2)]
        before, results = get_num_threads(), []
        try:
            for threads in (1, 2, 3, 7):  # which share 9 or 10 pieces, equally or not
                set_num_threads(threads)
                results.append([*model.predict_on_batch(arrays), *model.predict(arrays, batch_size=90, verbose=0)])
        finally:
            set_num_threads(before)
        assert model.program("test", "predict", 90).rows in (9, 10)
        for outputs in results[1:]:
            for output, expected in zip(outputs, results[0], strict=True):
                np.testing.assert_array_equal(output, expected)
        for output, expected in zip(results[0], model([array[:10] for array in arrays]), strict=False):
            np.testing.assert_allclose(output[:10], expected, rtol=1e-5, atol=1e-5)

    def test_threads_that_predict_at_once_each_get_their_own(self):
        model = self.network()
        x = np.random.default_rng(0).standard_normal((96, 32, 32, 3), dtype="float32")
        expected, most = model(x), model._programs._most + get_num_threads() - 1
        start = threading.Barrier(4)

        def predict(i):
            start.wait(timeout=60)
            return [model(x * 2.0**i) for _ in range(20)]

        with ThreadPoolExecutor(4) as executor:
            for i, outputs in enumerate(executor.map(predict, range(4), timeout=60)):
                for output in outputs:
                    np.testing.assert_allclose(output, expected * 2.0**i, rtol=1e-4, atol=1e-4)
        assert len(model._programs.values()) <= most
        for lowered in model._programs.values():
            assert lowered.lock.acquire(blocking=False)
            lowered.lock.release()

    def test_pieces_that_do_not_make_up_the_batch_are_refused(self):
        lowered = self.network().program("test", "predict", 4)
        lanes, inputs, outputs = ([part] for part in lowered.lane())
        x, out = np.zeros((12, 32, 32, 3), "float32"), np.zeros((12, 32), "float32")
        Pieces(lanes, inputs, outputs, [x], [out], 3)
        for wrong in ([x[:11]], [out], 3), ([x], [out[:8]], 3), ([x], [out], 4), ([x.astype("int32")], [out], 3):
            with pytest.raises(ValueError, match="pieces of"):
                Pieces(lanes, inputs, outputs, *wrong)

    def test_layers_in_python_see_whole_batches(self):
        class Centre(layers.PythonLayer):
            def forward(self, x):
                return x - x.mean(axis=0), None

            def backward(self, dout, kept):
                return dout - dout.mean(axis=0)

        assert self.network(Centre()).program("test", "predict", 96).rows == 96


class Meeting(layers.PythonLayer):
    """Returns what comes in, once so many threads are in it at the same time and `go` is set."""

    def __init__(self, parties, **kwargs):
        super().__init__(**kwargs)
        self.barrier, self.go = threading.Barrier(parties), threading.Event()

    def forward(self, x, training):
        self.barrier.wait(timeout=60)
        assert self.go.wait(timeout=60)
        return x


class TestAtOnce:
    """Threads that predict with one model at the same time."""

    def meeting(self, parties, cpus=2):
        layer = Meeting(parties)
        model = Sequential([Input((6, 6, 2)), layers.Conv2D(3, 3), layer])
        model._programs._most = cpus
        return model, layer

    @pytest.mark.parametrize("short", [False, True], ids=["predict", "call"])
    def test_programs_of_one_shape_run_together(self, short):
        model, layer = self.meeting(2)
        layer.go.set()
        batches = [images(), -images()]
        with ThreadPoolExecutor(2) as executor:
            for _ in range(3):  # the first lower programs
                futures = [
                    executor.submit(model if short else lambda x: model.predict(x, verbose=0), x) for x in batches
                ]
                first, second = [future.result(timeout=60) for future in futures]
                np.testing.assert_array_equal(first, -second)
                assert np.any(first)
        assert len(model._programs.values()) == 2

    def test_there_are_no_more_programs_than_cpus(self, model):
        model._programs._most = 2
        start = threading.Barrier(6)
        expected = [model(images() * i) for i in range(6)]

        def predict(i):
            start.wait(timeout=60)
            return [model(images() * i) for _ in range(30)]

        with ThreadPoolExecutor(6) as executor:
            for outputs, right in zip(executor.map(predict, range(6), timeout=60), expected, strict=True):
                for output in outputs:
                    np.testing.assert_array_equal(output, right)
        assert len(model._programs.values()) <= 2

    @pytest.mark.parametrize("change", ["set_weights", "load_weights"])
    def test_parameters_stay_until_all_have_run(self, change, tmp_path):
        model, layer = self.meeting(3)
        path = tmp_path / "weights"
        ones, zeros = [[np.full_like(weight, value) for weight in model.get_weights()] for value in (1, 0)]
        model.set_weights(zeros)
        model.save_weights(path)
        model.set_weights(ones)
        x = np.ones((2, 6, 6, 2), "float32")
        with ThreadPoolExecutor(3) as executor:
            predictions = [executor.submit(model, x) for _ in range(2)]
            layer.barrier.wait(timeout=60)
            changed = executor.submit(
                *((model.set_weights, zeros) if change == "set_weights" else (model.load_weights, path))
            )
            with pytest.raises(TimeoutError):
                changed.result(timeout=0.1)
            layer.go.set()
            for prediction in predictions:
                np.testing.assert_array_equal(prediction.result(timeout=60), np.full((2, 4, 4, 3), 19))
            changed.result(timeout=60)
        assert not np.any(model.get_weights()[0])

    def test_a_prediction_that_fails_leaves_its_program_to_others(self):
        model, layer = self.meeting(2)
        layer.barrier.abort()
        with pytest.raises(threading.BrokenBarrierError):
            model(images())
        with pytest.raises(threading.BrokenBarrierError):
            model.predict(images(), verbose=0)
        layer.barrier, _ = threading.Barrier(1), layer.go.set()
        with ThreadPoolExecutor(1) as executor:
            assert executor.submit(model, images()).result(timeout=60).shape == (2, 4, 4, 3)
        assert len(model._programs.values()) == 1
