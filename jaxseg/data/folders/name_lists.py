"""Lists of file names, such as those that give the images of a split."""

import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

from jaxseg import files
from jaxseg.data.images.image_files import FilePair

_SUFFIX = re.compile(r"\.(png|jpe?g|bmp|tiff?|webp|gif)", re.IGNORECASE)


def read_list(
    path: Path, image: Callable[[str], Path], mask: Callable[[str], Path], hint: str
) -> list[FilePair]:
    r"""Reads the pairs that a text file lists, in its order.

    Every line begins with the name of an image: it may hold spaces and dots, be a path with / or
    \\, and end as image files do. What follows the name is not read: numbers in Oxford-IIIT Pet,
    the mask's path in other lists. Empty lines and those that begin with # do not count.

    Args:
        path: The text file, in UTF-8.
        image: Returns the image file of a name without ending.
        mask: Returns its mask file.
        hint: What to do where something is missing, for the message.

    Raises:
        ValueError: The list or a file that it names is missing; it names none; it is not UTF-8;
            or a line can be read as two names.
    """
    if not path.is_file():
        raise ValueError(f"the list {str(path)!r} is missing; complete it: {hint}")
    lines = [line.strip() for line in re.split(r"\r\n|\n|\r", files.read_text(path))]
    lines = [line for line in lines if line and not line.startswith("#")]
    if not lines:
        raise ValueError(f"the list {str(path)!r} is empty; complete it: {hint}")
    names = [_find_name(line, image, path) for line in lines]
    pairs = [FilePair(image(name), mask(name)) for name in names]
    for file in (file for pair in pairs for file in pair):
        if not file.is_file():
            raise ValueError(f"{str(file)!r} is missing, which {str(path)!r} names; add it: {hint}")
    return pairs


def _find_name(line: str, image: Callable[[str], Path], path: Path) -> str:
    """The name that a line begins with: the one whose image exists."""
    present: list[str] = []
    for name in dict.fromkeys(_candidates(line)):
        file = image(name)
        # Two forms of one name are one file where the file system does not tell them apart.
        if file.is_file() and not any(file.samefile(image(other)) for other in present):
            present.append(name)
    if len(present) > 1:
        raise ValueError(
            f"the line {line!r} of {str(path)!r} can be read as {present[0]!r} and as "
            f"{present[1]!r}, and both images exist, expected one name a line: rename an image, or "
            "leave nothing but names in the list"
        )
    return present[0] if present else _without_suffix(re.split(r"[/\\]", line.split()[0])[-1])


def _candidates(line: str) -> Iterator[str]:
    words = re.split(r"(\s+)", line)
    for count in range(len(words), 0, -2):
        text = "".join(words[:count])
        for name in (text, re.split(r"[/\\]", text)[-1]):
            for form in (name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))):
                # Where the locale's encoding is not UTF-8, files have the names of their bytes.
                on_disk = os.fsdecode(form.encode())
                yield from (form, _without_suffix(form), on_disk, _without_suffix(on_disk))


def _without_suffix(name: str) -> str:
    """A name without the ending of an image file; another dot is part of the name."""
    stem, dot, ending = name.rpartition(".")
    return stem if stem and _SUFFIX.fullmatch(dot + ending) else name
