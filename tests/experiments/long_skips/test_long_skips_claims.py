"""Verdicts of the long_skips study from numbers by hand, at their boundaries."""

import numpy as np
import pytest

from experiments.long_skips import claims
from experiments.long_skips.config import PRESETS
from experiments.long_skips.nets import layer_places

CONFIG = PRESETS["tiny"]  # two levels, one block a stack
PLACES = np.array(layer_places(2, 1))
CHANCE = float(np.log(3))


def test_unevenness_and_the_bottom_are_ratios():
    updates = np.ones((3, 2, len(PLACES)))
    updates[:, :, PLACES == "bottom"] = 0.1
    np.testing.assert_allclose(claims.bottom_over_ends(CONFIG, updates), 0.1)
    share = 2 / (len(PLACES) - 2)
    deviation = np.sqrt(share * (1 - share))
    np.testing.assert_allclose(claims.unevenness(updates), deviation)
    # The epochs are equal.
    np.testing.assert_allclose(claims.unevenness_of_means(updates), deviation)
    # Stem and head have no say.
    updates[:, :, 0], updates[:, :, -1] = 50, 1e-5
    np.testing.assert_allclose(claims.unevenness(updates), deviation)
    np.testing.assert_allclose(claims.unevenness_of_means(updates), deviation)
    np.testing.assert_allclose(claims.bottom_over_ends(CONFIG, updates), 0.1)
    # Every other layer at full resolution has.
    updates[:, :, 1] = 1e-4
    np.testing.assert_allclose(claims.bottom_over_ends(CONFIG, updates), 1.0)
    assert (claims.unevenness(updates) > deviation).all()


def test_layers_between_do_not_count_for_the_bottom():
    updates = np.ones((2, 2, len(PLACES)))
    updates[:, :, PLACES == "between"] = 1e-6
    np.testing.assert_allclose(claims.bottom_over_ends(CONFIG, updates), 1.0)
    assert (claims.unevenness(updates) > 2).all()


def test_ratios_are_geometric_means_over_the_epochs():
    updates = np.ones((1, 2, len(PLACES)))
    updates[:, 0, PLACES == "bottom"] = 1e-4
    np.testing.assert_allclose(claims.bottom_over_ends(CONFIG, updates), 0.01)


def test_a_large_epoch_hides_the_others_in_means_alone():
    layers = len(PLACES)
    updates = np.ones((3, 2, layers))
    updates[:, 1, 1 : layers // 2] = 1e-3
    updates[:, 0] = 100
    assert (claims.unevenness(updates) > 0.7).all()
    assert (claims.unevenness_of_means(updates) < 0.01).all()


def test_seeds_are_measured_apart_and_lost_epochs_left_out():
    updates = np.ones((2, 3, len(PLACES)))
    updates[1, :, PLACES == "bottom"] = 0.01
    updates[:, 2] = np.nan  # the ensemble diverged
    np.testing.assert_allclose(claims.bottom_over_ends(CONFIG, updates), [1, 0.01])
    assert claims.unevenness(updates)[0] == 0 < claims.unevenness(updates)[1]
    assert claims.unevenness_of_means(updates)[0] == 0


def judged(losses, updates=None):
    best = {
        arm: [{"train_loss": loss + 0.01 * seed} for seed in range(3)]
        for arm, loss in losses.items()
    }
    updates = updates or {arm: np.ones((3, 2, len(PLACES))) for arm in losses}
    return claims.verdicts(CONFIG, best, updates, CHANCE)


def test_verdicts_follow_the_numbers():
    verdicts = judged({"no skips": 1.0, "long skips": 0.5, "short skips": 0.2, "both": 0.3})
    words = ["agrees", "disagrees", *["agrees"] * 3, *["not shown"] * 3]
    assert [v.verdict for v in verdicts] == words
    assert [v.exploratory for v in verdicts] == [False] * 5 + [True, False, True]


def test_claims_about_arms_that_were_not_run_are_left_out():
    verdicts = judged({"long skips": 0.5, "both": 0.3})
    assert len(verdicts) == 4
    assert all("no skips" not in v.theory for v in verdicts)
    assert judged({"short skips": 0.5}) == []


@pytest.mark.parametrize(
    ("loss", "other", "word"),
    [
        (0.56, 0.5, "agrees"),  # half of chance is .549
        (0.545, 0.5, "not shown"),  # one seed above, one below
        (0.5, 0.2, "disagrees"),
        (0.56, 0.56, "not shown"),  # no arm learns
        (0.56, 0.53, "agrees"),  # the median of the other arm is .54
        (0.56, 0.541, "not shown"),
    ],
)
def test_a_net_is_not_trainable_above_half_of_chance(loss, other, word):
    verdicts = judged({"no skips": loss, "both": other})
    (verdict,) = [v for v in verdicts if "not trainable" in v.claim]
    assert verdict.verdict == word
    assert ("task may be at fault" in verdict.measured) == (min(loss, other) > 0.54)


def test_updates_are_compared_between_the_arms_with_long_skips():
    uneven, even = np.ones((3, 2, len(PLACES))), np.ones((3, 2, len(PLACES)))
    uneven[:, :, PLACES == "bottom"] = 0.1
    losses = {"long skips": 0.5, "both": 0.3}
    for updates, word in (((uneven, even), "agrees"), ((even, uneven), "disagrees")):
        verdicts = judged(losses, dict(zip(losses, updates, strict=True)))
        assert [v.verdict for v in verdicts[1:]] == [word] * 3


def test_arms_are_tabulated_at_their_best_rate():
    runs = [
        {
            "arm": "both",
            "seed": seed,
            "learning_rate": 0.1,
            "train_loss": loss,
            "mean_iou": 0.5,
            "pixel_accuracy": 0.75,
            "parameters": 1234,
            "step_milliseconds": 2.04,
        }
        for seed, loss in enumerate((0.4, 0.5, 0.9))
    ]
    updates = np.ones((3, 2, len(PLACES)))
    updates[:, :, PLACES == "bottom"] = 0.1
    table = claims.arm_table(CONFIG, runs, {"both": runs}, {"both": updates})
    assert table.rows == (
        (
            "both",
            "0.1",
            "0.500 (0.400 to 0.900)",
            "0.500 (0.500 to 0.500)",
            "0.750 (0.750 to 0.750)",
            "0.43 (0.43 to 0.43)",
            "0.10 (0.10 to 0.10)",
            "1,234",
            "2.0",
        ),
    )
