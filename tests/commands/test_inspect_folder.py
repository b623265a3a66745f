"""What `jaxseg inspect` says of a folder of one's own, also where it is refused."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from jaxseg.commands import inspect, inspect_folder
from jaxseg.commands.data import DataConfig


def write(root, masks, *, exif=None, images=None):
    """Writes a folder of pairs; images are all different unless they are given."""
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
    for number, mask in enumerate(masks):
        height, width = np.shape(mask)[:2]
        image = np.full((height, width, 3), number if images is None else images[number], np.uint8)
        options = {} if exif is None else {"exif": exif}
        Image.fromarray(image).save(root / "images" / f"p{number}.png", **options)
        drawn = mask if isinstance(mask, Image.Image) else Image.fromarray(np.uint8(mask))
        drawn.save(root / "masks" / f"p{number}.png")
    return root


def bands(*values):
    return np.repeat(np.array(values, np.uint8), 480 // len(values)).reshape(20, 24)


def said(root, capsys, tmp_path, **options):
    inspect_folder.examine(root, out=tmp_path / "out", **{"write_classes": False} | options)
    return capsys.readouterr().out


def test_values_and_counts_by_class(tmp_path, capsys):
    root = write(tmp_path / "f", [bands(0, 1, 255), bands(0, 0, 1), bands(0)])
    (root / "classes.txt").write_text("sky\nsea\n")
    text = said(root, capsys, tmp_path)
    assert "f: 3 images with masks (train 1, validation 1, test 1)\n" in text
    assert "masks: 3 8-bit gray PNG, such as masks/p" in text
    lines = [line.split() for line in text.splitlines()]
    pairs = [line[:-1] for line in lines if line[-1:] and line[-1].startswith("masks/p")]
    assert ["0", "0", "sky", "960", "66.67", "3"] in pairs
    assert ["1", "1", "sea", "320", "22.22", "2"] in pairs
    assert ["255", "(ignored)", "160", "11.11", "1"] in pairs


def test_colors_and_kinds_of_files_are_told(tmp_path, capsys):
    palette = Image.fromarray(bands(0, 1)).convert("P")
    palette.putpalette([200, 0, 0, 0, 200, 0])
    colors = np.array([[0, 200, 0], [200, 0, 0]], np.uint8)[bands(0, 1)]
    root = write(tmp_path / "f", [palette, colors, palette])
    text = said(root, capsys, tmp_path)
    assert "! 'masks/p1.png' is a mask of colors, expected class numbers" in text
    assert "masks: 2 palette PNG" in text
    assert "masks: 1 color PNG, such as masks/p1.png" in text
    assert "name red green blue = 3     the masks hold 3" in text
    (root / "classes.txt").write_text("green 0 200 0\nred 200 0 0\n")
    text = said(root, capsys, tmp_path)
    assert text.count("(200, 0, 0)    1 red") == 2  # as an index and as a color
    assert "!" not in text


def test_orientation_tags_repeated_pictures_and_slips_are_named(tmp_path, capsys):
    exif = Image.Exif()
    exif[0x0112] = 3
    slip = bands(0, 1)
    slip[0, 0] = 9
    root = write(tmp_path / "f", [slip, bands(0, 1), bands(0, 1)], exif=exif, images=[7, 7, 7])
    text = said(root, capsys, tmp_path)
    assert "! 3 images such as images/p" in text
    assert "bear the orientation tag 3" in text
    assert "! the same picture is in two splits" in text
    assert "! the value 9 occurs in 1 pixels of 1 masks only, such as masks/p0.png" in text


def test_all_bad_files_are_named_not_the_first_alone(tmp_path, capsys):
    root = write(tmp_path / "f", [bands(0, 1)] * 6)
    Image.fromarray(bands(0, 1)).save(root / "masks" / "p1.png", format="JPEG")
    (root / "masks" / "p2.png").write_bytes(b"nothing")
    Image.new("L", (3, 3)).save(root / "masks" / "p3.png")
    (root / "images" / "p4.png").write_bytes(b"nothing")
    text = said(root, capsys, tmp_path)
    for file, message in (
        ("masks/p1.png", "is a JPEG"),
        ("masks/p2.png", "cannot be read as an image"),
        ("masks/p3.png", "has (3, 3) pixels"),
        ("images/p4.png", "cannot be read as an image"),
    ):
        assert any(
            file in line and message in line for line in text.splitlines() if line[0:1] == "!"
        )
    assert "masks: 4 8-bit gray PNG" in text  # the mask of another size, and that of the bad image


@pytest.mark.parametrize("spoil", ["unpaired", "no layout", "no masks"])
def test_a_folder_whose_pairs_are_not_found_is_described(tmp_path, capsys, spoil):
    root = write(tmp_path / "f", [bands(0, 128, 255)] * 3)
    if spoil == "unpaired":
        (root / "images" / "p1.png").unlink()
    else:
        (root / "masks").rename(root / ("gt" if spoil == "no layout" else "others"))
    if spoil == "no layout":
        (root / "images").rename(root / "pictures")
    text = said(root, capsys, tmp_path)
    assert "f holds\n" in text
    assert ": 3 .png" in text
    assert "! " in text
    assert ("      128  " in text) == (spoil != "no masks")


def test_a_draft_is_written_and_never_over_a_file(tmp_path, capsys):
    root = write(tmp_path / "f", [bands(0, 1), bands(0, 255), bands(0)])
    assert "! 1 masks such as 'masks/p1.png' hold 0 and 255 only" in said(root, capsys, tmp_path)
    assert not (root / "classes.txt").exists()
    text = said(root, capsys, tmp_path, write_classes=True)
    assert f"a list of classes to edit is in {root / 'classes.txt'}; edit it" in text
    assert "foreground = 1, 255\n" in (root / "classes.txt").read_text()
    assert "hold 0 and 255 only" not in said(root, capsys, tmp_path)
    (root / "classes.txt").rename(root / "Classes.txt")
    (root / "Classes.txt").write_bytes(b"Gr\xfcn\nb\n")
    for name in ("classes.txt", "classes-2.txt"):
        text = said(root, capsys, tmp_path, write_classes=True)
        assert "is not UTF-8 text" in text
        assert f"is in {tmp_path / 'out' / name}; {root / 'Classes.txt'} stays as it is" in text
        assert (tmp_path / "out" / name).is_file()
    assert (root / "Classes.txt").read_bytes() == b"Gr\xfcn\nb\n"


def test_the_command_describes_a_refused_folder_and_fails(tmp_path, capsys):
    root = write(tmp_path / "f", [bands(0, 128, 255)] * 3)
    words = ["--data.name", "folder", "--data.directory", str(root)]
    words += ["--data.data-dir", str(tmp_path / "p"), "--out", str(tmp_path / "out")]
    with pytest.raises(ValueError, match=r"has 255 beside levels of gray"):
        inspect.command(words)
    assert "      128                 ? " in capsys.readouterr().out
    inspect.command([*words, "--write-classes"])
    assert "class 128" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"--data\.directory"):
        inspect.command([*words, "--data.directory", str(tmp_path / "nowhere")])
    with pytest.raises(ValueError, match=r"pass --data\.name folder"):
        inspect.Config(DataConfig("mosaic"), write_classes=True)


def test_images_without_a_pair_are_named(tmp_path, capsys):
    root = write(tmp_path / "f", [bands(0, 1)] * 3)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(root / "alone.png")
    text = said(root, capsys, tmp_path)
    assert "! 1 image file is in no pair and not used: 'alone.png'\n" in text
    (root / "alone.png").unlink()
    assert "in no pair" not in said(root, capsys, tmp_path)


def test_no_data_is_told_and_drafted(tmp_path, capsys):
    root = write(tmp_path / "f", [bands(0, 1, 9)] * 3)
    for path in sorted((root / "masks").iterdir()):
        tag = (42113, "s", 0, "9", True)  # GDAL_NODATA
        tifffile.imwrite(path.with_suffix(".tif"), np.asarray(Image.open(path)), extratags=[tag])
        path.unlink()
    text = said(root, capsys, tmp_path, write_classes=True)
    assert "the value 9 is ignored, since the tag GDAL_NODATA of 3 masks such as 'masks/p" in text
    assert "9                 (ignored)" in text
    assert (root / "classes.txt").read_text().splitlines()[-1] == "ignored = 9"
    (root / "classes.txt").write_text("a = 0\nb = 1\nc = 9\n")
    text = said(root, capsys, tmp_path)
    assert "tag GDAL_NODATA declares to be no data, but which is the class 'c' by classes" in text


def test_numbers_of_objects_are_told_and_drafted(tmp_path, capsys):
    root = write(tmp_path / "f", [bands(*range(count)) for count in (2, 3, 6, 8)])
    text = said(root, capsys, tmp_path, write_classes=True)
    assert "! every mask holds 1, 2, 3 and so on without a gap, some to 1 and others to 7" in text
    text = said(root, capsys, tmp_path)
    assert "1 object" in text
    assert "!" not in text
