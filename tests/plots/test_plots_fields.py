"""Figures of receptive fields: what is drawn lies where the pixels are."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba
from matplotlib.patches import Ellipse, Rectangle

from jaxseg import plots
from jaxseg.plots import fields


def save(figure, tmp_path):
    figure.savefig(tmp_path / "f.png", dpi=40)
    assert (tmp_path / "f.png").stat().st_size > 1000
    assert plt.get_fignums() == []
    return figure


def frames(axes, color=None):
    """(left, top, width, height) of each frame that is not a rim, in pixels from -0.5."""
    found = [p for p in axes.patches if isinstance(p, Rectangle) and p.get_zorder() >= 1]
    if color:
        found = [p for p in found if p.get_edgecolor() == to_rgba(color)]
    return [(*p.get_xy(), p.get_width(), p.get_height()) for p in found]


# --- windows -------------------------------------------------------------------------------------

WINDOWS = [((4, 6), (5, 9)), ((-2, 12), (0, 14)), ((-2, 12), (0, 14))]


@pytest.mark.parametrize(
    "image",
    [(10, 12), (1, 1), np.zeros((10, 12)), np.ones((10, 12, 3)), 2 * np.ones((10, 12, 1)) - 0.5],
    ids=["size", "pixel", "gray", "color", "channel"],
)
def test_windows_frame_their_pixels_inside_the_axes(image, tmp_path):
    (axes,) = save(plots.windows(image, WINDOWS, ["a", "b", "c"], title="t"), tmp_path).axes
    assert frames(axes) == [(4.5, 3.5, 5, 3), (-0.5, -2.5, 15, 15), (-0.5, -2.5, 15, 15)]
    left, right = axes.get_xlim()
    bottom, top = axes.get_ylim()
    assert left < -0.5 < 14.5 < right
    assert top < -2.5 < 12.5 < bottom
    labels = [text.get_text() for text in axes.get_legend().texts]
    assert labels == [r"a: $3 \times 5$", r"b: $15 \times 15$", r"c: $15 \times 15$"]


def test_of_equal_windows_the_later_is_dashed():
    (axes,) = plots.windows((20, 20), WINDOWS, ["a", "b", "c"]).axes
    lines = [p.get_linestyle() for p in axes.patches if p.get_zorder() >= 1]
    assert [line in ("-", "solid") for line in lines] == [True, True, False]


def test_windows_and_labels_must_match():
    with pytest.raises(ValueError, match="shorter"):
        plots.windows((20, 20), WINDOWS, ["a"])


# --- path counts ---------------------------------------------------------------------------------


def test_holes_are_masked_and_named(tmp_path):
    gridded = np.outer([1, 0, 3, 0, 1], [1, 0, 3, 0, 1])
    full = np.outer([1, 2, 1], [1, 2, 1])
    figure = save(plots.path_counts({"gridded": gridded, "full": full}, title="t"), tmp_path)
    first, second = figure.axes[:2]
    drawn = [axes.images[0].get_array() for axes in (first, second)]
    np.testing.assert_array_equal(drawn[0].mask, gridded == 0)
    np.testing.assert_allclose(drawn[0].compressed(), gridded[gridded > 0] / 9)
    np.testing.assert_allclose(drawn[1], full / 4)
    assert [axes.get_xlabel() for axes in (first, second)] == [
        "9 of 25 pixels seen",
        "9 of 9 pixels seen",
    ]
    # Both on one scale, and holes in a color that is not on it.
    assert {axes.images[0].norm.vmin for axes in (first, second)} == {1 / 9}
    palette = first.images[0].cmap
    assert tuple(palette(np.ma.masked)) == to_rgba(fields.HOLE)
    assert [t.get_text() for t in figure.legends[0].texts] == ["hole: no path"]


def test_without_holes_no_hole_is_named(tmp_path):
    assert not save(plots.path_counts({"even": np.ones((4, 4))}), tmp_path).legends


def test_counts_beyond_64_bits(tmp_path):
    counts = np.array([1, 3**50, 1], dtype=object)
    save(plots.path_counts({"many": np.outer(counts, counts)}), tmp_path)


@pytest.mark.parametrize("counts", [np.ones(3), np.zeros((3, 3)), np.ones((2, 2, 2))])
def test_counts_that_are_no_map(counts):
    with pytest.raises(ValueError, match=r"counts of 'x'.*np\.outer"):
        plots.path_counts({"x": counts})


# --- effective fields ----------------------------------------------------------------------------


def gaussian(rows, columns, center, width):
    at = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
    map_ = np.exp(-0.5 * sum(((a - c) / w) ** 2 for a, c, w in zip(at, center, width, strict=True)))
    return map_ / map_.sum()


def test_effective_field(tmp_path):
    energy = [gaussian(31, 41, (15, 20), (3, 5)), np.eye(31)]
    windows = [((5, 25), (0, 40)), ((-3, 33), (0, 30))]
    center, width = np.array([(15, 20), (15, 15)]), np.array([(3, 5), (8.9, 8.9)])
    options = {"labels": ["a", "b"], "title": "t"}
    figure = save(plots.effective_field(energy, windows, center, width, **options), tmp_path)
    heat, other, profile, _ = figure.axes
    assert [axes.get_title() for axes in (heat, other)] == ["a", "b"]
    assert frames(heat, fields.WINDOW) == [(-0.5, 4.5, 41, 21)]
    ellipses = [p for p in heat.patches if isinstance(p, Ellipse)]
    assert [(*p.center, p.width, p.height) for p in ellipses] == [(20, 15, 10, 6), (20, 15, 20, 12)]
    # The bell is the density of what is drawn as steps.
    steps, bell, *edges = profile.lines
    np.testing.assert_allclose(steps.get_ydata().sum(), 1)
    expected = np.interp(np.arange(41), *bell.get_data())
    np.testing.assert_allclose(steps.get_ydata(), expected, atol=1e-4)
    assert [edge.get_xdata()[0] for edge in edges] == [-0.5, 40.5]
    assert other.get_ylim()[0] > 33.5
    assert other.get_ylim()[1] < -3.5


def test_a_dead_net_and_a_field_of_one_pixel_still_draw(tmp_path):
    energy = [np.full((5, 5), np.nan), np.eye(5)[2][:, None] * np.eye(5)[2]]
    center, width = [(np.nan, np.nan), (2, 2)], [(np.nan, np.nan), (0, 0)]
    window = ((0, 4), (0, 4))
    save(plots.effective_field(energy, [window] * 2, center, width, labels=["a", "b"]), tmp_path)


def test_energy_must_be_a_map():
    with pytest.raises(ValueError, match=r"energy of 'a' has shape \(5,\)"):
        plots.effective_field(np.ones((1, 5)), [((0, 4),)], [(2,)], [(1,)], labels=["a"])


# --- growth --------------------------------------------------------------------------------------


def test_growth_shows_lines_that_coincide(tmp_path):
    sizes = {"dilation": [3, 7, 15], "striding": [3, 7, 15], "plain": [3, 5, 7], "other": [3, 4, 5]}
    (axes,) = save(plots.field_growth([1, 2, 3], sizes, title="t"), tmp_path).axes
    drawn = {line.get_label(): line for line in axes.lines}
    assert {name: list(line.get_ydata()) for name, line in drawn.items()} == sizes
    wide, narrow = drawn["striding"], drawn["dilation"]
    assert wide.get_linewidth() > 2 * narrow.get_linewidth()
    assert wide.get_zorder() < narrow.get_zorder()
    assert sorted(int(text.get_text()) for text in axes.texts) == [5, 7, 15]
    assert axes.get_yscale() == "log"
