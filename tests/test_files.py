"""Files are written whole or not at all."""

import errno
import hashlib
import os

import numpy as np
import pytest

from jaxseg import files


def fail(*_):
    raise KeyboardInterrupt


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / "t.txt"
    files.write_text(path, "old")
    assert path.stat().st_mode & 0o777 == 0o644

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        files.write_text(path, "new")
    monkeypatch.undo()
    with pytest.raises(UnicodeEncodeError):
        files.write_text(path, "\ud800")
    assert [p.name for p in tmp_path.iterdir()] == ["t.txt"]
    assert path.read_text() == "old"


def test_an_array_is_read_back_and_not_left_half_written(tmp_path, monkeypatch):
    path = tmp_path / "a.npy"
    files.write_array(path, np.arange(6, dtype=np.uint8).reshape(2, 3))
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        files.write_array(path, np.zeros(9))
    assert [p.name for p in tmp_path.iterdir()] == ["a.npy"]
    np.testing.assert_array_equal(np.load(path), [[0, 1, 2], [3, 4, 5]])
    assert files.read_array(path).dtype == np.uint8
    for content in (b"", b"junk"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.npy cannot be read .* --overwrite"):
            files.read_array(path)
    with pytest.raises(ValueError, match=r"b\.npy cannot be read"):
        files.read_array(tmp_path / "b.npy")


def test_a_folder_that_is_not_there_is_an_error_and_nothing_is_left(tmp_path):
    with pytest.raises(OSError, match="No such file or directory"):
        files.write_bytes(tmp_path / "missing" / "a.bin", b"1")
    assert list(tmp_path.iterdir()) == []


def test_only_arrays_of_numbers_are_written(tmp_path):
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        files.write_array(tmp_path / "a.npy", np.array([{}]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"abc", bytes(range(256)) * 5000])
def test_sha256_is_that_of_the_content(tmp_path, content):
    files.write_bytes(tmp_path / "a.bin", content)
    assert (tmp_path / "a.bin").read_bytes() == content
    assert files.sha256(tmp_path / "a.bin") == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("out", ["file", "file/run"])
def test_a_file_is_no_folder(tmp_path, out):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"/file is a file, expected a folder .*another --out"):
        files.make_folder(tmp_path / out)


def test_an_error_of_the_system_names_the_file(tmp_path):
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as a full disk raises it: no name
    named = pytest.raises(OSError, match=r"No space left on device: '.*/a\.txt'$")
    with named, files.naming(tmp_path / "a.txt"):
        raise full


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_text_is_read_as_utf_8_with_or_without_a_mark(tmp_path, encoding):
    path = tmp_path / "a.txt"
    path.write_bytes("Gr\u00fcn\r\n".encode(encoding))
    assert files.read_text(path) == "Gr\u00fcn\r\n"


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-le", "utf-32-be"])
def test_text_in_another_encoding_is_refused_by_file(tmp_path, encoding):
    path = tmp_path / "a.txt"
    path.write_bytes("a\nGr\u00fcn\n".encode(encoding))
    with pytest.raises(ValueError, match=r"a\.txt' is not UTF-8 text .*save it again"):
        files.read_text(path)
    path.write_bytes("Latin letters".encode("utf-16-le"))
    with pytest.raises(ValueError, match=r"a\.txt' is not UTF-8 text \(it has zero bytes"):
        files.read_text(path)
