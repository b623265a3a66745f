"""Say which lowering of the convolutions is in use here, and why: `python -m jaxseg.ops`."""

import importlib.metadata
import platform

import jax

from jaxseg.ops import native
from jaxseg.ops.native import build
from jaxseg.ops.native.rules import PURE_RULES


def report() -> str:
    """Return what `python -m jaxseg.ops` prints; builds the library if it can be and is not yet."""
    status, backend = native.status(), jax.default_backend()
    lines = [
        f"Convolutions on {backend}: {_in_use(backend, status)}",
        f"jax {jax.__version__}, Python {platform.python_version()}",
    ]
    if not status.path:
        return "\n".join(
            [
                *lines,
                f"oneDNN is not in use: {status.reason}",
                f"wheels: {_version(build.LIBRARY_WHEEL)}, {_version(build.HEADERS_WHEEL)}",
                f"To get it (Linux on x86_64, with a C++ compiler): {build.INSTALL}",
            ]
        )
    parts = build.find_parts()
    return "\n".join(
        [
            *lines,
            f"oneDNN: wheels {parts.onednn_version}, {parts.libraries}",
            f"library: {status.path}",
            f"compiled by: {parts.compiler}, {parts.compiler_version}",
            "faster in the pure forms:",
            *(f"    {rule.why} (mode {', '.join(rule.modes)})" for rule in PURE_RULES),
        ]
    )


def _in_use(backend: str, status: native.Status) -> str:
    if backend != "cpu":
        return "plain lax, which XLA hands to the platform's library."
    if status.path is None:
        return "XLA's, in rewritten forms, without oneDNN."
    return "oneDNN, but XLA's where it is faster, in float64 and in exports."


def _version(wheel: str) -> str:
    try:
        return f"{wheel} {importlib.metadata.version(wheel)}"
    except importlib.metadata.PackageNotFoundError:
        return f"{wheel} not installed"


if __name__ == "__main__":
    print(report())
