"""Where batches come from: what each kind of source hands out, in which order, and what it costs."""

import os

import numpy as np
import pytest
from helpers import assert_same
from processes import output_of

from cycnn.sources import ArraySource

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


# --- memory-mapped files ------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_a_mapped_file_gives_what_an_array_gives(tmp_path, mode, monkeypatch):
    monkeypatch.setattr("cycnn.rows._GIVEN_BACK_EVERY", 100)
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
from cycnn.sources import ArraySource
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
