"""The guides' code runs and prints what they say, and the commands in them exist.

Statements `print(...)  # text` must print the text. A block with a title is written to a file of
that name, which the blocks behind it can import. The site itself is checked by `make docs`.
"""

import ast
import contextlib
import dataclasses
import importlib
import io
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import jax
import pytest

from jaxseg import cli
from jaxseg.commands import train_config
from jaxseg.commands.main import COMMANDS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md")) + sorted(DOCS.glob("guides/*.md"))
BLOCK = re.compile(r"^```(\w+)(?: title=\"([\w.]+)\")?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(page: Path, language: str) -> list[tuple[str, str]]:
    """(title, text) of every block of a language."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [(title, text) for kind, title, text in found if kind == language]


WITH_CODE = [page for page in PAGES if blocks(page, "python")]
WITH_COMMANDS = [page for page in PAGES if blocks(page, "bash")]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory):
    """Folder of prepared data sets, shared by the pages."""
    return tmp_path_factory.mktemp("prepared")


@pytest.fixture
def reader(tmp_path, monkeypatch, prepared):
    """A reader's session: an empty folder, and the defaults of JAX and NumPy."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    monkeypatch.syspath_prepend(str(tmp_path))
    modules = {*sys.modules}
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield tmp_path
    for path in tmp_path.glob("*.py"):
        if path.stem not in modules:
            sys.modules.pop(path.stem, None)


def run(code: str, names: dict[str, Any]) -> None:
    """Run a block statement by statement, and compare what is printed with the comments."""
    for statement in ast.parse(code).body:
        source = "\n".join(code.splitlines()[statement.lineno - 1 : statement.end_lineno])
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(ast.Module([statement], []), "<guide>", "exec"), names)
        if expected := re.findall(r"print\(.*\)  # (.*)", source):
            assert printed.getvalue().splitlines() == expected, source


@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.stem)
def test_the_code_runs_and_prints_what_the_page_says(page, reader):
    names: dict[str, Any] = {"__name__": "guide"}
    for title, code in blocks(page, "python"):
        if title:
            (reader / title).write_text(code, encoding="utf-8")
            importlib.invalidate_caches()
        else:
            run(code, names)


def test_every_guide_has_code_or_commands():
    guides = {page for page in PAGES if page.parent.name == "guides"}
    assert len(guides) == 9
    assert guides <= {*WITH_CODE, *WITH_COMMANDS}
    assert "fields.py" in {title for page in WITH_CODE for title, _ in blocks(page, "python")}


def commands(page: Path) -> list[list[str]]:
    """The words of every command line."""
    texts = [text.replace("\\\n", " ") for _, text in blocks(page, "bash")]
    lines = [line for text in texts for line in text.splitlines()]
    return [shlex.split(line, comments=True) for line in lines]


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.stem)
def test_the_commands_and_their_options_exist(page):
    for words in commands(page):
        if words[:1] != ["jaxseg"]:
            continue
        assert words[1] in COMMANDS, words
        module = importlib.import_module(f"jaxseg.commands.{words[1]}")
        for flag in (word for word in words[2:] if word.startswith("--")):
            config: Any = module.Config()
            for part in flag[2:].replace("-", "_").split("."):
                fields = {field.name for field in dataclasses.fields(config)}
                assert part in fields, f"{shlex.join(words)}: no option {flag}"
                config = getattr(config, part)
        if words[1] == "train":
            preset = train_config.default_preset(words)
            cli.parse(train_config.PRESETS, preset, description="", args=words[2:])


@pytest.mark.parametrize("page", [DOCS / "guides/study.md"], ids=["study"])
def test_the_options_of_the_study_exist(page, reader):
    (title, code), *_ = blocks(page, "python")
    (reader / title).write_text(code, encoding="utf-8")
    study = importlib.import_module(Path(title).stem)
    assert len(study.ARMS) == 5
    for words in commands(page):
        assert words[:2] == ["python", title]
        if "--help" not in words:
            options = {"presets": study.PRESETS, "default": "quick", "description": ""}
            assert isinstance(cli.parse(**options, args=words[2:]), study.Config)


def test_every_page_is_in_the_navigation():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    listed = {*re.findall(r"[\w/]+\.md|pages/\w+\.ipynb", text)}
    pages = {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}
    pages |= {f"pages/{page.name}" for page in (ROOT / "notebooks").glob("*.ipynb")}
    assert pages == listed


def test_every_public_package_has_an_api_page():
    from test_public_api import PACKAGES

    text = "\n".join(page.read_text(encoding="utf-8") for page in (DOCS / "api").glob("*.md"))
    assert {*re.findall(r"^::: jaxseg\.([\w.]+)$", text, re.MULTILINE)} == {*PACKAGES}
