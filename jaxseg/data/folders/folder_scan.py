"""Looks at all files of a folder, and notes what is wrong with each instead of stopping there."""

import contextlib
import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxseg.data.folders.image_pairs import read_stored_pair
from jaxseg.data.folders.layouts import MASK_FOLDERS
from jaxseg.data.folders.pairing import IMAGE_SUFFIXES, walk_files, without_prefix, without_suffix
from jaxseg.data.images.image_files import FilePair, read_image, read_orientation
from jaxseg.data.images.orientation import MaskOrientation
from jaxseg.data.images.repeated_pictures import RepeatedPictures
from jaxseg.data.masks.mask_files import read_mask
from jaxseg.data.masks.mask_survey import MaskSurvey
from jaxseg.data.masks.stored_masks import StoredMask
from jaxseg.progress import progress_bar


@dataclasses.dataclass
class FolderScan:
    """Contents of the files of a folder, as far as they can be read.

    Attributes:
        masks: What all readable masks hold.
        pictures: The pictures by their pixels.
        orientations: For each value of the orientation tag other than 1 and each kind of file,
            `"images"` or `"masks"`, the files that bear it.
        problems: What is wrong with single files.
    """

    masks: MaskSurvey = dataclasses.field(default_factory=MaskSurvey)
    pictures: RepeatedPictures = dataclasses.field(default_factory=RepeatedPictures)
    orientations: dict[tuple[int, str], list[str]] = dataclasses.field(default_factory=dict)
    problems: list[str] = dataclasses.field(default_factory=list)

    def add_orientation(self, orientation: int, kind: str, file: str) -> None:
        """Takes note of an orientation tag.

        Args:
            orientation: Its value.
            kind: `"images"` or `"masks"`.
            file: The file that bears it.
        """
        if orientation != 1:
            self.orientations.setdefault((orientation, kind), []).append(file)


def scan_pairs(
    root: Path,
    pairs: Mapping[str, Sequence[FilePair]],
    mask_orientation: MaskOrientation = "unknown",
) -> FolderScan:
    """Reads all pairs of a folder.

    Args:
        root: The folder.
        pairs: The pairs of every split.
        mask_orientation: Pixels that masks without an orientation tag were drawn on.
    """
    scan = FolderScan()
    flat = [(split, pair) for split, listed in pairs.items() for pair in listed]
    for split, pair in progress_bar(flat, desc="looking at all files"):
        image, mask = _read(scan, pair, mask_orientation)
        name = pair.image.relative_to(root).as_posix()
        if image is not None:
            scan.pictures.add(np.asarray(image), split, name)
        scan.add_orientation(_orientation(pair.image), "images", name)
        if mask is not None:
            _add_mask(scan, mask, pair.mask.relative_to(root).as_posix())
    return scan


def scan_masks(root: Path, files: Sequence[Path]) -> FolderScan:
    """Reads mask files whose images are not known.

    Args:
        root: The folder.
        files: The files.
    """
    scan = FolderScan()
    for path in progress_bar(files, desc="looking at all masks"):
        try:
            _add_mask(scan, read_mask(path), path.relative_to(root).as_posix())
        except ValueError as error:
            scan.problems.append(str(error))
    return scan


def find_masks(root: Path) -> list[Path]:
    """Returns the files of a folder that look like masks, by their names or their folders'.

    Args:
        root: The folder.
    """
    return [
        path
        for path in _visible_files(root)
        if path.suffix.lower() in IMAGE_SUFFIXES
        and (
            without_suffix(without_prefix(path.stem)) != path.stem
            or any(part.lower() in MASK_FOLDERS for part in path.relative_to(root).parts[:-1])
        )
    ]


def list_contents(root: Path) -> dict[str, dict[str, int]]:
    """Counts the files of each folder by their endings.

    Args:
        root: The folder.

    Returns:
        For each folder below `root`, itself included as `"."`, the number of files of each ending.
    """
    contents: dict[str, Counter[str]] = {}
    for path in _visible_files(root):
        folder = path.parent.relative_to(root).as_posix()
        contents.setdefault(folder, Counter())[path.suffix.lower() or path.name] += 1
    return {folder: dict(endings) for folder, endings in contents.items()}


def _visible_files(root: Path) -> Iterator[Path]:
    return (path for path in walk_files(root) if path.is_file())


def _read(
    scan: FolderScan, pair: FilePair, mask_orientation: MaskOrientation
) -> tuple[np.ndarray | None, StoredMask | None]:
    """Reads a pair, or whichever of its files can be read where they do not fit."""
    try:
        return read_stored_pair(pair, mask_orientation=mask_orientation)
    except ValueError as error:
        scan.problems.append(str(error))
    image, mask = None, None
    with contextlib.suppress(ValueError):
        image = read_image(pair.image)
    with contextlib.suppress(ValueError):
        mask = read_mask(pair.mask)
    return image, mask


def _add_mask(scan: FolderScan, mask: StoredMask, file: str) -> None:
    scan.add_orientation(mask.orientation, "masks", file)
    try:
        scan.masks.add(mask, file)
    except ValueError as error:
        if str(error) not in scan.problems:
            scan.problems.append(str(error))


def _orientation(path: Path) -> int:
    try:
        return read_orientation(path)
    except ValueError:  # it is named when it is read
        return 1
