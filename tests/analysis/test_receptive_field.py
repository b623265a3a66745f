"""Receptive fields whose answer is known by hand, and images that are refused."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxseg import ops
from jaxseg.analysis import receptive_field, summary

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
    gradient = jax.jit(jax.jacrev(lambda x: fn(x)[0, ..., 0]))(x)[..., 0, :, :, 0]
    for index in np.ndindex(12, 10):
        np.testing.assert_array_equal(field.counts(index), gradient[index])


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


def test_counts_between_53_and_63_bits_are_exact_and_int64():
    def fn(x):
        for _ in range(36):
            x = ops.conv(x, jnp.ones((3, 1, 1)))
        return x

    counts = receptive_field(fn, jax.ShapeDtypeStruct((1, 81, 1), jnp.float32)).counts((40,))
    assert counts.dtype == np.int64
    assert 2**53 < int(counts.sum()) == 3**36


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


def test_all_but_one_pixel_is_not_everything():
    field = receptive_field(lambda x: x + x[:, :-1].mean(1, keepdims=True), IMAGE)
    assert field.size == (64, 1)
    parts = [lambda x: x[:, :-1], lambda x: x, lambda x: x[:, :-1]]
    joined = receptive_field(
        lambda x: jnp.concatenate([part(x).mean(1, keepdims=True) for part in parts], 1), IMAGE
    )
    assert (joined.size[0], joined.stride[0]) == (64, None)


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


def test_resizing_keeps_its_stride():
    field = receptive_field(lambda x: ops.resize(x, (128, 48)), IMAGE)
    assert field.stride == (Fraction(1, 2), Fraction(4, 3))
    assert field.size == (2, 2)


def test_only_the_shape_of_the_image_counts():
    def size_and_window(n):
        x = jax.ShapeDtypeStruct((1, n, n, 3), jnp.float32)
        field = receptive_field(chain((7, 2, 1), (3, 2, 1), (3, 1, 4)), x)
        return field.size, field.stride, field.window((n // 8, n // 8)) is None

    assert size_and_window(64) == size_and_window(4096)


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


CHANNELS_FIRST = [
    (1, 3, 224, 224),
    (1, 16, 64, 64),
    (8, 1, 32, 32),
    (2, 3, 480, 640),
    (1, 4, 32, 32, 32),
]
CHANNELS_LAST = [
    (1, 224, 224, 3),
    (1, 64, 64, 64),
    (1, 16, 64, 128),
    (1, 8, 8, 2048),
    (1, 3, 5, 64),
    (1, 3, 16, 40),
    (1, 128, 64, 64),
    (1, 4, 16, 256),
    (1, 3, 9, 9),
    (1, 1, 141, 64),
    (1, 16, 64),
    (1, 8, 32, 32, 64),
]


@pytest.mark.parametrize("shape", CHANNELS_FIRST)
@pytest.mark.parametrize("fn", [receptive_field, summary])
def test_channels_first_are_refused_unless_told(fn, shape):
    x = jax.ShapeDtypeStruct(shape, jnp.float32)
    with pytest.raises(ValueError, match=r"looks like \(batch, channels, \*space\).*moveaxis"):
        fn(jax.nn.relu, x)
    fn(jax.nn.relu, x, check_layout=False)


@pytest.mark.parametrize("shape", CHANNELS_LAST)
def test_channels_last_pass(shape):
    receptive_field(jax.nn.relu, jax.ShapeDtypeStruct(shape, jnp.float32))


def test_the_remedy_for_channels_first_is_right():
    def fn(x):
        layout = ("NCHW", "HWIO", "NCHW")
        return lax.conv_general_dilated(
            x, kernel(3, 3, features=16), (1, 1), "SAME", dimension_numbers=layout
        )

    x = jax.ShapeDtypeStruct((1, 64, 64, 16), jnp.float32)
    field = receptive_field(lambda x: jnp.moveaxis(fn(jnp.moveaxis(x, -1, 1)), 1, -1), x)
    assert (field.size, field.stride) == ((3, 3), (1, 1))
    misread = receptive_field(
        fn, jax.ShapeDtypeStruct((1, 16, 64, 64), jnp.float32), check_layout=False
    )
    assert misread.size == (16, 3)
