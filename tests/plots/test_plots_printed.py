"""Figures for print: log axes with plain numbers, titles in lines, keys of classes."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from jaxseg.plots import PAGE, class_key, headline, plain_log_scale, tidy
from jaxseg.plots.printed import PlainLogLocator


def labels(low, high, *, axis="y", **options):
    """The tick labels of a log axis between two numbers."""
    figure = Figure(figsize=(4, 3))
    axes = figure.subplots()
    plain_log_scale(axes, axis, **options)
    axes.set(**{f"{axis}lim": (low, high)})
    FigureCanvasAgg(figure).draw()
    chosen = axes.yaxis if axis == "y" else axes.xaxis
    assert not len(chosen.get_minorticklocs())
    return [tick.get_text() for tick in chosen.get_majorticklabels()]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.4, 1.1, ["0.4", "0.5", "0.6", "0.8", "1"]),
        (0.9, 60, ["1", "2", "5", "10", "20", "50"]),
        (20, 70, ["20", "30", "40", "50", "60"]),
        (1e-6, 1e6, ["$10^{-6}$", "0.001", "1", "1000", "$10^{6}$"]),
        (1e-3, 1, ["0.001", "0.01", "0.1", "1"]),
    ],
)
@pytest.mark.parametrize("axis", ["x", "y"])
def test_log_axes_have_a_few_plain_numbers(low, high, expected, axis):
    assert labels(low, high, axis=axis) == expected


def test_a_log_axis_has_ticks_however_little_it_spans():
    for factor in (1.3, 2, 5, 50, 1e4, 1e30):
        assert 1 <= len(labels(0.7, 0.7 * factor)) <= 6
        assert len(labels(0.7, 0.7 * factor, most=3)) <= 3


def test_limits_that_are_no_range_have_no_ticks():
    assert len(PlainLogLocator().tick_values(0.0, 1.0)) == 0
    assert len(PlainLogLocator().tick_values(1.0, np.inf)) == 0
    assert PlainLogLocator().tick_values(10.0, 1.0).tolist() == [1, 2, 3, 5, 10]


def test_a_headline_is_as_wide_as_its_figure():
    text = "a title of quite a few words that would not fit in one line of a narrow figure"
    narrow, wide = Figure(figsize=(3, 2)), Figure(figsize=(PAGE, 2))
    for figure in (narrow, wide):
        headline(figure, f"first\n{text}")
    assert wide.get_suptitle() == f"first\n{text}"
    assert len(narrow.get_suptitle().splitlines()) > 2
    assert narrow.get_suptitle().replace("\n", " ") == f"first {text}"


def test_a_key_names_every_class():
    palette, names = ((255, 0, 0), (0, 0, 255)), ("brick", "grass")
    handles = class_key(palette, names, ignored=True)
    assert [handle.get_label() for handle in handles] == ["brick", "grass", "ignored"]
    assert handles[1].get_facecolor() == (0, 0, 1, 1)
    assert len(class_key(palette, names)) == 2


def test_texts_are_of_one_size():
    axes = Figure().subplots()
    axes.set(title="t", xlabel="x", ylabel="y")
    tidy(axes, size=7)
    sizes = [text.get_fontsize() for text in (axes.title, axes.xaxis.label, axes.yaxis.label)]
    assert sizes == [7.5, 7, 7]
    assert {tick.get_fontsize() for tick in axes.get_xticklabels()} == {6.5}
    assert not axes.spines["top"].get_visible()
