"""Files are meant as typed first, then as patterns; what is passed over is said."""

import os

import pytest

from jaxseg.commands.image_list import find_images, output_names
from jaxseg.commands.outputs import Outputs


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return root


def names(images, root):
    return [path.relative_to(root).as_posix() for path in images.paths]


def test_what_lies_in_a_folder_beside_images_is_named(tmp_path):
    touch(tmp_path, "b.PNG", "a.gif", "._0.png", ".DS_Store", "c.heic", "notes.txt", "more/d.png")
    images = find_images([str(tmp_path)])
    assert names(images, tmp_path) == ["a.gif", "b.PNG"]
    text = "\n".join(images.remarks)
    assert "2 hidden files (._0.png, .DS_Store)" in text or "(.DS_Store, ._0.png)" in text
    assert "2 files of other kinds (c.heic, notes.txt): convert .heic to .png or .jpg" in text
    assert "1 subfolder (more): name it too" in text


@pytest.mark.parametrize("part", ["shots [1]", "a?b", "what*", "[x", "{a,b}", "it's"])
def test_names_are_taken_as_typed_before_they_are_patterns(tmp_path, part):
    touch(tmp_path, f"{part}/one.jpg", f"{part}/two.jpg", "shots 1/wrong.jpg", "axb/wrong.jpg")
    images = find_images([str(tmp_path / part / "*.jpg")])
    assert names(images, tmp_path) == [f"{part}/one.jpg", f"{part}/two.jpg"]
    assert names(find_images([str(tmp_path / part / "one.jpg")]), tmp_path) == [f"{part}/one.jpg"]
    assert len(find_images([str(tmp_path / part)]).paths) == 2


def test_a_file_whose_name_is_a_pattern_is_that_file(tmp_path):
    touch(tmp_path, "[1].jpg", "1.jpg", "*.png", "x.png")
    assert names(find_images([str(tmp_path / "[1].jpg")]), tmp_path) == ["[1].jpg"]
    assert names(find_images([str(tmp_path / "*.png")]), tmp_path) == ["*.png"]


def test_patterns_pass_over_hidden_files_and_go_deep(tmp_path):
    touch(tmp_path, "a/x.jpg", "a/b [2]/y.jpg", "a/.hidden/z.jpg", "a/._x.jpg", "w.jpg", "a/n.txt")
    deep = find_images([str(tmp_path / "**" / "*.jpg")])
    assert sorted(names(deep, tmp_path)) == ["a/b [2]/y.jpg", "a/x.jpg", "w.jpg"]
    assert names(find_images([str(tmp_path / "a" / "b*" / "[xy].jpg")]), tmp_path) == [
        "a/b [2]/y.jpg"
    ]
    everything = find_images([str(tmp_path / "a" / "*")])
    assert names(everything, tmp_path) == ["a/x.jpg"]
    assert "1 subfolder (b [2])" in "\n".join(everything.remarks)
    assert "1 file of another kind (n.txt)" in "\n".join(everything.remarks)
    hidden = find_images([str(tmp_path / "a" / "._*.jpg")])
    assert names(hidden, tmp_path) == ["a/._x.jpg"]


def test_relative_patterns_and_repeated_files(tmp_path, monkeypatch):
    touch(tmp_path, "p/1.jpg", "p/2.jpg")
    monkeypatch.chdir(tmp_path)
    images = find_images(["p/*.jpg", "p", "./p/1.jpg", str(tmp_path / "p" / "2.jpg")])
    assert [os.fspath(path) for path in images.paths] == ["p/1.jpg", "p/2.jpg"]


def test_results_are_not_read_as_images(tmp_path):
    touch(tmp_path, "a.png")
    Outputs(tmp_path).write("a_mask.png", b"a mask")
    images = find_images([str(tmp_path)])
    assert names(images, tmp_path) == ["a.png"]
    assert "1 result of jaxseg (a_mask.png)" in "\n".join(images.remarks)


@pytest.mark.parametrize("words", [[], ["none*.png"], ["empty"], ["missing/photo.jpg"]])
def test_what_names_no_image_is_refused(tmp_path, monkeypatch, words):
    touch(tmp_path, "empty/notes.txt", "empty/._0.png")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"no images are given|names no image"):
        find_images(words)


def test_a_folder_of_nothing_readable_says_what_it_holds(tmp_path):
    touch(tmp_path, "a.heic", "b/c.png")
    with pytest.raises(ValueError, match=r"names no image.*a\.heic.*convert \.heic.*1 subfolder"):
        find_images([str(tmp_path)])


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        (["a/x.png", "b/X.jpg", "c/x.png", "d/y.png"], ["a_x.png", "X.jpg", "c_x.png", "y"]),
        (["img.png", "img.jpg"], ["img.png", "img.jpg"]),
        (["t.01.tif", "t.02.tif"], ["t.01", "t.02"]),
        (["t.01", "t.02"], ["t.01", "t.02"]),
        (["1/a/x.png", "2/a/x.png"], ["00000_x.png", "00001_x.png"]),
        (["e\u0301.png", "\u00e9.jpg"], ["e\u0301.png", "\u00e9.jpg"]),
    ],
)
def test_results_of_two_images_have_two_names(tmp_path, paths, expected):
    assert output_names([tmp_path / path for path in paths]) == expected
