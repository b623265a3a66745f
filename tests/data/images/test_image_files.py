"""Image files as people have them: of every mode and depth, turned, or broken."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from jaxseg.data.images import image_files, orientation
from jaxseg.data.images.image_files import ImageFormat

RNG = np.random.default_rng(0)


def save(path, pixels, mode=None, **options):
    image = Image.fromarray(pixels) if isinstance(pixels, np.ndarray) else pixels
    (image.convert(mode) if mode else image).save(path, **options)
    return path


def noise(*shape, dtype=np.uint16, most=None):
    if np.dtype(dtype).kind == "f":
        return RNG.normal(size=shape).astype(dtype)
    return RNG.integers(0, (most or np.iinfo(dtype).max) + 1, shape).astype(dtype)


def write_png(path, pixels, *, key=None):
    """Writes a 16-bit PNG whose rows are filtered in three ways."""
    height, width, channels = pixels.shape
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    rows = pixels.astype(">u2").reshape(height, -1).view(np.uint8).reshape(height, -1)
    step, before, data = 2 * channels, np.zeros_like(rows[0]), b""
    for number, row in enumerate(rows):
        left = np.concatenate([np.zeros(step, np.uint8), row[:-step]])
        filtered = (row, row - left, row - before)[number % 3]
        data, before = data + bytes([number % 3]) + filtered.tobytes(), row

    header = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    transparent = b"" if key is None else chunk(b"tRNS", np.array(key, ">u2").tobytes())
    return write_chunks(path, header, transparent, data)


def write_gray_png(path, values, bits):
    """Writes a gray PNG of one row of so many bits."""
    header = struct.pack(">IIBBBBB", values.shape[1], 1, bits, 0, 0, 0, 0)
    return write_chunks(path, header, b"", b"\0" + packed_bits(values, bits))


def write_chunks(path, header, further, data):
    image = chunk(b"IHDR", header) + further + chunk(b"IDAT", zlib.compress(data))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + image + chunk(b"IEND", b""))
    return path


def chunk(name, body):
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def read(path, expected):
    """Reads a file, which must hold what is expected and whose head must say so."""
    image = image_files.read_image(path)
    assert image.dtype == expected.dtype
    np.testing.assert_array_equal(image, expected)
    shown = image_files.image_format(path)
    assert shown[:4] == (*expected.shape, str(expected.dtype))
    assert image_files.upright_size(path) == expected.shape[:2]
    return image


# --- Modes of 8 bits -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "channels"),
    [("1", 1), ("L", 1), ("LA", 1), ("P", 3), ("RGB", 3), ("RGBA", 3), ("CMYK", 3)],
)
def test_8_bit_modes_are_gray_or_colors(tmp_path, mode, channels):
    white = np.full((4, 6, 3), 255, np.uint8)
    path = save(tmp_path / ("i.tif" if mode == "CMYK" else "i.png"), white, mode)
    read(path, white[..., :channels])


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".webp", ".tif", ".gif", ".ppm", ".tga"])
def test_every_container_gives_the_same_pixels(tmp_path, suffix):
    pixels = noise(5, 7, 3, dtype=np.uint8)
    if suffix == ".gif":
        pixels = np.array([[[9, 8, 7], [200, 0, 0]]], np.uint8)
    options = {"lossless": True} if suffix == ".webp" else {}
    read(save(tmp_path / f"i{suffix}", pixels, **options), pixels)


def test_transparent_pixels_are_black_whatever_they_hide(tmp_path):
    pixels = np.full((2, 2, 4), 200, np.uint8)
    pixels[0, :, 3], pixels[1, :, 3] = 0, 255
    image = image_files.read_image(save(tmp_path / "i.png", pixels))
    assert (image[0] == 0).all()
    assert (image[1] == 200).all()


def test_an_alpha_channel_without_an_opaque_pixel_is_refused(tmp_path):
    bands = np.minimum(noise(4, 4, 4, dtype=np.uint8), 254)
    with pytest.raises(
        ValueError, match=r"i\.png' has no pixel .* opaque.*save the bands as \.tif"
    ):
        image_files.read_image(save(tmp_path / "i.png", bands))
    deep = noise(4, 4, 4, most=4095)
    with pytest.raises(ValueError, match=r"j\.png' has no pixel"):
        image_files.read_image(write_png(tmp_path / "j.png", deep))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_gray_of_few_bits_is_as_bright_as_it_looks(tmp_path, bits):
    values = np.arange(2**bits, dtype=np.uint8)[None]
    expected = (values * (255 // (2**bits - 1)))[..., None]
    read(write_gray_png(tmp_path / "i.png", values, bits), expected)
    path = tmp_path / "i.tif"
    write_packed_tiff(path, values, bits, photometric=1)
    read(path, expected)
    write_packed_tiff(path, values, bits, photometric=0)
    read(path, 255 - expected)


@pytest.mark.parametrize(
    ("bits", "key", "expected"),
    [
        (1, 1, [0, 0]),
        (2, 2, [0, 85, 0, 255]),
        (2, 3, [0, 85, 170, 0]),
        (4, 15, [17 * n for n in range(15)] + [0]),
        (4, 1, [0, 0] + [17 * n for n in range(2, 16)]),
    ],
)
def test_gray_of_few_bits_may_have_a_transparent_value(tmp_path, bits, key, expected):
    header = struct.pack(">IIBBBBB", 2**bits, 1, bits, 0, 0, 0, 0)
    data = b"\0" + packed_bits(np.arange(2**bits, dtype=np.uint8)[None], bits)
    path = write_chunks(
        tmp_path / "i.png", header, chunk(b"tRNS", np.array(key, ">u2").tobytes()), data
    )
    read(path, np.array(expected, np.uint8)[None, :, None])


@pytest.mark.parametrize("scale", [1, 257])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_the_palette_of_a_tiff_may_have_8_bits(tmp_path, scale, compression):
    colors = RNG.integers(0, 256, (256, 3)).astype(np.uint8)
    values = noise(6, 7, dtype=np.uint8)
    options = {"photometric": "palette", "compression": compression}
    colormap = colors.T.astype(np.uint16) * np.uint16(scale)
    tifffile.imwrite(tmp_path / "i.tif", values, colormap=colormap, **options)
    read(tmp_path / "i.tif", colors[values])


def packed_bits(values, bits):
    text = "".join(f"{value:0{bits}b}" for value in values.ravel())
    text += "0" * (-len(text) % 8)
    return bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))


def write_packed_tiff(path, values, bits, *, photometric):
    """Writes a gray TIFF of one row whose samples have fewer than 8 bits."""
    packed = packed_bits(values, bits)
    tags = [
        (256, 4, values.shape[1]),
        (257, 4, 1),
        (258, 3, bits),
        (259, 3, 1),
        (262, 3, photometric),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, 1),
        (279, 4, len(packed)),
    ]
    entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
    place = 8 + len(packed) + len(packed) % 2
    body = packed + b"\0" * (len(packed) % 2)
    directory = struct.pack("<H", len(tags)) + entries + struct.pack("<I", 0)
    path.write_bytes(b"II*\0" + struct.pack("<I", place) + body + directory)


def test_a_tiff_with_white_as_zero_is_inverted(tmp_path):
    for dtype, largest in ((np.uint8, 255), (np.uint16, 65535)):
        pixels = noise(4, 5, dtype=dtype)
        tifffile.imwrite(tmp_path / "i.tif", pixels, photometric="miniswhite")
        read(tmp_path / "i.tif", (largest - pixels)[..., None].astype(dtype))


# --- More than 8 bits ----------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("most", [4095, 65535])
def test_16_bit_png_keeps_all_bits(tmp_path, channels, most):
    pixels = noise(7, 5, channels, most=most)
    read(write_png(tmp_path / "i.png", pixels), pixels)


@pytest.mark.parametrize("channels", [2, 4])
def test_16_bit_png_with_opacity_is_laid_on_black(tmp_path, channels):
    pixels = noise(6, 5, channels, most=4095)
    pixels[..., -1] = 65535
    read(write_png(tmp_path / "i.png", pixels), pixels[..., :-1])
    pixels[0, :, -1] = 0
    pixels[1, :, -1] = 32768
    colors = pixels[..., :-1].astype(np.float64)
    expected = np.rint(colors * pixels[..., -1:] / 65535).astype(np.uint16)
    read(write_png(tmp_path / "i.png", pixels), expected)


@pytest.mark.parametrize("key", [(300,), (300, 40, 5)])
def test_a_16_bit_png_may_name_one_transparent_color(tmp_path, key):
    pixels = np.full((2, 2, len(key)), 1000, np.uint16)
    pixels[0, 1] = key
    expected = pixels.copy()
    expected[0, 1] = 0
    read(write_png(tmp_path / "i.png", pixels, key=key), expected)


def test_the_16_bit_gray_that_pillow_writes(tmp_path):
    pixels = noise(4, 5)
    for suffix in (".png", ".tif"):
        read(save(tmp_path / f"i{suffix}", pixels), pixels[..., None])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 32])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_bands_of_a_tiff_are_channels(tmp_path, order, channels, dtype, planar):
    pixels = noise(9, 40, channels, dtype=dtype)
    stored = pixels if planar == "contig" else np.moveaxis(pixels, -1, 0)
    options = {"photometric": "minisblack", "planarconfig": planar} if channels > 1 else {}
    stored = stored if channels > 1 else pixels[..., 0]
    tifffile.imwrite(tmp_path / "i.tif", stored, byteorder=order, compression="zlib", **options)
    read(tmp_path / "i.tif", pixels)


@pytest.mark.parametrize("channels", [2, 5, 32])
def test_pages_of_one_sample_are_channels(tmp_path, channels):
    pixels = noise(40, 50, channels)
    tifffile.imwrite(tmp_path / "a.tif", np.moveaxis(pixels, -1, 0))
    read(tmp_path / "a.tif", pixels)
    first, *others = (Image.fromarray(pixels[..., k]) for k in range(channels))
    first.save(tmp_path / "b.tif", save_all=True, append_images=others)
    read(tmp_path / "b.tif", pixels)
    tifffile.imwrite(tmp_path / "c.tif", np.moveaxis(pixels, -1, 0), imagej=True)
    read(tmp_path / "c.tif", pixels)


@pytest.mark.parametrize("shape", [(64, 48, 5), (20, 16, 5), (40, 50, 32), (20, 20, 2)])
def test_an_array_with_its_bands_last_that_tifffile_made_pages_of(tmp_path, shape):
    pixels = noise(*shape)
    tifffile.imwrite(tmp_path / "i.tif", pixels)  # 64 pages of 48 x 5
    read(tmp_path / "i.tif", pixels)


def test_the_fourth_band_is_a_channel_though_it_is_marked_as_alpha(tmp_path):
    pixels = noise(6, 7, 4, dtype=np.uint8)
    path = save(tmp_path / "i.tif", pixels)
    read(path, pixels)
    assert image_files.marks_alpha(path)
    tifffile.imwrite(path, pixels, photometric="minisblack", planarconfig="contig")
    assert not image_files.marks_alpha(path)
    assert not image_files.marks_alpha(save(tmp_path / "i.png", pixels[..., :3]))


def test_pages_that_are_bands_are_counted(tmp_path):
    path = tmp_path / "i.tif"
    for options in ({}, {"imagej": True}):
        tifffile.imwrite(path, noise(6, 16, 20), **options)
        assert image_files.pages_as_bands(path) == 6
    pixels = noise(16, 20, 6)
    for planar in ("contig", "separate"):
        stored = pixels if planar == "contig" else np.moveaxis(pixels, -1, 0)
        tifffile.imwrite(path, stored, photometric="minisblack", planarconfig=planar)
        assert image_files.pages_as_bands(path) == 0
    tifffile.imwrite(path, pixels[..., 0])
    assert image_files.pages_as_bands(path) == 0
    assert image_files.pages_as_bands(save(tmp_path / "i.png", noise(4, 4, dtype=np.uint8))) == 0


@pytest.mark.parametrize(
    ("dtype", "number"),
    [
        ("float32", "-9999"),
        ("float32", "-3.4028234663852886e+38"),
        ("int16", "-9999"),
        ("uint8", "0"),
    ],
)
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_pixels_declared_to_be_no_data_are_refused(tmp_path, dtype, number, compression):
    path, pixels = tmp_path / "i.tif", np.full((4, 5), 7, dtype)
    tags = [(42113, "s", 0, number, True)]
    tifffile.imwrite(path, pixels, extratags=tags, compression=compression)
    assert (image_files.read_image(path) == 7).all()
    pixels[1, 2:4] = np.array(float(number)).astype(dtype)
    tifffile.imwrite(path, pixels, extratags=tags, compression=compression)
    with pytest.raises(
        ValueError, match=r"i\.tif' has 2 values of .* GDAL_NODATA .*replace them .* ignored ones"
    ):
        image_files.read_image(path)
    tifffile.imwrite(path, pixels, compression=compression)
    assert np.unique(image_files.read_image(path)).size == 2


@pytest.mark.parametrize("number", ["nan", "none", "", "300", "6.5"])
def test_a_number_for_no_data_that_does_not_occur_is_fine(tmp_path, number):
    pixels = noise(4, 5, dtype=np.uint8) // np.uint8(2)
    tifffile.imwrite(tmp_path / "i.tif", pixels, extratags=[(42113, "s", 0, number, True)])
    read(tmp_path / "i.tif", pixels[..., None])


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint32, np.float16, np.float64])
def test_other_numbers_become_float32(tmp_path, dtype):
    pixels = RNG.integers(0, 4096, (5, 40, 3)).astype(dtype)
    tifffile.imwrite(tmp_path / "i.tif", pixels, photometric="minisblack", planarconfig="contig")
    np.save(tmp_path / "i.npy", pixels)
    for suffix in ("tif", "npy"):
        read(tmp_path / f"i.{suffix}", pixels.astype(np.float32))


@pytest.mark.parametrize(
    ("value", "dtype", "message"),
    [
        (np.nan, np.float32, r"has 1 values that are not finite"),
        (np.inf, np.float16, r"has 1 values that are not finite"),
        (1e300, np.float64, r"has 1 values that are not finite"),
        (2**24 + 1, np.int32, r"values from 0 to 16777217, expected at most 16,777,216"),
        (-(2**25), np.int64, r"values from -33554432 to 0"),
    ],
)
def test_numbers_that_float32_does_not_hold_are_refused(tmp_path, value, dtype, message):
    pixels = np.zeros((3, 4), dtype)
    pixels[1, 2] = value
    np.save(tmp_path / "i.npy", pixels)
    with pytest.raises(ValueError, match=rf"i\.npy' .*{message}"):
        image_files.read_image(tmp_path / "i.npy")


@pytest.mark.parametrize("channels", [None, 1, 2, 32])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_npy_files_are_height_width_bands(tmp_path, channels, dtype):
    pixels = noise(9, 40, *([] if channels is None else [channels]), dtype=dtype)
    np.save(tmp_path / "i.npy", pixels)
    read(tmp_path / "i.npy", pixels.reshape(9, 40, -1))
    for other in (np.asfortranarray(pixels), pixels.astype(pixels.dtype.newbyteorder(">"))):
        np.save(tmp_path / "i.npy", other)
        read(tmp_path / "i.npy", pixels.reshape(9, 40, -1))
    np.save(tmp_path / "b.npy", np.eye(4, dtype=bool))
    read(tmp_path / "b.npy", 255 * np.eye(4, dtype=np.uint8)[..., None])


@pytest.mark.parametrize("shape", [(5, 64, 64), (7,), (2, 3, 4, 5), (0, 4)])
def test_other_arrays_are_refused(tmp_path, shape):
    np.save(tmp_path / "i.npy", np.zeros(shape, np.uint8))
    with pytest.raises(ValueError, match=r"i\.npy' holds an array of shape .*bands come first"):
        image_files.read_image(tmp_path / "i.npy")
    np.save(tmp_path / "i.npy", np.zeros((4, 4), complex))
    with pytest.raises(ValueError, match=r"i\.npy' holds numbers of type complex128"):
        image_files.read_image(tmp_path / "i.npy")


# --- Compressed TIFF -----------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("shape", [(9, 40), (9, 40, 3), (9, 40, 4)])
@pytest.mark.parametrize("tag", [1, 6])
def test_tiffs_of_one_to_four_bands_that_pillow_wrote(tmp_path, compression, shape, tag):
    pixels = noise(*shape, dtype=np.uint8)
    path = save(tmp_path / "i.tif", pixels, compression=compression, tiffinfo={0x0112: tag})
    read(path, orientation.turn_upright(pixels.reshape(9, 40, -1), tag))


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "packbits"])
@pytest.mark.parametrize("mode", ["P", "CMYK"])
@pytest.mark.parametrize("tag", [1, 3, 6])
def test_palettes_and_inks_of_a_tiff_are_colors(tmp_path, compression, mode, tag):
    image = Image.fromarray(noise(9, 40, 4 if mode == "CMYK" else 3, dtype=np.uint8), None)
    if mode == "P":
        image = image.quantize(30)
    else:
        image = Image.frombytes("CMYK", image.size, image.tobytes())
    path = save(tmp_path / "i.tif", image, compression=compression, tiffinfo={0x0112: tag})
    read(path, orientation.turn_upright(np.asarray(image.convert("RGB")), tag))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate"])
def test_differences_of_neighbors_are_undone(tmp_path, compression):
    for pixels, predictor in (
        (noise(9, 40), 2),
        (noise(9, 40, 3, dtype=np.uint8), 2),
        (noise(9, 40, dtype=np.float32), 3),
    ):
        options = {"compression": compression, "tiffinfo": {317: predictor}}
        read(save(tmp_path / "i.tif", pixels, **options), pixels.reshape(9, 40, -1))


def test_16_bit_gray_and_floats_compressed_by_lzw(tmp_path):
    for pixels in (noise(9, 40), noise(9, 40, dtype=np.float32)):
        read(save(tmp_path / "i.tif", pixels, compression="tiff_lzw"), pixels[..., None])


def test_16_bit_colors_compressed_by_lzw(tmp_path):
    pixels = noise(9, 40, 3)
    path = tmp_path / "i.tif"
    path.write_bytes(lzw_tiff(pixels))
    with tifffile.TiffFile(path) as file:
        assert file.pages[0].compression.name == "LZW"
    read(path, pixels)


def lzw_tiff(pixels):
    """A TIFF of 16-bit colors with the LZW code in which Pillow writes their bytes as gray."""
    height, width, channels = pixels.shape
    gray = io.BytesIO()
    stored = pixels.astype("<u2").reshape(height, -1).view(np.uint8)
    Image.fromarray(stored).save(gray, "TIFF", compression="tiff_lzw")
    gray.seek(0)
    with tifffile.TiffFile(gray) as file:
        page = file.pages[0]
        places = zip(page.dataoffsets, page.databytecounts, strict=True)
        strips = [gray.getvalue()[start : start + size] for start, size in places]
        rows = page.rowsperstrip
    bits = np.array([16] * channels, "<u2").tobytes()
    data = b"".join(strips)
    offsets = np.cumsum([8, *map(len, strips)])[:-1].astype("<u4")
    counts = np.array([*map(len, strips)], "<u4")
    extra = 8 + len(data)
    places = [extra, extra + len(bits), extra + len(bits) + 4 * len(strips)]
    end = places[2] + 4 * len(strips)
    many = len(strips) > 1
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, channels, places[0]),
        (259, 3, 1, 5),
        (262, 3, 1, 2),
        (273, 4, len(strips), places[1] if many else int(offsets[0])),
        (277, 3, 1, channels),
        (278, 4, 1, rows),
        (279, 4, len(strips), places[2] if many else int(counts[0])),
    ]
    directory = struct.pack("<H", len(tags))
    directory += b"".join(struct.pack("<HHII", *tag) for tag in tags) + struct.pack("<I", 0)
    body = data + bits + offsets.tobytes() + counts.tobytes()
    return b"II*\0" + struct.pack("<I", end) + body + directory


def test_bands_that_no_codec_here_reads_name_the_package(tmp_path, monkeypatch):
    pixels = noise(9, 40, 5, dtype=np.uint8)
    path = tmp_path / "i.tif"
    tifffile.imwrite(path, pixels, photometric="minisblack", planarconfig="contig")
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags["Compression"].overwrite(5)
    with pytest.raises(ValueError, match=r"i\.tif' has 5 bands .* by LZW.*pip install imagecodecs"):
        image_files.read_image(path)


# --- Several images in a file, and limits --------------------------------------------------------


def test_files_of_several_images_are_refused(tmp_path):
    frames = [Image.fromarray(noise(8, 8, 3, dtype=np.uint8)) for _ in range(3)]
    for suffix in (".tif", ".gif", ".png", ".webp"):
        path = tmp_path / f"i{suffix}"
        frames[0].save(path, save_all=True, append_images=frames[1:])
        for function in (image_files.read_image, image_files.image_format):
            with pytest.raises(
                ValueError, match=rf"i\{suffix}' (holds|has) 3 .*expected one image"
            ):
                function(path)


@pytest.mark.parametrize("axes", ["ZYX", "TYX"])
def test_slices_and_time_points_are_no_bands(tmp_path, axes):
    tifffile.imwrite(tmp_path / "i.tif", noise(5, 40, 50), metadata={"axes": axes})
    with pytest.raises(ValueError, match=r"i\.tif' holds 5 (slices|time points) .*one image"):
        image_files.read_image(tmp_path / "i.tif")


def test_33_bands_are_too_many(tmp_path):
    tifffile.imwrite(tmp_path / "i.tif", noise(33, 40, 50))
    with pytest.raises(ValueError, match=r"i\.tif' has 33 bands .*expected 1 to 32"):
        image_files.read_image(tmp_path / "i.tif")


def test_pages_of_other_sizes_are_no_bands(tmp_path):
    with tifffile.TiffWriter(tmp_path / "i.tif") as file:
        for height in (40, 40, 50):
            file.write(noise(height, 50))
    with pytest.raises(ValueError, match=r"i\.tif' holds \d images of different sizes"):
        image_files.read_image(tmp_path / "i.tif")


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_tiles_and_big_files(tmp_path, planar):
    pixels = noise(100, 120, 5)
    stored = pixels if planar == "contig" else np.moveaxis(pixels, -1, 0)
    options = {"photometric": "minisblack", "planarconfig": planar, "tile": (16, 32)}
    tifffile.imwrite(tmp_path / "i.tif", stored, bigtiff=True, **options)
    read(tmp_path / "i.tif", pixels)


@pytest.mark.parametrize(("axes", "shape"), [("CYX", (5,)), ("TZCYX", (1, 1, 5))])
def test_channels_of_ome_files(tmp_path, axes, shape):
    pixels = noise(40, 50, 5)
    stored = np.moveaxis(pixels, -1, 0).reshape(*shape, 40, 50)
    tifffile.imwrite(tmp_path / "i.ome.tif", stored, ome=True, metadata={"axes": axes})
    read(tmp_path / "i.ome.tif", pixels)


def test_a_smaller_copy_in_the_file_is_passed_over(tmp_path):
    pixels = noise(40, 50, 3, dtype=np.uint8)
    with tifffile.TiffWriter(tmp_path / "i.tif") as file:
        file.write(pixels, photometric="rgb")
        file.write(pixels[::2, ::2], photometric="rgb", subfiletype=1)
    read(tmp_path / "i.tif", pixels)


def test_the_preview_in_a_cameras_file_is_passed_over(tmp_path):
    pixels = np.full((16, 16, 3), 90, np.uint8)
    other = Image.fromarray(255 - pixels)
    path = save(tmp_path / "i.jpg", pixels, format="MPO", save_all=True, append_images=[other])
    assert abs(image_files.read_image(path).astype(int) - 90).max() <= 2


def test_an_image_over_pillows_limit_is_read(tmp_path):
    limit = Image.MAX_IMAGE_PIXELS
    for suffix, options in ((".tif", {"compression": "group4"}), (".png", {})):
        path = tmp_path / f"i{suffix}"
        Image.new("1", (20000, 9000)).save(path, **options)
        assert image_files.upright_size(path) == (9000, 20000)
        assert image_files.read_image(path).shape == (9000, 20000, 1)
    assert limit == Image.MAX_IMAGE_PIXELS


def test_our_own_limit_is_stated(tmp_path):
    Image.new("1", (40000, 30000)).save(tmp_path / "i.tif", compression="group4")
    with pytest.raises(ValueError, match=r"i\.tif' has 40000 x 30000 pixels, expected at most 1,0"):
        image_files.read_image(tmp_path / "i.tif")


def test_what_loses_bits_in_pillow_is_refused(tmp_path):
    (tmp_path / "i.ppm").write_bytes(b"P6 2 1 4095\n" + np.arange(6, dtype=">u2").tobytes())
    with pytest.raises(ValueError, match=r"i\.ppm' .*PPM.*all its bits"):
        image_files.read_image(tmp_path / "i.ppm")
    save(tmp_path / "i.jp2", noise(8, 8, 3, dtype=np.uint8))
    with pytest.raises(ValueError, match=r"i\.jp2' is a JPEG2000 file"):
        image_files.read_image(tmp_path / "i.jp2")


@pytest.mark.parametrize("suffix", [".png", ".tif", ".npy", ".jpg"])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9])
def test_a_truncated_file_is_named(tmp_path, suffix, share):
    path = tmp_path / f"i{suffix}"
    pixels = noise(30, 40, 3, dtype=np.uint8)
    np.save(path, pixels) if suffix == ".npy" else save(path, pixels)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ValueError, match=rf"i\{suffix}' cannot be read as an image"):
        image_files.read_image(path)


# --- What a data set needs -----------------------------------------------------------------------


def test_gray_is_repeated_and_colors_are_mixed_where_that_is_needed(tmp_path):
    colors = noise(5, 6, 3, dtype=np.uint8)
    path = save(tmp_path / "i.png", colors)
    mixed = np.asarray(Image.fromarray(colors).convert("L"))[..., None]
    np.testing.assert_array_equal(image_files.read_image(path, channels=1), mixed)
    save(path, colors[..., 0])
    np.testing.assert_array_equal(image_files.read_image(path, channels=3), colors[..., [0] * 3])
    with pytest.raises(ValueError, match=r"i\.png' has 1 channels, expected 4"):
        image_files.read_image(path, channels=4)
    deep = noise(5, 6, 3)
    write_png(path, deep)
    expected = np.rint(deep @ np.array([0.299, 0.587, 0.114]))[..., None]
    np.testing.assert_allclose(image_files.read_image(path, channels=1), expected, atol=1)
    with pytest.raises(ValueError, match=r"i\.png' holds uint16 numbers .*expected uint8"):
        image_files.read_image(path, dtype="uint8")


# --- Orientation ---------------------------------------------------------------------------------


def turned(path, tag, pixels):
    if path.suffix == ".tif":
        return save(path, pixels, tiffinfo={0x0112: tag})
    exif = Image.Exif()
    exif[0x0112] = tag
    return save(path, pixels, exif=exif, **({"lossless": True} if path.suffix == ".webp" else {}))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
@pytest.mark.parametrize("tag", range(1, 9))
def test_every_orientation_is_obeyed(tmp_path, suffix, tag):
    pixels = noise(4, 6, 3, dtype=np.uint8)
    path = turned(tmp_path / f"i{suffix}", tag, pixels)
    height, width = (6, 4) if tag >= 5 else (4, 6)
    assert image_files.image_format(path) == ImageFormat(height, width, 3, "uint8", tag)
    ways = {
        1: pixels,
        2: pixels[:, ::-1],
        3: pixels[::-1, ::-1],
        4: pixels[::-1],
        5: pixels.swapaxes(0, 1),
        6: np.rot90(pixels, -1),
        7: np.rot90(pixels, 2).swapaxes(0, 1),
        8: np.rot90(pixels),
    }
    read(path, np.ascontiguousarray(ways[tag]))
    assert image_files.read_orientation(path) == tag
    np.testing.assert_array_equal(orientation.turn_back(ways[tag], tag), pixels)
