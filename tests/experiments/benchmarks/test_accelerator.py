"""The accelerator's benchmark on CPU: its parts run, resume, and count convolutions in HLO."""

import json

from experiments.benchmarks.accelerator import __main__ as accelerator
from experiments.benchmarks.accelerator.hlo import count_convolutions
from experiments.benchmarks.accelerator.parts import run_part


def test_parts_run_at_tiny(tmp_path):
    accelerator.main(["--preset", "tiny", "--out", str(tmp_path), "--seconds", "1"])
    for part in accelerator.PARTS:
        rows = [json.loads(s) for s in (tmp_path / f"{part}.jsonl").read_text().splitlines()]
        assert rows
        assert not any("error" in row for row in rows)
        assert (tmp_path / f"{part}.md").read_text().startswith("| task |")


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
