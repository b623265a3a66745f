"""Oxford-IIIT Pet, PASCAL VOC and ADE20K: their classes, and their files in the user's folders."""

from pathlib import Path

from jaxseg.data import homes, pairing, palettes
from jaxseg.data.file_pairs import Scenes
from jaxseg.data.image_files import IGNORED

VOC_CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "dining table",
    "dog",
    "horse",
    "motorbike",
    "person",
    "potted plant",
    "sheep",
    "sofa",
    "train",
    "tv/monitor",
)
ADE20K_CLASSES = 150
ADE20K_NAMES = "objectInfo150.txt"


def oxford_pet_scenes(
    directory: Path, held_out: float, mean: tuple[float, ...], std: tuple[float, ...]
) -> Scenes:
    """The 7349 cats and dogs; the trimaps' 1 is the pet, 2 the background, 3 unclassified.

    Source: Parkhi, Vedaldi, Zisserman and Jawahar, "Cats and dogs", CVPR 2012.

    Raises:
        ValueError: The folder is not laid out as expected, or `held_out` is no share.
    """
    if not 0 < held_out < 1:
        raise ValueError(
            f"held_out={held_out!r} is out of range, expected a share between 0 and 1 of the "
            "training images, for validation: pass for example 0.15"
        )

    def listed(name: str) -> list:
        return pairing.read_list(
            directory / "annotations" / name,
            lambda stem: directory / "images" / f"{stem}.jpg",
            lambda stem: directory / "annotations" / "trimaps" / f"{stem}.png",
            homes.OXFORD_PET.help,
        )

    known = listed("trainval.txt")
    train, validation = pairing.hold_out(known, max(1, round(held_out * len(known))))
    return Scenes(
        name="oxford_pet",
        root=directory,
        files={"train": train, "validation": validation, "test": listed("test.txt")},
        labels={2: 0, 1: 1, 3: IGNORED},
        class_names=("background", "pet"),
        palette=(palettes.BACKGROUND, *palettes.distinct(1)),
        mean=mean,
        std=std,
    )


def voc_scenes(
    directory: Path, augmented: bool, mean: tuple[float, ...], std: tuple[float, ...]
) -> Scenes:
    """The 1464 training (10582 if augmented) and 1449 validation images, 21 classes.

    Source: Everingham et al., "The PASCAL visual object classes challenge: a retrospective",
    International Journal of Computer Vision, 2015. Augmented: Hariharan et al., "Semantic contours
    from inverse detectors", ICCV 2011.

    Raises:
        ValueError: The folder is not laid out as expected.
    """
    lists = Path("ImageSets") / "Segmentation"
    inside = ("VOC2012", "VOCdevkit/VOC2012")
    root = pairing.find_inside(directory, inside, lists.as_posix(), homes.VOC)

    def listed(name: str, masks: str) -> list:
        return pairing.read_list(
            root / lists / name,
            lambda stem: root / "JPEGImages" / f"{stem}.jpg",
            lambda stem: root / masks / f"{stem}.png",
            homes.VOC.help,
        )

    if augmented:
        other = (root / lists / "train_aug.txt").is_file()
        train = listed("train_aug.txt" if other else "trainaug.txt", "SegmentationClassAug")
    else:
        train = listed("train.txt", "SegmentationClass")
    classes = {label: label for label in range(len(VOC_CLASSES))}
    return Scenes(
        name="voc",
        root=root,
        files={"train": train, "validation": listed("val.txt", "SegmentationClass")},
        labels={**classes, IGNORED: IGNORED},
        class_names=VOC_CLASSES,
        palette=palettes.bits(len(VOC_CLASSES)),
        mean=mean,
        std=std,
    )


def ade20k_scenes(directory: Path, mean: tuple[float, ...], std: tuple[float, ...]) -> Scenes:
    """The 20210 training and 2000 validation images of SceneParse150; 0 is no class.

    Source: Zhou et al., "Scene parsing through ADE20K dataset", CVPR 2017.

    Raises:
        ValueError: The folder is not laid out as expected.
    """
    home = homes.ADE20K
    root = pairing.find_inside(directory, ("ADEChallengeData2016",), "annotations", home)
    files = {}
    for split, folder in (("train", "training"), ("validation", "validation")):
        images = pairing.list_files(root / "images" / folder, (".jpg",), home.help)
        masks = pairing.list_files(root / "annotations" / folder, (".png",), home.help)
        files[split] = pairing.pair(images, masks)
    return Scenes(
        name="ade20k",
        root=root,
        files=files,
        labels={0: IGNORED} | {label + 1: label for label in range(ADE20K_CLASSES)},
        class_names=ade20k_names(root / ADE20K_NAMES),
        palette=palettes.distinct(ADE20K_CLASSES),
        mean=mean,
        std=std,
    )


def ade20k_names(path: Path) -> tuple[str, ...]:
    """The first name of each of the 150 classes in objectInfo150.txt; numbers where it is not.

    Raises:
        ValueError: The file is there and does not name 150 classes.
    """
    if not path.is_file():
        return tuple(f"class {label}" for label in range(ADE20K_CLASSES))
    rows = [line.split("\t") for line in path.read_text().splitlines() if line.strip()]
    names = tuple(row[-1].split(",")[0].strip() for row in rows[1:])  # the first row is the heads
    if len(set(names)) != ADE20K_CLASSES or len(names) != ADE20K_CLASSES:
        raise ValueError(
            f"{str(path)!r} names {len(set(names))} classes in {len(names)} rows, expected "
            f"{ADE20K_CLASSES} of tab-separated columns: copy it again, or remove it"
        )
    return names
