"""The first second of a command: signals are handled and a word is said before JAX is imported.

Only the standard library and tqdm are imported here, and nothing of the rest of jaxseg.
"""

import atexit
import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Any

from jaxseg.progress import busy

SIGNALS = (signal.SIGINT, signal.SIGTERM)
NO_CACHE = "--no-cache"
"""Flag of every command and study: compile all programs anew, and keep none."""
_RETRY_SECONDS = 0.05
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
    *,
    keeps_programs: bool = True,
) -> None:
    """Import a command and run it; the process exits as the command says.

    Programs that it compiles are kept in the user's cache for the next time, unless `--no-cache`
    is among the words.

    A `ValueError`, an `OSError` or a full disk becomes one line on standard error and exit status
    1. Ctrl-C and SIGTERM become one line and 128 plus the signal's number (130, 143); the process
    then ends at once, without the libraries' clean-up, which crashes after an interruption of XLA.

    Args:
        name: The command's name, which begins every message.
        load: Imports the command and returns it. All heavy imports belong in here.
        args: The command line without the program's name; None reads `sys.argv`.
        keeps_programs: Whether compiled programs are kept; not where compiling is measured.

    Raises:
        SystemExit: Always, with the exit status, unless a signal stopped the command.
    """
    try:
        with interruptible():
            try:
                with busy(f"{name}: loading"), _ending_at_once(name):
                    command = load()
                    words = _keep_programs(sys.argv[1:] if args is None else args, keeps_programs)
                status = command(words)
                raise_if_stopped()
            except Exception:
                raise_if_stopped()  # the error is what a library made of it
                raise
    except Stopped as stop:
        _farewell(name, stop)
        os._exit(128 + stop.signal)
    except Exception as error:
        full = disk_is_full(error)
        if not (full or isinstance(error, (ValueError, OSError))):
            raise
        # A library's account of a full disk may be long, and does not always name the file.
        text = str(error) if isinstance(error, OSError) or not full else "No space left on device"
        print(f"{name}: {text}", file=sys.stderr)
        raise SystemExit(1) from error
    # Libraries take a while to clean up; a signal would then change the status of what is done.
    for number in SIGNALS:
        atexit.register(signal.signal, number, signal.SIG_IGN)
    raise SystemExit(status or 0)


def _keep_programs(words: Sequence[str], wanted: bool) -> list[str]:
    """Let compiled programs be kept, unless the words say otherwise; return the other words."""
    others = [word for word in words if word != NO_CACHE]
    if wanted and len(others) == len(words) and "jax" in sys.modules:
        from jaxseg.compile_cache import keep_programs

        keep_programs()
    return others


def disk_is_full(error: BaseException) -> bool:
    """Tell whether an error, or one that it was raised from, is that of a full disk.

    Libraries that write files by themselves pass the system's text on, in exceptions of their own.

    Args:
        error: The error.
    """
    texts = ("No space left on device", "Disk quota exceeded")
    return any(
        (isinstance(each, OSError) and each.errno in (errno.ENOSPC, errno.EDQUOT))
        or any(text in str(each) for text in texts)
        for each in _chain(error)
    )


@contextmanager
def interruptible() -> Iterator[None]:
    """Within, Ctrl-C and SIGTERM raise `Stopped`. What was installed before is restored.

    Outside the main thread, where Python allows no handlers, nothing changes. A signal that was
    ignored from the start, as in a background job of a script, stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    hooks = sys.excepthook, sys.unraisablehook, threading.excepthook
    sys.excepthook = partial(_report_uncaught, hooks[0])
    sys.unraisablehook = partial(_report_all_but_stopped, hooks[1])
    threading.excepthook = partial(_report_of_thread, hooks[2])
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _stop)
    try:
        yield
    finally:
        sys.excepthook, sys.unraisablehook, threading.excepthook = hooks
        _received.clear()
        for number, handler in before.items():
            # None is a handler that was not installed from Python: it cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _report_all_but_stopped(report: Callable[[Any], object], unraisable: Any) -> None:
    """Say nothing of a `Stopped` where Python swallows exceptions, as in callbacks of JAX.

    `raise_if_stopped` raises it again.
    """
    if unraisable.exc_type is not Stopped and not _comes_of_stop(unraisable.exc_value):
        report(unraisable)


def _report_uncaught(
    report: Callable[..., object], kind: Any, error: BaseException, traceback: Any
) -> None:
    """Say nothing of a `Stopped` that a library in C prints where it meets it."""
    if not _comes_of_stop(error):
        report(kind, error, traceback)


def _report_of_thread(report: Callable[[Any], object], raised: Any) -> None:
    """Say nothing of a stop or a full disk that a thread has met: it is raised where one waits."""
    error = raised.exc_value
    if error is None or not (_comes_of_stop(error) or disk_is_full(error)):
        report(raised)


def _comes_of_stop(error: BaseException | None) -> bool:
    """Tell whether an error is a `Stopped`, or was raised from one."""
    return any(isinstance(each, Stopped) for each in _chain(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, and those that it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def raise_if_stopped() -> None:
    """Raise `Stopped` again where a library has swallowed it. Long loops call this.

    Raises:
        Stopped: A signal has been received.
    """
    if _received:
        raise Stopped(_received[0])


@contextmanager
def _ending_at_once(name: str) -> Iterator[None]:
    """Within, a signal ends the process on the spot, since nothing can be lost yet.

    An exception would be raised in the middle of an import, where libraries in C print it.
    """
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def end(number: int, frame: object) -> None:
        del frame
        _farewell(name, Stopped(signal.Signals(number)))
        os._exit(128 + number)

    installed = [number for number, handler in before.items() if handler is _stop]
    for number in installed:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in installed:
            signal.signal(number, _stop)


def _stop(number: int, frame: FrameType | None) -> None:
    _received.append(signal.Signals(number))
    if _is_importing(frame):
        # Later: an exception in the middle of an import may be printed, or leave half a module.
        retry = threading.Timer(_RETRY_SECONDS, _send_again, (number,))
        retry.daemon = True
        retry.start()
        return
    raise Stopped(_received[0])


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _send_again(number: int) -> None:
    if _received:  # the command has not ended meanwhile
        os.kill(os.getpid(), number)


def _farewell(name: str, stop: Stopped) -> None:
    """Print the last line."""
    cause = "Ctrl-C" if stop.signal is signal.SIGINT else stop.signal.name
    with suppress(OSError):  # whoever read the output may be gone
        sys.stdout.flush()
        print(f"\n{name}: stopped by {cause}. {stop.advice}".rstrip(), file=sys.stderr, flush=True)
