"""The first second of a command: signals are handled and a word is said before JAX is imported.

Only the standard library and tqdm are imported here, and nothing of the rest of jaxseg.
"""

import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module

from jaxseg.progress import busy

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_received: list[signal.Signals] = []


class Stopped(KeyboardInterrupt):
    """Somebody asked the program to stop.

    Attributes:
        signal: What they sent: SIGINT (Ctrl-C) or SIGTERM.
        advice: How to go on; whoever knows it may set it.
    """

    def __init__(self, number: signal.Signals):
        super().__init__(number.name)
        self.signal = number
        self.advice = ""


def launch(
    name: str,
    load: Callable[[], Callable[[Sequence[str] | None], int | None]],
    args: Sequence[str] | None = None,
) -> None:
    """Import a command and run it; the process exits as the command says.

    A `ValueError` or an `OSError` becomes one line on standard error and exit status 1. Ctrl-C and
    SIGTERM become one line and 128 plus the signal's number (130, 143).

    Args:
        name: The command's name, which begins every message.
        load: Imports the command and returns it. All heavy imports belong in here.
        args: The command line without the program's name; None reads `sys.argv`.

    Raises:
        SystemExit: Always, with the exit status.
    """
    try:
        with interruptible():
            with busy(f"{name}: loading"):
                command = load()
            status = command(args)
            raise_if_stopped()
    except Stopped as stop:
        raise SystemExit(_farewell(name, stop)) from None
    except (ValueError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        raise SystemExit(1) from error
    raise SystemExit(status or 0)


def launch_study(package: str, description: str | None) -> None:
    """Be the main program of a study's package, which holds `config.PRESETS` and `study.run`.

    Args:
        package: The package, such as "experiments.dilation": `__package__` of its `__main__`.
        description: Shown by `--help`: `__doc__` of its `__main__`.

    Raises:
        SystemExit: Always, with the exit status.
    """
    name = package.rpartition(".")[2]

    def load():
        command = import_module("jaxseg.studies").command
        presets = import_module(f"{package}.config").PRESETS
        run = import_module(f"{package}.study").run
        return lambda args: command(
            name, run, presets, description=description, program=f"python -m {package}", args=args
        )

    launch(name, load)


@contextmanager
def interruptible() -> Iterator[None]:
    """Within, Ctrl-C and SIGTERM raise `Stopped`. What was installed before is restored.

    Outside the main thread, where Python allows no handlers, nothing changes. A signal that was
    ignored from the start, as in a background job of a script, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _stop)
    try:
        yield
    finally:
        _received.clear()
        for number, handler in before.items():
            # None is a handler that was not installed from Python: it cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def raise_if_stopped() -> None:
    """Raise `Stopped` again where a library has swallowed it. Long loops call this.

    Raises:
        Stopped: A signal has been received.
    """
    if _received:
        raise Stopped(_received[0])


def _stop(number: int, frame: object) -> None:
    del frame
    _received.append(signal.Signals(number))
    raise Stopped(_received[-1])


def _farewell(name: str, stop: Stopped) -> int:
    """Print the last line and return the exit status."""
    cause = "Ctrl-C" if stop.signal is signal.SIGINT else stop.signal.name
    print(f"\n{name}: stopped by {cause}. {stop.advice}".rstrip(), file=sys.stderr)
    return 128 + stop.signal
