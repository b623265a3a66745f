"""Receptive fields whose answer is known by hand, and what is refused."""

import functools
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx
from jax import lax
from jax.ad_checkpoint import checkpoint_name
from jax.extend.core import Primitive

from jaxseg import models, nn, ops
from jaxseg.analysis import receptive_field, summary
from jaxseg.analysis.receptive import Window, rule, same
from jaxseg.analysis.receptive.rules import RULES

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


@pytest.mark.parametrize(
    ("layers", "size", "stride", "padding"),
    [
        ([(3, 1, 1)], 3, 1, 1),
        ([(3, 2, 1), (3, 2, 1), (3, 1, 1)], 15, 4, 7),
        ([(7, 2, 1), (3, 2, 1)], 11, 4, 5),
        ([(3, 1, 1), (3, 1, 2), (3, 1, 4)], 15, 1, 7),
        ([(1, 2, 1), (3, 1, 1)], 5, 2, 2),
    ],
)
def test_araujos_recursion(layers, size, stride, padding):
    field = receptive_field(chain(*layers), IMAGE)
    assert field.size == (size, size)
    assert field.stride == (stride, stride)
    assert field.padding == (padding, padding)
    assert field.offset == ((size - 1) / 2 - padding,) * 2


def test_the_axes_are_apart():
    field = receptive_field(lambda x: ops.conv(x, kernel(1, 5), stride=(1, 2)), IMAGE)
    assert (field.size, field.stride) == ((1, 5), (1, 2))


@pytest.mark.parametrize("space", [(32,), (16, 16), (8, 8, 8)])
def test_one_to_three_axes(space):
    k = jnp.ones((3,) * len(space) + (2, 2))
    x = jax.ShapeDtypeStruct((1, *space, 2), jnp.float32)
    field = receptive_field(lambda x: ops.conv(ops.conv(x, k), k, dilation=2), x)
    assert field.size == (7,) * len(space)
    assert field.coverage((4,) * len(space)).sum() == 7 ** len(space)


def test_a_residual_branch_sees_the_longest_path():
    field = receptive_field(lambda x: x + chain((3, 1, 1), (3, 1, 1))(x), IMAGE)
    assert field.size == (5, 5)
    assert field.counts((32, 32))[32, 32] == 3 * 3 + 1


def test_phases_behind_an_upconvolution():
    up = receptive_field(
        lambda x: ops.upconv(ops.conv(x, kernel(3, 3), stride=2), kernel(2, 2), stride=2), IMAGE
    )
    assert [tuple(p) for p in up.phases[0]] == [(0, 3, 0), (1, 3, 0)]
    half = receptive_field(lambda x: ops.upconv(x, kernel(4, 4), stride=2, padding=1), IMAGE)
    assert half.stride == (Fraction(1, 2),) * 2
    assert [tuple(p) for p in half.phases[0]] == [(0, 2, -1), (1, 2, 0)]


def test_a_pixel_that_sees_nothing():
    field = receptive_field(lambda x: ops.upconv(x, kernel(1, 1), stride=2, padding=0), IMAGE)
    assert field.window((0, 1)) is None
    assert not field.coverage((0, 1)).any()
    assert field.counts((2, 2)).sum() == 1
    assert [phase.size for phase in field.phases[0]] == [1, 0]
    nothing = receptive_field(lambda x: jnp.zeros((1, 4, 4, 3)), IMAGE)
    assert nothing.size == (0, 0)
    assert nothing.window((0, 0)) is None
    assert "nothing" in repr(nothing)


def test_borders_are_clipped_and_holes_are_seen():
    field = receptive_field(lambda x: ops.conv(x, kernel(3, 3), dilation=3), IMAGE)
    assert field.window((1, 63)) == ((1, 4), (60, 63))
    seen = field.coverage((1, 63))
    assert seen.sum() == 4
    assert seen[np.ix_([1, 4], [60, 63])].all()


def test_negative_indices_count_from_the_end():
    field = receptive_field(chain((3, 1, 1)), IMAGE)
    assert field.window((-1, -64)) == field.window((63, 0)) == ((62, 63), (0, 1))


@pytest.mark.parametrize("index", [(0,), (0, 64), (0, -65), (0.5, 1), 3, "ab", (0, 0, 0)])
def test_what_is_no_pixel_is_refused(index):
    with pytest.raises(ValueError, match="is no pixel of an output of"):
        receptive_field(chain((3, 1, 1)), IMAGE).window(index)


def test_counts_are_the_gradient_of_ones(x64):
    one = jnp.ones((3, 3, 1, 1))

    def fn(x):
        y = ops.conv(x, one, dilation=2, stride=2) + ops.avg_pool(x, 2) * 4
        return ops.upconv(y, jnp.ones((4, 4, 1, 1)), stride=2) + x + x

    x = jnp.zeros((1, 12, 10, 1))
    field = receptive_field(fn, x)
    for index in ((0, 0), (5, 6), (11, 9)):
        true = jax.grad(lambda x: fn(x)[0, *index, 0])(x)[0, ..., 0]  # noqa: B023
        np.testing.assert_array_equal(field.counts(index), true)


def test_counts_beyond_64_bits_are_exact():
    def fn(x):
        for _ in range(60):
            x = ops.conv(x, jnp.ones((3, 1, 1, 1)), padding=((1, 1), (0, 0)))
        return x

    x = jax.ShapeDtypeStruct((1, 141, 1, 1), jnp.float32)
    counts = receptive_field(fn, x).counts((70, 0))
    assert counts.dtype == object
    row = np.array([1], object)
    for _ in range(60):
        row = np.convolve(row, [1, 1, 1])
    assert list(counts[10:131, 0]) == list(row)
    assert counts.sum() == 3**60


def test_a_deep_sum_of_branches_counts_every_path():
    def fn(x):
        for _ in range(20):
            x = x + ops.conv(x, jnp.ones((1, 1, 3, 3)))
        return x

    assert receptive_field(fn, IMAGE).counts((3, 3))[3, 3] == 2**20


def test_features_are_no_paths_of_their_own():
    def fn(x):
        y = ops.conv(x, jnp.ones((1, 1, 3, 8)))
        z = jnp.concatenate([y, ops.conv(y, jnp.ones((1, 1, 8, 8)))], -1)
        return jax.nn.silu(ops.conv(z, jnp.ones((1, 1, 16, 3))))

    assert receptive_field(fn, IMAGE).counts((3, 3))[3, 3] == 2


def test_channels_are_told_apart():
    def fn(x):
        near, far = ops.conv(x, kernel(3, 3)), ops.conv(x, kernel(3, 3), dilation=9)
        return jnp.concatenate([near, far], -1)[..., :3]

    assert receptive_field(fn, IMAGE).size == (3, 3)
    shuffled = receptive_field(lambda x: ops.pixel_shuffle(ops.pixel_unshuffle(x, 4), 4), IMAGE)
    assert shuffled.size == (1, 1)
    assert shuffled.window((13, 7)) == ((13, 13), (7, 7))


def test_groups_are_told_apart():
    def fn(x):
        y = jnp.concatenate([ops.conv(x, kernel(3, 3)), ops.conv(x, kernel(5, 5))], -1)
        return ops.conv(y, jnp.ones((3, 3, 3, 4)), groups=2)[..., :2]

    assert receptive_field(fn, IMAGE).size == (5, 5)


def test_global_pooling_sees_everything():
    def fn(x):
        return x + jnp.mean(ops.conv(x, kernel(3, 3), stride=2), (1, 2), keepdims=True)

    field = receptive_field(fn, IMAGE)
    assert field.window((3, 5)) == ((0, 63), (0, 63))
    assert field.size == (64, 64)
    no_space = receptive_field(lambda x: x.mean((1, 2)), IMAGE)
    assert (no_space.output_size, no_space.stride) == ((), (0, 0))
    assert no_space.window() == ((0, 63), (0, 63))
    assert "the same for every output pixel" in repr(no_space)


def test_pooling_beside_convolutions_sees_everything_alike():
    def fn(x):
        y = chain((3, 2, 1), (3, 2, 1))(x)
        pooled = jnp.broadcast_to(jnp.mean(y, (1, 2), keepdims=True), y.shape)
        return ops.resize(ops.conv(jnp.concatenate([y, pooled], -1), jnp.ones((1, 1, 6, 2))), 64)

    field = receptive_field(fn, IMAGE)
    assert (field.size, field.stride) == ((64, 64), (0, 0))
    assert field.coverage((9, 50)).all()


def test_a_reversed_image():
    field = receptive_field(lambda x: ops.conv(jnp.flip(x, 1), kernel(3, 3)), IMAGE)
    assert field.stride == (-1, 1)
    assert field.window((0, 0)) == ((62, 63), (0, 1))


def test_what_does_not_repeat_says_so():
    field = receptive_field(lambda x: x + jnp.flip(x, 1), IMAGE)
    assert field.stride == (None, 1)
    assert field.size == (64, 1)
    assert field.coverage((0, 3)).sum() == 2
    assert "no regular stride" in repr(field)


@pytest.mark.parametrize("size", [7, 8])
def test_an_output_of_one_pixel_keeps_its_field(size):
    x = jax.ShapeDtypeStruct((1, size, size, 1), jnp.float32)
    field = receptive_field(lambda x: ops.conv(x, jnp.ones((9, 9, 1, 1)), padding=1), x)
    assert (field.size, field.stride, field.padding) == ((9, 9), (1, 1), (1, 1))
    assert field.window((0, 0)) == ((0, min(size, 8) - 1),) * 2


def test_an_axis_in_two():
    field = receptive_field(lambda x: chain((3, 1, 1))(x).reshape(1, 32, 2, 64, 3), IMAGE)
    assert field.output_size == (32, 2, 64)
    assert field.size == (3, 3)
    assert field.stride == (None, 1)
    assert field.window((4, 1, 7)) == ((8, 10), (6, 8))


@pytest.mark.parametrize("form", ["direct", "fast"])
def test_every_lowering_of_the_core(form):
    def fn(x):
        with ops.lowering(form):
            y = ops.conv(x, kernel(3, 5), stride=(2, 1), dilation=(2, 1))
            return ops.upconv(y, kernel(3, 2), stride=(2, 3))

    field = receptive_field(fn, IMAGE)
    assert field.size == (7, 5)
    assert field.stride == (1, Fraction(1, 3))


def test_resizing_keeps_its_stride():
    field = receptive_field(lambda x: ops.resize(x, (128, 48)), IMAGE)
    assert field.stride == (Fraction(1, 2), Fraction(4, 3))
    assert field.size == (2, 2)


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


def test_only_the_shape_of_the_image_counts():
    def size_and_window(n):
        x = jax.ShapeDtypeStruct((1, n, n, 3), jnp.float32)
        field = receptive_field(chain((7, 2, 1), (3, 2, 1), (3, 1, 4)), x)
        return field.size, field.stride, field.window((n // 8, n // 8)) is None

    assert size_and_window(64) == size_and_window(4096)


def test_a_module_and_its_layers():
    net = models.DeepNet(classes=4, blocks=5, features=8, rngs=nnx.Rngs(0))
    field = receptive_field(net, IMAGE)
    assert field.size == (2 * 11 + 1,) * 2
    table = summary(net, IMAGE)
    assert table["all"].parameters == sum(
        v.size for v in jax.tree.leaves(nnx.state(net, nnx.Param))
    )
    assert [table[f"stack/[{i}]"].field.size[0] for i in range(5)] == [7, 11, 15, 19, 23]
    assert table["stem"].multiply_adds == 64 * 64 * 9 * 3 * 8
    assert table["stem"].shape == (1, 64, 64, 8)
    assert table["stack"].multiply_adds == 10 * 64 * 64 * 9 * 8 * 8
    assert table["head"].field.size == field.size
    lines = table.csv().splitlines()
    assert lines[0] == "layer,output,field,stride,parameters,multiply_adds"
    assert lines[1] == "stem,1x64x64x8,3x3,1x1,216,884736"
    assert lines[-1].startswith("all,1x64x64x4,23x23,1x1,")
    assert len(str(table).splitlines()) == len(lines)
    top = summary(net, IMAGE, depth=1)
    assert [layer.name for layer in top.layers] == ["stem", "stack", "norm", "head", ""]
    assert top["stack"].parameters == table["stack"].parameters
    assert type(net.stem) is nn.Conv  # the net itself is as it was
    assert net(jnp.zeros((1, 8, 8, 3))).shape == (1, 8, 8, 4)


def test_a_module_that_updates_its_statistics():
    net = models.DeepNet(classes=4, blocks=2, norm="batch", rngs=nnx.Rngs(0))
    before = jax.tree.map(np.asarray, nnx.state(net))
    train = functools.partial(net, train=True)
    assert receptive_field(train, IMAGE).window((3, 3)) == ((0, 63), (0, 63))
    assert summary(train, IMAGE)["stem"].field.size == (3, 3)
    assert summary(train, IMAGE)["all"].parameters == summary(net, IMAGE)["all"].parameters
    jax.tree.map(np.testing.assert_array_equal, before, nnx.state(net))


def test_names_of_a_function():
    weights = jnp.ones((3, 3, 3, 3))

    def fn(x):
        with jax.named_scope("down"):
            x = ops.conv(x, weights, stride=2)
        x = checkpoint_name(jax.nn.relu(x), "features")
        with jax.named_scope("up"):
            return ops.upconv(x, weights, stride=2)

    table = summary(fn, IMAGE)
    assert [layer.name for layer in table.layers] == ["down", "features", "up", ""]
    assert [layer.parameters for layer in table.layers] == [81, 0, 0, 81]  # shared: counted once
    assert table["down"].multiply_adds == table["up"].multiply_adds == 32 * 32 * 81
    with pytest.raises(KeyError):
        table["sideways"]
    assert [layer.name for layer in summary(fn, IMAGE, depth=0).layers] == [""]
    with pytest.raises(ValueError, match="depth=-1 must be at least 0"):
        summary(fn, IMAGE, depth=-1)


def test_an_unknown_primitive_is_refused_until_it_has_a_rule():
    blur_p = Primitive("blur")
    blur_p.def_abstract_eval(lambda x: x)

    def fn(x):
        return blur_p.bind(ops.conv(x, kernel(3, 3)))

    with pytest.raises(ValueError, match=r"primitive 'blur' has no rule.*receptive\.rules\.rule"):
        receptive_field(fn, IMAGE)

    @rule("blur")
    def _(graph, params, operands, results):
        links = [same(0), Window(1, taps=5, low=2), same(2), same(3)]
        return [graph.node(results[0].shape, [(operands[0], links)])]

    try:
        assert receptive_field(fn, IMAGE).size == (7, 3)
    finally:
        del RULES["blur"]


@pytest.mark.parametrize(
    ("x", "match"),
    [
        (jax.ShapeDtypeStruct((8, 8), jnp.float32), "is no image batch"),
        (jax.ShapeDtypeStruct((1, 0, 8, 3), jnp.float32), "is no image batch"),
        (3.0, "is no image batch"),
        (None, "is no image batch"),
    ],
)
def test_no_image_batch(x, match):
    with pytest.raises(ValueError, match=match):
        receptive_field(lambda x: x, x)


def test_several_arrays_are_refused_with_the_way_out():
    with pytest.raises(ValueError, match=r"pick one, as in lambda x: fn\(x\)\['out'\]"):
        receptive_field(lambda x: {"out": x, "aux": x}, IMAGE)
    assert summary(lambda x: {"out": x, "aux": x}, IMAGE)["all"].field.size == (1, 1)


def test_an_index_out_of_bounds_sees_nothing():
    dropped = receptive_field(lambda x: x.at[:, 99].set(x[:, 0]), IMAGE)
    assert dropped.window((63, 3)) == ((63, 63), (3, 3))
    filled = receptive_field(lambda x: jnp.take(x, np.array([99]), axis=1, mode="fill"), IMAGE)
    assert filled.window((0, 3)) is None
    clipped = receptive_field(lambda x: jnp.take(x, np.array([99]), axis=1, mode="clip"), IMAGE)
    assert clipped.window((0, 3)) == ((63, 63), (3, 3))


@pytest.mark.parametrize("mode", ["reflect", "wrap", "edge"])
def test_padding_from_the_image_leaves_the_middle_as_it_is(mode):
    def fn(x):
        for _ in range(2):
            x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode=mode)
            x = ops.conv(x, kernel(3, 3), padding="valid")
        return x

    field = receptive_field(fn, IMAGE)
    assert (field.size, field.stride, field.padding) == ((5, 5), (1, 1), (2, 2))
    assert field.window((0, 32))[0] == ((0, 63) if mode == "wrap" else (0, 2))


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: jnp.broadcast_to(jnp.mean(x, (1, 2), keepdims=True) * 30, x.shape),
        lambda x: jnp.repeat(x, 2, 1).sum(1, keepdims=True),
        lambda x: x.at[:, 0].add(x[:, 3]),
        lambda x: jnp.stack([x, x * 2, x], 1).sum(1) - x,
        lambda x: jnp.tile(x, (1, 2, 3, 1)),
        lambda x: ops.upconv(x.sum((1, 2), keepdims=True), jnp.ones((3, 3, 1, 1)), stride=3),
        lambda x: ops.conv(
            jnp.broadcast_to(x.sum((1, 2), keepdims=True), x.shape), jnp.ones((3, 3, 1, 1))
        ),
    ],
)
def test_paths_through_broadcasts_and_boxes(fn, x64):
    x = jnp.ones((1, 5, 6, 1))
    field = receptive_field(fn, x)
    for index in np.ndindex(*field.output_size):
        # In units of the smallest: the factors of mean and scale are no paths.
        true = np.asarray(jax.grad(lambda x: fn(x)[0, *index, 0])(x)[0, ..., 0])  # noqa: B023
        found = field.counts(index)
        if np.array_equal(true, np.round(true)) and "mean" not in fn.__code__.co_names:
            expected = true if fn.__code__.co_consts.count(2) == 0 else None
            if expected is not None:
                np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(found > 0, true != 0)


def test_zeros_of_a_modules_parameters_are_not_looked_at():
    class Mix(nnx.Module):
        def __init__(self):
            self.mix = nnx.Linear(64, 64, kernel_init=nnx.initializers.zeros, rngs=nnx.Rngs(0))

        def __call__(self, x):
            return jnp.swapaxes(self.mix(jnp.swapaxes(x, 1, 3)), 1, 3)

    assert receptive_field(Mix(), IMAGE).window((3, 5)) == ((0, 63), (5, 5))
    abstract = nnx.eval_shape(Mix)
    assert receptive_field(abstract, IMAGE).size == (64, 1)
    assert summary(abstract, IMAGE)["all"].parameters == 64 * 64 + 64


def test_shared_parts_of_a_module_count_once():
    class Twice(nnx.Module):
        def __init__(self):
            self.first = nn.Conv(3, 3, rngs=nnx.Rngs(0))
            self.second = self.first

        def __call__(self, x):
            return self.second(self.first(x))

    table = summary(Twice(), IMAGE)
    assert table["all"].parameters == 81
    assert table["all"].field.size == (5, 5)


def test_what_a_traced_index_needs():
    @jax.jit
    def inside(x, i):
        receptive_field(lambda y: lax.dynamic_slice_in_dim(y, i, 2, 1), x)
        return x

    with pytest.raises(ValueError, match="needed by value, but is being traced"):
        inside(jnp.zeros((1, 8, 8, 1)), 3)


def test_scalars_constants_and_loops_of_no_turns():
    def fn(x):
        with jax.named_scope("scale"):
            s = jnp.mean(x)
        y, zs = lax.scan(lambda c, z: (c, z), x * s, jnp.zeros((0, 2)))
        assert zs.shape == (0, 2)
        return y

    assert "scale" not in str(summary(fn, IMAGE))
    assert receptive_field(fn, IMAGE).window((3, 3)) == ((0, 63), (0, 63))
    assert summary(lambda x: jnp.zeros((1, 4, 4, 2)), IMAGE)["all"].field.size == (0, 0)


def test_the_work_of_a_loop_is_that_of_its_turns():
    weights = jnp.ones((4, 1, 1, 3, 3))

    def scanned(x):
        return lax.scan(lambda y, k: (ops.conv(y, k), None), x, weights)[0] + weights.sum()

    table = summary(scanned, IMAGE)
    assert table["all"].parameters == weights.size
    assert table["all"].multiply_adds == 4 * 64 * 64 * 9


@pytest.mark.parametrize(
    ("fn", "match"),
    [
        (
            lambda x: lax.dynamic_update_slice_in_dim(x, x[:, :1], x[0, 0, 0, 0].astype(int), 1),
            "dynamic_update_slice at a position that depends on the input",
        )
    ],
)
def test_what_cannot_be_told_is_refused(fn, match):
    with pytest.raises(ValueError, match=match):
        receptive_field(fn, IMAGE)


class Block(linen.Module):
    """A residual block as flax's own examples write it."""

    features: int
    stride: int = 1

    @linen.compact
    def __call__(self, x):
        y = linen.Conv(self.features, (3, 3), (self.stride, self.stride), use_bias=False)(x)
        y = linen.relu(linen.BatchNorm(use_running_average=True)(y))
        y = linen.Conv(self.features, (3, 3))(y)
        if x.shape != y.shape:
            x = linen.Conv(self.features, (1, 1), (self.stride, self.stride))(x)
        return linen.relu(x + y)


class Net(linen.Module):
    """7x7 stride 2, pooling, blocks, global mean, classes."""

    @linen.compact
    def __call__(self, x):
        x = linen.Conv(8, (7, 7), (2, 2), padding=[(3, 3), (3, 3)], name="stem")(x)
        x = linen.max_pool(x, (3, 3), (2, 2), padding="SAME")
        for i in range(3):
            x = Block(8 * (i + 1), 1 + (i > 0))(x)
        return linen.Dense(10)(x.mean((1, 2)))


def test_a_net_of_linen():
    net = Net()
    variables = net.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)))
    table = summary(lambda x: net.apply(variables, x), IMAGE)
    assert table["Net/stem"].field.size == (7, 7)
    assert [table[f"Net/Block_{i}"].field.size[0] for i in range(3)] == [27, 51, 99]
    assert [table[f"Net/Block_{i}"].field.stride[0] for i in range(3)] == [4, 8, 16]
    assert table["all"].field.output_size == ()
    # Means and variances are floating arrays of the function's, too.
    assert table["all"].parameters == sum(a.size for a in jax.tree.leaves(variables))
