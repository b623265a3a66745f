"""Programs that are run as processes, waited for and stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
FIRST_WORDS = 20.0
"""Seconds within which a program says something, beside much other work; a tenth of one if there is
none. JAX is imported in three, and twenty times as many beside such work."""
LIMIT = 600.0
"""Seconds within which a small program is finished, likewise."""
# A shell that runs the tests in the background ignores SIGINT, and so would what they start.
HEEDING = (
    "import os, signal, sys; signal.signal(2, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
)


class Process:
    """A module run by `python -m`; its output goes to files, for an unread pipe would fill up.

    Args:
        module: The module.
        folder: Folder of the output, and of compiled programs, which later processes share.
        *words: The command line.
    """

    def __init__(self, module: str, folder: Path, *words: str):
        self.folder = folder
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "JAXSEG_CACHE": str(folder / "programs"),
        }
        self.started = time.monotonic()
        with (folder / "output").open("w") as output, (folder / "errors").open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-c", HEEDING, sys.executable, "-m", module, *words],
                env=environment,
                stdout=output,
                stderr=errors,
            )

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text(errors="replace")

    @property
    def errors(self) -> str:
        return (self.folder / "errors").read_text(errors="replace")

    def wait_for(self, happened, limit: float = LIMIT) -> None:
        """Wait until `happened()` is true.

        Raises:
            AssertionError: The process has ended, or the limit is over.
        """
        while not happened():
            if self.process.poll() is not None or time.monotonic() - self.started > limit:
                self.process.kill()
                raise AssertionError(self.errors[-2000:])
            time.sleep(0.05)

    def end(self) -> tuple[int, str]:
        """Wait for the end; return the exit status and the last line of the errors."""
        try:
            status = self.process.wait(LIMIT)
        finally:
            self.process.kill()
        assert "Traceback" not in self.errors
        return status, (self.errors.strip().splitlines() or [""])[-1]

    def stop(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal, and wait for the end."""
        self.process.send_signal(number)
        return self.end()
