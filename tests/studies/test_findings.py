"""Findings are written as study.json and rendered from it; nothing reads Markdown back."""

import json
from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from jaxseg import files
from jaxseg.studies import Findings, Table, Verdict, read_findings, render, table_by_rate

VERDICT = Verdict(
    heading="Dilation",
    claim="Rates 1, 2, 4, … double the field",
    source="Yu & Koltun 2016",
    theory="3, 7 | 15",
    measured="3, 7,\n15 <b>",
    seeds=0,
    verdict="agrees",
)
FINDINGS = Findings(
    title="Rates",
    about="No nets.",
    verdicts=(VERDICT, replace(VERDICT, heading="Other", verdict="not shown", exploratory=True)),
    figures={"rates.png": "The field\n[in pixels]"},
    tables=(Table.of("Fields", ("a", "b|c"), [[1, "x"]]),),
    study="rates",
    command="python -m experiments.rates",
    preset="quick",
    versions={"jax": "0.10.1"},
    drawings={"rates.png": Figure()},
)


def test_what_is_written_is_read_back(tmp_path):
    FINDINGS.write(tmp_path)
    assert read_findings(tmp_path) == replace(FINDINGS, drawings={})
    assert {p.name for p in tmp_path.iterdir()} == {"study.json", "summary.md", "rates.png"}


def test_a_summary_keeps_its_cells_apart(tmp_path):
    text = FINDINGS.write(tmp_path)
    assert text == (tmp_path / "summary.md").read_text()
    line = next(line for line in text.splitlines() if "Koltun" in line)
    assert line.replace("\\|", "").count("|") == 6
    assert "3, 7, 15 <b> | none | agrees |" in line
    assert "| not shown (exploratory) |" in text
    assert "**Fields**\n\n| a | b\\|c |\n|---|---|\n| 1 | x |\n" in text
    assert "![The field [in pixels]](rates.png)" in text


def test_the_study_is_finished_last(tmp_path, monkeypatch):
    """That study.json is there says that all else is."""

    def killed(path, text):
        if path.name == "summary.md":
            raise KeyboardInterrupt
        original(path, text)

    original = files.write_text
    monkeypatch.setattr(files, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        FINDINGS.write(tmp_path)
    assert read_findings(tmp_path) is None


@pytest.mark.parametrize(
    ("captions", "message"),
    [
        ({"more.png": "?"}, r"\['more\.png', 'rates\.png'\] need both"),
        ({"more.png": "?", "rates.png": "?"}, r"\['more\.png'\] need both"),
        ({}, r"\['rates\.png'\] need both"),
    ],
)
def test_figures_have_captions_and_captions_figures(tmp_path, captions, message):
    with pytest.raises(ValueError, match=message):
        replace(FINDINGS, figures=captions).write(tmp_path)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-30],
        lambda text: text.replace('"claim"', '"clam"', 1),
        lambda text: text.replace('"tables"', '"tabels"'),
        lambda text: json.dumps({**json.loads(text), "more": 1}),
        lambda text: text.replace('"agrees"', '"perhaps"'),
        lambda text: text.replace('"x"', '"x", "y"'),
        lambda text: "[]",
    ],
)
def test_damage_is_named(tmp_path, damage):
    FINDINGS.write(tmp_path)
    path = tmp_path / "study.json"
    path.write_text(damage(path.read_text()))
    with pytest.raises(ValueError, match=r"study\.json cannot be read"):
        read_findings(tmp_path)


def test_a_table_is_rectangular():
    with pytest.raises(ValueError, match=r"table 'Fields': the row \('1',\) has 1 cells, not 2"):
        Table.of("Fields", ("a", "b"), [[1]])


def test_a_page_holds_everything_and_obeys_nothing(tmp_path):
    FINDINGS.write(tmp_path)
    page = render(
        "All <studies>",
        {tmp_path: read_findings(tmp_path)},
        headings=("Other", "Dilation", "Never"),
        missing=["python -m experiments.more"],
    )
    assert "2 claims" in page
    assert "All &lt;studies&gt;" in page
    assert page.index("<summary><h3>Other</h3>") < page.index("<summary><h3>Dilation</h3>")
    assert "<h3>Never</h3>" not in page
    assert 'href="#rates"' in page
    assert 'id="rates"' in page
    assert "15 &lt;b&gt;" in page
    assert "Yu &amp; Koltun 2016" in page
    assert "<code>python -m experiments.rates</code> (preset quick; jax 0.10.1)" in page
    assert '? not shown</span> <span class="badge exploratory">exploratory' in page
    assert page.count("data:image/png;base64,") == 1
    assert "<code>python -m experiments.more</code>" in page
    assert "b|c" in page
    assert "exact: nothing is drawn" in page  # in place of a number of seeds


def test_a_figure_that_no_claim_names_is_folded(tmp_path):
    figures = {"rates.png": "The field.", "more.png": "More of it."}
    named = replace(VERDICT, figure="rates.png")
    findings = replace(
        FINDINGS, figures=figures, drawings=dict.fromkeys(figures, Figure()), verdicts=[named]
    )
    findings.write(tmp_path)
    assert read_findings(tmp_path).verdicts[0].figure == "rates.png"
    page = render("All", {tmp_path: read_findings(tmp_path)})
    assert page.index('<div class="group">') < page.index("The field.")
    assert page.index("<summary>Further figures (1)</summary>") < page.index("More of it.")
    wrong = replace(findings, verdicts=[replace(named, figure="gone.png")])
    with pytest.raises(ValueError, match=r"the figures \['gone.png'\], but there are \['rates"):
        wrong.write(tmp_path)


def test_a_tiny_run_says_so(tmp_path):
    text = replace(FINDINGS, preset="tiny").write(tmp_path)
    assert "A tiny run" in text
    page = render("All", {tmp_path: read_findings(tmp_path)})
    assert '<span class="badge tiny">tiny run: agrees</span>' in page
    assert "claims <span" not in page  # nothing is counted


@pytest.mark.parametrize("name", ["gone.png", "../rates.png", "study.json"])
def test_a_page_takes_no_file_from_elsewhere(tmp_path, name):
    FINDINGS.write(tmp_path)
    findings = replace(read_findings(tmp_path), figures={name: "?"})
    with pytest.raises(ValueError, match="is no picture beside its study"):
        render("All", {tmp_path: findings})


def test_outcomes_are_tabulated_by_net_and_rate():
    rows = [
        {
            "arm": "plain",
            "blocks": blocks,
            "learning_rate": rate,
            "train_loss": loss,
            "mean_iou": 0.5,
            "pixel_accuracy": 0.75,
        }
        for blocks, rate, loss in ((7, 0.1, 0.5), (7, 0.2, 0.6), (7, 0.1, 0.7), (54, 0.1, 1.0))
    ]
    table = table_by_rate(rows, ("arm", "blocks"))
    assert [row[:4] for row in table.rows] == [
        ("plain", "7", "0.1", "0.600 (0.500 to 0.700)"),
        ("plain", "7", "0.2", "0.600"),
        ("plain", "54", "0.1", "1.000"),
    ]
    assert table.rows[1][4:] == ("0.500", "0.750")
    assert table.columns[:3] == ("arm", "blocks", "rate")
    assert len(table_by_rate(rows).rows) == 2  # arm and rate alone
