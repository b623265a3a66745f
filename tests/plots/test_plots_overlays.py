"""Labels over images: tints, borders, ignored pixels; a legend of what occurs; bars in order."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from jaxseg import plots

PALETTE = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
NAMES = ("one", "two", "three")
IMAGE = np.full((4, 8, 1), 0.5)
LABEL = np.repeat(np.array([[0, 0, 1, 255]]), 4, 0).repeat(2, 1)


def test_an_overlay_tints_borders_are_stronger_and_ignored_pixels_gray():
    drawn = plots.overlay(IMAGE, LABEL, PALETTE, alpha=0.4)
    np.testing.assert_allclose(drawn[0, 0], [0.7, 0.3, 0.3])
    np.testing.assert_allclose(drawn[0, 3], [0.925, 0.075, 0.075])  # beside the class 1
    np.testing.assert_allclose(drawn[0, 4], [0.3, 0.7, 0.3])
    ignored = drawn[:, 6:]
    assert (ignored == ignored[..., :1]).all()
    assert len(np.unique(ignored)) == 2
    np.testing.assert_allclose(plots.overlay(IMAGE, LABEL, PALETTE, alpha=0)[0, 0], [0.5] * 3)


def labels_of(figure):
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


@pytest.mark.parametrize("count", [1, 3])
def test_a_contact_sheet_has_every_image_and_the_classes_that_occur(tmp_path, count):
    figure = plots.contact_sheet(
        [IMAGE] * count, [LABEL] * count, PALETTE, NAMES, columns=2, titles=list("abc"), title="t"
    )
    figure.savefig(tmp_path / "f.png", dpi=40)
    assert len(figure.axes) == count
    shown = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(shown[:, :8], 0.5)
    np.testing.assert_allclose(shown[:, 8:], plots.overlay(IMAGE, LABEL, PALETTE))
    assert labels_of(figure) == ["one", "two", "ignored"]
    assert plt.get_fignums() == []


def test_a_contact_sheet_needs_a_label_an_image():
    with pytest.raises(ValueError, match="2 images and 1 labels"):
        plots.contact_sheet([IMAGE] * 2, [LABEL], PALETTE, NAMES)


def test_bars_are_in_the_order_of_the_first_split(tmp_path):
    pixels = {"train": np.array([0.1, 0.9, 0.0]), "test": np.array([0.2, 0.7, 0.1])}
    images = {"train": np.array([1.0, 0.5, 0.0]), "test": np.array([1.0, 1.0, 1.0])}
    figure = plots.class_bars(pixels, images, PALETTE, NAMES, title="t")
    figure.savefig(tmp_path / "f.png", dpi=40)
    left, right = figure.axes
    assert [tick.get_text() for tick in left.get_yticklabels()] == ["two", "one", "three"]
    assert [bar.get_width() for bar in left.patches] == pytest.approx([90, 10, 0])
    assert [bar.get_width() for bar in right.patches] == pytest.approx([50, 100, 0])
    np.testing.assert_allclose(left.lines[0].get_xdata(), [70, 20, 10])
    assert [text.get_text() for text in left.texts] == ["90", "10", "none"]
    assert labels_of(figure) == ["train (bars, numbers)", "test"]
    few = plots.class_bars(pixels, images, PALETTE, NAMES, most=2, title="t")
    assert len(few.axes[0].patches) == 2
    assert few.get_suptitle() == "t (the 2 largest of 3 classes)"
