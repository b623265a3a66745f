"""Crops at native resolution: random ones for training, a grid of them for validation."""

from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxseg import data
from jaxseg.data.crops import NativeSource, filling
from jaxseg.data.preparation.tiles import TiledPairs, cut_tiles
from jaxseg.data.sources import Pair

SIZES = ((20, 30), (7, 40), (9, 9), (5, 3))
MEAN = (0.5, 0.25)


def positions(size, number):
    """An image whose pixels say where they are, and a label that says which image it is."""
    rows, columns = np.indices(size)
    image = np.stack([rows + 1, columns + 1], axis=-1).astype(np.uint8)
    return Pair(image, np.full(size, number, np.uint8))


def native(sizes=SIZES, tile=8):
    pairs = [positions(size, number) for number, size in enumerate(sizes)]
    tiles = [Pair(*t) for image, label in pairs for t in cut_tiles(image, label, tile)]
    return NativeSource(TiledPairs(tiles, sizes, tile=tile), MEAN)


def check_crop(image, label, number, sizes=SIZES):
    """Returns the corner of a crop, all of whose pixels must be those of the image behind it."""
    inside = label != 255
    assert set(label[inside]) == {number}
    rows, columns = np.nonzero(inside)
    row, column = image[rows[0], columns[0]].astype(int) - 1
    top, left = row - rows[0], column - columns[0]
    height, width = sizes[number]
    expected = np.empty((*label.shape, 2), np.uint8)
    expected[:] = filling(np.dtype(np.uint8), MEAN)
    for i, j in np.ndindex(*label.shape):
        if 0 <= top + i < height and 0 <= left + j < width:
            expected[i, j] = top + i + 1, left + j + 1
            assert inside[i, j]
        else:
            assert not inside[i, j]
    np.testing.assert_array_equal(image, expected)
    return int(top), int(left)


def test_examples_have_their_own_sizes():
    source = native()
    assert source.sizes == SIZES
    assert [example["label"].shape for example in source] == list(SIZES)
    assert [example["label"].shape for example in source[1:3]] == list(SIZES[1:3])


def test_a_crop_inside_and_beyond_the_image():
    source = native(((3, 4),))
    image, label = source.crop(0, (1, 2), (2, 2))
    assert image.tolist() == [[[2, 3], [2, 4]], [[3, 3], [3, 4]]]
    assert label.tolist() == [[0, 0], [0, 0]]
    image, label = source.crop(0, (-1, 3), (3, 2))
    fill = [128, 64]
    assert image.tolist() == [[fill, fill], [[1, 4], fill], [[2, 4], fill]]
    assert label.tolist() == [[255, 255], [0, 255], [0, 255]]


@given(
    number=st.integers(0, len(SIZES) - 1),
    size=st.tuples(st.integers(1, 25), st.integers(1, 25)),
    seed=st.integers(0, 2**32),
)
def test_random_crops_lie_inside_or_hold_the_whole_axis(number, size, seed):
    example = native().random_crop(number, size, seed=(seed,))
    assert example["image"].shape == (*size, 2)
    corner = check_crop(example["image"], example["label"], number)
    for start, length, n in zip(corner, size, SIZES[number], strict=True):
        assert min(0, n - length) <= start <= max(0, n - length)


def test_every_place_is_equally_likely():
    source = native(((3, 9),))
    corners = [
        check_crop(crop["image"], crop["label"], 0, ((3, 9),))
        for crop in (source.random_crop(0, (5, 6), seed=(0, i)) for i in range(600))
    ]
    places, counts = np.unique(corners, axis=0, return_counts=True)
    assert places.tolist() == [[i, j] for i in (-2, -1, 0) for j in (0, 1, 2, 3)]
    assert counts.min() > 25  # 50 expected, standard deviation 7


@given(
    sizes=st.lists(st.tuples(st.integers(1, 20), st.integers(1, 20)), min_size=1, max_size=3),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_the_grid_counts_every_pixel_once(sizes, size):
    grid = native(tuple(sizes)).grid(size)
    counts = [np.zeros(s, int) for s in sizes]
    for example in grid:
        image, label = example["image"], example["label"]
        assert label.shape == size
        for i, j in np.argwhere(label != 255):
            row, column = image[i, j].astype(int) - 1
            counts[label[i, j]][row, column] += 1
    assert all((count == 1).all() for count in counts)
    assert len(grid) == sum(-(-h // size[0]) * -(-w // size[1]) for h, w in sizes)


def test_the_last_crop_of_a_grid_is_moved_inside():
    (first, second) = native(((2, 5),)).grid((2, 4))
    assert first["image"][0, :, 1].tolist() == [1, 2, 3, 4]
    assert second["image"][0, :, 1].tolist() == [2, 3, 4, 5]
    assert second["label"].tolist() == [[255, 255, 255, 0]] * 2


def test_batches_of_a_grid():
    grid = native().grid((8, 8))
    batches = list(data.padded_batches(grid, batch_size=4))
    assert {batch["image"].shape for batch in batches} == {(4, 8, 8, 2)}
    labels = np.concatenate([batch["label"].ravel() for batch in batches])
    pixels = [height * width for height, width in SIZES]
    assert np.bincount(labels, minlength=256)[: len(SIZES)].tolist() == pixels


OPTIONS = {"batch_size": 4, "seed": 3, "crop": (6, 8), "with_index": True}


def same(left, right):
    for one, two in zip(left, right, strict=True):
        assert one.keys() == two.keys()
        for key in one:
            np.testing.assert_array_equal(one[key], two[key])


def test_training_sees_every_image_once_an_epoch_and_another_crop_each_time():
    stream = list(islice(data.batches(native(), **OPTIONS), 30))
    assert stream[0]["image"].shape == (4, 6, 8, 2)
    corners = {number: set() for number in range(len(SIZES))}
    for batch in stream:
        numbers = [label[label != 255][0] for label in batch["label"]]
        assert sorted(numbers) == [0, 1, 2, 3]
        for image, label, number in zip(batch["image"], batch["label"], numbers, strict=True):
            corners[number].add(check_crop(image, label, number))
    assert len(corners[0]) > 20
    assert [batch["index"].tolist() for batch in stream[:2]] == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_the_order_is_that_of_whole_images():
    sizes = [(9, 9)] * 7
    crops = data.batches(native(sizes), **{**OPTIONS, "crop": (3, 3)})
    whole = data.batches(native(sizes), batch_size=4, seed=3)
    for one, two in islice(zip(crops, whole, strict=False), 8):
        np.testing.assert_array_equal(one["label"][:, 1, 1], two["label"][:, 1, 1])


def test_crops_depend_on_the_seed_alone():
    first, again, other = (
        list(islice(data.batches(native(), **{**OPTIONS, "seed": seed}), 6)) for seed in (3, 3, 4)
    )
    same(first, again)
    assert any((a["image"] != b["image"]).any() for a, b in zip(first, other, strict=True))


@pytest.mark.parametrize("step", [0, 1, 5])
def test_a_resumed_stream_has_the_same_bits(step):
    stream = data.batches(native(), **OPTIONS)
    for _ in range(step):
        next(stream)
    state = stream.get_state()
    expected = list(islice(stream, 6))
    other = data.batches(native(), **OPTIONS)
    next(other)
    other.set_state(state)
    same(expected, list(islice(other, 6)))


@pytest.mark.parametrize("processes", [2, 4])
def test_processes_share_the_crops_of_one(processes):
    whole = list(islice(data.batches(native(), **OPTIONS), 6))
    parts = [
        list(islice(data.batches(native(), **OPTIONS, process=p, processes=processes), 6))
        for p in range(processes)
    ]
    for k, batch in enumerate(whole):
        for key, value in batch.items():
            joined = np.stack([part[k][key] for part in parts], axis=1).reshape(value.shape)
            np.testing.assert_array_equal(joined, value)


@pytest.mark.parametrize(
    ("source", "crop", "message"),
    [
        (native(), None, r"crop=None, and the examples have several sizes"),
        ([{"image": 0, "label": 0}], (2, 2), r"crop=\(2, 2\) needs a source of examples at their"),
        (native(), (0, 2), r"crop=\(0, 2\) is not a size"),
    ],
)
def test_what_does_not_fit_is_refused(source, crop, message):
    with pytest.raises(ValueError, match=message):
        data.batches(source, batch_size=1, crop=crop)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("uint8", [128, 64]), ("uint16", [32768, 16384]), ("float32", [0.5, 0.25])],
)
def test_the_filling_is_the_mean_in_units_of_full_brightness(dtype, expected):
    values = filling(np.dtype(dtype), MEAN)
    assert values.dtype == dtype
    assert values.tolist() == expected


def test_larger_crops_are_read_where_images_are_shrunk():
    assert data.crop_before_zoom((100, 60), 0.5) == (200, 120)
    assert data.crop_before_zoom((100, 60), 0.7) == (143, 86)
    assert data.crop_before_zoom((100, 60), 1.0) == (100, 60)
    assert data.crop_before_zoom((100, 60), 2.0) == (100, 60)
