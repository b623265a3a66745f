"""Parts of the benchmark: a time budget, and rows that are written as they are measured."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from jaxseg.training import tables

Row = dict[str, Any]
Task = tuple[str, Callable[[], Row]]
"""A task's name, and the function that measures its row."""


def run_part(path: Path, tasks: Iterable[Task], seconds: float) -> list[Row]:
    """Run the tasks that the file does not hold yet, until the time is spent.

    A task that fails leaves its error in its row, and is run again the next time. The budget is
    checked between tasks; one that has begun is not interrupted.

    Args:
        path: File of JSON lines, one a task.
        tasks: Name and function of each task.
        seconds: Time budget of this call.

    Returns:
        The last row of each task that has run, in the order of the file.
    """
    rows: dict[str, Row] = {row["task"]: row for row in tables.keep_jsonl(path, lambda row: True)}
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
        tables.append_jsonl(path, rows[name])
    return list(rows.values())


def table(rows: list[Row]) -> str:
    """Return rows as a Markdown table, with a column for each key."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    body = [" | ".join(str(row.get(key, "")).replace("|", "/") for key in columns) for row in rows]
    return "\n".join(tables.markdown_table(" | ".join(columns), body))


def median_ms(run: Callable[[], Any], repeats: int) -> float:
    """Time a call that waits for its result: the median, in milliseconds, after one to warm up."""
    run()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return round(1e3 * sorted(times)[repeats // 2], 4)
