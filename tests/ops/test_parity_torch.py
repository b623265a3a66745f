"""Values and gradients against PyTorch, an implementation that shares nothing with ours."""

import math
import subprocess
import sys
from dataclasses import dataclass

import jax
import numpy as np
import pytest
from compiling import quick_jit
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jaxseg import ops

torch = pytest.importorskip("torch")
F = torch.nn.functional


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """PyTorch's other threads would only wait, busily, for cases so small."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
UPCONV = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


# --- from channels last to PyTorch's layouts: permutations, so gradients go the same way ---------


def torch_images(x):
    """(batch, *space, channels) -> (batch, channels, *space)."""
    return torch.from_numpy(np.moveaxis(np.asarray(x), -1, 1).copy())


def torch_conv_weight(kernel, groups):
    """(*window, in / groups, out) -> (out, in / groups, *window)."""
    del groups  # out is group-major in both
    return torch.from_numpy(np.moveaxis(np.asarray(kernel), (-1, -2), (0, 1)).copy())


def torch_upconv_weight(kernel, groups):
    """(*window, in / groups, out) -> (in, out / groups, *window), the window reversed."""
    kernel = np.asarray(kernel)
    reversed_window = np.flip(kernel, range(kernel.ndim - 2))
    # Each group of features goes with a group of input channels of its own: PyTorch stacks the
    # groups along its channels in, we along our features.
    of_groups = np.split(reversed_window, groups, axis=-1)
    return torch.from_numpy(
        np.concatenate([np.moveaxis(k, (-2, -1), (0, 1)) for k in of_groups], axis=0)
    )


# --- cases ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One convolution; sizes, windows and the like have one entry per spatial axis."""

    batch: int
    size: tuple[int, ...]
    window: tuple[int, ...]
    inputs: int
    features: int
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    padding: str | int | tuple  # as `ops` takes it
    output_padding: tuple[int, ...] = ()

    @property
    def axes(self):
        return len(self.size)

    @property
    def spans(self):
        return [d * (k - 1) + 1 for k, d in zip(self.window, self.dilation, strict=True)]

    def arrays(self):
        rng = np.random.default_rng(0)
        x = rng.normal(size=(self.batch, *self.size, self.inputs))
        kernel = rng.normal(size=(*self.window, self.inputs // self.groups, self.features))
        return x, kernel


def aborts(case, low):
    """XLA for CPU ends the process on the input gradient that JAX derives, the direct form's."""
    axes = zip(case.window, case.stride, case.dilation, low, strict=True)
    return (2, 2, 1, 1) in axes and any(k > i for k, i in zip(case.window, case.size, strict=True))


def entries(draw, axes, low, high):
    return tuple(draw(st.integers(low, high)) for _ in range(axes))


@st.composite
def cases(draw, op):
    axes = draw(st.integers(1, 3))
    # Few taps, each of which takes time to compile; in three dimensions one axis may have three.
    window = entries(draw, axes, 1, {1: 5, 2: 4, 3: 2}[axes])
    if axes == 3 and draw(st.booleans()):
        longest = draw(st.integers(0, 2))
        window = tuple(3 if axis == longest else k for axis, k in enumerate(window))
    stride = entries(draw, axes, 1, 3)
    dilation = entries(draw, axes, 1, 3)
    groups = draw(st.integers(1, 3))
    # With 1: depthwise; with 13: more taps x channels than the product form of the gradient takes.
    inputs = groups * draw(st.sampled_from([1, 2, 13]))
    features = groups * draw(st.integers(1, 2))
    spans = [d * (k - 1) + 1 for k, d in zip(window, dilation, strict=True)]
    kind = draw(st.sampled_from(["same", "valid", "integer", "integers", "pairs"]))
    integer = draw(st.integers(0, 3))
    integers = entries(draw, axes, 0, 3)
    pairs = tuple((draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in range(axes))
    padding = {"integer": integer, "integers": integers, "pairs": pairs}.get(kind, kind)
    total = {
        "same": [0] * axes,
        "valid": [0] * axes,
        "integer": [2 * integer] * axes,
        "integers": [2 * p for p in integers],
        "pairs": [sum(p) for p in pairs],
    }[kind]
    if op == "conv":
        least = [1 if kind == "same" else max(1, r - p) for r, p in zip(spans, total, strict=True)]
        output_padding = ()
    else:
        # (size - 1) * stride + span - padding >= 1
        least = [
            1 + max(0, math.ceil((p + 1 - r) / s))
            for r, s, p in zip(spans, stride, total, strict=True)
        ]
        output_padding = tuple(
            draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True)
        )
    size = tuple(n + draw(st.integers(0, 4)) for n in least)
    case = Case(
        draw(st.integers(1, 3)),
        size,
        window,
        inputs,
        features,
        stride,
        dilation,
        groups,
        padding,
        output_padding,
    )
    assume(not aborts(case, [p // 2 for p in total]))
    return case


# --- the two sides -------------------------------------------------------------------------------


def fit(x, before_after):
    """Pad (or crop, where negative) each spatial axis by its pair; F.pad counts from the last."""
    return F.pad(x, [n for pair in reversed(before_after) for n in pair])


def torch_conv(case, x, weight):
    options = {"stride": case.stride, "dilation": case.dilation, "groups": case.groups}
    if isinstance(case.padding, int) or (
        isinstance(case.padding, tuple) and isinstance(case.padding[0], int)
    ):
        return CONV[case.axes](x, weight, padding=case.padding, **options)
    pairs = case.padding
    if pairs == "valid":
        pairs = [(0, 0)] * case.axes
    elif pairs == "same":  # the least that reaches ceil(size / stride), the odd pixel behind
        total = [
            max((math.ceil(i / s) - 1) * s + r - i, 0)
            for i, s, r in zip(case.size, case.stride, case.spans, strict=True)
        ]
        pairs = [(n // 2, n - n // 2) for n in total]
    return CONV[case.axes](fit(x, pairs), weight, **options)


def torch_upconv(case, x, weight):
    options = {
        "stride": case.stride,
        "dilation": case.dilation,
        "groups": case.groups,
        "output_padding": case.output_padding,
    }
    if isinstance(case.padding, int) or (
        isinstance(case.padding, tuple) and isinstance(case.padding[0], int)
    ):
        return UPCONV[case.axes](x, weight, padding=case.padding, **options)
    full = UPCONV[case.axes](x, weight, **options)
    crops = case.padding
    if crops == "valid":
        return full
    if crops == "same":  # size * stride pixels are left, the odd one cropped behind
        before = [max(r - s, 0) // 2 for r, s in zip(case.spans, case.stride, strict=True)]
        uncropped = [
            (i - 1) * s + r for i, s, r in zip(case.size, case.stride, case.spans, strict=True)
        ]
        crops = [
            (lo, n - lo - i * s)
            for lo, n, i, s in zip(before, uncropped, case.size, case.stride, strict=True)
        ]
    return fit(full, [(-lo, -hi) for lo, hi in crops])


def ours(op, case, form, x, kernel, cotangent):
    options = {
        "stride": case.stride,
        "dilation": case.dilation,
        "padding": case.padding,
        "groups": case.groups,
    }
    if op is ops.upconv:
        options["output_padding"] = case.output_padding

    with ops.lowering(form):
        y, pull = jax.vjp(lambda x, kernel: op(x, kernel, **options), x, kernel)
        return y, *pull(cotangent)


def assert_close(got, wanted, what):
    wanted = wanted.detach().numpy()
    got = got.detach().numpy() if isinstance(got, torch.Tensor) else np.asarray(got)
    assert got.shape == wanted.shape, what
    assert np.abs(got - wanted).max() <= 1e-10 * np.abs(wanted).max(), what


def compare(op, drawn, forms=("auto", "direct")):
    """Value and both gradients of every form of every case against PyTorch's."""
    reference, torch_weight = {
        ops.conv: (torch_conv, torch_conv_weight),
        ops.upconv: (torch_upconv, torch_upconv_weight),
    }[op]
    arrays, wanted = [], []
    for case in drawn:
        x, kernel = case.arrays()
        tx = torch_images(x).requires_grad_()
        tw = torch_weight(kernel, case.groups).requires_grad_()
        ty = reference(case, tx, tw)
        cotangent = np.random.default_rng(1).normal(size=(len(x), *ty.shape[2:], ty.shape[1]))
        ty.backward(torch_images(cotangent))
        arrays.append((x, kernel, cotangent))
        wanted.append((ty, tx.grad, tw.grad))

    @quick_jit  # one compilation for all cases and forms
    def everything(arrays):
        return [
            [ours(op, case, form, *operands) for form in forms]
            for case, operands in zip(drawn, arrays, strict=True)
        ]

    with jax.enable_x64(True):
        results = everything(arrays)
    for case, by_form, (ty, tdx, tdw) in zip(drawn, results, wanted, strict=True):
        for form, (y, dx, dk) in zip(forms, by_form, strict=True):
            what = f"{form}, {case}"
            assert_close(torch_images(y), ty, f"value of {what}")
            assert_close(torch_images(dx), tdx, f"gradient of the images, {what}")
            assert_close(torch_weight(dk, case.groups), tdw, f"gradient of the kernel, {what}")


# --- drawn ---------------------------------------------------------------------------------------


FORMS = ["auto", "direct", "fast"]  # the first and the last are one program on CPU


def six(op):
    """Cases that are compiled at once."""
    return st.lists(cases(op), min_size=6, max_size=6)


@pytest.mark.slow
@settings(max_examples=16)  # each compiles anew; the first holds six times the simplest case
@given(drawn=six("conv"))
def test_conv_is_pytorchs(drawn):
    compare(ops.conv, drawn, ["auto"])


@pytest.mark.slow
@settings(max_examples=16)
@given(drawn=six("upconv"))
def test_upconv_is_pytorchs(drawn):
    compare(ops.upconv, drawn, ["auto"])


@pytest.mark.slow
@settings(max_examples=6)
@given(drawn=six("conv"))
def test_every_form_of_conv_is_pytorchs(drawn):
    compare(ops.conv, drawn, FORMS)


@pytest.mark.slow
@settings(max_examples=6)
@given(drawn=six("upconv"))
def test_every_form_of_upconv_is_pytorchs(drawn):
    compare(ops.upconv, drawn, FORMS)


# --- chosen: the layers that nets are made of ----------------------------------------------------


def layer(size, window, inputs=2, features=3, *, stride=1, dilation=1, **options):
    axes = len(size)
    options = {"groups": 1, "padding": "same", "output_padding": (0,) * axes, **options}
    spread = {"window": window, "stride": stride, "dilation": dilation}
    spread = {n: v if isinstance(v, tuple) else (v,) * axes for n, v in spread.items()}
    return Case(batch=2, size=size, inputs=inputs, features=features, **spread, **options)


@pytest.mark.parametrize(
    "case",
    [
        layer((6, 5), 3, padding=1),
        layer((9, 9), 7, stride=2, padding=3),
        layer((6, 5), 1, stride=2, padding=0),
        layer((5, 5), 3, dilation=12, padding=12),  # ASPP: the window spans more than the image
        layer((6, 6), 3, 4, 8, groups=4),
        layer((7, 6), 3, 4, 6, stride=2, groups=2),
    ],
    ids=["3x3", "stem", "shortcut", "atrous", "depthwise", "grouped"],
)
def test_layers_are_pytorchs(case):
    compare(ops.conv, [case], FORMS)


@pytest.mark.parametrize(
    "case",
    [
        layer((4, 3), 2, stride=2, padding=0),
        layer((4, 3), 4, stride=2, padding=1),
        layer((4, 3), 3, stride=2, padding=1, output_padding=(1, 1)),
        layer((3, 3), 8, stride=4, padding=2),
        layer((4, 3), 4, 3, 3, stride=2, groups=3),
        layer((4, 3), 1, stride=3),
    ],
    ids=["k2s2", "k4s2", "k3s2", "k8s4", "depthwise", "gaps"],
)
def test_uplayers_are_pytorchs(case):
    compare(ops.upconv, [case], FORMS)


# --- a fault of XLA, gone around ----------------

PROGRAM = """
import jax, jax.numpy as jnp
from jaxseg import ops
x, kernel = jnp.ones((1, 4, 1, 2)), jnp.ones((2, 3, 2, 2))
{program}
"""


@pytest.mark.parametrize(
    "program",
    [
        "ops.upconv(x, kernel, stride=(2, 1), padding=1)",
        "jax.grad(lambda x: ops.conv(x, kernel, stride=(2, 1), padding=1).sum())(x)",
    ],
    ids=["upconv", "conv"],
)
def test_xla_survives(program):
    """Window, stride and padding of 2, 2, 1 on one axis, and a window over its input on another.

    XLA for CPU swaps a window that exceeds its input with the input, takes the first axis for one
    of groups (base dilation = window = stride + 1), builds shapes that do not fit and aborts.
    """
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(program=program)], capture_output=True, check=False
    )
    assert run.returncode == 0, run.stderr.decode()[:2000]
