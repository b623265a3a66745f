"""Shares of a study, run on several hosts, joined to the folder of the whole study."""

import csv
import io
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jaxseg.files import read_text, write_bytes, write_text
from jaxseg.studies.config import StudyConfig
from jaxseg.training import records

SHARE = "share.json"
"""The file that says that a share is finished."""
_RESULTS = "results.csv"
_FOLDERS = ("members", "arrays")
Table = tuple[list[str], list[list[str]]]


def merge_shares(out: Path, shares: Sequence[Path], *, overwrite: bool = False) -> None:
    """Join the folders of all shares of a study.

    The rows of every table, members/ and arrays/ are joined, in the order of a study that is not
    shared out; the study's own command with --resume then finds nothing left to train, and writes
    the findings.

    Args:
        out: Folder of the whole study, made if need be.
        shares: Folders of all shares, in any order.
        overwrite: Replace results that are in `out`.

    Raises:
        ValueError: A share is missing, given twice or not finished, two were made with different
            options or versions, `out` holds results, or a file is damaged.
    """
    configs = _read_shares(shares)
    ordered = [folder for folder, _ in configs]
    with records.only_run(out):
        if (out / _RESULTS).exists() and not overwrite:
            raise ValueError(
                f"{out} holds results already: give another folder, or --overwrite to replace them."
            )
        _remove_old(out)
        config: dict[str, Any] = {**configs[0][1], "share": None, "out": str(out)}
        write_text(out / "config.json", json.dumps(config, indent=2) + "\n")
        for path in _files(ordered):
            _copy(path, ordered, out)
        _merge_tables(ordered, out)


def _read_shares(shares: Sequence[Path]) -> list[tuple[Path, dict[str, Any]]]:
    """Read the configurations of all shares, in the order of the shares, and check them."""
    by_number: dict[int, tuple[Path, dict[str, Any]]] = {}
    count = 0
    for folder in shares:
        config = records.read_config(folder / "config.json")
        if not config.get("share"):
            raise ValueError(f"{folder} is no share of a study: give folders of --share I/N.")
        number, of = StudyConfig(share=config["share"]).share_numbers
        if not (folder / SHARE).exists():
            raise ValueError(
                f"{folder} is not finished: go on with the study's command, --share "
                f"{config['share']} and --resume."
            )
        if number in by_number:
            raise ValueError(
                f"{folder} is share {config['share']}, and so is {by_number[number][0]}: give "
                "each share once."
            )
        count = count or of
        by_number[number] = folder, config
        _check_same(*by_number[min(by_number)], folder, config)
    missing = [f"{number}/{count}" for number in range(1, count + 1) if number not in by_number]
    if missing or not by_number:
        raise ValueError(f"shares are missing: {', '.join(missing) or 'give all'}.")
    return [by_number[number] for number in sorted(by_number)]


def _check_same(
    first: Path, first_config: dict[str, Any], other: Path, other_config: dict[str, Any]
) -> None:
    """Refuse two shares of different options, versions or numbers of shares."""
    free = {*StudyConfig.may_differ, "share"}
    one, two = (
        {
            **{n: v for n, v in config.items() if n not in free},
            "shares": config["share"].split("/")[1],
        }
        for config in (first_config, other_config)
    )
    names = [name for name in {**one, **two} if one.get(name) != two.get(name)]
    if names:
        differences = "; ".join(
            f"{name}: {one.get(name)!r} in {first}, {two.get(name)!r} in {other}" for name in names
        )
        raise ValueError(
            f"the shares were made with different options ({differences}): run one of them again "
            "with the options of the other."
        )


def _remove_old(out: Path) -> None:
    """Remove the results of an earlier merge or run."""
    for pattern in ("*.csv", "study.json", "summary.md", *(f"{name}/*.np?" for name in _FOLDERS)):
        for path in out.glob(pattern):
            path.unlink()


def _files(folders: Sequence[Path]) -> list[Path]:
    """Paths of the files in members/ and arrays/, relative to the shares."""
    return sorted(
        {
            path.relative_to(folder)
            for folder in folders
            for name in _FOLDERS
            for path in (folder / name).glob("*.np?")
        }
    )


def _copy(path: Path, folders: Sequence[Path], out: Path) -> None:
    """Copy a file of one share; refuse different ones of two."""
    contents = {(folder / path).read_bytes() for folder in folders if (folder / path).exists()}
    if len(contents) > 1:
        raise ValueError(f"{path} differs between the shares: each arm must be in one share only.")
    (out / path).parent.mkdir(exist_ok=True)
    write_bytes(out / path, contents.pop())


# --- tables --------------------------------------------------------------------------------------


def _merge_tables(folders: Sequence[Path], out: Path) -> None:
    """Join the tables; results.csv comes last, whose presence says that the others are there."""
    names = sorted({path.name for folder in folders for path in folder.glob("*.csv")} - {_RESULTS})
    results = _joined(_RESULTS, folders)
    places: dict[tuple[str, ...], int] = {}
    if results is not None:
        header, rows = results
        for row in rows:
            places.setdefault(_key(header, row), len(places))
    for name in names:
        table = _joined(name, folders)
        if table is not None:
            header, rows = table
            if all(_key(header, row) in places for row in rows):
                rows = sorted(rows, key=lambda row: places[_key(header, row)])
            _write(out / name, header, rows)
    if results is not None:
        _write(out / _RESULTS, *results)


def _joined(name: str, folders: Sequence[Path]) -> Table | None:
    """Take the arms of a table from the shares in turn, as a study takes them.

    Args:
        name: Name of the table.
        folders: Folders of the shares, in their order.
    """
    tables = [_read(folder / name) for folder in folders if (folder / name).exists()]
    if not tables:
        return None
    header = tables[0][0]
    if any(other != header for other, _ in tables):
        raise ValueError(f"{name} has other columns in another share: run the shares again.")
    groups = [
        [list(rows) for _, rows in itertools.groupby(rows, lambda row: _key(header, row))]
        for _, rows in tables
    ]
    turns = itertools.zip_longest(*groups, fillvalue=[])
    return header, [row for turn in turns for group in turn for row in group]


def _key(header: Sequence[str], row: Sequence[str]) -> tuple[str, ...]:
    """Name the arm of a row: the columns before the seed, or else the first one."""
    return tuple(row[: header.index("seed") if "seed" in header[1:] else 1])


def _read(path: Path) -> Table:
    """Read a table as text, so that its numbers stay as they were written."""
    header, *rows = list(csv.reader(io.StringIO(read_text(path), newline=""))) or [[]]
    if any(len(row) != len(header) for row in rows):
        raise ValueError(f"{path} is damaged: run this share again with --overwrite.")
    return header, rows


def _write(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    write_text(path, text.getvalue())
