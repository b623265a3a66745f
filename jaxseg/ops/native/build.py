"""The compiled library: built once by the local compiler into the user's cache folder.

Nothing is downloaded, and nothing is loaded but what this module built: the library lies in a
folder that only the user can write to, under a hash of everything that it was made from, beside
its own SHA-256.
"""

import contextlib
import hashlib
import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import jax

from jaxseg import user_cache

COMPILERS = ("g++", "c++", "clang++")
LIBRARY_WHEEL, HEADERS_WHEEL = "onednn-cpu-gomp", "onednn-devel-cpu-gomp"
SOURCE = Path(__file__).with_name("trilinear.cc")
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fPIC", "-shared")
INSTALL = "pip install 'jaxseg[onednn]'"
_LIBRARY, _CHECKSUM = "trilinear.so", "trilinear.so.sha256"
_TIMEOUT = 300  # seconds; the compiler needs about 5


class UnavailableError(Exception):
    """The library cannot be built or loaded here; the message says why, and what helps."""


@dataclass(frozen=True)
class Parts:
    """Compiler and wheels that the library is made from.

    Attributes:
        compiler: path of the compiler.
        compiler_version: first line of what `compiler --version` prints.
        headers: folder of oneDNN's headers.
        libraries: folder of oneDNN's library.
        onednn_version: version of its wheels.
    """

    compiler: str
    compiler_version: str
    headers: Path
    libraries: Path
    onednn_version: str


def find_parts() -> Parts:
    """Find oneDNN's wheels and a compiler.

    Raises:
        UnavailableError: something is missing.
    """
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise UnavailableError(
            f"this is {platform.system()} on {platform.machine()}; oneDNN's wheels are for Linux "
            "on x86_64 alone."
        )
    version, libraries = _locate(LIBRARY_WHEEL, "libdnnl.so.3")
    headers_version, headers = _locate(HEADERS_WHEEL, "oneapi/dnnl/dnnl.hpp")
    if version != headers_version:
        raise UnavailableError(
            f"{LIBRARY_WHEEL} is {version} but {HEADERS_WHEEL} is {headers_version}: {INSTALL}"
        )
    compiler = next(filter(None, map(shutil.which, COMPILERS)), None)
    if compiler is None:
        raise UnavailableError(
            f"none of {', '.join(COMPILERS)} is on the PATH: install a C++ compiler."
        )
    return Parts(compiler, _first_line([compiler, "--version"]), headers, libraries, version)


def _locate(wheel: str, name: str) -> tuple[str, Path]:
    """Return the version of a wheel and the folder that `name` is relative to."""
    try:
        distribution = importlib.metadata.distribution(wheel)
    except importlib.metadata.PackageNotFoundError:
        raise UnavailableError(f"{wheel} is not installed: {INSTALL}") from None
    for file in distribution.files or ():
        path = Path(os.path.normpath(str(file.locate())))
        if path.as_posix().endswith(f"/{name}") and path.exists():
            return distribution.version, path.parents[name.count("/")]
    raise UnavailableError(f"{wheel} {distribution.version} lacks {name}: {INSTALL}")


def _first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise UnavailableError(f"{' '.join(command)} failed: {error}") from error
    return (done.stdout.splitlines() or [""])[0]


def sources() -> list[Path]:
    """Return the C++ files, in a fixed order."""
    return sorted(p for p in SOURCE.parent.iterdir() if p.suffix in (".cc", ".h"))


def key_of(parts: Parts) -> str:
    """Return the hash of everything that the library is made from.

    Python's version is no part of it: the library does not use Python.

    Args:
        parts: the wheels and the compiler.
    """
    jaxlib = importlib.metadata.version("jaxlib")
    versions = (jaxlib, jax.ffi.include_dir(), repr(parts), *FLAGS, user_cache.processor())
    return user_cache.fingerprint(*(path.read_text() for path in sources()), *versions)


def build() -> Path:
    """Return the path of the library, built at the first call for its hash.

    Raises:
        UnavailableError: something is missing, the compiler fails, or the cache folder is not the
            user's alone.
    """
    parts = find_parts()
    try:
        cache = user_cache.private_folder("native")
        folder = cache / key_of(parts)
        with _locked(cache / "lock"):
            if not _is_intact(folder):
                _compile(parts, folder)
    except OSError as error:
        raise UnavailableError(
            f"the library cannot be kept in a cache folder ({error}): set XDG_CACHE_HOME to a "
            "folder that you can write to."
        ) from error
    except (ValueError, RuntimeError) as error:  # somebody else's folder, or no home folder
        raise UnavailableError(str(error)) from error
    return folder / _LIBRARY


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock against other processes, where the file system has locks.

    Without one, two processes may both compile, which is harmless.
    """
    import fcntl  # which other systems than the supported one lack

    with open(path, "a") as file:
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _is_intact(folder: Path) -> bool:
    """Tell whether a folder holds the library that was built there, to the bit."""
    if not folder.exists():
        return False
    user_cache.private_folder("native", folder.name)
    try:
        content = (folder / _LIBRARY).read_bytes()
        return hashlib.sha256(content).hexdigest() == (folder / _CHECKSUM).read_text().strip()
    except FileNotFoundError:
        return False


def _compile(parts: Parts, folder: Path) -> None:
    """Build the library and its checksum in a new folder, then move that to its place at once."""
    print(
        f"jaxseg: compiling its oneDNN convolutions with {Path(parts.compiler).name} into {folder} "
        "(once, about 5 s)",
        file=sys.stderr,
        flush=True,
    )
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".building-"))  # of mode 0700
    try:
        library = work / _LIBRARY
        _run_compiler(parts, library)
        (work / _CHECKSUM).write_text(hashlib.sha256(library.read_bytes()).hexdigest())
        if folder.exists():  # damaged
            os.replace(folder, work / "old")
        try:
            os.replace(work, folder)
        except OSError:  # another process was faster, where there are no locks
            if not _is_intact(folder):
                raise
        shutil.rmtree(folder / "old", ignore_errors=True)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run_compiler(parts: Parts, output: Path) -> None:
    # Headers of others are system headers, whose warnings are not shown.
    headers = ("-isystem", jax.ffi.include_dir(), "-isystem", str(parts.headers))
    # The library of that version by its full path, and its folder for the loader.
    onednn = (str(parts.libraries / "libdnnl.so.3"), f"-Wl,-rpath,{parts.libraries}")
    command = [parts.compiler, *FLAGS, *headers, str(SOURCE), "-o", str(output), *onednn]
    try:
        subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=True)
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if "error" in line]
        detail = lines[0] if lines else f"exit status {error.returncode}"
        raise UnavailableError(f"{parts.compiler} failed: {detail}") from error
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"{parts.compiler} took more than {_TIMEOUT} s.") from error
