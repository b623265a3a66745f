"""Image and mask files as people have them: of every mode, turned, or broken."""

import numpy as np
import pytest
from PIL import Image

from jaxseg.data import image_files
from jaxseg.data.image_files import FilePair


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


def test_exif_orientation_is_obeyed_and_a_mask_of_the_raw_image_is_refused(tmp_path):
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[0, 0] = 255
    path = turned(tmp_path / "i.png", 6, pixels)  # to be turned clockwise: 6 high and 4 wide
    assert image_files.upright_size(path) == (6, 4)
    image = np.asarray(image_files.read_image(path))
    assert image.shape == (6, 4, 3)
    assert image[0, -1, 0] == 255
    mask = save(tmp_path / "m.png", np.zeros((4, 6), np.uint8))
    with pytest.raises(ValueError, match=r"m\.png' has \(6, 4\).*EXIF orientation turns it"):
        image_files.read_pair(FilePair(path, mask))
    image_files.read_pair(FilePair(path, save(tmp_path / "m.png", np.zeros((6, 4), np.uint8))))


def test_palette_indices_bits_and_gray_colors_are_values(tmp_path):
    palette = Image.fromarray(np.array([[3, 11]], np.uint8)).convert("P")
    palette.putpalette([7] * 768)
    for pixels, expected in (
        (palette, [[3, 11]]),
        (Image.fromarray(np.array([[False, True]])), [[0, 1]]),
        (np.array([[[5] * 3, [6] * 3]], np.uint8), [[5, 6]]),
        (np.array([[4, 250]], np.uint16), [[4, 250]]),
    ):
        found = image_files.read_values(save(tmp_path / "m.png", pixels))
        np.testing.assert_array_equal(found, expected)


def test_a_jpeg_or_transparent_mask_is_refused(tmp_path):
    path = save(tmp_path / "m.jpg", np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match=r"m\.jpg' is a JPEG"):
        image_files.read_values(path)
    pixels = np.full((4, 4, 4), 255, np.uint8)
    pixels[2, 1, 3] = 254  # a single one
    path = save(tmp_path / "m.png", pixels)
    with pytest.raises(ValueError, match=r"m\.png' has transparent pixels"):
        image_files.read_values(path, colored=True)


def test_a_mask_of_colors_is_refused_unless_it_is_asked_for(tmp_path):
    path = save(tmp_path / "m.png", np.array([[[1, 2, 3], [0, 0, 9]]], np.uint8))
    np.testing.assert_array_equal(image_files.read_values(path, colored=True), [[0x010203, 9]])
    with pytest.raises(ValueError, match=r"m\.png' is a mask of colors.*classes\.txt"):
        image_files.read_values(path)


@pytest.mark.parametrize(("dtype", "values"), [(np.int32, (-1, 3)), (np.uint16, (0, 256))])
def test_values_beyond_8_bits_are_refused(tmp_path, dtype, values):
    path = save(tmp_path / "m.tif", np.array([values], dtype))
    message = rf"m\.tif' has values from {values[0]} to {values[1]}, expected 0\.\.255"
    with pytest.raises(ValueError, match=message):
        image_files.read_values(path)
