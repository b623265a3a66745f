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
        heading="Dilation",
        claim=f"{folder.name} <b>doubles</b> | the field",
        source="Yu & Koltun 2016",
        theory="3, 7",
        measured="3, 8",
        seeds=5,
        verdict=judgement,
    )
    studies.write_summary(
        folder,
        title=f"On {folder.name}",
        about="No nets.",
        verdicts=[verdict],
        figures={"named.png": caption},
        tables=[records.markdown_table("rate | field", ["1 | 3"])],
    )


def test_the_page_holds_verdicts_and_figures(tmp_path, capsys):
    leave_study(tmp_path / "dilation")
    leave_study(tmp_path / "paths", "not shown")
    report.main(report.Config(runs=tmp_path, out=tmp_path / "out" / "page.html"))
    said = capsys.readouterr().out
    assert "agrees: 1, not shown: 1" in said
    assert "long_skips" in said
    page = (tmp_path / "out" / "page.html").read_text()
    assert "2 claims (agrees: 1, not shown: 1)." in page
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


@pytest.mark.parametrize(
    "caption", ["on [-1, 1]", "a ] b [ c", 'a "q" <b> & `c` \\ $x$', "](named.png) <script>"]
)
def test_any_caption_shows_its_figure_once(tmp_path, caption):
    leave_study(tmp_path / "dilation", caption=caption)
    report.main(report.Config(runs=tmp_path, out=tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text()
    content = base64.b64encode((tmp_path / "dilation" / "named.png").read_bytes()).decode()
    assert page.count(content) in (1, 2)  # both pictures are the same
    assert page.count("<img") == page.count('<img src="data:image/png;base64,') == 2
    assert "<script" not in page


def test_a_figure_whose_name_has_a_blank_is_shown(tmp_path):
    leave_study(tmp_path / "dilation")
    (tmp_path / "dilation" / "other.png").rename(tmp_path / "dilation" / "an other.png")
    report.main(report.Config(runs=tmp_path, out=tmp_path / "page.html"))
    assert (tmp_path / "page.html").read_text().count("<figure>") == 2


@pytest.mark.parametrize("name", ["../secret.png", "http://example.org/a.png", "config.json"])
def test_no_other_file_is_shown(tmp_path, name):
    leave_study(tmp_path / "dilation")
    (tmp_path / "secret.png").write_bytes(b"secret")
    path = tmp_path / "dilation" / "summary.md"
    path.write_text(path.read_text() + f"\nText and ![a]({name})\n")
    with pytest.raises(ValueError, match=r"give the name of a \.png beside it"):
        report.main(report.Config(runs=tmp_path, out=tmp_path / "page.html"))


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("summary.md", None, r"summary\.md cannot be read .*: run dilation again"),
        ("summary.md", b"\xff", r"summary\.md cannot be read"),
        ("config.json", None, r"config\.json cannot be read"),
        ("verdicts.csv", b"\xff", r"verdicts\.csv is damaged"),
        ("verdicts.csv", b"a" * 200_000, r"verdicts\.csv is damaged"),
        ("verdicts.csv", b"", r"verdicts\.csv has the columns \[\]"),
    ],
)
def test_damaged_files_are_named(tmp_path, file, content, message):
    leave_study(tmp_path / "dilation")
    path = tmp_path / "dilation" / file
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        report.main(report.Config(runs=tmp_path, out=tmp_path / "page.html"))


@pytest.mark.parametrize(("old", "new"), [("agrees", "perhaps"), ("Dilation", "Dilatation")])
def test_no_verdict_is_counted_that_is_not_shown(tmp_path, old, new):
    leave_study(tmp_path / "dilation")
    path = tmp_path / "dilation" / "verdicts.csv"
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=f"'{new}', which is none of"):
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
    # What a kill has left is gone on with, where the study knows how.
    for name, words in (("paths", ["--resume"]), ("receptive_field", [])):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.csv").touch()
        with pytest.raises(SystemExit):
            report.make(name, config)
        assert ran[-1][6:] == words


def test_what_goes_on_is_known():
    """Studies that know --resume hand it on."""
    for path in (report.HERE / f"{name}.py" for name in report.STUDIES):
        if path.is_file():
            assert ("resume=config.resume" in path.read_text()) != (path.stem in report.ANEW)


def test_every_study_is_a_script():
    for name in report.STUDIES:
        assert (report.HERE / f"{name}.py").is_file(), name
