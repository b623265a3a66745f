"""The receptive field of every position of an array along one axis of the input, borders ignored.

Behind convolutions the fields along an axis repeat: position q * P + r sees the interval
[lo[r] + q * jump, hi[r] + q * jump] of an input without borders. The period P is 1 behind strided
convolutions and larger behind upconvolutions, whose output positions differ by phase; jump / P is
the stride of Araujo et al. 2019 (Distill, doi:10.23915/distill.00021). Where nothing repeats, as
where two images are joined side by side, the intervals of all positions are listed.

intervals  closed intervals of input positions
periodic   the lattice: intervals over the axes of an array, each axis periodic or listed
linking    the lattice of a result from that of an operand
combining  the lattice of several operands together
reshaping  the lattice of a reshaped array
"""

from jaxseg.analysis.receptive.lattice.combining import concatenate, union, whole_if_everywhere
from jaxseg.analysis.receptive.lattice.linking import through_links
from jaxseg.analysis.receptive.lattice.periodic import Lattice, expand_all, identity
from jaxseg.analysis.receptive.lattice.reshaping import reshape

__all__ = [
    "Lattice",
    "concatenate",
    "expand_all",
    "identity",
    "reshape",
    "through_links",
    "union",
    "whole_if_everywhere",
]
