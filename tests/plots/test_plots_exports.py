import numpy as np
import pytest

from jaxseg import plots


def test_the_figure_shows_every_export_and_its_largest_difference():
    logits = np.random.default_rng(0).normal(size=(2, 5, 6, 3)).astype(np.float32)
    figure = plots.export_parity(logits, {"same": logits, "off": logits + np.float32(1e-3)})
    scatter, histogram = figure.axes
    same, off = (line.get_ydata() for line in scatter.lines[:2])
    np.testing.assert_allclose(off, 1e-3, rtol=1e-2)
    assert np.max(same) < 1e-7
    assert len(same) == logits.size
    labels = [text.get_text() for text in histogram.get_legend().get_texts()]
    assert any(label.startswith("same: at most 0.0e+00") for label in labels)
    assert any(label.startswith("off: at most 1.0e-03") for label in labels)


def test_what_does_not_fit_is_refused():
    logits = np.zeros((1, 2, 2, 3), np.float32)
    with pytest.raises(ValueError, match=r"other: logits \(1, 2, 2\) must have"):
        plots.export_parity(logits, {"other": logits[..., 0]})
    with pytest.raises(ValueError, match="exported is empty"):
        plots.export_parity(logits, {})
