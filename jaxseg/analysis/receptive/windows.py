"""Rules of primitives that look through a window, at all of an axis, or through a matrix."""

import itertools

import numpy as np

from jaxseg.analysis.receptive.graph import Known, Value
from jaxseg.analysis.receptive.links import WHOLE, Blocks, Link, Table, Window, same
from jaxseg.analysis.receptive.rules import rule


@rule("conv_general_dilated")
def convolution(graph, params, operands, results):
    """A window of taps over each spatial axis, all features of a group."""
    x, kernel = operands
    numbers, shape = params["dimension_numbers"], results[0].shape
    (batch, feature, *space) = numbers.lhs_spec
    (out_batch, out_feature, *out_space) = numbers.out_spec
    window = [kernel.shape[a] for a in numbers.rhs_spec[2:]]
    links: list[Link] = [WHOLE] * len(x.shape)
    links[batch] = same(out_batch)
    groups, batches = params["feature_group_count"], params["batch_group_count"]
    if groups > 1:
        links[feature] = Blocks(
            out_feature, shape[out_feature] // groups, x.shape[feature] // groups
        )
    if batches > 1:  # feature o takes its part of the batch, batch position by batch position
        links[batch] = WHOLE
    for axis, out, taps, step, (low, _), spread, dilation in zip(
        space,
        out_space,
        window,
        params["window_strides"],
        params["padding"],
        params["lhs_dilation"],
        params["rhs_dilation"],
        strict=True,
    ):
        links[axis] = Window(out, taps, step, dilation, low, spread)
    edges = [(x, links), (kernel, [WHOLE] * len(kernel.shape))]
    if batches > 1 and isinstance(x, Value) and len(x.cuts[batch]) > 1:
        raise ValueError(
            "receptive_field: a convolution with batch_group_count whose batch entries see "
            "different pixels has no rule: convolve them apart."
        )
    return [graph.node(shape, edges, mixed=[out_feature])]


@rule("jaxseg_trilinear")
def trilinear(graph, params, operands, results):
    """The convolution of `jaxseg.ops`: forward (y), upwards (x), or its weight gradient (k)."""
    a, b = operands
    shape, g, axes = results[0].shape, params["geometry"], len(params["geometry"].stride)
    whole = [same(0), *[WHOLE] * (len(b.shape) - 1)]
    if params["mode"] == "k":
        return [graph.node(shape, [(a, [same(0), *[WHOLE] * (axes + 2)]), (b, whole)])]
    links: list[Link] = [same(0), same(1)]
    for axis in range(axes):
        k, s, d, low = g.window[axis], g.stride[axis], g.dilation[axis], g.low[axis]
        if params["mode"] == "y":
            links.append(Window(2 + axis, k, s, d, low))
        else:  # output and input trade places: o s = i + low - t d
            links.append(Window(2 + axis, k, 1, -d, -low, s))
    features = 2 + axes
    if g.groups > 1:
        size = shape[-1] // g.groups, a.shape[-1] // g.groups
        links.append(Blocks(features, *size))
    else:
        links.append(WHOLE)
    return [graph.node(shape, [(a, links), (b, whole)], mixed=[features])]


@rule("jaxseg_taps")
def taps(graph, params, operands, results):
    """A constant sparse matrix along an axis: resizing, average pooling."""
    (x,), axis, table = operands, params["axis"], params["table"]
    links: list[Link] = [same(a) for a in range(len(x.shape))]
    rows, columns = table.entries
    links[axis] = Table(axis, rows, columns)
    return [graph.node(results[0].shape, [(x, links)])]


@rule("reduce_window_sum", "reduce_window_max", "reduce_window_min", "reduce_window")
def pooling(graph, params, operands, results):
    """A window of taps over every axis."""
    links = [
        Window(axis, taps, step, dilation, low, spread)
        for axis, (taps, step, (low, _), spread, dilation) in enumerate(
            zip(
                params["window_dimensions"],
                params["window_strides"],
                params["padding"],
                params["base_dilation"],
                params["window_dilation"],
                strict=True,
            )
        )
    ]
    count = len(results)
    edges = [(x, links if i < count else []) for i, x in enumerate(operands)]
    return [graph.node(aval.shape, edges) for aval in results]


@rule("select_and_scatter_add")
def pooling_gradient(graph, params, operands, results):
    """The gradient of a pooling: each window's value goes to one of its pixels, by comparison."""
    source, x = operands
    size, strides = params["window_dimensions"], params["window_strides"]
    lows = [low for low, _ in params["padding"]]
    down = [
        Window(a, *how)
        for a, how in enumerate(zip(size, strides, [1] * len(size), lows, strict=True))
    ]
    up = [
        Window(a, k, 1, -1, -low, s)
        for a, (k, s, low) in enumerate(zip(size, strides, lows, strict=True))
    ]
    windows = [source]
    if isinstance(x, Value):
        windows.append(graph.node(source.shape, [(x, down)]))
    inner = graph.together(source.shape, windows)
    return [graph.node(results[0].shape, [(inner, up)])]


@rule("cumsum", "cumprod", "cummax", "cummin", "cumlogsumexp")
def cumulative(graph, params, operands, results):
    """All positions up to each one, or from it on."""
    (x,), axis = operands, params["axis"]
    links: list[Link] = [same(a) for a in range(len(x.shape))]
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
def reduction(graph, params, operands, results):
    """All positions of some axes."""
    to = itertools.count()
    axes = params["axes"]
    links = [WHOLE if a in axes else same(next(to)) for a in range(len(operands[0].shape))]
    return [graph.node(results[0].shape, [(operands[0], links)])]


@rule("sort")
def sort(graph, params, operands, results):
    """Every position of the sorted axis may come from any other, by any of the keys."""
    axis = params["dimension"]
    links = [WHOLE if a == axis else same(a) for a in range(len(results[0].shape))]
    keys = [(x, links) for x in operands[: params["num_keys"]]]
    return [
        graph.node(aval.shape, [*keys, (x, links)])
        for x, aval in zip(operands, results, strict=True)
    ]


@rule("top_k")
def top_k(graph, params, operands, results):
    """As `sort`, over the last axis or the one named."""
    (x,) = operands
    axis = params.get("axis", len(x.shape) - 1) % len(x.shape)
    links = [WHOLE if a == axis else same(a) for a in range(len(x.shape))]
    return [graph.node(aval.shape, [(x, links)]) for aval in results]


@rule("fft")
def fourier(graph, params, operands, results):
    """All positions of the transformed axes."""
    (x,) = operands
    first = len(x.shape) - len(params["fft_lengths"])
    links = [same(a) if a < first else WHOLE for a in range(len(x.shape))]
    return [graph.node(results[0].shape, [(x, links)])]


@rule("dot_general")
def product(graph, params, operands, results):
    """Batch axes side by side, contracted axes whole, or as a known matrix has zeros."""
    contracted, batch = params["dimension_numbers"]
    shape, edges, mixed = results[0].shape, [], set()
    free = [
        [a for a in range(len(x.shape)) if a not in contracted[i] and a not in batch[i]]
        for i, x in enumerate(operands)
    ]
    first = [len(batch[0]), len(batch[0]) + len(free[0])]
    for i, x in enumerate(operands):
        links: list[Link] = [WHOLE] * len(x.shape)
        for n, a in enumerate(batch[i]):
            links[a] = same(n)
        for n, a in enumerate(free[i]):
            links[a] = same(first[i] + n)
        other = operands[1 - i]
        if isinstance(x, Value) and isinstance(other, Known):
            one_by_one = len(free[1 - i]) == len(contracted[i]) == 1 and not batch[0]
            if one_by_one and not other.learned:
                (mine,), (its,) = contracted[i], contracted[1 - i]
                if len(x.cuts[mine]) > 1:
                    links[mine] = Table(first[1 - i], *_pairs(other.value, its))
                    edges.append((x, links))
                    continue
            mixed |= {first[1 - i] + n for n in range(len(free[1 - i]))}
        edges.append((x, links))
    return [graph.node(shape, edges, mixed=sorted(mixed))]


def _pairs(matrix: np.ndarray, contracted: int) -> tuple[np.ndarray, np.ndarray]:
    """(free, contracted) positions of what is not zero."""
    found = np.nonzero(matrix)
    return found[1 - contracted], found[contracted]
