"""Benchmarks at a tiny size: what they leave and what they refuse."""

import dataclasses
import json
from pathlib import Path

import docstring_parser
import jax
import numpy as np
import pytest
from tiny_studies import tables

from experiments.benchmarks import (
    depth,
    ensembles,
    exactness,
    gradients,
    machine,
    members,
    ops,
    steps,
    timing,
)
from experiments.benchmarks.cases import (
    TINY,
    conv_cases,
    depthwise_cases,
    multiply_adds,
    upconv_cases,
)

BENCHMARKS = (depth, ensembles, exactness, gradients, members, ops, steps)
WAYS = {"jaxseg", "jaxseg, 1 device", "plain lax"}


def run(benchmark, folder):
    """Run a benchmark at `tiny`; return its rows and its summary."""
    config = dataclasses.replace(benchmark.PRESETS["tiny"], out=folder / "out")
    with jax.numpy_dtype_promotion("standard"):  # optax mixes floats and integers
        benchmark.main(config)
    rows = tables(config.out)["results.csv"]
    assert {*rows[0]} == {*getattr(benchmark, "COLUMNS", rows[0])}
    return rows, (config.out / "summary.md").read_text()


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda b: b.__name__.rpartition(".")[2])
def test_every_benchmark_says_how_it_is_run(benchmark):
    name = benchmark.__name__
    assert f"python -m {name} " in benchmark.__doc__
    assert f'    launch_benchmark("{name}")\n' in Path(benchmark.__file__).read_text()
    for config in benchmark.PRESETS.values():
        assert config.out.parts == ("runs", *name.split(".")[1:])
        described = {
            parameter.arg_name
            for kind in type(config).__mro__
            for parameter in docstring_parser.parse(kind.__doc__ or "").params
        }
        assert {field.name for field in dataclasses.fields(config)} <= described


def test_depth(tmp_path):
    rows, summary = run(depth, tmp_path)
    assert {row["way"] for row in rows} >= WAYS
    assert all(float(row["median_ms"]) > 0 for row in rows)
    assert [row["blocks"] for row in tables(tmp_path / "out")["depth.csv"]] == ["1", "1", "4", "4"]
    assert (tmp_path / "out" / "times.png").stat().st_size > 1000
    assert "| blocks | way |" in summary


def test_ops(tmp_path):
    rows, summary = run(ops, tmp_path)
    assert {row["way"] for row in rows} >= WAYS | {*timing.single_forms()}
    assert {row["family"] for row in rows} == {"upconvolution", "dense", "depthwise"}
    assert {row["case"] for row in rows} == {str(case) for case in TINY}
    assert all(float(row["error"]) < ops.TOLERANCE for row in rows)
    assert (tmp_path / "out" / "times.png").stat().st_size > 1000
    assert "Geometric means" in summary


def test_members(tmp_path):
    rows, summary = run(members, tmp_path)
    assert {row["way"] for row in rows} >= {"jaxseg", "jaxseg, 1 device"} | {*timing.single_forms()}
    assert all(float(row["median_ms"]) > 0 for row in rows)
    # The machine stands below every summary and beside it, for those who compare machines.
    measured = machine.Machine(**json.loads((tmp_path / "out" / machine.MACHINE).read_text()))
    assert measured.cores >= 1
    assert measured.load >= 0
    assert measured.gigaflops > 0
    assert measured.gigabytes > 0
    assert measured.sentence() in summary


def test_a_way_that_differs_stops_the_comparison(monkeypatch):
    original = ops.jax_way

    def different(case, x, kernel, cotangent, devices):
        return original(case, x + (len(devices) > 1), kernel, cotangent, devices)

    monkeypatch.setattr(ops, "jax_way", different)
    with pytest.raises(ValueError, match="conv 3x3, 2x6x6x3 > 4: jaxseg differs by"):
        ops.compare(TINY[1], 1, 1.0)


def test_multiply_adds_are_counted_tap_by_tap():
    """2 images, 4x4 to 8x8 by 4x4 taps at stride 2: each input pixel meets each tap once."""
    (up,) = upconv_cases(4, 2, (2, 4, 3, 5))
    assert multiply_adds(up) == 2 * 4 * 4 * 4 * 4 * 3 * 5
    (down,) = conv_cases("dense", 3, (2, 8, 3, 5), stride=2)
    assert multiply_adds(down) == 2 * 4 * 4 * 3 * 3 * 3 * 5
    (depthwise,) = depthwise_cases(3, (2, 8, 6))
    assert multiply_adds(depthwise) == 2 * 8 * 8 * 3 * 3 * 6


def test_cases_are_named_by_what_sets_them_apart():
    (case,) = depthwise_cases(3, (8, 64, 128), stride=2)
    assert str(case) == "depthwise conv 3x3 s2, 8x64x64x128 > 128"
    (case,) = conv_cases("atrous", 3, (4, 33, 128, 64), dilation=6)
    assert str(case) == "conv 3x3 d6, 4x33x33x128 > 64"
    assert case.options == {"dilation": 6, "padding": 6}


def test_the_geometric_mean():
    assert ops.geometric_mean([0.5, 2.0, 8.0]) == pytest.approx(2)


def test_unknown_families_are_refused():
    with pytest.raises(ValueError, match="must be some of upconvolution, dense, atrous, depthwise"):
        ops.Config(families=("sparse",))


def test_ensembles(tmp_path):
    rows, summary = run(ensembles, tmp_path)
    assert {row["kind"] for row in rows} == {"ensemble", "per example"}
    assert {row["way"] for row in rows} >= {"jaxseg loop", "jaxseg vmap", "jaxseg norms"}
    assert "| ensemble | 2 | jaxseg vmap |" in summary


def test_norms_are_by_member_and_kernel_however_they_come():
    by_kernel = [2 * np.ones((2, 3, 3)), np.ones((2, 1))]
    by_member = [[2 * np.ones((3, 3)), np.ones(1)]] * 2
    for result in (by_kernel, by_member):
        np.testing.assert_allclose(ensembles.norms_of(result), [[6, 1], [6, 1]])


def test_gradients(tmp_path):
    rows, summary = run(gradients, tmp_path)
    assert {row["net"] for row in rows} == {"dense", "deep net"}
    assert {row["way"] for row in rows} >= {"jaxseg loop", "jaxseg vmap", "jaxseg map"}
    assert "| deep net | jaxseg vmap |" in summary
    np.testing.assert_array_equal(gradients.stacked_norms([np.ones(3)] * 2), np.ones((2, 3)))


def test_steps(tmp_path):
    rows, summary = run(steps, tmp_path)
    assert {row["way"] for row in rows} >= WAYS | {*timing.single_forms()}
    assert (tmp_path / "out" / "times.png").stat().st_size > 1000
    assert "| U-Net | jaxseg |" in summary


def test_unknown_nets_are_refused():
    with pytest.raises(ValueError, match=r"unknown: \['V-Net'\]"):
        steps.Config(nets=("V-Net",))


@pytest.mark.parametrize("name", steps.NETS)
def test_the_nets_compared_are_of_one_size(name):
    """They have as many parameters, and logits of the same shape."""
    torch = pytest.importorskip("torch")
    config = steps.Config(classes=3)
    twin = steps.torch_net(config, name)
    assert steps.parameters(config, name) == sum(p.numel() for p in twin.parameters())
    assert twin(torch.zeros(2, 3, 24, 32)).shape == (2, 3, 24, 32)


def test_a_twin_of_another_size_is_refused(monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.setattr(steps, "jax_step", lambda *args: None)
    monkeypatch.setattr(steps, "parameters", lambda *args: 7)
    with pytest.raises(ValueError, match="U-Net: 7 parameters in jaxseg"):
        steps.net_ways(steps.PRESETS["tiny"], "U-Net")
