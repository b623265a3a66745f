"""Rules of primitives that move positions about: reshapes, slices, padding, concatenation."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxseg.analysis.receptive.arrays import AxisGroups, Constant, Operand, Value
from jaxseg.analysis.receptive.graph import Graph, repeated_pixels
from jaxseg.analysis.receptive.links import WHOLE, Window, identities, same
from jaxseg.analysis.receptive.registry import rule


@rule("broadcast_in_dim")
def _broadcast(graph, params, operands, results):
    """Axes of length 1 and new axes repeat."""
    x, shape = operands[0], results[0].shape
    links = [
        same(axis) if n == shape[axis] else WHOLE
        for n, axis in zip(x.shape, params["broadcast_dimensions"], strict=True)
    ]
    return [graph.node(shape, [(x, links)], pixels=repeated_pixels(links, shape))]


@rule("squeeze")
def _squeeze(graph, params, operands, results):
    """Axes of length 1 are dropped."""
    (x,), target = operands, itertools.count()
    dropped = params["dimensions"]
    links = [WHOLE if axis in dropped else same(next(target)) for axis in range(len(x.shape))]
    return [graph.node(results[0].shape, [(x, links)])]


@rule("transpose")
def _transpose(graph, params, operands, results):
    """Axes change places."""
    target = np.argsort(params["permutation"])
    return [graph.node(results[0].shape, [(operands[0], [same(int(a)) for a in target])])]


@rule("rev")
def _reverse(graph, params, operands, results):
    """Axes run backwards."""
    (x,) = operands
    links = identities(len(x.shape))
    for axis in params["dimensions"]:
        links[axis] = Window(axis, step=-1, low=1 - x.shape[axis])
    return [graph.node(results[0].shape, [(x, links)])]


@rule("slice")
def _slice(graph, params, operands, results):
    """Positions are taken in steps, from a first one on."""
    strides = params["strides"] or (1,) * len(results[0].shape)
    links = [
        Window(axis, step=step, low=-first)
        for axis, (first, step) in enumerate(zip(params["start_indices"], strides, strict=True))
    ]
    return [graph.node(results[0].shape, [(operands[0], links)])]


@rule("pad")
def _pad(graph, params, operands, results):
    """Padding lies before, behind and between the positions; a negative one crops."""
    x, padding_value = operands
    links = [
        Window(axis, low=low, spread=interior + 1)
        for axis, (low, _, interior) in enumerate(params["padding_config"])
    ]
    return [graph.node(results[0].shape, [(x, links), (padding_value, [])])]


@rule("concatenate")
def _concatenate(graph, params, operands, results):
    """The operands lie side by side."""
    return [graph.concatenate(results[0].shape, operands, params["dimension"])]


@rule("stack")
def _stack(graph, params, operands, results):
    """The operands lie side by side along a new axis."""
    axis = params.get("axis", params.get("dimension"))
    return [stack(graph, operands, axis, results[0].shape)]


def stack(graph: Graph, operands: Sequence[Operand], axis: int, shape: Sequence[int]) -> Operand:
    """Stack operands, at least one of which is a `Value`, along a new axis of a result."""
    layer_shape = (*shape[:axis], 1, *shape[axis + 1 :])
    links = [same(a + (a >= axis)) for a in range(len(shape) - 1)]
    layers = [
        graph.node(layer_shape, [(x, links)])
        if isinstance(x, Value)
        else Constant(layer_shape, x.make)
        for x in operands
    ]
    return graph.concatenate(shape, layers, axis)


@rule("unstack")
def _unstack(graph, params, operands, results):
    """The entries along an axis, each without that axis."""
    (x,), axis = operands, params.get("axis", params.get("dimension"))
    return [unstack(graph, x, axis, index) for index in range(len(results))]


def unstack(graph: Graph, x: Value, axis: int, index: int) -> Value:
    """The entry of a value at one index of an axis, without that axis."""
    one = graph.crop(x, axis, index, index + 1)
    links = [same(a - (a > axis)) if a != axis else WHOLE for a in range(len(x.shape))]
    return graph.node((*x.shape[:axis], *x.shape[axis + 1 :]), [(one, links)])


@rule("tile")
def _tile(graph, params, operands, results):
    """The array is repeated along each axis."""
    (value,) = operands
    for axis, times in enumerate(params["reps"]):
        if times > 1:
            shape = list(value.shape)
            shape[axis] *= times
            value = graph.concatenate(shape, [value] * times, axis)
    return [value]


@rule("split")
def _split(graph, params, operands, results):
    """Parts are taken side by side."""
    (x,), axis, first, parts = operands, params["axis"], 0, []
    for aval in results:
        links = identities(len(x.shape))
        links[axis] = Window(axis, low=-first)
        parts.append(graph.node(aval.shape, [(x, links)]))
        first += aval.shape[axis]
    return parts


@rule("reshape")
def _reshape(graph, params, operands, results):
    """The same positions, in row-major order, under other axes."""
    if params["dimensions"] is not None:
        raise ValueError(
            f"receptive_field: a reshape with dimensions={params['dimensions']} has no rule: "
            "transpose the array first."
        )
    return [reshape(graph, operands[0], results[0].shape)]


def reshape(graph: Graph, x: Value, shape: Sequence[int]) -> Value:
    """Reshape a value in row-major order."""
    old, new = tuple(x.shape), tuple(shape)
    # Axes that stay at either end keep their identity; inside, axes of length 1 come and go.
    least = min(len(old), len(new))
    head = next((n for n in range(least) if old[n] != new[n]), least)
    tail = next((n for n in range(least - head) if old[-1 - n] != new[-1 - n]), least - head)
    kept_old, kept_new = _without_ones(old, head, tail), _without_ones(new, head, tail)
    value: Any = x
    if len(kept_old) < len(old):
        links = [same(kept_old.index(a)) if a in kept_old else WHOLE for a in range(len(old))]
        value = graph.node([old[a] for a in kept_old], [(value, links)])
    sizes = [new[a] for a in kept_new]
    groups = _row_major_groups(value.shape, sizes, head, tail)
    if any(len(group) > 1 for pair in groups for group in pair):
        features = [kept_new.index(len(new) - 1)] if len(new) - 1 in kept_new else []
        value = graph.reshape(value, sizes, groups, features)
    if len(kept_new) < len(new):
        value = graph.node(new, [(value, [same(a) for a in kept_new])])
    return value


def _without_ones(shape: Sequence[int], head: int, tail: int) -> list[int]:
    """Axes of a shape that are at either end or longer than 1."""
    end = len(shape) - tail
    return [axis for axis, n in enumerate(shape) if n != 1 or axis < head or axis >= end]


def _row_major_groups(old: Sequence[int], new: Sequence[int], head: int, tail: int) -> AxisGroups:
    """The finest groups of axes with equal products, but one by one at either end."""
    groups: list[tuple[tuple[int, ...], tuple[int, ...]]] = [((a,), (a,)) for a in range(head)]
    i = j = head
    while i < len(old) - tail or j < len(new) - tail:
        first_i, first_j, product_old, product_new = i, j, old[i], new[j]
        while product_old != product_new:
            if product_old < product_new:
                i += 1
                product_old *= old[i]
            else:
                j += 1
                product_new *= new[j]
        i, j = i + 1, j + 1
        groups.append((tuple(range(first_i, i)), tuple(range(first_j, j))))
    groups += [((len(old) - tail + n,), (len(new) - tail + n,)) for n in range(tail)]
    return tuple(groups)
