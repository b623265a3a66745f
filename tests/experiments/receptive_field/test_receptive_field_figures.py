"""The figures of the receptive_field study show the numbers that they are given."""

import numpy as np
import pytest

from experiments.receptive_field import figures, probes, study
from experiments.receptive_field.config import PRESETS


def texts(legend):
    return [text.get_text() for text in legend.texts]


@pytest.mark.parametrize("largest", [1, 3, 5, 7])
def test_rule_of_triples_counts_its_kinds(largest, tmp_path):
    kinds = np.arange(largest**3).reshape((largest,) * 3) % 4
    figure = figures.rule_of_triples(kinds)
    figure.savefig(tmp_path / "f.png", dpi=40)
    (legend,) = figure.legends
    counts = np.bincount(kinds.ravel(), minlength=4)
    assert texts(legend) == [
        f"{name}: {count}" for name, count in zip(figures.TRIPLE_COLORS, counts, strict=True)
    ]
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == [f"$r_1 = {r + 1}$" for r in range(largest)]
    for axes, expected in zip(panels, kinds, strict=True):
        (mesh,) = axes.collections
        assert np.array_equal(mesh.get_array().reshape(largest, largest), expected)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ([], r"is sufficient, and necessary"),
        ([(0, 1)], r"is not sufficient, and necessary"),
        ([(1, 1)], r"is not sufficient, unless $r_1 = 1$, and necessary"),
        ([(1, 2)], r"is sufficient, and not necessary"),
    ],
)
def test_the_title_says_what_the_kinds_mean(wrong, text):
    kinds = np.zeros((2, 2, 2), int)
    for first, kind in wrong:
        kinds[first, 0, 0] = kind
    assert figures.triples_title(kinds).endswith(text)


def effective(kind, depth, width):
    net = probes.RandomNet(kind, depth, (1,), 2)
    return figures.Effective(net, np.ones((3, 3)), np.ones(2), np.full(2, width))


def test_width_growth_draws_three_lines_a_kind(tmp_path):
    line = [effective("uniform", 5, 1.8), effective("uniform", 10, 2.6)]
    figure = figures.width_growth(
        {"uniform": line, "residual": [effective("residual", 5, 2.0)]}, title="t"
    )
    (axes,) = figure.axes
    drawn = [list(line.get_ydata()) for line in axes.lines]
    theory = np.sqrt(2 / 3 * np.array([5, 10])).tolist()
    assert drawn[0] == [11, 21]
    assert drawn[1] == pytest.approx(theory)
    assert drawn[2] == pytest.approx([1.8, 2.6])
    assert drawn[3] == [11]
    assert drawn[4] == pytest.approx([np.sqrt(5 / 3)])
    assert drawn[5] == pytest.approx([2.0])
    assert texts(axes.get_legend())[:2] == ["uniform", "residual"]
    figure.savefig(tmp_path / "f.png", dpi=40)


def test_variants_are_drawn_by_stage_and_what_is_published_is_circled(tmp_path):
    sizes = {"a": [35, 99, 483], "b": [35, 91, 427]}
    figure = figures.field_by_stage(sizes, {"a": {2: 483}})
    figure.savefig(tmp_path / "f.png", dpi=40)
    (axes,) = figure.axes
    drawn = [tuple(line.get_ydata()) for line in axes.lines]
    assert drawn == [(35, 99, 483), (483,), (35, 91, 427), ()]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["stage 1", "stage 2", "stage 3"]
    assert sorted(text.get_text() for text in axes.texts) == ["35", "427", "483", "91", "99"]
    assert texts(axes.get_legend()) == ["a", "published", "b"]


def test_a_resnet_sees_less_where_it_strides_later():
    sizes, published = figures.bottlenecks()
    assert sizes == {"ResNet-50 v1": [35, 99, 291, 483], "ResNet-50 v1.5": [35, 91, 267, 427]}
    assert published == {"ResNet-50 v1": {0: 35, 1: 99, 2: 291, 3: 483}}


def test_windows_grow_from_scale_to_scale_about_the_middle():
    windows = figures.nested_windows(256)
    sizes = [last - first + 1 for (first, last), _ in windows.values()]
    assert list(windows) == [*(f"scale {n}" for n in range(1, 6)), "output"]
    assert sizes == sorted(sizes)
    assert (sizes[0], sizes[-1]) == (5, 204)
    assert all(first <= 128 <= last for window in windows.values() for first, last in window)


def test_every_figure_has_a_caption():
    config = PRESETS["tiny"]
    rows = study.growth(config)
    fields = [effective(kind, 5, 2.0) for kind in ("uniform", "dilated", "residual")]
    drawn = figures.draw(
        config, rows, study.path_maps(), study.overlap_maps(), probes.triple_kinds(3), fields
    )
    assert list(drawn) == list(figures.CAPTIONS)
    lines = {tuple(line.get_ydata()) for line in drawn["growth.png"].axes[0].lines}
    assert {(3, 5, 7), (4, 10, 22), (3, 7, 15)} <= lines
