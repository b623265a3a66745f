"""The photographs: cut into areas that no two splits share, with one histogram for all."""

import numpy as np
import pytest

from jaxseg.data import textures


def test_the_areas_of_the_splits_are_disjoint_and_cover_the_photograph():
    times_used = np.zeros((512, 512), int)
    for split in textures.SPLITS:
        times_used[textures.area(split)] += 1
    np.testing.assert_array_equal(times_used, 1)


@pytest.mark.parametrize("scale", [1, 2, 3])
def test_a_split_depends_on_the_pixels_of_its_own_area_only(monkeypatch, scale):
    photograph = textures._photograph
    before = {split: textures.load_textures(split, scale=scale) for split in textures.SPLITS}

    def spoilt(name):
        pixels = photograph(name).copy()
        pixels[textures.area("train")] = 255 - pixels[textures.area("train")]
        return pixels

    monkeypatch.setattr(textures, "_photograph", spoilt)
    for split, kept in (("train", False), ("validation", True), ("test", True)):
        after = textures.load_textures(split, scale=scale)
        for first, second in zip(before[split], after, strict=True):
            assert np.array_equal(first, second) == kept


@pytest.mark.parametrize("split", textures.SPLITS)
def test_all_photographs_share_one_histogram(split):
    levels = np.linspace(0.02, 0.98, 25)
    for texture in textures.load_textures(split, scale=2):
        assert min(texture.shape) == textures.largest_size(2)
        np.testing.assert_allclose(texture.mean(), 0, atol=1e-2)
        np.testing.assert_allclose(texture.std(), 1, atol=2e-2)
        reference = textures.load_textures(split, scale=2)[0]
        np.testing.assert_allclose(
            np.quantile(texture, levels), np.quantile(reference, levels), atol=0.05
        )


def test_shrink_averages_blocks_and_drops_the_incomplete_ones():
    image = np.array([[1, 3, 9], [5, 7, 9], [9, 9, 9]], np.uint8)
    np.testing.assert_array_equal(textures.shrink(image, 2), [[4.0]])
