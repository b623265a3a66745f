"""The evaluations of a training run so far, from which its best step and its patience follow."""

import math
from collections.abc import Iterable

Entries = list[list[int | float | None]]


class Scores:
    """Mean IoUs on the validation split, in the order of the steps.

    Args:
        entries: Pairs (step, mean IoU), where None stands for NaN, as `to_json` gives them.

    Example:
        >>> scores = Scores([[10, 0.5], [20, 0.4], [30, None]])
        >>> scores.best, scores.since_best, 20 in scores, scores.shown(20), scores.shown(40)
        (0.5, 2, True, '0.400', '-')
    """

    def __init__(self, entries: Iterable[Iterable[int | float | None]] = ()):
        self._values: dict[int, float] = {}
        for step, value in entries:
            self.add(int(step or 0), math.nan if value is None else value)

    def __contains__(self, step: int) -> bool:
        return step in self._values

    def add(self, step: int, value: float) -> None:
        """Add an evaluation.

        Args:
            step: Number of steps taken, more than any before.
            value: The mean IoU; NaN where it has none.
        """
        self._values[step] = value

    def shown(self, step: int) -> str:
        """The score of a step in words, "-" if it was not evaluated."""
        return f"{self._values[step]:.3f}" if step in self._values else "-"

    @property
    def best(self) -> float:
        """The best so far; minus infinity before the first."""
        return max((v for v in self._values.values() if not math.isnan(v)), default=-math.inf)

    @property
    def last(self) -> float:
        """The newest; NaN before the first."""
        return next(reversed(self._values.values()), math.nan)

    @property
    def since_best(self) -> int:
        """The number of evaluations since the one that brought the best."""
        best, since = -math.inf, 0
        for value in self._values.values():
            since = 0 if value > best else since + 1
            best = max(best, value) if not math.isnan(value) else best
        return since

    def to_json(self) -> Entries:
        """The evaluations as values that JSON can hold."""
        return [[s, None if math.isnan(value) else value] for s, value in self._values.items()]
