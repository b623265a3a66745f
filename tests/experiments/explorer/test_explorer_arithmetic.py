"""The explorer's arithmetic, run in a browser, is that of jaxseg on a grid of cases."""

import itertools
import math
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from explorer_browser import run_cases

from experiments.explorer import tables
from experiments.residual_gradient.probes import theory
from jaxseg import ops
from jaxseg.analysis import hybrid_dilation, receptive_field
from jaxseg.ops.geometry import conv_geometry, upconv_geometry


def geometry(make, case, size):
    """The size of the output and the padding in front, or the name of JavaScript's error."""
    options = {"stride": case["stride"], "dilation": case["dilation"], "padding": case["padding"]}
    if "outputPadding" in case:
        options["output_padding"] = case["outputPadding"]
    try:
        made = make((case["size"],), (case["kernel"],), **options)
    except ValueError:
        return "RangeError"
    return [getattr(made, size)[0], made.low[0]]


def options_of(*, up):
    """Every combination of some sizes and all the options of the page."""
    keys = ("size", "kernel", "stride", "dilation", "padding", "outputPadding")
    values = [(1, 2, 4, 5, 7), range(1, 6), range(1, 5), range(1, 4), ("same", "valid", 0, 1, 2, 4)]
    values.append(range(4) if up else (0,))
    cases = [dict(zip(keys, case, strict=True)) for case in itertools.product(*values)]
    return cases if up else [{k: v for k, v in c.items() if k != "outputPadding"} for c in cases]


@pytest.mark.parametrize(
    ("function", "make", "size", "up"),
    [
        ("convGeometry", conv_geometry, "output", False),
        ("upconvGeometry", upconv_geometry, "input", True),
    ],
)
def test_sizes_and_paddings(opened, function, make, size, up):
    cases = options_of(up=up)
    body = f"const g = Arithmetic.{function}(c); return [g.output, g.low];"
    assert run_cases(opened, body, cases) == [geometry(make, case, size) for case in cases]
    assert len(cases) > 1500


def matrix(operation, case, weights):
    """The matrix of an operation along an axis: what it makes of each unit vector."""
    options = {"stride": case["stride"], "dilation": case["dilation"], "padding": case["padding"]}
    if "outputPadding" in case:
        options["output_padding"] = case["outputPadding"]
    kernel = jnp.array(weights, jnp.float32)[:, None, None]
    units = jnp.eye(case["size"])[..., None]
    return np.asarray(operation(units, kernel, **options))[..., 0].T


@pytest.mark.parametrize(
    ("function", "operation", "up"),
    [("convMatrix", ops.conv, False), ("upconvMatrix", ops.upconv, True)],
)
def test_matrices_are_those_of_the_operations(opened, function, operation, up):
    valid = [
        case
        for case in options_of(up=up)
        if geometry(upconv_geometry if up else conv_geometry, case, "output") != "RangeError"
    ]
    cases = random.Random(0).sample(valid, 60)
    for case in cases:
        case["weights"] = [1 + (7 * tap + case["size"]) % 5 for tap in range(case["kernel"])]
    made = run_cases(opened, f"return Arithmetic.{function}(c, c.weights);", cases)
    for case, rows in zip(cases, made, strict=True):
        expected = matrix(operation, case, case["weights"])
        np.testing.assert_array_equal(np.array(rows).reshape(expected.shape), expected, str(case))


@pytest.mark.parametrize("mode", ["conv", "gather", "stamp"])
def test_the_drawn_image_is_the_operations(opened, mode):
    cases = [
        {"mode": mode, "size": 5, "kernel": k, "stride": s, "dilation": d, "padding": p}
        | {"outputPadding": a}
        for k, s, d, p, a in ((3, 2, 1, "1", 1), (2, 3, 1, "valid", 0), (3, 1, 2, "same", 0))
    ]
    cases = [c | {"outputPadding": 0} if mode == "conv" else c for c in cases]
    body = "const w = Convolution.work(c); return [w.image, w.weights, w.result];"
    operation = ops.conv if mode == "conv" else ops.upconv
    for case, (image, weights, result) in zip(cases, run_cases(opened, body, cases), strict=True):
        x = jnp.array(image, jnp.float32)[None, ..., None]
        kernel = jnp.outer(*(jnp.array(weights, jnp.float32),) * 2)[..., None, None]
        padding = int(case["padding"]) if case["padding"].isdigit() else case["padding"]
        options = {"stride": case["stride"], "dilation": case["dilation"], "padding": padding}
        if mode != "conv":
            options["output_padding"] = case["outputPadding"]
        np.testing.assert_array_equal(operation(x, kernel, **options)[0, ..., 0], result)


def test_all_stamps_together_are_the_upconvolution(opened):
    cases = [c | {"mode": "stamp"} for c in options_of(up=True) if c["size"] in (1, 4)]
    body = """
      const w = Convolution.work(c), sums = Convolution.stamped(c, w, c.size ** 2 - 1);
      return w.result.every((row, i) => row.every((v, j) => v === (sums.get(`${i},${j}`) || 0)));
    """
    assert {*run_cases(opened, body, cases)} == {True, "RangeError"}


def test_chains_are_those_of_the_receptive_field(opened):
    draw = random.Random(1)
    cases = [
        [
            {
                "kernel": draw.randint(1, 5),
                "stride": draw.randint(1, 3),
                "dilation": draw.randint(1, 4),
            }
            for _ in range(draw.randint(1, 4))
        ]
        for _ in range(60)
    ]
    body = "const f = Arithmetic.chain(c); return [f.size, f.step, f.counts];"
    for layers, (size, step, counts) in zip(cases, run_cases(opened, body, cases), strict=True):

        def net(x, layers=layers):
            for n in layers:
                kernel = jnp.ones((n["kernel"], 1, 1))
                x = ops.conv(x, kernel, stride=n["stride"], dilation=n["dilation"], padding="valid")
            return x

        image = jax.ShapeDtypeStruct((1, size + step, 1), jnp.float32)
        field = receptive_field(net, image)
        assert (field.size, field.stride) == ((size,), (step,)), layers
        assert field.counts((1,)).tolist() == [0] * step + counts, layers


def test_hybrid_dilation(opened):
    cases = [[list(rates), 3] for rates in itertools.product(range(1, 10), repeat=3)]
    draw = random.Random(2)
    cases += [
        [[draw.randint(1, 9) for _ in range(draw.randint(1, 5))], draw.randint(1, 5)]
        for _ in range(200)
    ]
    body = """
      const h = Arithmetic.hybridDilation(c[0], c[1]);
      return [h.distances, h.counts, h.passes, h.full];
    """
    for (rates, kernel), found in zip(cases, run_cases(opened, body, cases), strict=True):
        judged = hybrid_dilation(rates, kernel)
        expected = [list(judged.distances), list(judged.counts), judged.passes, judged.full]
        assert found == expected, (rates, kernel)


def test_overlaps_are_those_of_an_upconvolution_of_ones(opened):
    cases = [[k, s, d] for k in range(1, 8) for s in range(1, 5) for d in (1, 2) if s**d <= 9]
    body = """
      const o = Arithmetic.overlap(c[0], c[1]);
      return [o, Arithmetic.stackedOverlap(c[0], c[1], c[2], 24)];
    """
    for (kernel, stride, depth), (counts, line) in zip(
        cases, run_cases(opened, body, cases), strict=True
    ):
        assert counts == [len(range(phase, kernel, stride)) for phase in range(stride)]
        if kernel in (2, 3, 5):
            x = jnp.ones((1, 24, 1))
            for _ in range(depth):
                x = ops.upconv(x, jnp.ones((kernel, 1, 1)), stride=stride, padding="valid")
            period = stride**depth
            first = x.shape[1] // 2 // period * period
            expected = np.asarray(x)[0, first : first + period, 0]
            np.testing.assert_array_equal(line[:period], expected, str((kernel, stride, depth)))


@pytest.mark.parametrize("depth", [1, 8, 64])
def test_the_theory_of_gradients(opened, depth):
    kinds = ("plain", "plain_norm", "residual", "residual_norm")
    body = f"return Arithmetic.logGradients(c, {depth}, {{ gain: 1, alpha: 1 }});"
    for kind, logs in zip(kinds, run_cases(opened, body, kinds), strict=True):
        expected = theory(kind, "log_gradient", depth) / math.log(10)
        np.testing.assert_allclose(logs, expected, atol=1e-5, err_msg=kind)


def test_measured_gradients_follow_the_theory(opened):
    """Within the scatter of nets of that width: 5 L / 2 n of the squared norm's logarithm."""
    measured = tables.read_measured()
    width = measured["about"]["depth"]["width"]
    for depth, table in measured["depth"].items():
        slack = 0.05 + 2.5 * int(depth) / width
        for kind in ("plain", "plain_norm", "residual_norm"):
            logs = theory(kind, "log_gradient", int(depth))[table["blocks"]] / math.log(10)
            assert np.abs(np.array(table[kind][1]) - logs).max() < slack, (depth, kind)
