"""What the site makes of docstrings and pages, and that it finds what is broken."""

import importlib
from pathlib import Path

import pytest

pytest.importorskip("mkdocs", reason="make docs installs the site's tools")
pytest.importorskip("griffe")
pytest.importorskip("latex2mathml")
pytest.importorskip("ziamath")

from mkdocs.exceptions import PluginError

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def hooks(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    return importlib.import_module("hooks")


@pytest.fixture
def docstrings(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    return importlib.import_module("docstrings")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (".. math:: a = b", "$$\na = b\n$$"),
        (
            ".. math::\n\n    a = b, \\quad\n    c = d\n\nThen.",
            "$$\na = b, \\quad c = d\n$$\n\nThen.",
        ),
        ("The mean :math:`x / n` of all.", "The mean $x / n$ of all."),
        ("Example:\n    >>> f(*x)\n    1", "Examples:\n    >>> f(*x)\n    1"),
        ("One.\n\n>>> 1 + 1\n2", "One.\n\nExamples:\n    >>> 1 + 1\n    2"),
        ("Map (batch, *space, in) to (*space).", "Map (batch, \\*space, in) to (\\*space)."),
        ("It is `(batch, *space)`, *not* more.", "It is `(batch, *space)`, *not* more."),
        ("a  one\nbc  two\nd   three", "- `a`: one\n- `bc`: two\n- `d`: three"),
    ],
)
def test_docstrings_become_markdown(docstrings, text, expected):
    assert docstrings.convert(text) == expected


def test_formulas_become_mathml(hooks):
    assert hooks.mathml("x_t", display=False).startswith("<math ")
    assert hooks.mathml("x_t", display=True).startswith('<div class="formula"><math ')
    with pytest.raises(PluginError, match=r"unknown: .*unheard"):
        hooks.mathml("\\unheard x", display=False)


def test_optional_parts_stand_where_their_file_is(hooks, tmp_path):
    text = "a\n<!-- if x.html -->\nb\n<!-- else -->\nc\n<!-- end -->\nd\n"
    config = {"docs_dir": str(tmp_path)}
    assert hooks.on_page_markdown(text, config=config) == "a\nc\nd\n"
    (tmp_path / "x.html").touch()
    assert hooks.on_page_markdown(text, config=config) == "a\nb\nd\n"


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('<a href="other/#there">x</a> <a href="#here">y</a> <p id="here">', None),
        ('<a href="https://example.org">x</a>', None),
        ('<a href="missing/">x</a>', "links to missing/, which is not there"),
        ('<a href="other/#nowhere">x</a>', "links to other/#nowhere, which has no such anchor"),
        ('<img src="missing.png">', "links to missing.png, which is not there"),
        ('<img src="https://example.org/x.png">', "loads https://example.org/x.png"),
        ("<script>import('https://example.org/x.js')</script>", "loads https://example.org/x.js"),
    ],
)
def test_what_is_broken_ends_the_build(hooks, tmp_path, body, fault):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "index.html").write_text('<p id="there">')
    (tmp_path / "index.html").write_text(body)
    config = {"site_dir": str(tmp_path)}
    if fault is None:
        hooks.on_post_build(config=config)
        assert 100_000 < (tmp_path / "fonts" / "math.woff").stat().st_size < 400_000
    else:
        with pytest.raises(PluginError, match="the site is not whole") as caught:
            hooks.on_post_build(config=config)
        assert fault in str(caught.value)
