"""Image and mask files as people have them: of every mode, turned, or broken."""

import numpy as np
import pytest
from PIL import Image

from jaxseg.data import image_files


def save(path, pixels, mode=None, **options):
    image = Image.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels
    (image.convert(mode) if mode else image).save(path, **options)
    return path


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "LA"])
def test_8_bit_modes_become_colors(tmp_path, mode):
    gray = np.full((4, 6, 3), 255, np.uint8)
    path = save(tmp_path / ("i.tif" if mode == "CMYK" else "i.png"), gray, mode)
    image = image_files.read_image(path)
    assert (image.mode, image.size) == ("RGB", (6, 4))
    assert (np.asarray(image) == 255).all()


def test_transparent_pixels_are_black_whatever_they_hide(tmp_path):
    pixels = np.full((2, 2, 4), 200, np.uint8)
    pixels[0, :, 3], pixels[1, :, 3] = 0, 255
    image = np.asarray(image_files.read_image(save(tmp_path / "i.png", pixels)))
    assert (image[0] == 0).all()
    assert (image[1] == 200).all()


@pytest.mark.parametrize("mode", ["I;16", "F"])
def test_deep_images_are_refused(tmp_path, mode):
    path = tmp_path / "deep.tif"
    Image.new(mode, (4, 4)).save(path)
    with pytest.raises(ValueError, match=rf"deep\.tif' has the mode '{mode}'.*stretch it"):
        image_files.read_image(path)


def turned(path, orientation, pixels):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return save(path, pixels, exif=exif)


def test_exif_orientation_is_obeyed(tmp_path):
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[0, 0] = 255
    path = turned(tmp_path / "i.png", 6, pixels)  # to be turned clockwise: 6 high and 4 wide
    assert image_files.upright_size(path) == (6, 4)
    image = np.asarray(image_files.read_image(path))
    assert image.shape == (6, 4, 3)
    assert image[0, -1, 0] == 255
