"""Signs of life: what a long step without output is doing, refreshed every second."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

_PERIOD = 1.0  # seconds


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
