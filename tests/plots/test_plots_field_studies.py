"""Figures of phases and overlaps show the numbers that they are given."""

import numpy as np

from jaxseg import plots


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
