"""The public API: exported on purpose, documented, and as `public_api.txt` records it.

A change of a public name or signature must change that file too:

    python tests/test_public_api.py
"""

import functools
import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from types import ModuleType
from typing import Any, get_origin

import docstring_parser
import pytest
from flax import nnx

import jaxseg

SNAPSHOT = Path(__file__).with_name("public_api.txt")
HEADER = "# Made by `python tests/test_public_api.py`: every public name, with its arguments.\n"
PACKAGES = (
    "analysis",
    "analysis.finite_width",
    "analysis.mean_field",
    "analysis.receptive",
    "analysis.shattering",
    "data",
    "interop",
    "losses",
    "metrics",
    "models",
    "nn",
    "nn.initializers",
    "ops",
    "plots",
    "studies",
    "training",
    "training.records",
    "training.tables",
)
DESCRIPTORS = (property, functools.cached_property, classmethod, staticmethod)
INTERNAL = {"commands"}
"""Packages that are used by their command line alone."""


def public_names(module: ModuleType) -> list[str]:
    """Names that a module exports: those of `__all__`, else those that it defines."""
    if hasattr(module, "__all__"):
        return sorted(module.__all__)
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    )


@functools.cache
def public_objects() -> dict[str, Any]:
    """Every public object by its dotted name; modules have entries of their own."""
    objects = {}
    for package in PACKAGES:
        module = importlib.import_module(f"jaxseg.{package}")
        for name in public_names(module):
            value = getattr(module, name)
            if not inspect.ismodule(value):
                objects[f"{package}.{name}"] = value
    return objects


def methods(kind: type) -> dict[str, Any]:
    """Public methods and properties of a class that jaxseg itself defines, and `__call__`."""
    found = {}
    for base in reversed(kind.__mro__):
        if not base.__module__.startswith("jaxseg"):
            continue
        for name, value in vars(base).items():
            if name.startswith("_") and name != "__call__":
                continue
            if inspect.isfunction(value) or isinstance(value, DESCRIPTORS):
                found[name] = value
    return found


def arguments(function: Any) -> list[inspect.Parameter]:
    """Parameters of a function, method or class, without `self`."""
    if isinstance(function, classmethod | staticmethod):
        function = function.__func__
    if issubclass(type(function), type(nnx.Module)):  # whose metaclass takes anything
        function = function.__init__
    parameters = list(inspect.signature(function).parameters.values())
    return [p for p in parameters if p.name not in ("self", "cls") and p.name[0] != "_"]


def written(default: Any) -> str:
    """Write a default without addresses."""
    if inspect.isfunction(default) or inspect.isclass(default):
        return default.__qualname__
    text = repr(default)
    return f"{type(default).__name__}(...)" if " at 0x" in text or "<function" in text else text


def signature(function: Any) -> str:
    """Write names, kinds and defaults of the arguments; their types are the type checker's."""
    parameters = [
        p.replace(annotation=inspect.Parameter.empty, default=inspect.Parameter.empty)
        if p.default is inspect.Parameter.empty
        else p.replace(annotation=inspect.Parameter.empty, default=_Written(p.default))
        for p in arguments(function)
    ]
    # A required argument may stand behind one with a default only if both are keywords.
    return str(inspect.Signature(parameters))


class _Written:
    def __init__(self, value: Any):
        self.value = value

    def __repr__(self) -> str:
        return written(self.value)


def describe(name: str, value: Any) -> list[str]:
    """Describe a public object in lines, a class with its methods."""
    if inspect.isclass(value):
        lines = [name if issubclass(value, Exception) else f"{name}{signature(value)}"]
        for member, method in sorted(methods(value).items()):
            plain = isinstance(method, property | functools.cached_property)
            lines.append(f"{name}.{member}{'' if plain else signature(method)}")
        return lines
    return [f"{name}{signature(value)}" if inspect.isfunction(value) else name]


def snapshot() -> str:
    """The public API as text, a line a name."""
    lines = [line for pair in public_objects().items() for line in describe(*pair)]
    return HEADER + "".join(f"jaxseg.{line}\n" for line in lines)


def described(*docs: str | None) -> set[str]:
    """Arguments and attributes that docstrings describe."""
    return {
        name.strip(" *")
        for doc in docs
        for parameter in docstring_parser.parse(doc or "").params
        if (parameter.description or "").strip()
        for name in parameter.arg_name.split(",")
    }


def undocumented(name: str, value: Any) -> list[str]:
    """Say what the docstrings of a public object leave out."""
    if not (inspect.isfunction(value) or inspect.isclass(value)):
        return []  # a constant or an alias; the line below it says what it is
    doc = inspect.getdoc(value) or ""
    if not doc or doc.startswith(f"{name.rpartition('.')[2]}("):  # what dataclass writes by itself
        return [name]
    if not inspect.isclass(value):
        return [f"{name}: {p.name}" for p in arguments(value) if p.name not in described(doc)]
    bases = [base for base in value.__mro__ if base.__module__.startswith("jaxseg")]
    known = described(*(base.__doc__ for base in bases), value.__init__.__doc__)
    given = [] if issubclass(value, Exception) else arguments(value)
    missing = [f"{name}: {p.name}" for p in given if p.name not in known]
    for member, method in methods(value).items():
        docs = [getattr(base, member).__doc__ for base in bases if hasattr(base, member)]
        missing += _undocumented_method(f"{name}.{member}", method, docs)
    return missing


def _undocumented_method(name: str, method: Any, docs: list[str | None]) -> list[str]:
    """Say what the docstrings of a method, and of those that it overrides, leave out."""
    if not docs[0]:
        return [name]
    if isinstance(method, property | functools.cached_property):
        return []
    given = arguments(method)
    if len(given) == 1 or (name.endswith("__call__") and given[1:2] and given[1].name == "train"):
        return []  # its sentence describes the one argument; `train` is every module's
    return [f"{name}: {p.name}" for p in given if p.name not in described(*docs)]


def test_every_subpackage_is_public_or_internal():
    packages = {m.name for m in pkgutil.iter_modules(jaxseg.__path__) if m.ispkg}
    assert packages == {name for name in PACKAGES if "." not in name} | INTERNAL


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_is_exported_by_accident(package):
    module = importlib.import_module(f"jaxseg.{package}")
    names = public_names(module)
    assert len({*names}) == len(names)
    for name in names:
        value = getattr(module, name)
        if inspect.isfunction(value) or (inspect.isclass(value) and not get_origin(value)):
            assert value.__module__.startswith("jaxseg"), f"{name} is of {value.__module__}"
    if module.__file__ and Path(module.__file__).name == "__init__.py":
        public = {
            name
            for name, value in vars(module).items()
            if not name.startswith("_") and not inspect.ismodule(value)
        }
        assert public == {name for name in names if not inspect.ismodule(getattr(module, name))}


def test_every_public_name_is_documented():
    missing = [line for pair in public_objects().items() for line in undocumented(*pair)]
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_module_says_what_it_is(package):
    assert importlib.import_module(f"jaxseg.{package}").__doc__


def test_the_public_api_is_as_recorded():
    """Where this fails on purpose, run `python tests/test_public_api.py` and note the change."""
    assert snapshot() == SNAPSHOT.read_text(encoding="utf-8")


def test_the_version_is_a_version_and_has_an_entry_in_the_changelog():
    root = Path(__file__).parents[1]
    assert re.fullmatch(r"\d+\.\d+\.\d+", jaxseg.__version__)
    assert f"\n## [{jaxseg.__version__}] - 20" in (root / "CHANGELOG.md").read_text()
    assert f"\nversion: {jaxseg.__version__}\n" in (root / "CITATION.cff").read_text()
    assert "Apache License" in (root / "LICENSE").read_text()
    assert "The jaxseg authors" in (root / "LICENSE").read_text()


def test_the_version_is_read_without_importing_jax():
    namespace: dict[str, Any] = {}
    exec(Path(jaxseg.__file__).read_text(), namespace)
    assert namespace["__version__"] == jaxseg.__version__
    assert "import " not in Path(jaxseg.__file__).read_text().split('"""')[2]


if __name__ == "__main__":
    SNAPSHOT.write_text(snapshot(), encoding="utf-8")
    print(f"{SNAPSHOT}: {len(snapshot().splitlines()) - 1} lines")
