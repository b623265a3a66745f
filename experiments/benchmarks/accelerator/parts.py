"""Parts of the benchmark: a time budget, and rows that are written as they are measured."""

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Row = dict[str, Any]
Task = tuple[str, Callable[[], Row]]


def run_part(path: Path, tasks: Iterable[Task], seconds: float) -> list[Row]:
    """Run the tasks that the file does not hold yet, until the time is spent.

    A task that fails leaves its error in its row, and is run again the next time. The budget is
    checked between tasks; one that has begun is not interrupted.

    Args:
        path: file of JSON lines, one a task.
        tasks: name and function of each task.
        seconds: time budget of this call.

    Returns:
        The last row of each task that has run, in the order of the file.
    """
    rows: dict[str, Row] = {}
    if path.exists():
        # A line without its end was cut off while it was written.
        lines = path.read_text().splitlines(keepends=True)
        rows = {row["task"]: row for row in map(json.loads, (s for s in lines if s[-1] == "\n"))}
        path.write_text("".join(json.dumps(row) + "\n" for row in rows.values()))
    start = time.perf_counter()
    for name, compute in tasks:
        if name in rows and "error" not in rows[name]:
            continue
        begin = time.perf_counter()
        if begin - start > seconds:
            break
        try:
            row = compute()
        except Exception as error:  # one failing case must not cost the others' numbers
            row = {"error": f"{type(error).__name__}: {error}"[:300]}
        rows[name] = {"task": name, **row, "wall_s": round(time.perf_counter() - begin, 3)}
        with path.open("a") as file:
            file.write(json.dumps(rows[name]) + "\n")
    return list(rows.values())


def table(rows: list[Row]) -> str:
    """Return rows as a markdown table, with a column for each key."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    body = [[str(row.get(key, "")).replace("|", "/") for key in columns] for row in rows]
    lines = [columns, ["---"] * len(columns), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
