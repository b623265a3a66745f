"""Figures of long and short skips show the numbers they are given."""

import numpy as np

from jaxseg import plots


def test_losses_are_means_over_epochs_and_seeds(tmp_path):
    losses = {"both": np.array([[1.0, 3.0, 0.0, 2.0, 9.0], [3.0, 5.0, 2.0, 4.0, 9.0]])}
    figure = plots.skip_curves(losses, {"both": np.array([0.5, 0.7])}, chance=1.1, every=2)
    left, right = figure.axes
    assert left.lines[0].get_ydata().tolist() == [3, 2]
    assert left.lines[1].get_ydata()[0] == 1.1
    np.testing.assert_allclose(right.lines[1].get_ydata(), 0.6)
    figure.savefig(tmp_path / "f.png", dpi=40)


def test_updates_are_geometric_means_on_one_scale(tmp_path):
    updates = {"no skips": np.full((2, 3, 4), 0.1), "both": np.full((2, 3, 4), 0.01)}
    updates["both"][1] = 1.0
    figure = plots.update_maps(updates, {"1/1 down": (1, 2), "1/2": (2, 3)})
    first, second = figure.axes[:2]
    np.testing.assert_allclose(second.images[0].get_array(), np.full((4, 3), 0.1))
    assert first.images[0].norm is second.images[0].norm
    assert [t.get_text() for t in first.get_yticklabels()] == ["1/1 down", "1/2"]
    figure.savefig(tmp_path / "f.png", dpi=40)
