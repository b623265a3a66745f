"""Text files that list names: whatever is in a name, and however the file is encoded."""

import os
import subprocess
import sys
import unicodedata

import pytest

from jaxseg.data.folders import name_lists


def touch(folder, *names):
    for name in names:
        (folder / f"{name}.jpg").touch()
        (folder / f"{name}.png").touch()


def read(folder, content):
    path = folder / "list.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    image, mask = (lambda name, s=suffix: folder / f"{name}{s}" for suffix in (".jpg", ".png"))
    return [pair.image.stem for pair in name_lists.read_list(path, image, mask, "a hint")]


def test_names_or_paths_in_their_order(tmp_path):
    touch(tmp_path, "a", "b")
    assert read(tmp_path, "# comment\n\n/images/b.jpg /masks/b.png\na 1 2\n") == ["b", "a"]
    with pytest.raises(ValueError, match=r"list\.txt' is empty; complete it: a hint"):
        read(tmp_path, "# nothing\n")
    (tmp_path / "a.png").unlink()
    with pytest.raises(
        ValueError, match=r"a\.png' is missing, which '.*list\.txt' names; add it: a"
    ):
        read(tmp_path, "b\na\n")
    with pytest.raises(ValueError, match=r"the list '.*none\.txt' is missing"):
        name_lists.read_list(tmp_path / "none.txt", None, None, "a hint")


def test_a_dot_in_a_name_is_not_an_ending(tmp_path):
    touch(tmp_path, "scan.1", "scan.2", "v1.0 final", "photo.png")
    names = ["scan.1", "scan.2", "v1.0 final", "photo.png"]
    assert read(tmp_path, "\n".join(names)) == names
    assert read(tmp_path, "scan.2.jpg\nphoto.png.jpg") == ["scan.2", "photo.png"]


@pytest.mark.parametrize(
    "line",
    [
        "my photo",
        "my photo.jpg",
        "  my photo\t",
        "my photo 1 1 1",
        "images/my photo.jpg masks/my photo.png",
        r"images\my photo.jpg",
        r"C:\data\my photo.jpg C:\data\my photo.png",
        r"images\my photo 1",
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_spaces_backslashes_and_line_ends(tmp_path, line, ending):
    touch(tmp_path, "my photo", "other")
    assert read(tmp_path, f"{line}{ending}other{ending}") == ["my photo", "other"]


def test_a_line_that_fits_two_images_is_refused(tmp_path):
    touch(tmp_path, "cat", "cat 1")
    with pytest.raises(ValueError, match=r"'cat 1' of '.*list\.txt' can be read as 'cat 1' and"):
        read(tmp_path, "cat 1")
    assert read(tmp_path, "cat") == ["cat"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_names_are_utf_8_with_or_without_a_mark(tmp_path, encoding):
    touch(tmp_path, "Gr\u00fcn", "b")
    assert read(tmp_path, "Gr\u00fcn\nb\n".encode(encoding)) == ["Gr\u00fcn", "b"]


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_either_form_of_an_accent_names_the_file(tmp_path, form):
    touch(tmp_path, "Gr\u00fcn")
    assert read(tmp_path, unicodedata.normalize(form, "Gr\u00fcn")) == ["Gr\u00fcn"]


@pytest.mark.parametrize(
    ("encoding", "found"),
    [
        ("latin-1", "byte 0xfc in line 2"),
        ("utf-16", "mark of UTF-16"),
        ("utf-16-be", "zero bytes|byte 0xfc in line 2"),
        ("utf-32", "UTF-16"),
    ],
)
def test_other_encodings_are_refused_by_file(tmp_path, encoding, found):
    touch(tmp_path, "a", "Gr\u00fcn")
    with pytest.raises(ValueError, match=rf"list\.txt' is not UTF-8 text \(it has .*({found})"):
        read(tmp_path, "a\nGr\u00fcn\n".encode(encoding))


def test_the_locale_does_not_matter(tmp_path):
    touch(tmp_path, "Gr\u00fcn")
    (tmp_path / "list.txt").write_bytes("Gr\u00fcn\n".encode())
    code = (
        "import os, pathlib, sys; from jaxseg.data.folders import name_lists;"
        "f = pathlib.Path(sys.argv[1]);"
        "r = name_lists.read_list(f / 'list.txt', lambda n: f / (n + '.jpg'), "
        "lambda n: f / (n + '.png'), ''); print(os.fsencode(r[0].image.stem))"
    )
    # UTF-8 mode is turned off: Python turns it on by itself in the locale C. The file system's
    # encoding is then ASCII, in which the name is bytes that Python escapes.
    off = {"LC_ALL": "en_US.ISO-8859-1", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for changes in ({"LC_ALL": "C"}, {"LC_ALL": "POSIX"}, off):
        result = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)],
            env=os.environ | changes,
            capture_output=True,
            text=True,
        )
        assert result.stdout.strip() == r"b'Gr\xc3\xbcn'", result.stderr
