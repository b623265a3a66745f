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
    lines = [f"jax {jax.__version__} on {backend}, Python {platform.python_version()}"]
    if backend != "cpu":
        lines.append('ops.lowering("auto") is the plain lax convolution: this is no CPU.')
    elif status.path:
        lines += [
            'ops.lowering("auto") is oneDNN in float32 and 16-bit floats, but for these cases:',
            *(f"    {rule.why} (mode {', '.join(rule.modes)})" for rule in PURE_RULES),
            "and the rewritten pure forms in float64 and in exports.",
        ]
    else:
        lines.append('ops.lowering("auto") is the rewritten pure forms, without oneDNN.')
    if status.path:
        parts = build.find_parts()
        lines += [
            f"oneDNN: wheels {parts.onednn_version}, {parts.libraries}",
            f"library: {status.path}",
            f"compiled by: {parts.compiler}, {parts.compiler_version}",
        ]
    else:
        lines += [
            f"oneDNN is not in use: {status.reason}",
            f"wheels: {_version(build.LIBRARY_WHEEL)}, {_version(build.HEADERS_WHEEL)}",
            f"To get it (Linux on x86_64, with a C++ compiler): {build.INSTALL}",
        ]
    return "\n".join(lines)


def _version(wheel: str) -> str:
    try:
        return f"{wheel} {importlib.metadata.version(wheel)}"
    except importlib.metadata.PackageNotFoundError:
        return f"{wheel} not installed"


if __name__ == "__main__":
    print(report())
