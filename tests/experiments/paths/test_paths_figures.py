"""Figures of paths and lesions show the numbers they are given."""

import numpy as np
import pytest

from experiments.paths import figures
from experiments.paths.claims import ByLength, Curves, Losses


def test_gradients_by_length_are_drawn_with_their_theory(tmp_path):
    before, theory = np.array([[0.1, 0.9], [0.3, 0.7], [0.2, 0.8]]), np.array([0.25, 0.75])
    untrained, trained = ByLength(before, theory), ByLength(before, theory, before[::-1] + 1)
    other = ByLength(before + 5, theory)
    curves = {"a": Curves(untrained, other, untrained), "b": Curves(trained, trained, trained)}
    figure = figures.gradient_by_length(curves, title="t")
    assert len(figure.axes) == 6
    first, second, third = figure.axes[:3]
    np.testing.assert_allclose(first.lines[0].get_ydata(), [0.2, 0.8])
    np.testing.assert_allclose(first.lines[-1].get_ydata(), theory)
    np.testing.assert_allclose(third.lines[0].get_ydata(), [5.2, 5.8])
    edges = first.collections[0].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose((edges.min(), edges.max()), (0.1, 0.9))
    assert [len(axes.lines) for axes in (first, second)] == [2, 3]
    np.testing.assert_allclose(second.lines[1].get_ydata(), [1.2, 1.8])
    labels = [text.get_text() for text in figure.legends[0].texts]
    assert labels == ["before training", "theory before training", "after training"]
    figure.savefig(tmp_path / "f.png", dpi=40)


@pytest.mark.parametrize("blocks", [53, 54])
def test_the_published_range_is_marked_in_nets_of_as_many_blocks(blocks):
    curve = ByLength(np.ones((2, blocks + 1)), np.ones(blocks + 1))
    figure = figures.gradient_by_length({"a": Curves(curve, curve, curve)})
    labels = [text.get_text() for text in figure.legends[0].texts]
    assert ("published for CIFAR, ResNet-110" in labels) == (blocks == 54)
    spans = [patch.get_bbox() for patch in figure.axes[0].patches]
    assert [(span.x0, span.x1) for span in spans] == ([(5, 17)] if blocks == 54 else [])


def test_lesions_show_medians_and_chance(tmp_path):
    losses = Losses(
        np.array([0.5, 0.7, 0.7]),
        np.array([[0.6, 0.8, 1.0], [0.8, 1.0, 1.2], [0.9, 1.0, 9.0]]),
        {2: np.array([1.0, 3.0]), 1: np.array([0.6, 0.8])},
        {2: np.array([0.9])},
    )
    figure = figures.lesions([{"plain": losses}, {"residual": losses}], chance=1.1, title="t")
    assert len(figure.axes) == 6
    single, many, moved = figure.axes[:3]
    np.testing.assert_allclose(single.lines[0].get_xdata(), [1, 2, 3])
    np.testing.assert_allclose(single.lines[0].get_ydata(), [0.8, 1.0, 1.2])
    np.testing.assert_allclose(single.lines[1].get_ydata(), [0.7, 0.7])
    np.testing.assert_allclose(many.lines[0].get_ydata(), [0.7, 2.0])
    np.testing.assert_allclose(many.lines[0].get_xdata(), [1, 2])
    assert [line.get_ydata().tolist() for line in moved.lines[:1]] == [[0.9]]
    assert any(list(line.get_ydata()) == [1.1, 1.1] for line in moved.lines)
    assert single.get_title() == "3 blocks:\nwithout one block"
    figure.savefig(tmp_path / "f.png", dpi=40)


def test_arms_side_by_side_are_shifted():
    losses = Losses(np.ones(2), np.ones((2, 3)), {2: np.ones(2)}, {2: np.ones(2)})
    many = figures.lesions([{"plain": losses, "residual": losses}], chance=1.0).axes[1]
    places = [float(line.get_xdata()[0]) for line in many.lines if line.get_marker() == "o"]
    assert places[0] < 2 < places[1]


def test_bars_reach_from_the_first_tenth_to_the_last():
    draws = np.arange(11.0)
    losses = Losses(np.ones(2), np.ones((2, 3)), {2: draws}, {2: draws + 5})
    _, many, moved = figures.lesions([{"plain": losses}], chance=1.0).axes
    for axes, ends in ((many, [1, 9]), (moved, [6, 14])):
        ((bar,),) = [collection.get_segments() for collection in axes.collections]
        np.testing.assert_allclose(bar[:, 1], ends)
