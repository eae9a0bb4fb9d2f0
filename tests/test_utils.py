"""What `cycnn.utils` holds: one-hot rows, data sets that make their batches in threads."""

import gc
import threading
import time

import numpy as np
import pytest
from helpers import assert_same

import cycnn
from cycnn.utils import PyDataset, to_categorical


def test_every_public_name_is_there():
    for name in cycnn.utils.__all__:
        assert getattr(cycnn.utils, name) is not None


# --- to_categorical -----------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(), (1,), (5,), (5, 1), (2, 3), (2, 3, 1), (1, 1), (0,), (0, 3)])
def test_to_categorical_is_rows_of_the_identity(shape):
    numbers = np.random.default_rng(0).integers(0, 4, shape)
    squeezed = numbers[..., 0] if numbers.ndim > 1 and shape[-1] == 1 else numbers
    assert_same(to_categorical(numbers, 4), np.eye(4)[squeezed])
    assert_same(to_categorical(numbers.astype("float32"), 4), np.eye(4)[squeezed])
    if numbers.size:
        assert_same(to_categorical(numbers.tolist(), num_classes=4), np.eye(4)[squeezed])


def test_to_categorical_finds_the_number_of_classes():
    assert_same(to_categorical([0, 2]), np.eye(3)[[0, 2]])
    assert_same(to_categorical(np.array([True, False])), np.eye(2)[[1, 0]])


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (([0, 3], 3), ValueError, "`x` must lie between 0 and 2. Received: x.min()=0, x.max()=3."),
        (([-1, 1],), ValueError, "`x` must lie between 0 and 1. Received: x.min()=-1, x.max()=1."),
        (([-1],), ValueError, "`x` must not be negative. Received: x.min()=-1, x.max()=-1."),
        (([0.5],), ValueError, "`x` must hold whole numbers only. Received: x=0.5."),
        (([np.nan],), ValueError, "`x` must hold whole numbers only. Received: x=nan."),
        ((["a"],), TypeError, "`x` must be an array of integers. Received: x.dtype=<U1."),
        (([],), ValueError,
         "`x` must have at least one element, or `num_classes` must be given. Received: x.shape=(0,)."),
        (([0], 0), ValueError, "`num_classes` must be a positive int. Received: num_classes=0."),
        (([0], 2.0), TypeError, "`num_classes` must be a positive int. Received: num_classes=2.0."),
    ],
)  # fmt: skip
def test_to_categorical_refuses_what_is_no_class(arguments, error, text):
    with pytest.raises(error) as caught:
        to_categorical(*arguments)
    assert str(caught.value) == f"to_categorical: {text}"


# --- PyDataset ----------------------------------------------------------------------------------


class Slow(PyDataset):
    """Makes even batches later than odd ones, and counts what happens."""

    def __init__(self, count, broken=(), **options):
        super().__init__(**options)
        self.count, self.broken = count, broken
        self.made, self.threads, self.lock = [], set(), threading.Lock()

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        time.sleep(0.01 * (1 + (index % 2 == 0)))
        with self.lock:
            self.made.append(index)
            self.threads.add(threading.get_ident())
        if index in self.broken:
            raise KeyError(index)
        return index


@pytest.mark.parametrize("queue", [1, 2, 10])
@pytest.mark.parametrize("workers", [0, 1, 2, 4])
def test_batches_come_in_order_whatever_the_workers_do(workers, queue):
    dataset = Slow(9, workers=workers, max_queue_size=queue)
    assert list(dataset) == list(range(9))
    assert list(dataset.fetch([5, 2, 2, 7])) == [5, 2, 2, 7]
    assert (threading.get_ident() in dataset.threads) == (workers < 2)
    assert list(Slow(0, workers=workers)) == []


def test_no_more_is_made_ahead_than_the_queue_holds():
    dataset = Slow(20, workers=4, max_queue_size=3)
    batches = iter(dataset)
    for used in range(4):
        next(batches)
        time.sleep(0.1)
        assert sorted(dataset.made) == list(range(used + 3))
    batches.close()


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_takes_the_place_of_its_batch(workers):
    dataset = Slow(9, broken=(3, 5), workers=workers)
    batches, seen = iter(dataset), []
    with pytest.raises(KeyError) as caught:
        for batch in batches:
            seen.append(batch)
    assert seen == [0, 1, 2]
    assert caught.value.__notes__ == ["This is about batch 3 of Slow."]
    assert next(batches, None) is None
    assert not workers_alive()


def workers_alive():
    return [thread for thread in threading.enumerate() if thread.name.startswith("Slow worker")]


@pytest.mark.parametrize("leave", ["close", "forget", "finish"])
def test_threads_end_with_the_iteration(leave):
    batches = iter(Slow(6, workers=3))
    next(batches)
    assert workers_alive()
    if leave == "close":
        batches.close()
    elif leave == "finish":
        list(batches)
    del batches
    gc.collect()
    assert not workers_alive()


def test_a_data_set_without_end_goes_on():
    class Endless(PyDataset):
        num_batches = None

        def __getitem__(self, index):
            return index

    for workers in (1, 2):
        assert [batch for batch, _ in zip(Endless(workers=workers), range(5), strict=False)] == list(range(5))


def test_a_subclass_may_forget_to_call_its_base():
    class Careless(PyDataset):
        def __init__(self):
            pass

        def __len__(self):
            return 2

        def __getitem__(self, index):
            return index

    assert list(Careless()) == [0, 1]
    assert (Careless().workers, Careless().max_queue_size, Careless().use_multiprocessing) == (1, 10, False)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"workers": -1}, ValueError, "PyDataset: `workers` must be a non-negative int. Received: workers=-1."),
        ({"max_queue_size": 0}, ValueError,
         "PyDataset: `max_queue_size` must be a positive int. Received: max_queue_size=0."),
        ({"use_multiprocessing": True}, ValueError,
         "PyDataset: `use_multiprocessing` must be False. Received: use_multiprocessing=True. "
         "Batches are made in threads, `workers` of them."),
        ({"use_multiprocessing": 1}, TypeError,
         "PyDataset: `use_multiprocessing` must be True or False. Received: use_multiprocessing=1."),
    ],
)  # fmt: skip
def test_a_data_set_refuses_what_it_cannot_do(options, error, text):
    with pytest.raises(error) as caught:
        PyDataset(**options)
    assert str(caught.value) == text


def test_a_data_set_names_what_it_lacks():
    with pytest.raises(NotImplementedError, match=r"^PyDataset must define __len__ or num_batches\.$"):
        iter(PyDataset())
    with pytest.raises(NotImplementedError, match=r"^PyDataset must define __getitem__\.$"):
        PyDataset()[0]
