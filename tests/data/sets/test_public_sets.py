"""The public data sets, read from trees of a few small files laid out as the official ones."""

import numpy as np
import pytest
from PIL import Image

from jaxseg import data
from jaxseg.data.images.normalization import IMAGENET_MEAN, IMAGENET_STD
from jaxseg.data.sets import ade20k, cityscapes, oxford_pet, voc

READERS = {
    "oxford_pet": data.oxford_pet,
    "cityscapes": data.cityscapes,
    "voc": data.voc,
    "ade20k": data.ade20k,
}
SHAPE = (12, 16)


def write(root, image, mask, values):
    for path in (root / image, root / mask):
        path.parent.mkdir(parents=True, exist_ok=True)
    height, width = SHAPE
    pixels = np.random.default_rng(len(image)).integers(256, size=(height, width, 3))
    Image.fromarray(pixels.astype(np.uint8)).save(root / image)
    label = np.resize(np.array(values, np.uint8), SHAPE)
    Image.fromarray(label).save(root / mask)


def oxford_pet_tree(root):
    names = {"trainval": [f"Abyssinian_{n}" for n in range(10)], "test": ["pug_1", "pug_2"]}
    for name, stems in names.items():
        for stem in stems:
            write(root, f"images/{stem}.jpg", f"annotations/trimaps/{stem}.png", [1, 2, 3])
            (root / f"annotations/trimaps/._{stem}.png").write_text("not a mask")
        lines = ["# Image CLASS-ID SPECIES BREED ID", *(f"{stem} 1 1 1" for stem in stems)]
        (root / "annotations" / f"{name}.txt").write_text("\n".join(lines))
    return {"train": 8, "validation": 2, "test": 2}, {1: 1, 2: 0, 3: 255}


def cityscapes_tree(root):
    for split, cities in (("train", ("aachen", "bochum")), ("val", ("lindau",)), ("test", ("x",))):
        for city in cities:
            stem = f"{city}_000000_000019"
            write(
                root,
                f"leftImg8bit/{split}/{city}/{stem}_leftImg8bit.png",
                f"gtFine/{split}/{city}/{stem}_gtFine_labelIds.png",
                range(34),
            )
            other = root / f"gtFine/{split}/{city}/{stem}_gtFine_instanceIds.png"
            Image.new("I;16", SHAPE[::-1], 26000).save(other)
    ids = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
    return {"train": 2, "validation": 1}, {id_: label for label, id_ in enumerate(ids)}


def voc_tree(root):
    base = root / "VOCdevkit" / "VOC2012"
    lists = base / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for name, stems in (("train", ("2007_1", "2007_2")), ("val", ("2007_3",))):
        for stem in stems:
            write(
                base, f"JPEGImages/{stem}.jpg", f"SegmentationClass/{stem}.png", [*range(21), 255]
            )
        (lists / f"{name}.txt").write_text("\n".join(stems) + "\n")
    return {"train": 2, "validation": 1}, {value: value for value in range(21)}


def ade20k_tree(root):
    base = root / "ADEChallengeData2016"
    for split, stems in (
        ("training", ("ADE_train_1", "ADE_train_2")),
        ("validation", ("ADE_v_1",)),
    ):
        for stem in stems:
            write(base, f"images/{split}/{stem}.jpg", f"annotations/{split}/{stem}.png", range(151))
    rows = ["Idx\tRatio\tTrain\tVal\tStuff\tName"]
    rows += [f"{n}\t0.1\t1\t1\t0\tthing {n} , another name" for n in range(1, 151)]
    (base / "objectInfo150.txt").write_text("\n".join(rows) + "\n")
    return {"train": 2, "validation": 1}, {value: value - 1 for value in range(1, 151)}


TREES = {
    "oxford_pet": oxford_pet_tree,
    "cityscapes": cityscapes_tree,
    "voc": voc_tree,
    "ade20k": ade20k_tree,
}
VALUES = {"oxford_pet": [1, 2, 3], "cityscapes": range(34), "voc": [*range(21), 255]}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    for name in READERS:
        monkeypatch.delenv(f"JAXSEG_{name.upper()}", raising=False)


@pytest.mark.parametrize("name", READERS)
def test_splits_and_labels_are_as_published(tmp_path, name):
    splits, labels = TREES[name](tmp_path / "official")
    dataset = READERS[name](size=SHAPE, directory=tmp_path / "official", data_dir=tmp_path / "p")
    assert dataset.splits == splits
    info = dataset.info
    assert info.name == name
    assert info.classes == len(info.palette) == len(set(info.palette))
    assert info.classes == len(set(labels.values()) - {255})
    assert (info.mean, info.std) == (IMAGENET_MEAN, IMAGENET_STD)
    written = np.resize(np.array(VALUES.get(name, range(151)), np.uint8), SHAPE)
    expected = np.vectorize(lambda value: labels.get(value, 255))(written)
    for split in splits:
        np.testing.assert_array_equal(dataset.source(split)[0]["label"], expected)


@pytest.mark.parametrize("name", READERS)
def test_images_can_keep_their_own_sizes_for_crops(tmp_path, name):
    splits, _ = TREES[name](tmp_path / "raw")
    place = {"directory": tmp_path / "raw", "data_dir": tmp_path / "prepared"}
    dataset = data.load(name, (6, 8), crops=True, **place)
    assert (dataset.info.size, dataset.info.crops, dataset.splits) == ((6, 8), True, splits)
    resized = READERS[name](size=SHAPE, **place)
    for split, count in splits.items():
        source = dataset.source(split)
        assert source.sizes == (SHAPE,) * count
        for one, two in zip(source, resized.source(split), strict=True):
            np.testing.assert_array_equal(one["image"], two["image"])
            np.testing.assert_array_equal(one["label"], two["label"])


@pytest.mark.parametrize("name", READERS)
def test_where_the_folder_is_missing_the_way_to_it_is_told(tmp_path, name, monkeypatch):
    def told(**options):
        with pytest.raises(ValueError, match=f"JAXSEG_{name.upper()}") as raised:
            READERS[name](data_dir=tmp_path, **options)
        return str(raised.value)

    for message in (told(), told(directory=tmp_path / "nowhere")):
        assert "the folder must hold" in message
        assert "\n" not in message
        assert "http" in message
        assert f"export JAXSEG_{name.upper()}=" in message
    monkeypatch.setenv(f"JAXSEG_{name.upper()}", str(tmp_path))
    with pytest.raises(ValueError, match=r"is missing.*"):
        READERS[name](data_dir=tmp_path / "p")
    TREES[name](tmp_path)
    assert READERS[name](size=(6, 8), data_dir=tmp_path / "p").info.size == (6, 8)


@pytest.mark.parametrize("name", READERS)
def test_a_missing_mask_is_named(tmp_path, name):
    TREES[name](tmp_path)
    inside = {"oxford_pet": "trimaps", "cityscapes": "gtFine/train"}.get(name, "nnotation")
    inside = "SegmentationClass" if name == "voc" else inside
    masks = [path for path in sorted(tmp_path.rglob("*.png")) if inside in str(path)]
    lost = next(path for path in masks if path.name[0] != "." and "instance" not in path.name)
    lost.unlink()
    with pytest.raises(ValueError, match=r"is missing") as raised:
        READERS[name](size=(6, 8), directory=tmp_path, data_dir=tmp_path / "p")
    assert lost.stem.removesuffix("_gtFine_labelIds") in str(raised.value)


def test_pets_held_out_are_other_pets_and_the_same_each_time(tmp_path):
    oxford_pet_tree(tmp_path)

    def stems(split, share=0.3):
        pairs = oxford_pet.file_pairs(tmp_path, share).pairs
        return {pair.image.stem for pair in pairs[split]}

    assert stems("train") | stems("validation") == {f"Abyssinian_{n}" for n in range(10)}
    assert len(stems("validation")) == 3
    assert stems("validation") == stems("validation")
    with pytest.raises(ValueError, match=r"held_out=1\.5 is out of range"):
        stems("train", 1.5)


def test_voc_augmented_has_its_own_masks_and_either_name_of_its_list(tmp_path):
    voc_tree(tmp_path)
    base = tmp_path / "VOCdevkit" / "VOC2012"
    for stem in ("2007_1", "2008_9"):
        write(base, f"JPEGImages/{stem}.jpg", f"SegmentationClassAug/{stem}.png", [0, 7])
    line = "/JPEGImages/{0}.jpg /SegmentationClassAug/{0}.png\n"
    text = "".join(line.format(stem) for stem in ("2007_1", "2008_9"))
    for name in ("trainaug.txt", "train_aug.txt"):
        (base / "ImageSets" / "Segmentation" / name).write_text(text)
        dataset = data.voc(size=SHAPE, directory=base, augmented=True, data_dir=tmp_path / "p")
        assert dataset.splits == {"train": 2, "validation": 1}
        assert set(np.unique(dataset.source("train")[0]["label"])) == {0, 7}
        (base / "ImageSets" / "Segmentation" / name).unlink()


def test_ade20k_is_named_by_its_own_file_or_by_numbers(tmp_path):
    ade20k_tree(tmp_path)
    path = tmp_path / "ADEChallengeData2016" / "objectInfo150.txt"
    names = ade20k.class_names(path)
    assert (names[0], names[149]) == ("thing 1", "thing 150")
    path.write_text("Idx\tName\n1\twall\n")
    with pytest.raises(ValueError, match=r"objectInfo150\.txt' names 1 classes in 1 rows"):
        ade20k.class_names(path)
    path.unlink()
    assert ade20k.class_names(path)[149] == "class 149"


def test_cityscapes_has_the_training_classes_of_its_scripts():
    """From the table `labels` of cityscapesScripts: id, name, red, green and blue by train id."""
    table = """
    7 128 64 128 road
    8 244 35 232 sidewalk
    11 70 70 70 building
    12 102 102 156 wall
    13 190 153 153 fence
    17 153 153 153 pole
    19 250 170 30 traffic light
    20 220 220 0 traffic sign
    21 107 142 35 vegetation
    22 152 251 152 terrain
    23 70 130 180 sky
    24 220 20 60 person
    25 255 0 0 rider
    26 0 0 142 car
    27 0 0 70 truck
    28 0 60 100 bus
    31 0 80 100 train
    32 0 0 230 motorcycle
    33 119 11 32 bicycle
    """
    rows = [
        f"{id_} {red} {green} {blue} {name}"
        for name, (id_, (red, green, blue)) in cityscapes.CLASSES.items()
    ]
    assert rows == [line.strip() for line in table.strip().splitlines()]


def test_voc_has_the_classes_of_the_challenge_in_their_order():
    names = "background,aeroplane,bicycle,bird,boat,bottle,bus,car,cat,chair,cow,dining table,dog,"
    names += "horse,motorbike,person,potted plant,sheep,sofa,train,tv/monitor"
    assert list(voc.CLASSES) == names.split(",")
