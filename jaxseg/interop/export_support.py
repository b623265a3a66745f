"""Steps that all exports share: check that packages are installed, and make a net a function."""

import importlib.util
from collections.abc import Callable
from typing import Any

from flax import nnx


def require(purpose: str, *packages: str) -> None:
    """Check that packages are installed.

    Args:
        purpose: Name of the function that needs them, for the message.
        packages: Names of the packages.

    Raises:
        ValueError: A package is missing; the message says how to install it.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(
            f"{purpose} needs {' and '.join(missing)}, which is not installed: "
            "pip install 'jaxseg[export]'."
        )


def pure(fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Make a module, or a function, a pure function of the images.

    A trace may not change variables that were made outside it, so that a module is made anew in
    each call.
    """
    if not isinstance(fn, nnx.Module):
        return lambda images: fn(images)
    graphdef, state = nnx.split(fn)
    return lambda images: nnx.merge(graphdef, state, copy=True)(images)
