"""Parts are measured once, again for more seeds, and some nets at a time."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from experiments.residual_gradient import study
from experiments.residual_gradient.config import PRESETS


@pytest.fixture
def calls(monkeypatch):
    """Put cheap parts in the place of the measurements: the names of those that were called."""
    called = []

    def measure(part, config, growths):
        called.append(part)
        if part == "widths":
            growths.replace({"forward": 0.1, "gradient": n} for n in range(config.narrow_seeds))
        row = {"arm": "a", "quantity": "q", "at": 1.0, "mean": 0.5, "sd": 0.1, "theory": 0.5}
        return [{**row, "seeds": config.part_seeds[part]}]

    parts = {part: lambda *args, part=part: measure(part, *args) for part in study.PARTS}
    monkeypatch.setattr(study, "PARTS", parts)
    monkeypatch.setattr(study, "findings", lambda config, rows, growths: (rows, growths))
    return called


def test_a_part_that_is_there_is_not_measured_again(calls, tmp_path):
    config = replace(PRESETS["tiny"], out=tmp_path)
    first = study.run(config)
    assert calls == list(study.PARTS)
    assert study.run(replace(config, resume=True)) == first
    assert calls == list(study.PARTS)
    (tmp_path / "results.csv").write_text(
        "".join(
            line
            for line in (tmp_path / "results.csv").read_text().splitlines(keepends=True)
            if not line.startswith("paths")
        )
    )
    assert study.run(replace(config, resume=True)) == first
    assert calls[len(study.PARTS) :] == ["paths"]


def test_more_seeds_replace_what_was_measured_with_fewer(calls, tmp_path):
    config = replace(PRESETS["tiny"], out=tmp_path)
    study.run(config)
    calls.clear()
    rows, _ = study.run(replace(config, resume=True, seeds=6))
    assert calls == ["profiles", "depths", "neighbors"]
    assert {row["part"]: row["seeds"] for row in rows} == {
        **config.part_seeds,
        **dict.fromkeys(calls, 6),
    }
    assert len(rows) == len(study.PARTS)
    calls.clear()
    # Fewer seeds than are there: nothing is thrown away.
    rows, growths = study.run(replace(config, resume=True, narrow_seeds=40))
    assert calls == ["widths"]
    assert len(growths) == 40
    assert {row["seeds"] for row in rows if row["part"] == "profiles"} == {6}


def test_lost_logarithms_are_measured_again(calls, tmp_path):
    config = replace(PRESETS["tiny"], out=tmp_path)
    study.run(config)
    calls.clear()
    (tmp_path / "log_growth.csv").unlink()
    study.run(replace(config, resume=True))
    assert calls == ["widths"]


@pytest.mark.optimized
@pytest.mark.parametrize(("seeds", "nets_at_once"), [(2, 1), (5, 1), (70, 1), (9, 4), (3, 64)])
def test_nets_are_measured_one_by_one_whatever_is_measured_together(seeds, nets_at_once):
    def measure(key):
        return {"draw": jax.random.normal(key, (2,))}

    measured = study.measure_seeds("draws", measure, seeds, nets_at_once=nets_at_once)["draw"]
    keys = jax.random.split(jax.random.key(0), seeds)
    assert measured.dtype == np.float64
    np.testing.assert_array_equal(measured, [jax.random.normal(key, (2,)) for key in keys])


def test_rows_are_means_and_standard_deviations_over_the_seeds():
    rows = study.to_rows(
        {"a": {"q": np.array([[1.0, 5.0], [3.0, 5.0]])}}, lambda q: [8, 16], lambda a, q: [2.5, 5]
    )
    first = {"arm": "a", "quantity": "q", "at": 8.0, "mean": 2.0, "sd": np.sqrt(2.0)}
    second = {"arm": "a", "quantity": "q", "at": 16.0, "mean": 5.0, "sd": 0.0}
    assert rows == [{**first, "theory": 2.5, "seeds": 2}, {**second, "theory": 5.0, "seeds": 2}]
