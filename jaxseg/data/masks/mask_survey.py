"""Counts what the masks of a folder hold: every value of every mask, and its color."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from jaxseg.data.masks.mask_values import IGNORE_INDEX
from jaxseg.data.masks.stored_masks import StoredMask

_MOST_ENTRIES = 70_000


class Entry(NamedTuple):
    """A value that masks hold.

    Attributes:
        kind: `"gray"`, `"palette"` or `"color"`, as the masks are stored.
        number: The number that is stored or shown, or None for a color that is not gray.
        color: The packed color that the value is shown in, or None where that is unknown.
    """

    kind: str
    number: int | None
    color: int | None


class Tally(NamedTuple):
    """The places where a value occurs.

    Attributes:
        file: The first mask that has it, below the folder.
        masks: Number of masks that have it.
        pixels: Number of its pixels.
        ramp_pixels: Number of its pixels that lie strictly between both their neighbors in value,
            as those of a smooth edge do; counted in masks of more than two values.
    """

    file: str
    masks: int = 0
    pixels: int = 0
    ramp_pixels: int = 0

    def __add__(self, other: "Tally") -> "Tally":  # type: ignore[override]
        counts = (ours + theirs for ours, theirs in zip(self[1:], other[1:], strict=True))
        return Tally(self.file, *counts)


@dataclasses.dataclass
class MaskSurvey:
    """Everything that the masks of a folder hold.

    Attributes:
        entries: The tally of every value.
        masks: Number of masks.
        pixels: Number of their pixels.
        most_values: The largest number of values in one mask.
        formats: For each way of storing them, such as `"palette PNG"`, the number of masks and the
            first of them.
        binary_255: Masks of nothing but 0 and 255 that have 255.
        mixed_255: Masks that have 255 beside another value than 0.
        runs: The different n for which a mask holds all of 1..n and nothing else but 0 and 255.
        has_gaps: Whether there is a mask for which that is not so.
        has_parts: Whether there is a mask with a number, other than 0 and 255, whose pixels are not
            all connected.
        no_data: The tally of the values that their files declare to be no data.
    """

    entries: dict[Entry, Tally] = dataclasses.field(default_factory=dict)
    masks: int = 0
    pixels: int = 0
    most_values: int = 0
    formats: dict[str, tuple[int, str]] = dataclasses.field(default_factory=dict)
    binary_255: Tally = dataclasses.field(default_factory=lambda: Tally(""))
    mixed_255: Tally = dataclasses.field(default_factory=lambda: Tally(""))
    runs: list[int] = dataclasses.field(default_factory=list)
    has_gaps: bool = False
    has_parts: bool = False
    no_data: dict[Entry, Tally] = dataclasses.field(default_factory=dict)

    def add(self, mask: StoredMask, file: str) -> None:
        """Counts a further mask.

        Args:
            mask: The mask.
            file: Its path below the folder.

        Raises:
            ValueError: The masks have too many different values to be classes.
        """
        values, counts = count_values(mask.values)
        numbers = [mask.number_of(value) for value in values]
        ramps: dict[int, int] = {}
        if len(values) > 2 and mask.kind != "palette" and None not in numbers:
            ramps = dict(zip(*count_values(mask.values[_is_ramp(mask.values)]), strict=True))
        self.masks += 1
        self.pixels += mask.values.size
        self.most_values = max(self.most_values, len(values))
        kind = f"{mask.bits}-bit gray" if mask.kind == "gray" else mask.kind
        number, first = self.formats.get(f"{kind} {mask.format}", (0, file))
        self.formats[f"{kind} {mask.format}"] = (number + 1, first)
        for value, number, count in zip(values, numbers, counts, strict=True):
            entry = Entry(mask.kind, number, mask.color_of(value))
            tally = Tally("", 1, count, ramps.get(value, 0))
            self.entries[entry] = self.entries.get(entry, Tally(file)) + tally
            if value == mask.no_data:
                self.no_data[entry] = self.no_data.get(entry, Tally(file)) + tally
        self._count_255(set(numbers), file)
        self._look_for_objects(set(numbers), mask.values)
        if len(self.entries) > _MOST_ENTRIES:
            raise ValueError(
                f"with {file!r} the masks have more than {_MOST_ENTRIES} different values, "
                "expected classes: they look like photographs or instance numbers; export a class "
                "number for every pixel"
            )

    def _count_255(self, numbers: set[int | None], file: str) -> None:
        if IGNORE_INDEX in numbers:
            name = "binary_255" if numbers <= {0, IGNORE_INDEX} else "mixed_255"
            tally = getattr(self, name)
            setattr(self, name, Tally(tally.file or file, tally.masks + 1))

    def _look_for_objects(self, numbers: set[int | None], values: np.ndarray) -> None:
        background = {0, IGNORE_INDEX}
        objects = numbers - background
        self.has_gaps |= objects != set(range(1, len(objects) + 1))
        self.runs = sorted({*self.runs, len(objects)})
        if self.has_gaps and not self.has_parts and objects:  # rarely asked: classes have parts
            from skimage.measure import label  # here, since it takes a while to import

            kept = np.where(np.isin(values, list(background)), 0, values)
            parts: Any = label(kept, background=0)
            self.has_parts = int(parts.max()) > len(objects)

    def by_number(self) -> dict[int, Tally]:
        """Returns the tallies of all numbers, in ascending order; colors are left out."""
        return _merge((entry.number, tally) for entry, tally in self.entries.items())

    def by_color(self) -> dict[int, Tally]:
        """Returns the tallies of all packed colors, in ascending order."""
        return _merge((entry.color, tally) for entry, tally in self.entries.items())

    def to_json(self) -> dict[str, Any]:
        """Returns the survey as values that JSON can hold."""
        fields = dataclasses.asdict(self)
        for name in ("entries", "no_data"):
            rows: dict[Entry, Tally] = getattr(self, name)
            fields[name] = [[*entry, *tally] for entry, tally in rows.items()]
        return fields

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "MaskSurvey":
        """Returns the survey that `to_json` described.

        Args:
            record: What `to_json` returned, through JSON.
        """
        changed = {
            **{
                name: {Entry(*row[:3]): Tally(*row[3:]) for row in record[name]}
                for name in ("entries", "no_data")
            },
            "formats": {kind: (number, file) for kind, (number, file) in record["formats"].items()},
            "binary_255": Tally(*record["binary_255"]),
            "mixed_255": Tally(*record["mixed_255"]),
        }
        return cls(**{**record, **changed})


def count_values(values: Int[np.ndarray, "..."]) -> tuple[list[int], list[int]]:
    """Counts the pixels of each value.

    Args:
        values: The values of a mask, or of some of its pixels.

    Returns:
        All values that occur, in ascending order, and the number of pixels of each.
    """
    if values.dtype == np.uint8:
        every = np.bincount(values.ravel(), minlength=256)
        present = np.flatnonzero(every)
        return present.tolist(), every[present].tolist()
    present, counts = np.unique(values, return_counts=True)
    return present.tolist(), counts.tolist()


def _is_ramp(values: Int[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """Marks the pixels that lie strictly between their neighbors on both sides, in value."""
    ramp = np.zeros(values.shape, bool)
    for grid, marks in ((values, ramp), (values.T, ramp.T)):
        before, middle, after = grid[:-2], grid[1:-1], grid[2:]
        marks[1:-1] |= (before < middle) & (middle < after) | (before > middle) & (middle > after)
    return ramp


def _merge(tallies: Iterable[tuple[int | None, Tally]]) -> dict[int, Tally]:
    merged: dict[int, Tally] = {}
    for value, tally in tallies:
        if value is not None:
            merged[value] = merged[value] + tally if value in merged else tally
    return dict(sorted(merged.items()))
