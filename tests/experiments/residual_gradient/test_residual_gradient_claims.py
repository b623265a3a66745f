"""Verdicts follow the rows: measurements are made here from the literature's formulas."""

import math
from dataclasses import replace

import numpy as np
import pytest

from experiments.residual_gradient import claims, probes, study
from experiments.residual_gradient.config import ARMS, SHATTERED, Config
from jaxseg.analysis.finite_width import he_log_moments

CONFIG = Config()
L = CONFIG.layers
GAIN = math.pi / (math.pi - 1)
NOISE = 1e-6


def log_variances(arm, layers):
    """Logarithms of the mean squares that layers of each kind leave, (layers + 1,)."""
    at = np.arange(layers + 1)
    return {
        "plain": 0.0 * at,
        "plain_norm": 0.0 * at,
        "residual": at * math.log(2),
        "residual_scaled": at * math.log(1 + 1 / layers),
        "residual_norm": np.log(at + 1),
        "residual_zero": 0.0 * at,
    }[arm]


def log_gradients(arm, layers):
    """Logarithms of the gradient's norm, relative to the last layer's, (layers + 1,)."""
    at = np.arange(layers + 1)
    if arm == "plain_norm":
        return 0.5 * (layers - np.maximum(at, 1)) * math.log(GAIN)
    if arm == "residual_norm":
        factors = np.log(1 + 1 / (1 + at[:-1] / GAIN))
        return 0.5 * np.append(np.cumsum(factors[::-1])[::-1], 0.0)
    logs = log_variances(arm, layers)
    return 0.5 * (logs[-1] - logs)


def kappa(c):
    """The arc-cosine kernels of order 0 and 1 (Cho & Saul 2009)."""
    angle = math.acos(min(1.0, c))
    return 1 - angle / math.pi, (math.sin(angle) + (math.pi - angle) * c) / math.pi


def gradient_correlation(arm, layers):
    """The cosine of two inputs' gradients at the input of a net of so many layers."""
    squared = {"plain": math.inf, "residual": 1.0, "residual_scaled": 1 / layers}.get(arm)
    product, c = 1.0, 0.0
    for layer in range(layers):
        if arm == "plain_norm":
            product /= 2
        elif squared is None:
            variance = 1 + layer / GAIN
            product *= (variance + 0.5) / (variance + 1)
        else:
            slope, value = kappa(c)
            share = 1.0 if squared == math.inf else squared / (1 + squared)
            product *= 1 - share + share * slope
            c = (1 - share) * c + share * value
    return product


def branch_fractions(arm, layers):
    at = np.arange(1, layers + 1)
    return {
        "residual": np.full(layers, 1 / 2),
        "residual_scaled": np.full(layers, 1 / (layers + 1)),
        "residual_norm": 1 / (at + 1),
        "residual_zero": np.zeros(layers),
    }.get(arm, np.full(layers, np.nan))


def with_noise(values):
    """Two seeds on either side of the values."""
    return np.asarray(values) + NOISE * np.array([[-1.0], [1.0]])


def made_up_rows():
    """Rows whose means follow the literature, and whose column "theory" is the study's."""
    measured = {
        arm: {
            "log_moment": with_noise(log_variances(arm, L)),
            "log_gradient": with_noise(log_gradients(arm, L)),
            "branch_fraction": with_noise(branch_fractions(arm, L)),
        }
        for arm in ARMS
    }
    measured["residual_zero"]["log_gradient"] = np.zeros((2, L + 1))
    parts = {
        "profiles": study.to_rows(
            measured,
            lambda quantity: range(1 if quantity == "branch_fraction" else 0, L + 1),
            lambda arm, quantity: probes.theory(arm, quantity, L),
        )
    }
    measured = {
        arm: {
            "gradient_correlation": with_noise(
                [gradient_correlation(arm, depth) for depth in CONFIG.depths]
            ),
            "log_gradient": with_noise([log_gradients(arm, depth)[0] for depth in CONFIG.depths]),
        }
        for arm in SHATTERED
    }
    parts["depths"] = study.to_rows(
        measured,
        lambda quantity: CONFIG.depths,
        lambda arm, quantity: [probes.theory(arm, quantity, d)[0] for d in CONFIG.depths],
    )
    gains = {"relu": [math.log(GAIN)] * 3, "identity": np.log([6 / 5, 30 / 29, 126 / 125])}
    parts["batches"] = study.to_rows(
        {arm: {"log_growth": with_noise(values)} for arm, values in gains.items()},
        lambda quantity: CONFIG.batches,
        lambda arm, quantity: gains[arm],
    )
    parts["paths"] = study.to_rows(
        {
            "pre-activation": {"left_over": np.zeros((2, 1))},
            "post-activation": {"left_over": np.full((2, 1), 0.5)},
        },
        lambda quantity: [8],
        lambda arm, quantity: [0.0],
    )
    return [{"part": part, **row} for part, rows in parts.items() for row in rows]


ROWS = made_up_rows()
MEAN, VARIANCE = he_log_moments(CONFIG.narrow_width, CONFIG.narrow_layers)
_HALF = np.random.default_rng(0).normal(0, 1, 50_000)
UNIT = np.concatenate([_HALF, -_HALF]) / _HALF.std()
"""Draws whose mean is 0 exactly and whose variance is 1 but for rounding."""
LOGS = dict.fromkeys(("forward", "gradient"), MEAN + math.sqrt(VARIANCE) * UNIT)


def judged(claim, rows=ROWS, logs=LOGS, **options):
    """The one verdict whose claim contains a text."""
    found = claims.verdicts(replace(CONFIG, **options), rows, logs)
    (verdict,) = [verdict for verdict in found if claim in verdict.claim]
    return verdict


def changed(part, arm, quantity, at=None, **values):
    """The rows with other values in those of a quantity, at one place or at all."""
    key = (part, arm, quantity)
    return [
        {**row, **values}
        if (row["part"], row["arm"], row["quantity"]) == key and at in (None, row["at"])
        else row
        for row in ROWS
    ]


def test_measurements_that_follow_the_literature_agree_with_all_but_one_claim():
    verdicts = claims.verdicts(CONFIG, ROWS, LOGS)
    assert len(verdicts) == 16
    (disagrees,) = [verdict for verdict in verdicts if verdict.verdict != "agrees"]
    # Batch norm is centered: what is right of it contradicts 2 / sqrt(pi L).
    assert "product of (l + ½)/(l + 1)" in disagrees.claim
    assert disagrees.verdict == "disagrees"
    assert {verdict.seeds for verdict in verdicts} == {2, len(UNIT)}


def relative(value, tolerance, shift):
    return value * (1 + tolerance * shift)


def absolute(value, tolerance, shift):
    return value + tolerance * shift


UNCENTERED = math.prod((layer + 0.5) / (layer + 1) for layer in range(1, L + 1))
WITHIN = [
    # claim, part, arm, quantity, place, expected, tolerance, to the mean of the row
    (
        "(1 + 1/L)ᴸ",
        ("depths", "residual_scaled", "log_gradient", 4),
        lambda s: 0.5 * math.log(relative(1.25**4, 0.05, s)),
    ),
    (
        "doubles at each layer",
        ("profiles", "residual", "log_gradient", 0),
        lambda s: 0.5 * L * math.log(2) * relative(1.0, 0.05, s),
    ),
    (
        "π/(π − 1) a layer",
        ("batches", "relu", "log_growth", 128),
        lambda s: math.log(relative(GAIN, 0.02, s)),
    ),
    (
        "(B − 2)/(B − 3)",
        ("batches", "identity", "log_growth", 8),
        lambda s: math.log(relative(6 / 5, 0.02, s)),
    ),
    (
        "as l + 1",
        ("profiles", "residual_norm", "log_moment", 16),
        lambda s: math.log(relative(17, 0.04, s)),
    ),
    (
        "a share of 1/(l + 1)",
        ("profiles", "residual_norm", "branch_fraction", 16),
        lambda s: relative(1 / 17, 0.04, s),
    ),
    (
        "over inputs is 2⁻ᴸ",
        ("depths", "plain_norm", "gradient_correlation", 8),
        lambda s: absolute(2**-8, 0.02, s),
    ),
    (
        "product of κ₀",
        ("depths", "plain", "gradient_correlation", 2),
        lambda s: absolute(gradient_correlation("plain", 2), 0.02, s),
    ),
    (
        "power of depth",
        ("depths", "plain", "gradient_correlation", 8),
        lambda s: gradient_correlation("plain", 8) * 2.0 ** (0.3 * s),
    ),
    (
        "product of (l + ½)/(l + 1)",
        ("depths", "residual_norm", "gradient_correlation", L),
        lambda s: absolute(UNCENTERED, 0.02, s),
    ),
    (
        "a centered variance",
        ("depths", "residual_norm", "gradient_correlation", 1),
        lambda s: absolute(0.75, 0.02, s),
    ),
    (
        "the limit is .6336",
        ("depths", "residual_scaled", "gradient_correlation", L),
        lambda s: absolute(0.63355, 0.02, s),
    ),
]


@pytest.mark.parametrize(("claim", "where", "mean"), WITHIN, ids=[row[0] for row in WITHIN])
@pytest.mark.parametrize("sign", [-1, 1])
def test_each_claim_is_judged_at_its_tolerance(claim, where, mean, sign):
    assert judged(claim, changed(*where, mean=mean(0.98 * sign))).verdict == "agrees"
    assert judged(claim, changed(*where, mean=mean(1.02 * sign))).verdict == "disagrees"


@pytest.mark.parametrize(("claim", "where", "mean"), WITHIN, ids=[row[0] for row in WITHIN])
def test_noise_as_large_as_the_tolerance_tells_nothing(claim, where, mean):
    # The standard error of two seeds; logarithms' slopes are close to 1 over a tolerance.
    half_width = abs(mean(1) - mean(0)) * math.sqrt(2)
    if claim == "power of depth":
        half_width = 0.3 * math.log(2) * mean(0) * math.sqrt(2)
    near = mean(0)
    assert judged(claim, changed(*where, mean=near, sd=0.9 * half_width)).verdict == "agrees"
    assert judged(claim, changed(*where, mean=near, sd=1.1 * half_width)).verdict == "not shown"
    assert judged(claim, changed(*where, mean=math.nan)).verdict == "not shown"


@pytest.mark.parametrize("claim", [row[0] for row in WITHIN])
def test_narrow_nets_tell_nothing_of_wide_ones(claim):
    narrow = {"batch_width": 255} if "B" in claim or "π" in claim else {"width": 255}
    assert judged(claim, **narrow).verdict == "not shown"
    # Only what was measured at that width is taken back.
    other = {"width": 255} if "batch_width" in narrow else {"batch_width": 255}
    assert judged(claim, **other).verdict == judged(claim).verdict


def test_nets_that_are_just_wide_enough_tell():
    for claim in ("π/(π − 1) a layer", "(B − 2)/(B − 3)"):
        assert judged(claim, batch_width=256).verdict == "agrees"
    assert (CONFIG.width, max(CONFIG.batches), CONFIG.narrow_width) == (256, 128, 64)


def test_small_batches_tell_nothing_of_large_ones():
    claim = "π/(π − 1) a layer"
    assert judged(claim, batches=(8, 32)).verdict == "not shown"
    assert "at B = 128" in judged(claim).theory


def test_a_zero_branch_is_exact():
    claim, where = "zero branch", ("profiles", "residual_zero", "log_gradient", 3)
    for values in ({"mean": 1e-30}, {"mean": -1e-30}, {"sd": 1e-30}, {"mean": math.nan}):
        assert judged(claim, changed(*where, **values)).verdict == "disagrees"


def test_a_power_of_depth_needs_two_wide_depths():
    """Up to depth 10, a 25th of the width."""
    assert judged("power of depth").measured.endswith("at L = 8")
    for depths in ((4,), (4, 16, 64), (16, 64)):
        rows = [row for row in ROWS if row["part"] != "depths" or row["at"] in depths]
        verdict = claims._power(
            claims.points(rows, "depths", "plain", "gradient_correlation"), CONFIG.width
        )
        assert (verdict.verdict, verdict.seeds) == ("not shown", 2)
        assert "no two depths" in verdict.measured
    negative = changed("depths", "plain", "gradient_correlation", 8, mean=-0.01)
    assert judged("power of depth", negative).verdict == "not shown"


@pytest.mark.parametrize("name", ["forward", "gradient"])
def test_logs_spread_as_their_width_says(name):
    claim = "features" if name == "forward" else "of the gradient spreads"

    def verdict(mean=1.0, variance=1.0, **options):
        values = mean * MEAN + math.sqrt(variance * VARIANCE) * UNIT
        return judged(claim, logs={**LOGS, name: values}, **options).verdict

    assert verdict(mean=0.91) == verdict(mean=1.09) == verdict(variance=1.09) == "agrees"
    assert verdict(mean=0.8) == verdict(mean=1.2) == verdict(variance=1.2) == "disagrees"
    assert verdict(variance=0.8) == "disagrees"
    assert verdict(mean=1.11) == verdict(variance=1.105) == "not shown"
    # The error of a variance is its product with the root of 2 over the number of seeds.
    thousand = MEAN + math.sqrt(1.23 * VARIANCE) * np.sort(UNIT)[50 :: len(UNIT) // 1000]
    assert len(thousand) == 1000
    assert judged(claim, logs={**LOGS, name: thousand}).verdict == "not shown"
    # The error of a mean is the root of the variance over the number of seeds.
    few = LOGS[name][:: len(UNIT) // 200]
    assert judged(claim, logs={**LOGS, name: few}).verdict == "not shown"
    lost = np.append(LOGS[name], -math.inf)
    assert judged(claim, logs={**LOGS, name: lost}).seeds == len(UNIT)
    for logs in (np.array([-math.inf] * 3), np.zeros(0)):
        assert judged(claim, logs={**LOGS, name: logs}).verdict == "not shown"


def test_logs_of_narrower_nets_tell_nothing():
    narrow = he_log_moments(63, CONFIG.narrow_layers)
    logs = dict.fromkeys(LOGS, narrow.mean + math.sqrt(narrow.variance) * UNIT)
    assert judged("features", logs=logs, narrow_width=63).verdict == "not shown"


@pytest.mark.parametrize(
    ("pre", "post", "word"),
    [
        (0.9e-5, 0.011, "agrees"),
        (1.1e-5, 0.5, "disagrees"),
        (0.0, 0.009, "disagrees"),
        (math.nan, 0.5, "disagrees"),
    ],
)
def test_a_path_is_the_sum_of_its_branches(pre, post, word):
    rows = [
        {**row, "mean": {"pre-activation": pre, "post-activation": post}[row["arm"]]}
        if row["part"] == "paths"
        else row
        for row in ROWS
    ]
    assert judged("Pre-activation", rows).verdict == word


def test_the_table_has_two_lines_an_arm():
    table = claims.correlation_table(ROWS)
    assert table.columns == ("arm", "", *(f"L = {depth}" for depth in CONFIG.depths))
    lines = {row[:2]: row[2:] for row in table.rows}
    assert lines["plain, batch norm", "theory"][:3] == ("0.5000", "0.2500", "0.0625")
    assert lines["residual, batch norm", "mean over the seeds"][0] == "0.7500"
    assert len(lines) == 2 * len(SHATTERED)
