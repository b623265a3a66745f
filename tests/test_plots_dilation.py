"""Figures of the dilation study: what is drawn is what is given."""

import numpy as np

from jaxseg import plots


def save(figure, tmp_path):
    figure.savefig(tmp_path / "f.png", dpi=40)
    assert (tmp_path / "f.png").stat().st_size > 1000
    return figure


def test_arms_stand_in_columns_and_a_lost_run_is_left_out(tmp_path):
    losses = {"a": [0.5, np.inf, 0.7], "b": [np.inf, np.inf]}
    ious = {"a": [0.3, 0.4, 0.5], "b": [0.1, 0.1]}
    widths = {arm: ([2.0, 2.2], [3.0, 3.4]) for arm in losses}
    figure = save(
        plots.rates_brought(
            losses, ious, {"a": 10**6, "b": 5 * 10**6}, widths, {"a": 2.1, "b": 2.1}, title="t"
        ),
        tmp_path,
    )
    left, middle, right = figure.axes
    labels = [tick.get_text() for tick in middle.get_xticklabels()]
    assert labels == ["a (1.0)", "b (5.0)"]
    assert [float(line.get_ydata()[0]) for line in left.lines if line.get_marker() == "o"] == [0.6]
    means = [float(line.get_xdata()[0]) for line in right.lines if line.get_marker() == "o"]
    assert means == [3.2, 3.2]


def test_the_frame_is_the_field_about_the_middle_pixel(tmp_path):
    energy = {"a": np.full((17, 17), np.nan), "b": np.ones((17, 17))}
    figure = save(plots.looked_at(energy, energy, {"a": 5, "b": 9}, title="t"), tmp_path)
    frames = [axes.patches[0].get_bbox().bounds for axes in figure.axes]
    assert frames == [(5.5, 5.5, 5, 5), (3.5, 3.5, 9, 9)] * 2


def test_a_net_is_a_column_of_prediction_logit_and_spectrum(tmp_path):
    logits = np.zeros((8, 8, 2))
    logits[:, 4:, 1] = 1
    spectra = np.ones((2, 5)), np.arange(1.0, 11.0).reshape(2, 5)
    figure = save(
        plots.gridding(
            np.zeros((8, 8, 1)),
            np.zeros((8, 8), int),
            {"a": logits},
            {"a": spectra},
            ((0, 0, 0), (255, 0, 0)),
            period=2,
            title="t",
        ),
        tmp_path,
    )
    grid = np.array(figure.axes).reshape(3, 2)
    shown = grid[0, 1].images[0].get_array()
    assert np.array_equal(shown[..., 0], logits[..., 1])
    after = grid[2, 1].lines[1].get_ydata()
    np.testing.assert_allclose(
        after, np.mean([np.arange(1, 6) / 15, np.arange(6, 11) / 40], axis=0)
    )
