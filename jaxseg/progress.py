"""Signs of life: what a long step without output is doing, refreshed every second."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tqdm import tqdm

_PERIOD = 1.0  # seconds
T = TypeVar("T")


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
    written to standard error and removed at the end.

    Args:
        text: What is being done, such as "compiling".
    """
    with tqdm(desc=text, bar_format="{desc}, {elapsed}", leave=False) as bar, alive(bar):
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
    bar = tqdm(total=total, desc=text, unit=f" {unit}", bar_format=form, leave=False)
    with bar, alive(bar):
        yield bar
