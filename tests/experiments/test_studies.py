"""What every study shares: tables on the disk, verdicts, one-line errors."""

from dataclasses import dataclass

import pytest
import studies

from jaxseg.training import records

VERDICT = studies.Verdict(
    heading="Dilation",
    claim="Rates 1, 2, 4, ... double the field",
    source="Yu & Koltun 2016",
    theory="3, 7 | 15",
    measured="3, 7,\n15",
    seeds=0,
    verdict="agrees",
)


def test_a_table_is_on_the_disk_after_each_row(tmp_path):
    columns = {"arm": str, "loss": float}
    table = studies.Table(tmp_path / "results.csv", columns, resume=True)
    table.add({"arm": "plain, deep", "loss": 0.1})
    assert table.has(arm="plain, deep")
    assert not table.has(arm="plain")
    again = studies.Table(tmp_path / "results.csv", columns, resume=True)
    assert again.rows == [{"arm": "plain, deep", "loss": 0.1}]
    assert studies.Table(tmp_path / "results.csv", columns, resume=False).rows == []


def test_a_summary_keeps_its_cells_apart(tmp_path):
    text = studies.write_summary(
        tmp_path,
        title="Rates",
        about="No nets.",
        verdicts=[VERDICT],
        tables=[records.markdown_table("a | b", ["1 | 2"])],
    )
    assert text == (tmp_path / "summary.md").read_text()
    line = next(line for line in text.splitlines() if "Koltun" in line)
    assert line.replace("\\|", "").count("|") == 6
    assert "3, 7, 15 | 0 | agrees |" in line
    assert text.endswith("\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
    kinds = dict.fromkeys(studies.VERDICTS, str)
    assert records.read_csv(tmp_path / "verdicts.csv", kinds)[0]["measured"] == VERDICT.measured


def test_verdicts_are_written_last(tmp_path, monkeypatch):
    """That they are there says that the study is finished."""

    def killed(path, *_):
        raise KeyboardInterrupt

    monkeypatch.setattr(records, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        studies.write_summary(tmp_path, title="Rates", about="No nets.", verdicts=[VERDICT])
    assert not (tmp_path / "verdicts.csv").exists()


@pytest.mark.parametrize(
    ("found", "word"), [(True, "agrees"), (False, "disagrees"), (None, "not shown")]
)
def test_what_cannot_be_told_is_said_so(found, word):
    assert studies.judged(found) == word


@dataclass(frozen=True)
class Config:
    preset: str = ""
    depth: int = 1


def test_errors_are_one_line():
    def main(config):
        raise ValueError(f"depth={config.depth} must be at least 2.")

    with pytest.raises(SystemExit, match=r"^rates: depth=1 must be at least 2.$"):
        studies.run(main, {"quick": Config()}, name="rates", description=None, args=[])
    with pytest.raises(SystemExit, match=r"^rates: preset 'slow' is unknown"):
        studies.run(
            main, {"quick": Config()}, name="rates", description=None, args=["--preset", "slow"]
        )
