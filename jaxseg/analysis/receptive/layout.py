"""Rules of primitives that move positions about: reshapes, slices, padding, joins."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxseg.analysis.receptive.graph import Graph, Known, Operand, Value, repeated
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
    return [graph.node(shape, [(x, links)], pixels=repeated(links, shape))]


@rule("squeeze")
def squeeze(graph, params, operands, results):
    """Axes of length 1 go."""
    (x,), to = operands, itertools.count()
    links = [WHOLE if a in params["dimensions"] else same(next(to)) for a in range(len(x.shape))]
    return [graph.node(results[0].shape, [(x, links)])]


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


@rule("stack")
def stack(graph, params, operands, results):
    """Side by side along a new axis."""
    axis, shape = params.get("axis", params.get("dimension")), results[0].shape
    one = (*shape[:axis], 1, *shape[axis + 1 :])
    links = [same(a + (a >= axis)) for a in range(len(shape) - 1)]
    layers = [
        Known(one, x.make) if isinstance(x, Known) else graph.node(one, [(x, links)])
        for x in operands
    ]
    return [graph.joined(shape, layers, axis)]


@rule("unstack")
def unstack(graph, params, operands, results):
    """The entries along an axis, without it."""
    (x,), axis = operands, params.get("axis", params.get("dimension"))
    parts = []
    for i, aval in enumerate(results):
        kept = [same(a - (a > axis)) if a != axis else WHOLE for a in range(len(x.shape))]
        move: list[Link] = [same(a) for a in range(len(x.shape))]
        move[axis] = Window(axis, low=-i)
        one = graph.node((*x.shape[:axis], 1, *x.shape[axis + 1 :]), [(x, move)])
        parts.append(graph.node(aval.shape, [(one, kept)]))
    return parts


@rule("tile")
def tile(graph, params, operands, results):
    """The array again and again along each axis."""
    (value,) = operands
    for axis, times in enumerate(params["reps"]):
        if times > 1:
            shape = (*value.shape[:axis], times * value.shape[axis], *value.shape[axis + 1 :])
            value = graph.joined(shape, [value] * times, axis)
    return [value]


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
    """Regroup the axes between those that stay, where axes of length 1 come and go."""
    old, new = tuple(x.shape), tuple(shape)
    least = min(len(old), len(new))
    head = next((n for n in range(least) if old[n] != new[n]), least)
    tail = next((n for n in range(least - head) if old[-1 - n] != new[-1 - n]), least - head)
    ends = range(head), range(len(old) - tail, len(old)), range(len(new) - tail, len(new))
    kept = [a for a, n in enumerate(old) if n != 1 or a in ends[0] or a in ends[1]]
    wanted = [a for a, n in enumerate(new) if n != 1 or a in ends[0] or a in ends[2]]
    value: Any = x
    if len(kept) < len(old):
        links = [same(kept.index(a)) if a in kept else WHOLE for a in range(len(old))]
        value = graph.node([old[a] for a in kept], [(value, links)])
    sizes = [new[a] for a in wanted]
    inner = _groups(value.shape[head : len(kept) - tail], sizes[head : len(wanted) - tail])
    if any(len(a) > 1 or len(b) > 1 for a, b in inner):
        inner = [([head + i for i in a], [head + i for i in b]) for a, b in inner]
        outer = [(len(kept) - tail + i, len(wanted) - tail + i) for i in range(tail)]
        groups = [
            *(((i,), (i,)) for i in range(head)),
            *((tuple(a), tuple(b)) for a, b in inner),
            *(((a,), (b,)) for a, b in outer),
        ]
        features = wanted.index(len(new) - 1) if len(new) - 1 in wanted else None
        value = graph.relaid(value, sizes, tuple(groups), features)
    if len(wanted) < len(new):
        value = graph.node(new, [(value, [same(a) for a in wanted])])
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
