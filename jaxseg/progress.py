"""Signs of life: what a long step without output is doing, refreshed every second.

On a terminal these are bars, which are removed at the end; in a file or a pipe they are plain lines
of text, at most one in nearly two seconds.
"""

import re
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, TypeVar

from tqdm import tqdm

_PERIOD = 1.0  # seconds
_LINE_PERIOD = 1.8  # seconds between lines where there is no terminal
_LINE_FORM = "{desc}: {n_fmt}/{total_fmt} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"
_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\r\n]")  # cursor movements of nested bars
T = TypeVar("T")


class _PlainLines:
    """A stream that makes of the drawings of a bar lines of text, a few seconds apart.

    Args:
        stream: The stream that the lines are written to.
    """

    def __init__(self, stream: TextIO):
        self._stream, self._written = stream, -_LINE_PERIOD

    def write(self, drawing: str) -> None:
        """Writes a drawing as a line, unless it is empty or the last line is too fresh."""
        text, now = _CONTROL.sub("", drawing).strip(), time.monotonic()
        if text and now - self._written >= _LINE_PERIOD:
            self._written = now
            self._stream.write(f"{text}\n")

    def flush(self) -> None:
        """Flushes the stream."""
        self._stream.flush()


def progress_bar(
    iterable: Iterable[Any] | None = None,
    *,
    desc: str,
    total: int | None = None,
    initial: int = 0,
    unit: str = "it",
    unit_scale: bool = False,
    bar_format: str | None = None,
    disable: bool = False,
) -> tqdm:
    """Makes a bar on standard error, or what writes plain lines where that is no terminal.

    Args:
        iterable: The bar counts its elements while it is iterated over; None if `update` does.
        desc: What is being done.
        total: Number of elements; None is the length of `iterable`.
        initial: Number of those that are done already.
        unit: What the elements are.
        unit_scale: Write thousands and millions of them as k and M.
        bar_format: The form of the bar and of the lines, as tqdm has it; None is that of all.
        disable: Show nothing.

    Returns:
        The bar, which is removed from a terminal at its end.
    """
    is_terminal = sys.stderr.isatty()
    lines: Any = None if is_terminal else _PlainLines(sys.stderr)
    return tqdm(
        iterable,
        desc=desc,
        total=total,
        initial=initial,
        unit=unit,
        unit_scale=unit_scale,
        leave=False,
        file=lines,
        bar_format=bar_format or (None if is_terminal else _LINE_FORM),
        disable=disable,
    )


def in_background(work: Callable[[], T]) -> T:
    """Call a function in another thread and wait for it; signals are handled while it works.

    Python handles a signal between two of its instructions, so that a long call into compiled code
    would delay it. If a handler raises, the thread is left behind; it does not keep the process
    from ending.

    Args:
        work: The function.

    Returns:
        What it returns; what it raises is raised here.
    """
    result: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            result.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(_PERIOD)
    if errors:
        raise errors[0]
    return result[0]


@contextmanager
def busy(text: str) -> Iterator[None]:
    """Show `text` and the seconds that have passed, until the block ends.

    For work that reports nothing by itself, such as an import or a compilation. The line is
    written to standard error, and removed from a terminal at the end.

    Args:
        text: What is being done, such as "compiling".
    """
    with progress_bar(desc=text, bar_format="{desc}, {elapsed}") as bar, alive(bar):
        yield


@contextmanager
def alive(bar: tqdm) -> Iterator[None]:
    """Refresh a progress bar every second within the block, so that its clock never stands still.

    Args:
        bar: The bar; a disabled one is left alone.
    """
    if bar.disable:
        yield
        return
    done = threading.Event()

    def refresh() -> None:
        while not done.wait(_PERIOD):
            bar.refresh()

    thread = threading.Thread(target=refresh, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@contextmanager
def counting(total: int, text: str, unit: str) -> Iterator[tqdm]:
    """Show how many things are done, how many a second, and the time left, until the block ends.

    Args:
        total: Number of things.
        text: What is being done with them, such as "predicting".
        unit: What they are, such as "images".

    Yields:
        The bar, whose `update()` counts one more.
    """
    form = "{desc}: {n_fmt} of {total_fmt}{unit}, {rate_noinv_fmt}, {remaining} left"
    bar = progress_bar(desc=text, total=total, unit=f" {unit}", bar_format=form)
    with bar, alive(bar):
        yield bar
