"""Tables that a run leaves in its folder: lines of JSON, CSV and Markdown."""

import csv
import io
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxseg.files import naming, write_text


def keep_jsonl(path: Path, keep: Callable[[dict[str, Any]], bool]) -> list[dict[str, Any]]:
    """Drops the lines that a resumed run will write again, and those that a kill has torn.

    Args:
        path: A file of JSON lines; it need not exist.
        keep: Whether a record stays.

    Returns:
        The records that stay.
    """
    records = []
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and keep(record):
            records.append(record)
    write_text(path, "".join(json.dumps(record) + "\n" for record in records))
    return records


def append_jsonl(path: Path, record: Mapping[str, Any]) -> None:
    """Adds a line of JSON to a file, on a line of its own even behind one that a kill has torn.

    Args:
        path: The file; it need not exist.
        record: Values that JSON can hold.
    """
    with naming(path), path.open("ab+") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            torn = file.read(1) != b"\n"
            file.write(b"\n" if torn else b"")
        file.write(json.dumps(record).encode() + b"\n")


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Writes a table whole, with numbers such that reading them back gives the same.

    Args:
        path: The file.
        columns: Names of the columns, in their order.
        rows: The rows, by the names of the columns.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")  # quotes what holds a comma or a line's end
    writer.writerow(columns)
    writer.writerows([str(row[c]) for c in columns] for row in rows)
    write_text(path, text.getvalue())


def _parsed(kind: type, text: str) -> Any:
    """Read a value that `write_csv` wrote; bool("False") would be True."""
    if kind is bool:
        if text not in ("True", "False"):
            raise ValueError(f"{text!r} is neither True nor False")
        return text == "True"
    return kind(text)


def read_csv(path: Path, columns: Mapping[str, type]) -> list[dict[str, Any]]:
    """Reads a table that `write_csv` wrote.

    Args:
        path: The file.
        columns: The type of the values of every column, by its name, in their order.

    Raises:
        ValueError: The file has other columns, or a row that does not parse: it is damaged.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            header, *lines = list(csv.reader(file)) or [[]]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"{path} is damaged ({error}): move the file away or start again with --overwrite."
        ) from error
    if header != list(columns):
        raise ValueError(
            f"{path} has the columns {header}, not {list(columns)}: it is damaged or of another "
            "version; move it away or start again with --overwrite."
        )
    rows = []
    for number, line in enumerate(lines, start=2):
        try:
            values = [_parsed(kind, v) for kind, v in zip(columns.values(), line, strict=True)]
        except ValueError as error:
            raise ValueError(
                f"{path}, line {number}, is damaged ({error}): move the file away or start again "
                "with --overwrite."
            ) from error
        rows.append(dict(zip(columns, values, strict=True)))
    return rows


def markdown_table(head: str, rows: Iterable[str]) -> list[str]:
    """The lines of a table in Markdown.

    Args:
        head: The names of the columns, divided by " | ".
        rows: The rows, whose cells are divided likewise.

    Example:
        >>> markdown_table("way | ms", ["vmap | 2"])
        ['| way | ms |', '|---|---|', '| vmap | 2 |']
    """
    rule = "|---" * (head.count(" | ") + 1) + "|"
    return [f"| {head} |", rule, *(f"| {row} |" for row in rows)]
