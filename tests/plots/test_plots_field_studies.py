"""Figures of phases, overlaps, a rule's verdicts and widths show the numbers they are given."""

import numpy as np
import pytest

from jaxseg import plots
from jaxseg.plots.field_studies import VERDICTS


def texts(axes):
    return [text.get_text() for text in axes.get_legend().texts]


def test_output_phases_count_their_pixels(tmp_path):
    figure = plots.output_phases(np.array([[-1, 1], [-2, 2], [-2, 2], [-1, 1]]), title="t")
    left, right = figure.axes
    assert texts(left) == [
        "$3 \\times 3$\n(4 of 16)",
        "$3 \\times 5$ or $5 \\times 3$\n(8 of 16)",
        "$5 \\times 5$\n(4 of 16)",
    ]
    bars = [(bar.get_x(), bar.get_width()) for bar in right.patches]
    assert bars == [(-1.5, 3), (-2.5, 5), (-2.5, 5), (-1.5, 3)]
    figure.savefig(tmp_path / "f.png", dpi=40)


def test_one_phase_is_one_square():
    left, _ = plots.output_phases(np.array([[0, 6]])).axes
    assert texts(left) == ["$7 \\times 7$\n(1 of 1)"]


def test_overlaps_write_their_counts():
    first, second = plots.overlaps({"a": np.array([[1, 2], [2, 4]]), "b": np.full((1, 1), 3)}).axes
    assert [text.get_text() for text in first.texts] == ["1", "2", "2", "4"]
    assert first.get_xlabel() == "most over fewest: 4"
    assert second.get_xlabel() == "most over fewest: 1"


@pytest.mark.parametrize("largest", [1, 3, 5, 7])
def test_rule_of_triples_counts_its_verdicts(largest, tmp_path):
    kinds = np.arange(largest**3).reshape((largest,) * 3) % 4
    figure = plots.rule_of_triples(kinds, title="t")
    figure.savefig(tmp_path / "f.png", dpi=40)
    legends = [*figure.legends, *(a.get_legend() for a in figure.axes if a.get_legend())]
    (legend,) = legends
    counts = np.bincount(kinds.ravel(), minlength=4)
    assert [text.get_text() for text in legend.texts] == [
        f"{name}: {count}" for name, count in zip(VERDICTS, counts, strict=True)
    ]
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == [f"$r_1 = {r + 1}$" for r in range(largest)]


def test_width_growth_draws_three_lines_a_kind(tmp_path):
    figure = plots.width_growth(
        {"uniform": [5, 10], "other": [5]},
        {"uniform": [1.8, 2.6], "other": [2.0]},
        {"uniform": [1.83, 2.58], "other": [2.1]},
        {"uniform": [11, 21], "other": [9]},
    )
    (axes,) = figure.axes
    drawn = [list(line.get_ydata()) for line in axes.lines]
    assert drawn == [[11, 21], [1.83, 2.58], [1.8, 2.6], [9], [2.1], [2.0]]
    assert texts(axes)[:2] == ["uniform", "other"]
    figure.savefig(tmp_path / "f.png", dpi=40)
