"""Rules of primitives that look through a window: convolutions, poolings, resizes."""

from jaxseg.analysis.receptive.arrays import Value
from jaxseg.analysis.receptive.links import WHOLE, Blocks, Link, Table, Window, identities, same
from jaxseg.analysis.receptive.registry import rule


@rule("conv_general_dilated")
def _convolution(graph, params, operands, results):
    """Each position depends on a window of taps along every spatial axis, over its group."""
    x, kernel = operands
    numbers, shape = params["dimension_numbers"], results[0].shape
    (batch, feature, *space) = numbers.lhs_spec
    (out_batch, out_feature, *out_space) = numbers.out_spec
    links: list[Link] = [WHOLE] * len(x.shape)
    groups, batch_groups = params["feature_group_count"], params["batch_group_count"]
    if batch_groups == 1:  # with more, a feature takes its part of the batch
        links[batch] = same(out_batch)
    elif isinstance(x, Value) and len(x.partitions[batch]) > 1:
        raise ValueError(
            "receptive_field: a convolution with batch_group_count whose batch entries see "
            "different pixels has no rule: convolve the entries one by one."
        )
    if groups > 1:
        sizes = shape[out_feature] // groups, x.shape[feature] // groups
        links[feature] = Blocks(out_feature, *sizes)
    for i, (axis, out_axis) in enumerate(zip(space, out_space, strict=True)):
        links[axis] = Window(
            out_axis,
            taps=kernel.shape[numbers.rhs_spec[2 + i]],
            step=params["window_strides"][i],
            dilation=params["rhs_dilation"][i],
            low=params["padding"][i][0],
            spread=params["lhs_dilation"][i],
        )
    edges = [(x, links), (kernel, [WHOLE] * len(kernel.shape))]
    return [graph.node(shape, edges)]


@rule("jaxseg_trilinear")
def _trilinear(graph, params, operands, results):
    """The convolution of `jaxseg.ops` ("y"), its transpose ("x") or its weight gradient ("k")."""
    a, b = operands
    shape, geometry = results[0].shape, params["geometry"]
    axes = len(geometry.stride)
    ensemble_only = [same(0), *[WHOLE] * (len(b.shape) - 1)]
    if params["mode"] == "k":
        edges = [(a, [same(0), *[WHOLE] * (axes + 2)]), (b, ensemble_only)]
        return [graph.node(shape, edges)]
    links: list[Link] = [same(0), same(1)]
    for axis in range(axes):
        taps, stride = geometry.window[axis], geometry.stride[axis]
        dilation, low = geometry.dilation[axis], geometry.low[axis]
        if params["mode"] == "y":
            links.append(Window(2 + axis, taps, stride, dilation, low))
        else:  # input i and output o trade places: o * stride = i + low - tap * dilation
            links.append(Window(2 + axis, taps, 1, -dilation, -low, stride))
    features, groups = 2 + axes, geometry.groups
    if groups > 1:
        links.append(Blocks(features, shape[-1] // groups, a.shape[-1] // groups))
    else:
        links.append(WHOLE)
    return [graph.node(shape, [(a, links), (b, ensemble_only)])]


@rule("jaxseg_taps")
def _sparse_axis(graph, params, operands, results):
    """A constant sparse matrix is applied along an axis: resizing, average pooling."""
    (x,), axis = operands, params["axis"]
    links = identities(len(x.shape))
    links[axis] = Table(axis, *params["table"].entries)
    return [graph.node(results[0].shape, [(x, links)])]


@rule("reduce_window_sum", "reduce_window_max", "reduce_window_min", "reduce_window")
def _pooling(graph, params, operands, results):
    """Each position depends on a window of taps along every axis."""
    links = [
        Window(axis, taps, step, dilation, low, spread)
        for axis, (taps, step, dilation, (low, _), spread) in enumerate(
            zip(
                params["window_dimensions"],
                params["window_strides"],
                params["window_dilation"],
                params["padding"],
                params["base_dilation"],
                strict=True,
            )
        )
    ]
    count = len(results)  # the operands behind the first `count` are initial values
    edges = [(x, links if i < count else []) for i, x in enumerate(operands)]
    return [graph.node(aval.shape, edges) for aval in results]


@rule("select_and_scatter_add")
def _pooling_gradient(graph, params, operands, results):
    """Each window's value goes to one of its pixels, which a comparison of them all chooses."""
    source, x = operands
    sizes, strides = params["window_dimensions"], params["window_strides"]
    lows = [low for low, _ in params["padding"]]
    windows = [source]
    if isinstance(x, Value):
        down = [
            Window(axis, taps, step, 1, low)
            for axis, (taps, step, low) in enumerate(zip(sizes, strides, lows, strict=True))
        ]
        windows.append(graph.node(source.shape, [(x, down)]))
    up = [
        Window(axis, taps, 1, -1, -low, step)
        for axis, (taps, step, low) in enumerate(zip(sizes, strides, lows, strict=True))
    ]
    return [graph.node(results[0].shape, [(graph.elementwise(source.shape, windows), up)])]
