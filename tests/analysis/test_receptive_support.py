"""The receptive field against the support of gradients, over random graphs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import random_graphs

from jaxseg.analysis import receptive_field

SEEDS = 320
PART = 40
TOGETHER = 8
QUICK = {"xla_backend_optimization_level": 0}  # compiles in half the time


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SEEDS, PART))
def test_every_pixel_of_random_graphs(first, x64):
    check_every_pixel({seed: random_graphs.draw(seed) for seed in range(first, first + PART)})


@pytest.mark.parametrize(
    "kind", ["dynamic_slice", "place", "scatter", "gather_windows", "take_along", "diagonal"]
)
def test_every_pixel_behind_indices(kind, x64):
    """Two such layers in a row, or one before or behind a convolution."""
    size, graphs = (4, 5), {}
    for seed in range(5):
        drawn = random_graphs.Draw(seed, 2, kinds=(kind, "conv"))
        fn, out = drawn.graph(size, 2)
        graphs[seed] = fn, size, tuple(out), drawn.names
    check_every_pixel(graphs)


def check_every_pixel(drawn):
    """Coverage, window and counts of each pixel of graphs by seed, eight of them at a time."""
    graphs = list(drawn.items())
    for part in (graphs[n : n + TOGETHER] for n in range(0, len(graphs), TOGETHER)):
        expected = random_graphs.supports([graph[:3] for _, graph in part], QUICK)
        for (seed, graph), support in zip(part, expected, strict=True):
            check_graph(f"seed {seed}, {graph[1]}: {graph[3]}", *graph, support)


def check_graph(label, fn, size, out, names, support):
    x = jax.ShapeDtypeStruct((1, *size, random_graphs.CHANNELS), jnp.float64)
    field = receptive_field(fn, x)
    assert field.output_size == out, label
    pixels = list(np.ndindex(*out))
    coverage = np.reshape([field.coverage(index) for index in pixels], (*out, *size))
    if not np.array_equal(coverage, support):
        # Compiled in haste, a weight of 0 may come out as one of 1e-17.
        (support,) = random_graphs.supports([(fn, size, out)])
    np.testing.assert_array_equal(coverage, support, label)
    for index in pixels:
        window, seen = field.window(index), support[index]
        np.testing.assert_array_equal(field.counts(index) > 0, seen, label)
        assert window == (
            tuple((axis.min(), axis.max()) for axis in np.nonzero(seen)) if seen.any() else None
        ), label
        # Pixels at a join may see farther than those of the longest part, which it speaks of.
        if not {"roll", "update", "join", "scatter"} & {*names}:
            for (lo, hi), largest in zip(window or (), field.size, strict=False):
                assert hi - lo < largest, label


def test_the_middle_sees_what_the_phases_say(x64):
    nets = pixels = 0
    for seed in range(400):
        fn, size, out, names = random_graphs.draw_regular(seed)
        x = jax.ShapeDtypeStruct((1, *size, random_graphs.CHANNELS), jnp.float64)
        field = receptive_field(fn, x)
        (axis,) = field.axes
        if not axis.regular or len(axis.phases) > 60:
            continue
        nets += 1
        period = len(axis.phases)
        begin = out[0] // 2 // period
        for phase, extent, first in axis.phases:
            pixel = begin * period + phase
            first += begin * int(period * axis.stride)
            last = first + extent - 1
            if pixel < out[0] and first >= 120 and last < 360:  # far from the borders
                expected = ((first, last),) if extent else None
                assert field.window((pixel,)) == expected, f"seed {seed}: {names}"
                pixels += 1
    assert nets > 200
    assert pixels > 400
