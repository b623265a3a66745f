"""The images of a data set agree in channels and type, and their numbers are those of NumPy."""

import unicodedata

import numpy as np
import pytest
import tifffile
from PIL import Image

from jaxseg import data
from jaxseg.data.images.image_statistics import ChannelStatistics

MASK = np.eye(16, 24, dtype=np.uint8)


def write_folder(root, images, *, suffix=".tif", mask=MASK):
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    for n, image in enumerate(images):
        save(root / "images" / f"{n}{suffix}", image)
        Image.fromarray(mask).save(root / "masks" / f"{n}.png")
    return root


def save(path, image):
    if path.suffix == ".npy":
        np.save(path, image)
    elif path.suffix == ".tif":
        options = {"photometric": "minisblack", "planarconfig": "contig"}
        tifffile.imwrite(path, image, **(options if image.ndim == 3 else {}))
    else:
        Image.fromarray(image).save(path)


def random_images(count, channels, dtype, *, low=0, high=None):
    rng = np.random.default_rng(channels)
    shape = (count, 16, 24, channels)
    if dtype == "float32":
        return (rng.normal(size=shape) * 50 + np.arange(channels) * 1000).astype(dtype)
    return rng.integers(low, high or np.iinfo(dtype).max + 1, shape).astype(dtype)


def opened(root, **options):
    return data.folder(root, (16, 24), data_dir=root.parent / "prepared", **options)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7, 32])
@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_a_folder_of_any_type_and_channels(tmp_path, dtype, channels, suffix):
    images = random_images(5, channels, dtype)
    stored = images[..., 0] if channels == 1 else images
    dataset = opened(write_folder(tmp_path / "f", stored, suffix=suffix))
    assert (dataset.info.channels, dataset.info.dtype) == (channels, dtype)
    pairs = sorted((s, i) for s, n in dataset.splits.items() for i in range(n))
    read = [dataset.source(split)[i]["image"] for split, i in pairs]
    assert {image.tobytes() for image in read} == {image.tobytes() for image in images}
    train = np.stack([e["image"] for e in dataset.source("train")])
    normalized = np.asarray(dataset.info.normalize(train))
    np.testing.assert_allclose(normalized.mean((0, 1, 2)), 0, atol=1e-3)
    np.testing.assert_allclose(normalized.std((0, 1, 2)), 1, rtol=1e-3)
    again = np.asarray(dataset.info.denormalize(normalized))
    full = {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
    np.testing.assert_allclose(again * full, train, atol=1e-2 if dtype == "float32" else 0.2)
    assert opened(tmp_path / "f") == dataset


def test_images_of_12_bits_keep_their_contrast(tmp_path):
    images = random_images(5, 1, "uint16", low=200, high=300)
    dataset = opened(write_folder(tmp_path / "f", images[..., 0], suffix=".png"))
    assert dataset.info.std == pytest.approx((28.9 / 65535,), rel=0.05)
    assert dataset.info.mean == pytest.approx((250 / 65535,), rel=0.05)


def test_the_padding_normalizes_to_0(tmp_path):
    images = random_images(5, 5, "float32")
    root = write_folder(tmp_path / "f", images)
    dataset = data.folder(root, (32, 32), data_dir=tmp_path / "p")
    example = dataset.source("train")[0]
    normalized = np.asarray(dataset.info.normalize(example["image"]))
    assert example["label"][0, 0] == 255
    np.testing.assert_allclose(normalized[0, 0], 0, atol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_statistics_of_large_numbers_do_not_cancel(dtype):
    full = {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
    base = np.random.default_rng(0).integers(0, 2, (3, 40, 50, 1))
    images = (base + {"uint8": 250, "uint16": 65530, "float32": 4_000_000}[dtype]).astype(dtype)
    statistics = ChannelStatistics(1, dtype)
    for image in images:
        statistics.add(image)
    exact = images.astype(np.float64) / full
    assert statistics.mean == pytest.approx((exact.mean(),), rel=1e-9)
    least = 0 if dtype == "float32" else 1 / full
    assert statistics.std == pytest.approx((max(exact.std(), least),), rel=1e-6)


def test_a_constant_channel_is_no_division_by_zero():
    for dtype, std in (("uint8", 1 / 255), ("uint16", 1 / 65535), ("float32", 1.0)):
        statistics = ChannelStatistics(1, dtype)
        statistics.add(np.full((4, 4, 1), 7, dtype))
        assert statistics.std == pytest.approx((std,))


def test_gray_among_colors_is_repeated_and_said(tmp_path, capsys):
    images = random_images(6, 3, "uint8")
    root = write_folder(tmp_path / "f", images, suffix=".png")
    Image.fromarray(images[2, ..., 0]).save(root / "images" / "2.png")
    dataset = opened(root)
    assert dataset.info.channels == 3
    assert "f: '2.png' is gray, and repeated to red, green and blue" in capsys.readouterr().out
    read = {e["image"].tobytes() for split in dataset.splits for e in dataset.source(split)}
    assert images[2, ..., [0, 0, 0]].transpose(1, 2, 0).tobytes() in read


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((16, 24, 4), np.uint8), "4 channels of uint8, expected 3 of uint8 as in 5 of"),
        (np.zeros((16, 24, 3), np.uint16), "3 channels of uint16, expected 3 of uint8"),
        (np.zeros((16, 24), np.uint16), "1 channels of uint16, expected 3 of uint8"),
        (np.zeros((16, 24, 3), np.float32), "3 channels of float32, expected 3 of uint8"),
    ],
)
def test_an_image_that_differs_is_named(tmp_path, image, message):
    root = write_folder(tmp_path / "f", random_images(6, 3, "uint8"))
    save(root / "images" / "0.tif", image)
    with pytest.raises(ValueError, match=rf"images/0\.tif' has {message}"):
        opened(root)


def test_a_band_that_is_marked_as_alpha_is_said_to_be_a_channel(tmp_path, capsys):
    root = write_folder(tmp_path / "f", [])
    images = random_images(5, 4, "uint8")
    for n, image in enumerate(images):
        Image.fromarray(image).save(root / "images" / f"{n}.tif")
        Image.fromarray(MASK).save(root / "masks" / f"{n}.png")
    dataset = opened(root)
    assert dataset.info.channels == 4
    assert "5 images (the first is" in (said := capsys.readouterr().out)
    assert "marked as having alpha in the last band, which is a channel" in said
    read = {e["image"].tobytes() for split in dataset.splits for e in dataset.source(split)}
    assert read == {image.tobytes() for image in images}


def tagged_folder(root, tag, *, tagged_masks=False):
    exif = Image.Exif()
    exif[0x0112] = tag
    write_folder(root, [])
    images, masks = random_images(5, 3, "uint8"), random_images(5, 1, "uint8", high=3)[..., 0]
    for n, (image, mask) in enumerate(zip(images, masks, strict=True)):
        Image.fromarray(image).save(root / "images" / f"{n}.png", exif=exif)
        options = {"exif": exif} if tagged_masks else {}
        Image.fromarray(mask).save(root / "masks" / f"{n}.png", **options)
    return images, masks


def content(dataset):
    examples = [e for split in dataset.splits for e in dataset.source(split)]
    return {(e["image"].tobytes(), e["label"].tobytes()) for e in examples}


def test_a_folder_with_orientation_tags_is_refused_until_it_is_settled(tmp_path, capsys):
    root = tmp_path / "f"
    images, masks = tagged_folder(root, 3)
    with pytest.raises(
        ValueError, match=r"images/\d\.png' has the orientation tag 3 \(upside down"
    ):
        opened(root)
    stored = opened(root, mask_orientation="stored")
    said = capsys.readouterr().out
    assert "are tagged with an orientation (3: upside down) and turned upright" in said
    assert "masks without a tag are turned as their images are" in said
    turned = [np.ascontiguousarray(image[::-1, ::-1]) for image in images]
    both = {
        (image.tobytes(), np.ascontiguousarray(mask[::-1, ::-1]).tobytes())
        for image, mask in zip(turned, masks, strict=True)
    }
    assert content(stored) == both
    upright = opened(root, mask_orientation="upright")
    assert upright.directory != stored.directory
    pairs = zip(turned, masks, strict=True)
    assert content(upright) == {(image.tobytes(), mask.tobytes()) for image, mask in pairs}
    assert "are taken as upright already" in capsys.readouterr().out


def test_a_folder_whose_masks_are_tagged_too_is_turned_as_a_whole(tmp_path, capsys):
    images, masks = tagged_folder(tmp_path / "f", 4, tagged_masks=True)
    dataset = opened(tmp_path / "f")
    pairs = zip(images, masks, strict=True)
    assert content(dataset) == {
        (np.ascontiguousarray(i[::-1]).tobytes(), np.ascontiguousarray(m[::-1]).tobytes())
        for i, m in pairs
    }
    said = capsys.readouterr().out
    assert "and turned upright, as tagged masks are\n" in said


def test_names_in_either_form_of_unicode_make_one_data_set(tmp_path):
    contents = []
    for form in ("NFC", "NFD"):
        root = tmp_path / form
        for kind in ("images", "masks"):
            (root / kind).mkdir(parents=True)
        for n in range(6):
            name = unicodedata.normalize(form, f"é{n}.png")
            other = unicodedata.normalize("NFC", f"é{n}.png")
            Image.fromarray(np.full((16, 24), n, np.uint8)).save(root / "images" / name)
            Image.fromarray(MASK).save(root / "masks" / other)
        dataset = opened(root)
        contents.append(
            {s: [int(e["image"][0, 0, 0]) for e in dataset.source(s)] for s in dataset.splits}
        )
    assert contents[0] == contents[1]


def test_pages_that_are_taken_for_bands_are_named_once(tmp_path, capsys):
    root = write_folder(tmp_path / "f", [])
    rng = np.random.default_rng(0)
    for n in range(5):
        pages = rng.integers(0, 255, (6, 16, 24)).astype(np.uint8)
        tifffile.imwrite(root / "images" / f"{n}.tif", pages)
        Image.fromarray(MASK).save(root / "masks" / f"{n}.png")
    assert opened(root).info.channels == 6
    text = capsys.readouterr().out
    assert text.count("of 6 pages, which are taken for the bands of one image") == 1
    assert "5 images (the first is '" in text
