"""The rank of checkpoints by a metric, and which of them stay."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from jaxseg.training.checkpoint.folders import complete_steps, folder_name, remove
from jaxseg.training.checkpoint.manifest import Damaged, read_manifest


class Ranking(NamedTuple):
    """The rule by which the checkpoints in a folder are ranked, and which of them stay.

    Attributes:
        folder: The folder.
        keep: How many of the newest checkpoints stay.
        keep_best: How many stay besides, for being the best of all that are there.
        metric: The key of the metrics that ranks them, or None.
        best: Whether the largest or the smallest value is the best.
    """

    folder: Path
    keep: int
    keep_best: int
    metric: str | None
    best: Literal["max", "min"]

    def check(self) -> None:
        """Checks the numbers and their combination.

        Raises:
            ValueError: A number is out of range, or `keep_best` is given without `metric`.
        """
        keep, keep_best, metric, best = self[1:]
        if keep < 1 or keep_best < 0:
            raise ValueError(f"{keep=} must be at least 1, and {keep_best=} at least 0.")
        if keep_best and not metric:
            raise ValueError(f"{keep_best=} and {metric=} go together: name the metric.")
        if best not in ("max", "min"):
            raise ValueError(f'{best=} must be "max" or "min".')

    def numbers(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """The metrics of a checkpoint as floats.

        Args:
            metrics: Numbers by their names.

        Raises:
            ValueError: The one that ranks is missing.
        """
        numbers = {name: float(value) for name, value in metrics.items()}
        if self.metric is not None and self.metric not in numbers:
            raise ValueError(
                f"metrics={sorted(numbers)} lack {self.metric!r}, by which the best are kept."
            )
        return numbers

    def ranked(self) -> list[int]:
        """The steps that have a value of the metric, best first, of equal ones the later first."""
        values, sign = {}, 1 if self.best == "max" else -1
        for step in complete_steps(self.folder):
            try:
                metrics = read_manifest(self.folder / folder_name(step)).metrics
            except Damaged:
                continue
            if self.metric in metrics and not np.isnan(metrics[self.metric]):
                values[step] = sign * metrics[self.metric]
        return sorted(values, key=lambda step: (values[step], step), reverse=True)

    def prune(self) -> None:
        """Removes the checkpoints that are neither among the newest nor among the best."""
        best = self.ranked()[: self.keep_best] if self.keep_best else []
        for step in complete_steps(self.folder)[: -self.keep]:
            if step not in best:
                remove(self.folder, step)
