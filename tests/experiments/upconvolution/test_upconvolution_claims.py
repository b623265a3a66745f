"""Verdicts of the upconvolution study from numbers by hand, at their boundaries."""

import numpy as np
import pytest

from experiments.upconvolution import claims
from experiments.upconvolution.config import ARMS
from experiments.upconvolution.probes import GRADIENT, POWER, SHARE

CHANCE = 1.1
OVERLAPS = {
    "3 × 3 at stride 2": np.array([[4, 2], [2, 1]]),
    "5 × 5 at stride 2": np.array([[9, 6], [6, 4]]),
    "4 × 4 at stride 2": np.full((2, 2), 4),
}


def algebra(errors=(), conv_transpose=(1.0, 0.0), sizes=(5, 5), overlaps=OVERLAPS):
    errors = {**dict.fromkeys(claims.IDENTITIES, 0.0), **dict(errors)}
    return claims.algebra_verdicts(errors, conv_transpose, sizes, overlaps)


def words(verdicts):
    return [verdict.verdict for verdict in verdicts]


def test_the_algebra_is_judged_claim_by_claim():
    verdicts = algebra()
    assert words(verdicts) == ["agrees"] * 10
    assert [v.claim for v in verdicts[:7]] == [claim for claim, _ in claims.IDENTITIES.values()]
    assert verdicts[9].measured == "4, 2.25, 1"
    for number, name in enumerate(claims.IDENTITIES):
        assert words(algebra({name: 1e-12})) == ["agrees"] * 10
        judged = words(algebra({name: 1.01e-12}))
        assert [n for n, word in enumerate(judged) if word != "agrees"] == [number]
        assert judged[number] == "disagrees"


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({"conv_transpose": (0.1, 0.0)}, 7),
        ({"conv_transpose": (1.0, 1.01e-12)}, 7),
        ({"sizes": (4, 5)}, 8),
        ({"overlaps": {**OVERLAPS, "4 × 4 at stride 2": np.array([[4, 3], [3, 4]])}}, 9),
    ],
)
def test_what_differs_disagrees(changes, number):
    judged = words(algebra(**changes))
    assert [n for n, word in enumerate(judged) if word == "disagrees"] == [number]
    assert words(algebra(conv_transpose=(0.11, 1e-12))) == ["agrees"] * 10


def row(quantity=SHARE, **changes):
    values = {"theory": 0.75, "measured": 0.74, "error": 0.01, "draws": 64}
    return {"quantity": quantity, "case": "sub-pixel", **values, **changes}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, "agrees"),
        ({"measured": 0.75 + 0.0349}, "agrees"),
        ({"measured": 0.75 + 0.0351}, "disagrees"),
        ({"measured": 0.75 - 0.0351}, "disagrees"),
        ({"measured": 0.7, "error": 0.0749}, "agrees"),
        ({"measured": 0.7, "error": 0.0751}, "not shown"),
        ({"theory": 0.0, "measured": 1e-7, "error": 0.0}, "agrees"),
        ({"theory": 0.0, "measured": 2e-6, "error": 0.0}, "disagrees"),
        ({"theory": 0.0, "measured": 0.0, "error": 0.0101}, "not shown"),
        ({"error": np.nan}, "not shown"),
    ],
)
def test_layers_at_initialization_are_judged_by_their_error(changes, word):
    (verdict,) = claims.initial_verdicts([row(**changes)])
    assert verdict.verdict == word
    # One row is enough.
    (verdict,) = claims.initial_verdicts([row(draws=8), row(**changes), row()])
    assert (verdict.verdict, verdict.seeds) == (word, 8)


def test_each_quantity_is_judged_by_its_own_rows():
    rows = [row(GRADIENT), row(POWER, measured=9.0), row(SHARE)]
    assert words(claims.initial_verdicts(rows)) == ["agrees", "disagrees", "agrees"]
    assert claims.initial_verdicts([]) == []


def trained(last, losses=(), first=(), gradient=2.0):
    """Judge arms by what two seeds have at last; `gradient` is that of all arms."""
    best = {
        arm: [
            {"arm": arm, "seed": seed, "train_loss": dict(losses).get(arm, 0.4) + 0.01 * seed}
            for seed in range(2)
        ]
        for arm in last
    }
    steps = np.array([0, 5])

    def curves(values, start):
        return {
            arm: (steps, np.array([[start, value], [start, 1.1 * value]]))
            for arm, value in values.items()
        }

    logits = {
        arm: curve
        for name, value in last.items()
        for arm, curve in curves({name: value}, dict(first).get(name, 0.0)).items()
    }
    gradients = curves(dict.fromkeys(last, gradient), 99.0)
    verdicts = claims.trained_verdicts(best, logits, gradients, labels=0.5, chance=CHANCE)
    return {verdict.claim: verdict for verdict in verdicts}


AS_CLAIMED = {
    "upconv k2s2": 4.0,
    "upconv k3s2": 5.0,
    "upconv k4s2": 3.0,
    "upconv bilinear": 0.6,
    "sub-pixel": 2.0,
    "sub-pixel ICNR": 0.7,
    "resize nearest": 0.4,
    "resize bilinear": 0.3,
}
FITS = "A sub-pixel convolution from ICNR fits better than resizing and convolving"
STARTS = "ICNR starts without a checkerboard of the last level"
GRADIENTS = "Strided convolutions leave a checkerboard in the gradient of trained nets"


def test_trained_nets_are_judged_by_their_last_energies():
    verdicts = trained(AS_CLAIMED, losses={"sub-pixel ICNR": 0.3})
    assert len(verdicts) == len(claims.TRAINED_LOGITS) + 3 == 9
    assert {v.verdict for v in verdicts.values()} == {"agrees"}
    turned = {arm: 10 - value for arm, value in AS_CLAIMED.items()}
    for claim in (claim for *_, claim in claims.TRAINED_LOGITS[1:]):
        assert trained(turned)[claim].verdict == "disagrees", claim
    training_leaves = claims.TRAINED_LOGITS[0][-1]
    assert trained({"upconv k4s2": 0.4})[training_leaves].verdict == "disagrees"
    assert trained({"upconv k4s2": 0.48})[training_leaves].verdict == "not shown"


def test_every_arm_of_random_kernels_counts():
    """The least of their seeds decides."""
    claim = claims.TRAINED_LOGITS[2][-1]
    verdict = trained({**AS_CLAIMED, "sub-pixel": 0.43})[claim]
    assert verdict.verdict == "not shown"
    assert trained({**AS_CLAIMED, "sub-pixel": 0.45})[claim].verdict == "agrees"
    few = trained({"resize nearest": 0.4, "upconv k2s2": 1.0})[claim]
    assert (few.verdict, few.seeds) == ("agrees", 2)


def test_claims_about_arms_that_were_not_run_are_left_out():
    verdicts = trained({"sub-pixel ICNR": 0.1})
    assert [*verdicts] == [STARTS, GRADIENTS]
    assert [*trained({"resize nearest": 0.1})] == [GRADIENTS]


@pytest.mark.parametrize(
    ("first", "word"), [(0.0, "agrees"), (9e-7, "agrees"), (1.1e-6, "disagrees")]
)
def test_icnr_is_judged_by_its_first_energy(first, word):
    assert trained({"sub-pixel ICNR": 5.0}, first={"sub-pixel ICNR": first})[STARTS].verdict == word


def test_gradients_are_compared_with_white_noise():
    last = {"upconv k2s2": 1.0, "sub-pixel": 1.0}
    by_energy = {g: trained(last, gradient=g)[GRADIENTS] for g in (0.8, 0.95, 1.05)}
    assert words(by_energy.values()) == ["disagrees", "not shown", "agrees"]
    assert by_energy[0.8].seeds == 4


def test_the_fit_is_judged_by_the_training_loss():
    last = {"sub-pixel ICNR": 1.0, "resize nearest": 1.0}
    for loss, word in ((0.38, "agrees"), (0.395, "not shown"), (0.45, "disagrees")):
        assert trained(last, losses={"sub-pixel ICNR": loss})[FITS].verdict == word


def test_nets_that_learned_nothing_show_nothing():
    poor = trained(AS_CLAIMED, losses={"upconv k2s2": 0.75, "sub-pixel ICNR": 0.3})
    shown = {claim for claim, verdict in poor.items() if verdict.verdict == "not shown"}
    # All claims that rest on the arm, also as one of the random ones.
    assert shown == {GRADIENTS, *(claims.TRAINED_LOGITS[n][-1] for n in (2, 3, 4))}
    assert "hardly trained: upconv 2 × 2 (0.76 of 1.10 nats)" in poor[GRADIENTS].measured
    assert trained(AS_CLAIMED, losses={"upconv k2s2": 0.72})[GRADIENTS].verdict == "agrees"
    assert trained(AS_CLAIMED, losses={"resize nearest": 0.9})[FITS].verdict == "not shown"


def test_energies_by_rate_are_those_at_last():
    energies = [
        {"arm": "sub-pixel", "seed": seed, "learning_rate": rate, "step": step, "logits": value}
        for rate, step, *values in ((0.1, 0, 9.0, 9.0), (0.1, 4, 1.0, 3.0), (0.2, 4, 5.0, 5.0))
        for seed, value in enumerate(values)
    ]
    table = claims.rate_table(energies, 0.4)
    assert table.columns == ("arm", "rate 0.1", "rate 0.2")
    assert table.rows == (
        ("sub-pixel", "2.00 (1.00 to 3.00)", "5.00 (5.00 to 5.00)"),
        ("the labels", "0.40", "0.40"),
    )
    # A rate that an arm was not trained at is left blank.
    energies.append(energies[0] | {"arm": "upconv k2s2", "learning_rate": 0.3})
    assert claims.rate_table(energies, 0.4).rows[1] == ("upconv 2 × 2", "", "", "9.00")


def test_arms_are_tabulated_at_their_best_rate():
    run = {
        "arm": "sub-pixel",
        "learning_rate": 0.1,
        "parameters": 1234,
        "step_milliseconds": 2.04,
        "mean_iou": 0.5,
        "pixel_accuracy": 0.75,
    }
    runs = [{**run, "seed": seed, "train_loss": loss} for seed, loss in enumerate((0.4, 0.6))]
    curves = {"sub-pixel": (np.array([0, 4]), np.array([[7.0, 2.0], [9.0, 4.0]]))}
    halves = {"sub-pixel": (np.array([0, 4]), np.array([[3.5, 1.0], [4.5, 2.0]]))}
    table = claims.arm_table(runs, {"sub-pixel": runs}, curves, halves, 0.4)
    assert table.rows[0] == (
        "sub-pixel",
        "0.1",
        "0.500 (0.400 to 0.600)",
        "0.500 (0.500 to 0.500)",
        "0.750 (0.750 to 0.750)",
        "8.00 → 3.00 (2.00 to 4.00)",
        "4.00 → 1.50 (1.00 to 2.00)",
        "1,234",
        "2.0",
    )
    assert table.rows[1][5] == "0.40"
    assert len({len(cells) for cells in (table.columns, *table.rows)}) == 1


def test_claims_name_arms_that_exist():
    names = {name for less, more, *_ in claims.TRAINED_LOGITS for name in (less, more)}
    assert names <= {*ARMS, claims.THE_LABELS, claims.RANDOM_LAYERS}
