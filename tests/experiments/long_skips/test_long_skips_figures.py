"""Figures of long and short skips show the numbers they are given."""

import numpy as np

from experiments.long_skips import figures
from experiments.long_skips.nets import ARMS


def test_losses_are_means_over_epochs_and_medians_over_seeds(tmp_path):
    losses = {
        "both": np.array(
            [[1.0, 3.0, 0.0, 2.0, 9.0], [3.0, 5.0, 2.0, 4.0, 9.0], [9.0, 9.0, 9.0, 9.0, 9.0]]
        )
    }
    ious = {"both": np.array([0.5, 0.6, 0.9])}
    figure = figures.skip_curves(losses, ious, chance=1.1, every=2)
    left, right = figure.axes
    assert left.lines[0].get_ydata().tolist() == [4, 3]
    edges = left.collections[0].get_paths()[0].vertices[:, 1]
    assert (edges.min(), edges.max()) == (1, 9)
    assert left.lines[1].get_ydata()[0] == 1.1
    np.testing.assert_allclose(right.lines[1].get_ydata(), 0.6)
    np.testing.assert_allclose(right.lines[0].get_ydata(), [0.5, 0.6, 0.9])
    figure.savefig(tmp_path / "f.png", dpi=40)


def test_updates_are_geometric_means_on_one_scale(tmp_path):
    updates = {"no skips": np.full((2, 3, 4), 0.1), "both": np.full((2, 3, 4), 0.01)}
    updates["both"][1] = 1.0
    updates["both"][:, 2, 3] = 5.0
    figure = figures.update_maps(updates, {"1/1 down": (1, 2), "1/2": (2, 3)})
    first, second = figure.axes[:2]
    expected = np.full((4, 3), 0.1)
    expected[3, 2] = 5  # layers downwards, epochs to the right
    np.testing.assert_allclose(second.images[0].get_array(), expected)
    assert first.images[0].norm is second.images[0].norm
    assert [t.get_text() for t in first.get_yticklabels()] == ["1/1 down", "1/2"]
    figure.savefig(tmp_path / "f.png", dpi=40)


def test_epochs_that_were_lost_are_left_blank(tmp_path):
    updates = {"both": np.full((2, 2, 4), np.nan)}
    figures.update_maps(updates, {"1/1": (1, 2)}).savefig(tmp_path / "f.png", dpi=40)


def test_every_arm_has_a_style_of_its_own():
    assert [*figures.STYLES] == [*ARMS]
    assert len({*figures.STYLES.values()}) == len(ARMS)
