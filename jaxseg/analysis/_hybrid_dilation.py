"""Which pixels a chain of dilated convolutions sees, beside the rule that is meant to tell.

Plain integers: nothing is rounded, and nothing needs JAX.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool


@dataclass(frozen=True)
class HybridDilation:
    """What `hybrid_dilation` found; everything else follows from these four.

    Attributes:
        rates: r_1 ... r_n, the layer next to the input first.
        kernel: K, taps an axis.
        distances: M_1 ... M_n, in pixels: at most so far apart, the rule assumes, are neighbouring
            pixels that layers i ... n see.
        counts: the paths from one output to each pixel of its field along an axis, from the first
            tap on: Python integers, exact however large. They sum to K**n.
    """

    rates: tuple[int, ...]
    kernel: int
    distances: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def max_distance(self) -> int:
        """M_2, which the rule is about; of a single layer, which has no M_2, its M_1."""
        return self.distances[1 if len(self.rates) > 1 else 0]

    @property
    def passes(self) -> bool:
        """The rule: M_2 <= K. A single layer passes at rate 1, where its taps are neighbours."""
        return self.max_distance <= (self.kernel if len(self.rates) > 1 else 1)

    @property
    def size(self) -> int:
        """Pixels from the first to the last of the field, holes included: 1 + (K - 1) sum r_i."""
        return len(self.counts)

    @property
    def coverage(self) -> Bool[np.ndarray, "size"]:
        """Which of them some path reaches."""
        return np.array([count > 0 for count in self.counts])

    @property
    def seen(self) -> int:
        """How many of them some path reaches."""
        return sum(count > 0 for count in self.counts)

    @property
    def full(self) -> bool:
        """Whether there is no hole."""
        return self.seen == self.size

    @property
    def agrees(self) -> bool:
        """Whether the rule says what is so."""
        return self.passes == self.full


def hybrid_dilation(rates: Sequence[int], kernel: int = 3) -> HybridDilation:
    r"""The rule of hybrid dilated convolution, and what the chain truly sees.

    .. math:: M_n = r_n, \qquad
        M_i = \max\big(M_{i+1} - 2 r_i,\; M_{i+1} - 2 (M_{i+1} - r_i),\; r_i\big),
        \qquad \text{rule: } M_2 \le K

    with r_i the rate of layer i and K the taps of its kernel an axis. The rule is about distances
    and the truth about positions, and they differ both ways. Of the 729 triples of rates up to 9
    at K = 3, 124 pass with holes in their field, as (2, 2, 2) does, and 38 fail without one, as
    (3, 9, 1) does, whose field is that of (1, 3, 9), which passes: the order of the layers matters
    to the rule alone. None of the 124 has r_1 = 1, so begin with a layer that is not dilated; at
    K = 2 not even that is enough, and (1, 2, 5) passes with a hole.

    What is said of an axis holds for images: with the same rates along each axis a pixel is seen
    where each of its coordinates is, and its paths are the product of theirs, `np.outer(counts,
    counts)`.

    Args:
        rates: of the layers, the one next to the input first, each at least 1; stride 1.
        kernel: taps an axis, the same in every layer.

    Returns:
        a `HybridDilation`.

    Raises:
        ValueError: no rate; a rate or a kernel that is not an integer of at least 1.

    Example:
        >>> found = hybrid_dilation((2, 2, 2))
        >>> found.max_distance, found.passes, found.seen, found.size
        (2, True, 7, 13)

    Source:
        Wang et al. 2018, "Understanding Convolution for Semantic Segmentation", arXiv:1702.08502,
        section 3.2.
    """
    rates = tuple(rates)
    if not rates:
        raise ValueError("rates is empty: give the rate of at least one layer, as in (1, 2, 5).")
    for name, value in (*((f"rates={rates}", rate) for rate in rates), (f"{kernel=}", kernel)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ValueError(
                f"{name}: expected integers of at least 1, got {value!r}; rate 1 is a kernel "
                "without holes."
            )
    rates = tuple(map(int, rates))
    return HybridDilation(rates, int(kernel), _distances(rates), _counts(rates, int(kernel)))


def _distances(rates: tuple[int, ...]) -> tuple[int, ...]:
    """M_1 ... M_n, from the last layer back to the first."""
    found = [rates[-1]]
    for rate in reversed(rates[:-1]):
        later = found[-1]
        found.append(max(later - 2 * rate, later - 2 * (later - rate), rate))
    return tuple(reversed(found))


def _counts(rates: tuple[int, ...], kernel: int) -> tuple[int, ...]:
    """Coefficients of the product over the layers of 1 + z^r + ... + z^((K - 1) r)."""
    counts = [1]
    for rate in rates:
        wider = [0] * (len(counts) + (kernel - 1) * rate)
        for tap in range(0, kernel * rate, rate):
            for place, count in enumerate(counts, tap):
                wider[place] += count
        counts = wider
    return tuple(counts)
