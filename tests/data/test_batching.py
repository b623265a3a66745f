from itertools import islice

import numpy as np
import pytest

from jaxseg import data
from jaxseg.data import batching


class Numbered:
    """Examples whose images hold their number."""

    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if not 0 <= index < self.length:
            raise IndexError(index)
        image = np.full((2, 3, 1), index, np.float32)
        return {"image": image, "label": np.full((2, 3), index % 3, np.int32)}


def numbers(batches):
    return [batch["image"][:, 0, 0, 0].astype(int).tolist() for batch in batches]


def test_shapes_and_types(tiny):
    batch = next(data.batches(tiny.source("train"), batch_size=4, seed=0))
    assert {key: (value.shape, value.dtype) for key, value in batch.items()} == {
        "image": ((4, 16, 16, 1), np.uint8),
        "label": ((4, 16, 16), np.uint8),
    }


def test_the_batches_depend_on_the_seed_only():
    def first(seed):
        return numbers(islice(data.batches(Numbered(20), batch_size=4, seed=seed), 12))

    assert first(0) == first(0)
    assert first(0) != first(1)


@pytest.mark.parametrize(("length", "batch_size"), [(20, 4), (10, 4), (3, 8), (1, 1)])
def test_every_epoch_has_every_example_once(length, batch_size):
    stream = data.batches(Numbered(length), batch_size=batch_size, seed=3)
    order = np.ravel(numbers(islice(stream, 3 * length)))[: 3 * length].reshape(3, length)
    np.testing.assert_array_equal(np.sort(order, axis=1), np.tile(np.arange(length), (3, 1)))
    if length >= 10:
        assert len({tuple(epoch) for epoch in order.tolist()}) == 3


def test_images_stay_with_their_labels():
    for batch in islice(data.batches(Numbered(9), batch_size=4, seed=0), 9):
        np.testing.assert_array_equal(batch["image"][..., 0] % 3, batch["label"])


def test_in_order_without_shuffle():
    stream = data.batches(Numbered(4), batch_size=3, shuffle=False)
    assert numbers(islice(stream, 3)) == [[0, 1, 2], [3, 0, 1], [2, 3, 0]]


def test_one_epoch_without_repeat():
    options = {"batch_size": 4, "seed": 0, "repeat": False}
    kept = numbers(data.batches(Numbered(10), **options, drop_remainder=False))
    assert [len(batch) for batch in kept] == [4, 4, 2]
    assert sorted(np.concatenate(kept)) == list(range(10))
    assert numbers(data.batches(Numbered(10), **options)) == kept[:2]


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(("length", "batches"), [(4, 1), (8, 2), (11, 2), (12, 3)])
def test_every_full_batch_of_an_epoch_is_there(length, batches, processes):
    options = {"batch_size": 4, "shuffle": False, "repeat": False, "processes": processes}
    found = numbers(data.batches(Numbered(length), **options))
    assert found == np.arange(4 * batches).reshape(batches, 4)[:, ::processes].tolist()


def test_the_state_resumes_exactly():
    stream = data.batches(Numbered(10), batch_size=4, seed=0)
    next(stream)
    state = stream.get_state()
    expected = numbers(islice(stream, 5))
    other = data.batches(Numbered(10), batch_size=4, seed=0)
    other.set_state(state)
    assert numbers(islice(other, 5)) == expected


def ranks(batches):
    return [batch["index"].tolist() for batch in batches]


def test_the_index_counts_the_stream_over_its_epochs():
    stream = data.batches(Numbered(5), batch_size=4, seed=0, with_index=True)
    found = list(islice(stream, 6))
    assert ranks(found) == np.arange(24).reshape(6, 4).tolist()
    assert found[0]["index"].dtype == np.uint32
    plain = data.batches(Numbered(5), batch_size=4, seed=0)
    assert numbers(found) == numbers(islice(plain, 6))


@pytest.mark.parametrize("index", [0, 2**31, 2**32 - 1, 2**32 + 5])
def test_the_index_begins_anew_behind_32_bits(index):
    example = batching._add_index(index, {"image": 0})
    assert example == {"image": 0, "index": index % 2**32}
    assert example["index"].dtype == np.uint32


def test_the_index_is_that_of_one_epoch_without_repeat():
    stream = data.batches(Numbered(7), batch_size=3, repeat=False, with_index=True)
    assert ranks(stream) == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(("length", "batch_size", "processes"), [(10, 4, 2), (7, 6, 3), (3, 8, 4)])
def test_the_processes_share_the_batches_of_one(length, batch_size, processes, shuffle):
    options = {"batch_size": batch_size, "seed": 5, "shuffle": shuffle, "with_index": True}
    source = Numbered(length)
    whole = list(islice(data.batches(source, **options), 12))
    parts = [
        list(islice(data.batches(source, **options, process=p, processes=processes), 12))
        for p in range(processes)
    ]
    for k, batch in enumerate(whole):
        # Process p holds the examples p, p + processes, ...
        joined = {key: np.stack([part[k][key] for part in parts], axis=1) for key in batch}
        for key, value in batch.items():
            np.testing.assert_array_equal(joined[key].reshape(value.shape), value)


@pytest.mark.parametrize("length", [7, 8, 9])
def test_the_processes_have_as_many_batches_without_repeat(length):
    options = {"batch_size": 4, "repeat": False, "with_index": True}
    whole = ranks(data.batches(Numbered(length), **options))
    parts = [
        ranks(data.batches(Numbered(length), **options, process=p, processes=2)) for p in (0, 1)
    ]
    assert [sorted(one + two) for one, two in zip(*parts, strict=True)] == whole


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (2, 2)])
def test_a_state_is_resumed_by_any_number_of_processes(before, after):
    options = {"batch_size": 4, "seed": 1, "with_index": True}

    def streams(processes):
        places = [{"process": p, "processes": processes} for p in range(processes)]
        return [data.batches(Numbered(10), **options, **place) for place in places]

    expected = ranks(islice(data.batches(Numbered(10), **options), 9))[5:]
    first = streams(before)[-1]
    for _ in range(5):
        next(first)
    others = streams(after)
    for other in others:
        other.set_state(first.get_state())
    found = zip(*(ranks(islice(other, 4)) for other in others), strict=True)
    assert [np.sort(np.concatenate(parts)).tolist() for parts in found] == expected


@pytest.mark.parametrize(("length", "batch_size"), [(5, 2), (4, 2), (3, 8), (1, 1)])
def test_evaluation_has_every_example_once_and_ignores_the_padding(length, batch_size):
    found = list(data.padded_batches(Numbered(length), batch_size=batch_size))
    assert len(found) == -(-length // batch_size)
    for batch in found:
        assert (batch["image"].shape, batch["image"].dtype) == ((batch_size, 2, 3, 1), np.float32)
        assert (batch["label"].shape, batch["label"].dtype) == ((batch_size, 2, 3), np.int32)
    image, label = (np.concatenate([batch[key] for batch in found]) for key in ("image", "label"))
    np.testing.assert_array_equal(image[:length, 0, 0, 0], np.arange(length))
    np.testing.assert_array_equal(label[:length, 0, 0], np.arange(length) % 3)
    assert not image[length:].any()
    assert (label[length:] == 255).all()


def test_the_ignored_label_of_the_padding_can_be_chosen():
    (batch,) = data.padded_batches(Numbered(1), batch_size=2, ignore_index=-1)
    assert (batch["label"][1] == -1).all()


@pytest.mark.parametrize("make", [data.batches, data.padded_batches])
def test_bad_arguments_are_named_at_the_call(make):
    for batch_size in (0, -1, 2.0, True):
        with pytest.raises(ValueError, match=f"batch_size={batch_size} .*positive integer"):
            make(Numbered(3), batch_size=batch_size)
    with pytest.raises(ValueError, match="source has 0 examples"):
        make(Numbered(0), batch_size=1)


def test_a_bad_seed_or_no_batch_is_named():
    for seed in (-1, 2**32):
        with pytest.raises(ValueError, match=f"seed={seed} is out of range"):
            data.batches(Numbered(3), batch_size=1, seed=seed)
    with pytest.raises(ValueError, match="batch_size=4 leaves no batch of 3 examples"):
        data.batches(Numbered(3), batch_size=4, repeat=False)


def test_processes_that_do_not_fit_are_named():
    for processes in (3, 0, 8):
        with pytest.raises(ValueError, match=f"processes={processes} does not divide batch_size=4"):
            data.batches(Numbered(3), batch_size=4, processes=processes)
    for process in (-1, 2):
        with pytest.raises(ValueError, match=f"process={process} is out of range, expected 0 to 1"):
            data.batches(Numbered(3), batch_size=4, process=process, processes=2)
    with pytest.raises(ValueError, match="processes=2 cannot share a last batch"):
        data.batches(Numbered(6), batch_size=4, processes=2, repeat=False, drop_remainder=False)
