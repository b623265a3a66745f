"""The receptive field against the support of gradients, over random graphs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import random_graphs

from jaxseg.analysis import receptive_field

SEEDS = 320
PART = 40


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, SEEDS, PART))
def test_every_pixel_of_random_graphs(first, x64):
    for seed in range(first, first + PART):
        fn, size, out, names = random_graphs.draw(seed)
        said = f"seed {seed}, {size}: {names}"
        true = random_graphs.support(fn, size, out)
        x = jax.ShapeDtypeStruct((1, *size, random_graphs.CHANNELS), jnp.float64)
        field = receptive_field(fn, x)
        assert field.output_size == out, said
        for index in np.ndindex(*out):
            _check_pixel(field, index, true[index], said)
            # Pixels at a join may see farther than those of the longest part, which it speaks of.
            if not {"roll", "update", "join"} & {*names}:
                for (lo, hi), largest in zip(field.window(index) or (), field.size, strict=False):
                    assert hi - lo < largest, said


def _check_pixel(field, index, true, said):
    np.testing.assert_array_equal(field.coverage(index), true, said)
    window = field.window(index)
    if not true.any():
        assert window is None, said
        return
    assert window == tuple((a.min(), a.max()) for a in np.nonzero(true)), said
    np.testing.assert_array_equal(field.counts(index) > 0, true, said)


def test_the_middle_sees_what_the_phases_say():
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
                wanted = ((first, last),) if extent else None
                assert field.window((pixel,)) == wanted, f"seed {seed}: {names}"
                pixels += 1
    assert nets > 200
    assert pixels > 400
