"""Ways are timed in turns, agree, and are drawn as ratios."""

import math

import numpy as np
import pytest

from experiments.benchmarks import timing


@pytest.fixture
def calls(monkeypatch):
    """What was called; each call takes a second."""
    called = []
    monkeypatch.setattr(timing, "timed", lambda run, *, warm_up: run() or 1.0 + warm_up)
    return called


def ways(calls, *names):
    return {name: lambda name=name: calls.append(name) for name in names}


def test_every_way_has_its_turn_and_slow_ones_few(calls):
    both = ways(calls, "jaxseg", "plain lax")
    times = timing.in_turns(both, 3, slow={"plain lax"}, slow_repeats=2, warm_up=False)
    assert calls == ["jaxseg", "plain lax"] * 2 + ["jaxseg"]
    assert times == {"jaxseg": [1000.0] * 3, "plain lax": [1000.0] * 2}


def test_a_call_is_warmed_up_unless_told_otherwise(monkeypatch):
    calls = []
    monkeypatch.setattr(timing.time, "sleep", lambda seconds: calls.append("pause"))
    assert timing.timed(lambda: calls.append("run")) >= 0
    assert calls == ["pause", "run", "run"]
    timing.timed(lambda: calls.append("run"), warm_up=False)
    assert calls[3:] == ["pause", "run"]


def test_times_are_medians_in_milliseconds(monkeypatch, capsys):
    seconds = iter([0.003, 0.001, 0.002])
    monkeypatch.setattr(timing, "timed", lambda run, *, warm_up: next(seconds))
    (row,) = timing.time_ways("a case", {"jaxseg": lambda: None}, 3)
    assert row == {"way": "jaxseg", "median_ms": pytest.approx(2), "fastest_ms": pytest.approx(1)}
    assert capsys.readouterr().out == "a case: jaxseg 2.00 ms\n"


def rows(**medians):
    return [{"way": way.replace("_", " "), "median_ms": ms} for way, ms in medians.items()]


def test_ratios_are_to_pytorch_or_else_to_jaxseg():
    both = rows(jaxseg=6.0, PyTorch=4.0)
    assert [row["ratio"] for row in timing.with_ratios(both)] == [1.5, 1.0]
    alone = rows(plain_lax=3.0, jaxseg=6.0)
    assert [row["ratio"] for row in timing.with_ratios(alone)] == [0.5, 1.0]


def test_ratios_are_to_the_fastest_of_pytorchs_ways():
    several = rows(jaxseg=6.0, PyTorch_loop=8.0, PyTorch_vmap=4.0)
    assert [row["to_pytorch"] for row in timing.over_torch(several)] == [1.5, 2.0, 1.0]
    assert math.isnan(timing.over_torch(rows(jaxseg=6.0))[0]["to_pytorch"])


def test_ways_that_disagree_are_refused():
    ones = np.ones((2, 3))
    timing.check_agreement({"a": ones, "b": ones + 5e-4}, 1e-3)
    for other in (ones + 2e-3, ones[:1], np.full((2, 3), np.nan)):
        with pytest.raises(ValueError, match="b disagrees with a"):
            timing.check_agreement({"a": ones, "b": other}, 1e-3)


def test_a_figure_has_a_dot_a_case_and_the_reference_as_a_line():
    drawn = [
        {"case": case, "way": way, "ratio": ratio}
        for case, ratio in (("small", 0.5), ("large", 40.0))
        for way, ratio in (("jaxseg", ratio), ("plain lax", 2 * ratio), ("PyTorch", 1.0))
    ]
    (axes,) = timing.ratio_figure(drawn).axes
    lines = {line.get_label(): line.get_xdata().tolist() for line in axes.lines[:-1]}
    assert lines == {"jaxseg": [0.5, 40.0], "plain lax": [1.0, 80.0]}
    assert axes.lines[-1].get_xdata() == [1, 1]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["small", "large"]
    assert axes.get_xlabel() == "time over that of PyTorch (left is faster)"


def test_batches_are_shared_out_evenly():
    assert len(timing.sharing_devices(4)) == 2
    assert len(timing.sharing_devices(3)) == 1
    split, whole = timing.batch_shardings(timing.sharing_devices(4))
    assert split.shard_shape((4, 3)) == (2, 3)
    assert whole.shard_shape((4, 3)) == (4, 3)
