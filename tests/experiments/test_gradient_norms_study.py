"""The study of gradients at initialisation: what it leaves, and verdicts that follow its rows."""

import csv
import math
from dataclasses import replace

import gradient_arms as arms
import gradient_claims
import gradient_norms
import gradient_theory as theory
import jax
import numpy as np
import pytest

from jaxseg.analysis.finite_width import he_log_moments
from jaxseg.training import records


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    config = replace(
        gradient_norms.PRESETS["tiny"],
        out=tmp_path_factory.mktemp("study") / "out",
        layers=2,
        depths=(1, 2),
        width=8,
        examples=4,
        seeds=2,
        narrow_seeds=8,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gradient_norms, "QUICK", {"xla_backend_optimization_level": 0})
        gradient_norms.main(config)
    return config


def read(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_every_question_is_answered_and_judged(tiny):
    rows = read(tiny.out / "results.csv")
    assert {row["part"] for row in rows} == set(gradient_norms.PARTS)
    profiled = [row for row in rows if row["part"] == "profiles"]
    assert len(profiled) == len(arms.ARMS) * (4 * 3 + 2)
    assert all(math.isfinite(float(row["mean"])) for row in profiled)
    verdicts = read(tiny.out / "verdicts.csv")
    assert {v["heading"] for v in verdicts} == {"Residual connections: the gradient"}
    by_claim = {v["claim"]: v["verdict"] for v in verdicts}
    # What holds exactly holds at any size; nets so narrow can tell nothing of wide ones.
    assert (
        by_claim.pop("A zero branch carries the gradient through every layer as it is") == "agrees"
    )
    assert [by_claim.pop(c) for c in list(by_claim) if "Pre-activation" in c] == ["agrees"]
    assert set(by_claim.values()) == {"not shown"}
    for name in ("gradient_norms", "shattering", "log_norms"):
        assert (tiny.out / f"{name}.png").stat().st_size > 0
    assert len(read(tiny.out / "log_growth.csv")) == 8
    assert "| plain_norm, theory | 0.5000 | 0.2500 |" in (tiny.out / "summary.md").read_text()


def test_a_part_that_is_there_is_not_measured_again(tiny, monkeypatch):
    table = tiny.out / "results.csv"
    before, rows = table.read_text(), records.read_csv(table, gradient_norms.COLUMNS)
    kept = [row for row in rows if row["part"] != "paths"]
    records.write_csv(table, list(gradient_norms.COLUMNS), kept)
    called = []
    for name in gradient_norms.PARTS:
        monkeypatch.setitem(
            gradient_norms.PARTS,
            name,
            lambda config, name=name: (
                called.append(name)
                or [
                    {k: v for k, v in row.items() if k != "part"}
                    for row in rows
                    if row["part"] == name
                ]
            ),
        )
    gradient_norms.main(replace(tiny, resume=True))
    assert called == ["paths"]
    assert table.read_text() == before


# --- theory and verdicts, without a net ----------------------------------------------------------

WIDE = gradient_norms.Config()


def as_theory_says(part, found_by_arm, at, expected):
    """Rows whose means are what `expected` says, with a small spread."""
    found = {
        arm: {
            q: np.asarray(expected(arm, q)) + 1e-6 * np.array([[-1.0], [1.0]]) for q in quantities
        }
        for arm, quantities in found_by_arm.items()
    }
    return [{"part": part, **row} for row in gradient_norms.rows_of(found, at, expected)]


@pytest.fixture
def perfect():
    layers, depths = WIDE.layers, WIDE.depths
    quantities = ("log_moment", "log_gradient", "branch_fraction")
    rows = as_theory_says(
        "profiles",
        dict.fromkeys(arms.ARMS, quantities),
        lambda q: range(1 if q == "branch_fraction" else 0, layers + 1),
        lambda arm, q: theory.profile(arm, q, layers),
    )
    for row in rows:
        if row["arm"] == "residual_zero":
            row["mean"] = row["sd"] = 0.0
    rows += as_theory_says(
        "depths",
        dict.fromkeys(arms.SHATTERED, ("gradient_correlation", "log_gradient")),
        lambda q: depths,
        lambda arm, q: [theory.profile(arm, q, d)[0] for d in depths],
    )
    relu = [math.log(math.pi / (math.pi - 1))] * 3
    gains = {"relu": relu, "identity": np.log([6 / 5, 30 / 29, 126 / 125])}
    rows += as_theory_says(
        "batches",
        dict.fromkeys(gains, ("log_growth",)),
        lambda q: WIDE.batches,
        lambda arm, q: gains[arm],
    )
    left = {"pre-activation": [0.0], "post-activation": [0.5]}
    rows += as_theory_says(
        "paths", dict.fromkeys(left, ("left_over",)), lambda q: [8], lambda arm, q: left[arm]
    )
    mean, variance = he_log_moments(WIDE.narrow_width, WIDE.narrow_layers)
    spread = np.random.default_rng(0).normal(mean, math.sqrt(variance), 100_000)
    return rows, {"forward": spread, "gradient": spread}


def test_measurements_that_follow_theory_agree_with_all_but_one_claim(perfect):
    verdicts = gradient_claims.claims(WIDE, *perfect)
    disagreed = [v.claim for v in verdicts if v.verdict != "agrees"]
    # Batch norm is centred: what is right of it contradicts 2 / sqrt(pi L).
    assert len(disagreed) == 1
    assert "product of (l + 1/2)/(l + 1)" in disagreed[0]


@pytest.mark.parametrize(
    ("part", "arm", "quantity", "claim"),
    [
        ("depths", "residual_scaled", "log_gradient", "grows by (1 + 1/L)^L"),
        ("profiles", "residual_norm", "log_moment", "grows linearly"),
        ("batches", "identity", "log_growth", "without an activation"),
        ("depths", "plain", "gradient_correlation", "product of kappa_0"),
        ("profiles", "residual_zero", "log_gradient", "zero branch"),
        ("paths", "pre-activation", "left_over", "Pre-activation"),
    ],
)
def test_a_measurement_that_is_off_disagrees(perfect, part, arm, quantity, claim):
    rows, logs = perfect
    for row in rows:
        if (row["part"], row["arm"], row["quantity"]) == (part, arm, quantity):
            row["mean"] += 0.1
    (verdict,) = [v for v in gradient_claims.claims(WIDE, rows, logs) if claim in v.claim]
    assert verdict.verdict == "disagrees"


def test_a_judgement_needs_more_than_noise():
    judge = gradient_claims.judge
    assert judge(1.2, 1.0, 0.05, 0.1) == "not shown"
    assert judge(1.2, 1.0, 0.05, 0.01) == "disagrees"
    assert judge(1.0, 1.0, 0.05, 0.0, able=False) == "not shown"


def test_theory_is_consistent_over_depth():
    """The squared gradient of the whole net is what its layers make of it, one after another."""
    for arm in arms.ARMS:
        logs = theory.profile(arm, "log_gradient", 6)
        assert logs[-1] == 0
        assert np.all(np.diff(logs) <= 1e-12)
    assert theory.profile("residual", "log_gradient", 6)[0] == pytest.approx(3 * math.log(2))
    moments = np.exp(theory.profile("residual_norm", "log_moment", 6))
    np.testing.assert_allclose(moments, np.arange(1, 8))
    np.testing.assert_allclose(theory.profile("residual", "branch_fraction", 6), 0.5)


def test_near_inputs_stand_at_their_angle():
    """The first layer of every arm sees pairs whose cosine is the angle's."""
    angles = np.array([0.1, 1.0])
    units = np.array([[1, 0], [math.cos(0.1), math.sin(0.1)], [0, 1], [math.sin(1), math.cos(1)]])
    found = arms.pairs(angles)(jax.numpy.asarray(units, jax.numpy.float32))
    np.testing.assert_allclose(found, np.cos(angles), atol=1e-6)


def test_what_cannot_be_measured_is_refused():
    for options, message in (
        ({"seeds": 1}, "seeds=1"),
        ({"batch_layers": 3}, "batch_layers=3"),
        ({"batches": (2,)}, "4 examples"),
    ):
        with pytest.raises(ValueError, match=message):
            gradient_norms.Config(**options)


@pytest.mark.parametrize(
    ("found", "error", "word"),
    [
        ([1.01, 0.99], 0.001, "agrees"),
        ([1.1, 0.99], 0.001, "disagrees"),
        ([1.1, 0.99], 0.019, "not shown"),  # five tolerances, but no more than noise makes
        ([1.0, 1.0], 1.0, "not shown"),
        ([1.0, math.nan], 0.001, "not shown"),
        ([], 0.001, "not shown"),
    ],
)
def test_what_noise_hides_is_not_judged(found, error, word):
    assert gradient_claims.judge(found, np.ones(len(found)), 0.05, error) == word


def test_a_power_of_depth_needs_two_wide_depths():
    row = {"mean": 0.5, "theory": 0.5, "sd": 0.01, "seeds": 4}
    for table in ({}, {4: row}, {64: row, 128: row}):
        verdict = gradient_claims._power(table, 256, 4)
        assert (verdict.verdict, "no two depths" in verdict.measured) == ("not shown", True)
