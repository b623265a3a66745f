"""The examples in the docstrings run and print what they say, with warnings as errors."""

import doctest
import importlib
import warnings
from pathlib import Path

import jax
import pytest

ROOT = Path(__file__).parents[1]
FLAGS = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL | doctest.NORMALIZE_WHITESPACE


def modules_with_examples() -> list[str]:
    """Dotted names; found in the text, so that a module without examples is not even imported."""
    paths = [p for p in sorted((ROOT / "jaxseg").rglob("*.py")) if ">>> " in p.read_text()]
    names = [".".join(p.relative_to(ROOT).with_suffix("").parts) for p in paths]
    return [name.removesuffix(".__init__") for name in names]


def examples(name: str) -> list[doctest.DocTest]:
    """The docstrings of a module that hold examples, private functions' too."""
    tests = doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(name))
    return [test for test in tests if test.examples]


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_of(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)  # whatever an example writes
    tests = examples(name)
    assert tests, f"{name} holds '>>>', but in no docstring that can be found"
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    # A reader's session: JAX's and NumPy's defaults rather than the strictness of these tests.
    promotion = jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow")
    with promotion[0], promotion[1], warnings.catch_warnings():
        warnings.simplefilter("error")
        failed = sum(runner.run(test, clear_globs=True).failed for test in tests)
    assert not failed, capsys.readouterr().out


def test_public_operations_and_modules_have_examples():
    """Fifteen of `ops` and `nn` at the least."""
    documented = {
        test.name.removeprefix(f"{name}.").partition(".")[0]
        for name in modules_with_examples()
        if name.startswith(("jaxseg.ops.", "jaxseg.nn."))
        for test in examples(name)
    }
    public = {*importlib.import_module("jaxseg.ops").__all__}
    public |= {*importlib.import_module("jaxseg.nn").__all__}
    assert len(documented & public) >= 15


def test_a_wrong_example_is_found():
    def wrong():
        """>>> 1 + 1
        3
        """

    (test,) = [t for t in doctest.DocTestFinder().find(wrong, "wrong", globs={}) if t.examples]
    assert doctest.DocTestRunner(optionflags=FLAGS).run(test, out=lambda _: None).failed == 1
