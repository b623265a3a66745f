"""Compiled programs are kept between runs: a command's second start does not wait for XLA.

This is JAX's persistent compilation cache, kept in the user's own cache folder, bounded, and
apart for every processor and version. JAX's key of a program holds all else that it depends on.
"""

import hashlib
import os
import re
from contextlib import suppress
from importlib import metadata
from pathlib import Path

import jax

# Private: JAX has no public way to say how a cache stores a program, and its own stores them with
# the features that set off a false alarm (see below), and not always whole.
# tests/test_compile_cache.py guards it.
from jax._src import compilation_cache

from jaxseg.files import write_bytes
from jaxseg.user_cache import fingerprint, private_folder, processor

VARIABLE = "JAXSEG_CACHE"
"""Environment variable: a folder for the programs, or "off"."""
MOST_BYTES = 2**29
_DIGEST_BYTES = hashlib.sha256().digest_size
# A list of processor features as LLVM writes it, such as +avx2,+avx512f,-xop.
_FEATURES = re.compile(rb"(?:[+-][a-z0-9._-]+,){8,}[+-][a-z0-9._-]+")


def keep_programs() -> Path | None:
    """Load compiled programs from the user's cache, and keep there what is compiled from now on.

    Where the folder cannot be used, or JAX has been given a cache of its own, nothing changes.

    Returns:
        The folder, or None where no programs are kept by this.
    """
    chosen = os.environ.get(VARIABLE, "")
    if chosen == "off" or jax.config.values["jax_compilation_cache_dir"]:
        return None
    version = fingerprint(jax.__version__, metadata.version("jaxlib"), processor())
    try:
        if chosen:
            folder = Path(chosen).expanduser() / version
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        else:
            folder = private_folder("programs", version)
    except (OSError, ValueError, RuntimeError):
        return None  # no home, a disk that is full or read-only, a folder of somebody else
    install(ProgramCache(folder, MOST_BYTES))
    return folder


def install(cache: "ProgramCache") -> None:
    """Let JAX use a cache for every program from now on."""
    compilation_cache.reset_cache()
    jax.config.update("jax_compilation_cache_dir", str(cache.folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    compilation_cache._cache = cache  # type: ignore[assignment]
    compilation_cache._cache_initialized = True


class ProgramCache:
    """A folder of programs, a file each. The oldest go when there are too many.

    A file holds the SHA-256 of a program and the program; one that is damaged is deleted, and the
    program compiled anew.

    Args:
        folder: The folder, which exists.
        most_bytes: Size of all programs together beyond which those used longest ago are deleted.
    """

    def __init__(self, folder: Path, most_bytes: int):
        self.folder, self._path, self._most_bytes = folder, folder, most_bytes
        self._bytes = sum(size for _, size, _ in self._entries())

    def get(self, key: str) -> bytes | None:
        """Read a program; None where there is none.

        Args:
            key: JAX's key of the program, which can be a file's name.
        """
        path = self.folder / key
        try:
            content = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        digest, program = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(program).digest() == digest:
            return program
        with suppress(OSError):
            path.unlink()
        return None

    def put(self, key: str, value: bytes) -> None:
        """Keep a program. A full disk keeps none.

        Args:
            key: JAX's key of the program.
            value: The program as JAX compressed it.
        """
        program = _recoded(value)
        with suppress(OSError):
            write_bytes(self.folder / key, hashlib.sha256(program).digest() + program)
            self._bytes += len(program) + _DIGEST_BYTES
            if self._bytes > self._most_bytes:
                self._prune()

    def _prune(self) -> None:
        entries = sorted(self._entries(), reverse=True)
        self._bytes = 0
        for _, size, path in entries:
            if self._bytes + size > self._most_bytes * 3 // 4:
                with suppress(OSError):
                    path.unlink()
            else:
                self._bytes += size

    def _entries(self) -> list[tuple[float, int, Path]]:
        """List when each program was last used, its size and its file."""
        entries = []
        with suppress(OSError), os.scandir(self.folder) as files:
            for file in files:
                with suppress(OSError):  # another process may have deleted it
                    status = file.stat()
                    entries.append((status.st_mtime, status.st_size, Path(file.path)))
        return entries


def _recoded(program: bytes) -> bytes:
    """Rewrite a program as JAX compressed it."""
    raw = compilation_cache.decompress_executable(program)
    changed = _without_false_alarm(raw)
    return program if changed is raw else compilation_cache.compress_executable(changed)


def _without_false_alarm(program: bytes) -> bytes:
    """Leave AVX-512 out of the features that a program says it was compiled for.

    jaxlib compiles for AVX-512 with two preferences that no processor lists among its features
    (`prefer-no-gather`, `prefer-no-scatter`). When it loads a program, it therefore prints two
    thousand characters of false alarm (openxla/xla#44565). The machine code is not changed, and
    the folder's name holds what the processor really has.
    """
    if b"+prefer-no-gather" not in program:
        return program
    return _FEATURES.sub(lambda list_: re.sub(rb"\+(avx512|prefer-no)", rb"-\1", list_[0]), program)
