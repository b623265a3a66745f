from itertools import islice

import jax
import numpy as np
import pytest

from jaxseg import data


class Counting:
    """A source of arrays 0, 1, ... whose state is changed in place, and which notes its reads."""

    def __init__(self, length, fails=()):
        self.length, self.fails = length, set(fails)
        self.place, self.reads = {"next": 0}, []

    def __iter__(self):
        return self

    def __next__(self):
        number = self.place["next"]
        self.place["next"] += 1
        self.reads.append(number)
        if number in self.fails:
            self.place["next"] += 5  # it loses count
            raise OSError(f"batch {number}")
        if number >= self.length:
            raise StopIteration
        return np.full(2, number)

    def get_state(self):
        return self.place

    def set_state(self, state):
        self.place = dict(state)


class Numbered:
    def __len__(self):
        return 7

    def __getitem__(self, index):
        image = np.full((2, 3, 1), index, np.uint8)
        return {"image": image, "label": np.zeros((2, 3), np.uint8)}


def numbers(batches):
    return [int(batch[0]) for batch in batches]


@pytest.mark.parametrize("ahead", [0, 1, 2, 9])
def test_all_batches_in_order_put_once(ahead):
    put = []
    found = numbers(data.prefetch(Counting(5), lambda b: put.append(int(b[0])) or b, ahead=ahead))
    assert found == put == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("ahead", [0, 1, 3])
def test_so_many_are_in_flight_behind_the_one_handed_out(ahead):
    put = []
    stream = data.prefetch(Counting(100), lambda b: put.append(int(b[0])) or b, ahead=ahead)
    assert put == []
    for k in range(4):
        next(stream)
        assert put == list(range(k + 1 + ahead))


@pytest.mark.parametrize("taken", [0, 1, 4])
@pytest.mark.parametrize("ahead", [0, 2])
def test_the_state_is_that_of_the_last_batch_handed_out(taken, ahead):
    stream = data.prefetch(Counting(9), np.copy, ahead=ahead)
    assert numbers(islice(stream, taken)) == list(range(taken))
    state = stream.get_state()
    assert state == {"next": taken}
    rest = numbers(stream)
    other = data.prefetch(Counting(9), np.copy, ahead=ahead)
    next(other)  # what it has read ahead is forgotten
    other.set_state(state)
    assert other.get_state() == state
    assert numbers(other) == rest == list(range(taken, 9))
    stream.set_state(state)  # and after the end
    assert numbers(stream) == rest


def test_a_training_stream_goes_on_where_it_was_left():
    def stream():
        source = data.batches(Numbered(), batch_size=3, seed=4, with_index=True)
        return data.prefetch(source, jax.device_put, ahead=2)

    first = stream()
    for _ in range(4):
        next(first)
    state = first.get_state()
    second = stream()
    second.set_state(state)
    for k, (one, two) in enumerate(zip(islice(first, 6), islice(second, 6), strict=True)):
        assert isinstance(one["image"], jax.Array)
        assert one["index"].tolist() == [12 + 3 * k, 13 + 3 * k, 14 + 3 * k]
        jax.tree.map(np.testing.assert_array_equal, one, two)


def test_an_error_waits_for_its_batch_and_stays():
    source = Counting(9, fails=[2])
    stream = data.prefetch(source, np.copy, ahead=3)
    assert numbers(islice(stream, 2)) == [0, 1]
    for _ in range(2):
        with pytest.raises(OSError, match="batch 2"):
            next(stream)
    assert source.reads == [0, 1, 2]  # nothing is read from a source that failed
    source.fails.clear()
    stream.set_state(stream.get_state())
    assert numbers(stream) == list(range(2, 9))


def test_an_error_of_put_waits_too():
    def put(batch):
        if batch[0] == 1:
            raise MemoryError("batch 1")
        return batch

    stream = data.prefetch(Counting(9), put)
    assert numbers(islice(stream, 1)) == [0]
    with pytest.raises(MemoryError, match="batch 1"):
        next(stream)
    assert stream.get_state() == {"next": 1}


def test_the_end_stays_the_end():
    source = Counting(1)
    stream = data.prefetch(source, np.copy)
    assert numbers(stream) == [0]
    assert next(stream, None) is None
    assert source.reads == [0, 1]


def test_an_iterator_without_a_state_is_read_but_not_resumed():
    stream = data.prefetch((np.full(1, n) for n in range(3)), np.copy)
    for call in (stream.get_state, lambda: stream.set_state(None)):
        with pytest.raises(ValueError, match="generator has no get_state and set_state"):
            call()
    assert numbers(stream) == [0, 1, 2]


@pytest.mark.parametrize("ahead", [-1, 1.0, True])
def test_a_bad_number_is_named(ahead):
    with pytest.raises(ValueError, match=f"ahead={ahead} is not valid"):
        data.prefetch(iter([]), np.copy, ahead=ahead)
