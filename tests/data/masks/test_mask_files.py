"""Mask files as people have them: the numbers that are stored, or a refusal by name."""

import re
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from jaxseg.data.folders import image_pairs
from jaxseg.data.images.image_files import FilePair
from jaxseg.data.masks import mask_files

VALUES = np.array([[0, 1, 2, 254]] * 4, np.uint8)


def write_png(path, rows, *, bits, color=0, palette=b""):
    """Writes a PNG of any bit depth; Pillow writes 8 and 16 bits only."""

    def chunk(kind, content):
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    head = struct.pack(">IIBBBBB", 4, len(rows), bits, color, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
    content += chunk(b"PLTE", palette) if palette else b""
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    path.write_bytes(content + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))
    return path


def write_tiff(path, row, *, bits, photometric=1, order="<"):
    """Writes an uncompressed TIFF of 4 x 1 pixels of any bit depth."""
    tags = [(256, 3, 4), (257, 3, 1), (258, 3, bits), (259, 3, 1), (262, 3, photometric)]
    tags += [(273, 4, 8), (277, 3, 1), (278, 3, 1), (279, 4, len(row))]
    content = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8 + 2)
    content += row.ljust(2, b"\0") + struct.pack(f"{order}H", len(tags))
    for tag, kind, value in tags:
        packed = struct.pack(f"{order}H" if kind == 3 else f"{order}I", value).ljust(4, b"\0")
        content += struct.pack(f"{order}HHI", tag, kind, 1) + packed
    path.write_bytes(content + b"\0\0\0\0")
    return path


ROWS = {1: (bytes([0b01010000]), [0, 1, 0, 1]), 2: (bytes([0b00011011]), [0, 1, 2, 3])}
ROWS[4] = (bytes([0x01, 0xF5]), [0, 1, 15, 5])


@pytest.mark.parametrize("bits", ROWS)
def test_png_and_tiff_of_few_bits_hold_their_numbers(tmp_path, bits):
    row, values = ROWS[bits]
    path = write_png(tmp_path / "m.png", [row] * 2, bits=bits)
    np.testing.assert_array_equal(mask_files.read_values(path), [values] * 2)
    for order in "<>":
        path = write_tiff(tmp_path / "m.tif", row, bits=bits, order=order)
        np.testing.assert_array_equal(mask_files.read_values(path), [values])


@pytest.mark.parametrize("bits", ROWS)
def test_palettes_of_few_bits_hold_their_indices(tmp_path, bits):
    row, values = ROWS[bits]
    palette = bytes(range(3 << bits))[::-1]
    path = write_png(tmp_path / "m.png", [row], bits=bits, color=3, palette=palette)
    np.testing.assert_array_equal(mask_files.read_values(path), [values])
    colors = mask_files.read_values(path, colored=True)
    expected = [int.from_bytes(palette[3 * value : 3 * value + 3], "big") for value in values]
    np.testing.assert_array_equal(colors, [expected])


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_tiff_whose_white_is_zero_is_refused(tmp_path, bits):
    path = write_tiff(tmp_path / "m.tif", b"\x1b\0", bits=bits, photometric=0)
    with pytest.raises(ValueError, match=r"m\.tif' stores white as zero .*export"):
        mask_files.read_values(path)
    Image.new("1", (4, 4)).save(tmp_path / "f.tif", compression="group3")
    assert mask_files.read_values(tmp_path / "f.tif").tolist() == [[0] * 4] * 4


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("dtype", ["bool", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8"])
def test_numbers_of_every_type(tmp_path, dtype, order):
    values = np.array([[0, 1, 2, 0], [1, 1, 0, 0]]).astype(dtype)
    if dtype[0] in "iu" and dtype != "i1":
        values[0] = [300, 0, 40000 if dtype == "u2" else 30000, 7]
    if dtype[0] == "i":
        values[1, 1] = -1
    if dtype in ("u4", "u8"):
        values[1, 1] = 2**32 - 1
    if dtype != "bool":
        tifffile.imwrite(tmp_path / "m.tif", values, byteorder=order)
        np.testing.assert_array_equal(mask_files.read_values(tmp_path / "m.tif"), values)
    np.save(tmp_path / "m.npy", values.astype(values.dtype.newbyteorder(order)))
    found = mask_files.read_values(tmp_path / "m.npy")
    np.testing.assert_array_equal(found, values)
    assert found.dtype.isnative
    assert found.dtype.kind in "iu"


def test_a_gray_png_of_16_bits_holds_its_numbers(tmp_path):
    values = np.array([[0, 300, 65535, 4]], np.uint16)
    Image.fromarray(values).save(tmp_path / "m.png")
    np.testing.assert_array_equal(mask_files.read_values(tmp_path / "m.png"), values)


@pytest.mark.parametrize("value", [0.5, np.nan, np.inf])
def test_fractions_are_refused(tmp_path, value):
    tifffile.imwrite(tmp_path / "m.tif", np.full((4, 4), value, np.float32))
    with pytest.raises(ValueError, match=r"m\.tif' has values that are not whole numbers"):
        mask_files.read_values(tmp_path / "m.tif")


@pytest.mark.parametrize("value", [1e20, -1e20, 2.0**54])
def test_numbers_that_are_not_exact_are_refused(tmp_path, value):
    tifffile.imwrite(tmp_path / "m.tif", np.full((4, 4), value, np.float32))
    with pytest.raises(ValueError, match=r"m\.tif' has values beyond 9007199254740992, which are"):
        mask_files.read_values(tmp_path / "m.tif")
    np.save(tmp_path / "m.npy", np.full((4, 4), -(2.0**53)))
    assert mask_files.read_values(tmp_path / "m.npy")[0, 0] == -(2**53)


@pytest.mark.parametrize("scale", [1, 257])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_the_palette_of_a_tiff_may_have_8_bits(tmp_path, scale, compression):
    colormap = np.zeros((3, 256), np.uint16)
    colormap[:, 1], colormap[:, 2] = (255, 0, 9), (0, 200, 0)
    path = tmp_path / "m.tif"
    options = {"photometric": "palette", "compression": compression}
    values = np.array([[0, 1, 2]], np.uint8)
    tifffile.imwrite(path, values, colormap=colormap * np.uint16(scale), **options)
    mask = mask_files.read_mask(path)
    np.testing.assert_array_equal(mask.values, values)
    assert [mask.color_of(value) for value in range(3)] == [0, 0xFF0009, 0x00C800]


@pytest.mark.parametrize("bits", [16])
@pytest.mark.parametrize(("color", "samples"), [(2, 3), (4, 2), (6, 4)])
def test_colors_of_16_bits_are_refused(tmp_path, bits, color, samples):
    row = bytes([0, 9] * samples * 4)
    path = write_png(tmp_path / "m.png", [row], bits=bits, color=color)
    with pytest.raises(ValueError, match=r"m\.png' has several samples a pixel of 16 bits"):
        mask_files.read_values(path, colored=True)
    colors = np.zeros((4, 4, 3), np.uint16)
    tifffile.imwrite(tmp_path / "m.tif", colors, photometric="rgb")
    with pytest.raises(ValueError, match=r"m\.tif' has several samples a pixel of 16 bits"):
        mask_files.read_values(tmp_path / "m.tif")


EXIF = Image.Exif()
EXIF[0x010E] = "a description"
LOSSY = {
    "jpeg": ("m.jpg", {}, "is a JPEG"),
    "jpeg named png": ("m.png", {"format": "JPEG"}, "is a JPEG"),
    "jpeg 2000": ("m.jp2", {}, "is a JPEG 2000"),
    "avif": ("m.avif", {}, "is an AVIF"),
    "webp": ("m.webp", {}, "is lossy WebP"),
    "webp named png": ("m.png", {"format": "WEBP"}, "is lossy WebP"),
    "webp with exif": ("m.webp", {"exif": EXIF}, "is lossy WebP"),
    "tiff": ("m.tif", {"compression": "jpeg"}, "is a TIFF with JPEG"),
    "tiff at quality 100": (
        "m.tif",
        {"compression": "jpeg", "quality": 100},
        "is a TIFF with JPEG",
    ),
}


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_masks_are_refused_whatever_the_container(tmp_path, name):
    file, options, message = LOSSY[name]
    path = tmp_path / file
    Image.fromarray(np.stack([VALUES] * 3, -1)).save(path, **options)
    with pytest.raises(ValueError, match=rf"{file}' {message}.* compression .*export .*\.png"):
        mask_files.read_values(path, colored=True)


@pytest.mark.parametrize(
    ("file", "options"),
    [
        ("m.webp", {"lossless": True}),
        ("m.webp", {"lossless": True, "exif": EXIF}),
        ("m.tif", {"compression": "tiff_lzw"}),
        ("m.tif", {"compression": "tiff_adobe_deflate"}),
        ("m.tif", {"compression": "packbits"}),
        ("m.tif", {"compression": "zstd"}),
        ("m.bmp", {}),
        ("m.png", {}),
    ],
)
def test_lossless_masks_are_read(tmp_path, file, options):
    Image.fromarray(np.stack([VALUES] * 3, -1)).save(tmp_path / file, **options)
    np.testing.assert_array_equal(mask_files.read_values(tmp_path / file), VALUES)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"P5\n# a comment\n4 1\n255\n\0\x01\x02\xfe", [0, 1, 2, 254]),
        (b"P5 4 1 65535\n\0\0\0\x01\x01\x2c\xff\xff", [0, 1, 300, 65535]),
        (b"P2 4 1 255 0 1 2 254 ", [0, 1, 2, 254]),
        (b"P5 4 1 3\n\0\x01\x02\x03", None),
        (b"P4 4 1\n\x50", None),
    ],
)
def test_netpbm_files_hold_their_numbers_or_are_refused(tmp_path, content, expected):
    (tmp_path / "m.pgm").write_bytes(content)
    if expected is None:
        with pytest.raises(ValueError, match=r"m\.pgm' is a Netpbm file of the kind P\d whose"):
            mask_files.read_values(tmp_path / "m.pgm")
    else:
        np.testing.assert_array_equal(mask_files.read_values(tmp_path / "m.pgm"), [expected])


def test_several_frames_are_refused_by_name(tmp_path):
    frames = [Image.fromarray(VALUES + number) for number in range(3)]
    for file in ("m.gif", "m.png", "m.tif", "m.webp"):
        options = {"lossless": True} if file == "m.webp" else {}
        first, *others = [frame.convert("RGB") for frame in frames] if options else frames
        first.save(tmp_path / file, save_all=True, append_images=others, **options)
        with pytest.raises(ValueError, match=rf"{file}' has 3 frames or pages, expected one"):
            mask_files.read_values(tmp_path / file)
    tifffile.imwrite(tmp_path / "d.tif", np.zeros((2, 4, 4)), photometric="minisblack")
    with pytest.raises(ValueError, match=r"d\.tif' has 2 frames or pages"):
        mask_files.read_values(tmp_path / "d.tif")


def test_smaller_copies_behind_the_first_page_are_no_further_mask(tmp_path):
    with tifffile.TiffWriter(tmp_path / "m.tif") as file:
        file.write(VALUES)
        file.write(VALUES[::2, ::2], subfiletype=1)
    np.testing.assert_array_equal(mask_files.read_values(tmp_path / "m.tif"), VALUES)


def test_bands_are_refused(tmp_path):
    for bands in (2, 4, 5):
        values = np.stack([VALUES] * bands, -1)
        tifffile.imwrite(tmp_path / "m.tif", values, photometric="minisblack")
        with pytest.raises(ValueError, match=r"m\.tif' has"):
            mask_files.read_values(tmp_path / "m.tif")
    for array in (values[..., :2], values > 1):
        np.save(tmp_path / "m.npy", array)
        shape = re.escape(str(array.shape))
        with pytest.raises(ValueError, match=rf"m\.npy' has the shape {shape}.*`both = 3`"):
            mask_files.read_values(tmp_path / "m.npy")


def test_three_bands_of_0_and_1_are_no_colors(tmp_path):
    bands = np.zeros((4, 4, 3), np.uint8)
    bands[:2, :, 0] = bands[1:3, :, 2] = 1
    Image.fromarray(bands).save(tmp_path / "m.png")
    np.save(tmp_path / "m.npy", bands)
    for name in ("m.png", "m.npy"):
        with pytest.raises(ValueError, match=rf"{name}' has 3 bands of 0 and 1, .*jaxseg\.losses"):
            mask_files.read_values(tmp_path / name, colored=True)
    Image.fromarray(np.repeat(bands[..., :1], 3, -1)).save(tmp_path / "m.png")  # a gray
    np.testing.assert_array_equal(mask_files.read_values(tmp_path / "m.png"), bands[..., 0])


@pytest.mark.parametrize("orientation", [None, 3])  # tifffile reads those with a tag
@pytest.mark.parametrize(
    ("text", "value"), [("254", 254), ("0.0\0", 0), ("nan", None), ("-9999", -9999), ("none", None)]
)
def test_the_value_of_no_data_is_known(tmp_path, text, value, orientation):
    tags = [(42113, "s", 0, text, True)]
    tags += [(274, "H", 1, orientation, True)] * (orientation is not None)
    tifffile.imwrite(tmp_path / "m.tif", VALUES, photometric="minisblack", extratags=tags)
    assert mask_files.read_mask(tmp_path / "m.tif").no_data == value


def test_no_data_of_colors_is_a_gray(tmp_path):
    colors = np.zeros((4, 4, 3), np.uint8)
    tifffile.imwrite(
        tmp_path / "m.tif", colors, photometric="rgb", extratags=[(42113, "s", 0, "255", True)]
    )
    assert mask_files.read_mask(tmp_path / "m.tif").no_data == 0xFFFFFF


def palette_image(values, *colors):
    image = Image.fromarray(np.asarray(values, np.uint8)).convert("P")
    image.putpalette([part for color in colors for part in color])
    return image


@pytest.mark.parametrize("file", ["m.png", "m.gif", "m.bmp", "m.tif"])
def test_a_palette_shows_its_colors(tmp_path, file):
    colors = [(1, 2, 3), (70, 80, 90), (5, 5, 6)] + [(0, 0, number) for number in range(253)]
    palette_image([[0, 1, 2, 1]], *colors).save(tmp_path / file)
    found = mask_files.read_values(tmp_path / file, colored=True)
    np.testing.assert_array_equal(found, [[0x010203, 0x46505A, 0x050506, 0x46505A]])
    np.testing.assert_array_equal(mask_files.read_values(tmp_path / file), [[0, 1, 2, 1]])


def test_a_gif_of_grays_holds_them(tmp_path):
    for values in ([[0, 255, 0, 0]], [[255, 1, 0, 7]], [[9, 9, 9, 9]]):
        Image.fromarray(np.array(values, np.uint8)).save(tmp_path / "m.gif")
        np.testing.assert_array_equal(mask_files.read_values(tmp_path / "m.gif"), values)


def test_a_transparent_index_has_a_number_and_no_color(tmp_path):
    path = tmp_path / "m.png"
    palette_image([[0, 1]], (0, 0, 9), (1, 2, 3)).save(path, transparency=1)
    np.testing.assert_array_equal(mask_files.read_values(path), [[0, 1]])
    with pytest.raises(ValueError, match=r"m\.png' has the value 1, which no color is known for"):
        mask_files.read_values(path, colored=True)


def test_gray_colors_are_numbers_and_other_colors_are_refused(tmp_path):
    path = tmp_path / "m.png"
    Image.fromarray(np.array([[[5] * 3, [6] * 3]], np.uint8)).save(path)
    np.testing.assert_array_equal(mask_files.read_values(path), [[5, 6]])
    Image.fromarray(np.array([[1, 200]], np.uint8)).convert("LA").save(path)
    np.testing.assert_array_equal(mask_files.read_values(path), [[1, 200]])
    Image.fromarray(np.array([[[1, 2, 3], [0, 0, 9]]], np.uint8)).save(path)
    np.testing.assert_array_equal(mask_files.read_values(path, colored=True), [[0x010203, 9]])
    with pytest.raises(ValueError, match=r"m\.png' is a mask of colors.*classes\.txt"):
        mask_files.read_values(path)


def test_transparent_pixels_are_refused(tmp_path):
    pixels = np.full((4, 4, 4), 255, np.uint8)
    pixels[2, 1, 3] = 254  # a single one
    Image.fromarray(pixels).save(tmp_path / "m.png")
    with pytest.raises(ValueError, match=r"m\.png' has transparent pixels"):
        mask_files.read_values(tmp_path / "m.png", colored=True)


@pytest.mark.parametrize("content", [b"", b"not an image", b"II*\0"])
@pytest.mark.parametrize("file", ["m.png", "m.tif", "m.npy"])
def test_damaged_files_are_named(tmp_path, file, content):
    (tmp_path / file).write_bytes(content)
    with pytest.raises(ValueError, match=rf"{file}' cannot be read as an image"):
        mask_files.read_values(tmp_path / file)


def test_a_mask_beyond_pillows_limit_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4)
    Image.fromarray(VALUES).save(tmp_path / "m.png")
    np.testing.assert_array_equal(mask_files.read_values(tmp_path / "m.png"), VALUES)
    assert Image.MAX_IMAGE_PIXELS == 4


def tagged(path, pixels, orientation):
    if path.suffix == ".tif":
        tifffile.imwrite(path, pixels, extratags=[(0x0112, 3, 1, orientation, True)])
    else:
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(pixels).save(path, exif=exif)
    return path


@pytest.mark.parametrize("file", ["m.png", "m.tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_a_mask_is_obeyed_as_that_of_its_image(tmp_path, file, orientation):
    values = np.arange(12, dtype=np.uint8).reshape(3, 4)
    path = tagged(tmp_path / file, values, orientation)
    np.testing.assert_array_equal(mask_files.read_values(path), values)
    assert mask_files.read_mask(path).orientation == orientation
    image = tagged(tmp_path / "i.png", np.stack([values] * 3, -1), orientation)
    pixels, upright = image_pairs.read_pair(FilePair(image, path))
    np.testing.assert_array_equal(np.asarray(pixels)[..., 0], upright)


def test_a_mask_of_the_unturned_image_is_refused(tmp_path):
    image = tagged(tmp_path / "i.png", np.zeros((4, 6, 3), np.uint8), 6)
    Image.new("L", (6, 4)).save(tmp_path / "m.png")
    with pytest.raises(ValueError, match=r"m\.png' has \(6, 4\).*EXIF orientation turns it"):
        image_pairs.read_pair(FilePair(image, tmp_path / "m.png"))
    Image.new("L", (4, 6)).save(tmp_path / "m.png")
    image_pairs.read_pair(FilePair(image, tmp_path / "m.png"))
