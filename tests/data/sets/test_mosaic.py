"""The texture mosaic: what its masks say, and that an example depends on nothing else."""

import itertools
import json

import numpy as np
import pytest

from jaxseg import data
from jaxseg.data import textures
from jaxseg.data.preparation.builder import open_split

TINY = {"size": 16, "cells": 4, "train": 12, "validation": 5, "test": 3}  # as in conftest.py


def test_an_example_is_what_the_masks_say():
    config = data.MosaicConfig(size=24, gain=0.0, offset=0.0)
    _, label = data.mosaic_example(config, "train", 0)
    # Photographs of constant gray: the image must then be the mask itself, shifted.
    flat = [np.full((64, 64), float(kind)) for kind in range(3)]
    image, same = data.mosaic_example(config, "train", 0, flat)
    np.testing.assert_array_equal(label, same)
    np.testing.assert_array_equal(image, 128 + 40 * label)


def test_every_cell_is_one_patch_of_its_photograph():
    config = data.MosaicConfig(size=16, cells=1, gain=0.0, offset=0.0)
    photographs = textures.load_textures("train", scale=2)
    image, label = data.mosaic_example(config, "train", 3)
    gray = np.clip(np.rint(128 + 40 * photographs[label[0, 0]]), 0, 255)
    windows = np.lib.stride_tricks.sliding_window_view(gray, (16, 16))
    turned = [np.rot90(flip, turns) for flip in (image, image[::-1]) for turns in range(4)]
    corners = (windows[..., 0, 0] == one[0, 0] for one in turned)
    assert any(
        (windows[here] == one).all(axis=(1, 2)).any()
        for here, one in zip(corners, turned, strict=True)
    )


def test_most_images_show_every_class():
    config = data.MosaicConfig()
    flat = [np.zeros((128, 128))] * 3
    labels = [data.mosaic_example(config, "train", i, flat)[1] for i in range(200)]
    shown = [len(np.unique(label)) for label in labels]
    assert np.mean(np.array(shown) == 3) > 0.6
    assert min(shown) >= 1
    share = np.bincount(np.ravel(labels), minlength=3) / np.size(labels)
    np.testing.assert_allclose(share, 1 / 3, atol=0.06)


def test_an_example_depends_on_seed_split_and_index_only():
    config = data.MosaicConfig(**TINY)
    first = data.mosaic_example(config, "train", 7)
    more = data.MosaicConfig(**TINY | {"train": 99, "test": 1})
    for one, two in zip(first, data.mosaic_example(more, "train", 7), strict=True):
        assert one.tobytes() == two.tobytes()
    others = [
        data.mosaic_example(config, "train", 8),
        data.mosaic_example(config, "validation", 7),
        data.mosaic_example(data.MosaicConfig(**TINY, seed=1), "train", 7),
    ]
    for one, two in itertools.combinations([first, *others], 2):
        assert one[0].tobytes() != two[0].tobytes()


def test_the_prepared_examples_are_the_drawn_ones(tiny):
    config = data.MosaicConfig(**TINY)
    assert tiny.splits == {"train": 12, "validation": 5, "test": 3}
    for split in tiny.splits:
        source = tiny.source(split)
        assert len(source) == tiny.splits[split]
        for index, example in enumerate(source):
            image, label = data.mosaic_example(config, split, index)
            np.testing.assert_array_equal(example["label"], label)
            np.testing.assert_array_equal(example["image"][..., 0], image)


def test_preparing_twice_gives_the_same_bytes(tiny, tmp_path):
    again = data.mosaic(**TINY, data_dir=tmp_path)
    for split in tiny.splits:
        records = open_split(tiny.directory, split), open_split(again.directory, split)
        assert list(records[0]) == list(records[1])
    manifests = [json.loads((d.directory / "manifest.json").read_text()) for d in (tiny, again)]
    assert manifests[0] == manifests[1]
    assert sum("array_record" in name for name in manifests[0]) == 3


def test_the_default_is_pinned():
    """Fails when the recipe changes: then raise the recipe's version, and this number."""
    image, label = data.mosaic_example(data.MosaicConfig(), "train", 0)
    assert (int(image.sum()), int(label.sum())) == (129987, 1817)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", 0),
        ("size", 32.0),
        ("size", True),
        ("cells", 0),
        ("train", 0),
        ("seed", -1),
        ("scale", 0),
        ("gain", 1.0),
        ("gain", float("nan")),
        ("offset", -0.1),
    ],
)
def test_a_field_out_of_range_is_named(field, value):
    with pytest.raises(ValueError, match=rf"{field}={value}.*expected"):
        data.MosaicConfig(**{field: value})


def test_a_size_beyond_the_areas_is_refused():
    assert data.MosaicConfig(size=128).size == 128
    with pytest.raises(ValueError, match=r"size=129 .* at most 128 pixels at scale=2"):
        data.MosaicConfig(size=129)
    assert data.MosaicConfig(size=129, scale=1).size == 129
    with pytest.raises(ValueError, match="at most 256"):
        data.MosaicConfig(size=257, scale=1)


def test_the_largest_size_can_be_drawn():
    for split in textures.SPLITS:
        image, label = data.mosaic_example(data.MosaicConfig(size=85, scale=3), split, 0)
        assert image.shape == label.shape == (85, 85)


def test_the_function_has_the_defaults_of_the_config(monkeypatch):
    made = []
    monkeypatch.setattr("jaxseg.data.sets.mosaic.prepare", lambda recipe, **_: made.append(recipe))
    data.mosaic()
    data.mosaic(size=(24, 24), seed=3, equal=False)
    configs = [data.MosaicConfig(), data.MosaicConfig(size=24, seed=3, equal=False)]
    assert [recipe.name for recipe in made] == [config.recipe().name for config in configs]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (4, 6)}, r"size=\(4, 6\) is not square, .*pass for example size=\(4, 4\)"),
        ({"size": ()}, r"size=\(\) is not square, .*size=\(32, 32\)"),
        ({"directory": "/d"}, r"directory='/d' does not go with the mosaic, .*leave it out"),
        ({"size": "big"}, r"size='big' is not valid, expected an integer"),
    ],
)
def test_what_the_mosaic_cannot_take_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        data.mosaic(**options)
