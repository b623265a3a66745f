"""Nothing is replaced that jaxseg did not write, and nothing is left half written."""

import pytest

from jaxseg.commands.outputs import MANIFEST, Outputs, is_listed, read_manifest


def test_own_files_are_replaced_and_others_are_not(tmp_path):
    outputs = Outputs(tmp_path / "new" / "folder")
    outputs.write("a.txt", b"one")
    outputs.write("a.txt", b"two")
    assert (outputs.folder / "a.txt").read_bytes() == b"two"
    again = Outputs(outputs.folder)
    again.check(["a.txt", "b.txt"])
    (outputs.folder / "b.txt").write_text("of another program")
    with pytest.raises(ValueError, match=r"folder/b\.txt would be replaced, but jaxseg did not"):
        again.check(["a.txt", "b.txt"])
    with pytest.raises(ValueError, match=r"b\.txt would be replaced"):
        again.write("b.txt", b"three")
    assert (outputs.folder / "b.txt").read_text() == "of another program"
    assert {path.name for path in outputs.folder.iterdir()} == {MANIFEST, "a.txt", "b.txt"}


def test_what_somebody_edited_is_theirs(tmp_path):
    Outputs(tmp_path).write("a.txt", b"one")
    (tmp_path / "a.txt").write_bytes(b"corrected by hand")
    with pytest.raises(ValueError, match="somebody has edited it since: give another folder by"):
        Outputs(tmp_path).check(["a.txt"])


def test_a_link_or_a_folder_of_the_name_is_theirs(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    for name in ("link", "folder"):
        with pytest.raises(ValueError, match="would be replaced"):
            Outputs(tmp_path).check([name])


def test_many_are_named_shortly(tmp_path):
    for name in "abcde":
        (tmp_path / name).write_text(name)
    with pytest.raises(ValueError, match=r"/a, .*/b, .*/c and 2 more would be replaced.*them"):
        Outputs(tmp_path).check("abcde")


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    outputs = Outputs(tmp_path)
    outputs.write("a.txt", b"one")

    def fail():
        with outputs.path("a.txt") as path:
            path.write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert (tmp_path / "a.txt").read_bytes() == b"one"
    assert {path.name for path in tmp_path.iterdir()} == {MANIFEST, "a.txt"}


def test_a_kill_between_list_and_name_leaves_no_foreign_file(tmp_path, monkeypatch):
    outputs = Outputs(tmp_path)
    outputs.write("a.txt", b"one")

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", killed)
    with pytest.raises(KeyboardInterrupt):
        outputs.write("a.txt", b"two")
    monkeypatch.undo()
    with (tmp_path / MANIFEST).open("a") as file:
        file.write('{"file": "tor')  # a line that a kill has torn
    again = Outputs(tmp_path)
    again.write("a.txt", b"three")
    assert is_listed(tmp_path / "a.txt", read_manifest(tmp_path))


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"file is a file, expected a folder"):
        Outputs(tmp_path / "file")
