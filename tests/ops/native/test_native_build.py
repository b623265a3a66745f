"""The library is built once, from what its hash says, and loaded only if it is what was built."""

import hashlib
import importlib.metadata
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jaxseg.ops import __main__ as report
from jaxseg.ops import native
from jaxseg.ops.native import build, loader

ROOT = Path(__file__).parents[3]
with_onednn = pytest.mark.usefixtures("native")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "jaxseg" / "native"


@pytest.fixture
def compiler(monkeypatch):
    """A compiler in a moment; returns the list of what it wrote."""
    written = []

    def run(parts, output):
        output.write_bytes(b"library %d" % len(written))
        written.append(output)

    monkeypatch.setattr(build, "_run_compiler", run)
    return written


def in_new_process(code, **environment):
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# --- building ------------------------------------------------------------------------------------


@with_onednn
def test_built_once_and_said_once(cache, compiler, capsys):
    path = build.build()
    assert build.build() == path
    assert path.read_bytes() == b"library 0"
    assert len(compiler) == 1
    assert path.parent.parent == cache
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("jaxseg: compiling its oneDNN convolutions with ")
    assert str(path.parent) in line
    for folder in (cache.parent, cache, path.parent):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert sorted(p.name for p in cache.iterdir()) == sorted(["lock", path.parent.name])


@with_onednn
@pytest.mark.parametrize("damage", ["changed", "emptied", "removed", "without checksum"])
def test_a_damaged_library_is_built_again(cache, compiler, damage):
    path = build.build()
    checksum = path.with_name("trilinear.so.sha256")
    assert checksum.read_text() == hashlib.sha256(path.read_bytes()).hexdigest()
    if damage == "without checksum":
        checksum.unlink()
    elif damage == "removed":
        path.unlink()
    else:
        path.write_bytes(b"" if damage == "emptied" else b"library X")
    assert build.build() == path
    assert path.read_bytes() == b"library 1"
    assert sorted(p.name for p in path.parent.iterdir()) == sorted([path.name, checksum.name])


@with_onednn
def test_the_hash_covers_everything_it_is_made_from(monkeypatch, tmp_path):
    parts = build.find_parts()
    keys = [build.key_of(parts)]
    assert build.key_of(parts) == keys[0]
    for field in ("compiler", "compiler_version", "headers", "libraries", "onednn_version"):
        keys.append(build.key_of(type(parts)(**{**parts.__dict__, field: f"other {field}"})))
    with monkeypatch.context() as patch:
        patch.setattr(build.importlib.metadata, "version", lambda name: f"other {name}")
        keys.append(build.key_of(parts))
    with monkeypatch.context() as patch:
        patch.setattr(build, "FLAGS", ("-O0",))
        keys.append(build.key_of(parts))
    with monkeypatch.context() as patch:
        patch.setattr(build.user_cache, "processor", lambda: "flags: none")
        keys.append(build.key_of(parts))
    for name in [path.name for path in build.sources()]:
        for path in build.sources():
            text = path.read_text() + ("// changed\n" if path.name == name else "")
            (tmp_path / path.name).write_text(text)
        with monkeypatch.context() as patch:
            patch.setattr(build, "SOURCE", tmp_path / build.SOURCE.name)
            keys.append(build.key_of(parts))
    assert len(set(keys)) == len(keys) == 13


@with_onednn
def test_two_processes_at_once(cache):
    """Both load a library, which is compiled once."""
    code = "from jaxseg.ops import native; s = native.status(); print(s.path, s.reason)"
    processes = [in_new_process(code) for _ in range(2)]
    results = [process.communicate(timeout=200) for process in processes]
    assert results[0][0] == results[1][0]
    assert str(cache) in results[0][0]
    assert sum("compiling" in error for _, error in results) == 1


@with_onednn
def test_importing_and_tracing_load_nothing(cache):
    code = """
import jax, jax.numpy as jnp, jaxseg.ops
from jaxseg.ops.native import loader
x, k = jnp.ones((1, 4, 4, 1)), jnp.ones((3, 3, 1, 1))
jax.make_jaxpr(jaxseg.ops.conv)(x, k)
print(loader._process.status)
"""
    output, _ = in_new_process(code).communicate(timeout=200)
    assert output.strip() == "None"
    assert not cache.exists()


# --- what may be missing -------------------------------------------------------------------------


def reason(monkeypatch):
    """The reason of a process that begins now."""
    return loader._load().reason


def test_no_compiler(monkeypatch, cache):
    monkeypatch.setattr(build, "_locate", lambda wheel, name: ("1.0", Path("/")))
    monkeypatch.setattr(build.shutil, "which", lambda name: None)
    assert "none of g++, c++, clang++ is on the PATH" in reason(monkeypatch)


def test_no_wheel(monkeypatch, cache):
    def distribution(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(build.importlib.metadata, "distribution", distribution)
    wanted = "onednn-cpu-gomp is not installed: pip install 'jaxseg[onednn]'"
    assert reason(monkeypatch) == wanted


def test_wheels_of_different_versions(monkeypatch, cache):
    monkeypatch.setattr(build, "_locate", lambda wheel, name: (wheel, Path("/")))
    assert "is onednn-cpu-gomp but" in reason(monkeypatch)


def test_another_platform(monkeypatch, cache):
    monkeypatch.setattr(build.platform, "machine", lambda: "arm64")
    assert "Linux on x86_64 alone" in reason(monkeypatch)


@with_onednn
def test_a_compiler_that_fails(monkeypatch, cache, tmp_path):
    (tmp_path / "g++").write_text(
        "#!/bin/sh\ntest $1 = --version || { echo error: no >&2; exit 1; }\n"
    )
    (tmp_path / "g++").chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert reason(monkeypatch) == f"{tmp_path / 'g++'} failed: error: no"
    assert [p.name for p in cache.iterdir()] == ["lock"]  # nothing half-made is left


@with_onednn
def test_a_cache_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert "set XDG_CACHE_HOME" in reason(monkeypatch)


@with_onednn
@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_cache_that_others_may_write_to_is_refused(monkeypatch, cache, compiler, mode):
    cache.mkdir(parents=True)
    cache.chmod(mode)
    assert "can be written to by others" in reason(monkeypatch)
    assert not compiler


@with_onednn
def test_a_cache_that_is_a_link_or_of_another_user_is_refused(monkeypatch, cache, compiler):
    other = cache.parents[1] / "other"
    other.mkdir()
    cache.parent.symlink_to(other)
    assert "is a link" in reason(monkeypatch)
    cache.parent.unlink()
    monkeypatch.setattr(build.os, "getuid", lambda: 12345)
    assert "belongs to another user" in reason(monkeypatch)
    assert not compiler


@with_onednn
def test_a_library_that_does_not_load(monkeypatch, cache, compiler):
    assert "trilinear.so" in reason(monkeypatch)  # what the quick compiler wrote is no library


@with_onednn
def test_threads_wait_for_the_first_one(monkeypatch):
    loads = []

    def load():
        loads.append(1)
        return native.Status(None, None, "none")

    monkeypatch.setattr(loader._process, "status", None)
    monkeypatch.setattr(loader, "_load", load)
    threads = [threading.Thread(target=native.status) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == [1]


# --- the report ----------------------------------------------------------------------------------


@with_onednn
def test_the_report_names_the_library():
    text = report.report()
    assert text.startswith("Convolutions on cpu: oneDNN, but")
    assert str(native.status().path) in text
    assert "upconvolution by a stride of 8 or more" in text


def test_the_report_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(loader._process, "status", native.Status(None, None, "no compiler"))
    text = report.report()
    assert text.startswith("Convolutions on cpu: XLA's, in rewritten forms, without oneDNN.")
    assert "oneDNN is not in use: no compiler" in text
    assert "pip install 'jaxseg[onednn]'" in text
