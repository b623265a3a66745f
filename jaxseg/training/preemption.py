"""Stops a run on request: SIGTERM and Ctrl-C become a flag that the loop polls."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import jax
import numpy as np


class StopRequest:
    """Is true once the run was asked to stop.

    Attributes:
        by: The signal that asked; None so far.
    """

    by: signal.Signals | None = None

    def __bool__(self) -> bool:
        return self.by is not None

    def anywhere(self) -> bool:
        """Returns whether any process was asked to stop: the same answer on each of them.

        Several processes must stop after the same step, or those left wait forever. All of them
        call this at the same steps; with one process it is only the flag.
        """
        if jax.process_count() == 1:
            return bool(self)
        from jax.experimental import multihost_utils

        return bool(np.any(multihost_utils.process_allgather(np.array(bool(self)))))


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Turns SIGTERM and the first Ctrl-C into a flag; the second Ctrl-C interrupts at once.

    The handlers that were installed before are restored on leaving. Outside the main thread, where
    Python lets nobody install a handler, the flag never rises.

    Returns:
        A context manager that gives the flag.

    Example:
        >>> with stop_requests() as stop:
        ...     for step in range(1000):
        ...         os.kill(os.getpid(), signal.SIGTERM)
        ...         if stop:
        ...             break
        >>> step, stop.by.name
        (0, 'SIGTERM')
    """
    stop = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, frame: FrameType | None) -> None:
        if stop and number == signal.SIGINT:
            handler = before[signal.Signals(number)]
            if callable(handler):
                handler(number, frame)
            raise KeyboardInterrupt
        if not stop:
            # Not print: the signal may have come in the middle of one. No line of its own: the
            # progress bar takes its place, and whoever stops the run says more.
            os.write(2, b"\rStopping behind the step under way (Ctrl-C interrupts at once). ")
        stop.by = signal.Signals(number)

    numbers = (signal.SIGTERM, signal.SIGINT)
    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            # None is a handler that was not installed from Python; it cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
