"""The files that a run was trained and validated on, by name and by what they held."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from jaxseg import files
from jaxseg.data.dataset import Dataset
from jaxseg.data.images.image_files import FilePair
from jaxseg.progress import progress_bar


class ListedPair(NamedTuple):
    """An image and its mask as they were when they were listed.

    Attributes:
        image: Path of the image below the data set's folder, with forward slashes.
        mask: Path of the mask, likewise.
        image_sha256: SHA-256 of the image file.
        mask_sha256: SHA-256 of the mask file.
    """

    image: str
    mask: str
    image_sha256: str
    mask_sha256: str


class Change(NamedTuple):
    """A listed file that is not what it was.

    Attributes:
        split: The split that the file belongs to.
        path: The file.
        missing: The file is gone; otherwise its content differs.
    """

    split: str
    path: Path
    missing: bool


@dataclass(frozen=True)
class FileLists:
    """The files of every split of a data set.

    Attributes:
        root: The data set's folder when the files were listed; None for a data set that is drawn.
        splits: The pairs of every split, in the order of its examples.
    """

    root: Path | None
    splits: Mapping[str, Sequence[ListedPair]]

    @classmethod
    def of(cls, dataset: Dataset) -> "FileLists":
        """Read all files of a data set and list them.

        Args:
            dataset: The data set.

        Raises:
            OSError: A file cannot be read.
        """
        root = dataset.root
        if root is None:
            return cls(None, {})
        root = root.absolute()
        paths = [path for pairs in dataset.pairs.values() for pair in pairs for path in pair]
        digests = {path: files.sha256(path) for path in _progress(paths)}
        return cls(
            root,
            {
                split: [
                    ListedPair(
                        _relative(image, root), _relative(mask, root), digests[image], digests[mask]
                    )
                    for image, mask in pairs
                ]
                for split, pairs in dataset.pairs.items()
            },
        )

    def pairs(self, root: Path) -> dict[str, list[FilePair]]:
        """The listed files below a folder.

        Args:
            root: The folder of the data set, wherever it lies now.
        """
        return {
            split: [FilePair(root / pair.image, root / pair.mask) for pair in listed]
            for split, listed in self.splits.items()
        }

    def changes(self, root: Path) -> list[Change]:
        """Find the listed files that are gone or hold something else, by reading all of them.

        Args:
            root: The folder of the data set, wherever it lies now.
        """
        listed = [
            (split, root / name, digest)
            for split, pairs in self.splits.items()
            for pair in pairs
            for name, digest in ((pair.image, pair.image_sha256), (pair.mask, pair.mask_sha256))
        ]
        missing = [Change(split, path, True) for split, path, _ in listed if not path.is_file()]
        gone = {change.path for change in missing}
        kept = [entry for entry in listed if entry[1] not in gone]
        digests = {path: files.sha256(path) for path in _progress([path for _, path, _ in kept])}
        changed = [
            Change(split, path, False) for split, path, digest in kept if digests[path] != digest
        ]
        return missing + changed

    def are_held_by(self, root: Path) -> bool:
        """Tell whether a folder holds all files by name, and at least one pair of them unchanged.

        Args:
            root: The folder.
        """
        listed = [pair for pairs in self.splits.values() for pair in pairs]
        if not all((root / name).is_file() for pair in listed for name in pair[:2]):
            return False
        return any(
            files.sha256(root / pair.image) == pair.image_sha256
            and files.sha256(root / pair.mask) == pair.mask_sha256
            for pair in listed
        )

    def unlisted(self, pairs: Mapping[str, Sequence[tuple[Path, Path]]], root: Path) -> list[Path]:
        """Find the images of a folder that are in no list.

        Args:
            pairs: The pairs that the folder holds now, by split.
            root: The folder.
        """
        known = {pair.image for listed in self.splits.values() for pair in listed}
        images = [image for listed in pairs.values() for image, _ in listed]
        return sorted(image for image in images if _relative(image, root) not in known)

    def write(self, path: Path) -> None:
        """Write the lists as JSON.

        Args:
            path: The file.
        """
        record = {
            "root": None if self.root is None else str(self.root),
            "splits": {
                split: [pair._asdict() for pair in pairs] for split, pairs in self.splits.items()
            },
        }
        files.write_text(path, json.dumps(record, indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> "FileLists":
        """Read lists that `write` wrote.

        Args:
            path: The file.

        Raises:
            ValueError: The file is missing or damaged.
        """
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            root = record["root"]
            splits = {
                split: [ListedPair(**pair) for pair in pairs]
                for split, pairs in record["splits"].items()
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{path}, the list of the files that the run was trained on, is missing or damaged "
                f"({error}): put it back, or train again with --overwrite."
            ) from error
        return cls(None if root is None else Path(root), splits)


def name_some(paths: Sequence[Path] | Sequence[str], shown: int = 3) -> str:
    """The first of some paths, or of other names, and how many more there are.

    Args:
        paths: The paths or names.
        shown: How many are named.
    """
    names = ", ".join(str(path) for path in paths[:shown])
    return names + (f" and {len(paths) - shown} more" if len(paths) > shown else "")


def _progress(paths: Sequence[Path]) -> Iterator[Path]:
    return iter(progress_bar(paths, desc="hashing files", unit="file"))


def _relative(path: Path, root: Path) -> str:
    return path.absolute().relative_to(root.absolute()).as_posix()
