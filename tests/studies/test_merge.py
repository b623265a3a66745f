"""Shares of a study: which arms they run, and what is refused when they are joined."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from jaxseg.studies import Findings, Results, StudyConfig, execute, merge_shares
from jaxseg.training.tables import read_csv

COLUMNS = {"arm": str, "seed": int, "value": float}


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """A study.

    Attributes:
        arms: The arms.
        scale: What the values are multiplied with.
    """

    arms: tuple[str, ...] = ("d", "a", "c", "b", "e")
    scale: float = 0.1


def run(config: Config) -> Findings:
    results = Results(config.out / "results.csv", COLUMNS, resume=config.resume)
    last = Results(config.out / "last.csv", COLUMNS, resume=config.resume)
    for arm in config.shared(config.arms):
        if not results.select(arm=arm):
            rows = [{"arm": arm, "seed": s, "value": s * config.scale} for s in (0, 1)]
            if arm in "ebc":  # a table of some arms only
                last.add(rows)
            results.add(rows)
    config.end_share()
    assert len(results.rows) == 2 * len(config.arms)
    return Findings(title="Values", about=f"{len(results.rows)} rows.", verdicts=[])


def share(out: Path, number: int, count: int, **options) -> Path:
    config = Config(out=out, devices=1, share=f"{number}/{count}", **options)
    assert execute("values", run, config) is None
    return out / f"share-{number}-of-{count}"


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shares_joined_are_the_whole_study(tmp_path, count):
    whole, out = tmp_path / "whole", tmp_path / "out"
    execute("values", run, Config(out=whole, devices=1))
    shares = [share(out, number, count) for number in range(1, count + 1)]
    assert not any((folder / "study.json").exists() for folder in shares)
    merge_shares(out, shares[::-1])
    for name in ("results.csv", "last.csv"):
        assert (out / name).read_text() == (whole / name).read_text()
    execute("values", run, Config(out=out, devices=1, resume=True))
    assert (out / "study.json").exists()
    assert (out / "results.csv").read_text() == (whole / "results.csv").read_text()


def test_refusals(tmp_path):
    out = tmp_path / "out"
    one, two = share(out, 1, 2), share(out, 2, 2)
    other = share(tmp_path / "other", 2, 2, scale=0.5)
    with pytest.raises(ValueError, match=r"scale: 0\.1 in .*, 0\.5 in "):
        merge_shares(out, [one, other])
    with pytest.raises(ValueError, match="missing: 2/2"):
        merge_shares(out, [one])
    with pytest.raises(ValueError, match="each share once"):
        merge_shares(out, [one, one])
    with pytest.raises(ValueError, match="shares: '2' in"):
        merge_shares(out, [one, share(out, 2, 3)])
    two.rename(tmp_path / "kept")
    one.rename(two)
    with pytest.raises(ValueError, match="share: '1/2' there, '2/2' now"):
        share(out, 2, 2, resume=True)
    two.rename(one)
    two = tmp_path / "kept"
    merge_shares(out, [one, two])
    with pytest.raises(ValueError, match="holds results already"):
        merge_shares(out, [one, two])
    merge_shares(out, [one, two], overwrite=True)
    assert len(read_csv(out / "results.csv", COLUMNS)) == 10
    with pytest.raises(ValueError, match="is no share"):
        merge_shares(tmp_path / "again", [out])
    (two / "share.json").unlink()
    with pytest.raises(ValueError, match="is not finished"):
        merge_shares(tmp_path / "again", [one, two])


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/0", "a/b"])
def test_a_share_is_i_of_n(text):
    with pytest.raises(ValueError, match="must be I/N"):
        StudyConfig(share=text)


def test_a_study_that_does_not_share_out_says_so(tmp_path):
    def whole(config):
        return Findings(title="Values", about="None.", verdicts=[])

    with pytest.raises(ValueError, match="run it without --share"):
        execute("values", whole, Config(out=tmp_path, devices=1, share="1/2"))
