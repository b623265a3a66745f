"""Images of every type and number of channels can be looked at."""

import numpy as np
import pytest

from jaxseg import plots


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 32])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_any_image_becomes_red_green_and_blue(channels, dtype):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 200, (30, 40, channels)).astype(dtype)
    shown = plots.displayable(image)
    assert shown.shape == (30, 40, 3)
    if dtype == np.uint8 and channels in (1, 3):
        np.testing.assert_array_equal(shown, np.broadcast_to(image / 255, shown.shape))
    else:
        assert (shown.min(), shown.max()) == (0, 1)
        order = np.argsort(image[..., 0].ravel(), kind="stable")
        assert (np.diff(shown[..., 0].ravel()[order]) >= 0).all()


def test_the_bands_that_are_shown_can_be_chosen_and_may_be_constant():
    image = np.zeros((4, 5, 6), np.float32)
    image[0, :, 5] = 900
    shown = plots.displayable(image, bands=(5, 0, 0))
    np.testing.assert_array_equal(shown[0], [[1, 0, 0]] * 5)
    np.testing.assert_array_equal(shown[1:], 0)


def test_label_maps_have_a_key_of_the_classes():
    labels = np.array([[[0, 1], [1, 255]]] * 2)
    figure = plots.label_maps(
        {"truth": labels, "net": labels}, [(255, 0, 0), (0, 0, 255)], ["sky", "road"], title="t"
    )
    assert len(figure.axes) == 4
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["sky", "road"]


def test_a_row_of_images_has_scales_of_its_own_for_differences():
    figure = plots.image_row({"a": np.zeros((2, 2)), "b": np.zeros((2, 2))}, differences=["b"])
    assert [axes.images[0].get_clim() for axes in figure.axes] == [(0, 1), (-0.5, 0.5)]
