"""What lists of classes say, and what the values of masks mean with and without one."""

import pytest

from jaxseg.data import class_lists


@pytest.mark.parametrize(
    ("values", "names", "labels", "remark"),
    [
        ({0, 1}, None, {0: 0, 1: 1, 255: 255}, ""),
        ({0, 255}, ("sky", "tree"), {0: 0, 255: 1}, "255 is 'tree'"),
        ({0, 255}, ("sky", "tree", "car"), {0: 0, 1: 1, 2: 2, 255: 255}, ""),
        ({0, 128, 255}, None, {0: 0, 128: 1, 255: 255}, "0, 128 are the labels 0..1; pixels of"),
        ({0, 2}, ("sky", "tree", "car"), {0: 0, 1: 1, 2: 2, 255: 255}, ""),
        ({10, 20, 255}, ("sky", "tree"), {10: 0, 20: 1, 255: 255}, "10 'sky', 20 'tree'"),
    ],
)
def test_what_values_mean(values, names, labels, remark):
    found = class_lists.from_values(
        dict.fromkeys(values, "m.png"), names and class_lists.check_classes(names, None)
    )
    assert found.labels == labels
    assert remark in found.remark
    assert bool(found.remark) == bool(remark)
    assert len(found.names) == len(set(found.palette)) == max(set(labels.values()) - {255}) + 1


@pytest.mark.parametrize(
    ("values", "names"),
    [({10, 20}, ("sky", "tree", "car")), ({0, 5}, ("sky", "tree", "car")), ({3}, ("sky", "tree"))],
)
def test_values_that_do_not_fit_the_list_are_refused(values, names):
    listed = class_lists.check_classes(names, None)
    with pytest.raises(ValueError, match=r"'m\.png' has the value \d+, expected 0\.\."):
        class_lists.from_values(dict.fromkeys(values, "m.png"), listed)


def test_classes_without_names_are_called_by_their_values():
    classes = class_lists.from_values(dict.fromkeys((0, 7, 255), "m.png"), None)
    assert classes.names == ("class 0", "class 7")


def test_a_list_of_classes_in_every_way_of_writing_it(tmp_path):
    path = tmp_path / "classes.txt"
    path.write_text("# road, soil\n1, 2, 3: wet road\n\nsoil 4;5;6\nIgnored 9 9 9\n")
    listed = class_lists.read_classes(path)
    assert listed == (("wet road", "soil"), ((1, 2, 3), (4, 5, 6)), ((9, 9, 9),))
    assert listed.by_color().labels == {0x010203: 0, 0x040506: 1, 0x090909: 255}
    path.write_text("ignored\nsoil\n")  # without a color it is a class
    assert class_lists.read_classes(path) == (("ignored", "soil"), None, ())
    for count, fits in ((2, True), (254, True), (1, False), (255, False)):
        path.write_text("\n".join(f"class {n}" for n in range(count)))
        if fits:
            assert len(class_lists.read_classes(path).names) == count
        else:
            with pytest.raises(ValueError, match=rf"lists {count} classes, expected 2 to 254"):
                class_lists.read_classes(path)
