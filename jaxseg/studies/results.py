"""Tables of results that survive a kill: their rows are on the disk as soon as they are known."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from jaxseg.training import tables

Row = Mapping[str, Any]


class Results:
    """A table in a CSV file, which is written, whole or not at all, whenever rows are added.

    Args:
        path: The file.
        columns: Name -> type of the values: str, int, float or bool.
        resume: Begin with the rows that are in the file.

    Raises:
        ValueError: The file is damaged or has other columns.
    """

    def __init__(self, path: Path, columns: Mapping[str, type], *, resume: bool):
        self.path, self.columns = path, dict(columns)
        exists = resume and path.exists()
        self.rows: list[Row] = list(tables.read_csv(path, self.columns)) if exists else []

    def add(self, rows: Iterable[Row]) -> None:
        """Append rows and write the file."""
        self.rows += [dict(row) for row in rows]
        tables.write_csv(self.path, list(self.columns), self.rows)

    def replace(self, rows: Iterable[Row], **where: Any) -> None:
        """Put rows in the place of those that `where` selects, and write the file.

        Args:
            rows: The new rows.
            **where: Columns and the values of the rows that go.
        """
        self.drop(**where)
        self.add(rows)

    def drop(self, **where: Any) -> None:
        """Forget the rows with these values; the file follows at the next writing."""
        self.rows = [row for row in self.rows if not _has(row, where)]

    def select(self, **where: Any) -> list[Row]:
        """Return the rows with these values."""
        return [row for row in self.rows if _has(row, where)]


def _has(row: Row, values: Mapping[str, Any]) -> bool:
    return all(row[name] == value for name, value in values.items())
