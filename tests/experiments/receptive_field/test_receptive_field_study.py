"""Every number is compared with theory, kept, and not measured again."""

from dataclasses import replace
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from experiments.receptive_field import claims, study
from experiments.receptive_field.config import PRESETS
from jaxseg import ops
from jaxseg.studies import Results

QUICK = PRESETS["quick"]


def test_rows_hold_where_both_numbers_are_equal():
    row = study.compare("growth", "plain", "4 layers: pixels", 9, 9)
    assert row == {
        "study": "growth",
        "case": "plain",
        "quantity": "4 layers: pixels",
        "expected": "9",
        "measured": "9",
        "holds": True,
        "seeds": 0,
        "seconds": 0.0,
    }
    assert not study.compare("growth", "plain", "4 layers: pixels", 9, 10)["holds"]
    assert (
        study.compare("effective", "a", "width", 1.0, 1.01, holds=np.bool_(True))["holds"] is True
    )


def test_a_field_that_differs_between_its_axes_does_not_hold(monkeypatch):
    sizes = {"height": 11, "width": 11}

    def field(net, end):
        axes = tuple(SimpleNamespace(size=size) for size in sizes.values())
        return SimpleNamespace(axes=axes, output_size=(3, 3), coverage=lambda index: None)

    monkeypatch.setattr(study.probes, "exact_field", field)
    net = study.Net("a", lambda layers, x: {}, 32, {"end": 11})
    monkeypatch.setattr(study, "NETS", {"a": net})
    (row,) = study.standard_nets(QUICK)
    assert (row["expected"], row["measured"], row["holds"]) == ("11", "11", True)
    sizes["width"] = 13
    (row,) = study.standard_nets(QUICK)
    assert not row["holds"]


def test_growth_gridding_triples_and_paths_hold():
    config = replace(QUICK, layers=5)
    measured = {
        question: study.QUESTIONS[question](config)
        for question in ("growth", "gridding", "checkerboard", "hybrid", "paths")
    }
    assert all(row["holds"] for rows in measured.values() for row in rows)
    assert {row["study"]: len(rows) for rows in measured.values() for row in rows} == {
        "growth": 20,
        "gridding": 6,
        "checkerboard": 3,
        "hybrid": 3,
        "paths": 4,
    }
    sizes = {row["case"]: row["measured"] for row in measured["growth"]}
    assert sizes == {"plain": "11", "pooling": "94", "striding": "63", "dilation": "63"}
    assert [row["measured"] for row in measured["hybrid"]] == ["0", "124", "38"]
    assert [row["measured"] for row in measured["checkerboard"]] == ["4.0", "2.25", "1.0"]
    (kurtosis,) = {row["measured"] for row in measured["paths"][1:2]}
    assert kurtosis == str(3 - 1.5 / 20)


def test_wrong_triples_are_compared_at_the_rates_where_their_number_is_known():
    rows = study.hybrid(replace(QUICK, largest_rate=3))
    assert [row["quantity"] for row in rows] == [claims.FIRST_RATE_1]


def test_the_paths_that_meet_are_an_upconvolution_of_ones():
    for window, paths in study.overlap_maps(block=4).items():
        ones = ops.upconv(jnp.ones((1, 8, 8, 1)), jnp.ones((window, window, 1, 1)), stride=2)
        assert np.array_equal(paths, ones[0, 2:6, 2:6, 0])


def test_paths_are_those_of_both_axes():
    maps = study.path_maps()
    assert list(maps) == ["2 2 2", "1 2 5", "1 2 9"]
    assert [counts.shape for counts in maps.values()] == [(13, 13), (17, 17), (25, 25)]
    assert [counts.sum() for counts in maps.values()] == [27**2] * 3


def test_other_tools_are_asked_about_every_net():
    answers = claims.tool_answers(study.other_tools(QUICK))
    assert answers["AlexNet"] == {
        "exact": "195",
        "google-research": "195",
        "Fangyh09": "195",
        "fornaxai": "195",
    }
    assert answers["Rates 2 2 2"]["google-research"] == "7"
    assert answers["U-Net same 2x2"]["exact"] == "188 (4 of 16) and 204 (12 of 16)"
    assert {*answers} == {*study.COMPARED}


def test_the_first_number_that_is_wrong_is_named_unless_another_tool_gives_it():
    right = study.compare("growth", "plain", "4 layers: pixels", 9, 9)
    tool = study.compare("tools", "VGG-16", "fornaxai", 212, 211)
    wrong = study.compare("nets", "AlexNet", "pool5: pixels", 195, 196)
    assert study.failure([right, tool]) == ""
    assert study.failure([right, tool, wrong, wrong]) == (
        "2 of 4 numbers are not as expected, first nets, AlexNet, pool5: pixels: 196 in place of "
        "195."
    )


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """The tiny study without its figures: its configuration, and the questions that were asked."""
    asked = []

    def question(name, config):
        asked.append(name)
        quantities = study.probes.TOOLS if name == "tools" else ("quantity",)
        return [study.compare(name, "case", quantity, 1, 1) for quantity in quantities]

    def field(net, *, seeds, seed):
        asked.append((net.kind, net.depth, seeds))
        width = np.full(2, net.theory, np.float32)
        return {"energy": np.ones((3, 3)), "center": np.ones(2), "width": width}

    questions = {name: lambda config, name=name: question(name, config) for name in study.QUESTIONS}
    monkeypatch.setattr(study, "QUESTIONS", questions)
    monkeypatch.setattr(study.probes, "effective_field", field)
    monkeypatch.setattr(study, "draw", lambda *args: dict.fromkeys(study.CAPTIONS))
    return replace(PRESETS["tiny"], out=tmp_path), asked


def test_what_is_there_is_not_measured_again(tiny):
    config, asked = tiny
    assert study.run(config).failure == ""
    assert asked[: len(study.QUESTIONS)] == list(study.QUESTIONS)
    assert asked[len(study.QUESTIONS) :] == [(kind, 5, 8) for kind in claims.KINDS]
    asked.clear()
    study.run(replace(config, resume=True))
    assert asked == []
    study.run(replace(config, resume=True, depths=(5, 10)))
    assert asked == [(kind, 10, 8) for kind in claims.KINDS]


def test_more_seeds_replace_widths_that_were_measured_with_fewer(tiny):
    config, asked = tiny
    study.run(config)
    asked.clear()
    findings = study.run(replace(config, resume=True, seeds=9))
    assert asked == [(kind, 5, 9) for kind in claims.KINDS]
    assert "9 random ReLU nets" in findings.about
    rows = Results(config.out / "results.csv", study.COLUMNS, resume=True).rows
    assert [row["seeds"] for row in claims.select(rows, "effective")] == [9, 9, 9]
    # Fewer than are there: nothing is thrown away.
    asked.clear()
    assert "9 random ReLU nets" in study.run(replace(config, resume=True, seeds=4)).about
    assert asked == []


@pytest.mark.parametrize(("seeds", "apart", "holds"), [(64, 0.069, True), (64, 0.071, False)])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_width_holds_within_the_tolerance_of_its_seeds(
    tiny, monkeypatch, seeds, apart, holds, sign
):
    config, _ = tiny

    def field(net, *, seeds, seed):
        return {
            "energy": np.ones((3, 3)),
            "center": np.ones(2),
            "width": np.full(2, net.theory * (1 + sign * apart)),
        }

    monkeypatch.setattr(study.probes, "effective_field", field)
    findings = study.run(replace(config, seeds=seeds))
    assert ("3 of" in findings.failure) is not holds


def test_the_tolerance_falls_as_the_root_of_the_number_of_nets():
    assert claims.width_tolerance(64) == claims.TOLERANCE == 0.07
    assert claims.width_tolerance(16) == pytest.approx(0.14)
    assert claims.width_tolerance(256) == pytest.approx(0.035)
