"""When an order of arms is said to hold: only beyond the spread of their seeds.

Ranges are apart by chance as well: of two equal arms with s seeds each, 2 times in (2s choose s),
which is one in ten for three seeds. Of many orders that are asked, some will seem to hold.
"""

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from studies import Heading, Verdict, judged


def by_chance(seeds: int) -> float:
    """How often the ranges of two equal arms are apart, one way or the other."""
    return min(1.0, 2 / math.comb(2 * seeds, seeds))


def above(better: Sequence[float] | np.ndarray, worse: Sequence[float] | np.ndarray) -> bool | None:
    """Whether all values of one arm are above all of the other's.

    Args:
        better: of the arm that is claimed to be larger, a value a seed; not finite: a lost run.
        worse: of the other.

    Returns:
        True where they are; False where they are all below; None where the ranges meet, or where
        either has fewer than two seeds, whose spread nobody knows, or holds a NaN.
    """
    # min and max of NaN depend on where it stands.
    if min(len(better), len(worse)) < 2 or np.any(np.isnan([*better, *worse])):
        return None
    if min(better) > max(worse):
        return True
    return False if max(better) < min(worse) else None


def order(
    heading: Heading,
    claim: str,
    source: str,
    quantity: str,
    best_first: Mapping[str, Sequence[float]],
    *,
    larger_is_better: bool = True,
    digits: int = 3,
) -> Verdict:
    """The verdict on an order: "agrees" where each arm is beyond the next one's spread.

    "disagrees" where any two neighbours are the other way round by more than their spread; else
    "not shown".

    Args:
        heading: as in `Verdict`, like `claim` and `source`.
        claim: see `heading`.
        source: see `heading`.
        quantity: what is ordered, with its unit.
        best_first: arm -> a value a seed, in the order of the claim; missing arms are left out.
        larger_is_better: else a smaller value is the better one.
        digits: shown behind the point.
    """
    sign = 1 if larger_is_better else -1
    arms = list(best_first)
    steps = [
        above(*([sign * value for value in best_first[arm]] for arm in pair))
        for pair in itertools.pairwise(arms)
    ]
    sign_between = " > " if larger_is_better else " < "
    measured = [
        f"{arm} {np.mean(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"
        for arm, values in best_first.items()
    ]
    agrees = False if False in steps else True if steps and None not in steps else None
    return Verdict(
        heading,
        claim,
        source,
        theory=f"{quantity}: {sign_between.join(arms)}, beyond the seeds' range"
        if steps
        else f"not asked: {len(arms)} of the arms were run",
        measured=", ".join(measured) or "nothing",
        seeds=min((len(values) for values in best_first.values()), default=0),
        verdict=judged(agrees),
    )
