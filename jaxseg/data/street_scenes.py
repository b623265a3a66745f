"""CamVid and Cityscapes: their classes, and their files in the folders that the user has."""

from pathlib import Path

from jaxseg.data import homes, pairing
from jaxseg.data.file_pairs import Scenes
from jaxseg.data.image_files import IGNORED

CAMVID_CLASSES = {
    "sky": (128, 128, 128),
    "building": (128, 0, 0),
    "pole": (192, 192, 128),
    "road": (128, 64, 128),
    "pavement": (60, 40, 222),
    "tree": (128, 128, 0),
    "sign": (192, 128, 128),
    "fence": (64, 64, 128),
    "car": (64, 0, 128),
    "pedestrian": (64, 64, 0),
    "bicyclist": (0, 128, 192),
}
CAMVID_UNLABELLED = 11

# Name: (id in *_labelIds.png, colour), in the order of the training ids, as in the table `labels`
# of cityscapesScripts. Every other id is ignored in training and in evaluation.
CITYSCAPES_CLASSES = {
    "road": (7, (128, 64, 128)),
    "sidewalk": (8, (244, 35, 232)),
    "building": (11, (70, 70, 70)),
    "wall": (12, (102, 102, 156)),
    "fence": (13, (190, 153, 153)),
    "pole": (17, (153, 153, 153)),
    "traffic light": (19, (250, 170, 30)),
    "traffic sign": (20, (220, 220, 0)),
    "vegetation": (21, (107, 142, 35)),
    "terrain": (22, (152, 251, 152)),
    "sky": (23, (70, 130, 180)),
    "person": (24, (220, 20, 60)),
    "rider": (25, (255, 0, 0)),
    "car": (26, (0, 0, 142)),
    "truck": (27, (0, 0, 70)),
    "bus": (28, (0, 60, 100)),
    "train": (31, (0, 80, 100)),
    "motorcycle": (32, (0, 0, 230)),
    "bicycle": (33, (119, 11, 32)),
}
_CITYSCAPES_IDS = 34


def camvid_scenes(directory: Path) -> Scenes:
    """The 701 frames of the SegNet split, all of one size.

    Source: Brostow, Fauqueur and Cipolla, "Semantic object classes in video: a high-definition
    ground truth database", Pattern Recognition Letters, 2009. Split and classes: Badrinarayanan,
    Kendall and Cipolla, "SegNet: a deep convolutional encoder-decoder architecture for image
    segmentation", 2015.

    Raises:
        ValueError: The folder is not laid out as expected.
    """
    hint = homes.CAMVID.help
    files = {}
    for split, folder in (("train", "train"), ("validation", "val"), ("test", "test")):
        frames = pairing.list_files(directory / folder, (".png", ".jpg", ".jpeg"), hint)
        masks = pairing.list_files(directory / f"{folder}annot", (".png",), hint)
        files[split] = pairing.pair(frames, masks)
    return Scenes(
        name="camvid",
        root=directory,
        files=files,
        labels={**_identity(len(CAMVID_CLASSES)), CAMVID_UNLABELLED: IGNORED},
        class_names=tuple(CAMVID_CLASSES),
        palette=tuple(CAMVID_CLASSES.values()),
        # Of the 367 training frames at 480 × 360.
        mean=(0.4116, 0.4249, 0.4322),
        std=(0.3068, 0.3114, 0.3069),
        keep_aspect=False,
    )


def cityscapes_scenes(directory: Path, mean: tuple[float, ...], std: tuple[float, ...]) -> Scenes:
    """The 2975 training and 500 validation frames with fine annotations, 19 classes.

    Source: Cordts et al., "The Cityscapes dataset for semantic urban scene understanding", CVPR
    2016, arXiv:1604.01685.

    Raises:
        ValueError: The folder is not laid out as expected.
    """
    hint = homes.CITYSCAPES.help
    images, masks = "_leftImg8bit", "_gtFine_labelIds"
    files = {}
    for split, folder in (("train", "train"), ("validation", "val")):
        files[split] = pairing.pair(
            pairing.list_files(
                directory / "leftImg8bit" / folder, (".png",), hint, pattern=f"*/*{images}.png"
            ),
            pairing.list_files(
                directory / "gtFine" / folder, (".png",), hint, pattern=f"*/*{masks}.png"
            ),
            image_key=lambda path: path.stem.removesuffix(images),
            mask_key=lambda path: path.stem.removesuffix(masks),
        )
    ids = dict.fromkeys(range(_CITYSCAPES_IDS), IGNORED) | {IGNORED: IGNORED}
    ids |= {number: label for label, (number, _) in enumerate(CITYSCAPES_CLASSES.values())}
    return Scenes(
        name="cityscapes",
        root=directory,
        files=files,
        labels=ids,
        class_names=tuple(CITYSCAPES_CLASSES),
        palette=tuple(colour for _, colour in CITYSCAPES_CLASSES.values()),
        mean=mean,
        std=std,
    )


def _identity(classes: int) -> dict[int, int]:
    return {label: label for label in range(classes)}
