"""The runs of the trainability study are those that its configuration names."""

import math
from dataclasses import replace

import pytest

from experiments.trainability.config import (
    PHASES,
    PRESETS,
    SCALES,
    Config,
    expected_depths,
    phase_runs,
    plain_layer,
    transfer_runs,
)
from jaxseg.analysis import mean_field

TINY = PRESETS["tiny"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depths": ()}, r"depths=\(\) must be at least 1"),
        ({"depths": (0, 2)}, r"depths=\(0, 2\) must be at least 1"),
        ({"block_depths": (8, 4)}, r"block_depths=\(8, 4\) must rise"),
        ({"depths": (4, 4)}, r"depths=\(4, 4\) must rise"),
        ({"weight_variances": (2.0, 1.0)}, "must rise"),
        ({"weight_variances": ()}, r"weight_variances=\(\) must rise"),
        ({"weight_variances": (0.0, 1.0)}, "give positive numbers"),
        ({"window": 4}, "window=4"),
        ({"seeds": 0}, "seeds=0 must be at least 1"),
        ({"block_seeds": 0}, "block_seeds=0"),
        ({"block_steps": 0}, "block_steps=0"),
        ({"learning_rates": ()}, r"learning_rates=\(\): give positive"),
        ({"learning_rates": (0.1, 0.1)}, "each once"),
        ({"block_learning_rates": (-0.1,)}, "give positive numbers"),
        ({"block_learning_rates": (math.inf,)}, "give positive numbers"),
        ({"block_layers": (1, 1)}, "each once"),
        ({"bias_variance": -0.1}, "bias_variance=-0.1 must be at least 0"),
    ],
)
def test_configurations_that_compare_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Config(**options)


def test_runs_may_be_added_and_nets_may_not_change():
    added = ("depths", "seeds", "weight_variances", "learning_rates")
    added += ("block_depths", "block_layers", "block_seeds", "block_learning_rates")
    assert {*added, "resume"} <= {*Config.may_differ}
    kept = {"window", "examples", "width", "steps", "bias_variance", "batch_size", "block_width"}
    assert not kept & {*Config.may_differ}


def test_the_phase_diagram_has_a_run_for_every_combination():
    runs = phase_runs(TINY, 6)
    # Arms x weight variances x seeds x rates.
    assert len(runs) == len({tuple(row.values()) for row, _ in runs}) == 2 * 3 * 2 * 2
    by_arm = {row["arm"]: member for row, member in runs}
    assert list(by_arm) == list(PHASES)
    assert (by_arm["plain"].skip, by_arm["plain"].scale) == (0, 1)
    assert (by_arm["residual"].skip, by_arm["residual"].scale) == (1, 6**-0.5)
    assert {member.learn_scale for _, member in runs} == {0}
    for row, member in runs:
        for name in ("weight_variance", "seed", "learning_rate"):
            assert row[name] == getattr(member, name)
        fixed = mean_field.fixed_variance(plain_layer(TINY, member.weight_variance))
        assert member.input_variance == fixed > 0
        assert (row["part"], row["depth"], row["block_layers"]) == ("phase", 6, 1)
    without_bias = replace(TINY, bias_variance=0.0, weight_variances=(0.5,))
    assert phase_runs(without_bias, 6)[0][1].input_variance == 1e-3


def test_depth_transfer_starts_at_he_initialization():
    runs = transfer_runs(TINY, 4, 2)
    assert len(runs) == 3 * 2 * 3
    scales = {row["arm"]: (member.scale, member.learn_scale) for row, member in runs}
    assert scales == dict(zip(SCALES, ((0.5, 0), (1, 0), (0, 1)), strict=True))
    assert {(m.weight_variance, m.bias_variance, m.skip) for _, m in runs} == {(2.0, 0.0, 1.0)}
    assert {(row["part"], row["depth"], row["block_layers"]) for row, _ in runs} == {
        ("transfer", 4, 2)
    }


def test_six_depth_scales_are_expected():
    """Schoenholz et al. 2017: least far from the edge, infinite on it."""
    critical = mean_field.critical_weight_variance(TINY.bias_variance)
    low, edge, high = expected_depths(TINY, (0.5, critical, 3.0))
    scale = mean_field.depth_scales(mean_field.Layer(mean_field.TANH, 3.0, 0.05)).correlation
    assert high == 6 * scale
    assert low < high < edge
