"""What a study's configuration refuses."""

from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from jaxseg.studies import StudyConfig, SweepConfig, check_names


@dataclass(frozen=True, kw_only=True)
class Config(SweepConfig):
    """A study of two arms."""

    arms: tuple[str, ...] = ("plain", "residual")
    depths: tuple[int, ...] = (4, 8)
    known_arms: ClassVar[tuple[str, ...]] = ("plain", "residual")


def test_resume_and_overwrite_exclude_each_other():
    assert StudyConfig(resume=True).resume
    assert StudyConfig(overwrite=True).overwrite
    with pytest.raises(ValueError, match=r"exclude each other: --resume goes on .* --overwrite"):
        StudyConfig(resume=True, overwrite=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"devices": -1}, r"devices=-1 must not be negative"),
        ({"seeds": 0}, r"seeds=0 must be at least 1"),
        ({"steps": 0}, r"steps=0 must be at least 1"),
        ({"batch_size": 0}, r"batch_size=0 must be at least 1"),
        ({"learning_rates": ()}, r"learning_rates=\(\): give positive numbers, each once"),
        ({"learning_rates": (0.1, 0.1)}, r"each once"),
        ({"learning_rates": (0.1, 0.0)}, r"positive"),
        ({"learning_rates": (float("nan"),)}, r"positive"),
        ({"learning_rates": (float("inf"),)}, r"positive"),
        ({"clip": 0.0}, r"clip=0.0 must be positive: inf clips nothing"),
        ({"clip": float("nan")}, r"clip=nan must be positive"),
        ({"arms": ()}, r"arms=\(\) must be some of plain, residual, each once\."),
        ({"arms": ("plain", "plain")}, r"each once\."),
        ({"arms": ("plain", "deep")}, r"each once; unknown: deep\."),
    ],
)
def test_what_cannot_be_run_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(Config(), **changes)


def test_the_least_that_can_be_run():
    config = Config(
        seeds=1, steps=1, batch_size=1, learning_rates=(1e-9,), arms=("plain",), clip=float("inf")
    )
    assert config.devices == 0


def test_numbers_are_held_to_a_least_value():
    config = Config()
    config.require(3, "seeds")
    config.require(4, "depths", "batch_size")
    for least, name, value in ((4, "seeds", "3"), (5, "depths", r"\(4, 8\)")):
        with pytest.raises(ValueError, match=f"{name}={value} must be at least {least}"):
            config.require(least, name)
    for depths in ((), (float("nan"),)):
        with pytest.raises(ValueError, match="must be at least 1"):
            replace(config, depths=depths).require(1, "depths")


def test_names_are_checked():
    check_names("kinds", ("a", "b"), ("b", "a", "c"))
    with pytest.raises(ValueError, match=r"kinds=\('d',\) must be some of a, b, .* unknown: d"):
        check_names("kinds", ("d",), ("a", "b"))


def test_a_sweep_can_grow_and_nothing_else_may_change():
    assert {*Config.may_differ} == {
        *("preset", "out", "data_dir", "devices", "resume", "overwrite"),
        *("arms", "seeds", "learning_rates"),
    }
