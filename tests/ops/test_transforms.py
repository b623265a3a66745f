"""Every transformation of JAX of the rewritten forms, against the same of the plain convolution.

`ops.lowering("direct")` is `lax.conv_general_dilated` and what JAX derives from it; test_geometry
and test_parity_torch hold it to its definition.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from compiling import quick_jit
from jax.test_util import check_grads

from jaxseg import ops
from jaxseg.ops import canonical, dispatch
from jaxseg.ops.geometry import conv_geometry
from jaxseg.ops.trilinear import trilinear_p

# name: (operation, size, window, channels in, features, options)
CASES = {
    "plain": (ops.conv, (5, 4), (3, 2), 2, 3, {}),
    "wide": (ops.conv, (5, 4), (3, 3), 24, 3, {}),  # the weight gradient has a form of its own
    "everything": (
        ops.conv,
        (9, 7),
        (3, 2),
        4,
        6,
        {"stride": (2, 3), "dilation": (2, 1), "padding": ((1, 3), (2, 0)), "groups": 2},
    ),
    "dilated": (ops.conv, (7, 6), (3, 3), 2, 3, {"dilation": (2, 3)}),
    "strided": (ops.conv, (8, 7), (3, 3), 2, 3, {"stride": 2, "padding": 1}),
    "asymmetric": (
        ops.conv,
        (5, 7),
        (3, 2),
        2,
        3,
        {"stride": (1, 3), "dilation": (2, 1), "padding": ((2, 0), (0, 3))},
    ),
    "leftover": (ops.conv, (8, 8), (2, 3), 2, 3, {"stride": 3, "padding": "valid"}),
    "depthwise": (ops.conv, (5, 5), (3, 2), 3, 6, {"groups": 3, "stride": (1, 2)}),
    "one tap": (ops.conv, (4, 5), (1, 1), 2, 3, {"stride": 2}),
    "1-D": (ops.conv, (9,), (4,), 2, 4, {"stride": 2, "dilation": 2, "groups": 2}),
    "3-D": (ops.conv, (3, 5, 4), (2, 3, 2), 2, 2, {"stride": (1, 2, 1), "groups": 2}),
    "up": (ops.upconv, (3, 4), (4, 3), 2, 3, {}),
    "up everything": (
        ops.upconv,
        (4, 3),
        (3, 2),
        4,
        6,
        {
            "stride": (2, 3),
            "dilation": (2, 1),
            "padding": ((1, 2), (0, 1)),
            "output_padding": (1, 2),
            "groups": 2,
        },
    ),
    "up gaps": (ops.upconv, (4, 3), (1, 2), 2, 3, {"stride": 3}),
    "up 1-D": (ops.upconv, (5,), (4,), 4, 4, {"padding": 1, "groups": 4}),
    "up 3-D": (ops.upconv, (2, 3, 2), (2, 3, 2), 2, 4, {"stride": (2, 1, 2), "groups": 2}),
}
# Between them these meet every line of the batching and transposition rules.
CORE = ["everything", "depthwise", "up everything"]
rng = np.random.default_rng


def operation(name, dtype=np.float64):
    """(f, x, kernel) of a case; f of the two arrays alone."""
    op, size, window, inputs, features, options = CASES[name]
    draw = rng(0)
    x = draw.normal(size=(2, *size, inputs))
    kernel = draw.normal(size=(*window, inputs // options.get("groups", 1), features))
    f = functools.partial(op, **options)
    return f, x.astype(dtype), kernel.astype(dtype)


def stack(array, count=3, axis=0, seed=1):
    """`count` arrays like this one, along a new axis."""
    shape = list(array.shape)
    shape.insert(axis if axis >= 0 else axis + len(shape) + 1, count)
    return rng(seed).normal(size=shape)


def weigh(y):
    """A scalar with derivatives of every order, other ones at every pixel."""
    weights = jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape)
    return jnp.sum(weights * jnp.sin(y) + y**2 / 3)


def assert_close(got, wanted, tolerance=1e-12, what=""):
    """Leaf by leaf, relative to the largest entry."""
    assert jax.tree.structure(got) == jax.tree.structure(wanted), what
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(wanted), strict=True):
        a, b = np.asarray(a), np.asarray(b)  # whose operations are not compiled
        assert a.shape == b.shape, what
        assert a.dtype == b.dtype, what
        if b.size:
            assert np.abs(b).max() > 0, f"{what}: a comparison of zeros shows nothing"
            assert np.abs(a - b).max() <= tolerance * np.abs(b).max(), what


def under(form, transformed, *args):
    with ops.lowering(form):
        return transformed(*args)


# --- the transformations, as functions of (f, x, kernel) -----------------------------------------


def loss_of(f):
    return lambda x, k: weigh(f(x, k))


def value(f, x, k):
    return f(x, k)


def grad(f, x, k):
    return jax.grad(loss_of(f), (0, 1))(x, k)


def jvp(f, x, k):
    return jax.jvp(f, (x, k), (jnp.sin(x), jnp.cos(k)))


def vmap_x(f, x, k):
    return jax.vmap(f, (1, None), 1)(stack(x, axis=1), k)


def vmap_kernel(f, x, k):
    return jax.vmap(f, (None, -1), -1)(x, stack(k, axis=-1))


def vmap_both(f, x, k):
    return jax.vmap(f, (-2, 1), 2)(stack(x, axis=-2), stack(k, axis=1))


def vmap_nested(f, x, k):
    """Every kernel on every stack of images, and members of an ensemble inside of that."""
    pairs = jax.vmap(jax.vmap(f, (None, 0)), (0, None))(stack(x), stack(k, 2))
    members = jax.vmap(jax.vmap(f, (0, 0)), (1, None), 1)(stack(stack(x), 2, axis=1), stack(k))
    grid = jax.vmap(jax.vmap(f))(stack(stack(x), 2), stack(stack(k), 2))
    return pairs, members, grid


def vmap_of_grad(f, x, k):
    """Per-example gradients, per-kernel gradients, and those of an ensemble."""
    gradient = jax.grad(loss_of(f), (0, 1))
    return (
        jax.vmap(gradient, (1, None), -1)(stack(x, axis=1), k),
        jax.vmap(gradient, (None, 2), 1)(x, stack(k, axis=2)),
        jax.vmap(gradient)(stack(x), stack(k)),
    )


def grad_of_vmap(f, x, k):
    def total(in_axes, x, k):
        return jax.grad(lambda x, k: weigh(jax.vmap(f, in_axes, -1)(x, k)), (0, 1))(x, k)

    return (
        total((2, None), stack(x, axis=2), k),
        total((None, -2), x, stack(k, axis=-2)),
        total((0, 1), stack(x), stack(k, axis=1)),
    )


def forward_over_reverse(f, x, k):
    return jax.jvp(jax.grad(loss_of(f), (0, 1)), (x, k), (jnp.sin(x), jnp.cos(k)))[1]


def reverse_over_reverse(f, x, k):
    def slope(x, k):
        dx, dk = jax.grad(loss_of(f), (0, 1))(x, k)
        return jnp.vdot(dx, jnp.sin(x)) + jnp.vdot(dk, jnp.cos(k))

    return jax.grad(slope, (0, 1))(x, k)


def reverse_over_forward(f, x, k):
    def slope(x, k):
        return jax.jvp(loss_of(f), (x, k), (jnp.sin(x), jnp.cos(k)))[1]

    return jax.grad(slope, (0, 1))(x, k)


def vmap_of_hessian_products(f, x, k):
    """Hessian-vector products of every example, in the kernel: vmap of grad of grad."""

    def product(x, k, v):
        return jax.jvp(lambda k: jax.grad(loss_of(f), 1)(x, k), (k,), (v,))[1]

    return jax.vmap(product, (0, None, 0))(stack(x), k, stack(k, seed=2))


def third_order(f, x, k):
    def along(order):
        if order == 0:
            return loss_of(f)
        return lambda x, k: jax.jvp(along(order - 1), (x, k), (jnp.sin(x), jnp.cos(k)))[1]

    return jax.grad(along(2), (0, 1))(x, k)


def scan(f, x, k):
    """The value and gradient of a loop whose body convolves, and whose carry enters it."""

    def total(x, kernels):
        def body(carry, kernel):
            return carry + weigh(f(x * jnp.cos(carry), kernel)), carry

        return jax.lax.scan(body, jnp.zeros((), x.dtype), kernels)[0]

    return jax.value_and_grad(total, (0, 1))(x, stack(k) / k.size)


def map_over_images(f, x, k):
    def total(xs, k):
        return weigh(jax.lax.map(lambda x: f(x, k), xs))

    return jax.value_and_grad(total, (0, 1))(stack(x), k)


def map_in_batches(f, x, k):
    return jax.lax.map(lambda x: f(x, k), stack(x), batch_size=2)


def vmap_of_scan(f, x, k):
    def total(x, kernels):
        def body(carry, kernel):
            return carry + weigh(f(x * jnp.cos(carry), kernel)), None

        return jax.lax.scan(body, jnp.zeros((), x.dtype), kernels)[0]

    return jax.vmap(jax.grad(total, (0, 1)), (0, None))(stack(x), stack(k, 2) / k.size)


def checkpoint(f, x, k):
    return jax.grad(lambda x, k: weigh(jax.checkpoint(f)(x, k)), (0, 1))(x, k)


def linearize(f, x, k):
    y, push = jax.linearize(f, x, k)
    return y, push(jnp.sin(x), jnp.cos(k)), jax.vmap(push)(stack(x), stack(k))


def linear_transpose(f, x, k):
    y = f(x, k)
    ys = stack(y, seed=3)
    to_x = jax.linear_transpose(lambda x: f(x, k), x)
    to_kernel = jax.linear_transpose(lambda k: f(x, k), k)
    return to_x(y), to_kernel(y), jax.vmap(to_x)(ys), jax.vmap(to_kernel)(ys)


def jacobians(f, x, k):
    x = x[:1]
    return jax.jacfwd(f, 1)(x, k), jax.jacrev(f, 1)(x, k), jax.jacfwd(f)(x, k), jax.jacrev(f)(x, k)


def export(f, x, k):
    exported = jax.export.export(jax.jit(jax.value_and_grad(loss_of(f), (0, 1))))
    return quick_jit(exported(jax.typeof(x), jax.typeof(k)).call)(x, k)


# What differentiates or batches in a way of its own is tried on every core case; what repeats that
# inside another construct of JAX, on one or two; and the gradients, on every case.
OWN = [
    value,
    grad,
    jvp,
    vmap_x,
    vmap_kernel,
    vmap_both,
    vmap_of_grad,
    grad_of_vmap,
    forward_over_reverse,
    reverse_over_reverse,
]
FAST = [grad, vmap_of_grad]  # in the form "fast" too
NESTED = [vmap_nested, vmap_of_hessian_products, third_order, vmap_of_scan, linear_transpose]
WRAPPED = [
    reverse_over_forward,
    scan,
    map_over_images,
    map_in_batches,
    checkpoint,
    linearize,
    jacobians,
]
TRANSFORMS = {name: [grad] for name in CASES}
for core in CORE:
    TRANSFORMS[core] = [*OWN]
for core in ("everything", "up everything"):
    TRANSFORMS[core] += NESTED
TRANSFORMS["everything"] += WRAPPED
for other in ("wide", "1-D", "3-D", "up 3-D"):
    TRANSFORMS[other] += [vmap_of_grad]


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_transformed_as_the_plain_convolution(x64, name):
    f, x, k = operation(name)

    @quick_jit  # one compilation for all, which shares what they have in common
    def everything(x, k):
        return {
            transform.__name__: {
                form: under(form, functools.partial(transform, f), x, k)
                for form in ("auto", "direct", *(["fast"] if transform in FAST else []))
            }
            for transform in TRANSFORMS[name]
        }

    for transform, by_form in everything(x, k).items():
        for form in set(by_form) - {"direct"}:
            assert_close(by_form[form], by_form["direct"], what=f"{transform} of {form}")


@pytest.mark.parametrize(
    ("transform", "name"), [(vmap_of_grad, "everything"), (linear_transpose, "up everything")]
)
def test_eager_as_compiled(x64, transform, name):
    f, x, k = operation(name)
    eager = transform(f, x, k)
    assert_close(eager, quick_jit(functools.partial(transform, f))(x, k))


@pytest.mark.parametrize("name", ["plain", "up everything"])
def test_exported(x64, name):
    f, x, k = operation(name)
    reference = quick_jit(jax.value_and_grad(loss_of(f), (0, 1)))
    assert_close(export(f, x, k), under("direct", reference, x, k))


@pytest.mark.parametrize("transform", [value, grad])
@pytest.mark.parametrize("name", ["strided", "up"])
def test_exported_for_any_batch(x64, transform, name):
    op, x, k = operation(name)

    def f(x, k):
        y = op(x, k)  # a loss without the pixels' numbers, which `weigh` counts
        return (
            y if transform is value else jax.grad(lambda *a: jnp.sum(jnp.sin(op(*a))), (0, 1))(x, k)
        )

    (batch,) = jax.export.symbolic_shape("batch")
    exported = jax.export.export(jax.jit(f))(
        jax.ShapeDtypeStruct((batch, *x.shape[1:]), x.dtype), jax.typeof(k)
    )
    for count in (1, 5):
        images = rng(count).normal(size=(count, *x.shape[1:]))
        got, wanted = quick_jit(lambda x, k: (exported.call(x, k), f(x, k)))(images, k)
        assert_close(got, wanted)


@pytest.mark.parametrize(("batch", "groups"), [(4, 1), (5, 2), (6, 2)])
@pytest.mark.parametrize("op", [ops.conv, ops.upconv])
def test_large_weight_gradients_which_are_summed_in_bands(monkeypatch, x64, op, batch, groups):
    monkeypatch.setattr(canonical, "_BAND_SIZE", 2**10)
    x = rng(0).normal(size=(batch, 26, 26, 4))
    k = rng(1).normal(size=(3, 2, 4 // groups, 4))

    @quick_jit
    def both(x, k):
        gradient = jax.grad(lambda k: weigh(op(x, k, stride=2, groups=groups)))
        return [under(form, gradient, k) for form in ("auto", "direct")]

    assert_close(*both(x, k))


@pytest.mark.parametrize("name", CASES)
def test_abstract_values_agree(name):
    f, x, k = operation(name, np.float32)
    for transform in (value, grad, vmap_of_grad):
        shapes = [
            under(form, jax.eval_shape, functools.partial(transform, f), x, k)
            for form in ("auto", "direct")
        ]
        assert shapes[0] == shapes[1]


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["fwd", "rev"])
@pytest.mark.parametrize("name", ["everything", "up everything"])
def test_derivatives_are_differences(x64, name, mode):
    f, x, k = operation(name)
    check_grads(jax.jit(lambda x, k: jnp.sin(f(x, k))), (x, k), order=2, modes=[mode], rtol=1e-6)


# --- the forms themselves ------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in CASES if CASES[n][0] is ops.conv])
@pytest.mark.parametrize("mode", ["y", "x", "k"])
def test_canonical_as_plain(x64, name, mode):
    """Platforms other than CPU take the plain table unless asked for "fast"."""
    _, size, window, inputs, features, options = CASES[name]
    geometry = conv_geometry(size, window, **options)
    draw = rng(0)
    operands = {
        "x": draw.normal(size=(2, *size, inputs)),
        "y": draw.normal(size=(2, *geometry.output, features)),
        "k": draw.normal(size=(*window, inputs // geometry.groups, features)),
    }
    left, right = {"y": "xk", "x": "yk", "k": "xy"}[mode]
    table = {"y": canonical.convolution, "x": canonical.input_gradient}
    got, wanted = (
        quick_jit(functools.partial(form, geometry=geometry))(operands[left], operands[right])
        for form in (table.get(mode, canonical.weight_gradient), dispatch.PLAIN[mode])
    )
    assert got.shape == operands[mode].shape
    assert_close(got, wanted)


@pytest.mark.parametrize("mode", ["y", "x", "k"])
@pytest.mark.parametrize("in_axes", [(1, None), (None, -1), (-1, 2), (2, -2)])
def test_the_primitive_under_vmap_of_any_axis(x64, mode, in_axes):
    """`ops` always hands it axis 0, since it puts the ensemble axis in front."""
    _, size, window, inputs, features, options = CASES["everything"]
    geometry = conv_geometry(size, window, **options)
    shapes = {
        "x": (2, 2, *size, inputs),
        "y": (2, 2, *geometry.output, features),
        "k": (2, *window, inputs // geometry.groups, features),
    }
    member = [
        rng(i).normal(size=shapes[name])
        for i, name in enumerate({"y": "xk", "x": "yk", "k": "xy"}[mode])
    ]
    args = [
        a if axis is None else stack(a, axis=axis, seed=5 + i)
        for i, (a, axis) in enumerate(zip(member, in_axes, strict=True))
    ]

    def bind(lhs, rhs):
        return trilinear_p.bind(lhs, rhs, mode=mode, geometry=geometry)

    got = quick_jit(jax.vmap(bind, in_axes))(*args)
    for i, one in enumerate(got):
        chosen = [
            a if axis is None else np.take(a, i, axis)
            for a, axis in zip(args, in_axes, strict=True)
        ]
        assert_close(one, jnp.asarray(bind(*chosen)))


# --- adjoints ------------------------------------------------------------------------------------


def transposed_kernel(kernel, groups):
    """Space reversed and channels swapped within each group, group by group."""
    flipped = np.flip(kernel, range(kernel.ndim - 2))
    each = np.split(flipped, groups, axis=-1)
    return np.concatenate([np.swapaxes(k, -1, -2) for k in each], axis=-1)


ADJOINTS = [
    ((6, 6), (3, 3), {"stride": 2, "padding": "same"}),
    ((8, 6), (4, 4), {"stride": 2, "padding": 1}),
    ((9, 7), (3, 2), {"stride": (2, 3), "dilation": (2, 1), "padding": ((1, 3), (2, 0))}),
    ((8, 8), (2, 3), {"stride": 3, "padding": "valid"}),
    ((7, 6), (2, 1), {"stride": (1, 2), "padding": "same"}),
    ((11,), (4,), {"stride": 3, "padding": 2}),
    ((3, 4, 5), (2, 3, 2), {"stride": (1, 2, 3), "padding": 1}),
]


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(("size", "window", "options"), ADJOINTS)
def test_upconv_is_the_adjoint_of_conv(x64, size, window, options, groups):
    """<conv(x, k), y> = <x, upconv(y, the transposed k)>, and the other way round."""
    draw = rng(0)
    x = draw.normal(size=(2, *size, 2 * groups))
    k = draw.normal(size=(*window, 2, 3 * groups))
    # What the stride leaves over at the end; "same" leaves nothing where it divides the size.
    pairs, dilation = options["padding"], options.get("dilation", 1)
    extra = []
    for axis, (i, t) in enumerate(zip(size, window, strict=True)):
        s, d = (v[axis] if isinstance(v, tuple) else v for v in (options["stride"], dilation))
        both = {"valid": 0, "same": None}.get(pairs) if isinstance(pairs, str) else 2 * pairs
        both = sum(pairs[axis]) if isinstance(pairs, tuple) else both
        extra.append(0 if both is None else (i + both - d * (t - 1) - 1) % s)
    conv = functools.partial(ops.conv, groups=groups, **options)
    y = draw.normal(size=jax.eval_shape(conv, x, k).shape)

    @quick_jit  # one compilation for all
    def everything(x, k, turned, y):
        up = ops.upconv(y, turned, groups=groups, output_padding=extra, **options)
        return conv(x, k), up, jax.vjp(lambda x: conv(x, k), x)[1](y)[0]

    down, up, gradient = everything(x, k, transposed_kernel(k, groups), y)
    assert up.shape == x.shape
    left, right = np.vdot(down, y), np.vdot(x, up)
    scale = np.linalg.norm(down) * np.linalg.norm(y)
    assert abs(left - right) <= 1e-12 * scale
    # A lone number says little: the gradient in x compares every pixel.
    assert_close(up, gradient)


# --- small floats --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("name", ["plain", "everything", "depthwise", "1-D", "3-D", "up"])
def test_small_floats_round_no_more_than_they_must(x64, name, dtype):
    """A sum of n products in a format of unit roundoff u errs by less than n u sum |x k| / (1 - nu)

    (Higham, Accuracy and Stability of Numerical Algorithms, eq. 3.4), in any order of summation;
    n = taps x channels, plus one for the rounding of the result. The reference takes the same
    rounded operands, so that nothing else differs.
    """
    f, x, k = operation(name)
    x, k = jnp.asarray(x).astype(dtype), jnp.asarray(k).astype(dtype)

    @jax.jit  # one compilation for all
    def everything(x, k):
        exact_x, exact_k = x.astype(jnp.float64), k.astype(jnp.float64)
        with ops.lowering("direct"):
            references = f(exact_x, exact_k), f(abs(exact_x), abs(exact_k))
        return [under(form, f, x, k) for form in ("auto", "fast")], *references

    results, exact, absolute = everything(x, k)
    n = math.prod(k.shape[:-1]) + 1
    unit = float(jnp.finfo(dtype).eps) / 2
    assert n * unit < 0.2, "the bound says nothing"
    bound = n * unit / (1 - n * unit) * absolute
    for got in results:
        assert got.dtype == dtype
        assert np.all(np.abs(got.astype(jnp.float64) - exact) <= bound)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("name", ["everything", "up everything"])
def test_small_floats_keep_their_type_through_every_derivative(dtype, name):
    f, x, k = operation(name, np.float32)
    x, k = jnp.asarray(x).astype(dtype), jnp.asarray(k).astype(dtype) / k.size
    gradient = jax.grad(lambda x, k: f(x, k).sum(), (0, 1))

    @jax.jit  # one compilation for both
    def both(x, k):
        return gradient(x, k), gradient(x.astype(jnp.float32), k.astype(jnp.float32))

    for a, b in zip(*both(x, k), strict=True):
        assert a.dtype == dtype
        # Sums of fewer than 2 * 5 * 5 terms (batch and output pixels) of the operands' own size.
        error = np.abs(a.astype(jnp.float32) - b).max()
        assert error <= 50 * float(jnp.finfo(dtype).eps) * np.abs(b).max()


# --- nothing at all ------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["auto", "direct"])
@pytest.mark.parametrize("name", ["everything", "up everything", "3-D"])
def test_a_batch_of_no_examples(x64, form, name):
    f, x, k = operation(name)
    with ops.lowering(form):
        y, pull = jax.vjp(f, x[:0], k)
        assert y.shape == (0, *f(x, k).shape[1:])
        dx, dk = pull(y)
        assert jax.jit(f)(x[:0], k).shape == y.shape
    assert dx.shape == x[:0].shape
    np.testing.assert_array_equal(dk, np.zeros_like(k))


@pytest.mark.parametrize(
    ("in_axes", "x_shape", "kernel_shape"),
    [
        ((0, None), (3, 0), ()),  # three empty batches
        pytest.param((None, 0), (0,), (3,), id="kernels on an empty batch"),
        pytest.param((0, 0), (3, 0), (3,), id="an ensemble on empty batches"),
        pytest.param((0, None), (0, 2), (), id="no batches"),
        pytest.param((None, 0), (2,), (0,), id="no kernels"),
        pytest.param((0, 0), (0, 2), (0,), id="an empty ensemble"),
    ],
)
@pytest.mark.parametrize("form", ["direct", "auto"])
def test_vmap_of_nothing(form, in_axes, x_shape, kernel_shape):
    f, x, k = operation("everything", np.float32)
    x = np.zeros((*x_shape, *x.shape[1:]), np.float32)
    k = np.zeros((*kernel_shape, *k.shape), np.float32)
    with ops.lowering(form):
        y = jax.vmap(f, in_axes)(x, k)
        dx, dk = jax.grad(lambda x, k: jax.vmap(f, in_axes)(x, k).sum(), (0, 1))(x, k)
    assert y.size == 0
    assert dx.shape == x.shape
    assert dk.shape == k.shape
