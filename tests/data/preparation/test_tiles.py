"""Images cut into tiles and put together again, whole or in part."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxseg.data.preparation.tiles import TILE, TiledPairs, cut_tiles, tile_count
from jaxseg.data.sources import Pair


def draw(size, channels=2, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.integers(1, 255, (*size, channels), dtype=np.uint8)
    return Pair(image, rng.integers(0, 5, size, dtype=np.uint8))


class Counted(list):
    """Tiles that remember which of them were read."""

    def __init__(self, tiles):
        super().__init__(tiles)
        self.read = []

    def __getitem__(self, index):
        self.read.append(index)
        return super().__getitem__(index)


def tiled(pairs, tile):
    tiles = Counted(Pair(*t) for image, label in pairs for t in cut_tiles(image, label, tile))
    return TiledPairs(tiles, [pair.label.shape for pair in pairs], tile=tile)


@given(st.data())
def test_every_part_is_that_of_the_image(data):
    size = st.tuples(st.integers(1, 20), st.integers(1, 20))
    pairs = [draw(data.draw(size), seed=i) for i in range(data.draw(st.integers(1, 3)))]
    stored = tiled(pairs, data.draw(st.sampled_from([1, 4, 7, 32])))
    assert len(stored) == len(pairs)
    for index, (image, label) in enumerate(pairs):
        whole = stored[index]
        np.testing.assert_array_equal(whole.image, image)
        np.testing.assert_array_equal(whole.label, label)
        bounds = [
            sorted(data.draw(st.sets(st.integers(0, n), min_size=2, max_size=2)))
            for n in label.shape
        ]
        rows, columns = (slice(*pair) for pair in bounds)
        part = stored.read(index, rows, columns)
        np.testing.assert_array_equal(part.image, image[rows, columns])
        np.testing.assert_array_equal(part.label, label[rows, columns])


def test_a_part_reads_the_tiles_that_it_touches_and_no_other():
    stored = tiled([draw((8, 8)), draw((9, 12), seed=1)], 4)  # tiles 0..3 and 4..12
    stored.read(1, slice(3, 5), slice(4, 8))
    assert stored.tiles.read == [5, 8]
    stored.tiles.read.clear()
    stored.read(-1, slice(8, 9), slice(0, 12))
    assert stored.tiles.read == [10, 11, 12]


def test_tiles_behind_the_border_hold_zeros_and_are_ignored():
    image, label = draw((3, 5))
    tiles = list(cut_tiles(image, label, 4))
    assert [t[0].shape for t in tiles] == [(4, 4, 2)] * 2
    np.testing.assert_array_equal(tiles[1][1][:, 1:], np.full((4, 3), 255))
    assert not tiles[1][0][3:].any()
    assert not tiles[1][0][:, 1:].any()


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_any_dtype_and_number_of_channels(dtype):
    image = np.random.default_rng(0).uniform(0, 1000, (6, 7, 13)).astype(dtype)
    label = np.zeros((6, 7), np.uint8)
    ((read, _),) = [tiled([Pair(image, label)], 4)[0]]
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, image)


@pytest.mark.parametrize(
    ("size", "count"), [((1, 1), 1), ((TILE, TILE), 1), ((TILE + 1, TILE), 2), ((513, 600), 9)]
)
def test_the_number_of_tiles(size, count):
    assert tile_count(size) == count


def test_images_of_other_sizes_than_the_tiles_are_refused():
    tiles = [Pair(*tile) for tile in cut_tiles(*draw((8, 8)), 4)]
    with pytest.raises(ValueError, match=r"there are 4 tiles, expected 6 for 1 images"):
        TiledPairs(tiles, [(8, 9)], tile=4)
