"""Each arm has a best rate of its own, at which its values are taken."""

import study_arms

RESULTS = [
    {"arm": "a", "learning_rate": rate, "seed": seed, "train_loss": loss}
    for rate, losses in ((0.2, (0.1, 0.5, 0.5)), (0.1, (9.0, 0.4, 0.3)))
    for seed, loss in reversed([*enumerate(losses)])
]


def test_the_best_rate_has_the_lowest_median_loss():
    assert study_arms.best_rates(RESULTS, ("a", "b")) == {"a": 0.1}


def test_a_column_is_by_seed():
    assert study_arms.of_arm(RESULTS, {"a": 0.1}, "a", "train_loss").tolist() == [9, 0.4, 0.3]
    assert study_arms.of_arm(RESULTS, {"a": 0.2}, "a", "seed", train_loss=0.5).tolist() == [1, 2]


def test_a_rate_at_an_end_of_the_sweep_is_said_so():
    assert study_arms.rate_text(RESULTS, "a", 0.2) == "0.2 (highest tried)"
    assert study_arms.rate_text(RESULTS, "a", 0.1) == "0.1 (lowest tried)"
    assert study_arms.rate_text(RESULTS[:3], "a", 0.2) == "0.2"
