"""The images that an evaluation is about: a run's own, or those of another folder."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxseg import data
from jaxseg.commands.other_masks import other_mask_labels
from jaxseg.commands.run import Run
from jaxseg.data.folders.file_originals import FileOriginals
from jaxseg.data.folders.layouts import find_pairs, is_split
from jaxseg.data.images.orientation import MaskOrientation
from jaxseg.data.originals import Original, PreparedOriginals

ALL = "all"
"""The name that stands for all splits together."""


@dataclass(frozen=True)
class DataPlace:
    """Where the images lie that are evaluated.

    Attributes:
        directory: Another folder of images and masks, or the data set's own if it has been moved;
            None is where it was.
        data_dir: Where prepared data is kept; None is where it was.
        mask_orientation: Pixels that the masks of another folder were drawn on, where they have no
            orientation tag and their images bear one: "upright" or "stored".
    """

    directory: Path | None = None
    data_dir: Path | None = None
    mask_orientation: MaskOrientation = "unknown"


def open_examples(
    run: Run, place: DataPlace, split: str, *, prepared: bool
) -> dict[str, Sequence[Original]]:
    """Open the examples that are evaluated, by split.

    Args:
        run: The net.
        place: Where the images lie.
        split: A split, or "all".
        prepared: Take the examples at the size that they are prepared at, with their labels.

    Raises:
        ValueError: There is no such split; the folder or a file is missing or not as expected; or
            its classes are not those of the run.
    """
    if place.directory is not None and not is_run_folder(run, place.directory):
        if prepared:
            raise ValueError(
                f"prepared=True goes with the data of the run, not with {str(place.directory)!r}, "
                "which is not prepared: leave out --prepared, or --data.directory."
            )
        if run.info.name in ("folder", "mosaic"):
            orientation = place.mask_orientation
            examples = other_folder(run.info, place.directory, mask_orientation=orientation)
            chosen = _choose(examples, split)
            if split != ALL and not is_split(place.directory.expanduser()):
                total, count = (sum(map(len, each.values())) for each in (examples, chosen))
                print(
                    f"{count} of {total} images: a share was drawn, as {place.directory} is not "
                    "split; --split all takes all."
                )
            return chosen
    dataset = run.open_data(directory=place.directory, data_dir=place.data_dir)
    own: dict[str, Sequence[Original]] = {
        name: PreparedOriginals(dataset.source(name)) if prepared else dataset.originals(name)
        for name in dataset.splits
        if split in (ALL, name)
    }
    return own or _choose(dict.fromkeys(dataset.splits, ()), split)


def is_run_folder(run: Run, directory: Path) -> bool:
    """Tell whether a folder is the one that a run was trained on, perhaps moved.

    A folder elsewhere is that one if it has all of its files by name and some of them unchanged.

    Args:
        run: The net.
        directory: The folder.
    """
    saved = run.config["data"].get("directory")
    if saved is not None and directory.expanduser().resolve() == Path(saved).expanduser().resolve():
        return True
    return run.lists.are_held_by(directory.expanduser())


def other_folder(
    info: data.DatasetInfo, directory: Path, *, mask_orientation: MaskOrientation = "unknown"
) -> dict[str, FileOriginals]:
    """Open another folder of images and masks than that of training.

    Its list of classes says what the values of its masks mean; without one, they mean what they
    meant in training.

    Args:
        info: What the net was trained on.
        directory: The folder.
        mask_orientation: Pixels that masks without an orientation tag were drawn on, where their
            images bear one.

    Raises:
        ValueError: The folder is not laid out as a data set, lists other classes, or has masks
            whose meaning is open.
    """
    root = directory.expanduser()
    if not root.is_dir():
        raise ValueError(f"directory={str(root)!r} is not a folder: correct --data.directory.")
    pairs = find_pairs(root, held_out=None, seed=None)
    labels, colored = other_mask_labels(info, root, pairs)
    return {
        split: FileOriginals(
            listed_pairs,
            labels,
            colored=colored,
            channels=info.channels,
            dtype=info.dtype,
            mask_orientation=mask_orientation,
        )
        for split, listed_pairs in pairs.items()
    }


def _choose(
    examples: Mapping[str, Sequence[Original]], split: str
) -> dict[str, Sequence[Original]]:
    if split == ALL:
        return dict(examples)
    if split not in examples:
        raise ValueError(
            f"split={split!r} is not in the data, expected one of {[*examples, ALL]}: give one of "
            "these by --split."
        )
    return {split: examples[split]}
