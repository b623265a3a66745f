"""The user's own cache folder: what can be made again at any time, and is read by nobody else."""

import hashlib
import os
import platform
import stat
from pathlib import Path


def private_folder(*names: str) -> Path:
    """Make a folder in the user's cache that nobody else can write to.

    Args:
        names: The folder's path below `jaxseg` in $XDG_CACHE_HOME, or in ~/.cache without that.

    Raises:
        OSError: The folder cannot be made.
        ValueError: It, or one of those between, is a link, somebody else's, or others can write
            to it.
        RuntimeError: The user has no home folder.
    """
    folder = cache_home()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("jaxseg", *names):
        folder /= name
        folder.mkdir(mode=0o700, exist_ok=True)
        _check_private(folder)
    return folder


def _check_private(folder: Path) -> None:
    status = folder.lstat()
    if stat.S_ISLNK(status.st_mode):
        problem = "is a link"
    elif hasattr(os, "getuid") and status.st_uid != os.getuid():
        problem = "belongs to another user"
    elif hasattr(os, "getuid") and status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        problem = "can be written to by others"
    else:
        return
    raise ValueError(
        f"{folder} {problem}, expected a folder that only its owner writes to: remove it, or set "
        "XDG_CACHE_HOME to a folder of your own."
    )


def cache_home() -> Path:
    """Return the folder of all caches: $XDG_CACHE_HOME where it is absolute, else ~/.cache."""
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return named if named.is_absolute() else Path.home() / ".cache"


def processor() -> str:
    """Name the processor by its model and its instruction sets.

    Machine code that was compiled for one of these names runs on every machine of that name.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    except OSError:
        lines = [platform.processor()]
    names = ("vendor_id", "cpu family", "model", "stepping", "flags", "Features", "CPU ")
    kept = [line for line in lines if line.startswith(names)]
    return "\n".join([platform.system(), platform.machine(), *(kept or lines)])


def fingerprint(*parts: str) -> str:
    """Hash texts to 16 hexadecimal digits, which can name a folder.

    Args:
        parts: The texts; where one ends and the next begins matters.
    """
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{len(part)}:{part}".encode())
    return digest.hexdigest()[:16]
