"""Which form is compiled where, and that the block reaches what was jitted before it.

Here "auto" has no oneDNN; native/test_native_forms.py looks at what it is with it.
"""

import re
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxseg import ops
from jaxseg.ops import native
from jaxseg.ops._lowering import current_form

# Of so many channels that the weight gradient is a convolution too, not a product of few columns.
X = np.random.default_rng(0).normal(size=(2, 6, 6, 16)).astype(np.float32)
K = np.random.default_rng(1).normal(size=(3, 3, 16, 16)).astype(np.float32)


@pytest.fixture(autouse=True)
def _without_onednn(monkeypatch):
    monkeypatch.setattr(native, "can_compute", lambda *_: False)


def primitives(f, *args):
    return set(re.findall(r"jaxseg_trilinear|conv_general_dilated", str(jax.make_jaxpr(f)(*args))))


# --- the block -----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["slow", "Direct", "", None, 1])
def test_an_unknown_form_is_refused_with_the_known_ones(form):
    with (
        pytest.raises(
            ValueError, match=r'lowering .* is unknown: give "auto", "direct", "fast" or'
        ),
        ops.lowering(form),
    ):
        pass
    assert current_form() == "auto"


def test_blocks_nest_and_restore():
    assert current_form() == "auto"
    with ops.lowering("direct"):
        assert current_form() == "direct"
        with ops.lowering("fast"):
            assert current_form() == "fast"
            with ops.lowering("auto"):
                assert current_form() == "auto"
            assert current_form() == "fast"
        assert current_form() == "direct"
    assert current_form() == "auto"


def test_an_exception_restores_too():
    with ops.lowering("fast"):
        with pytest.raises(KeyError):  # noqa: SIM117
            with ops.lowering("direct"):
                raise KeyError
        assert current_form() == "fast"
        assert primitives(ops.conv, X, K) == {"jaxseg_trilinear"}
    assert current_form() == "auto"


def test_a_block_is_a_decorator_as_well():
    @ops.lowering("direct")
    def inside():
        return current_form()

    assert inside() == inside() == "direct"
    assert current_form() == "auto"


def test_threads_start_at_the_default_and_keep_to_themselves():
    entered, looked, seen = threading.Event(), threading.Event(), {}

    def holds():
        with ops.lowering("direct"):
            entered.set()
            looked.wait(10)
            seen["holder"] = primitives(ops.conv, X, K)

    def looks():
        entered.wait(10)
        seen["other"] = primitives(ops.conv, X, K)
        with ops.lowering("fast"):
            seen["other form"] = current_form()
        looked.set()

    with ops.lowering("direct"):
        threads = [threading.Thread(target=t) for t in (holds, looks)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert current_form() == "direct"
    assert seen == {
        "holder": {"conv_general_dilated"},
        "other": {"jaxseg_trilinear"},
        "other form": "fast",
    }


# --- what is traced ------------------------------------------------------------------------------


@pytest.mark.parametrize("op", [ops.conv, ops.upconv])
@pytest.mark.parametrize(
    ("form", "primitive"),
    [
        ("auto", "jaxseg_trilinear"),
        ("fast", "jaxseg_trilinear"),
        ("direct", "conv_general_dilated"),
    ],
)
def test_each_form_is_its_own_primitive_through_derivatives(op, form, primitive):
    with ops.lowering(form):
        for f in (op, jax.grad(lambda x, k: op(x, k).sum(), (0, 1))):
            assert primitives(f, X, K) == {primitive}
            assert primitives(jax.vmap(f), X[None], K[None]) == {primitive}


def test_a_jitted_function_is_retraced_inside_the_block():
    traces = []

    @jax.jit
    def f(x, k):
        traces.append(current_form())
        return ops.conv(x, k)

    outside = f(X, K)
    assert primitives(f, X, K) == {"jaxseg_trilinear"}
    with ops.lowering("direct"):
        inside = f(X, K)
        assert primitives(f, X, K) == {"conv_general_dilated"}
    with ops.lowering("fast"):
        f(X, K)
    assert traces == ["auto", "direct", "fast"]
    np.testing.assert_allclose(inside, outside, rtol=1e-5, atol=1e-5)
    # Each form has a trace of its own to come back to.
    f(X, K)
    with ops.lowering("direct"):
        f(X, K)
    assert traces == ["auto", "direct", "fast"]


def test_a_jitted_gradient_is_retraced_inside_the_block():
    f = jax.jit(jax.grad(lambda k: ops.upconv(X, k).sum()))
    f(K)
    with ops.lowering("direct"):
        assert primitives(f, K) == {"conv_general_dilated"}
        assert "jaxseg_trilinear" not in str(f.trace(K).jaxpr)


# --- what is compiled ----------------------------------------------------------------------------

CANONICAL = {
    1: "[b, 0, f]x[0, i, o]->[b, 0, f]",
    2: "[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]",
    3: "[b, 0, 1, 2, f]x[0, 1, 2, i, o]->[b, 0, 1, 2, f]",
}


def text_of(f, *args, platform=None):
    if platform is None:
        return jax.jit(f).lower(*args).as_text()
    abstract = [jax.typeof(jnp.asarray(a)) for a in args]
    return str(jax.export.export(jax.jit(f), platforms=[platform])(*abstract).mlir_module())


def labels_in(text):
    found = re.findall(r"dim_numbers = (\[[^\]]*\]x\[[^\]]*\]->\[[^\]]*\])", text)
    assert found, "no convolution in the text"
    return set(found)


def stack_loss(x, kernels):
    def layer(x, k):
        return jnp.tanh(x + ops.conv(x, k)), None

    return jax.lax.scan(layer, x, kernels)[0].sum()


def test_the_gradient_of_a_scanned_stack_keeps_to_the_labels_that_cpu_is_fast_at():
    # Any other labels run 20 to 100 times slower inside a loop body (jax#12868).
    kernels = np.stack([K] * 4)
    gradient = jax.grad(stack_loss, (0, 1))
    for form in ("auto", "fast"):
        with ops.lowering(form):
            assert labels_in(text_of(gradient, X, kernels)) == {CANONICAL[2]}
    with ops.lowering("direct"):  # the guard can fail: this is what it guards against
        assert len(labels_in(text_of(gradient, X, kernels))) > 1


@pytest.mark.parametrize("op", [ops.conv, ops.upconv])
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(
    ("in_axes", "x_batch", "kernel_batch"),
    [(None, (), ()), ((0, None), (3,), ()), ((None, 0), (), (3,)), ((0, 0), (3,), (3,))],
    ids=["one", "images", "kernels", "ensemble"],
)
def test_every_mode_keeps_to_them_in_every_batch(op, axes, in_axes, x_batch, kernel_batch):
    def gradients(x, k):
        return jax.grad(lambda x, k: jnp.sin(op(x, k, stride=2, groups=2)).sum(), (0, 1))(x, k)

    x = np.ones((*x_batch, 2, *(5,) * axes, 4), np.float32)
    k = np.ones((*kernel_batch, *(3,) * axes, 2, 6), np.float32)
    f = gradients if in_axes is None else jax.vmap(gradients, in_axes)
    assert labels_in(text_of(f, x, k)) == {CANONICAL[axes]}


def test_an_ensemble_is_a_loop_over_its_members():
    # A grouped convolution instead would be 4 to 18 times slower on CPU.
    text = text_of(jax.vmap(ops.conv), X[None].repeat(3, 0), K[None].repeat(3, 0))
    assert "stablehlo.while" in text
    assert set(re.findall(r"feature_group_count = (\d+)", text)) == {"1"}
    assert set(re.findall(r"batch_group_count = (\d+)", text)) == {"1"}


def test_kernels_on_the_same_images_are_one_convolution():
    text = text_of(jax.vmap(ops.conv, (None, 0)), X, K[None].repeat(4, 0))
    assert "stablehlo.while" not in text
    assert len(re.findall(r"stablehlo.convolution", text)) == 1
    assert "tensor<3x3x16x64xf32>" in text


CONVOLUTION = re.compile(
    r"pad = \[(.*?)\], lhs_dilate = \[(.*?)\], rhs_dilate = \[(.*?)\].*?"
    r": \(tensor<([\dx]+)xf32>, tensor<([\dx]+)xf32>\)"
)


def numbers(text):
    return [int(n) for n in re.findall(r"-?\d+", text)]


@pytest.mark.parametrize(
    "options",
    [{}, {"padding": 1}, {"padding": "valid", "stride": 2}, {"padding": 4}, {"dilation": 2}],
)
@pytest.mark.parametrize("op", [ops.conv, ops.upconv])
def test_no_weight_gradient_has_a_window_larger_than_its_input(op, options):
    # XLA for CPU swaps the two then, and falls back to plain loops.
    x = np.ones((2, 16, 16, 16), np.float32)
    text = text_of(jax.grad(lambda k, x: op(x, k, **options).sum()), K, x)
    (found,) = [
        m.groups() for m in CONVOLUTION.finditer(text) if numbers(m.group(5))[0] > len(K)
    ]  # the window of the weight gradient is an image
    _, lhs_dilate, rhs_dilate, lhs, rhs = (numbers(part) for part in found)
    assert lhs_dilate == [1, 1]
    for i, k, d in zip(lhs[1:3], rhs[:2], rhs_dilate, strict=True):
        assert (k - 1) * d + 1 <= i


def test_other_platforms_take_the_plain_form_unless_told():
    gradient = jax.grad(stack_loss, (0, 1))
    kernels = np.stack([K] * 4)
    labels = {"no block": labels_in(text_of(gradient, X, kernels, platform="cuda"))}
    for form in ("auto", "direct", "fast"):
        with ops.lowering(form):
            labels[form] = labels_in(text_of(gradient, X, kernels, platform="cuda"))
    assert labels["no block"] == labels["auto"] == labels["direct"]
    assert len(labels["auto"]) > 1
    assert labels["fast"] == {CANONICAL[2]}


def gradients_of(f):
    return jax.grad(lambda x, k: f(x, k).sum(), (0, 1))


ONE, SEVERAL = K, np.stack([K] * 3)


@pytest.mark.parametrize(
    ("transform", "kernel"),
    [
        (gradients_of, ONE),
        (lambda f: jax.vmap(gradients_of(f), (None, 0)), SEVERAL),
        (lambda f: gradients_of(jax.jit(f)), ONE),
        (lambda f: gradients_of(jax.checkpoint(f)), ONE),
        (lambda f: lambda x, k: jax.vjp(f, x, k)[1](x), ONE),
        (lambda f: lambda x, ks: jax.lax.map(lambda k: gradients_of(f)(x, k), ks), SEVERAL),
    ],
    ids=["grad", "vmap", "jit", "checkpoint", "vjp", "map"],
)
def test_a_block_inside_a_function_reaches_its_lowering(transform, kernel):
    """Equations carry the form through every transformation; `form_of_equation` reads it."""

    def compiled_for(outside, inside):
        def f(x, k):
            with ops.lowering(inside):
                return jnp.sin(ops.conv(x, k))

        with ops.lowering(outside):
            return labels_in(text_of(transform(f), X, kernel, platform="cuda"))

    assert compiled_for("auto", "fast") == {CANONICAL[2]}
    assert len(compiled_for("fast", "auto")) > 1
