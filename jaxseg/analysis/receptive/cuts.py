"""Partitions of an axis into runs of positions that depend on the input alike.

A partition is the array of the runs' first positions. Channels and batches mostly are one run,
whatever their length; the rows and columns of an image are runs of one pixel. So a query need not
carry two thousand channels along.
"""

import functools

import numpy as np

from jaxseg.analysis.receptive.links import Blocks, Link, Whole, Window


@functools.cache
def one() -> np.ndarray:
    """A single run."""
    return _frozen(np.zeros(1, int))


@functools.lru_cache(maxsize=4096)
def each(size: int) -> np.ndarray:
    """A run for every position."""
    return _frozen(np.arange(size)) if size > 1 else one()


def both(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The coarsest partition that refines two."""
    if a is b or len(b) == 1:
        return a
    return b if len(a) == 1 else np.union1d(a, b)


def behind(link: Link, cuts: np.ndarray, size: int, result: int) -> np.ndarray:
    """Partition of a result's axis of `result` positions behind an operand's of `size`."""
    if isinstance(link, Whole):
        return one()
    if isinstance(link, Blocks):
        return one() if len(cuts) == 1 else each(result)
    if len(cuts) == size > 1:
        return each(result)
    if isinstance(link, Window) and link.is_shift:
        # Where the shift leaves the operand, padding begins.
        edges = [link.low, link.low + size]
        moved = np.concatenate([[0], cuts + link.low, edges])
        moved = np.unique(moved[(moved >= 0) & (moved < result)])
        return each(result) if len(moved) == result else moved
    if len(cuts) == 1 and isinstance(link, Window) and _alike(link, size, result):
        return one()
    return each(result)


@functools.lru_cache(maxsize=4096)
def _alike(link: Window, size: int, result: int) -> bool:
    """Whether all result positions see equally many positions of the operand."""
    seen = np.zeros(result, int)
    for rows, _ in link.pairs(0, result, size):
        seen[rows] += 1
    return bool((seen == seen[0]).all())


def _frozen(a: np.ndarray) -> np.ndarray:
    a.setflags(write=False)
    return a
