"""What the masks of another folder mean: what its list says, or what they meant in training."""

import numpy as np
import pytest
from PIL import Image
from pixel_net import COLORS, info

from jaxseg.commands.other_masks import mask_labels, other_mask_labels
from jaxseg.data.images.image_files import FilePair
from jaxseg.data.masks.mask_values import pack_color

NUMBERS = info(mask_labels=((0, 0), (1, 1), (2, 2), (7, 2), (9, 255), (255, 255)))
PACKED = [int(pack_color(np.array(color))) for color in COLORS]
COLORED = info(
    mask_labels=tuple(sorted([*zip(PACKED, range(3), strict=True), (0, 255)])), colored_masks=True
)


def gray(*values):
    return Image.fromarray(np.repeat(np.array(values, np.uint8), 4)[None].repeat(4, 0))


def indexed(*values, colors):
    mask = Image.fromarray(np.asarray(gray(*values)))
    mask.putpalette([part for color in colors for part in color])
    return mask


def colors(*values):
    return Image.fromarray(np.array(values, np.uint8)[None].repeat(4, 0))


def read(root, dataset_info, *masks, listed=None):
    pairs = []
    for number, mask in enumerate(masks):
        path = root / f"m{number}.png"
        mask.save(path)
        pairs.append(FilePair(root / f"i{number}.png", path))
    if listed is not None:
        (root / "classes.txt").write_text(listed)
    return other_mask_labels(dataset_info, root, {"train": pairs[:1], "test": pairs[1:]})


def test_without_a_list_the_whole_table_of_the_run_counts(tmp_path):
    masks = gray(1, 7, 9), gray(7, 2, 255)
    assert read(tmp_path, NUMBERS, *masks) == (dict(NUMBERS.mask_labels), False)
    assert mask_labels(NUMBERS) == (dict(NUMBERS.mask_labels), False)
    masks = colors(COLORS[2], (0, 0, 0)), indexed(1, 0, colors=COLORS)
    assert read(tmp_path, COLORED, *masks) == (dict(COLORED.mask_labels), True)


def test_a_list_says_what_the_masks_of_its_folder_mean(tmp_path):
    lines = "red = 5\ngreen = 1\nblue = 2, 0\nignored = 3\n"
    labels = {5: 0, 1: 1, 2: 2, 0: 2, 3: 255}
    for trained in (NUMBERS, COLORED):
        assert read(tmp_path, trained, gray(5, 1, 3), listed=lines) == (labels, False)


def test_palettes_are_matched_by_the_colors_of_the_list(tmp_path):
    names = zip(("red", "green", "blue"), COLORS, strict=True)
    lines = "".join(f"{name} {r} {g} {b}\n" for name, (r, g, b) in names)
    mask = indexed(0, 1, 2, colors=COLORS[::-1])
    labels, colored = read(tmp_path, NUMBERS, mask, listed=lines)
    assert colored
    assert labels == dict(zip(PACKED, range(3), strict=True))


def test_a_list_of_names_reads_other_numbers_than_those_of_training(tmp_path, capsys):
    trained = info(mask_values=(0, 1, 2), mask_labels=((0, 0), (1, 1), (2, 2), (255, 255)))
    labels, _ = read(tmp_path, trained, gray(10, 20, 30), listed="red\ngreen\nblue\n")
    assert {value: labels[value] for value in (10, 20, 30)} == {10: 0, 20: 1, 30: 2}
    assert "the masks' values are 10 'red', 20 'green', 30 'blue'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("trained", "masks", "message"),
    [
        (NUMBERS, [gray(0, 1), gray(0, 255)], r"1 masks such as '.*m1\.png' hold 255 beside .* 0"),
        (NUMBERS, [gray(0, 255), gray(0, 0)], r"1 masks such as '.*m0\.png' .* may be an object"),
        (NUMBERS, [gray(0, 1), gray(0, 3)], r"m1\.png' has the value 3, expected 0, 1, 2, 7, 9"),
        (NUMBERS, [colors(*COLORS)], r"m0\.png' is a mask of colors, .* trained on masks of num"),
        (COLORED, [gray(1, 2)], r"m0\.png' has the value \(1, 1, 1\), expected \(0, 0, 0\)"),
        (
            NUMBERS,
            [indexed(0, 1, colors=[COLORS[0], COLORS[2]])],
            r"number 1, which was 'green' in training, and shows .* \(40, 40, 200\) of 'blue'",
        ),
        (
            NUMBERS,
            [indexed(0, 1, colors=[(1, 2, 3), (4, 5, 6)]), indexed(1, colors=[(9, 9, 8)] * 2)],
            r"palettes of the masks leave .* \(4, 5, 6\) in the palette of '.*m0\.png'",
        ),
    ],
)
def test_what_may_mean_something_else_is_refused_by_file(tmp_path, trained, masks, message):
    with pytest.raises(ValueError, match=rf"{message}.*: add a classes\.txt to {tmp_path}"):
        read(tmp_path, trained, *masks)


def test_ignored_pixels_beside_classes_are_clear(tmp_path):
    labels, _ = read(tmp_path, NUMBERS, gray(0, 255), gray(0, 1, 255))
    assert labels[255] == 255


def test_no_data_of_another_folder_is_ignored_unless_it_is_a_class(tmp_path):
    def write(value):
        path = tmp_path / "m.tif"
        gray(0, 1, value).save(path, tiffinfo={42113: str(value)})
        return {"test": [FilePair(tmp_path / "i.png", path)]}

    labels, _ = other_mask_labels(NUMBERS, tmp_path, write(50))
    assert labels == dict(NUMBERS.mask_labels) | {50: 255}
    with pytest.raises(ValueError, match=r"has the value 2, which its tag GDAL_NODATA .* training"):
        other_mask_labels(NUMBERS, tmp_path, write(2))
