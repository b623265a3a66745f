"""Where oneDNN is called and where not, and every transformation of JAX around its calls."""

import functools
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import test_transforms
from compiling import quick_jit

from jaxseg import ops
from jaxseg.ops import _lowering, native, trilinear
from jaxseg.ops.geometry import conv_geometry, upconv_geometry
from jaxseg.ops.native import loader
from jaxseg.ops.native.call import can_compute

X = np.random.default_rng(0).normal(size=(2, 9, 9, 16)).astype(np.float32)
K = np.random.default_rng(1).normal(size=(3, 3, 16, 16)).astype(np.float32)
with_onednn = pytest.mark.usefixtures("native")


def gradients(x, k, **options):
    return jax.grad(lambda x, k: ops.conv(x, k, **options).sum(), (0, 1))(x, k)


def calls_in(f, *args):
    return jax.jit(f).lower(*args).as_text().count("custom_call @jaxseg_onednn")


# --- the forms -----------------------------------------------------------------------------------


@with_onednn
@pytest.mark.parametrize(
    ("form", "count"), [("auto", 2), ("native", 2), ("fast", 0), ("direct", 0)]
)
def test_auto_and_native_call_the_library(form, count):
    with ops.lowering(form):
        assert calls_in(lambda x, k: gradients(x, jnp.sin(k)), X, K) == count


@with_onednn
def test_auto_leaves_cases_to_the_pure_forms_that_native_does_not():
    f = functools.partial(gradients, dilation=8)  # a ninth of the weight gradient sees data
    assert calls_in(f, X, K) == 1
    with ops.lowering("native"):
        assert calls_in(f, X, K) == 2


@with_onednn
def test_float64_has_its_pure_form(x64):
    x, k = X.astype(np.float64), K.astype(np.float64)
    with ops.lowering("fast"):
        wanted = jax.jit(gradients)(x, k)
    with ops.lowering("native"):
        assert calls_in(gradients, x, k) == 0
        for a, b in zip(jax.jit(gradients)(x, k), wanted, strict=True):
            np.testing.assert_array_equal(a, b)


@with_onednn
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_sixteen_bits_are_computed_in_float32(dtype):
    x, k = X.astype(dtype), K.astype(dtype)
    rounded = ops.conv(x.astype(np.float32), k.astype(np.float32)).astype(dtype)
    assert calls_in(ops.conv, x, k) == 1
    np.testing.assert_array_equal(ops.conv(x, k), rounded)


def test_native_says_what_is_missing(monkeypatch):
    missing = native.Status(None, None, "no wheel: pip install 'jaxseg[onednn]'")
    monkeypatch.setattr(loader._process, "status", missing)
    with pytest.raises(ValueError, match=r'"native" is not available: no wheel: pip install'):  # noqa: SIM117
        with ops.lowering("native"):
            pass
    assert _lowering.current_form() == "auto"
    assert calls_in(lambda x, k: ops.conv(x, 3 * k), X, K) == 0


@with_onednn
@pytest.mark.parametrize(
    ("mode", "geometry", "pure"),
    [
        ("k", conv_geometry((33, 33), (3, 3), dilation=24), True),
        ("x", conv_geometry((33, 33), (3, 3), dilation=24), False),
        ("k", conv_geometry((33, 33), (3, 3), dilation=12), False),
        ("k", conv_geometry((33, 33), (3, 3), dilation=24, groups=4), False),
        ("x", upconv_geometry((16, 16), (16, 16), stride=8), True),
        ("y", upconv_geometry((16, 16), (16, 16), stride=8), False),
        ("x", upconv_geometry((16, 16), (4, 4), stride=2), False),
    ],
)
def test_the_rules(mode, geometry, pure):
    assert native.prefers_pure(mode, geometry) == pure


@with_onednn
def test_pixels_that_no_window_sees_are_left_to_the_pure_form():
    left_over = upconv_geometry((4, 4), (1, 1), stride=2, dilation=3, output_padding=2)
    x, k = jnp.ones((1, 1, *left_over.input, 2)), jnp.ones((1, 1, 1, 2, 3))
    assert left_over.padding[0][1] <= -2
    assert not can_compute("y", left_over, x, k)
    assert can_compute("y", conv_geometry(x.shape[2:4], (1, 1)), x, k)


@with_onednn
def test_an_implementation_without_optimization_is_not_used(monkeypatch):
    monkeypatch.setattr("jaxseg.ops.native.call.implementation", lambda *_: "ref:any")
    assert not can_compute("y", conv_geometry((9, 9), (3, 3)), X[None], K[None])


@with_onednn
def test_a_failure_names_the_case():
    geometry = conv_geometry((9, 9), (3, 3))
    wrong = conv_geometry((9, 9), (3, 3), stride=2)

    def call(x, k):  # an output of one size and a geometry of another
        out = jax.ShapeDtypeStruct((1, 1, 2, *geometry.output, 16), jnp.float32)
        options = np.array(loader.options_of(wrong), np.int64)
        f = jax.ffi.ffi_call(loader.TARGET, out)
        return f(x[None, None], k[None, None], mode=np.int64(0), options=options)

    with pytest.raises(jax.errors.JaxRuntimeError, match=r"oneDNN's .* mode y, x \(2, 9, 9, 16\)"):
        jax.jit(call)(X, K).block_until_ready()


# --- exports -------------------------------------------------------------------------------------


@with_onednn
@pytest.mark.parametrize("form", ["auto", "native"])
@pytest.mark.parametrize("platforms", [["cpu"], ["cpu", "cuda"], ["tpu"]])
def test_exports_hold_the_pure_form(form, platforms):
    with ops.lowering(form):
        exported = jax.export.export(jax.jit(gradients), platforms=platforms)(X, K)
    assert "jaxseg_onednn" not in exported.mlir_module()
    if "cpu" in platforms:
        for got, wanted in zip(exported.call(X, K), gradients(X, K), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-3)


@with_onednn
def test_lowered_for_several_platforms_or_another_one():
    for platforms in (("cpu", "cuda"), ("tpu",)):
        text = jax.jit(gradients).trace(X, K).lower(lowering_platforms=platforms).as_text()
        assert "jaxseg_onednn" not in text


def test_the_lowering_context_tells_exports_apart(monkeypatch):
    """Undocumented fields of JAX, which `_lowering.is_export` reads."""
    seen = []

    def is_export(context):
        module = context.module_context
        seen.append((module.lowering_parameters.for_export, tuple(module.platforms)))
        return _lowering.is_export(context)

    monkeypatch.setattr(trilinear, "is_export", is_export)
    traced = jax.jit(lambda x, k: ops.conv(x, 2 * k)).trace(X, K)
    traced.lower()
    traced.lower(lowering_platforms=("cpu", "cuda"))
    jax.export.export(jax.jit(lambda x, k: ops.conv(x, 2 * k)))(X, K)
    assert seen[0] == (False, ("cpu",))
    assert (False, ("cpu", "cuda")) in seen
    assert seen[-1] == (True, ("cpu",))


# --- transformations -----------------------------------------------------------------------------


FEW = [test_transforms.grad, test_transforms.vmap_of_grad, test_transforms.reverse_over_reverse]
TRANSFORMS = {
    "everything": [
        *test_transforms.OWN,
        *test_transforms.WRAPPED[:-1],
        test_transforms.vmap_of_scan,
    ],
    **dict.fromkeys(["depthwise", "up everything", "3-D"], FEW),
}


@with_onednn
@pytest.mark.parametrize("name", TRANSFORMS)
def test_transformed_as_the_plain_convolution(name):
    f, x, k = test_transforms.operation(name, np.float32)
    transforms = TRANSFORMS[name]

    @quick_jit
    def everything(x, k):
        return [
            [test_transforms.under(form, functools.partial(t, f), x, k) for t in transforms]
            for form in ("native", "direct")
        ]

    for transform, got, wanted in zip(transforms, *everything(x, k), strict=True):
        test_transforms.assert_close(got, wanted, tolerance=1e-4, what=str(transform))


@with_onednn
def test_branches_compile_ahead_of_time_and_run_eagerly():
    def f(flag, x, k):
        return jax.lax.cond(flag, lambda: ops.conv(x, k), lambda: ops.upconv(x, k, stride=1))

    program = jax.jit(f).lower(True, X, K).compile()
    assert "jaxseg_onednn" in program.as_text()
    for flag in (True, False):
        with ops.lowering("direct"):
            wanted = f(flag, X, K)
        np.testing.assert_allclose(program(flag, X, K), wanted, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(f(flag, X, K), wanted, rtol=1e-4, atol=1e-4)


@with_onednn
def test_calls_from_several_threads_do_not_meet():
    shapes = [(2, 24, 24, 16), (1, 40, 40, 16), (3, 11, 13, 16)]
    images = [
        np.random.default_rng(i).normal(size=s).astype(np.float32) for i, s in enumerate(shapes)
    ]
    f = jax.jit(lambda x, k: (ops.conv(x, k), *gradients(jnp.sin(x), k)))
    wanted = [jax.tree.map(np.asarray, f(x, K)) for x in images]
    wrong = []

    def work(i):
        for _ in range(20):
            for got, expected in zip(f(images[i], K), wanted[i], strict=True):
                if not np.array_equal(got, expected):  # the same bits on every call
                    wrong.append(i)

    threads = [threading.Thread(target=work, args=(i % 3,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@with_onednn
def test_nothing_leaks_from_one_pixel_to_those_that_do_not_see_it():
    for options in ({}, {"stride": 2}, {"dilation": 3}, {"groups": 4}):
        kernel = K[:, :, : 16 // options.get("groups", 1)]
        x = X.copy()
        x[1, 4, 3, 2] = np.nan
        with ops.lowering("native"):
            got = np.isnan(jax.jit(functools.partial(ops.conv, **options))(x, kernel))
        sees = np.isnan(x).astype(np.float32)
        with ops.lowering("direct"):
            wanted = np.asarray(ops.conv(sees, np.ones_like(kernel), **options)) > 0
        np.testing.assert_array_equal(got, wanted)
