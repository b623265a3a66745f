"""What every export starts with: its packages, and a function that changes nothing."""

import importlib.util
from collections.abc import Callable
from typing import Any

from flax import nnx


def require(purpose: str, *packages: str) -> None:
    """Refuse to go on without packages that are not installed.

    Raises:
        ValueError: one is missing; how to install it is said.
    """
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(
            f"{purpose} needs {' and '.join(missing)}, which is not installed: "
            "pip install 'jaxseg[export]'."
        )


def pure(fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A module as a function, made anew in each trace, which may not change variables of others."""
    if not isinstance(fn, nnx.Module):
        return lambda images: fn(images)
    graphdef, state = nnx.split(fn)
    return lambda images: nnx.merge(graphdef, state, copy=True)(images)
