"""Costs as ratios."""

from jaxseg import plots


def test_ratios_draws_a_dot_a_case_and_the_reference_as_a_line():
    rows = [
        {"case": case, "way": way, "ratio": ratio}
        for case, ratio in (("small", 0.5), ("large", 40.0))
        for way, ratio in (("jaxseg", ratio), ("plain lax", 2 * ratio), ("PyTorch", 1.0))
    ]
    figure = plots.ratios(rows)
    (axes,) = figure.axes
    drawn = {line.get_label(): line.get_xdata().tolist() for line in axes.lines[:-1]}
    assert drawn == {"jaxseg": [0.5, 40.0], "plain lax": [1.0, 80.0]}
    assert [label.get_text() for label in axes.get_yticklabels()] == ["small", "large"]
