"""Image and mask files as people have them: every mode, turned, of another aspect, broken."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from jaxseg.data import image_files, palettes
from jaxseg.data.image_files import Files

STRIPES = np.zeros((8, 8, 3), np.uint8)
STRIPES[:, ::2] = 200  # taking every fourth pixel would make all black or all bright


def save(path, pixels, mode=None, **options):
    image = Image.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def test_images_are_averaged_and_labels_are_not():
    label = np.repeat(np.array([[0, 10]], np.uint8), 4, axis=1).repeat(8, axis=0)
    small, nearest = image_files.fit(Image.fromarray(STRIPES), label, (2, 2), keep_aspect=False)
    np.testing.assert_allclose(small, 100, atol=16)
    np.testing.assert_array_equal(nearest, [[0, 10], [0, 10]])


@pytest.mark.parametrize(
    ("shape", "inside"), [((8, 4), np.s_[:, 2:6]), ((4, 8), np.s_[2:6, :]), ((8, 8), np.s_[:, :])]
)
def test_aspect_is_kept_and_what_is_beside_is_ignored(shape, inside):
    image, label = np.full((*shape, 3), 9, np.uint8), np.ones(shape, np.uint8)
    expected, labels = np.full((8, 8, 3), image_files.PADDING), np.full((8, 8), 255)
    expected[inside], labels[inside] = 9, 1
    found = image_files.fit(Image.fromarray(image), label, (8, 8), keep_aspect=True)
    np.testing.assert_array_equal(found[0], expected)
    np.testing.assert_array_equal(found[1], labels)
    stretched = image_files.fit(Image.fromarray(image), label, (8, 8), keep_aspect=False)
    assert (stretched[0] == 9).all()
    assert (stretched[1] == 1).all()


@given(st.tuples(*[st.integers(1, 40)] * 2), st.tuples(*[st.integers(1, 40)] * 2), st.booleans())
def test_every_shape_fits_every_size(shape, size, keep_aspect):
    image = Image.fromarray(np.full((*shape, 3), 7, np.uint8))
    pixels, label = image_files.fit(image, np.ones(shape, np.uint8), size, keep_aspect=keep_aspect)
    assert (pixels.shape, label.shape) == ((*size, 3), size)
    assert (label == 1).any()
    np.testing.assert_array_equal((pixels == 7).all(-1), label == 1)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "LA"])
def test_8_bit_modes_become_colours(tmp_path, mode):
    grey = np.full((4, 6, 3), 255, np.uint8)
    path = save(tmp_path / ("i.tif" if mode == "CMYK" else "i.png"), grey, mode)
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
        image_files.read_pair(Files(path, mask))
    image_files.read_pair(Files(path, save(tmp_path / "m.png", np.zeros((6, 4), np.uint8))))


def test_palette_indices_bits_and_grey_colours_are_values(tmp_path):
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


def test_colours_are_packed_and_shown(tmp_path):
    path = save(tmp_path / "m.png", np.array([[[1, 2, 3], [0, 0, 9]]], np.uint8))
    values = image_files.read_values(path, coloured=True)
    np.testing.assert_array_equal(values, [[0x010203, 9]])
    label = image_files.to_labels(values, {0x010203: 1, 9: 255}, path)
    np.testing.assert_array_equal(label, [[1, 255]])
    with pytest.raises(ValueError, match=r"m\.png' has the values \(1, 2, 3\), expected 9"):
        image_files.to_labels(values, {9: 0}, path)
    with pytest.raises(ValueError, match=r"m\.png' is a mask of colours.*classes\.txt"):
        image_files.read_values(path)


def test_a_jpeg_or_transparent_mask_is_refused(tmp_path):
    path = save(tmp_path / "m.jpg", np.zeros((4, 4), np.uint8))
    with pytest.raises(ValueError, match=r"m\.jpg' is a JPEG"):
        image_files.read_values(path)
    path = save(tmp_path / "m.png", np.zeros((4, 4, 4), np.uint8))
    with pytest.raises(ValueError, match=r"m\.png' has transparent pixels"):
        image_files.read_values(path, coloured=True)


def test_palettes():
    many = palettes.distinct(200)
    assert len(set(many)) == 200
    assert many[:3] == palettes.distinct(3)
    assert palettes.BACKGROUND not in many
    # The published colours of VOC's aeroplane, bird, chair, person, potted plant and tv/monitor.
    voc = palettes.bits(21)
    assert [voc[label] for label in (0, 1, 3, 9, 15, 16, 20)] == [
        (0, 0, 0),
        (128, 0, 0),
        (128, 128, 0),
        (192, 0, 0),
        (192, 128, 128),
        (0, 64, 0),
        (0, 64, 128),
    ]
