"""Where batches come from: what each kind of source hands out, in which order, and what it costs."""

import os

import numpy as np
import pytest
from helpers import assert_same
from processes import output_of

import cycnn
from cycnn.batches.adapters import Names, as_array, columns, same_rows, unpack, weight_columns
from cycnn.batches.sources import ArraySource, LimitedSource
from cycnn.batches.streams import DatasetSource, IterableSource, stream
from cycnn.utils import PyDataset

RNG = np.random.default_rng(0)


def all_of(source, order=None):
    """Return the batches with arrays of their own: those of a batch are valid until the next only."""

    def copies(arrays):
        return None if arrays is None else [array.copy() for array in arrays]

    return [tuple(map(copies, batch)) for batch in source.batches(order)]


# --- arrays -------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [0, 1, 4, 10, 11])
@pytest.mark.parametrize("batch_size", [1, 4, 11, 100])
def test_arrays_come_in_batches_of_which_the_last_is_smaller(rows, batch_size):
    x = [RNG.normal(size=(rows, 3)), np.arange(rows)]
    y, weights = [RNG.normal(size=(rows, 2))], [RNG.random(rows)]
    source = ArraySource(x, y, weights, batch_size)
    order = RNG.permutation(rows)
    for index, given in ((np.arange(rows), None), (order, order)):
        batches = all_of(source, given)
        assert len(batches) == source.steps == -(-rows // batch_size)
        for i, batch in enumerate(batches):
            part = index[i * batch_size : (i + 1) * batch_size]
            for arrays, parts in zip((x, y, weights), batch, strict=True):
                for array, got in zip(arrays, parts, strict=True):
                    assert_same(got, array[part])
    assert source.rows == source.shuffled == rows


def test_what_is_missing_is_none():
    (batch,) = ArraySource([np.ones(3)], None, None, 4).batches()
    assert batch.y is None and batch.weight is None


def test_rows_in_order_are_slices_and_rows_in_another_are_gathered_into_one_array():
    x = RNG.normal(size=(8, 3)).astype("float32")
    source = ArraySource([x], None, None, 4)
    assert all(np.shares_memory(batch.x[0], x) for batch in source.batches())
    places = {batch.x[0].ctypes.data for batch in source.batches(np.arange(8)[::-1])}
    assert len(places) == 1
    assert not any(np.shares_memory(batch.x[0], x) for batch in source.batches(np.arange(8)))


@pytest.mark.parametrize(
    "x",
    [
        RNG.normal(size=(7, 3)),
        RNG.normal(size=(7, 3)).astype(">f4"),
        RNG.normal(size=(3, 7)).astype("float32").T,
        RNG.normal(size=(14, 3)).astype("float32")[::-2],
        np.frombuffer(b"\0" + RNG.normal(size=21).astype("float32").tobytes(), "float32", offset=1).reshape(7, 3),
        np.ma.masked_array(RNG.normal(size=(7, 3))),
    ],
    ids=["other type", "other byte order", "transposed", "reversed", "unaligned", "subclass"],
)
def test_batches_are_contiguous_arrays_of_the_type_asked_for(x):
    source = ArraySource([x], None, None, 3, x_dtypes=["float32"])
    for order in (None, np.array([3, 1, 6, 0, 2, 5, 4])):
        for i, batch in enumerate(source.batches(order)):
            (got,) = batch.x
            part = slice(3 * i, 3 * i + 3) if order is None else order[3 * i : 3 * i + 3]
            assert type(got) is np.ndarray and got.flags.c_contiguous and got.flags.aligned
            assert_same(got, np.asarray(x[part], dtype="float32"))


def test_every_array_has_its_own_type():
    x = [np.arange(4, dtype="uint8"), np.arange(4.0)]
    source = ArraySource(
        x, [np.arange(4)], [np.ones(4)], 4, x_dtypes=["int32", "float32"], y_dtypes=["int32"], weight_dtype="float32"
    )
    (batch,) = source.batches()
    assert [a.dtype.name for a in (*batch.x, *batch.y, *batch.weight)] == ["int32", "float32", "int32", "float32"]
    plain = next(ArraySource(x, None, None, 4).batches())
    assert [a.dtype.name for a in plain.x] == ["uint8", "float64"]


def test_split_leaves_the_last_rows_and_copies_nothing():
    x, y = np.arange(10.0), np.arange(10)
    first, last = ArraySource([x], [y], [x], 4, x_dtypes=["float32"]).split("fit", 0.25)
    assert (first.rows, last.rows) == (7, 3)
    assert np.shares_memory(last.x[0], x)
    (batch,) = all_of(last)
    assert_same(batch[0][0], np.arange(7, 10, dtype="float32"))
    assert_same(batch[1][0], y[7:])
    assert_same(batch[2][0], x[7:])
    for share in (1e-3, 0.999):
        split = ArraySource([x], [y], None, 4)
        with pytest.raises(ValueError) as error:
            split.split("fit", share) if share > 0.5 else ArraySource([x[:1]], [y[:1]], None, 4).split("fit", share)
        assert str(error.value).startswith("fit: `validation_split` must leave at least one of the ")


def test_limited_epochs_go_on_in_the_order_of_their_pass():
    source = LimitedSource(ArraySource([np.arange(7)], None, None, 2), 3, goes_on=True)
    orders = [RNG.permutation(7) for _ in range(3)]
    seen = [[row for batch in source.batches(order) for row in batch.x[0].tolist()] for order in orders]
    assert seen == [orders[0][:6].tolist(), orders[0][6:].tolist(), orders[2][:6].tolist()]
    again = LimitedSource(ArraySource([np.arange(7)], None, None, 2), 3, goes_on=True)
    again.set_state(source.get_state())
    assert [batch.x[0].tolist() for batch in again.batches(orders[1])] == [[orders[2][6]]]


# --- memory-mapped files ------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_a_mapped_file_gives_what_an_array_gives(tmp_path, mode, monkeypatch):
    monkeypatch.setattr("cycnn.batches.rows._GIVEN_BACK_EVERY", 100)
    x = RNG.normal(size=(50, 8)).astype("float32")
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode=mode)
    if mode != "r":
        x[7] = mapped[7] = 1  # a change that may be in the pages alone
    order = RNG.permutation(40)
    for dtype in ("float32", "float64"):
        ours, theirs = (ArraySource([a[5:45]], None, None, 7, x_dtypes=[dtype]) for a in (mapped, x))
        for given in (None, order):
            for got, expected in zip(all_of(ours, given), all_of(theirs, given), strict=True):
                assert_same(got[0][0], expected[0][0])


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_an_epoch_over_a_mapped_file_does_not_fill_memory(tmp_path, dtype, shuffle):
    # 400 MB that the file system does not store, for they are zeros.
    (tmp_path / "x").touch()
    os.truncate(tmp_path / "x", 400 << 20)
    code = f"""
import resource, numpy as np
from cycnn.batches.adapters import Names, as_array, columns, same_rows, unpack, weight_columns
from cycnn.batches.sources import ArraySource
from cycnn.batches.streams import DatasetSource, IterableSource, stream
from cycnn.utils import PyDataset
x = np.memmap("x", {dtype!r}, "r").reshape(-1, 64, 64)
source = ArraySource([x], None, None, 64, x_dtypes=["float32"])
order = np.random.default_rng(0).permutation(len(x)) if {shuffle} else None
before, total = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0
for batch in source.batches(order):
    total += batch.x[0].sum()
print(total, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    total, kilobytes = output_of(code, tmp_path).split()
    assert float(total) == 0
    assert int(kilobytes) < 130_000


# --- what users pass ----------------------------------------------------------------------------


class Foreign:
    """An array of another library, which shares its memory through DLPack."""

    def __init__(self, array, device=(1, 0), error=None):
        self.array, self.device, self.error = array, device, error

    def __dlpack_device__(self):
        return self.device

    def __dlpack__(self, **options):
        if self.error:
            raise self.error
        return self.array.__dlpack__(**options)


class Convertible(Foreign):
    def __array__(self, dtype=None, copy=None):
        return self.array


def test_arrays_of_other_libraries_are_not_copied():
    x = RNG.normal(size=(4, 3))
    assert as_array("fit", "x", x) is x
    ours = as_array("fit", "x", Foreign(x))
    assert_same(ours, x)
    assert np.shares_memory(ours, x)
    assert_same(as_array("fit", "x", Convertible(x, error=BufferError("no such type"))), x)
    assert_same(as_array("fit", "x", [[1, 2], [3, 4]]), np.array([[1, 2], [3, 4]]))


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (Foreign(np.ones(2), (2, 0)), ValueError,
         "fit: `x` must be in the memory of the CPU. Received: x of type Foreign on another device. "
         "Copy it to the CPU first, as x.cpu() of PyTorch does."),
        (Foreign(np.ones(2), error=RuntimeError("tensor requires gradients.")), TypeError,
         "fit: `x` must be an array of numbers. Received: x of type Foreign. "
         "NumPy cannot read it: tensor requires gradients."),
        ([[1, 2], [3]], ValueError,
         "fit: `x` must be an array of numbers, all rows of the same length. Received: x of type list."),
    ],
)  # fmt: skip
def test_what_is_no_array_is_refused(value, error, text):
    with pytest.raises(error) as caught:
        as_array("fit", "x", value)
    assert str(caught.value) == text


A, B = np.zeros((3, 2)), np.ones((3, 4))


@pytest.mark.parametrize(
    ("value", "names", "expected"),
    [
        (A, ["a"], [A]),
        ([A], ["a"], [A]),
        ((A,), ["a"], [A]),
        ({"a": A}, ["a"], [A]),
        ({"b": B, "c": 3, "a": A}, ["a", "b"], [A, B]),
        ([A, B], ["a", "b"], [A, B]),
        ((A, B), ["a", "b"], [A, B]),
        ([[1, 2], [3, 4]], ["a"], [np.array([[1, 2], [3, 4]])]),
        ([[1, 2]], ["a"], [np.array([[1, 2]])]),
        ([np.float64(3)], ["a"], [np.array([3.0])]),
        ([A, A], ["a"], [np.array([A, A])]),
        (([1, 2], [3, 4]), ["a", "b"], [np.array([1, 2]), np.array([3, 4])]),
    ],
)
def test_columns_are_one_array_for_each_name(value, names, expected):
    for got, array in zip(columns("fit", "x", value, names), expected, strict=True):
        assert_same(got, array)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (A, TypeError, "be a list of 2 arrays, or a dict with the keys 'a', 'b'. Received: x of type ndarray."),
        ([A], ValueError, "be a list of 2 arrays, or a dict with the keys 'a', 'b'. Received: len(x)=1."),
        ({"a": A}, ValueError, "have the keys 'a', 'b'. Received: x.keys()=['a']."),
    ],
)
def test_columns_that_do_not_fit_are_refused(value, error, text):
    with pytest.raises(error) as caught:
        columns("fit", "x", value, ["a", "b"])
    assert str(caught.value) == f"fit: `x` must {text}"


def test_one_array_of_weights_is_that_of_every_output():
    assert weight_columns("fit", "sample_weight", A, ["a", "b"])[1] is A
    assert weight_columns("fit", "sample_weight", [A, B], ["a", "b"])[1] is B


def test_arrays_must_have_as_many_rows_as_each_other():
    assert same_rows("fit", {"x": [A, B], "y": [A], "sample_weight": None}) == 3
    with pytest.raises(ValueError) as caught:
        same_rows("fit", {"x": [A, B[:2]]})
    assert str(caught.value) == "fit: `x[1]` must have as many rows as `x[0]`, 3. Received: len(x[1])=2."
    with pytest.raises(ValueError) as caught:
        same_rows("fit", {"x": [A], "y": [np.array(7)]})
    assert str(caught.value) == "fit: `y` must be an array of rows. Received: y=7."


def test_a_batch_is_inputs_targets_and_weights():
    two = Names("fit", ("a", "b"), ("c", "d"))
    for batch, missing in ((A, 2), ((A,), 2), ([A], 2), ((A, B), 1), ((A, B, None), 1), ((A, B, A), 0)):
        assert sum(part is None for part in unpack(Names(), batch)) == missing
    assert unpack(Names(), {"x": A}).x[0] is A
    assert unpack(Names("predict", ("x",), ()), (A, object(), object()))[1:] == (None, None)
    parts = unpack(two, ({"a": A, "b": B}, [B, A], A))
    assert [id(array) for part in parts for array in part] == list(map(id, (A, B, B, A, A, A)))


@pytest.mark.parametrize(
    ("batch", "text"),
    [
        ((A, B, A, B), "fit: `x` must give batches (x,), (x, y) or (x, y, sample_weight). Received: a tuple of 4."),
        ([], "fit: `x` must give batches (x,), (x, y) or (x, y, sample_weight). Received: a list of 0."),
        ((A, B[:1]), "fit: `y` must have as many rows as `x`, 3. Received: len(y)=1."),
        ((A, B, A[:1]), "fit: `sample_weight` must have as many rows as `x`, 3. Received: len(sample_weight)=1."),
        (3.0, "fit: `x` must be an array of rows. Received: x=3.0."),
    ],
)
def test_what_is_no_batch_is_refused(batch, text):
    with pytest.raises(ValueError) as caught:
        unpack(Names(), batch)
    assert str(caught.value) == text


# --- iterables of batches -----------------------------------------------------------------------


def numbers_of(batches):
    return [batch.x[0].item() for batch in batches]


def ones(stop):
    return (np.array([i]) for i in range(stop))


def test_what_can_be_iterated_over_again_starts_anew():
    source = IterableSource(list(ones(3)))
    assert (source.rows, source.shuffled, source.steps) == (None, None, 3)
    for _ in range(2):
        assert numbers_of(source.batches()) == [0, 1, 2]
    next(source.batches())  # and is left
    assert numbers_of(source.batches()) == [0, 1, 2]


def test_steps_per_epoch_goes_on_and_starts_anew_at_the_end():
    source = IterableSource(list(ones(5)), 3)
    assert source.steps == 3
    assert [numbers_of(source.batches()) for _ in range(3)] == [[0, 1, 2], [3, 4, 0], [1, 2, 3]]


def test_a_generator_is_asked_for_no_more_than_is_used():
    def count():
        for i in range(100):
            asked.append(i)
            yield np.array([i])

    asked = []
    source = IterableSource(count(), 2)
    assert source.first().x[0] == source.first().x[0] == 0
    assert [numbers_of(source.batches()) for _ in range(2)] == [[0, 1], [2, 3]]
    assert asked == [0, 1, 2, 3]


def test_a_generator_may_fill_the_same_array_again():
    def fill():
        array = np.empty(1)
        for i in range(3):
            array[0] = i
            yield array

    assert numbers_of(IterableSource(fill()).batches()) == [0, 1, 2]


def test_the_length_of_an_epoch_is_learned():
    class Stream:
        def __iter__(self):
            return ones(4)

        def __len__(self):
            raise TypeError("not yet known")

    source = IterableSource(Stream())
    assert source.steps is None
    assert numbers_of(source.first() for _ in range(2)) == [0, 0]
    assert numbers_of(source.batches()) == [0, 1, 2, 3]
    assert source.steps == 4


def test_a_generator_at_its_end_says_so():
    source = IterableSource(ones(3), 2)
    assert numbers_of(source.batches()) == [0, 1]
    with pytest.warns(UserWarning, match="fit: `x` ended after 1 batches of an epoch of steps_per_epoch=2."):
        assert numbers_of(source.batches()) == [2]
    for read in (source.first, lambda: next(source.batches())):
        with pytest.raises(ValueError) as caught:
            read()
        assert str(caught.value) == (
            "fit: `x` must give at least one batch in each epoch. "
            "Received: an object of type generator without another batch. "
            "What can be iterated over only once serves several epochs with `steps_per_epoch`."
        )
    with pytest.raises(ValueError, match=r"without another batch\.$"):
        next(IterableSource([]).batches())


# --- data sets ----------------------------------------------------------------------------------


class Numbers(PyDataset):
    def __init__(self, count, **options):
        super().__init__(**options)
        self.count, self.events = count, []

    @property
    def num_batches(self):
        return self.count

    def __getitem__(self, index):
        return np.array([index]), np.array([-index])

    def on_epoch_begin(self):
        self.events.append("begin")

    def on_epoch_end(self):
        self.events.append("end")


@pytest.mark.parametrize("workers", [1, 3])
def test_data_sets_hand_out_their_batches_in_the_order_asked_for(workers):
    dataset = Numbers(5, workers=workers)
    source = DatasetSource(dataset)
    assert (source.rows, source.shuffled, source.steps) == (None, 5, 5)
    assert numbers_of(source.batches()) == [0, 1, 2, 3, 4]
    next(source.batches())  # and is left
    assert numbers_of(source.batches(np.array([3, 0, 4, 1, 2]))) == [3, 0, 4, 1, 2]
    assert dataset.events == ["begin", "end", "begin", "begin", "end"]
    assert source.first().y[0] == 0
    dataset.count = 2
    assert numbers_of(source.batches()) == [0, 1]


@pytest.mark.parametrize("workers", [1, 3])
def test_steps_per_epoch_of_a_data_set(workers):
    source = DatasetSource(Numbers(5, workers=workers), 3)
    assert source.steps == 3
    assert [numbers_of(source.batches()) for _ in range(3)] == [[0, 1, 2], [3, 4, 0], [1, 2, 3]]
    orders = [np.array([4, 3, 2, 1, 0]), np.array([1, 0, 2, 3, 4])]
    source = DatasetSource(Numbers(5, workers=workers), 4)
    assert [numbers_of(source.batches(order)) for order in orders] == [[4, 3, 2, 1], [0, 1, 0, 2]]
    source = DatasetSource(Numbers(None, workers=workers), 2)
    assert source.shuffled is None
    assert [numbers_of(source.batches()) for _ in range(2)] == [[0, 1], [2, 3]]


def test_data_sets_without_batches_or_end_are_refused():
    with pytest.raises(ValueError) as caught:
        DatasetSource(Numbers(0))
    assert str(caught.value) == "fit: `x` must have at least one batch. Received: a Numbers of 0 batches."
    with pytest.raises(ValueError) as caught:
        DatasetSource(Numbers(None))
    assert str(caught.value) == (
        "fit: `steps_per_epoch` must be given for a data set without end. Received: steps_per_epoch=None."
    )


@pytest.mark.parametrize(
    ("x", "kind"),
    [
        (A, None), (Foreign(A), None), ([A, B], None), ({"a": A}, None), (range(3), None), (3.0, None), ("abc", None),
        (ones(2), IterableSource), (map(abs, [A]), IterableSource), (Numbers(3), DatasetSource),
    ],
)  # fmt: skip
def test_streams_are_told_from_arrays(x, kind):
    assert type(stream(x)) is (kind or type(None))


def test_streams_have_their_targets_in_their_batches():
    with pytest.raises(ValueError) as caught:
        stream(Numbers(3), y=A)
    assert str(caught.value) == (
        "fit: `y` must be None where `x` hands out batches. Received: y of type ndarray. "
        "Let the batches of `x` be tuples that hold `y`."
    )
    with pytest.raises(ValueError, match="`sample_weight` must be None"):
        stream(ones(3), None, A)


# --- training -----------------------------------------------------------------------------------


class Parts(PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        return X[4 * index : 4 * index + 4], Y[4 * index : 4 * index + 4]


X, Y = RNG.normal(size=(10, 3)).astype("float32"), RNG.normal(size=(10, 2)).astype("float32")
FORMS = {
    "arrays": lambda folder: {"x": X, "y": Y},
    "float64": lambda folder: {"x": X.astype("float64"), "y": Y.astype("float64")},
    "lists": lambda folder: {"x": X.tolist(), "y": Y.tolist()},
    "list of inputs": lambda folder: {"x": [X], "y": Y},
    "other library": lambda folder: {"x": Foreign(X), "y": Foreign(Y)},
    "mapped file": lambda folder: {"x": mapped(folder, X), "y": Y},
    "data set": lambda folder: {"x": Parts()},
    "data set with workers": lambda folder: {"x": Parts(workers=3)},
    "generator": lambda folder: {"x": (Parts()[i % 3] for i in range(9)), "steps_per_epoch": 3},
    "iterable": lambda folder: {"x": iter_again(lambda: (Parts()[i] for i in range(3)))},
}


def mapped(folder, array):
    np.save(folder / "x.npy", array)
    return np.load(folder / "x.npy", mmap_mode="r")


def iter_again(make):
    return type("Again", (), {"__iter__": lambda self: make()})()


@pytest.mark.parametrize("form", FORMS)
def test_training_is_the_same_whatever_form_data_have(tmp_path, form):
    results = []
    for name in ("arrays", form):
        model = cycnn.Sequential([cycnn.Input((3,)), cycnn.layers.Dense(2)])
        model.set_weights([np.full((3, 2), 0.5, "float32"), np.zeros(2, "float32")])
        model.compile("sgd", "mse")
        data = FORMS[name](tmp_path)
        batch_size = 4 if "y" in data else None
        history = model.fit(**data, batch_size=batch_size, epochs=3, shuffle=False, verbose=0)
        data = FORMS[name](tmp_path)
        steps = {"steps": 3} if data.pop("steps_per_epoch", None) else {}
        loss = model.evaluate(**data, batch_size=batch_size, verbose=0, **steps)
        predicted = model.predict(data["x"], batch_size=batch_size, verbose=0, **steps) if not steps else None
        results.append((history.history["loss"], model.get_weights(), loss, predicted))
    (losses, weights, loss, predicted), others = results
    assert losses == others[0] and loss == others[2]
    for ours, theirs in zip(weights, others[1], strict=True):
        assert_same(theirs, ours)
    if others[3] is not None:
        assert_same(others[3], predicted)
