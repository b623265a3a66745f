"""The arrows between packages run one way; this reads the imports and holds it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "jaxseg"
# package -> the packages of jaxseg that it may import, besides itself
ALLOWED = {
    "user_cache": set(),
    "ops": {"user_cache"},
    "nn": {"ops"},
    "models": {"ops", "nn"},
    "losses": set(),
    "metrics": {"losses"},
    "numerics": set(),
    "files": set(),
    "progress": set(),
    "compile_cache": {"files", "user_cache"},
    "startup": {"compile_cache", "progress"},
    "data": {"files", "progress"},
    "training": {"files", "losses", "metrics", "numerics", "ops", "progress", "startup"},
    "studies": {
        "cli",
        "data",
        "files",
        "losses",
        "metrics",
        "nn",
        "progress",
        "startup",
        "training",
    },
    "analysis": {"numerics"},
    "interop": {"files", "models", "ops", "progress", "user_cache"},
    "plots": set(),
    "cli": set(),
    "commands": {
        "analysis",
        "cli",
        "data",
        "files",
        "interop",
        "losses",
        "metrics",
        "models",
        "nn",
        "ops",
        "plots",
        "progress",
        "startup",
        "studies",
        "training",
    },
    "__main__": {"commands"},
}
# folder of jaxseg.data -> the folders of it that it may import, besides itself
DATA = {
    "images": set(),
    "masks": {"images"},
    "augmentation": {"images"},
    "preparation": {"images", "masks"},
    "folders": {"images", "masks", "preparation"},
    "sets": {"images", "masks", "preparation", "folders"},
}
PRIVATE = ("jax._src", "jax.core", "jaxlib")
GUARDED = {"compile_cache.py": {"jax._src.compilation_cache"}}
"""File -> the private modules that it says why it needs, guarded by tests of its own."""


def modules():
    return sorted(ROOT.rglob("*.py"))


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_the_right_way(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts == ("__init__",):
        assert not [n for n in imported(path) if n.startswith("jaxseg")]
        return
    package = parts[0]
    assert package in ALLOWED, f"{package} is new: say in ALLOWED what it may import"
    used = {n.split(".")[1] for n in imported(path) if n.startswith("jaxseg.")}
    assert used <= ALLOWED[package] | {package}


@pytest.mark.parametrize("folder", sorted(DATA))
def test_imports_between_the_folders_of_data_point_the_right_way(folder):
    assert {p.parent.name for p in (ROOT / "data").glob("*/__init__.py")} == set(DATA)
    for path in (ROOT / "data" / folder).glob("*.py"):
        used = {n.split(".")[2] for n in imported(path) if n.startswith("jaxseg.data.")}
        assert used & set(DATA) <= DATA[folder] | {folder}, path


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_private_jax(path):
    private = {n for n in imported(path) if n.startswith(PRIVATE)}
    assert private == GUARDED.get(str(path.relative_to(ROOT)), set())


def test_only_ops_calls_the_convolution_of_lax():
    callers = {
        p.relative_to(ROOT).parts[0]
        for p in modules()
        if any(
            isinstance(node, ast.Attribute)
            and node.attr.startswith("conv_")
            and isinstance(node.value, ast.Name)
            and node.value.id == "lax"
            for node in ast.walk(ast.parse(p.read_text()))
        )
    }
    assert callers == {"ops"}
