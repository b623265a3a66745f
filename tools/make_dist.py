"""Build the source distribution and the wheel into dist/, and check what is in them.

    python tools/make_dist.py

The build is isolated, with the tools' versions of constraints.txt. Both files are then checked:
their metadata, what they hold, their size, and that the wheel works in an empty environment outside
of the clone. Needs the extra `release`.
"""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIST, CONSTRAINTS = ROOT / "dist", ROOT / "constraints.txt"
MAX_BYTES = 1_000_000
NEEDED = (
    "jaxseg/__init__.py",
    "jaxseg/py.typed",
    "jaxseg/commands/main.py",
    "jaxseg/ops/native/primitives.h",
    "jaxseg/ops/native/threads.h",
    "jaxseg/ops/native/trilinear.cc",
)
SUFFIXES = {".py", ".typed", ".cc", ".h", ".js", ".css", ".html", ".json"}
"""Kinds of files that the package itself may hold."""
BESIDE = {"CHANGELOG.md", "CITATION.cff", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}
"""What a source distribution may hold beside the package."""
SMOKE = """
import importlib, importlib.metadata, pathlib, pkgutil
import jaxseg
assert jaxseg.__version__ == importlib.metadata.version("jaxseg")
assert pathlib.Path(jaxseg.__file__).with_name("py.typed").exists()
names = [m.name for m in pkgutil.iter_modules(jaxseg.__path__) if m.ispkg]
for name in names:
    importlib.import_module(f"jaxseg.{name}")
import jax.numpy as jnp
from jaxseg import ops
assert ops.conv(jnp.ones((1, 8, 8, 3)), jnp.ones((3, 3, 3, 4))).shape == (1, 8, 8, 4)
print("imported", jaxseg.__version__, *names)
"""


def main() -> None:
    """Build, check, and print the sizes."""
    shutil.rmtree(DIST, ignore_errors=True)
    pinned = {**os.environ, "PIP_CONSTRAINT": str(CONSTRAINTS), "PIP_QUIET": "1"}
    run(sys.executable, "-m", "build", "--outdir", str(DIST), str(ROOT), env=pinned)
    (sdist,), (wheel,) = DIST.glob("*.tar.gz"), DIST.glob("*.whl")
    run(sys.executable, "-m", "twine", "check", "--strict", str(sdist), str(wheel))
    check_names(sdist, sdist_names(sdist), BESIDE)
    check_names(wheel, wheel_names(wheel), set())
    for path in (sdist, wheel):
        size = path.stat().st_size
        if size >= MAX_BYTES:
            fail(f"{path.name} has {size:,} bytes, expected fewer than {MAX_BYTES:,}")
    check_installed(wheel)
    for path in (sdist, wheel):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")


def sdist_names(path: Path) -> list[str]:
    """List the files of a source distribution, without the folder that holds them all."""
    with tarfile.open(path) as archive:
        return [name.partition("/")[2] for name in archive.getnames()]


def wheel_names(path: Path) -> list[str]:
    """List the files of a wheel without its metadata, among which must be the license."""
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if not any(re.fullmatch(r"[^/]+\.dist-info/licenses/LICENSE", name) for name in names):
        fail(f"{path.name} lacks the LICENSE")
    return [name for name in names if ".dist-info/" not in name]


def check_names(path: Path, names: list[str], beside: set[str]) -> None:
    """Check that a distribution holds the package as it is in the clone, and nothing else.

    Args:
        path: The distribution.
        names: The files in it.
        beside: Files that must stand beside the package.
    """
    package = {name for name in names if name.startswith("jaxseg/")}
    if others := {*names} - package - beside - {".gitignore"}:  # which hatchling always adds
        fail(f"{path.name} holds more than the package: {sorted(others)}")
    if missing := {*NEEDED, *beside} - {*names}:
        fail(f"{path.name} lacks {sorted(missing)}")
    if odd := {name for name in package if Path(name).suffix not in SUFFIXES}:
        fail(f"{path.name} holds files of unexpected kinds: {sorted(odd)}")
    if forbidden := {name for name in package if "__pycache__" in name or "/tests/" in name}:
        fail(f"{path.name} holds {sorted(forbidden)}")


def check_installed(wheel: Path) -> None:
    """Install the wheel into an empty environment, and use it from an empty folder."""
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder, "venv", "bin", "python")
        run(sys.executable, "-m", "venv", str(Path(folder, "venv")))
        pip = (str(python), "-m", "pip", "--disable-pip-version-check")
        run(*pip, "install", "--quiet", "-c", str(CONSTRAINTS), str(wheel))
        run(*pip, "check")
        clean = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        for command in (
            [str(python), "-W", "error::SyntaxWarning", "-c", SMOKE],
            [str(python.with_name("jaxseg")), "--help"],
            [str(python.with_name("jaxseg")), "--version"],
            [str(python.with_name("jaxseg")), "train", "--help"],
            [str(python), "-m", "jaxseg.ops"],
        ):
            run(*command, cwd=folder, env=clean)


def run(*command: str, cwd: str | None = None, env: dict[str, str] | None = None) -> None:
    """Run a command; what it prints is shown only where it fails.

    Args:
        command: Program and arguments.
        cwd: Folder to run it in; None is the current one.
        env: Its environment; None is the current one.
    """
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    if done.returncode:
        fail(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def fail(reason: str) -> None:
    """End the program with a message."""
    raise SystemExit(f"make dist: {reason}")


if __name__ == "__main__":
    main()
