"""The accelerator's benchmark on CPU: its parts run, resume, and count convolutions in HLO."""

import dataclasses
import json

import jax
import pytest

from experiments.benchmarks.accelerator import exact, run
from experiments.benchmarks.accelerator.hlo import count_convolutions
from experiments.benchmarks.accelerator.parts import run_part


@pytest.mark.parametrize("part", [p for p in run.PARTS if p != "studies"])
def test_every_part_runs_at_tiny(part, tmp_path):
    config = dataclasses.replace(run.PRESETS["tiny"], parts=(part,), out=tmp_path)
    with jax.numpy_dtype_promotion("standard"):  # optax mixes floats and integers
        run.main(config)
    rows = [json.loads(line) for line in (tmp_path / f"{part}.jsonl").read_text().splitlines()]
    assert (part == "streets") == (rows == [])
    assert (tmp_path / f"{part}.md").read_text().startswith("| task |" if rows else "|")
    if part == "smoke":
        assert max(row.get("difference", 0) for row in rows) < 1e-4
    if part == "pipeline":
        assert 0 < rows[0]["of_synthetic"] < 2


def test_results_of_another_machine_are_not_continued(tmp_path):
    config = dataclasses.replace(run.PRESETS["tiny"], parts=("streets",), out=tmp_path)
    run.main(config)
    run.main(config)
    with pytest.raises(ValueError, match="give another --out"):
        run.main(dataclasses.replace(config, tiny=False))
    with pytest.raises(ValueError, match=r"unknown: \['stride'\]"):
        dataclasses.replace(config, parts=("stride",))


def test_an_inexact_case_fails_the_benchmark(tmp_path, monkeypatch):
    monkeypatch.setattr(exact, "TF32_LIMIT", 0.0)
    config = dataclasses.replace(run.PRESETS["tiny"], parts=("exactness",), out=tmp_path)
    with pytest.raises(ValueError, match=r"failed: exactness, .* limit 0"):
        run.main(config)


def test_a_part_resumes_and_runs_failed_tasks_again(tmp_path):
    path, calls = tmp_path / "part.jsonl", []

    def task(name, fails=False):
        def compute():
            calls.append(name)
            return {"value": 1 / (not fails)}

        return name, compute

    assert "error" in run_part(path, [task("a"), task("b", fails=True)], 60)[1]
    path.write_text(path.read_text() + '{"task": "c"')
    rows = run_part(path, [task("a"), task("b"), task("c")], 60)
    assert calls == ["a", "b", "b", "c"]
    assert not any("error" in row for row in rows)
    assert run_part(tmp_path / "none.jsonl", [task("d")], -1) == []


def test_convolutions_are_counted_by_who_runs_them():
    text = """%a = (f32[1]{0}, u8[0]{0}) custom-call(%x), custom_call_target="__cudnn$convForward"
    %b = f32[1,2]{1,0} convolution(%x, %k), window={size=3}"""
    assert count_convolutions(text) == {"__cudnn$convForward": 1, "convolution": 1}
