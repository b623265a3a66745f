"""The mosaics that are learned within a hundred steps."""

import numpy as np
import pytest

from jaxseg import data
from jaxseg.studies import easy_mosaic


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    source = easy_mosaic(
        24, train=24, validation=2, test=3, data_dir=tmp_path_factory.mktemp("data")
    ).source("train")
    return [source[n] for n in range(len(source))]


def test_textures_are_told_by_their_gray_values(examples):
    """They keep their own, and the same in every image: neither equalized nor varied."""
    grays = {kind: [] for kind in range(3)}
    for example in examples:
        image, label = example["image"][..., 0].astype(float), example["label"]
        for kind in np.unique(label):
            if np.sum(label == kind) > 30:
                grays[kind].append(image[label == kind].mean())
    means = [np.mean(grays[kind]) for kind in range(3)]
    assert min(np.diff(means)) > 8
    assert max(np.std(values) for values in grays.values()) < 6


def test_stones_are_a_few_pixels_wide(examples):
    """At their full size, neighboring pixels of one texture correlate by 0.78."""
    pairs = []
    for example in examples:
        image, label = example["image"][..., 0].astype(float), example["label"]
        same = label[:, 1:] == label[:, :-1]
        pairs.append(np.corrcoef(image[:, 1:][same], image[:, :-1][same])[0, 1])
    assert np.mean(pairs) < 0.65


def test_cells_and_splits_are_as_asked(tmp_path):
    made = easy_mosaic(16, cells=5, train=4, validation=2, test=3, data_dir=tmp_path)
    assert made.splits == {"train": 4, "validation": 2, "test": 3}
    same = data.mosaic(
        size=16,
        cells=5,
        **{"train": 4, "validation": 2, "test": 3},
        scale=4,
        **{"equal": False, "gain": 0.0, "offset": 0.0},
        data_dir=tmp_path,
    )
    np.testing.assert_array_equal(
        made.source("validation")[1]["image"], same.source("validation")[1]["image"]
    )
