"""Rules of primitives that use all of an axis: reductions, sorts, transforms, products."""

import itertools

import numpy as np

from jaxseg.analysis.receptive.arrays import Constant, Value
from jaxseg.analysis.receptive.links import WHOLE, Link, Table, Window, identities, same
from jaxseg.analysis.receptive.registry import rule


@rule("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp")
def _cumulative(graph, params, operands, results):
    """Each position depends on all positions up to it, or from it on."""
    (x,), axis = operands, params["axis"]
    links = identities(len(x.shape))
    links[axis] = Window(axis, taps=x.shape[axis], dilation=1 if params["reverse"] else -1)
    return [graph.node(results[0].shape, [(x, links)])]


@rule(
    "reduce_sum",
    "reduce_max",
    "reduce_min",
    "reduce_prod",
    "reduce_and",
    "reduce_or",
    "reduce_xor",
    "argmax",
    "argmin",
)
def _reduction(graph, params, operands, results):
    """Each position depends on all positions along the reduced axes."""
    x, target = operands[0], itertools.count()
    links = [
        WHOLE if axis in params["axes"] else same(next(target)) for axis in range(len(x.shape))
    ]
    return [graph.node(results[0].shape, [(x, links)])]


@rule("jaxseg_sums")
def _sums(graph, params, operands, results):
    """Each sum depends on all positions of its array along the summed axes, which it keeps."""
    return [
        graph.node(aval.shape, [(x, _whole_or_same(x.shape, params["axes"]))])
        for x, aval in zip(operands, results, strict=True)
    ]


@rule("jaxseg_standardize_tangent")
def _standardize_tangent(graph, params, operands, results):
    """Each position depends on all positions along the axes of the mean, and on its group."""
    channel = len(results[0].shape) - 1
    mixed = () if params["groups"] == results[0].shape[channel] else (channel,)
    nodes = []
    for aval, axes in zip(results, ("axes", "sum_axes", "sum_axes"), strict=True):
        whole = (*params[axes], *mixed)
        nodes.append(
            graph.node(aval.shape, [(x, _whole_or_same(x.shape, whole)) for x in operands])
        )
    return nodes


def _whole_or_same(shape, whole):
    """Link to all positions of the given axes and of axes of length 1, and the same of others."""
    return [
        WHOLE if axis in whole or length == 1 else same(axis) for axis, length in enumerate(shape)
    ]


@rule("sort")
def _sort(graph, params, operands, results):
    """Each position of the sorted axis may come from any other, by any of the keys."""
    links = _whole_along(params["dimension"], len(results[0].shape))
    keys = [(x, links) for x in operands[: params["num_keys"]]]
    return [
        graph.node(aval.shape, [*keys, (x, links)])
        for x, aval in zip(operands, results, strict=True)
    ]


@rule("top_k")
def _top_k(graph, params, operands, results):
    """Each position may come from any other along the last axis, or the one that is named."""
    (x,) = operands
    rank = len(x.shape)
    links = _whole_along(params.get("axis", rank - 1) % rank, rank)
    return [graph.node(aval.shape, [(x, links)]) for aval in results]


@rule("fft")
def _fourier(graph, params, operands, results):
    """Each position depends on all positions along the transformed axes, the last ones."""
    (x,) = operands
    first = len(x.shape) - len(params["fft_lengths"])
    links = [same(axis) if axis < first else WHOLE for axis in range(len(x.shape))]
    return [graph.node(results[0].shape, [(x, links)])]


def _whole_along(axis: int, rank: int) -> list[Link]:
    links = identities(rank)
    links[axis] = WHOLE
    return links


@rule("dot_general")
def _product(graph, params, operands, results):
    """Contracted axes are seen whole, or where a constant matrix along one axis is not zero."""
    contracted, batch = params["dimension_numbers"]
    free = [
        [a for a in range(len(x.shape)) if a not in contracted[i] and a not in batch[i]]
        for i, x in enumerate(operands)
    ]
    first_free = [len(batch[0]), len(batch[0]) + len(free[0])]  # axes of the result
    edges = []
    for i, x in enumerate(operands):
        links: list[Link] = [WHOLE] * len(x.shape)
        for n, axis in enumerate(batch[i]):
            links[axis] = same(n)
        for n, axis in enumerate(free[i]):
            links[axis] = same(first_free[i] + n)
        edges.append((x, links))
        other, its_free = operands[1 - i], free[1 - i]
        if isinstance(x, Constant) or isinstance(other, Value):
            continue
        is_matrix = len(its_free) == len(contracted[i]) == 1 and not batch[0]
        if is_matrix and not other.learned and len(x.partitions[contracted[i][0]]) > 1:
            nonzero = np.nonzero(other.value)
            its_contracted = contracted[1 - i][0]
            rows, columns = nonzero[1 - its_contracted], nonzero[its_contracted]
            links[contracted[i][0]] = Table(first_free[1 - i], rows, columns)
    return [graph.node(results[0].shape, edges)]
