"""Benchmarks and the exactness report at a tiny size: what they leave and what they refuse."""

import csv
import dataclasses

import benchmark_depth
import benchmark_ensembles
import benchmark_gradients
import benchmark_nets
import benchmark_ops
import benchmark_steps
import exactness
import jax
import numpy as np
import pytest
import timing
from flax import nnx


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_every_way_has_its_turn_and_slow_ones_few(monkeypatch):
    monkeypatch.setattr(timing, "timed", lambda run: run())
    called = []
    ways = {name: lambda name=name: called.append(name) or 1.0 for name in ("jaxseg", "plain lax")}
    times = timing.in_turns(ways, 3, slow={"plain lax"}, slow_repeats=2)
    assert called == ["jaxseg", "plain lax"] * 2 + ["jaxseg"]
    assert times == {"jaxseg": [1000.0] * 3, "plain lax": [1000.0] * 2}


def test_benchmark_depth(tmp_path):
    config = dataclasses.replace(benchmark_depth.PRESETS["tiny"], out=tmp_path / "out")
    benchmark_depth.main(config)
    found = rows(tmp_path / "out" / "results.csv")
    assert {r["way"] for r in found} >= {"jaxseg", "jaxseg 1 device", "plain lax"}
    assert all(float(r["median_ms"]) > 0 for r in found)
    assert [int(r["blocks"]) for r in rows(tmp_path / "out" / "depth.csv")] == [1, 1, 4, 4]
    assert (tmp_path / "out" / "benchmark_depth.png").stat().st_size > 0
    assert "| blocks | way |" in (tmp_path / "out" / "summary.md").read_text()


def test_benchmark_ops(tmp_path):
    config = dataclasses.replace(benchmark_ops.PRESETS["tiny"], out=tmp_path / "out")
    benchmark_ops.main(config)
    found = rows(tmp_path / "out" / "results.csv")
    assert {r["way"] for r in found} >= {"jaxseg", "jaxseg 1 device", "plain lax"}
    assert {r["family"] for r in found} == {"upconvolution", "dense", "depthwise"}
    assert all(float(r["error"]) < benchmark_ops.TOLERANCE for r in found)
    assert (tmp_path / "out" / "benchmark_ops.png").stat().st_size > 0
    assert "Geometric means" in (tmp_path / "out" / "summary.md").read_text()


def test_a_way_that_differs_stops_the_comparison(monkeypatch):
    case = benchmark_ops.TINY[1]
    wrong = benchmark_ops.jax_way

    def off_by_one(case, x, kernel, cotangent, devices):
        return wrong(case, x + (len(devices) > 1), kernel, cotangent, devices)

    monkeypatch.setattr(benchmark_ops, "jax_way", off_by_one)
    with pytest.raises(AssertionError, match="jaxseg is off by"):
        benchmark_ops.compare(case, 1, 1.0)


def test_multiply_adds():
    """2 images, 4x4 to 8x8 by 4x4 taps at stride 2: each input pixel meets each tap once."""
    (up,) = benchmark_ops.up(4, 2, (2, 4, 3, 5))
    assert benchmark_ops.multiply_adds(up) == 2 * 4 * 4 * 4 * 4 * 3 * 5
    (down,) = benchmark_ops.conv("dense", 3, (2, 8, 3, 5), stride=2)
    assert benchmark_ops.multiply_adds(down) == 2 * 4 * 4 * 3 * 3 * 3 * 5


def test_geometric_mean():
    assert benchmark_ops.geometric_mean([0.5, 2.0, 8.0]) == pytest.approx(2)


def test_benchmark_ensembles(tmp_path):
    config = dataclasses.replace(benchmark_ensembles.PRESETS["tiny"], out=tmp_path / "out")
    benchmark_ensembles.main(config)
    found = rows(tmp_path / "out" / "results.csv")
    assert {r["study"] for r in found} == {"ensemble", "per example"}
    assert {r["way"] for r in found} >= {"jaxseg loop", "jaxseg vmap", "jaxseg norms"}
    assert "| ensemble | 2 | jaxseg vmap |" in (tmp_path / "out" / "summary.md").read_text()


def test_benchmark_gradients(tmp_path):
    config = dataclasses.replace(benchmark_gradients.PRESETS["tiny"], out=tmp_path / "out")
    benchmark_gradients.main(config)
    found = rows(tmp_path / "out" / "results.csv")
    assert {r["net"] for r in found} == {"dense", "deep net"}
    assert {r["way"] for r in found} >= {"jaxseg loop", "jaxseg vmap", "jaxseg map"}
    assert "| deep net | jaxseg vmap |" in (tmp_path / "out" / "summary.md").read_text()
    norms = np.ones((2, 3))
    benchmark_gradients.check({"a": norms, "b": [norms[0], norms[1] + 1e-4]})
    with pytest.raises(AssertionError, match="b disagrees with a"):
        benchmark_gradients.check({"a": norms, "b": [norms[0], norms[1] + 0.01]})


def test_ways_that_disagree_are_refused():
    ones = [np.ones((2, 3)), np.ones((2, 1))]
    benchmark_ensembles.check({"a": ones, "b": [[np.ones(3), np.ones(1)]] * 2})
    with pytest.raises(AssertionError, match="b disagrees with a"):
        benchmark_ensembles.check({"a": ones, "b": [np.ones((2, 3)), np.zeros((2, 1))]})


def test_exactness(tmp_path):
    config = dataclasses.replace(exactness.PRESETS["tiny"], out=tmp_path / "out")
    exactness.main(config)
    found = rows(tmp_path / "out" / "results.csv")
    assert len(found) == 8
    for row in found:
        assert max(float(row[e]) for e in exactness.ERRORS) <= exactness.DTYPES[row["dtype"]]
    assert "| bfloat16 | 2 |" in (tmp_path / "out" / "summary.md").read_text()


def test_exactness_fails_where_a_case_is_off(tmp_path, monkeypatch):
    original = exactness.trilinear_reference

    def off(*args):
        y, dx, dk = original(*args)
        return y + 0.1 * np.abs(y).max(), dx, dk

    monkeypatch.setattr(exactness, "trilinear_reference", off)
    config = dataclasses.replace(exactness.PRESETS["tiny"], out=tmp_path / "out", cases=2)
    with pytest.raises(SystemExit, match="2 cases are off, the first of them"):
        exactness.main(config)


def test_benchmark_steps(tmp_path):
    config = dataclasses.replace(benchmark_steps.PRESETS["tiny"], out=tmp_path / "out")
    with jax.numpy_dtype_promotion("standard"):  # optax mixes floats and integers
        benchmark_steps.main(config)
    found = rows(tmp_path / "out" / "results.csv")
    assert {r["way"] for r in found} >= {"jaxseg", "jaxseg 1 device", "plain lax"}
    assert (tmp_path / "out" / "benchmark_steps.png").stat().st_size > 0
    assert "| U-Net | jaxseg |" in (tmp_path / "out" / "summary.md").read_text()


@pytest.mark.parametrize("name", list(benchmark_nets.NETS))
def test_the_nets_compared_are_of_one_size(name):
    """As many parameters, and logits of the same shape."""
    torch = pytest.importorskip("torch")
    # Shapes are all that is compared: nothing has to be compiled.
    net = nnx.eval_shape(lambda: benchmark_nets.NETS[name](3, rngs=nnx.Rngs(0)))
    theirs = benchmark_nets.torch_nets(3)[name]
    leaves = jax.tree.leaves(nnx.state(net, nnx.Param))
    assert sum(a.size for a in leaves) == sum(p.numel() for p in theirs.parameters())
    x = np.random.default_rng(0).normal(size=(2, 24, 32, 3)).astype(np.float32)
    logits = theirs(torch.tensor(np.moveaxis(x, -1, 1)))
    ours = nnx.eval_shape(lambda net, x: net(x, train=True), net, x)
    assert ours.shape == tuple(np.moveaxis(logits.detach().numpy(), 1, -1).shape)
