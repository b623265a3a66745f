"""What a data set is prepared from: all that changes the examples changes where they lie."""

import dataclasses
import os

import numpy as np
import pytest
from PIL import Image

from jaxseg.data.folders.file_pairs import FilePairs
from jaxseg.data.images.image_files import FilePair


@pytest.fixture
def pairs(tmp_path):
    files = FilePair(tmp_path / "a.png", tmp_path / "a_mask.png")
    Image.fromarray(np.full((4, 8, 3), 100, np.uint8)).save(files.image)
    Image.fromarray(np.eye(4, 8, dtype=np.uint8)).save(files.mask)
    return FilePairs(
        name="x",
        root=tmp_path,
        pairs={"train": [files], "validation": [files]},
        labels={0: 0, 1: 1},
        class_names=("a", "b"),
        palette=((0, 0, 0), (1, 1, 1)),
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
    )


def name(base, size=(4, 4), **changes):
    return dataclasses.replace(base, **changes).recipe(size).name


@pytest.mark.parametrize(
    "changes",
    [
        {"size": (4, 8)},
        {"name": "y"},
        {"pairs": {"train": []}},
        {"labels": {0: 1, 1: 0}},
        {"class_names": ("a", "c")},
        {"colored": True},
        {"keep_aspect": False},
        {"edited": True},
        {"dtype": "uint16"},
        {"mean": (0.5,), "std": (0.25,)},
        {"mask_orientation": "stored"},
    ],
)
def test_what_changes_the_examples_changes_the_name(pairs, changes):
    assert name(pairs, **changes) != name(pairs)


def test_what_only_says_how_they_are_shown_does_not(pairs):
    shown = {"palette": ((9, 9, 9), (8, 8, 8)), "mean": (0.1,) * 3, "std": (0.1,) * 3}
    shown |= {"mask_values": (7, (1, 2, 3)), "ignored_value": 9}
    assert name(pairs, **shown) == name(pairs)
    recipe = dataclasses.replace(pairs, **shown).recipe((4, 4))
    assert {name: getattr(recipe.info, name) for name in shown} == shown


def test_the_padding_of_other_images_than_8_bit_colors_is_their_mean(pairs):
    bands = {"dtype": "uint16", "std": (0.1,) * 3}
    assert name(pairs, **bands, mean=(0.1,) * 3) != name(pairs, **bands, mean=(0.2,) * 3)


def test_an_edited_file_of_the_same_size_counts_where_files_are_edited(pairs):
    before = {edited: name(pairs, edited=edited) for edited in (False, True)}
    os.utime(pairs.pairs["train"][0].mask, ns=(1, 1))
    assert name(pairs, edited=False) == before[False]
    assert name(pairs, edited=True) != before[True]


def test_the_examples_are_scaled_evenly_or_stretched(pairs):
    for keep_aspect in (True, False):
        recipe = dataclasses.replace(pairs, keep_aspect=keep_aspect).recipe((4, 4))
        ((image, label),) = recipe.examples("train")
        assert (label == 255).any() == keep_aspect
        assert (image == 100).all() != keep_aspect


@pytest.mark.parametrize(
    ("fields", "values", "ignored"),
    [
        ({}, (), None),
        ({"labels": {0: 0, 1: 1, 255: 255}}, (), None),
        ({"labels": {1: 1, 2: 0, 3: 255}}, (2, 1), 3),  # as the trimaps of Oxford-IIIT Pet
        ({"labels": {0: 0, 255: 1}}, (0, 255), None),
        ({"labels": {5: 0, 6: 0, 9: 1, 11: 255}}, (5, 9), 11),
        (
            {"labels": {0xFF0000: 0, 0x000102: 1, 0: 255}, "colored": True},
            ((255, 0, 0), (0, 1, 2)),
            (0, 0, 0),
        ),
    ],
)
def test_what_masks_hold_for_each_class_is_kept(pairs, fields, values, ignored):
    info = dataclasses.replace(pairs, **fields).recipe((4, 4)).info
    assert (info.mask_values, info.ignored_value) == (values, ignored)


def test_the_whole_table_of_the_masks_is_kept(pairs):
    labels = {9: 1, 5: 0, 6: 0, 11: 255}
    for colored in (False, True):
        info = dataclasses.replace(pairs, labels=labels, colored=colored).recipe((4, 4)).info
        assert info.mask_labels == ((5, 0), (6, 0), (9, 1), (11, 255))
        assert info.colored_masks == colored
