"""Folders of data sets: found, listed, and their images paired with masks."""

import dataclasses
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from jaxseg.data.image_files import Files

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Home:
    """Where a public data set comes from, for the message where it is missing.

    Attributes:
        name: The reader's; the environment variable is JAXSEG_ and it in capitals.
        title: What people call it.
        layout: What the folder must hold.
        download: Commands that get it, to be pasted in a shell.
    """

    name: str
    title: str
    layout: str
    download: str

    @property
    def variable(self) -> str:
        """The environment variable that names the folder."""
        return f"JAXSEG_{self.name.upper()}"

    @property
    def help(self) -> str:
        """What to do where the folder is missing or not complete."""
        return f"{self.layout}; to get it: {self.download}"


def find_directory(directory: str | os.PathLike[str] | None, home: Home) -> Path:
    """The data set's folder: the argument, else what the environment variable names.

    Raises:
        ValueError: Neither is given, or it is no folder.
    """
    given = directory or os.environ.get(home.variable)
    if not given:
        raise ValueError(
            f"directory={directory!r} and {home.variable} is not set, expected the folder of "
            f"{home.title} in one of the two: {home.help}"
        )
    path = Path(given).expanduser()
    if not path.is_dir():
        raise ValueError(
            f"{str(path)!r} is not a folder, expected {home.title} there; correct `directory` or "
            f"{home.variable}: {home.help}"
        )
    return path


def find_inside(directory: Path, inside: Sequence[str], marker: str, home: Home) -> Path:
    """The folder that holds `marker`: the directory itself, or one of those inside it.

    Raises:
        ValueError: None does.
    """
    for path in (directory, *(directory / name for name in inside)):
        if (path / marker).exists():
            return path
    raise ValueError(
        f"{str(directory / marker)!r} is missing, nor is it in {' or '.join(inside)} there; "
        f"complete it: {home.help}"
    )


def list_files(
    folder: Path, suffixes: Sequence[str], hint: str, *, pattern: str = "*"
) -> list[Path]:
    """The files of these suffixes that match a pattern, sorted; names that begin with . are not.

    Raises:
        ValueError: The folder is missing, or holds no such file.
    """
    if not folder.is_dir():
        raise ValueError(f"the folder {str(folder)!r} is missing; complete it: {hint}")
    found = [path for path in folder.glob(pattern) if path.suffix.lower() in suffixes]
    paths = sorted(path for path in found if path.is_file() and not path.name.startswith("."))
    if not paths:
        raise ValueError(
            f"the folder {str(folder)!r} holds no file of {', '.join(suffixes)}; complete it: "
            f"{hint}"
        )
    return paths


def pair(
    images: Iterable[Path],
    masks: Iterable[Path],
    *,
    image_key: Callable[[Path], str] = lambda path: path.stem,
    mask_key: Callable[[Path], str] = lambda path: path.stem,
) -> list[Files]:
    """Pairs images and masks that have the same key, in the order of the images.

    Raises:
        ValueError: A file is without its partner, or a second one has the same key.
    """
    image_of, mask_of = _by_key(images, image_key), _by_key(masks, mask_key)
    for key, path in image_of.items():
        if key not in mask_of:
            folder = next(iter(mask_of.values())).parent if mask_of else path.parent
            raise ValueError(
                f"the mask of the image {str(path)!r} is missing, expected one of the same stem "
                f"{key!r} in {str(folder)!r}: add it, or remove the image"
            )
    for key, path in mask_of.items():
        if key not in image_of:
            folder = next(iter(image_of.values())).parent
            raise ValueError(
                f"the image of the mask {str(path)!r} is missing, expected one of the same stem "
                f"{key!r} in {str(folder)!r}: add it, or remove the mask"
            )
    return [Files(path, mask_of[key]) for key, path in image_of.items()]


def read_list(
    path: Path, image: Callable[[str], Path], mask: Callable[[str], Path], hint: str
) -> list[Files]:
    """The pairs whose stems are the first words of a text file's lines, in its order.

    Args:
        path: The text file; empty lines and those that begin with # do not count. A word may be
            a path, of which the stem counts.
        image: The file of a stem's image.
        mask: The file of its mask.
        hint: What to do where something is missing.

    Raises:
        ValueError: The list or a file that it names is missing, or it names none.
    """
    if not path.is_file():
        raise ValueError(f"the list {str(path)!r} is missing; complete it: {hint}")
    lines = [line.split() for line in path.read_text().splitlines()]
    stems = [Path(words[0]).stem for words in lines if words and not words[0].startswith("#")]
    if not stems:
        raise ValueError(f"the list {str(path)!r} is empty; complete it: {hint}")
    pairs = [Files(image(stem), mask(stem)) for stem in stems]
    for file in (file for files in pairs for file in files):
        if not file.is_file():
            raise ValueError(f"{str(file)!r} is missing, which {str(path)!r} names; add it: {hint}")
    return pairs


def hold_out(
    pairs: Sequence[Files], count: int, *, seed: int = 0
) -> tuple[list[Files], list[Files]]:
    """Splits pairs into the rest and `count` held out, by a digest of seed and image's stem.

    The draw depends on the names alone, so an image that is added moves few others. Both parts
    keep the order.
    """

    def draw(files: Files) -> str:
        return hashlib.sha256(f"{seed}/{files.image.stem}".encode()).hexdigest()

    held = set(sorted(pairs, key=draw)[:count])
    return [files for files in pairs if files not in held], [f for f in pairs if f in held]


def without_suffix(stem: str) -> str:
    """A mask's stem without an ending such as _mask, _label or _gt."""
    return re.sub(r"[_-](masks?|labels?|gt|seg|annotations?)$", "", stem, flags=re.IGNORECASE)


def _by_key(paths: Iterable[Path], key: Callable[[Path], str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        if key(path) in found:
            raise ValueError(
                f"{str(path)!r} is a second file of the stem {key(path)!r} beside "
                f"{str(found[key(path)])!r}, expected one: remove one of them"
            )
        found[key(path)] = path
    return found
