"""Texts that lie on each other or off the page are found, and no others."""

import pytest
from matplotlib.figure import Figure
from text_layout import unreadable


def figure_with(*texts, size=(3, 2)):
    """A figure with texts at shares of its width and height, turned by degrees."""
    figure = Figure(figsize=size)
    for x, y, text, angle in texts:
        figure.text(x, y, text, rotation=angle, ha="center", va="center", fontsize=10)
    return figure


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ([(0.5, 0.5, "one", 0), (0.5, 0.8, "two", 0)], []),
        ([(0.5, 0.5, "one", 0), (0.53, 0.5, "two", 0)], ["'one' lies on 'two'"]),
        ([(0.5, 0.5, "one", 90), (0.53, 0.5, "two", 90)], ["'one' lies on 'two'"]),
        ([(0.01, 0.5, "one", 0)], ["'one' is off the page"]),
        ([(0.5, 0.99, "one", 0)], ["'one' is off the page"]),
        # Their upright boxes overlap, they do not.
        ([(0.4, 0.5, "a long name", 45), (0.5, 0.5, "a long name", 45)], []),
    ],
)
def test_texts_are_compared_as_they_are_turned(texts, found):
    assert unreadable(figure_with(*texts)) == found


def test_ticks_count_where_they_are_drawn():
    figure = Figure(figsize=(3, 2), layout="constrained")
    axes = figure.subplots()
    axes.set(xticks=[0, 1, 2], xlim=(0, 1), ylim=(0, 1))  # 2 is beyond the axis
    assert unreadable(figure) == []
    axes.set_xticks([0, 0.01], ["one name", "another"])
    assert "'one name' lies on 'another'" in unreadable(figure)
