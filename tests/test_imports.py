"""What a command imports first takes no time that a user waits for."""

import subprocess
import sys

SLOW = ("grain", "matplotlib", "orbax", "skimage", "tensorflow", "tensorflow_datasets")


def test_slow_packages_are_imported_when_they_are_used():
    code = "import sys, jaxseg.data, jaxseg.training; print(*sys.modules, sep='\\n')"
    command = [sys.executable, "-W", "error", "-c", code]
    imported = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "jaxseg.training.state" in imported
    assert not {name.split(".")[0] for name in imported} & {*SLOW}
