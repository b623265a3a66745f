"""Gathers and scatters: exact at every output pixel, regular where they go in steps."""

import functools
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxseg import ops
from jaxseg.analysis import receptive_field

IMAGE = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
QUICK = {"xla_backend_optimization_level": 0}
RNG = np.random.default_rng(0)
ROWS, COLUMNS = RNG.permutation(6), RNG.integers(0, 5, 6)
BY_COLUMN, BY_CHANNEL = RNG.integers(0, 6, (1, 3, 5, 1)), RNG.integers(0, 5, (1, 6, 4, 2))


def image(*space, channels=2):
    return jax.ShapeDtypeStruct((1, *space, channels), jnp.result_type(float))


def zeros(x, *space):
    """An empty image like x, of another size."""
    return jnp.zeros((1, *space, x.shape[-1]), x.dtype)


def kernel(*window, features=2):
    return jnp.ones((*window, features, features))


def assert_exact(fn, shape=(1, 6, 5, 2)):
    """Coverage, window and counts against the gradient of every output pixel."""
    x = jnp.asarray(np.random.default_rng(1).uniform(0.5, 1, shape))
    gradient = jax.jit(jax.jacrev(lambda x: fn(x).sum(-1).sum(0)), compiler_options=QUICK)(x)
    seen = np.abs(np.asarray(gradient)).sum((-4, -1)) > 0
    field = receptive_field(fn, x)
    for index in np.ndindex(*field.output_size):
        np.testing.assert_array_equal(field.coverage(index), seen[index], str(index))
        np.testing.assert_array_equal(field.counts(index) > 0, seen[index], str(index))
        places = np.nonzero(seen[index])
        window = tuple((a.min(), a.max()) for a in places) if seen[index].any() else None
        assert field.window(index) == window, index


# --- in steps ------------------------------------------------------------------------------------


@pytest.mark.parametrize("update", ["set", "add"])
def test_pixels_set_apart_have_half_a_stride(update, x64):
    def fn(x, size=128):
        places = zeros(x, size, size).at[:, ::2, ::2]
        return getattr(places, update)(x)

    field = receptive_field(fn, image(64, 64))
    assert (field.size, field.stride) == ((1, 1), (Fraction(1, 2),) * 2)
    assert [tuple(phase) for phase in field.phases[0]] == [(0, 1, 0), (1, 0, 0)]
    assert field.window((6, 20)) == ((3, 3), (10, 10))
    assert field.window((7, 20)) is None
    assert field.counts((6, 20)).sum() == 1
    assert_exact(lambda x: fn(x[:, :4, :4], 8))


def test_pixels_set_apart_and_convolved_are_an_upconvolution():
    def fn(x):
        return ops.conv(zeros(x, 128, 128).at[:, ::2, ::2].set(x), kernel(3, 3))

    def direct(x):
        return ops.upconv(x, kernel(3, 3), stride=2, padding=1, output_padding=1)

    field, direct = (receptive_field(f, image(64, 64)) for f in (fn, direct))
    assert field.stride == direct.stride == (Fraction(1, 2),) * 2
    assert field.phases == direct.phases
    assert all(field.window((5, n)) == direct.window((5, n)) for n in (0, 1, 64, 127))


def test_two_images_interleaved(x64):
    def fn(x):
        wide = ops.conv(x, kernel(3, 3))
        return zeros(x, 2 * x.shape[1], x.shape[2]).at[:, ::2].set(x).at[:, 1::2].set(wide)

    field = receptive_field(fn, image(64, 64))
    assert (field.size, field.stride) == ((3, 3), (Fraction(1, 2), 1))
    assert [phase.size for phase in field.phases[0]] == [1, 3]
    assert_exact(fn)


@pytest.mark.parametrize(
    ("fn", "stride", "size"),
    [
        (lambda x: x[:, np.arange(0, 64, 2)], 2, 1),
        (lambda x: x[:, np.arange(60, 3, -3)], -3, 1),
        (lambda x: x[:, np.arange(10, 40)], 1, 1),
        (lambda x: x[:, np.repeat(np.arange(0, 60, 2), 2)], 1, 1),
        (lambda x: jnp.repeat(x, 2, 1), Fraction(1, 2), 1),
        (lambda x: x[:, np.arange(62)[:, None] + np.arange(3)].sum(2), 1, 3),
        (lambda x: x[:, np.arange(0, 60, 4)[:, None] + np.arange(3)].sum(2), 4, 3),
        (lambda x: ops.conv(x, kernel(3, 1, features=3))[:, np.arange(1, 64, 2)], 2, 3),
        (lambda x: x.at[:, ::2].multiply(2.0), 1, 1),
        (lambda x: x.at[:, 1::2].add(x[:, ::2]), 1, 2),
        (lambda x: x.at[:, 1::2].set(0.0), 1, 1),
        (lambda x: x[:, np.array([3, 17, 20, 4])], None, 1),
        (lambda x: jnp.zeros_like(x).at[:, np.array([3, 9, 4])].set(x[:, :3]), None, 1),
        (lambda x: jnp.take(x, np.array([3, 3, 3]), axis=1), 0, 1),
        (lambda x: jax.image.resize(x, (1, 48, 64, 3), "nearest"), Fraction(4, 3), 1),
        (lambda x: jax.ops.segment_sum(x[0], np.arange(64) // 2, 32)[None], 2, 2),
        (jax.grad(lambda x: jnp.sum(x[:, np.arange(0, 64, 2)] ** 2)), 1, 1),
    ],
)
def test_strides_of_index_arrays(fn, stride, size):
    field = receptive_field(fn, IMAGE)
    assert (field.stride[0], field.size[0]) == (stride, size)
    assert (field.stride[-1], field.size[-1]) == (1, 1)


# --- any constant indices ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: x[:, ROWS[:3], COLUMNS[:3]][:, :, None],
        lambda x: x[:, ROWS[:4, None], COLUMNS[:2]],
        lambda x: x[:, ROWS[:2], :, np.array([1, 0])].transpose(1, 0, 2)[..., None],
        lambda x: x[:, ROWS[:3, None] // 2 + np.arange(3)],
        lambda x: jnp.take_along_axis(x, jnp.zeros((1, 6, 5, 2), int), 1),
        lambda x: jnp.take_along_axis(x, jnp.asarray(ROWS).reshape(1, 6, 1, 1), 1),
        lambda x: jnp.take_along_axis(x, jnp.asarray(BY_COLUMN), 1),
        lambda x: jnp.take_along_axis(x, jnp.asarray(BY_CHANNEL), 2),
        lambda x: jnp.take(x, np.array([1, 9, -1, -9]), axis=1, mode="fill", fill_value=0),
        lambda x: jnp.take(x, np.array([1, 9, -1, -9]), axis=1, mode="clip"),
        lambda x: jax.vmap(lambda y, i: lax.dynamic_slice_in_dim(y, i, 3, 0))(x, jnp.array([9])),
        lambda x: jax.vmap(lambda i: lax.dynamic_slice_in_dim(x[0], i, 2, 0))(jnp.arange(5))[
            None, :, 0
        ],
        lambda x: jax.scipy.ndimage.map_coordinates(
            x[0, ..., 0], [jnp.array([0.5, 2.2, 4.25]), jnp.array([1.7, 0.5, 2.9])], 1
        )[None, :, None],
        lambda x: x[:, ROWS[ROWS > 2]],
    ],
)
def test_gathers_are_exact(fn, x64):
    assert_exact(fn)


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: zeros(x, 9, 9).at[:, ROWS].add(jnp.pad(x, ((0, 0), (0, 0), (0, 4), (0, 0)))),
        lambda x: zeros(x, 6, 5).at[:, COLUMNS[:4]].add(x[:, 1:5]),
        lambda x: zeros(x, 6, 6).at[:, ROWS, ROWS].set(x[:, :, 1]),
        lambda x: x.at[:, ROWS[:2]].set(x[:, 2:4]),
        lambda x: x.at[:, ROWS[:2]].set(0.0),
        lambda x: x.at[:, ROWS[:3, None], np.array([3, 1])].set(x[:, :3, :2]),
        lambda x: x.at[:, ROWS[:3], COLUMNS[:3]].set(0.0),
        lambda x: x.at[:, ::2, 1::3].set(x[:, 3:, :2]),
        lambda x: x.at[:, ::-2].set(x[:, :3]),
        lambda x: x.at[..., np.array([1])].set(x[..., :1]),
        lambda x: x.at[:, np.array([4, 17, -1])].set(x[:, :3], mode="drop"),
        lambda x: zeros(x, 6, 5).at[:, np.array([4, 7])].add(x[:, :2], mode="clip"),
        lambda x: zeros(x, 6, 5).at[:, 2].add(x.sum(1)),
        lambda x: zeros(x, 6, 5).at[:, np.array([2, 2, 3])].add(x[:, :3]),
        lambda x: x.at[:, 1::2].multiply(x[:, ::2], unique_indices=True),
        lambda x: jnp.ones_like(x).at[:, ROWS[:3]].multiply(x[:, :3], unique_indices=True),
        lambda x: x.at[:, ::2].divide(x[:, 1::2]),
        lambda x: jnp.put_along_axis(x, jnp.asarray(BY_COLUMN[:, :1]), 0.0, 1, inplace=False),
        lambda x: jax.vmap(lambda y, i: lax.dynamic_update_slice_in_dim(y, y[:2], i, 0))(
            x, jnp.array([99])
        ),
        jax.grad(
            lambda x: jnp.sum(
                jnp.take_along_axis(x, jnp.asarray(ROWS[:4]).reshape(1, 4, 1, 1), 1) ** 2
            )
        ),
    ],
)
def test_scatters_are_exact(fn, x64):
    assert_exact(fn)


@pytest.mark.parametrize("combine", ["min", "max"])
def test_a_comparison_may_take_either(combine):
    """The gradient goes to the larger one alone; what may be seen is both."""

    def fn(x):
        return getattr(x.at[:, 1::2], combine)(jnp.flip(x, 2)[:, ::2])

    seen = receptive_field(fn, IMAGE).coverage((5, 9))
    assert sorted(zip(*np.nonzero(seen), strict=True)) == [(4, 54), (5, 9)]


def test_features_and_repeats_count_once_and_again():
    permuted = receptive_field(lambda x: x[..., np.array([2, 0, 1])], IMAGE)
    assert permuted.counts((3, 3)).sum() == 1
    thrice = receptive_field(lambda x: x[:, np.array([3, 3, 3])].sum(1, keepdims=True), IMAGE)
    assert thrice.counts((0, 3))[3, 3] == 3
    added = receptive_field(lambda x: x.at[:, np.array([5, 5])].add(x[:, :1]), IMAGE)
    np.testing.assert_array_equal(added.counts((5, 3))[[0, 5], 3], [2, 1])
    applied = receptive_field(lambda x: x.at[:, ::2].apply(jnp.sin), IMAGE)
    assert applied.counts((2, 3)).sum() == applied.counts((2, 3))[2, 3] == 1


def test_what_is_left_of_an_array_counts_once():
    """Rows and columns of a pixel that stays may both be outside of what is replaced."""
    field = receptive_field(lambda x: x.at[:, ::2, ::3].set(0.0), image(6, 7))
    for row, column in np.ndindex(6, 7):
        replaced = row % 2 == 0 and column % 3 == 0
        assert field.counts((row, column)).sum() == (not replaced)


def test_a_batch_in_which_the_index_differs(x64):
    index = jnp.asarray(RNG.permutation(12).reshape(2, 6, 1, 1) % 6)
    fn = lambda x: jnp.take_along_axis(x, index, 1)  # noqa: E731
    assert_exact(fn, (2, 6, 5, 2))
    field = receptive_field(fn, jax.ShapeDtypeStruct((2, 6, 5, 2), jnp.float64))
    assert field.coverage((0, 3)).sum() == len({*index[:, 0, 0, 0].tolist()})
    assert field.counts((0, 3)).max() == 1  # images of the batch are no paths of their own


# --- slices that are moved inside ----------------------------------------------------------------


@pytest.mark.parametrize("start", [-9, -1, 0, 2, 4, 5, 99])
def test_dynamic_slices_and_updates_are_moved_inside(start, x64):
    assert_exact(lambda x: lax.dynamic_slice(x, (0, start, 1, 0), (1, 2, 3, 2)))
    assert_exact(lambda x: lax.dynamic_update_slice(x, jnp.flip(x[:, :2], 2), (0, start, 0, 0)))


def test_a_slice_from_an_unknown_place_may_be_any():
    def fn(x):
        return lax.dynamic_slice_in_dim(x, jnp.argmax(x[0, 0, :, 0]), 60, 1)

    seen = receptive_field(fn, IMAGE).coverage((10, 9))
    assert seen[10:15, 9].all()
    assert seen[0].all()
    assert seen.sum() == 5 + 64


def test_a_gather_at_unknown_places_may_see_any():
    def fn(x):
        return jnp.take_along_axis(x, jnp.argmax(x, 1, keepdims=True), 1)

    field = receptive_field(fn, IMAGE)
    assert field.window((0, 9)) == ((0, 63), (9, 9))


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fn", "match"),
    [
        (
            lambda x: x.at[:, x[0, :2, 0, 0].astype(int)].set(0.0),
            r"scatter at a position that depends on the input .* with jnp\.where",
        ),
        (
            lambda x: x.at[:, x[0, :2, 0, 0].astype(int)].apply(jnp.sin),
            "scatter at a position that depends on the input",
        ),
        (
            lambda x: lax.dynamic_update_slice_in_dim(x, x[:, :1], x[0, 0, 0, 0].astype(int), 1),
            "dynamic_update_slice at a position that depends on the input",
        ),
        (
            lambda x: x.at[:, np.array([1, 1])].set(x[:, :2]),
            r"replaces a position more than once.* use \.at\[\.\.\.\]\.add",
        ),
    ],
)
def test_what_cannot_be_known_is_refused(fn, match):
    with pytest.raises(ValueError, match=match):
        receptive_field(fn, IMAGE)


def test_a_constant_may_replace_a_position_twice(x64):
    assert_exact(lambda x: x.at[:, np.array([1, 1])].set(0.0))


def test_too_many_positions_at_once_are_refused():
    index = np.zeros((1, 1, 2100, 1), int)
    index[0, 0, ::7] = 5
    x = jax.ShapeDtypeStruct((1, 2100, 2100, 1), jnp.float32)
    with pytest.raises(ValueError, match="move 4410000 positions, more than 4194304"):
        receptive_field(lambda x: jnp.take_along_axis(x, jnp.asarray(index), 1), x)


# --- any dimension numbers -----------------------------------------------------------------------


def draw_indices(rng, array_shape):
    """(slices' window axes, dropped axes, indexed axes, slice sizes, indices, slices' shape)."""
    axes = rng.permutation(len(array_shape))
    dropped = sorted(axes[: rng.integers(0, len(axes))].tolist())
    indexed = rng.permutation(len(array_shape))[: rng.integers(1, len(axes) + 1)].tolist()
    sizes = [1 if a in dropped else int(rng.integers(1, n + 1)) for a, n in enumerate(array_shape)]
    batch = rng.integers(1, 4, rng.integers(1, 3)).tolist()
    indices = np.stack(
        [rng.integers(-1, array_shape[axis] - sizes[axis] + 2, batch) for axis in indexed], -1
    )
    kept = [axis for axis in range(len(array_shape)) if axis not in dropped]
    rank = len(batch) + len(kept)
    window = sorted(rng.permutation(rank)[: len(kept)].tolist())
    lengths = {**dict(zip(window, (sizes[a] for a in kept), strict=True))}
    rest = iter(batch)
    shape = [lengths[axis] if axis in lengths else next(rest) for axis in range(rank)]
    return tuple(window), tuple(dropped), tuple(indexed), tuple(sizes), indices, shape


def ways_through(fn, shape):
    """(outputs, inputs) booleans, from the inputs changed one by one."""
    x = jnp.asarray(np.random.default_rng(1).uniform(0.5, 1, shape))
    changed = x[None] + jnp.eye(x.size).reshape(x.size, *shape)
    run = jax.jit(lambda x: lax.map(fn, x), compiler_options=QUICK)
    return np.asarray(run(changed) != run(x[None])).reshape(x.size, -1).T


def replaces_twice(indices, mode, array_shape, indexed, sizes):
    """Whether two slices share a position, counted one by one."""
    hits = np.zeros(array_shape, int)
    for vector in indices.reshape(-1, len(indexed)):
        begin = [0] * len(array_shape)
        for axis, first in zip(indexed, vector, strict=True):
            begin[axis] = int(first)
        last = [n - size for n, size in zip(array_shape, sizes, strict=True)]
        if mode == "clip":
            begin = np.clip(begin, 0, last)
        elif any(not 0 <= b <= end for b, end in zip(begin, last, strict=True)):
            continue
        hits[tuple(slice(b, b + size) for b, size in zip(begin, sizes, strict=True))] += 1
    return hits.max() > 1


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("kind", ["gather", "set", "add"])
def test_random_dimension_numbers(kind, seed, x64):
    rng = np.random.default_rng(seed)
    shape = (1, 3, 2, 2)
    order = rng.permutation(4)
    array_shape = [shape[axis] for axis in order]
    window, dropped, indexed, sizes, indices, slices = draw_indices(rng, array_shape)
    source = rng.integers(0, 12, slices)
    mode = str(rng.choice(["clip", "fill"]))

    def fn(x):
        array = jnp.transpose(x, order)
        if kind == "gather":
            numbers = lax.GatherDimensionNumbers(window, dropped, indexed)
            out = lax.gather(array, jnp.asarray(indices), numbers, sizes, mode=mode, fill_value=0.0)
        else:
            numbers = lax.ScatterDimensionNumbers(window, dropped, indexed)
            scatter = lax.scatter if kind == "set" else lax.scatter_add
            updates = jnp.take(x.reshape(-1), source)
            out = scatter(array, jnp.asarray(indices), updates, numbers, mode=mode)
        return out.reshape(1, -1, 1)

    if kind == "set" and replaces_twice(indices, mode, array_shape, indexed, sizes):
        with pytest.raises(ValueError, match="more than once"):
            receptive_field(fn, jax.ShapeDtypeStruct(shape, jnp.float64))
        return
    field = receptive_field(fn, jax.ShapeDtypeStruct(shape, jnp.float64))
    seen = ways_through(fn, shape).reshape(-1, *shape)[:, 0].any(-1)
    for pixel in range(len(seen)):
        np.testing.assert_array_equal(field.coverage((pixel,)), seen[pixel], str(pixel))


def test_the_whole_image_is_not_told_apart_for_it():
    """Only axes that an index relates are followed as one: this is a large image."""
    x = jax.ShapeDtypeStruct((1, 2048, 2048, 3), jnp.float32)
    fn = functools.partial(jnp.take, indices=np.arange(0, 2048, 2), axis=1)
    field = receptive_field(lambda x: fn(fn(x)[:, :512]), x)
    assert field.window((3, 2047)) == ((12, 12), (2047, 2047))
