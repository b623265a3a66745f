"""The list of classes of a folder is found, or it is said why it has no effect."""

import pytest

from jaxseg.data.folders.class_file import find_list


def test_the_file_is_found_whatever_its_capitals(tmp_path):
    assert find_list(tmp_path) is None
    (tmp_path / "Classes.TXT").touch()
    assert find_list(tmp_path) == tmp_path / "Classes.TXT"
    (tmp_path / "classes.txt").touch()
    with pytest.raises(ValueError, match=r"holds 'Classes\.TXT' and 'classes\.txt', expected one"):
        find_list(tmp_path)


def test_a_list_that_cannot_be_used_is_named(tmp_path):
    path = tmp_path / "classes.txt"
    path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"classes\.txt' is a link to a file that is missing"):
        find_list(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(ValueError, match=r"classes\.txt' is a folder, expected the list"):
        find_list(tmp_path)
    path.rmdir()
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "classes.txt").touch()
    with pytest.raises(ValueError, match=r"masks.classes\.txt' has no effect there.*move it"):
        find_list(tmp_path)
    path.touch()
    assert find_list(tmp_path) == path
