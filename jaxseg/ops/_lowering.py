"""Which form of a convolution is compiled: the plain one, the rewritten one, or the better."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

import jax
from jax.experimental.xla_metadata import set_xla_metadata
from jax.sharding import AxisType

Form = Literal["auto", "direct", "fast"]

_form: ContextVar[Form] = ContextVar("jaxseg_lowering", default="auto")


@contextmanager
def lowering(form: Form) -> Iterator[None]:
    """Choose how convolutions traced inside the block are written for the compiler.

    Args:
        form: "direct" is one plain `lax.conv_general_dilated`, differentiated by JAX: the
            definition that everything else is tested against. (Pixels that padding beyond the
            window's reach makes zero are left out of it.) "fast" is the rewritten form on
            every platform. "auto", the default outside any block, rewrites where that is faster.

    Raises:
        ValueError: `form` is none of these.
    """
    if form not in ("auto", "direct", "fast"):
        raise ValueError(f'lowering {form!r} is unknown: give "auto", "direct" or "fast".')
    token = _form.set(form)
    try:
        # A function that was jitted and traced outside the block would be reused inside it. The
        # metadata is part of jit's cache key, so each form has a trace of its own.
        with set_xla_metadata(jaxseg_lowering=form):
            yield
    finally:
        _form.reset(token)


def current_form() -> Form:
    """The form asked for by the innermost `lowering` block."""
    return _form.get()


def explicit(*operands) -> bool:
    """Whether any operand lies on a mesh of Explicit axes, which only lax's own rules know."""
    return any(AxisType.Explicit in jax.typeof(a).sharding.mesh.axis_types for a in operands)
