"""Figures of upconvolutions show the numbers they are given."""

import numpy as np
import pytest

from jaxseg import plots


def test_two_ways_to_one_output(tmp_path):
    parts = np.arange(16.0).reshape(4, 2, 2)
    outputs = np.arange(36.0).reshape(4, 3, 3)
    output = np.zeros((6, 6))
    for number in range(4):
        output[number // 2 :: 2, number % 2 :: 2] = outputs[number]
    figure = plots.upconvolution(
        np.eye(3), np.zeros((5, 5)), np.arange(16.0).reshape(4, 4), output, parts, outputs
    )
    axes = figure.axes
    assert axes[7].get_xlabel().endswith("0e+00")
    np.testing.assert_array_equal(axes[7].images[0].get_array(), output)
    # Of 25 pixels of the dilated input 9 are the image's own.
    assert len(axes[1].patches) == 16
    assert [text.get_text() for text in axes[2].texts][:3] == ["", "1", "2"]
    figure.savefig(tmp_path / "f.png", dpi=40)


def test_drawn_layers_stand_beside_theory():
    rows = [
        {"quantity": q, "case": c, "theory": 4.0, "measured": 3.5, "error": 0.25}
        for q, c in (("share", "upconv k2s2"), ("share", "other"), ("power", "sub-pixel"))
    ]
    first, second = plots.drawn_checkerboards(rows).axes
    assert [t.get_text() for t in first.get_xticklabels()] == ["upconv k2s2", "other"]
    assert second.lines[0].get_ydata().tolist() == [4, 4]
    bars = second.containers[0].lines[2][0].get_segments()[0]
    assert bars[:, 1].tolist() == [3, 4]


def test_energies_are_means_over_seeds_and_their_range():
    steps, runs = np.array([0, 5]), np.array([[0.0, 2.0], [0.0, 4.0]])
    curves = {"sub-pixel ICNR": (steps, runs)}
    left, right = plots.checkerboards(curves, curves, labels=0.4).axes
    assert left.lines[0].get_ydata().tolist() == [0, 3]
    assert 0.4 in [line.get_ydata()[0] for line in left.lines]
    assert right.get_yscale() == "symlog"
    assert left.collections[0].get_paths()[0].vertices[:, 1].max() == 4


@pytest.mark.parametrize("arms", [1, 3])
def test_decoders_are_columns(arms, tmp_path):
    picture = np.ones((4, 4))
    names = ("logit", "spectrum", "logit, trained", "spectrum, trained")
    views = {f"arm {n}": (picture, picture, 0 * picture, picture) for n in range(arms)}
    figure = plots.decoders(np.ones((4, 4, 3)), np.ones((4, 4, 3)), views, names)
    assert len(figure.axes) == 4 * (arms + 1)
    figure.savefig(tmp_path / "f.png", dpi=40)
