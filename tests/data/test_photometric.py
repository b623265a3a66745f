"""Changes of colors and sharpness are those of Pillow, scikit-image and the definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance
from skimage import color

from jaxseg.data import photometric

adjust_hue = jax.jit(photometric.adjust_hue)
blur = jax.jit(photometric.blur, static_argnames="largest")


def photograph():
    stored = np.random.default_rng(0).integers(0, 256, (12, 10, 3)).astype(np.uint8)
    return stored, jnp.asarray(stored / np.float32(255))


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.7])
@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (photometric.adjust_brightness, ImageEnhance.Brightness),
        (photometric.adjust_contrast, ImageEnhance.Contrast),
        (photometric.adjust_saturation, ImageEnhance.Color),
    ],
)
def test_colors_are_those_of_pillow(ours, theirs, factor):
    stored, image = photograph()
    expected = np.asarray(theirs(Image.fromarray(stored)).enhance(factor), np.float32) / 255
    # Pillow rounds the gray image, its mean and the result to whole numbers.
    found = ours(image, jnp.float32(factor))
    np.testing.assert_allclose(found, expected, rtol=0, atol=2.5 / 255)


@pytest.mark.parametrize("turns", [-0.5, -0.13, 0.0, 0.08, 0.5])
def test_hue_is_that_of_scikit_image(turns):
    _, image = photograph()
    image = image.at[0].set(0.5).at[1, :, 0].set(image[1, :, 1])  # gray; two channels equal
    hsv = color.rgb2hsv(np.asarray(image, np.float64))
    hsv[..., 0] = (hsv[..., 0] + turns) % 1
    found = adjust_hue(image, jnp.float32(turns))
    np.testing.assert_allclose(found, color.hsv2rgb(hsv), rtol=0, atol=1e-5)


@pytest.mark.parametrize("sigma", [0.0, 0.4, 1.5])
def test_blur_is_a_gaussian_and_keeps_constants(sigma):
    image = jnp.zeros((21, 21, 1)).at[10, 10].set(1)
    found = blur(image, jnp.float32(sigma), largest=1.5)
    offsets = np.arange(-10, 11)
    line = np.where(np.abs(offsets) <= 5, np.exp(-0.5 * (offsets / max(sigma, 1e-2)) ** 2), 0)
    expected = np.outer(line, line) / line.sum() ** 2
    np.testing.assert_allclose(found[..., 0], expected, rtol=0, atol=1e-6)
    flat = jnp.full((4, 5, 2), 0.3)
    np.testing.assert_allclose(blur(flat, jnp.float32(sigma), largest=1.5), flat, rtol=1e-6)
