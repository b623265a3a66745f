"""Claims and verdicts: a verdict is computed from numbers, and may be that they cannot tell."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from jaxseg.studies.arms import spread

Judgment = Literal["agrees", "disagrees", "not shown"]


@dataclass(frozen=True)
class Verdict:
    """A claim and what the measurement says of it.

    Attributes:
        heading: The section of the report that the claim belongs to.
        claim: One sentence.
        source: Who made the claim ("He et al. 2016"), or "derived".
        theory: What is expected, with its unit and tolerance.
        measured: What was measured, likewise.
        seeds: Independent draws behind the measurement; 0 where nothing was drawn.
        verdict: "agrees"; "disagrees", where the measurement contradicts the claim by more than
            its own spread; "not shown", where this scale or these seeds cannot tell.
        exploratory: The analysis was chosen after the data had been looked at.
        figure: File name of the study's figure that shows it; "" where none does.
    """

    heading: str
    claim: str
    source: str
    theory: str
    measured: str
    seeds: int
    verdict: Judgment
    exploratory: bool = False
    figure: str = ""

    def __post_init__(self):
        """Refuse a word that no page would count."""
        if self.verdict not in get_args(Judgment):
            raise ValueError(
                f"verdict={self.verdict!r} must be one of {', '.join(get_args(Judgment))}."
            )

    def unless(self, reason: str) -> "Verdict":
        """Return the verdict "not shown" with the reason added, or this one if `reason` is empty.

        For measurements that look like an answer and are none: nets that have learned nothing, say.
        """
        if not reason:
            return self
        return replace(self, verdict="not shown", measured=f"{self.measured}; {reason}")


def shown_in(figure: str, verdicts: Iterable[Verdict | None]) -> list[Verdict]:
    """Return verdicts with the name of the figure that shows them; None is left out.

    Args:
        figure: File name of a figure of the study.
        verdicts: The verdicts.
    """
    return [replace(verdict, figure=figure) for verdict in verdicts if verdict is not None]


def judge(agrees: bool | None) -> Judgment:
    """Return the word for True, for False, and for None, where it cannot be told.

    Args:
        agrees: The answer.

    >>> judge(True), judge(False), judge(None)
    ('agrees', 'disagrees', 'not shown')
    """
    return "not shown" if agrees is None else "agrees" if agrees else "disagrees"


def judge_within(
    measured: Any, expected: Any, tolerance: Any, error: Any, *, able: bool = True
) -> Judgment:
    """Judge whether measurements lie within a tolerance of what is expected.

    "disagrees" where any is outside by more than three standard errors. "not shown" where one is
    outside by less; where a standard error is as large as the tolerance or unknown; and where there
    is no measurement or one that is not finite.

    Args:
        measured: Numbers of any shape.
        expected: By theory, of a shape that broadcasts.
        tolerance: Largest absolute difference that agrees.
        error: Standard error of `measured`.
        able: False where the experiment is too small to tell, whatever it measured.

    >>> judge_within([1.01, 0.98], 1.0, 0.05, 0.01)
    'agrees'
    >>> judge_within(1.2, 1.0, 0.05, 0.01), judge_within(1.2, 1.0, 0.05, 0.06)
    ('disagrees', 'not shown')
    """
    difference = np.abs(np.asarray(measured) - expected)
    unclear = not np.all(np.isfinite(difference)) or not np.all(np.asarray(error) < tolerance)
    if unclear or not difference.size or not able:
        return "not shown"
    if np.all(difference <= tolerance):
        return "agrees"
    return judge(False if np.any(difference > tolerance + 3 * np.asarray(error)) else None)


def chance_of_order(seeds: int) -> float:
    """Probability that the ranges of two equal arms are apart, one way or the other.

    Two arms with s seeds each are apart by chance 2 times in (2s choose s): one time in ten for
    three seeds. Of many orders that are asked for, some will seem to hold.

    Args:
        seeds: Seeds of each arm.

    >>> chance_of_order(3)
    0.1
    """
    return min(1.0, 2 / math.comb(2 * seeds, seeds))


def is_above(
    first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray
) -> bool | None:
    """Tell whether all values of one arm are above all values of another.

    Args:
        first: One value a seed of the arm that is claimed to be larger; infinite for a lost run.
        second: Likewise of the other arm.

    Returns:
        True or False where the ranges are apart. None where they meet, where an arm has fewer than
        two seeds, so that its spread is unknown, or where a value is NaN.

    >>> is_above([3.0, 4.0], [1.0, 2.0]), is_above([1.0, 3.0], [2.0, 4.0])
    (True, None)
    """
    # min and max of NaN depend on where it stands.
    if min(len(first), len(second)) < 2 or np.any(np.isnan([*first, *second])):
        return None
    if min(first) > max(second):
        return True
    return False if max(first) < min(second) else None


def hardly_trained(losses: Mapping[str, Sequence[float] | np.ndarray], chance: float) -> str:
    """Name the nets that know less than a third of what there is to know, for `Verdict.unless`.

    Args:
        losses: Net -> training losses, one a seed, in nats.
        chance: The loss of knowing nothing, in nats.

    Returns:
        The nets whose median loss is not below two thirds of chance; "" where there are none.

    >>> hardly_trained({"plain": [1.0, 1.1], "residual": [0.2, 0.3]}, 1.1)
    'hardly trained: plain (1.05 of 1.10 nats)'
    """
    medians = {net: float(np.median(values)) for net, values in losses.items()}
    poor = [
        f"{net} ({loss:.2f} of {chance:.2f} nats)"
        for net, loss in medians.items()
        if not loss < 2 / 3 * chance
    ]
    return f"hardly trained: {', '.join(poor)}" if poor else ""


def none_trained(losses: Mapping[str, Sequence[float] | np.ndarray], chance: float) -> str:
    """Name the nets where none of them knows a third of what there is to know.

    Of such nets an order says nothing: whichever is ahead is so by chance.

    Args:
        losses: Net -> training losses, one a seed, in nats.
        chance: The loss of knowing nothing, in nats.

    Returns:
        What `hardly_trained` says of all of them; "" where one has learned.

    >>> none_trained({"plain": [1.0, 1.1], "residual": [0.2, 0.3]}, 1.1)
    ''
    """
    each = {net: hardly_trained({net: values}, chance) for net, values in losses.items()}
    return hardly_trained(losses, chance) if all(each.values()) else ""


def order(
    heading: str,
    claim: str,
    source: str,
    quantity: str,
    best_first: Mapping[str, Sequence[float] | np.ndarray],
    *,
    larger_is_better: bool = True,
    digits: int = 3,
    exploratory: bool = False,
) -> Verdict:
    """Judge an order of arms: "agrees" where each arm is beyond the next one's spread.

    "disagrees" where any two neighbors are the other way round by more than their spread; else
    "not shown". See `is_above` for when two arms are apart.

    Args:
        heading: The section of the report that the claim belongs to.
        claim: One sentence.
        source: Who made the claim, or "derived".
        quantity: What is ordered, with its unit.
        best_first: Arm -> one value a seed, in the order of the claim.
        larger_is_better: Otherwise a smaller value is the better one.
        digits: Digits behind the decimal point of what is printed.
        exploratory: The comparison was chosen after the data had been looked at.
    """
    sign = 1 if larger_is_better else -1
    steps = [
        is_above(*([sign * value for value in best_first[arm]] for arm in pair))
        for pair in itertools.pairwise(best_first)
    ]
    agrees = False if False in steps else True if steps and None not in steps else None
    relation = " > " if larger_is_better else " < "
    measured = [f"{arm} {spread(values, digits)}" for arm, values in best_first.items()]
    return Verdict(
        heading,
        claim,
        source,
        theory=f"{quantity}: {relation.join(best_first)}, beyond the seeds' range"
        if steps
        else f"not asked: {len(best_first)} of the arms were run",
        measured="; ".join(measured) or "nothing",
        seeds=min((len(values) for values in best_first.values()), default=0),
        verdict=judge(agrees),
        exploratory=exploratory,
    )
