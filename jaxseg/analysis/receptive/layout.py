"""Rules of primitives that move positions about: reshapes, slices, padding, joins."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxseg.analysis.receptive.graph import Graph, Operand, Value
from jaxseg.analysis.receptive.links import WHOLE, Link, Window, same
from jaxseg.analysis.receptive.rules import rule


@rule("broadcast_in_dim")
def broadcast(graph, params, operands, results):
    """Axes of length 1 and new axes repeat."""
    x, shape = operands[0], results[0].shape
    links = [
        same(axis) if n == shape[axis] else WHOLE
        for n, axis in zip(x.shape, params["broadcast_dimensions"], strict=True)
    ]
    return [graph.node(shape, [(x, links)])]


@rule("squeeze")
def squeeze(graph, params, operands, results):
    """Axes of length 1 go."""
    del params
    return [_relaid(graph, operands[0], results[0].shape)]


@rule("expand_dims")
def expand_dims(graph, params, operands, results):
    """Axes of length 1 come."""
    del params
    return [_relaid(graph, operands[0], results[0].shape)]


@rule("transpose")
def transpose(graph, params, operands, results):
    """Axes change places."""
    to = np.argsort(params["permutation"])
    return [graph.node(results[0].shape, [(operands[0], [same(int(a)) for a in to])])]


@rule("rev")
def reverse(graph, params, operands, results):
    """Axes run backwards."""
    (x,) = operands
    links: list[Link] = [same(a) for a in range(len(x.shape))]
    for axis in params["dimensions"]:
        links[axis] = Window(axis, step=-1, low=1 - x.shape[axis])
    return [graph.node(results[0].shape, [(x, links)])]


@rule("slice")
def slice_(graph, params, operands, results):
    """Every so-manyth position from a first one."""
    strides = params["strides"] or (1,) * len(results[0].shape)
    links = [
        Window(axis, step=step, low=-first)
        for axis, (first, step) in enumerate(zip(params["start_indices"], strides, strict=True))
    ]
    return [graph.node(results[0].shape, [(operands[0], links)])]


@rule("pad")
def pad(graph, params, operands, results):
    """Padding before, behind and between, negative too."""
    x, filling = operands
    shape = results[0].shape
    links = [
        Window(axis, low=low, spread=between + 1)
        for axis, (low, _, between) in enumerate(params["padding_config"])
    ]
    return [graph.node(shape, [(x, links), (filling, [])])]


@rule("concatenate")
def concatenate(graph, params, operands, results):
    """Side by side."""
    return [graph.joined(results[0].shape, operands, params["dimension"])]


@rule("split")
def split(graph, params, operands, results):
    """The parts of an axis."""
    (x,), axis, first, parts = operands, params["axis"], 0, []
    for aval in results:
        links: list[Link] = [same(a) for a in range(len(x.shape))]
        links[axis] = Window(axis, low=-first)
        parts.append(graph.node(aval.shape, [(x, links)]))
        first += aval.shape[axis]
    return parts


@rule("reshape")
def reshape(graph, params, operands, results):
    """The same positions under other axes, in row-major order."""
    if params["dimensions"] is not None:
        raise ValueError("receptive_field: reshape with `dimensions` is not supported: transpose.")
    return [_relaid(graph, operands[0], results[0].shape)]


def _relaid(graph: Graph, x: Value, shape: Sequence[int]) -> Operand:
    """Drop axes of length 1, regroup the others, bring in new axes of length 1."""
    kept = [n for n in x.shape if n != 1]
    wanted = [n for n in shape if n != 1]
    value: Any = x
    if len(kept) < len(x.shape):
        to = itertools.count()
        links = [WHOLE if n == 1 else same(next(to)) for n in x.shape]
        value = graph.node(kept, [(x, links)])
    if kept != wanted:
        features = len(wanted) - 1 if shape[-1] != 1 else None
        value = graph.relaid(value, wanted, _groups(kept, wanted), features)
    if len(wanted) < len(shape):
        links = [same(axis) for axis, n in enumerate(shape) if n != 1]
        value = graph.node(shape, [(value, links)])
    return value


def _groups(old: Sequence[int], new: Sequence[int]):
    """The finest groups of axes with equal products."""
    groups, i, j = [], 0, 0
    while i < len(old) or j < len(new):
        a, b, m, n = [i], [j], old[i], new[j]
        while m != n:
            if m < n:
                a.append(a[-1] + 1)
                m *= old[a[-1]]
            else:
                b.append(b[-1] + 1)
                n *= new[b[-1]]
        groups.append((tuple(a), tuple(b)))
        i, j = a[-1] + 1, b[-1] + 1
    return tuple(groups)
