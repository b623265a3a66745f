"""The page that gathers the studies, and the studies that it runs first."""

import base64
from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from experiments import report
from jaxseg.studies import Findings, Table, Verdict


def write_study(folder, *verdicts, heading="Dilation", preset="quick"):
    """Write what a study leaves, with verdicts of these words, which its figure shows."""
    folder.mkdir(parents=True)
    name = folder.name
    verdict = Verdict(
        heading=heading,
        claim=f"{name} <b>doubles</b> | the field",
        source="Yu & Koltun 2016",
        theory="3, 7",
        measured="3, 8",
        seeds=5,
        verdict="agrees",
        figure=f"{name} loss.png",
    )
    findings = Findings(
        title=f"On {name}",
        about="No nets.",
        verdicts=[
            replace(verdict, claim=f"{verdict.claim}, {number}", verdict=word)
            for number, word in enumerate(verdicts or ("agrees",))
        ],
        figures={f"{name} loss.png": f"Loss of {name} [nats] | ](x.png) <script>"},
        drawings={f"{name} loss.png": Figure(figsize=(1, 1 + len(name) / 9))},
        tables=[Table.of("Rates", ("rate", "field"), [(1, 3)])],
        study=name,
        command=f"python -m experiments.{name}",
        preset=preset,
        versions={"jax": "0.0"},
    )
    findings.write(folder)
    return findings


def page_of(tmp_path):
    out = tmp_path / "pages" / "page.html"
    report.main(report.Config(runs=tmp_path, out=out))
    return out.read_text(encoding="utf-8")


def test_every_study_is_listed_with_its_command():
    names = report.studies()
    assert {"depth_scaling", "dilation", "long_skips"} <= {*names}
    for name in names:
        assert (report.HERE / name / "__main__.py").is_file()
    assert report.program("dilation") == "python -m experiments.dilation"


def test_the_page_holds_verdicts_figures_and_tables(tmp_path):
    write_study(tmp_path / "long_skips", "not shown", heading="Upconvolution")
    write_study(tmp_path / "dilation")
    page = page_of(tmp_path)
    assert '<span class="badge agrees">✓ agrees</span>' in page
    assert '<span class="badge not-shown">? not shown</span>' in page
    for name in ("dilation", "long_skips"):
        content = (tmp_path / name / f"{name} loss.png").read_bytes()
        assert page.count(base64.b64encode(content).decode()) == 1
        assert f"<h2>On {name}</h2>" in page
        caption = f"Loss of {name} [nats] | ](x.png) &lt;script&gt;"
        assert f"<figcaption>{caption}</figcaption>" in page
    assert page.count("<figure>") == page.count('<img src="data:image/png;base64,') == 2
    assert "dilation &lt;b&gt;doubles&lt;/b&gt; | the field, 0" in page
    assert page.count("<th>rate</th>") == 2
    assert page.count('<article class="card') == 2
    assert "<script" not in page
    assert "http" not in page  # nothing is fetched


def test_a_claim_stands_beside_its_figure_its_verdict_first(tmp_path):
    write_study(tmp_path / "dilation", "agrees", "disagrees")
    page = page_of(tmp_path)
    group = page[page.index('<div class="group">') :]
    figure, *cards = group.split("<article ")
    assert figure.count("<figure>") == 1
    for card, word in zip(cards, ("agrees", "disagrees"), strict=True):
        places = [card.index(text) for text in (f" {word}</span>", "doubles", "Theory", "Measured")]
        assert places == sorted(places)
    # Every claim of the contents leads to a card, and every study to its section.
    for anchor in ("dilation", "dilation-1", "dilation-2"):
        assert page.count(f'href="#{anchor}"') == page.count(f'id="{anchor}"') == 1


def test_verdicts_are_counted_over_all_studies_of_a_preset(tmp_path, capsys):
    """The counts differ from study to study and from word to word."""
    write_study(tmp_path / "dilation", "agrees", "agrees", "not shown")
    write_study(tmp_path / "depth_scaling", *["agrees"] * 4, "disagrees", "not shown", "not shown")
    write_study(tmp_path / "paths", "agrees", preset="full")
    page = page_of(tmp_path)
    assert "2 studies at the preset <code>quick</code>: 10 claims" in page
    assert "1 study at the preset <code>full</code>: 1 claims" in page
    assert "✓ 6 agree</span>" in page
    assert page.count('<article class="card agrees"') == 7
    printed = capsys.readouterr().out
    assert "quick (2 of the studies): agrees: 6, disagrees: 1, not shown: 3\n" in printed
    assert "full (1 of the studies): agrees: 1\n" in printed


def test_tiny_runs_are_marked_and_never_counted(tmp_path, capsys):
    write_study(tmp_path / "dilation", "agrees", "agrees")
    write_study(tmp_path / "paths", "agrees", "disagrees", preset="tiny")
    page = page_of(tmp_path)
    assert "1 study at the preset <code>quick</code>: 2 claims" in page
    assert '<p class="tiny">1 study at the preset <code>tiny</code>: 2 verdicts' in page
    assert "✓ 2 agree</span>" in page
    assert "disagrees</span>" not in page.replace("tiny run: disagrees</span>", "")
    assert '<span class="badge tiny">tiny run: agrees</span>' in page
    assert "agrees: 2\n" in capsys.readouterr().out


def test_studies_stand_in_the_order_of_the_lecture(tmp_path):
    """By the first heading that they speak to, whatever their names."""
    first, second, third = report.HEADINGS[0], report.HEADINGS[3], "Something else"
    for name, heading in (("depth_scaling", third), ("dilation", second), ("long_skips", first)):
        write_study(tmp_path / name, heading=heading)
    page = page_of(tmp_path)
    places = [page.index(f"<h2>On {name}</h2>") for name in ("long_skips", "dilation")]
    assert places == sorted(places)
    assert places[-1] < page.index("<h2>On depth_scaling</h2>")
    headings = [page.index(f"<summary><h3>{heading}</h3>") for heading in (first, second, third)]
    assert headings == sorted(headings)


def test_missing_studies_are_named_with_their_commands(tmp_path, capsys):
    write_study(tmp_path / "dilation")
    missing = [name for name in report.studies() if name != "dilation"]
    page = page_of(tmp_path)
    for name in missing:
        assert f"<code>python -m experiments.{name}</code>" in page
    assert "Not run, so not here:" in page
    printed = capsys.readouterr().out
    assert f"Not run: {', '.join(missing)}.\n" in printed
    assert printed.splitlines()[-1] == str(tmp_path / "pages" / "page.html")


def test_a_study_is_known_by_its_folder(tmp_path):
    """A study.json that was written under another name leads to no other folder."""
    findings = write_study(tmp_path / "dilation")
    replace(findings, study="elsewhere").write(tmp_path / "dilation")
    assert page_of(tmp_path).count("<figure>") == 1


def test_a_lost_figure_is_named(tmp_path):
    write_study(tmp_path / "dilation")
    (tmp_path / "dilation" / "dilation loss.png").unlink()
    with pytest.raises(
        ValueError, match=r"dilation loss\.png is no picture .*: run dilation again"
    ):
        page_of(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff", b"{}", b"[1]"])
def test_a_damaged_study_is_named(tmp_path, content):
    write_study(tmp_path / "dilation")
    (tmp_path / "dilation" / "study.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"study\.json cannot be read .*: run the study dilation"):
        page_of(tmp_path)


def test_no_study_is_an_error_that_says_what_to_run(tmp_path):
    with pytest.raises(
        ValueError, match=r"holds no study: run one, such as `python -m experiments\.\w+`, or all"
    ):
        page_of(tmp_path)


@pytest.fixture
def started(monkeypatch):
    """The commands that were started, all of which fail."""
    commands = []

    def run(words):
        commands.append(words)
        return type("Ended", (), {"returncode": 3})

    monkeypatch.setattr(report.subprocess, "run", run)
    return commands


def test_only_missing_studies_are_run(tmp_path, started):
    write_study(tmp_path / "dilation")
    config = report.Config(runs=tmp_path, make=True, with_preset="tiny")
    report.make("dilation", config)
    assert not started
    with pytest.raises(SystemExit, match="report: long_skips ended with status 3"):
        report.make("long_skips", config)
    out = str(tmp_path / "long_skips")
    assert started[0][1:] == ["-m", "experiments.long_skips", "--preset", "tiny", "--out", out]


def test_a_study_that_was_stopped_goes_on(tmp_path, started):
    (tmp_path / "long_skips").mkdir()
    (tmp_path / "long_skips" / "config.json").touch()
    with pytest.raises(SystemExit):
        report.make("long_skips", report.Config(runs=tmp_path))
    assert started[0][-1] == "--resume"


def test_studies_are_run_before_they_are_gathered(tmp_path, started, monkeypatch):
    monkeypatch.setattr(report, "studies", lambda: ["dilation", "long_skips"])
    write_study(tmp_path / "dilation")
    with pytest.raises(SystemExit, match="long_skips ended"):
        report.main(report.Config(runs=tmp_path, out=tmp_path / "page.html", make=True))
    assert not (tmp_path / "page.html").exists()


def test_the_command_line_is_read(tmp_path, capsys):
    write_study(tmp_path / "dilation")
    report.command(["--runs", str(tmp_path), "--out", str(tmp_path / "page.html")])
    assert (tmp_path / "page.html").exists()
    with pytest.raises(SystemExit) as caught:
        report.command(["--help"])
    assert caught.value.code == 0
    assert "python -m experiments.report" in capsys.readouterr().out
