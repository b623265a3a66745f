"""The rules of primitives, one by one: what single output pixels see."""

import functools
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.extend.core import Primitive

from jaxseg import ops
from jaxseg.analysis import receptive_field
from jaxseg.analysis.receptive import Window, rule, same
from jaxseg.analysis.receptive.registry import RULES

IMAGE = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)


def kernel(*window, features=3):
    return jnp.ones((*window, features, features))


def chain(*layers):
    """Convolutions of (window, stride, dilation), unpadded, as in the table of a paper."""

    def fn(x):
        for k, s, d in layers:
            x = ops.conv(x, kernel(k, k), stride=s, dilation=d, padding=k // 2 * d)
        return x

    return fn


@pytest.mark.parametrize("form", ["direct", "fast"])
def test_every_lowering_of_the_core(form):
    def fn(x):
        with ops.lowering(form):
            y = ops.conv(x, kernel(3, 5), stride=(2, 1), dilation=(2, 1))
            return ops.upconv(y, kernel(3, 2), stride=(2, 3))

    field = receptive_field(fn, IMAGE)
    assert field.size == (7, 5)
    assert field.stride == (1, Fraction(1, 3))


@pytest.mark.parametrize(
    ("fn", "seen"),
    [
        (lambda x: jnp.cumsum(x, 1), ((0, 5), (9, 9))),
        (lambda x: lax.cumsum(x, 2, reverse=True), ((5, 5), (9, 63))),
        (lambda x: jnp.roll(x, 3, 1), ((2, 2), (9, 9))),
        (lambda x: jnp.swapaxes(x, 1, 2), ((9, 9), (5, 5))),
        (lambda x: jnp.take(x, np.arange(60, -1, -2), axis=1), ((50, 50), (9, 9))),
        (lambda x: jnp.sort(x, 1), ((0, 63), (9, 9))),
        (lambda x: jnp.fft.fft(x, axis=2).real, ((5, 5), (0, 63))),
        (lambda x: jax.image.resize(x, (1, 32, 64, 3), "nearest"), ((11, 11), (9, 9))),
        (lambda x: jnp.einsum("bhwc,cd->bhwd", x, jnp.ones((3, 5))), ((5, 5), (9, 9))),
        (lambda x: jnp.einsum("bhwc,hg->bgwc", x, jnp.eye(64)[::-1]), ((58, 58), (9, 9))),
        (lambda x: jnp.einsum("bhwc,bhvc->bhwv", x, x), ((5, 5), (0, 63))),
        (lambda x: jnp.einsum("bhwc,bhvc->bhwv", x, x)[..., 7:8], ((5, 5), (7, 9))),
        (lambda x: lax.fori_loop(0, 3, lambda _, y: chain((3, 1, 1))(y), x), ((2, 8), (6, 12))),
        (lambda x: lax.map(lambda y: jnp.roll(y, 1, 0), x), ((4, 4), (9, 9))),
        (lambda x: jax.vmap(lambda y: ops.conv(y[None], kernel(3, 3))[0])(x), ((4, 6), (8, 10))),
        (lambda x: x.at[:, 5:7].set(x[:, :2]), ((0, 0), (9, 9))),
        (lambda x: x.at[:, 5].add(x[:, 0]), ((0, 5), (9, 9))),
        (lambda x: lax.dynamic_slice(x, (0, 7, 0, 0), (1, 8, 64, 3)), ((12, 12), (9, 9))),
        (
            lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), "SAME"),
            ((10, 12), (18, 20)),
        ),
        (lambda x: jax.checkpoint(jnp.sin)(jax.nn.relu(jax.nn.gelu(x))), ((5, 5), (9, 9))),
        (lambda x: jnp.pad(x, ((0, 0), (2, 2), (0, 0), (0, 0)), mode="reflect"), ((3, 3), (9, 9))),
        (lambda x: ops.max_pool(x, 3, stride=2, padding=1), ((9, 11), (17, 19))),
        (lambda x: x.reshape(1, 4096, 3).reshape(1, 64, 64, 3), ((5, 5), (9, 9))),
        (jax.grad(lambda x: jnp.sum(ops.conv(x, kernel(3, 3)) ** 2)), ((3, 7), (7, 11))),
    ],
)
def test_the_window_of_one_pixel(fn, seen):
    assert receptive_field(fn, IMAGE).window((5, 9)) == seen


def test_branches_and_loops_that_the_data_decides():
    narrow, wide = (lambda x: ops.conv(x, kernel(3, 3))), (lambda x: ops.conv(x, kernel(1, 7)))
    known = receptive_field(lambda x: lax.cond(True, narrow, wide, x), IMAGE)
    assert known.size == (3, 3)
    chosen = receptive_field(lambda x: lax.cond(x[0, 0, 0, 0] > 0, narrow, wide, x), IMAGE)
    seen = chosen.coverage((20, 20))
    assert seen.sum() == 9 + 7 - 3 + 1  # a cross, and the pixel that decides
    assert seen[0, 0]

    def rolling(x, by=(2, 0)):
        return lax.while_loop(lambda y: y[0, 0, 0, 0] > 0, lambda y: jnp.roll(y, by, (1, 2)), x)

    x = jax.ShapeDtypeStruct((1, 8, 9, 1), jnp.float32)
    seen = receptive_field(rolling, x).coverage((4, 4))
    assert seen[::2, 4].all()
    assert not seen[1::2].any()
    around = functools.partial(rolling, by=(1, 1))
    assert receptive_field(around, x).coverage((4, 4)).all()
    with pytest.raises(ValueError, match="mixes 12288 pixels, more than 1024"):
        receptive_field(rolling, jax.ShapeDtypeStruct((1, 96, 128, 1), jnp.float32))

    def counted(x):
        return lax.while_loop(lambda c: c[0] < 4, lambda c: (c[0] + 1, narrow(c[1])), (0, x))[1]

    assert receptive_field(counted, IMAGE).size == (9, 9)


def test_a_known_zero_of_a_resizing_matrix_is_not_seen():
    blur = jnp.asarray(np.eye(64) + np.eye(64, k=1), jnp.float32)
    field = receptive_field(lambda x: jnp.einsum("bhwc,hg->bgwc", x, blur), IMAGE)
    assert field.window((5, 5)) == ((4, 5), (5, 5))


def test_an_unknown_primitive_is_refused_until_it_has_a_rule():
    blur_p = Primitive("blur")
    blur_p.def_abstract_eval(lambda x: x)

    def fn(x):
        return blur_p.bind(ops.conv(x, kernel(3, 3)))

    with pytest.raises(ValueError, match=r"primitive 'blur' has no rule.*receptive\.rule\("):
        receptive_field(fn, IMAGE)

    @rule("blur")
    def _(graph, params, operands, results):
        links = [same(0), Window(1, taps=5, low=2), same(2), same(3)]
        return [graph.node(results[0].shape, [(operands[0], links)])]

    try:
        assert receptive_field(fn, IMAGE).size == (7, 3)
    finally:
        del RULES["blur"]


def test_an_index_out_of_bounds_sees_nothing():
    dropped = receptive_field(lambda x: x.at[:, 99].set(x[:, 0]), IMAGE)
    assert dropped.window((63, 3)) == ((63, 63), (3, 3))
    filled = receptive_field(lambda x: jnp.take(x, np.array([99]), axis=1, mode="fill"), IMAGE)
    assert filled.window((0, 3)) is None
    clipped = receptive_field(lambda x: jnp.take(x, np.array([99]), axis=1, mode="clip"), IMAGE)
    assert clipped.window((0, 3)) == ((63, 63), (3, 3))


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("form", ["direct", "fast"])
def test_an_upconvolution_with_every_option(axes, form):
    """Stride 2, dilation 3, padding 2: output o sees inputs i with o = 2 i - 2 + 3 t, t < 4."""

    def fn(x):
        with ops.lowering(form):
            k = jnp.ones((4,) * axes + (1, 1))
            return ops.upconv(x, k, stride=2, dilation=3, padding=2)

    field = receptive_field(fn, jax.ShapeDtypeStruct((1, *(9,) * axes, 1), jnp.float32))
    assert field.stride == (Fraction(1, 2),) * axes
    for pixel in range(field.output_size[0]):
        inputs = {(pixel + 2 - 3 * tap) // 2 for tap in range(4) if (pixel + 2 - 3 * tap) % 2 == 0}
        line = np.isin(np.arange(9), list(inputs))
        expected = functools.reduce(np.multiply.outer, [line] * axes)
        np.testing.assert_array_equal(field.coverage((pixel,) * axes), expected)


def test_padding_between_the_pixels():
    """low 1, interior 2, high -1: pixel i comes to 1 + 3 i."""
    padding = [(0, 0, 0), (1, -1, 2), (-2, 0, 1), (0, 0, 0)]
    field = receptive_field(lambda x: lax.pad(x, jnp.float32(0), padding), IMAGE)
    assert field.output_size == (190, 125)
    assert field.stride == (Fraction(1, 3), Fraction(1, 2))
    assert [tuple(phase) for phase in field.phases[0]] == [(0, 0, 0), (1, 1, 0), (2, 0, 0)]
    assert [phase.size for phase in field.phases[1]] == [1, 0]
    assert field.window((7, 8)) == ((2, 2), (5, 5))
    assert field.window((8, 8)) is None
    assert field.window((7, 9)) is None


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("output", ["carry", "first", "last"])
def test_a_scan_in_either_direction(reverse, output):
    """A convolution a turn; turn n of a reversed loop has seen the turns behind it."""

    def fn(x):
        def turn(y, k):
            y = ops.conv(y, k)
            return y, y

        kernels = jnp.ones((4, 3, 1, 3, 3))
        carry, by_turn = lax.scan(turn, x, kernels, reverse=reverse)
        return {"carry": carry, "first": by_turn[0], "last": by_turn[-1]}[output]

    turns = 4 if output == "carry" or (output == "first") == reverse else 1
    assert receptive_field(fn, IMAGE).size == (1 + 2 * turns, 1)


def test_a_scan_over_rows_in_either_direction():
    def fn(x, reverse):
        rows = jnp.moveaxis(x, 1, 0)
        sums = lax.scan(
            lambda s, row: (s + row, s + row), jnp.zeros((1, 4, 1)), rows, reverse=reverse
        )[1]
        return jnp.moveaxis(sums, 0, 1)

    x = jax.ShapeDtypeStruct((1, 6, 4, 1), jnp.float32)
    for reverse, window in ((False, (0, 2)), (True, (2, 5))):
        field = receptive_field(functools.partial(fn, reverse=reverse), x)
        assert field.window((2, 3)) == (window, (3, 3))


def test_a_window_in_the_padding_sees_nothing():
    """The column that is left has one pixel, which windows three apart step over."""

    def fn(x):
        column = x[:, :, 1:2]
        return lax.reduce_window(
            column, 0.0, lax.add, (1, 1, 1, 1), (1, 1, 3, 1), [(0, 0), (0, 0), (1, 2), (0, 0)]
        )

    field = receptive_field(fn, IMAGE)
    assert field.output_size == (64, 2)
    assert not field.coverage((5, 0)).any()
    assert not field.coverage((5, 1)).any()


@pytest.mark.parametrize(
    ("fn", "unit"),
    [
        (lambda x: jnp.broadcast_to(jnp.sum(x, (1, 2), keepdims=True), x.shape), 1),
        (lambda x: jnp.repeat(x, 2, 1).sum(1, keepdims=True), 1),
        (lambda x: x.at[:, 0].add(x[:, 3]), 1),
        (lambda x: jnp.stack([x, x * 3, x], 1)[:, ::2].sum(1) + x, 1),
        (lambda x: jnp.tile(x, (1, 2, 3, 1)), 1),
        (lambda x: ops.upconv(x.sum((1, 2), keepdims=True), jnp.ones((3, 3, 1, 1)), stride=3), 1),
        (
            lambda x: ops.conv(
                jnp.broadcast_to(x.sum((1, 2), keepdims=True), x.shape), jnp.ones((3, 3, 1, 1))
            ),
            1,
        ),
        (
            lambda x: ops.conv(
                ops.upconv(x.sum((1, 2), keepdims=True), jnp.ones((3, 3, 1, 1)), stride=3),
                jnp.ones((3, 3, 1, 1)),
            ),
            1,
        ),
        # Factors are no paths: in units of the least derivative.
        (lambda x: jnp.broadcast_to(jnp.mean(x, (1, 2), keepdims=True), x.shape), 1 / 30),
        (lambda x: 3 * jnp.tile(x, (1, 2, 1, 1)), 3),
    ],
)
def test_paths_through_broadcasts_and_boxes(fn, unit, x64):
    x = jnp.ones((1, 5, 6, 1))
    field = receptive_field(fn, x)
    gradient = jax.jit(jax.jacrev(lambda x: fn(x)[0, ..., 0]))(x)[..., 0, :, :, 0]
    for index in np.ndindex(*field.output_size):
        np.testing.assert_allclose(field.counts(index) * unit, gradient[index], rtol=1e-12)
