"""The study of trainability: its nets, its boundaries and best rates, and all of it, tiny."""

import functools
import math
import shutil
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import studies
import trainability
import trainability_config
import trainability_nets as nets
import trainability_phase as phase
import trainability_tables as tables
import trainability_transfer as transfer

from jaxseg.training import over_members, records

TINY = replace(
    trainability_config.PRESETS["tiny"], depths=(2, 5), weight_variances=(0.5, 3.0), blocks=(3,)
)
CHANCE = math.log(3)


@pytest.fixture(scope="module", autouse=True)
def compile_in_haste():
    with pytest.MonkeyPatch.context() as patch:
        quick = functools.partial(over_members, few_calls=True)
        patch.setattr(trainability, "over_members", lambda *a, few_calls=False, **k: quick(*a, **k))
        yield


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trainability")
    config = replace(TINY, out=folder / "run", data_dir=folder / "data")
    trainability.main(config)
    return config


def test_all_is_written(study):
    rows = records.read_csv(study.out / "results.csv", tables.COLUMNS)
    plain, blocks = ([r for r in rows if r["part"] == p] for p in ("phase", "transfer"))
    # depths x arms x weight variances x seeds x rates; arms x seeds x rates.
    assert len(plain) == 2 * 2 * 2 * 2 * 2
    assert len(blocks) == 3 * 2 * 3
    verdicts = records.read_csv(study.out / "verdicts.csv", dict.fromkeys(studies.VERDICTS, str))
    assert len(verdicts) == 5
    assert "6 xi_c" in (study.out / "summary.md").read_text()
    for name in ("phase_diagram", "depth_transfer"):
        assert (study.out / f"{name}.png").stat().st_size > 10_000


def test_runs_differ_by_what_tells_them_apart(study):
    rows = records.read_csv(study.out / "results.csv", tables.COLUMNS)
    losses = [r["train_loss"] for r in rows if math.isfinite(r["train_loss"])]
    assert len(set(losses)) > 0.95 * len(losses)
    # A scale of 0 is the identity, exactly; any other moves what goes through.
    assert {r["moved"] for r in rows if r["arm"] == "zero"} == {0.0}
    assert min(r["moved"] for r in rows if r["arm"] != "zero") > 0.01


def test_what_is_there_is_not_trained_again(study, monkeypatch):
    before = (study.out / "results.csv").stat().st_mtime_ns
    monkeypatch.setattr(nets, "draw", None)
    trainability.main(replace(study, resume=True))
    assert (study.out / "results.csv").stat().st_mtime_ns == before


def test_a_depth_that_lost_a_run_is_run_again(study, tmp_path, monkeypatch):
    shutil.copytree(study.out, tmp_path / "run")
    path = tmp_path / "run" / "results.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    asked = []

    def stop(members):
        asked.append(len(members))
        raise RuntimeError("asked")

    monkeypatch.setattr(nets, "stack_members", stop)
    with pytest.raises(RuntimeError, match="asked"):
        trainability.main(replace(study, out=tmp_path / "run", resume=True))
    assert asked[0] >= 3 * 2 * 3  # all of the depth, padded to the devices


def test_training_is_gradient_descent():
    shape = nets.Shape(2, 2, 4, 5, 3)
    member = nets.Member(1, 1.5, 0.1, 0.8, skip=1.0, scale=0.5, learn_scale=0.0, rate=0.1)
    x = np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32)
    labels, picks = np.array([0, 1, 2, 0, 1, 2]), np.array([[0, 1, 2], [3, 4, 5]])
    value = functools.partial(nets.loss, skip=1.0, phi=jnp.tanh)

    @functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
    def run(x, labels, picks):
        params = nets.draw(member, shape)
        found = nets.train(
            params, member, picks, x, labels, phi=jnp.tanh, momentum=0.9, clip=math.inf
        )
        first, gradient = jax.value_and_grad(value)(params, x[:3], labels[:3])
        gradient["scales"] = jnp.zeros(2)
        moved = jax.tree.map(lambda p, g: p - 0.1 * g, params, gradient)
        second = value(moved, x[3:], labels[3:])
        return params, found.losses, (first, second), nets.features(params, x, 1.0, jnp.tanh)[1]

    params, losses, expected, after = jax.device_get(run(x, labels, picks))
    np.testing.assert_allclose(losses, expected, rtol=1e-5)
    # The forward pass, layer by layer.
    h = x @ params["first"]
    for kernels, biases in zip(params["kernels"], params["biases"], strict=True):
        inner = np.tanh(h) @ kernels[0] + biases[:1]
        h = h + 0.5 * (np.tanh(inner) @ kernels[1] + biases[1:])
    np.testing.assert_allclose(after, h, rtol=1e-5, atol=1e-6)


def test_the_depth_that_trains():
    depths = (8, 16, 32, 64)
    reached = functools.partial(phase.trained_depth, depths, chance=CHANCE)
    assert reached(np.array([0.0, 0.1, 0.2, 0.3])) == 64
    assert reached(np.array([1.0, 0.1, 0.2, 0.3])) == 8
    # Half way from 0 to chance on the way from 16 to 32, on a log scale.
    assert reached(np.array([0.0, 0.0, CHANCE, np.inf])) == pytest.approx(16 * math.sqrt(2))
    assert reached(np.array([0.0, 0.0, np.inf, 0.0])) == pytest.approx(16 * math.sqrt(2))


def test_rank_correlation():
    a = np.array([1.0, 5.0, 2.0, 9.0])
    assert phase.rank_correlation(a, np.exp(a)) == pytest.approx(1)
    assert phase.rank_correlation(a, -a) == pytest.approx(-1)
    assert math.isnan(phase.rank_correlation(a, np.ones(4)))


def phase_rows(config, boundary):
    """Rows whose nets train to the depth that `boundary` says of their weight variance."""
    return [
        {
            "part": "phase",
            "chain": 1,
            "depth": depth,
            "moved": 1.0,
            **row,
            "train_loss": 0.01 if row["arm"] == "residual" or depth < boundary(row) else CHANCE,
        }
        for depth in config.depths
        for row, _ in trainability_config.phase_members(config, depth)
    ]


@pytest.mark.parametrize(("factor", "expected"), [(1.0, "agrees"), (0.3, "disagrees")])
def test_the_verdict_on_the_phase_diagram(factor, expected):
    config = replace(
        TINY,
        depths=(4, 8, 16, 32, 64, 128, 256),
        weight_variances=(0.9, 1.1, 1.3, 1.5, 2.2, 2.7, 3.4),
    )
    reach = dict(
        zip(config.weight_variances, phase.reach(config, config.weight_variances), strict=True)
    )
    rows = phase_rows(config, lambda row: factor * reach[row["weight_variance"]])
    plain, residual = phase.phase_verdicts(config, rows, CHANCE)
    assert (plain.verdict, residual.verdict) == (expected, "agrees")
    if expected == "agrees":  # the right depths at the wrong variances: half of the claim
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(phase.mean_field, "critical_weight_variance", lambda _: 1.0)
            assert phase.phase_verdicts(config, rows, CHANCE)[0].verdict == "not shown"
    nothing = [r | {"train_loss": CHANCE} for r in rows]
    assert {v.verdict for v in phase.phase_verdicts(config, nothing, CHANCE)} == {"not shown"}


def transfer_rows(config, best):
    """Rows of least loss at the log2 rate `best(arm, depth)`; all diverge where it is None."""
    rows = []
    for depth in config.blocks:
        for row, _ in trainability_config.transfer_members(config, depth):
            at = best(row["arm"], depth)
            value = math.inf if at is None else 0.1 + 0.01 * abs(row["log2_rate"] - at)
            moved = float(row["arm"] != "zero")
            rows.append(
                {
                    "part": "transfer",
                    "chain": 1,
                    "depth": depth,
                    "moved": moved,
                    **row,
                    "train_loss": value,
                }
            )
    return rows


def test_the_verdicts_on_depth_transfer():
    config = replace(TINY, blocks=(4, 8, 16), block_log2_rates=tuple(range(-9, 1)))
    level = {4: -2, 8: -3, 16: -1}
    falling = {4: -3, 8: -6, 16: None}
    rows = transfer_rows(config, lambda arm, d: (falling if arm == "unscaled" else level)[d])
    found = transfer.transfer_verdicts(config, rows, CHANCE)
    assert [v.verdict for v in found] == ["agrees"] * 3
    assert "-2, -3, -1 at 4, 8, 16 blocks" in found[0].measured
    assert "-3, -6, none" in found[1].measured
    at_the_end = transfer_rows(config, lambda arm, d: -9)
    stays, falls, _ = transfer.transfer_verdicts(config, at_the_end, CHANCE)
    assert "<= -9, <= -9, <= -9 at" in stays.measured
    assert (stays.verdict, falls.verdict) == ("not shown", "not shown")
    lost = transfer.transfer_verdicts(config, transfer_rows(config, lambda arm, d: None), CHANCE)
    assert [v.verdict for v in lost] == ["not shown"] * 3
    # The other way round neither holds.
    rows = transfer_rows(
        config, lambda arm, d: (level if arm == "unscaled" else {**falling, 16: -7})[d]
    )
    found = transfer.transfer_verdicts(config, rows, CHANCE)
    assert [v.verdict for v in found] == ["disagrees", "disagrees", "agrees"]
    rows = [r | {"moved": 1e-9} for r in rows]
    assert transfer.transfer_verdicts(config, rows, CHANCE)[2].verdict == "disagrees"


def test_configurations_that_compare_nothing_are_refused():
    with pytest.raises(ValueError, match="depths=\\(\\)"):
        trainability_config.Config(depths=())
    with pytest.raises(ValueError, match=r"blocks=\(8, 4\) must rise"):
        trainability_config.Config(blocks=(8, 4))
    with pytest.raises(ValueError, match="window=4"):
        trainability_config.Config(window=4)
    with pytest.raises(ValueError, match="seeds"):
        trainability_config.Config(seeds=0)
