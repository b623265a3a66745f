"""A folder of a user's own: every layout and kind of mask, and a message for all that is wrong."""

import os
import re

import numpy as np
import pytest
from PIL import Image

from jaxseg import data
from jaxseg.data.folders import pairing
from jaxseg.data.sets import folder

RED, GREEN, VOID = (200, 0, 0), (0, 200, 0), (9, 9, 9)


def write_pair(images, masks, stem, mask, *, ending="", suffix=".png"):
    images.mkdir(parents=True, exist_ok=True)
    masks.mkdir(parents=True, exist_ok=True)
    image = np.random.default_rng(len(stem)).integers(256, size=(*mask.shape[:2], 3))
    Image.fromarray(image.astype(np.uint8)).save(images / f"{stem}{suffix}")
    Image.fromarray(mask).save(masks / f"{stem}{ending}.png")


def grid(*values, shape=(16, 24)):
    """A mask of vertical stripes, one a value; a color is a value too."""
    return np.array(values, np.uint8)[np.arange(shape[1]) * len(values) // shape[1]][None].repeat(
        shape[0], 0
    )


def flat(root, *values, count=4, **options):
    for number in range(count):
        write_pair(root / "images", root / "masks", f"p{number}", grid(*values), **options)
    return root


def opened(root, tmp_path, *args, **options):
    return data.folder(root, *args, data_dir=tmp_path / "prepared", **options)


def stems(files):
    return {pair.image.stem for pair in files}


def test_thirty_binary_pairs_of_different_sizes(tmp_path, capsys):
    root = tmp_path / "cells"
    for number in range(30):
        shape = (40 + number, 60)
        pair = f"im {number}", grid(0, 255, shape=shape)
        write_pair(root / "images", root / "masks", *pair, ending="_mask", suffix=".jpg")
    dataset = opened(root, tmp_path)
    assert dataset.splits == {"train": 22, "validation": 4, "test": 4}
    assert dataset.info.size == (56, 64)
    assert dataset.info.class_names == ("background", "foreground")
    padding, said = capsys.readouterr().out.splitlines()
    assert (
        said
        == "cells: the masks' only values are 0 and 255: 0 is 'background', 255 is 'foreground'"
    )
    assert "are scaled to 56x64 pixels (height x width), of which 12.3% are padding" in padding
    source = dataset.source("train")
    label = source[0]["label"]
    assert set(np.unique(label)) <= {0, 1, 255}
    assert abs(int((label == 0).sum()) - int((label == 1).sum())) <= 2 * label.shape[0]
    images = [dataset.info.normalize(example["image"]) for example in source]
    own = [image[example["label"] != 255] for image, example in zip(images, source, strict=True)]
    np.testing.assert_allclose(np.concatenate(own).mean(0), 0, atol=2e-2)
    np.testing.assert_allclose(np.concatenate(own).std(0), 1, atol=2e-2)
    assert opened(root, tmp_path) == dataset


def test_pixels_and_labels_come_back_exactly_at_the_files_own_size(tmp_path):
    root = flat(tmp_path / "f", 0, 1, 2, 255)
    dataset = opened(root, tmp_path, (16, 24))
    assert dataset.info.class_names == ("class 0", "class 1", "class 2")
    example = dataset.source("test")[0]
    np.testing.assert_array_equal(example["label"], grid(0, 1, 2, 255))
    written = np.asarray(Image.open(root / "images" / "p0.png"))
    np.testing.assert_array_equal(example["image"], written)


@pytest.mark.parametrize("images", ["images", "Images"])
@pytest.mark.parametrize("masks", ["masks", "labels", "annotations"])
@pytest.mark.parametrize("layout", ["{split}/{kind}", "{kind}/{split}"])
def test_layouts_that_are_split(tmp_path, images, masks, layout):
    for split, stem in (("train", "a"), ("val", "b"), ("test", "c")):
        places = [tmp_path / layout.format(split=split, kind=kind) for kind in (images, masks)]
        write_pair(*places, stem, grid(0, 1), ending="_label")
    pairs = folder.find_pairs(tmp_path, held_out=None, seed=None)
    assert {split: stems(files) for split, files in pairs.items()} == {
        "train": {"a"},
        "validation": {"b"},
        "test": {"c"},
    }


def test_the_draw_is_fixed_by_names_and_seed(tmp_path):
    root = flat(tmp_path, 0, 1, count=20)

    def drawn(**options):
        pairs = folder.find_pairs(root, **{"held_out": 0.15, "seed": 0} | options)
        assert len(set.union(*map(stems, pairs.values()))) == sum(map(len, pairs.values()))
        return {split: stems(files) for split, files in pairs.items()}

    first = drawn()
    assert first == drawn()
    assert first != drawn(seed=1)
    assert {split: len(files) for split, files in first.items()} == {
        "train": 14,
        "validation": 3,
        "test": 3,
    }
    listed = pairing.pair_files(*(sorted((root / k).iterdir()) for k in ("images", "masks")))
    others, test = pairing.hold_out(listed, 3, seed=1)
    assert drawn(seed=1)["test"] == stems(test)
    assert drawn(seed=1)["validation"] == stems(pairing.hold_out(others, 3, seed=1)[1])
    write_pair(root / "images", root / "masks", "another", grid(0, 1))
    assert len(first["test"] & drawn()["test"]) >= 2
    with pytest.raises(ValueError, match=r"held_out=0\.5 is out of range"):
        drawn(held_out=0.5)


def test_classes_txt_names_values_and_colors_figures(tmp_path):
    root = flat(tmp_path / "f", 1, 4)
    (root / "classes.txt").write_text("# a comment\n\nsoil 10 20 30\n7 8 9 old wood\n")
    dataset = opened(root, tmp_path, (8, 8))
    assert dataset.info.class_names == ("soil", "old wood")
    assert dataset.info.palette == ((10, 20, 30), (7, 8, 9))
    assert set(np.unique(dataset.source("train")[0]["label"])) == {0, 1, 255}


def test_masks_of_colors_are_read_by_the_list(tmp_path):
    root = flat(tmp_path / "f", RED, GREEN, VOID)
    with pytest.raises(ValueError, match=r"p\d\.png' is a mask of colors.*classes\.txt"):
        opened(root, tmp_path)
    (root / "classes.txt").write_text("red 200 0 0\ngreen, 0, 200, 0\nignored 9 9 9\n")
    dataset = opened(root, tmp_path, (16, 24))
    np.testing.assert_array_equal(dataset.source("train")[0]["label"], grid(0, 1, 255))
    with pytest.raises(ValueError, match=r"p\d\.png' shows \(9, 9, 9\) \(512 pixels in 4 masks\)"):
        opened(root, tmp_path, class_names=("red", "green"), palette=(RED, GREEN))


def test_the_masks_palette_is_that_of_the_classes(tmp_path):
    root = flat(tmp_path / "f", 0, 2)
    for path in (root / "masks").iterdir():
        mask = Image.open(path)
        mask.putpalette([*VOID, *GREEN, *RED])
        mask.save(path)
    info = opened(root, tmp_path).info
    assert (info.palette, info.mask_values) == ((VOID, RED), (0, 2))
    (root / "classes.txt").write_text("ground\ngrass\nhouse\n")  # no mask has grass
    info = opened(root, tmp_path).info
    assert (info.palette[0], info.palette[2], len(set(info.palette))) == (VOID, RED, 3)


def test_palettes_and_colors_are_matched_by_color_in_every_mask(tmp_path):
    root = tmp_path / "f"
    colors = np.array([RED, GREEN, VOID], np.uint8)
    for number, order in enumerate(((0, 1, 2), (2, 0, 1), (1, 2, 0), None)):
        write_pair(root / "images", root / "masks", f"p{number}", grid(RED, GREEN, VOID))
        if order is not None:
            mask = Image.fromarray(grid(*(order.index(value) for value in range(3)))).convert("P")
            mask.putpalette(colors[list(order)].tobytes())
            (root / "masks" / f"p{number}.png").unlink()
            mask.save(root / "masks" / f"p{number}.{'gif' if number else 'png'}")
    (root / "classes.txt").write_text("green 0 200 0\nred 200 0 0\nignored 9 9 9\n")
    dataset = opened(root, tmp_path, (16, 24))
    for split in dataset.splits:
        for example in dataset.source(split):
            np.testing.assert_array_equal(example["label"], grid(1, 0, 255))
    assert dataset.info.mask_values == (GREEN, RED)
    assert dataset.info.ignored_value == VOID
    (root / "classes.txt").unlink()
    with pytest.raises(ValueError, match=r"masks/p3\.png' is a mask of colors"):
        opened(root, tmp_path)


def test_masks_of_16_bits_without_a_list_and_with_values(tmp_path):
    root = flat(tmp_path / "f", 0, 1, 2)
    values = np.array([0, 1000, 40000], np.uint16)[grid(0, 1, 2)]
    for path in (root / "masks").iterdir():
        Image.fromarray(values).save(path)
    dataset = opened(root, tmp_path, (16, 24))
    assert dataset.info.class_names == ("class 0", "class 1000", "class 40000")
    assert dataset.info.mask_values == (0, 1000, 40000)
    np.testing.assert_array_equal(dataset.source("train")[0]["label"], grid(0, 1, 2))
    (root / "classes.txt").write_text("high = 40000\nrest = 0\nignored 1000\n")
    dataset = opened(root, tmp_path, (16, 24))
    np.testing.assert_array_equal(dataset.source("train")[0]["label"], grid(1, 255, 0))
    assert (dataset.info.mask_values, dataset.info.ignored_value) == ((40000, 0), 1000)


def test_images_without_objects_are_background(tmp_path):
    root = flat(tmp_path / "f", 0, 255)
    for number in range(4, 8):
        write_pair(root / "images", root / "masks", f"p{number}", grid(0))
    dataset = opened(root, tmp_path, (16, 24))
    labels = [example["label"] for split in dataset.splits for example in dataset.source(split)]
    assert sorted(int((label == 1).sum()) for label in labels) == [0] * 4 + [192] * 4
    assert not any((label == 255).any() for label in labels)


def test_the_same_picture_in_two_splits_is_named(tmp_path, capsys):
    for split, stem in (("train", "a"), ("train", "bcd"), ("val", "ef"), ("test", "x")):
        write_pair(
            tmp_path / "f" / split / "images", tmp_path / "f" / split / "masks", stem, grid(0, 1)
        )
    opened(tmp_path / "f", tmp_path, (16, 24))
    expected = "f: the same picture is in two splits, .*: train/images/a.png and test/images/x.png;"
    assert re.search(expected, capsys.readouterr().out)
    opened(tmp_path / "f", tmp_path, (16, 24))
    assert re.search(expected, capsys.readouterr().out)  # from what is kept, too


def test_an_edited_mask_is_prepared_anew(tmp_path):
    root = flat(tmp_path / "f", 0, 1)
    before = opened(root, tmp_path, (16, 24))
    for number in range(4):
        path = root / "masks" / f"p{number}.png"
        Image.fromarray(grid(1, 0)).save(path)
        os.utime(path, ns=(1, 1))  # another time, however coarse the file system's clock
    after = opened(root, tmp_path, (16, 24))
    assert before.directory != after.directory
    np.testing.assert_array_equal(after.source("train")[0]["label"], grid(1, 0))


def test_a_stem_that_ends_as_masks_do_pairs_with_itself(tmp_path):
    for stem in ("a_mask", "b_seg", "c"):
        write_pair(tmp_path / "images", tmp_path / "masks", stem, grid(0, 1))
    pairs = folder.find_pairs(tmp_path, held_out=0.15, seed=0)
    assert set.union(*map(stems, pairs.values())) == {"a_mask", "b_seg", "c"}


def test_a_colored_folder_is_opened_again_from_what_is_kept(tmp_path, monkeypatch):
    root = flat(tmp_path / "f", RED, GREEN)
    (root / "classes.txt").write_text("red 200 0 0\ngreen 0 200 0\n")
    first = opened(root, tmp_path, (16, 24))
    # No file is read again.
    monkeypatch.setattr("jaxseg.data.folders.statistics.read_stored_pair", None)
    assert opened(root, tmp_path, (16, 24)) == first
    monkeypatch.undo()
    (root / "classes.txt").write_text("green 0 200 0\nred 200 0 0\n")
    again = opened(root, tmp_path, (16, 24))
    np.testing.assert_array_equal(again.source("train")[0]["label"], grid(1, 0))


def test_a_list_of_colors_that_comes_later_is_obeyed(tmp_path):
    root = flat(tmp_path / "f", (5, 5, 5), (9, 9, 9))
    before = opened(root, tmp_path, (16, 24))
    np.testing.assert_array_equal(before.source("train")[0]["label"], grid(0, 1))
    (root / "classes.txt").write_text("nine 9 9 9\nfive 5 5 5\n")
    after = opened(root, tmp_path, (16, 24))
    np.testing.assert_array_equal(after.source("train")[0]["label"], grid(1, 0))


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([(480, 640)] * 3, (192, 256)),
        ([(640, 480)] * 3, (256, 192)),
        ([(100, 50), (50, 100), (70, 70)], (96, 96)),
        ([(3, 500)], (8, 256)),
        ([(30, 30)], (32, 32)),
    ],
)
def test_the_default_size(sizes, expected):
    assert folder.default_size(sizes) == expected


def test_padding_of_the_default_size_is_printed(tmp_path, capsys):
    for number in range(4):
        mask = grid(0, 1, shape=(36, 48))
        write_pair(tmp_path / "f" / "images", tmp_path / "f" / "masks", f"p{number}", mask)
    assert opened(tmp_path / "f", tmp_path).info.size == (40, 48)
    assert "scaled to 40x48 pixels (height x width), of which 10.0%" in capsys.readouterr().out
    opened(tmp_path / "f", tmp_path, (40, 48))
    opened(tmp_path / "f", tmp_path, keep_aspect=False)
    assert "padding" not in capsys.readouterr().out


def test_originals_have_their_own_sizes_and_files(tmp_path):
    root = tmp_path / "f"
    for number in range(4):
        mask = grid(7, 9, 255, shape=(20 + number, 31))
        write_pair(root / "images", root / "masks", f"p{number}", mask)
    dataset = opened(root, tmp_path, (8, 8))
    assert dataset.info.mask_values == (7, 9)
    assert dataset.info.ignored_value is None
    files = {pair.image.name: pair for listed in find(root).values() for pair in listed}
    for split, count in dataset.splits.items():
        originals = dataset.originals(split)
        assert len(originals) == len(originals[:count]) == count
        for image, label, paths in originals:
            assert paths == files[paths.image.name]
            np.testing.assert_array_equal(image, np.asarray(Image.open(paths.image)))
            np.testing.assert_array_equal(label, grid(0, 1, 255, shape=image.shape[:2]))
    with pytest.raises(ValueError, match=r"split='all' is not in folder"):
        dataset.originals("all")


def find(root):
    return folder.find_pairs(root, held_out=0.15, seed=0)


@pytest.mark.parametrize(
    ("values", "text", "expected"),
    [
        ((0, 1), "", ()),
        ((0, 255), "", (0, 255)),
        ((RED, GREEN), "red 200 0 0\ngreen 0 200 0\n", (RED, GREEN)),
    ],
)
def test_the_values_of_the_users_masks_are_kept(tmp_path, values, text, expected):
    root = flat(tmp_path / "f", *values)
    if text:
        (root / "classes.txt").write_text(text)
    assert opened(root, tmp_path, (8, 8)).info.mask_values == expected


def spoil_mask_missing(root):
    (root / "masks" / "p1.png").unlink()
    return r"the mask of the image '.*images/p1\.png' is missing, .*'p1' in '.*masks'"


def spoil_image_missing(root):
    (root / "images" / "p2.png").unlink()
    return r"the image of the mask '.*masks/p2\.png' is missing"


def spoil_mask_twice(root):
    Image.fromarray(grid(0, 1)).save(root / "masks" / "p1.tif")
    return r"masks/p1\.tif' is a second file of the stem 'p1'"


def spoil_unreadable(root):
    os.truncate(root / "images" / "p3.png", 200)
    return r"images/p3\.png' cannot be read as an image"


def spoil_size(root):
    Image.fromarray(grid(0, 1, shape=(9, 9))).save(root / "masks" / "p0.png")
    return r"masks/p0\.png' has \(9, 9\) pixels .*expected \(24, 16\)"


def spoil_many_values(root):
    gradient = np.arange(16 * 24).reshape(16, 24) % 100
    Image.fromarray(gradient.astype(np.uint8)).save(root / "masks" / "p0.png")
    return r"with '.*masks/p0\.png' the masks have 100 values, expected at most 64"


def spoil_one_value(root):
    flat(root, 0)
    return r"the masks' only value is 0, expected two classes"


def spoil_unlisted_value(root):
    (root / "classes.txt").write_text("a\nb\n")
    flat(root, 0, 1, 5)
    return r"'masks/p\d\.png' has the value 5, expected 0\.\.1 for the 2 classes listed"


def spoil_half_colored_list(root):
    (root / "classes.txt").write_text("a 1 2 3\nb\n")
    return r"classes\.txt' gives a color for some classes and none for 'b'"


def spoil_class_twice(root):
    (root / "classes.txt").write_text("a\nb\na\n")
    return r"classes\.txt' lists \['a'\] more than once"


def spoil_color_twice(root):
    (root / "classes.txt").write_text("a 1 2 3\nb 1 2 3\n")
    return r"gives the color \(1, 2, 3\) more than once"


def spoil_color_range(root):
    (root / "classes.txt").write_text("a 1 2 300\nb 1 2 3\n")
    return r"gives the color \(1, 2, 300\), expected red"


def spoil_few(root):
    for path in [*root.glob("*/p2.png"), *root.glob("*/p3.png")]:
        path.unlink()
    return r"there are 2 pairs .*expected at least 3"


def spoil_layout(root):
    (root / "masks").rename(root / "truth")
    return r"holds \['images', 'truth'\] and no train split.*images/ and masks/"


def spoil_two_kinds(root):
    (root / "labels").mkdir()
    return r"holds 'labels' and 'masks', expected one"


def spoil_no_images(root):
    for path in (root / "images").iterdir():
        path.rename(path.with_suffix(".heic"))
    return r"images' holds no file of \.png"


SPOILERS = [value for name, value in list(globals().items()) if name.startswith("spoil_")]


@pytest.mark.parametrize("spoil", SPOILERS)
def test_what_is_wrong_is_named(tmp_path, spoil):
    message = spoil(flat(tmp_path / "mine", 0, 1))
    with pytest.raises(ValueError, match=re.compile(message, re.DOTALL)):
        opened(tmp_path / "mine", tmp_path)
    assert not list(tmp_path.rglob("*array_record*"))


def test_a_validation_split_is_asked_for(tmp_path):
    write_pair(tmp_path / "train/images", tmp_path / "train/masks", "a", grid(0, 1))
    with pytest.raises(
        ValueError, match=r"(?s)no validation split.*train/images/ and train/masks/"
    ):
        opened(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_names": ("only",)}, r"lists 1 classes, expected 2 to 254"),
        ({"palette": (RED, GREEN)}, r"without class_names"),
        ({"class_names": ("a", "b"), "palette": (RED,)}, r"2 classes and palette 1 colors"),
        ({"size": (8, 0)}, r"size=\(8, 0\) is not valid"),
        ({"directory": None}, r"directory=None is not a folder.*images/ and masks/"),
        ({"directory": "/nowhere"}, r"directory='/nowhere' is not a folder"),
    ],
)
def test_bad_arguments_are_named(tmp_path, options, message):
    root = flat(tmp_path / "f", 0, 1)
    with pytest.raises(ValueError, match=re.compile(message, re.DOTALL)):
        opened(options.pop("directory", root), tmp_path, **options)


def test_images_without_a_pair_are_named(tmp_path, capsys):
    root = flat(tmp_path / "f", 0, 1)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(root / "alone.png")
    opened(root, tmp_path)
    assert "f: 1 image file is in no pair and not used: 'alone.png'\n" in capsys.readouterr().out
