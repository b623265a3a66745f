"""The page that gathers the studies."""

import base64
import json
from dataclasses import replace

import pytest
import report
import studies
from matplotlib.figure import Figure

from jaxseg.training import records


def leave_study(folder, judgement="agrees", caption="Loss | depth"):
    """What a study leaves, with one verdict and two figures, of which one is named."""
    folder.mkdir(parents=True)
    config = {"preset": "tiny", "versions": {"jax": "0.0"}}
    records.write_text(folder / "config.json", json.dumps(config))
    for name in ("named", "other"):
        Figure().savefig(folder / f"{name}.png")
    verdict = studies.Verdict(
        heading="Dilation", claim=f"{folder.name} <b>doubles</b> | the field",
        source="Yu & Koltun 2016", theory="3, 7", measured="3, 8", seeds=5, verdict=judgement,
    )  # fmt: skip
    studies.write_summary(
        folder, title=f"On {folder.name}", about="No nets.", verdicts=[verdict],
        figures={"named.png": caption}, tables=[records.markdown_table("rate | field", ["1 | 3"])],
    )  # fmt: skip


def test_the_page_holds_verdicts_and_figures(tmp_path, capsys):
    leave_study(tmp_path / "dilation")
    leave_study(tmp_path / "paths", "not shown")
    report.main(report.Config(runs=tmp_path, out=tmp_path / "out" / "page.html"))
    said = capsys.readouterr().out
    assert "1 agrees, 1 not shown" in said
    assert "long_skips" in said
    page = (tmp_path / "out" / "page.html").read_text()
    assert "2 claims: 1 agrees, 1 not shown." in page
    assert page.index("On dilation") < page.index("On paths")
    assert '<td class="agrees">agrees</td>' in page
    assert '<td class="not-shown">not shown</td>' in page
    # What is named is shown with its caption, what is not behind it, and each once.
    content = base64.b64encode((tmp_path / "dilation" / "named.png").read_bytes()).decode()
    assert page.count("<figure>") == page.count("data:image/png;base64,") == 4
    assert content in page
    assert page.count("<figcaption>Loss | depth</figcaption>") == 2
    assert "<b>" not in page
    assert "dilation &lt;b&gt;doubles&lt;/b&gt; | the field" in page
    assert "<th>rate</th>" in page
    assert page.count("<th>claim</th>") == 1  # a table a heading; the studies' own are left out
    assert "python experiments/long_skips.py" in page
    assert "http" not in page.replace("http-equiv", "")  # nothing is fetched


def test_a_lost_figure_is_named(tmp_path):
    leave_study(tmp_path / "dilation")
    (tmp_path / "dilation" / "named.png").unlink()
    with pytest.raises(ValueError, match=r"named\.png is named in the summary"):
        report.main(report.Config(runs=tmp_path, out=tmp_path / "page.html"))


def test_no_study_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="holds no study: run some"):
        report.main(report.Config(runs=tmp_path))


def test_only_what_is_missing_is_made(tmp_path, monkeypatch):
    leave_study(tmp_path / "dilation")
    ran = []

    def run(words):
        ran.append(words)
        return type("Ended", (), {"returncode": 3})

    monkeypatch.setattr(report.subprocess, "run", run)
    config = report.Config(runs=tmp_path, make=True)
    report.make("dilation", config)
    assert not ran
    with pytest.raises(SystemExit, match="paths ended with status 3"):
        report.make("paths", replace(config, with_preset="tiny"))
    assert ran[0][2:] == ["--preset", "tiny", "--out", str(tmp_path / "paths")]


def test_every_study_is_a_script():
    for name in report.STUDIES:
        assert (report.HERE / f"{name}.py").is_file(), name
