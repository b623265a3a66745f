"""Partitions of an axis into runs of positions whose receptive fields are the same.

A partition is the sorted array of the runs' first positions. The channels and the images of a
batch are mostly one run, whatever their number; the rows and columns of an image are runs of one
pixel. A query therefore need not carry two thousand channels along.
"""

import functools

import numpy as np

from jaxseg.analysis.receptive.links import Blocks, Link, Table, Whole, Window


@functools.cache
def one() -> np.ndarray:
    """The partition into a single run."""
    return _read_only(np.zeros(1, int))


@functools.lru_cache(maxsize=4096)
def each(size: int) -> np.ndarray:
    """The partition of `size` positions into runs of one position."""
    return _read_only(np.arange(size)) if size > 1 else one()


def refine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The coarsest partition that is at least as fine as both."""
    if a is b or len(b) == 1:
        return a
    return b if len(a) == 1 else np.union1d(a, b)


def through_link(link: Link, runs: np.ndarray, size: int, result_size: int) -> np.ndarray:
    """The partition of a result's axis that a partition of the linked operand's axis leads to.

    Args:
        link: Link between the two axes.
        runs: Partition of the operand's axis.
        size: Length of the operand's axis.
        result_size: Length of the result's axis.
    """
    if isinstance(link, Whole):
        return one()
    if isinstance(link, Blocks):
        return one() if len(runs) == 1 else each(result_size)
    if len(runs) == size > 1 or isinstance(link, Table):
        return each(result_size)
    if link.is_shift:
        # Padding begins where the shift leaves the operand.
        edges = [link.low, link.low + size]
        starts = np.concatenate([[0], runs + link.low, edges])
        starts = np.unique(starts[(starts >= 0) & (starts < result_size)])
        return each(result_size) if len(starts) == result_size else starts
    if len(runs) == 1 and _uniform(link, size, result_size):
        return one()
    return each(result_size)


@functools.lru_cache(maxsize=4096)
def _uniform(link: Window, size: int, result_size: int) -> bool:
    """Tell if all result positions depend on equally many operand positions."""
    counts = np.zeros(result_size, int)
    for rows, _ in link.pairs(0, result_size, size):
        counts[rows] += 1
    return bool((counts == counts[0]).all())


def _read_only(a: np.ndarray) -> np.ndarray:
    a.setflags(write=False)
    return a
