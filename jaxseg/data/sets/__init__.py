"""The data sets, a file each, and the one way to all of them: `load`.

To add one, say `squares`, write `jaxseg/data/sets/squares.py` with its classes, its colors, how
its folder is laid out and how to get it, and one public function:

    from jaxseg.data.folders.directories import DownloadHint, find_directory
    from jaxseg.data.folders.file_pairs import FilePairs
    from jaxseg.data.images.normalization import IMAGENET_MEAN, IMAGENET_STD
    from jaxseg.data.folders.pairing import list_files, pair_files, without_suffix
    from jaxseg.data.dataset import Dataset

    CLASSES = {"background": (0, 0, 0), "square": (240, 200, 0)}
    _HINT = DownloadHint(
        name="squares",
        title="the squares",
        layout="the folder must hold train/ and validation/, with N.jpg and N_mask.png in each",
        commands="git clone https://example.org/squares && export JAXSEG_SQUARES=$PWD/squares",
    )

    def squares(*, size=(64, 64), directory=None, crops=False, data_dir=None) -> Dataset:
        root = find_directory(directory, _HINT)
        pairs = {}
        for split in ("train", "validation"):
            images = list_files(root / split, (".jpg",), _HINT.text)
            masks = list_files(root / split, (".png",), _HINT.text)
            pairs[split] = pair_files(images, masks, mask_key=lambda p: without_suffix(p.stem))
        return FilePairs(
            name="squares",
            root=root,
            pairs=pairs,
            labels={0: 0, 1: 1, 255: 255},
            class_names=tuple(CLASSES),
            palette=tuple(CLASSES.values()),
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
        ).prepare(size, crops=crops, data_dir=data_dir)

and enter it in `SETS` below: no other file knows it. The function takes `size`, `directory`,
`crops` and `data_dir` by name, and refuses what it cannot take with a `ValueError` that says what
to do. The parts of the example are in `jaxseg.data`: `directories` finds the folder, `pairing`
lists its files and pairs them, `file_pairs` says what the masks mean and prepares the files at one
size, or at their own for crops. A data set that is drawn rather than read returns `prepare(recipe)`
instead, as `mosaic.py` does.

The reader is not asked to check more than the layout: every file is opened while the data set is
prepared, and a mask with a value that `labels` does not list is refused by name.
"""

import difflib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxseg.data.dataset import Dataset
from jaxseg.data.images.image_files import FilePair
from jaxseg.data.images.orientation import MaskOrientation
from jaxseg.data.sets import ade20k, camvid, cityscapes, folder, mosaic, oxford_pet, voc

SETS: dict[str, Callable[..., Dataset]] = {
    "mosaic": mosaic.mosaic,
    "camvid": camvid.camvid,
    "cityscapes": cityscapes.cityscapes,
    "oxford_pet": oxford_pet.oxford_pet,
    "voc": voc.voc,
    "ade20k": ade20k.ade20k,
    "folder": folder.folder,
}
"""The function that opens each data set, by its name."""


def load(
    name: str,
    size: int | tuple[int, int] | None = None,
    directory: str | os.PathLike[str] | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    mask_orientation: MaskOrientation | None = None,
    crops: bool = False,
    held_out: float | None = None,
    seed: int | None = None,
    pairs: Mapping[str, Sequence[FilePair]] | None = None,
) -> Dataset:
    """Opens any data set by its name.

    Options that only one data set has, such as `augmented` of `voc`, are those of its own function.

    Args:
        name: A key of `SETS`.
        size: Height and width in pixels; by default the data set's own choice.
        directory: The folder of its files. By default an environment variable names it, such as
            JAXSEG_CAMVID; `"folder"` always needs it, and `"mosaic"` has none.
        data_dir: The root of prepared data sets; by default the environment variable
            `TFDS_DATA_DIR`, else `tensorflow_datasets` in the home directory.
        mask_orientation: Pixels that the masks of `"folder"` without an orientation tag were drawn
            on; None refuses the pairs where it makes a difference.
        crops: Keep the images at their own sizes, to train on random crops of `size`.
        held_out: Share of `"folder"` that makes the validation split, and the test split, where
            the folder is not split; None is 0.15.
        seed: Seed of that draw; None is 0.
        pairs: The files of every split of `"folder"`, instead of those that it holds now.

    Raises:
        ValueError: The name is unknown; the data set does not take what is given; its folder is
            not found or not as expected; or `data_dir` cannot be written to.
    """
    if name not in SETS:
        close = difflib.get_close_matches(name, SETS, n=1)
        remedy = f"did you mean {close[0]!r}?" if close else "give one of these names"
        raise ValueError(f"name={name!r} is no data set, expected one of {list(SETS)}: {remedy}")
    folder_options = {
        "held_out": held_out,
        "seed": seed,
        "pairs": pairs,
        "mask_orientation": mask_orientation,
    }
    options: dict[str, Any] = {k: v for k, v in folder_options.items() if v is not None}
    if options and name != "folder":
        flags = ", ".join(f"--data.{key.replace('_', '-')}" for key in options)
        raise ValueError(
            f"{' and '.join(options)} have no effect on {name}, expected them for name='folder' "
            f"alone: leave them out ({flags})"
        )
    if size is not None:
        options["size"] = size
    if crops:
        if name == "mosaic":
            raise ValueError(
                "crops=True has no effect on the mosaic, which is drawn at its size, expected it "
                "for images that are read from files: leave it out (--data.crops)"
            )
        options["crops"] = True
    return SETS[name](directory=directory, data_dir=data_dir, **options)
