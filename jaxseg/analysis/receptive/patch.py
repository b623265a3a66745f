"""`Patch`: which positions of an array are seen, or along how many paths, within a box."""

from dataclasses import dataclass

import numpy as np

from jaxseg.analysis.receptive.arrays import Node, Value


@dataclass(frozen=True, eq=False)
class Patch:
    """Entries for a box of runs (see `partition`); the runs outside of the box are not seen.

    Attributes:
        origin: Index of the box's first run along each axis.
        values: bool, whether each run is seen; or the number of paths to it, float64 or Python
            integers.
    """

    origin: tuple[int, ...]
    values: np.ndarray

    def trim(self) -> "Patch | None":
        """The patch without empty margins; None if nothing is seen."""
        nonzero = self.values if self.values.dtype == bool else self.values != 0
        origin, box = [], []
        for axis in range(nonzero.ndim):
            others = tuple(a for a in range(nonzero.ndim) if a != axis)
            (runs,) = np.nonzero(nonzero.any(others))
            if not len(runs):
                return None
            origin.append(self.origin[axis] + int(runs[0]))
            box.append(slice(int(runs[0]), int(runs[-1]) + 1))
        return Patch(tuple(origin), self.values[tuple(box)])

    def largest(self) -> float:
        """The largest number of paths, which may be infinite; 0 unless the values are float64."""
        return float(self.values.max()) if self.values.dtype == np.float64 else 0.0

    def times(self, count: int) -> "Patch":
        """The patch of an array that is in a sum `count` times."""
        return self if count == 1 else Patch(self.origin, times(self.values, count))

    def for_node(self, value: Value, node: Node) -> "Patch":
        """The patch of a value over the runs of one of its nodes, which may be coarser."""
        patch = self
        for axis, (fine, coarse) in enumerate(zip(value.partitions, node.partitions, strict=True)):
            if len(fine) != len(coarse):
                patch = patch._coarsen(axis, fine, coarse, value.shape[axis])
        return patch

    def _coarsen(self, axis: int, fine: np.ndarray, coarse: np.ndarray, size: int) -> "Patch":
        """The patch over fewer runs. Rows and columns add up, runs of channels do not."""
        first, count = self.origin[axis], self.values.shape[axis]
        target = np.searchsorted(coarse, fine[first : first + count], side="right") - 1
        values = collect(self.values.swapaxes(axis, 0), target, add=len(fine) == size)
        origin = (*self.origin[:axis], int(target[0]), *self.origin[axis + 1 :])
        return Patch(origin, values.swapaxes(axis, 0))

    def __add__(self, other: "Patch") -> "Patch":
        """The patch along the paths of either one."""
        patches = (self, other)
        begin = [min(firsts) for firsts in zip(self.origin, other.origin, strict=True)]
        end = [
            max(patch.origin[axis] + patch.values.shape[axis] for patch in patches)
            for axis in range(len(begin))
        ]
        shape = [last - first for first, last in zip(begin, end, strict=True)]
        values = np.zeros(shape, self.values.dtype)
        for patch in patches:
            box = tuple(
                slice(first - low, first - low + n)
                for first, low, n in zip(patch.origin, begin, patch.values.shape, strict=True)
            )
            values[box] = plus(values[box], patch.values)
        return Patch(tuple(begin), values)


# --- entries -------------------------------------------------------------------------------------


def plus(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Seen in either, or the sum of the paths."""
    return a | b if a.dtype == bool else a + b


def times(values: np.ndarray, count: int) -> np.ndarray:
    """Each path `count` times."""
    if values.dtype == bool:
        return values
    # Beyond 2**53 a float64 only says that the count is not exact; an integer may not fit in it.
    return values * (min(count, 2**53) if values.dtype == np.float64 else count)


def total(values: np.ndarray, axis: int) -> np.ndarray:
    """Seen anywhere along an axis, or the sum of the paths; the axis keeps length 1."""
    if values.dtype == bool:
        return np.any(values, axis, keepdims=True)
    return np.sum(values, axis, keepdims=True, dtype=values.dtype)


def collect(values: np.ndarray, target: np.ndarray, *, add: bool) -> np.ndarray:
    """Move entry i of the first axis to `target[i] - target[0]`; targets ascend.

    Entries of one target add up, or the largest counts if they are runs of channels.
    """
    merge = np.add if add and values.dtype != bool else np.maximum
    starts = np.concatenate([[0], 1 + np.flatnonzero(np.diff(target))])
    merged = merge.reduceat(values, starts, axis=0, dtype=values.dtype)
    collected = np.zeros((int(target[-1] - target[0]) + 1, *values.shape[1:]), values.dtype)
    collected[target[starts] - target[0]] = merged
    return collected
