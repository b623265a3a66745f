"""Figures of the dilation study show the numbers they are given."""

from types import SimpleNamespace

import numpy as np

from experiments.dilation import figures
from experiments.dilation.nets import ARMS


def save(figure, tmp_path):
    figure.savefig(tmp_path / "f.png", dpi=40)
    assert (tmp_path / "f.png").stat().st_size > 1000
    return figure


def test_arms_stand_in_columns_and_a_lost_run_is_left_out(tmp_path):
    losses = {"plain": np.array([0.5, np.inf, 0.7]), "cascade": np.array([np.inf, np.inf])}
    ious = {"plain": np.array([0.3, 0.4, 0.5]), "cascade": np.array([0.1, 0.1])}
    widths = {arm: ([2.0, 2.2, 9.0], [3.0, 3.4, 0.5]) for arm in losses}
    costs = {"plain": 10**6, "cascade": 5 * 10**6}
    figure = save(figures.outcomes(losses, ious, costs, widths, title="t"), tmp_path)
    left, middle, right = figure.axes
    labels = [tick.get_text() for tick in left.get_yticklabels()]
    assert labels == ["plain, 1.0 M", "equal rates, 5.0 M"]
    assert middle.get_xlabel() == "mean IoU"
    assert [float(line.get_xdata()[0]) for line in left.lines if line.get_marker() == "o"] == [0.6]
    medians = [float(line.get_xdata()[0]) for line in right.lines if line.get_marker() == "o"]
    assert medians == [3.0, 3.0]
    before = [float(line.get_xdata()[0]) for line in right.lines if line.get_marker() == "s"]
    assert before == [2.2, 2.2]
    theory = [line.get_xdata()[0] for line in right.lines if line.get_linestyle() == "--"]
    np.testing.assert_allclose(theory, [ARMS["plain"].walk, ARMS["cascade"].walk])


def test_the_frame_is_the_field_about_the_middle_pixel(tmp_path):
    before = {"plain": np.full((17, 17), np.nan), "degridded": np.ones((17, 17))}
    after = {arm: 2 * energy for arm, energy in before.items()}
    figure = save(figures.effective_fields(before, after, title="t"), tmp_path)
    frames = [axes.patches[0].get_bbox().bounds for axes in figure.axes]
    assert frames == [(1.5, 1.5, 13, 13), (-2.5, -2.5, 21, 21)] * 2
    shown = [float(np.max(axes.images[0].get_array())) for axes in figure.axes]
    assert shown == [0, 1, 0, 2]


def test_a_net_is_a_column_of_prediction_logit_and_spectrum(tmp_path):
    """Of the class that is most frequent in the mask, which is not the first one here."""
    logits = np.zeros((2, 3, 8, 8, 2))
    logits[0, 0, :, 4:, 1] = 1
    spectra = {"before": np.ones((2, 5)), "after": np.arange(1.0, 11.0).reshape(2, 5)}
    mask = np.ones((8, 8), int)
    mask[0] = 255
    info = SimpleNamespace(palette=((0, 0, 0), (255, 0, 0)), class_names=("one", "two"))
    sweep = SimpleNamespace(
        dataset=SimpleNamespace(info=info),
        validation=[{"image": np.zeros((8, 8, 1), np.uint8), "label": mask}],
        read_array=lambda kind, *, stage, arm: logits if kind == "logits" else spectra[stage],
    )
    figure = save(figures.gridding(sweep, ["cascade"], title="t"), tmp_path)
    grid = np.array(figure.axes).reshape(3, 2)
    predicted = grid[0, 1].images[0].get_array()
    assert np.array_equal(predicted[..., 0], logits[0, 0, :, :, 1])
    np.testing.assert_array_equal(grid[1, 1].images[0].get_array(), logits[0, 0, :, :, 1])
    before, after = (grid[2, 1].lines[n].get_ydata() for n in (0, 1))
    np.testing.assert_allclose(before, np.full(5, 0.2))
    np.testing.assert_allclose(
        after, np.mean([np.arange(1, 6) / 15, np.arange(6, 11) / 40], axis=0)
    )
    np.testing.assert_allclose(grid[2, 1].lines[1].get_xdata(), [0, 0.125, 0.25, 0.375, 0.5])
    edges = grid[2, 1].collections[1].get_paths()[0].vertices[:, 1]
    np.testing.assert_allclose((edges.min(), edges.max()), (1 / 15, 5 / 15))
