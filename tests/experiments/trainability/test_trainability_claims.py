"""Verdicts on boundaries and best rates follow the rows."""

import functools
import math
from dataclasses import replace

import numpy as np
import pytest

from experiments.trainability import claims
from experiments.trainability.config import PRESETS, expected_depths, phase_runs, transfer_runs

TINY = replace(PRESETS["tiny"], depths=(2, 5), weight_variances=(0.5, 3.0), block_depths=(3,))
CHANCE = math.log(3)
LEARNED, FAILED = 0.01, CHANCE


def phase_rows(config, boundary):
    """Rows whose nets train below the depth that `boundary` gives for their weight variance."""
    return [
        {
            **row,
            "moved": 1.0,
            "train_loss": LEARNED if row["arm"] == "residual" or depth < boundary(row) else FAILED,
        }
        for depth in config.depths
        for row, _ in phase_runs(config, depth)
    ]


def transfer_rows(config, best, least=0.1):
    """Rows of least loss at the log2 rate `best(arm, depth)`; all diverge where it is None."""
    rows = []
    for depth in config.block_depths:
        for row, _ in transfer_runs(config, depth, 1):
            at = best(row["arm"], depth)
            away = math.inf if at is None else abs(math.log2(row["learning_rate"]) - at)
            moved = float(row["arm"] != "zero")
            rows.append({**row, "moved": moved, "train_loss": least + 0.01 * away})
    return rows


def phase_verdicts(config, rows):
    quiet = transfer_rows(config, lambda arm, depth: -3)
    return claims.verdicts(config, [*rows, *quiet], CHANCE)[:2]


def transfer_verdicts(config, rows):
    quiet = phase_rows(config, lambda row: 3)
    return claims.verdicts(config, [*quiet, *rows], CHANCE)[2:]


# --- the phase diagram ---------------------------------------------------------------------------


def test_the_depth_that_trains():
    depths = (8, 16, 32, 64)
    reached = functools.partial(claims.trained_depth, depths, chance=CHANCE)
    assert reached(np.array([0.0, 0.1, 0.2, 0.3])) == 64
    assert reached(np.array([1.0, 0.1, 0.2, 0.3])) == 8
    # Half way from 0 to chance on the way from 16 to 32, on a log scale.
    assert reached(np.array([0.0, 0.0, CHANCE, np.inf])) == pytest.approx(16 * math.sqrt(2))
    assert reached(np.array([0.0, 0.0, np.inf, 0.0])) == pytest.approx(16 * math.sqrt(2))
    # Exactly half of chance does not train.
    assert reached(np.array([CHANCE / 2, 0.0, 0.0, 0.0])) == 8
    assert reached(np.array([0.0, CHANCE / 2, CHANCE, CHANCE])) == 16


def test_boundaries_are_those_of_the_seeds_and_of_the_median():
    config = replace(TINY, depths=(8, 16, 32), weight_variances=(1.0,), seeds=3)
    losses = np.full((3, 1, 3), CHANCE)
    losses[0] = 0
    losses[1, 0, 0] = losses[1, 0, 1] = losses[2, 0, 1] = 0
    low, middle, high = claims.boundaries(config, losses, CHANCE)[:, 0]
    assert (low, middle, high) == pytest.approx((8 * 2**0.5, 16 * 2**0.5, 32))


def test_rank_correlation():
    a = np.array([1.0, 5.0, 2.0, 9.0])
    assert claims.rank_correlation(a, np.exp(a)) == pytest.approx(1)
    assert claims.rank_correlation(a, -a) == pytest.approx(-1)
    assert claims.rank_correlation(np.array([1, 2, 2, 3.0]), np.array([1, 2, 2, 9.0])) == (
        pytest.approx(1)
    )
    assert math.isnan(claims.rank_correlation(a, np.ones(4)))


def test_each_net_is_judged_at_its_own_best_rate():
    config = replace(TINY, seeds=3, learning_rates=(0.5, 0.25))
    rows = phase_rows(config, lambda row: 9)
    losses = {
        (0.5, 0): 0.3,
        (0.5, 1): 0.4,
        (0.5, 2): 9.0,
        (0.25, 0): 0.5,
        (0.25, 1): 0.5,
        (0.25, 2): 0.5,
    }
    rows = [{**r, "train_loss": losses[r["learning_rate"], r["seed"]]} for r in rows]
    table = claims.phase_losses(config, rows[::-1], "plain")
    assert table.shape == (2, 2, 3)
    # The median decides, which is .4 and not 3.2; and seeds are in their order.
    assert table[0, 0].tolist() == [0.3, 0.4, 9.0]


WIDE = replace(
    TINY, depths=(4, 8, 16, 32, 64, 128, 256), weight_variances=(0.9, 1.1, 1.3, 1.5, 2.2, 2.7, 3.4)
)
REACH = dict(zip(WIDE.weight_variances, expected_depths(WIDE, WIDE.weight_variances), strict=True))


@pytest.mark.parametrize(
    ("factor", "expected"),
    [(1.0, "agrees"), (0.54, "agrees"), (1.9, "agrees"), (0.46, "disagrees"), (2.2, "disagrees")],
)
def test_plain_nets_train_to_six_depth_scales_within_a_factor_of_two(factor, expected):
    depths = tuple(sorted({int(4 * 1.08**n) for n in range(66)}))  # the ratios hardly jump
    config = replace(WIDE, depths=depths, seeds=1)
    rows = phase_rows(config, lambda row: factor * REACH[row["weight_variance"]])
    plain, residual = phase_verdicts(config, rows)
    assert (plain.verdict, residual.verdict) == (expected, "agrees")


def test_the_right_depths_at_the_wrong_variances_are_half_of_the_claim(monkeypatch):
    rows = phase_rows(WIDE, lambda row: REACH[row["weight_variance"]])
    assert "deepest beside σ_{w}² = 1.761" in phase_verdicts(WIDE, rows)[0].theory
    monkeypatch.setattr(claims.mean_field, "critical_weight_variance", lambda _: 1.0)
    assert phase_verdicts(WIDE, rows)[0].verdict == "not shown"


def test_depths_in_another_order_disagree():
    """The median ratio is right, and the rank correlation is not."""
    variances = WIDE.weight_variances
    swapped = dict(
        zip(variances, [REACH[v] for v in (1.1, 0.9, 1.5, 1.3, 2.7, 2.2, 3.4)], strict=True)
    )
    swapped[3.4], swapped[1.1] = swapped[1.1], swapped[3.4]
    rows = phase_rows(WIDE, lambda row: swapped[row["weight_variance"]])
    verdict = phase_verdicts(WIDE, rows)[0]
    ranks = float(verdict.measured.split("rank correlation ")[1].split(";")[0])
    assert ranks < 0.8
    assert verdict.verdict == "disagrees"


@pytest.mark.parametrize(
    ("variances", "word"), [((2.2, 2.7), "not shown"), ((1.5, 2.2, 2.7), "agrees")]
)
def test_it_takes_three_variances_whose_depths_are_within_those_tried(variances, word):
    config = replace(WIDE, weight_variances=variances)
    rows = phase_rows(config, lambda row: REACH[row["weight_variance"]])
    verdict = phase_verdicts(config, rows)[0]
    assert verdict.verdict == word
    assert f"over {len(variances)} weight variances" in verdict.measured


def test_nets_that_learn_nothing_show_nothing():
    rows = [{**row, "train_loss": FAILED} for row in phase_rows(WIDE, lambda row: 9)]
    assert {verdict.verdict for verdict in phase_verdicts(WIDE, rows)} == {"not shown"}


@pytest.mark.parametrize("depth", TINY.depths)
@pytest.mark.parametrize(("loss", "word"), [(0.499, "agrees"), (0.501, "disagrees")])
def test_residual_nets_train_below_half_of_chance(loss, word, depth):
    rows = phase_rows(TINY, lambda row: 9)
    poor = ("residual", depth, TINY.weight_variances[0])
    for row in rows:
        if (row["arm"], row["depth"], row["weight_variance"]) == poor:
            row["train_loss"] = loss * CHANCE
    verdict = phase_verdicts(TINY, rows)[1]
    assert verdict.verdict == word
    assert f"largest median loss {loss * CHANCE:.3f} nats, of 4" in verdict.measured


def test_the_table_has_a_line_a_weight_variance():
    rows = phase_rows(WIDE, lambda row: REACH[row["weight_variance"]])
    table = claims.boundary_table(WIDE, rows, CHANCE)
    assert [row[0] for row in table.rows] == [f"{v:g}" for v in WIDE.weight_variances]
    assert table.rows[0][1] == f"{REACH[0.9]:.1f}"
    assert table.title.endswith("of 4 to 256 tried")


# --- depth transfer ------------------------------------------------------------------------------

DEEP = replace(
    TINY, block_depths=(4, 8, 16), block_learning_rates=tuple(2.0**n for n in range(-9, 1))
)
LEVEL = {4: -2, 8: -3, 16: -1}
FALLING = {4: -3, 8: -6, 16: None}


def test_the_verdicts_on_depth_transfer():
    rows = transfer_rows(DEEP, lambda arm, d: (FALLING if arm == "unscaled" else LEVEL)[d])
    verdicts = transfer_verdicts(DEEP, rows)
    assert [v.verdict for v in verdicts] == ["agrees"] * 3
    assert "-2, -3, -1 at 4, 8, 16 blocks" in verdicts[0].measured
    assert "-3, -6, none" in verdicts[1].measured
    assert [v.seeds for v in verdicts] == [2] * 3


def test_rates_at_an_end_of_those_tried_show_nothing():
    stays, falls, _ = transfer_verdicts(DEEP, transfer_rows(DEEP, lambda arm, d: -9))
    assert "≤ -9, ≤ -9, ≤ -9 at" in stays.measured
    assert (stays.verdict, falls.verdict) == ("not shown", "not shown")
    stays, _, _ = transfer_verdicts(DEEP, transfer_rows(DEEP, lambda arm, d: 0))
    assert "≥ 0, ≥ 0, ≥ 0 at" in stays.measured
    assert stays.verdict == "not shown"


def test_nets_that_diverge_or_learn_nothing_show_nothing():
    lost = transfer_rows(DEEP, lambda arm, d: None)
    assert [v.verdict for v in transfer_verdicts(DEEP, lost)] == ["not shown"] * 3
    poor = transfer_rows(DEEP, lambda arm, d: LEVEL[d], least=0.51 * CHANCE)
    verdicts = transfer_verdicts(DEEP, poor)
    assert [v.verdict for v in verdicts] == ["not shown"] * 3
    assert all("no shallow net trains" in v.measured for v in verdicts[:2])
    just = transfer_rows(DEEP, lambda arm, d: LEVEL[d], least=0.49 * CHANCE)
    assert [v.verdict for v in transfer_verdicts(DEEP, just)] == ["agrees", "disagrees", "agrees"]


def test_one_depth_or_one_seed_shows_nothing():
    for config in (replace(DEEP, block_depths=(4,)), replace(DEEP, block_seeds=1)):
        rows = transfer_rows(config, lambda arm, d: LEVEL[d])
        stays, falls, _ = transfer_verdicts(config, rows)
        assert (stays.verdict, falls.verdict) == ("not shown", "not shown")
        assert "several depths and seeds are needed" in stays.measured


def test_the_other_way_round_neither_holds():
    other = {**FALLING, 16: -7}
    rows = transfer_rows(DEEP, lambda arm, d: (LEVEL if arm == "unscaled" else other)[d])
    assert [v.verdict for v in transfer_verdicts(DEEP, rows)] == [
        "disagrees",
        "disagrees",
        "agrees",
    ]


def test_a_stack_that_is_no_identity_disagrees():
    rows = transfer_rows(DEEP, lambda arm, d: LEVEL[d])
    moved = [{**row, "moved": 1e-9} for row in rows]
    assert transfer_verdicts(DEEP, moved)[2].verdict == "disagrees"
    deep = [
        {**row, "train_loss": 0.6} if (row["arm"], row["depth"]) == ("zero", 16) else row
        for row in rows
    ]
    verdict = transfer_verdicts(DEEP, deep)[2]
    assert (verdict.verdict, "largest loss 0.600 nats" in verdict.measured) == ("disagrees", True)


NAN = math.nan
TRIED = np.arange(-9.0, 1.0)


def by_seed(best, spread=0):
    return np.asarray(best, float)[:, None] + np.array([-spread, 0, spread])


@pytest.mark.parametrize(
    ("best", "spread", "stays", "falls"),
    [
        ((-4, -5, -6), 0, True, False),  # a range of 2 is +-1
        ((-4, -5, -7), 0, False, True),
        ((-4, -5, -7), 0.5, None, True),  # some seeds just fit in +-1
        ((-4, -5, -7), 1, None, True),
        ((-4, -5, -6), 1, True, None),  # and some fall by more than 2
        ((-7, -5, -4), 0, False, False),
        ((-7, -8, -9), 0, None, None),  # the last one may lie beyond
        ((0, -1, -2), 0, None, None),
        ((-4, NAN, -5), 0, False, False),
        ((-4, -5, NAN), 0, False, True),
        ((NAN, -5, -5), 0, False, None),
        ((NAN, NAN, NAN), 0, None, None),
    ],
)
def test_rates_stay_or_fall(best, spread, stays, falls):
    best = np.array(best, float)
    assert claims.rate_stays(best, by_seed(best, spread), TRIED) is stays
    assert claims.rate_falls(best, by_seed(best, spread), TRIED) is falls


def test_the_best_rates_of_the_seeds():
    config = replace(DEEP, block_depths=(4,), block_learning_rates=(0.5, 0.25), block_seeds=3)
    losses = {0.5: (0.1, 0.1, math.inf), 0.25: (0.2, math.inf, 0.3)}
    rows = [
        {**row, "train_loss": losses[row["learning_rate"]][row["seed"]]}
        for row, _ in transfer_runs(config, 4, 1)
        if row["arm"] == "unscaled"
    ]
    best, seeds = claims.best_rates(config, rows)
    assert (best.tolist(), seeds.tolist()) == ([-1.0], [[-1.0, -1.0, -2.0]])
    lost = [{**row, "train_loss": math.inf} for row in rows if row["seed"]] + rows[:1]
    assert math.isnan(claims.best_log2_rate(lost))
    # The losses are in the order of the rates, whatever that of the configuration is.
    table = claims.transfer_losses(config, rows)
    assert table.tolist() == [[[0.2, math.inf, 0.3], [0.1, 0.1, math.inf]]]


def test_the_price_of_the_shallowest_nets_rate():
    def price(best):
        rows = transfer_rows(DEEP, lambda arm, depth: best[depth])
        return transfer_verdicts(DEEP, rows)[0].measured.split("; ")[1:]

    assert price({4: -2, 8: -3, 16: -5}) == ["the best rate of 4 costs 16 blocks 0.030 nats"]
    assert price(FALLING) == []
