"""The README's code runs, and says the shapes that it gives."""

import contextlib
import io
import re
from pathlib import Path

import jax.numpy as jnp

ROOT = Path(__file__).parents[1]


def test_the_code_of_the_readme_runs():
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    seen = 0
    names: dict = {}
    for statement in re.split(r"\n(?=\S)", code):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(statement, names)
        told = re.search(r"^print\(.*\)  # (.*)", statement)
        assert told is None or printed.getvalue().strip() == told[1]
        said = re.search(r"^(\w+)(?:, \w+)? = .*# \(([\d, ]+)\)", statement)
        if said:
            seen += 1
            shape = tuple(int(n) for n in said[2].split(",") if n.strip())
            assert jnp.shape(names[said[1]]) == shape
    assert seen == 7


def test_what_the_readme_names_exists():
    text = (ROOT / "README.md").read_text()
    paths = re.findall(r"`((?:experiments|jaxseg)/[\w./]*)`", text)
    paths += re.findall(r"\]\(([\w/.]+)\)", text)
    assert len(paths) > 8
    assert [p for p in paths if not (ROOT / p).exists()] == []
