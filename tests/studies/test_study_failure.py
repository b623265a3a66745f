"""A study's command writes its findings, and fails where they say so."""

import json

import pytest

from jaxseg.studies import Findings, StudyConfig, execute, read_findings, render


def run_study(out, failure):
    findings = Findings(title="t", about="a", verdicts=(), failure=failure)
    return execute("trial", lambda config: findings, StudyConfig(out=out), program="python -m t")


def test_findings_that_report_a_failure_are_written_before_the_command_fails(tmp_path, capsys):
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=r"^1 number is wrong$"):
        run_study(out, "1 number is wrong")
    findings = read_findings(out)
    assert findings is not None
    assert (findings.failure, findings.study) == ("1 number is wrong", "trial")
    assert "**1 number is wrong**" in (out / "summary.md").read_text(encoding="utf-8")
    assert "study.json" in capsys.readouterr().out
    assert '<p class="failure">1 number is wrong</p>' in render("page", {out: findings})


def test_findings_without_a_failure_are_returned(tmp_path):
    findings = run_study(tmp_path / "out", "")
    assert findings == read_findings(tmp_path / "out")
    assert json.loads((tmp_path / "out" / "study.json").read_text())["failure"] == ""
    assert "**" not in findings.markdown()
