"""Compiled programs are kept between processes, privately, bounded and whole."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from jaxseg import compile_cache, user_cache
from jaxseg.compile_cache import ProgramCache, _without_false_alarm, keep_programs
from jaxseg.user_cache import fingerprint, private_folder

ROOT = Path(__file__).parents[1]
PROGRAM = """
import sys
import jax
import jax.numpy as jnp
from jaxseg.startup import launch

compiled = []
jax.monitoring.register_event_listener(
    lambda event, **_: compiled.append(event) if event.endswith("cache_misses") else None
)
def command(words):
    print(words, float(jax.jit(lambda x: jnp.sin(x @ x).sum())(jnp.eye(8))), len(compiled))
launch("sine", lambda: command)
"""


def run(home, *words, **variables):
    environment = {**os.environ, "XDG_CACHE_HOME": str(home), "TF_CPP_MIN_LOG_LEVEL": "0"}
    environment |= {"PYTHONPATH": str(ROOT), **variables}
    for name in ("JAXSEG_CACHE", "JAX_COMPILATION_CACHE_DIR"):
        if name not in variables:
            environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "cpu_aot_loader" not in done.stderr
    words, value, compiled = done.stdout.strip().rsplit(" ", 2)
    return words, float(value), int(compiled)


def test_a_second_process_compiles_nothing_and_computes_the_same(tmp_path):
    words, value, compiled = run(tmp_path, "deep")
    assert words == "['deep']"
    assert compiled > 0
    programs = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(programs) == compiled
    assert run(tmp_path, "deep") == (words, value, 0)
    # A damaged program is compiled anew, and mended.
    for path in programs:
        path.write_bytes(path.read_bytes()[:-1])
    assert run(tmp_path, "deep") == (words, value, compiled)
    assert run(tmp_path, "deep") == (words, value, 0)


@pytest.mark.parametrize(
    ("words", "variables"), [(["--no-cache"], {}), ([], {"JAXSEG_CACHE": "off"})]
)
def test_nothing_is_kept_where_none_is_wanted(tmp_path, words, variables):
    assert run(tmp_path, *words, **variables)[0] == "[]"
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_jax_s_own_cache_has_precedence(tmp_path, monkeypatch):
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    try:
        assert keep_programs() is None
        assert jax.config.jax_compilation_cache_dir == str(tmp_path)
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


@pytest.fixture
def uncompressed(monkeypatch):
    monkeypatch.setattr(compile_cache, "_recoded", lambda program: program)


@pytest.mark.usefixtures("uncompressed")
def test_the_oldest_programs_go(tmp_path):
    cache = ProgramCache(tmp_path, most_bytes=1000)
    for place, key in enumerate("abcdefgh"):
        cache.put(key, b"x" * 68)  # 100 bytes with the digest
        os.utime(tmp_path / key, (place, place))
    assert cache.get("a") == b"x" * 68  # is now the newest
    for key in "ijk":
        cache.put(key, b"x" * 68)
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {"a", *"fghijk"}
    assert ProgramCache(tmp_path, most_bytes=1000).get("b") is None


@pytest.mark.usefixtures("uncompressed")
def test_damaged_programs_are_deleted(tmp_path):
    cache = ProgramCache(tmp_path, most_bytes=1000)
    cache.put("key", b"program")
    content = (tmp_path / "key").read_bytes()
    for damaged in (content[:-1], b"", content[:10], content + b"x", b"y" + content[1:]):
        (tmp_path / "key").write_bytes(damaged)
        assert cache.get("key") is None
        assert not (tmp_path / "key").exists()


@pytest.mark.usefixtures("uncompressed")
def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path):
    cache = ProgramCache(tmp_path / "gone", most_bytes=1000)
    cache.put("key", b"program")
    assert cache.get("key") is None


def test_the_false_alarm_and_nothing_else_is_taken_out():
    features = (
        b"+64bit,+adx,+aes,+avx,+avx2,+avx512f,-xop,+fma,+prefer-no-gather,+prefer-no-scatter"
    )
    quiet = features.replace(b"+avx512", b"-avx512").replace(b"+prefer", b"-prefer")
    assert (
        _without_false_alarm(b"+avx512 \0" + features + b"\0code")
        == b"+avx512 \0" + quiet + b"\0code"
    )
    other = b"+64bit,+adx,+aes,+avx,+avx2,+avx512f,-xop,+fma,+bmi,+sse"
    assert _without_false_alarm(other) is other


def test_a_private_folder_is_the_owner_s_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = private_folder("programs", "of")
    assert folder == tmp_path / "jaxseg" / "programs" / "of"
    assert private_folder("programs", "of") == folder
    for path in (folder, folder.parent, folder.parents[1]):
        path.chmod(0o777)
        with pytest.raises(ValueError, match=f"{path} can be written to by others"):
            private_folder("programs", "of")
        path.chmod(0o700)
    folder.rmdir()
    folder.symlink_to(tmp_path)
    with pytest.raises(ValueError, match="is a link"):
        private_folder("programs", "of")
    folder.unlink()
    monkeypatch.setattr(os, "getuid", lambda: -1)
    with pytest.raises(ValueError, match="belongs to another user"):
        private_folder("programs", "of")


@pytest.mark.parametrize("value", ["", "relative/folder"])
def test_a_relative_cache_home_is_ignored(value, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_cache.cache_home() == tmp_path / ".cache"


def test_fingerprints_tell_parts_apart():
    assert fingerprint("ab", "c") != fingerprint("a", "bc")
    assert len(fingerprint("ab")) == 16
    assert user_cache.processor() == user_cache.processor()
