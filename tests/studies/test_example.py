"""The study in the package's docstring runs as it stands there."""

import re
import textwrap

import jax
import pytest

from jaxseg import studies
from jaxseg.studies import command, read_findings


@pytest.fixture
def example():
    """The names that the example defines."""
    first, last = "    '''How large", "description=__doc__)\n"
    text = studies.__doc__
    code = textwrap.dedent(text[text.index(first) : text.index(last) + len(last)])
    names = {"__name__": "windows"}
    exec(compile(code, "windows.py", "exec"), names)
    return names, code


def test_it_is_about_sixty_lines(example):
    assert len(re.findall(r"\S.*\n", example[1])) < 70


def test_it_runs_and_goes_on_with_more_seeds(example, tmp_path):
    names, _ = example
    words = ["--preset", "tiny", "--out", str(tmp_path / "out"), "--data-dir", str(tmp_path)]

    def run(*more):
        with jax.numpy_dtype_promotion("standard"):  # optax mixes floats and integers
            command(
                "windows", names["run"], names["PRESETS"], description=None, args=[*words, *more]
            )
        return read_findings(tmp_path / "out")

    assert [verdict.seeds for verdict in run().verdicts] == [2]
    findings = run("--resume", "--seeds", "3", "--arms", "1x1", "3x3")
    assert [verdict.seeds for verdict in findings.verdicts] == [3]
    assert [row[0] for row in findings.tables[0].rows] == ["1x1", "3x3"]
    assert findings.about.startswith("3 seeds")
