"""The residual_gradient study refuses what cannot be measured."""

import pytest

from experiments.residual_gradient.config import ARMS, PRESETS, SHATTERED, Config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": 1}, "seeds=1 must be at least 2"),
        ({"narrow_seeds": 1}, "narrow_seeds=1 must be at least 2"),
        ({"examples": 1}, "examples=1 must be at least 2"),
        ({"layers": 0}, "layers=0 must be at least 1"),
        ({"depths": ()}, r"depths=\(\) must be at least 1"),
        ({"depths": (8, 4)}, r"depths=\(8, 4\) must rise"),
        ({"depths": (4, 4)}, r"depths=\(4, 4\) must rise"),
        ({"batch_layers": 3}, "batch_layers=3 must be at least 4"),
        ({"batches": (2, 8)}, r"batches=\(2, 8\) must be at least 4"),
        ({"nets_at_once": 0}, "nets_at_once=0"),
        ({"resume": True, "overwrite": True}, "exclude each other"),
    ],
)
def test_what_cannot_be_measured_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Config(**options)


def test_seeds_of_every_part_may_be_added():
    assert {"seeds", "narrow_seeds", "resume", "out"} <= {*Config.may_differ}
    assert not {"layers", "width", "depths", "batches"} & {*Config.may_differ}
    few, many = PRESETS["tiny"].part_seeds, Config(seeds=400).part_seeds
    assert few == {
        "profiles": 4,
        "depths": 4,
        "neighbors": 4,
        "batches": 8,
        "widths": 32,
        "paths": 8,
    }
    assert (many["profiles"], many["batches"]) == (400, 100)


def test_branches_are_scaled_as_the_arms_say():
    scales = {name: arm.branch_scale(16) for name, arm in ARMS.items()}
    assert scales == {
        "plain": 1.0,
        "plain_norm": 1.0,
        "residual": 1.0,
        "residual_scaled": 0.25,
        "residual_norm": 1.0,
        "residual_zero": 0.0,
    }
    assert tuple(list(ARMS)[:5]) == SHATTERED
    assert [name for name, arm in ARMS.items() if not arm.homogeneous] == [
        "plain_norm",
        "residual_norm",
    ]
