"""An image and its mask are turned alike, or the pair is refused."""

import numpy as np
import pytest
from PIL import Image

from jaxseg.data.folders import image_pairs
from jaxseg.data.images import image_files, orientation
from jaxseg.data.images.image_files import FilePair

RNG = np.random.default_rng(0)


def noise(*shape, most=255):
    return RNG.integers(0, most + 1, shape).astype(np.uint8)


def save(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


def turned(path, tag, pixels):
    """Writes an image or a mask with an orientation tag."""
    if path.suffix == ".tif":
        return save(path, pixels, tiffinfo={0x0112: tag})
    exif = Image.Exif()
    exif[0x0112] = tag
    return save(path, pixels, exif=exif)


def test_exif_orientation_is_obeyed_and_a_mask_of_the_raw_image_is_refused(tmp_path):
    pixels = np.zeros((4, 6, 3), np.uint8)
    pixels[0, 0] = 255
    path = turned(tmp_path / "i.png", 6, pixels)  # to be turned clockwise: 6 high and 4 wide
    assert image_files.upright_size(path) == (6, 4)
    image = image_files.read_image(path)
    assert image.shape == (6, 4, 3)
    assert image[0, -1, 0] == 255
    mask = save(tmp_path / "m.png", np.zeros((4, 6), np.uint8))
    with pytest.raises(ValueError, match=r"m\.png' has \(6, 4\).*EXIF orientation turns it"):
        image_pairs.read_pair(FilePair(path, mask))
    image_pairs.read_pair(FilePair(path, save(tmp_path / "m.png", np.zeros((6, 4), np.uint8))))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize(
    ("shape", "tag"), [((4, 6), 2), ((4, 6), 3), ((4, 6), 4), ((5, 5), 5), ((5, 5), 6), ((5, 5), 8)]
)
def test_a_mask_without_the_tag_is_refused_until_it_is_said_what_it_shows(
    tmp_path, suffix, shape, tag
):
    pixels, values = noise(*shape, 3), noise(*shape, most=3)
    pair = FilePair(turned(tmp_path / f"i{suffix}", tag, pixels), save(tmp_path / "m.png", values))
    with pytest.raises(
        ValueError, match=rf"i\{suffix}' has the orientation tag {tag} .*m\.png' has none.*--data\."
    ):
        image_pairs.read_pair(pair)
    image, mask = image_pairs.read_pair(pair, mask_orientation="stored")
    np.testing.assert_array_equal(image, orientation.turn_upright(pixels, tag))
    np.testing.assert_array_equal(mask, orientation.turn_upright(values, tag))
    _, mask = image_pairs.read_pair(pair, mask_orientation="upright")
    np.testing.assert_array_equal(mask, values)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("shape", [(4, 6), (5, 5)])
@pytest.mark.parametrize("tag", range(2, 9))
def test_two_files_with_one_tag_are_turned_alike(tmp_path, suffix, shape, tag):
    pixels, values = noise(*shape, 3), noise(*shape, most=3)
    pair = FilePair(
        turned(tmp_path / f"i{suffix}", tag, pixels), turned(tmp_path / f"m{suffix}", tag, values)
    )
    for settled in ("unknown", "stored", "upright"):
        image, mask = image_pairs.read_pair(pair, mask_orientation=settled)
        np.testing.assert_array_equal(image, orientation.turn_upright(pixels, tag))
        np.testing.assert_array_equal(mask, orientation.turn_upright(values, tag))


@pytest.mark.parametrize(("image_tag", "mask_tag"), [(1, 3), (2, 3), (3, 4)])
def test_a_tagged_mask_beside_another_image_is_refused(tmp_path, image_tag, mask_tag):
    pair = FilePair(
        turned(tmp_path / "i.png", image_tag, noise(4, 6, 3)),
        turned(tmp_path / "m.png", mask_tag, noise(4, 6)),
    )
    with pytest.raises(ValueError, match=r"has the orientation tag .*both or neither"):
        image_pairs.read_pair(pair)


def test_the_sizes_tell_where_a_tag_exchanges_them(tmp_path):
    pixels, values = noise(4, 6, 3), noise(6, 4, most=3)
    pair = FilePair(turned(tmp_path / "i.png", 8, pixels), save(tmp_path / "m.png", values))
    image, mask = image_pairs.read_pair(pair)
    np.testing.assert_array_equal(image, np.rot90(pixels))
    np.testing.assert_array_equal(mask, values)
    save(tmp_path / "m.png", np.ascontiguousarray(np.rot90(values, -1)))
    _, mask = image_pairs.read_pair(pair, mask_orientation="stored")
    np.testing.assert_array_equal(mask, values)
