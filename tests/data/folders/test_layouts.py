"""Every layout of folders that people use gives the right pairs, and one draw in all of them."""

import unicodedata

import numpy as np
import pytest
from PIL import Image

from jaxseg.data.folders import layouts, pairing
from jaxseg.data.images.image_files import FilePair


def write(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    return root


def pairs_of(root, **options):
    """The pairs of every split, as paths below the root."""
    found = layouts.find_pairs(root, **{"held_out": None, "seed": None} | options)
    return {
        split: {tuple(path.relative_to(root).as_posix() for path in pair) for pair in listed}
        for split, listed in found.items()
    }


def all_pairs(root, **options):
    return set.union(*pairs_of(root, **options).values())


def numbered(pattern, count=6):
    return [pattern.format(n) for n in range(count)]


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("images/{}.png", "masks/{}.png"),
        ("images/{}.jpg", "gt/{}.png"),
        ("Images/{}.tif", "Ground Truth/{}.png"),
        ("imgs/{}.npy", "labels/{}.npy"),
        ("images/{}.png", "annotations/{}_label.png"),
        ("images/{}_image.png", "masks/{}_mask.png"),
        ("images/site {}/a.png", "masks/site {}/a.png"),
        ("images/x/y{}/a.b.png", "masks/x/y{}/a.b_gt.png"),
        ("img_{}.png", "img_{}_mask.png"),
        ("img_{}.png", "img_{}-GT.tif"),
        ("{}_sat.jpg", "{}_mask.png"),
        ("{}.seg.png", "{}.seg_segmentation.png"),
        ("patient{}/slice.tif", "patient{}/slice_mask.tif"),
        ("images/{}.png", "images/{}_mask.png"),
        ("site {}/images/a.png", "site {}/masks/a.png"),
        ("JPEGImages/{}.jpg", "SegmentationClass/{}.png"),
        ("img_dir/{}.jpg", "ann_dir/{}.png"),
        ("img_{}.png", "mask_{}.png"),
        ("image_{}.jpg", "mask_{}.png"),
        ("img0{}.png", "mask0{}.png"),
        ("{}.png", "gt_{}.png"),
        ("a{}.b.png", "Mask-a{}.b.tif"),
        ("site/{}.png", "site/label {}.png"),
        ("images/img_{}.png", "masks/mask_{}.png"),
        ("images/{}.png", "masks/mask_{}.png"),
        ("images/mask_{}.png", "masks/mask_{}.png"),
        ("images/x/img_{}.png", "masks/x/mask_{}.png"),
    ],
)
def test_folders_without_splits(tmp_path, image, mask):
    write(tmp_path, *numbered(image), *numbered(mask))
    write(tmp_path, "._hidden.png", ".cache/a.png", "__MACOSX/images/._0.png", "notes.txt")
    assert all_pairs(tmp_path) == set(zip(numbered(image), numbered(mask), strict=True))


SPLIT = [
    ("{split}/images/{n}.png", "{split}/masks/{n}.png"),
    ("images/{split}/{n}.png", "gt/{split}/{n}_gt.png"),
    ("{split}/{n}.jpg", "{split}/{n}_mask.png"),
    ("{split}/a/{n}.jpg", "{split}/a/{n}_mask.png"),
    ("{split}/{n}.png", "{split}_labels/{n}.png"),
    ("{split}/{n}.png", "{split}annot/{n}.png"),
    ("{split}_images/{n}.png", "{split}-masks/{n}.png"),
]


@pytest.mark.parametrize(("image", "mask"), SPLIT)
@pytest.mark.parametrize("splits", [("train", "val", "test"), ("training", "valid")])
def test_folders_with_splits(tmp_path, image, mask, splits):
    for split in splits:
        for n in range(3):
            write(tmp_path, image.format(split=split, n=n), mask.format(split=split, n=n))
    found = pairs_of(tmp_path)
    assert list(found) == ["train", "validation", "test"][: len(splits)]
    for listed, split in zip(found.values(), splits, strict=True):
        assert listed == {
            (image.format(split=split, n=n), mask.format(split=split, n=n)) for n in range(3)
        }
    with pytest.raises(ValueError, match=r"held_out=0\.2 and seed=None have no effect"):
        pairs_of(tmp_path, held_out=0.2)


@pytest.mark.parametrize(("image", "mask"), SPLIT)
@pytest.mark.parametrize("splits", [("train", "test"), ("train",)])
def test_validation_is_drawn_from_training_where_it_is_missing(
    tmp_path, capsys, image, mask, splits
):
    for split in splits:
        for n in range(20):
            write(tmp_path, image.format(split=split, n=n), mask.format(split=split, n=n))
    found = pairs_of(tmp_path)
    assert {split: len(listed) for split, listed in found.items()} == {
        "train": 17,
        "validation": 3,
        **({"test": 20} if "test" in splits else {}),
    }
    assert "no validation split, so 3 of the 20 training images" in capsys.readouterr().out
    assert found["train"].isdisjoint(found["validation"])
    assert all(pair[0].startswith(("train", "images/train")) for pair in found["validation"])
    more = pairs_of(tmp_path, held_out=0.4, seed=1)
    assert len(more["validation"]) == 8
    assert more["validation"] != pairs_of(tmp_path, held_out=0.4)["validation"]


def test_a_partner_that_is_missing_is_named_in_every_layout(tmp_path):
    nested = write(tmp_path / "a", "images/x/1.png", "images/y/1.png", "masks/x/1.png")
    with pytest.raises(ValueError, match=r"mask of the image '.*images/y/1\.png' is missing"):
        pairs_of(nested)
    flat = write(tmp_path / "b", "1.png", "1_mask.png", "2.png")
    with pytest.raises(ValueError, match=r"mask of the image '.*2\.png' is missing"):
        pairs_of(flat)
    test = write(tmp_path / "c", "train/1.png", "train/1_mask.png", "test/images/1.png")
    with pytest.raises(ValueError, match=r"the folder '.*test/masks' is missing"):
        pairs_of(test)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["1.png", "gt_1.png", "1_mask.png"], r"gt_1\.png' is a second file of the stem '1'"),
        (["img_1.png", "1.jpg", "mask_1.png"], r"img_1\.png' is a second file of the stem '1'"),
        (
            ["images/1.png", "masks/gt_1.png", "masks/mask_1.png"],
            r"mask_1\.png' is a second file of the stem '1'",
        ),
        (["images/1.png", "masks/cat/1.png", "masks/dog/1.png"], r"1\.png' seems to have 2 masks"),
        (
            ["images/1.png", "images/2.png", "masks/1_cat.png", "masks/1_dog.png", "masks/2.png"],
            r"1\.png' seems to have 2 masks, such as '.*1_cat.png' and '.*1_dog.png'",
        ),
        (["a/images/1.png", "a/masks/x.png", "a/masks/y.png"], r"1\.png' seems to have 2 masks"),
    ],
)
def test_several_masks_or_images_of_one_name_are_refused(tmp_path, files, message):
    write(tmp_path, *files)
    with pytest.raises(ValueError, match=message):
        pairs_of(tmp_path)


NAMES = [f"Übersicht {n} é ṩ.png" for n in range(20)]


@pytest.mark.parametrize("folder", ["images", "images/Fläche"])
def test_pairs_and_splits_do_not_depend_on_the_form_of_unicode(tmp_path, folder):
    drawn = []
    for image_form in ("NFC", "NFD"):
        for mask_form in ("NFC", "NFD"):
            root = tmp_path / f"{image_form}-{mask_form}"
            for name in NAMES:
                write(root, unicodedata.normalize(image_form, f"{folder}/{name}"))
                mask = folder.replace("images", "masks")
                write(root, unicodedata.normalize(mask_form, f"{mask}/{name}"))
            found = layouts.find_pairs(root, held_out=None, seed=None)
            assert sum(map(len, found.values())) == 20
            for pair in (pair for listed in found.values() for pair in listed):
                assert len({unicodedata.normalize("NFC", path.name) for path in pair}) == 1
            drawn.append(
                {
                    split: [unicodedata.normalize("NFC", pair.image.name) for pair in listed]
                    for split, listed in found.items()
                }
            )
    assert all(one == drawn[0] for one in drawn)


def test_one_name_in_both_forms_is_refused(tmp_path):
    for form in ("NFC", "NFD"):
        write(tmp_path, unicodedata.normalize(form, "images/é.png"))
    write(tmp_path, "masks/é.png")
    if len(list((tmp_path / "images").iterdir())) == 1:
        pytest.skip("this file system keeps one form only")
    with pytest.raises(ValueError, match=r"is a second file of the stem"):
        pairs_of(tmp_path)


def test_a_draw_in_a_flat_folder_is_that_of_the_names_alone(tmp_path):
    files = [FilePair(tmp_path / f"{n}.png", tmp_path / f"{n}_mask.png") for n in range(20)]
    bare = pairing.hold_out(files, 5, seed=3)
    assert pairing.hold_out(files, 5, seed=3, folder=tmp_path) == bare
    assert {pair.image.stem for pair in bare[1]} == {"1", "10", "13", "0", "15"}


def test_nested_files_of_one_name_are_drawn_apart(tmp_path):
    for site in range(8):
        for n in range(8):
            write(tmp_path, f"images/{site}/{n}.png", f"masks/{site}/{n}.png")
    names = [pair[0].rsplit("/")[-1] for pair in pairs_of(tmp_path)["test"]]
    assert len(set(names)) > 3


def test_a_folder_within_a_split_keeps_its_pixels(tmp_path):
    from jaxseg import data

    for n in range(4):
        image = np.full((8, 8), 40 * n, np.uint8)
        for kind, pixels in (("", image), ("_mask", np.eye(8, dtype=np.uint8))):
            path = tmp_path / "f" / "site" / f"{n}{kind}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
    dataset = data.folder(tmp_path / "f", (8, 8), data_dir=tmp_path / "p")
    values = {int(e["image"][0, 0, 0]) for s in dataset.splits for e in dataset.source(s)}
    assert values == {0, 40, 80, 120}
