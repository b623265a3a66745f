"""Changes of colors and sharpness are those of Pillow, scikit-image and the definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance
from skimage import color

from jaxseg.data.augmentation import photometric

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


CHANGES = {
    "brightness": photometric.adjust_brightness,
    "contrast": photometric.adjust_contrast,
    "saturation": photometric.adjust_saturation,
    "blur": lambda image, factor, **bounds: blur(image, factor, largest=3.0, **bounds),
}


@pytest.mark.parametrize("name", CHANGES)
def test_measurements_are_not_clipped(name):
    image = jnp.asarray(np.random.default_rng(0).normal(size=(9, 8, 3)) * 100, jnp.float32)
    found = CHANGES[name](image, jnp.float32(2.0), bounds=None)
    small = (image / 4000 + 0.5) if name != "brightness" else jnp.abs(image / 4000)
    expected = CHANGES[name](small, jnp.float32(2.0))
    if name == "brightness":
        np.testing.assert_allclose(np.abs(found) / 4000, expected, rtol=1e-4, atol=1e-6)
    else:
        np.testing.assert_allclose(found / 4000 + 0.5, expected, rtol=1e-4, atol=1e-6)
    assert not ((found >= 0) & (found <= 1)).all()


def test_the_contrast_of_bands_is_that_of_each():
    """Bands of other units have means of their own."""
    image = jnp.asarray(np.random.default_rng(0).normal(size=(9, 8, 5)), jnp.float32)
    image = image + 1000 * jnp.arange(5, dtype=jnp.float32).reshape(1, 1, 5)
    found = photometric.adjust_contrast(image, jnp.float32(0.5), bounds=None)
    for band in range(5):
        alone = photometric.adjust_contrast(
            image[..., band : band + 1], jnp.float32(0.5), bounds=None
        )
        np.testing.assert_allclose(found[..., band], alone[..., 0], rtol=1e-5)
    np.testing.assert_allclose(found.mean((0, 1)), image.mean((0, 1)), rtol=1e-4)
    np.testing.assert_allclose(found.std((0, 1)), image.std((0, 1)) / 2, rtol=1e-2)
