"""What the values of masks mean, and what is asked about rather than guessed."""

import json

import numpy as np
import pytest

from jaxseg.data.masks import class_lists
from jaxseg.data.masks.class_lists import ClassList
from jaxseg.data.masks.mask_labels import assign_labels
from jaxseg.data.masks.mask_survey import MaskSurvey
from jaxseg.data.masks.mask_values import pack_color
from jaxseg.data.masks.stored_masks import NO_COLOR, StoredMask

RED, GREEN, BLUE, BLACK, WHITE = (200, 0, 0), (0, 200, 0), (0, 0, 200), (0, 0, 0), (255, 255, 255)


def gray(*values, bits=8, shares=None, shape=(32, 32)):
    """A mask of horizontal bands, one a value, of equal heights or of these numbers of pixels."""
    pixels = np.repeat(values, shares or [-(-shape[0] // len(values)) * shape[1]] * len(values))
    return StoredMask(pixels[: shape[0] * shape[1]].reshape(shape), "gray", None, bits, "PNG")


def indexed(palette, *values):
    return gray(*values)._replace(kind="palette", palette=pack_color(np.array(palette)))


def colored(*colors):
    return gray(*pack_color(np.array(colors)).tolist())._replace(kind="color")


def survey_of(*masks):
    survey = MaskSurvey()
    for number, mask in enumerate(masks):
        survey.add(mask, f"m{number}.png")
    return survey


def listed(*names, **fields):
    return ClassList(names, fields.pop("palette", None), **fields)


def assign(masks, classes=None):
    return assign_labels(survey_of(*masks), classes)


@pytest.mark.parametrize(
    ("values", "names", "labels", "remark"),
    [
        ([0, 1], (), {0: 0, 1: 1, 255: 255}, ""),
        ([0, 255], (), {0: 0, 255: 1}, "255 is 'foreground'"),
        ([0, 255], ("sky", "tree"), {0: 0, 255: 1}, "255 is 'tree'"),
        ([0, 65535], (), {0: 0, 65535: 1}, "65535 is 'foreground'"),
        ([0, 2], ("sky", "tree", "car"), {0: 0, 1: 1, 2: 2, 255: 255}, ""),
        ([10, 20, 255], ("sky", "tree"), {10: 0, 20: 1, 255: 255}, "10 'sky', 20 'tree'"),
        ([0, 128, 255], ("sky", "tree", "car"), {0: 0, 128: 1, 255: 2}, "255 'car'"),
        ([0, 7, 255], (), {0: 0, 7: 1, 255: 255}, "0, 7 are the labels 0..1; pixels of 255 are"),
        ([0, 1, 2, 255], (), {0: 0, 1: 1, 2: 2, 255: 255}, "pixels of 255 are ignored"),
        ([0, 15, 255], (), {0: 0, 15: 1, 255: 255}, "0, 15 are the labels 0..1; pixels of 255"),
        ([0, 300, 2000], (), {0: 0, 300: 1, 2000: 2, 255: 255}, "the labels 0..2"),
        ([0, 128], (), {0: 0, 128: 1, 255: 255}, "the labels 0..1"),
        ([0], ("sky", "tree"), {0: 0, 1: 1, 255: 255}, ""),  # images without objects
    ],
)
def test_what_values_mean(values, names, labels, remark):
    found = assign([gray(*values, bits=16)], listed(*names) if names else None)
    assert found.labels == labels
    assert remark in found.remark
    assert bool(found.remark) == bool(remark)
    assert len(found.names) == len(set(found.palette)) == max(set(labels.values()) - {255}) + 1
    assert not found.colored


def test_classes_without_names_are_called_by_their_values():
    assert assign([gray(0, 7, 255)]).names == ("class 0", "class 7")


@pytest.mark.parametrize(
    ("masks", "names", "message"),
    [
        ([[10, 20]], "abc", r"'m0\.png' has the value 10, expected 0\.\.2 .*10 \(512 pixels\)"),
        ([[0, 5]], "abc", r"'m0\.png' has the value 5, expected 0\.\.2 for the 3 classes"),
        ([[3]], "ab", r"'m0\.png' has the value 3, expected 0\.\.1"),
        ([[0, 255]], "abc", r"only values are 0, 255 .*do not fit the 3 classes listed"),
        ([[0, 1], [0, 255]], "", r"1 masks such as 'm1\.png' hold 0 and 255.*'m0\.png' hold 1"),
        ([[0, 1], [0, 255]], "ab", r"1 masks such as 'm1\.png' hold 0 and 255 only"),
        ([[0, 1, 2], [255]], "abc", r"1 masks such as 'm1\.png' hold 0 and 255 only"),
        ([[0, 255], [0, 128, 255]], "", r"'m0\.png' has 255 beside levels of gray"),
        ([[0, 128, 255]], "ab", r"'m0\.png' has 255 beside levels of gray .*128: 352"),
        ([[0, 38, 255]], "", r"'m0\.png' has the value 255, which may be a class or ignored"),
        ([[0, 85, 170, 255]], "", r"has 255 beside levels of gray"),
        ([[0, 1, 2, 65535]], "", r"'m0\.png' has the value 65535, which may be a class or ign"),
        ([[-1, 0, 1]], "", r"'m0\.png' has the value -1, which may be a class or ignored"),
        ([[0, 1], [0, 100]], "", r"no mask has more than two values.*'m1\.png' has 100"),
        ([[1, 2]], "abc", r"no mask has the value 0 .* may count from 0 or from 1"),
        ([[0]], "", r"the masks' only value is 0, expected two classes"),
        ([[255]], "", r"the masks' only value is 255, expected two classes"),
    ],
)
def test_what_cannot_be_known_is_asked(masks, names, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        assign([gray(*values, bits=16) for values in masks], listed(*names) if names else None)


def test_every_question_about_255_is_settled_by_a_line():
    for masks in ([[0, 1], [0, 255]], [[0, 128, 255]], [[0, 1, 2], [0, 255]]):
        masks = [gray(*values) for values in masks]
        values = sorted({value for mask in masks for value in np.unique(mask.values).tolist()})
        numbers = tuple((value,) for value in values if value != 255)
        names = [f"c{value}" for (value,) in numbers]
        found = assign(masks, listed(*names, values=numbers, ignored_values=(255,)))
        assert found.labels == {v: label for label, (v,) in enumerate(numbers)} | {255: 255}
        found = assign(masks, listed(*names, values=(*numbers[:-1], (*numbers[-1], 255))))
        assert found.labels[255] == len(numbers) - 1


def test_255_is_ignored_where_a_mask_has_it_beside_another_object():
    found = assign([gray(0, 1, 255), gray(0, 1), gray(0, 255)])
    assert found.labels == {0: 0, 1: 1, 255: 255}


@pytest.mark.parametrize("stray", [1, 3, 77, 254])
@pytest.mark.parametrize("values", [(0, 255), (0, 2), (0, 2, 5, 6)])
def test_a_stray_pixel_is_no_class(values, stray):
    mask = gray(*values, shape=(64, 64))
    mask.values[-1, -1] = stray
    masks = [gray(*values, shape=(64, 64)), mask]
    with pytest.raises(ValueError, match=rf"'m1\.png' has the value {stray}, which .* 1 pixels of"):
        assign(masks)
    whole = [*values, stray]
    numbers = tuple((value,) for value in values)
    found = assign(masks, listed(*map(str, values), values=numbers, ignored_values=(stray,)))
    assert found.labels == dict(zip(whole, [*range(len(values)), 255], strict=True))


def test_a_stray_value_does_not_take_the_place_of_a_listed_class():
    mask = gray(0, 1, 2, shape=(64, 64))
    mask.values[0, 0] = 77
    with pytest.raises(ValueError, match=r"has the value 77, which occurs in 1 pixels"):
        assign([mask], listed("sky", "grass", "house", "sun"))
    mask.values[0, 0] = 3  # a listed one may be rare
    assert assign([mask], listed("sky", "grass", "house", "sun")).labels[3] == 3


@pytest.mark.parametrize(("low", "high"), [(0, 255), (0, 100), (50, 200)])
def test_smooth_edges_are_refused(low, high):
    ramp = np.clip(np.arange(64)[:, None] + np.arange(64) - 60, 0, 4) / 4
    values = np.round(low + (high - low) * ramp).astype(np.uint8)
    with pytest.raises(
        ValueError, match=r"'m0\.png' has values such as .* along edges .*pixels of"
    ):
        assign([StoredMask(values, "gray", None, 8, "PNG")])
    middle = (low + high) // 2
    numbers = (tuple(range(low, middle)), tuple(range(middle, high + 1)))
    found = assign([StoredMask(values, "gray", None, 8, "PNG")], listed("a", "b", values=numbers))
    assert (found.labels[low], found.labels[high]) == (0, 1)


def test_noise_of_a_jpeg_is_refused():
    values = np.where(np.arange(64)[:, None] < 32, 0, 100) + np.zeros((64, 64), int)
    values[::8, ::4], values[4::8, 1::4] = values[::8, ::4] + 2, values[4::8, 1::4] + 1
    with pytest.raises(ValueError, match=r"has the value 1, which may be noise around another"):
        assign([StoredMask(values, "gray", None, 8, "PNG")])


def test_too_many_values_are_no_classes():
    with pytest.raises(ValueError, match=r"'m0\.png' the masks have 100 values, expected at most"):
        assign([gray(*range(100), shape=(100, 10))])


def test_palettes_are_matched_by_listed_colors():
    classes = listed("red", "green", "blue", palette=(RED, GREEN, BLUE), ignored=(BLACK,))
    masks = [indexed([BLUE, GREEN], 0, 1), indexed([RED, BLACK, BLUE], 0, 1, 2), colored(RED, BLUE)]
    found = assign(masks, classes)
    assert found.colored
    assert found.labels == {0xC80000: 0, 0x00C800: 1, 0x0000C8: 2, 0: 255}
    assert (found.mask_values, found.ignored_value) == ((RED, GREEN, BLUE), BLACK)


def test_grays_are_matched_by_listed_colors():
    light, dark = (200,) * 3, (9,) * 3
    found = assign([gray(200, 9)], listed("light", "dark", palette=(light, dark)))
    assert (found.labels, found.colored) == ({200: 0, 9: 1}, False)
    assert found.mask_values == (200, 9)
    listed_grays = listed("light", "middle", "dark", palette=(light, (99,) * 3, dark))
    assert assign([gray(200, 9)], listed_grays).labels == {200: 0, 99: 1, 9: 2}
    cells = listed("cell", "background", palette=(WHITE, BLACK))
    assert assign([gray(0, 255)], cells).labels == {255: 0, 0: 1}
    assert assign([gray(0, 1, bits=1)], cells).labels == {1: 0, 255: 0, 0: 1}
    assert assign([indexed([BLACK, WHITE], 0, 1)], cells).labels == {0xFFFFFF: 0, 0: 1}


def test_colors_are_those_of_figures_where_masks_are_numbers():
    found = assign([gray(0, 1, 255)], listed("a", "b", palette=(RED, GREEN)))
    assert (found.labels, found.palette) == ({0: 0, 1: 1, 255: 255}, (RED, GREEN))
    assert found.mask_values == ()
    found = assign([gray(0, 1, 2)], listed("a", "b", "c", palette=(BLACK, RED, GREEN)))
    assert found.labels == {0: 0, 1: 1, 2: 2, 255: 255}


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ([indexed([RED, BLUE], 0, 1)], r"'m0\.png' shows \(0, 0, 200\) \(512 pixels in 1 masks, n"),
        ([colored(RED, BLUE)], r"shows \(0, 0, 200\).*which classes\.txt does not list.*`name 0 0"),
        ([colored(RED, GREEN), gray(0, 1)], r"'m1\.png' shows \(0, 0, 0\)"),
        ([gray(0, 1, 9)], r"has the value 9, which is 'red' by the colors .* 'nine' by its number"),
        ([gray(0, 1), indexed([RED, BLUE], 1)], r"'m0\.png' shows .*palettes' numbers"),
    ],
)
def test_contradictions_to_listed_colors_are_refused(masks, message):
    classes = listed("red", "green", palette=(RED, GREEN))
    if "nine" in message:
        classes = listed("red", "one", "nine", palette=((9, 9, 9), GREEN, BLUE))
    with pytest.raises(ValueError, match=message):
        assign(masks, classes)


def test_a_transparent_color_is_named_by_its_number():
    classes = listed("red", "green", palette=(RED, GREEN))
    transparent = indexed([RED, GREEN, BLUE], 0, 1, 2)
    transparent.palette[2] = NO_COLOR
    message = (
        r"number 2 .*no color of the number 2 is known, .* without transparency.*`ignored = 2`"
    )
    with pytest.raises(ValueError, match=message):
        assign([transparent], classes)


def test_listed_values_count_whatever_palettes_show():
    masks = [indexed([RED, GREEN], 0, 1), indexed([GREEN, RED], 0, 1), gray(0, 1)]
    found = assign(masks, listed("a", "b", palette=(BLUE, BLACK), values=((1,), (0,))))
    assert (found.labels, found.palette, found.colored) == ({1: 0, 0: 1}, (BLUE, BLACK), False)
    with pytest.raises(ValueError, match=r"'m0\.png' has the value 1 \(.*`name = value` or `ign"):
        assign(masks, listed("a", "b", values=((0,), (2,))))
    with pytest.raises(ValueError, match=r"'m0\.png' is a mask of colors, expected class numbers"):
        assign([colored(RED, GREEN)], listed("a", "b", values=((0,), (2,))))


@pytest.mark.parametrize(
    "masks",
    [
        [indexed([RED, GREEN], 0, 1), indexed([GREEN, RED], 0, 1)],
        [indexed([RED, GREEN], 0, 1), indexed([RED, BLUE], 0, 1)],
        [indexed([RED, GREEN, RED], 0, 1, 2)],
        [indexed([BLACK, WHITE], 0, 1), gray(0, 255)],
        [indexed([WHITE, BLACK], 0, 1), gray(0, 1, bits=1)],
        [indexed([BLACK, (128,) * 3, WHITE], 0, 1, 2)],
    ],
)
def test_palettes_that_disagree_are_refused_without_listed_colors(masks):
    for classes in (None, listed(*"abc")):
        with pytest.raises(ValueError, match=r"m\d\.png.*expected one palette.*`name red green"):
            assign(masks, classes)


@pytest.mark.parametrize(
    "masks",
    [
        [indexed([RED, GREEN, BLUE], 0, 1), indexed([RED, GREEN, BLACK], 0, 1)],
        [indexed([RED, GREEN], 0, 1), gray(0, 1)],
        [indexed([BLACK, WHITE], 0, 1)],
        [indexed([BLACK, (1, 1, 1), RED], 0, 1)],
    ],
)
def test_palettes_that_agree_where_they_are_used_are_numbers(masks):
    assert assign(masks).labels == {0: 0, 1: 1, 255: 255}


def test_colors_are_listed_in_the_message():
    with pytest.raises(ValueError, match=r"'m1\.png' is a mask .* show \(0, 0, 0\) \(1536 pixels"):
        assign([colored(BLACK, BLACK), colored(BLACK, RED)])


def test_colors_with_smooth_edges_are_refused_as_such():
    ramp = [tuple(number * part // 10 for part in RED) for number in range(11)]
    for classes, message in (
        (listed("a", "b", palette=(BLACK, RED)), r"shows .* lossy format: export without"),
        (None, r"'m0\.png' is a mask of colors"),
    ):
        with pytest.raises(ValueError, match=message):
            assign([colored(*ramp)], classes)


def test_gray_colors_are_numbers():
    assert assign([colored(BLACK, (1, 1, 1)), colored(BLACK)]).labels == {0: 0, 1: 1, 255: 255}
    assert assign([colored(BLACK, WHITE), colored(BLACK)]).labels == {0: 0, 255: 1}


def test_ignored_numbers_leave_the_others_to_the_names():
    classes = listed("a", "b", "c", ignored_values=(0,))
    assert assign([gray(0, 1, 2, 3)], classes).labels == {0: 255, 255: 255, 1: 0, 2: 1, 3: 2}
    assert assign([gray(0, 1, 2, 3)], classes).ignored_value is None
    with pytest.raises(ValueError, match=r"expected 0\.\.2 for the 3 classes"):
        assign([gray(0, 1, 2)], classes)


def test_a_survey_survives_json():
    survey = survey_of(gray(0, 1, 255), gray(0, 255), indexed([RED, GREEN], 0, 1), colored(RED))
    assert MaskSurvey.from_json(json.loads(json.dumps(survey.to_json()))) == survey
    assert survey.masks == 4
    assert survey.pixels == 4 * 1024
    assert (survey.binary_255.file, survey.mixed_255.file) == ("m1.png", "m0.png")
    assert survey.formats["8-bit gray PNG"] == (2, "m0.png")
    assert sum(tally.pixels for tally in survey.entries.values()) == survey.pixels


def test_every_list_of_values_is_a_list_of_classes(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_text("a = 0\nb = 1, 255\n")
    assert assign([gray(0, 1), gray(0, 255)], class_lists.read_classes(path)).labels == {
        0: 0,
        1: 1,
        255: 1,
    }


def objects(*counts, bits=8):
    return [gray(*range(n + 1), bits=bits, shape=(4 * (n + 1), 32)) for n in counts]


def test_numbers_that_count_objects_are_no_classes():
    with pytest.raises(
        ValueError, match=r"some to 2 and others to 9, such as 'm1\.png', .*`object = 1-65535`"
    ):
        assign(objects(2, 9, 5))
    with pytest.raises(ValueError, match=r"some to 1 and others to 70, .*number their objects"):
        assign(objects(1, 2, 70, bits=16))
    with pytest.raises(ValueError, match=r"numbers of single objects are no classes, .*1-65535"):
        assign([*objects(1, 2), gray(0, *range(70, 140), 71, shape=(72, 32))])
    with pytest.raises(ValueError, match=r"expected 0\.\.1 .*if the numbers count objects, take"):
        assign(objects(2, 9, 5), listed("background", "cell"))


def test_many_numbers_that_are_each_in_one_place_are_no_classes():
    masks = [gray(0, *range(k, k + 3 + k % 5), shape=(64, 32)) for k in range(1, 20, 2)]
    with pytest.raises(ValueError, match=r"the 26 numbers in two places, and some have 3 of them"):
        assign(masks)
    masks[3].values[-1, -1] = masks[3].values[40, 0]  # as a class may be, it is in two places
    assert len(assign(masks).names) == 26


def test_numbers_that_may_be_classes_are_not_taken_for_objects():
    for masks in (
        objects(5, 5, 5),  # every mask has all classes
        objects(2, 5, 5),
        objects(1, 2, 3),  # few classes
        [*objects(2, 9, 5), gray(0, 3, 4)],  # a gap
    ):
        assert assign(masks).names[:3] == ("class 0", "class 1", "class 2")


def test_objects_are_one_class_by_two_lines(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_text("background = 0\nobject = 1-65535\n")
    found = assign(objects(2, 9, 5), class_lists.read_classes(path))
    assert (found.labels[0], found.labels[1], found.labels[65535]) == (0, 1, 1)
    assert found.mask_values == ()


def no_data(value, *values):
    return gray(*values)._replace(no_data=value)


@pytest.mark.parametrize(
    ("masks", "names", "labels"),
    [
        ([no_data(9, 0, 1, 9), gray(0, 1)], (), {0: 0, 1: 1, 9: 255, 255: 255}),
        ([no_data(0, 0, 1, 2)], (), {0: 255, 1: 0, 2: 1, 255: 255}),
        ([no_data(9, 0, 255, 9)], ("sky", "tree"), {0: 0, 255: 1, 9: 255}),
        ([no_data(-1, -1, 0, 1)], ("sky", "tree"), {-1: 255, 0: 0, 1: 1, 255: 255}),
        ([no_data(7, 0, 1)], (), {0: 0, 1: 1, 255: 255}),  # no pixel has it
    ],
)
def test_no_data_is_ignored(masks, names, labels):
    found = assign(masks, listed(*names) if names else None)
    assert found.labels == labels
    value = masks[0].no_data
    said = rf"the value {value} is ignored, since the tag GDAL_NODATA of 1 masks such as 'm0.png'"
    assert (said in found.remark) == (value != 7)


def test_no_data_that_is_a_class_is_refused():
    masks = [gray(0, 1), no_data(0, 0, 1)]
    twice = r"'m1\.png' has the value 0, .* no data, but which is the class 'sky'.*`ignored = 0`"
    with pytest.raises(ValueError, match=twice):
        assign(masks, listed("sky", "tree", values=((0,), (1,))))
    with pytest.raises(
        ValueError, match=r"1 of the 2 classes listed occur.*the value 0 is ignored"
    ):
        assign(masks, listed("sky", "tree"))
    with pytest.raises(ValueError, match=r"only value is 1, .*the value 0 is ignored.*unsetnodata"):
        assign([no_data(0, 0, 1)])
    kept = listed("sky", "tree", values=((2,), (1,)), ignored_values=(0,))
    assert assign([no_data(0, 0, 1)], kept).labels == {2: 0, 1: 1, 0: 255}


def test_palettes_of_masks_are_those_of_the_classes():
    found = assign([indexed([RED, GREEN, BLUE], 0, 1), indexed([RED, GREEN, BLUE], 0, 2)])
    assert found.palette == (RED, GREEN, BLUE)
    found = assign([indexed([RED, GREEN, BLUE], 0, 2)], listed("a", "b", "c"))
    assert (found.palette[0], found.palette[2]) == (RED, BLUE)
    assert len(set(found.palette)) == 3
    by_values = listed("c", "a", values=((2,), (0,)))
    assert assign([indexed([RED, GREEN, BLUE], 0, 2)], by_values).palette == (BLUE, RED)
    own = listed("a", "b", palette=(GREEN, BLUE), values=((0,), (1,)))
    assert assign([indexed([RED, GREEN], 0, 1)], own).palette == (GREEN, BLUE)
    alike = indexed([RED, RED], 0, 1)
    assert assign([alike], listed("a", "b", values=((0,), (1,)))).palette[0] != RED
