"""The pixels that a chain of dilated convolutions sees, and the rule that is meant to tell them.

Plain integers: nothing is rounded, and nothing needs JAX.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool


@dataclass(frozen=True)
class HybridDilation:
    """A chain of dilated convolutions along one axis, and what the rule makes of it.

    Attributes:
        rates: r_1 ... r_n, the rate of the layer next to the input first.
        kernel: K, the number of taps of each layer.
        distances: M_1 ... M_n, in pixels: the largest distance between neighboring pixels that
            layers i ... n see, by the rule's assumption.
        counts: The number of paths from one output to each pixel of its field, from the first tap
            on. They are Python integers, exact however large, and sum to Kⁿ.
    """

    rates: tuple[int, ...]
    kernel: int
    distances: tuple[int, ...]
    counts: tuple[int, ...]

    @property
    def max_distance(self) -> int:
        """M_2, which the rule is about; for a single layer, which has no M_2, its M_1."""
        return self.distances[1 if len(self.rates) > 1 else 0]

    @property
    def passes(self) -> bool:
        """True if M_2 <= K; a single layer passes at rate 1, where its taps are neighbors."""
        return self.max_distance <= (self.kernel if len(self.rates) > 1 else 1)

    @property
    def size(self) -> int:
        """Extent of the field in pixels, holes included: 1 + (K - 1) sum r_i."""
        return len(self.counts)

    @property
    def coverage(self) -> Bool[np.ndarray, "size"]:
        """Mask of the field's pixels that are seen, along one path or more."""
        return np.array([count > 0 for count in self.counts])

    @property
    def seen(self) -> int:
        """Number of the field's pixels that are seen."""
        return sum(count > 0 for count in self.counts)

    @property
    def full(self) -> bool:
        """True if the field has no holes."""
        return self.seen == self.size

    @property
    def agrees(self) -> bool:
        """True if the rule is right about the holes."""
        return self.passes == self.full


def hybrid_dilation(rates: Sequence[int], kernel: int = 3) -> HybridDilation:
    r"""The rule of hybrid dilated convolution, and the pixels that a chain truly sees.

    .. math:: M_n = r_n, \qquad
        M_i = \max\big(M_{i+1} - 2 r_i,\; M_{i+1} - 2 (M_{i+1} - r_i),\; r_i\big),
        \qquad \text{rule: } M_2 \le K

    with r_i the rate of layer i and K the number of taps. The rule is about distances, the truth
    about positions, and they differ both ways. Of the 729 triples of rates up to 9 at K = 3, 124
    pass with holes in their field, as (2, 2, 2) does. Another 38 fail without a hole, as (3, 9, 1)
    does, although its field is that of (1, 3, 9), which passes: only the rule depends on the order
    of the layers. None of the 124 has r_1 = 1, so begin with a layer that is not dilated. At K = 2
    not even that is enough: (1, 2, 5) passes with a hole.

    What holds along an axis holds for images. With the same rates along each axis, a pixel is seen
    if each of its coordinates is, and its number of paths is the product of theirs,
    `np.outer(counts, counts)`.

    Args:
        rates: Rates of the layers, each at least 1, the one next to the input first; stride 1.
        kernel: Number of taps along the axis, the same in every layer.

    Returns:
        A `HybridDilation`.

    Raises:
        ValueError: `rates` is empty, or a rate or `kernel` is not an integer of at least 1.

    Example:
        >>> from jaxseg.analysis import hybrid_dilation
        >>> chain = hybrid_dilation((2, 2, 2))
        >>> chain.max_distance, chain.passes, chain.seen, chain.size
        (2, True, 7, 13)
        >>> hybrid_dilation((1, 2, 5)).full
        True

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
    distances = [rates[-1]]
    for rate in reversed(rates[:-1]):
        later = distances[-1]
        distances.append(max(later - 2 * rate, later - 2 * (later - rate), rate))
    return tuple(reversed(distances))


def _counts(rates: tuple[int, ...], kernel: int) -> tuple[int, ...]:
    """Coefficients of the product over the layers of 1 + z^r + ... + z^((K - 1) r)."""
    counts = [1]
    for rate in rates:
        wider = [0] * (len(counts) + (kernel - 1) * rate)
        for tap in range(0, kernel * rate, rate):
            for position, count in enumerate(counts, tap):
                wider[position] += count
        counts = wider
    return tuple(counts)
