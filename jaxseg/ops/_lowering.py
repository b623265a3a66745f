"""The choice between the plain form of a convolution and its rewritten forms."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

import jax
from jax.experimental.xla_metadata import set_xla_metadata
from jax.sharding import AxisType

Form = Literal["auto", "direct", "fast"]

_form: ContextVar[Form] = ContextVar("jaxseg_lowering", default="auto")


@contextmanager
def lowering(form: Form) -> Iterator[None]:
    """Choose how the convolutions traced inside the block are written for the compiler.

    Args:
        form: "direct" is one plain `lax.conv_general_dilated`, differentiated by JAX: the
            definition that everything else is tested against. (Output pixels that see nothing but
            padding are left out of it.) "fast" is the rewritten form on every platform. "auto",
            the default outside any block, uses the rewritten form on platforms where it is faster.

    Raises:
        ValueError: `form` is none of these.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import ops
        >>> x, kernel = jnp.ones((1, 5, 5, 2)), jnp.ones((3, 3, 2, 4))
        >>> with ops.lowering("direct"):
        ...     y = ops.conv(x, kernel)
        >>> bool((y == ops.conv(x, kernel)).all())
        True
    """
    if form not in ("auto", "direct", "fast"):
        raise ValueError(f'lowering {form!r} is unknown: give "auto", "direct" or "fast".')
    token = _form.set(form)
    try:
        # The metadata is part of jit's cache key, so a function that was jitted outside the block
        # is traced again inside it. Each traced equation carries it to `form_of_equation`.
        with set_xla_metadata(jaxseg_lowering=form):
            yield
    finally:
        _form.reset(token)


def current_form() -> Form:
    """Return the form chosen by the innermost `lowering` block."""
    return _form.get()


def form_of_equation(context: Any) -> Form:
    """Return the form under which the equation being lowered was traced.

    Args:
        context: the `jax.interpreters.mlir.LoweringRuleContext` of the lowering rule.
    """
    # Undocumented as yet; tests/ops/test_lowering.py guards it. The alternative, a parameter of
    # the primitive, would have to pass through every transformation rule.
    equation = context.jaxpr_eqn_ctx
    metadata = None if equation is None else equation.xla_metadata
    return (metadata or {}).get("jaxseg_lowering", "auto")


def is_direct(*operands: jax.Array) -> bool:
    """Tell whether an operation is left to lax: by choice, or on an Explicit mesh."""
    return current_form() == "direct" or on_explicit_mesh(*operands)


def on_explicit_mesh(*operands: jax.Array) -> bool:
    """Tell whether any operand lies on a mesh of Explicit axes, which only lax's rules know."""
    return any(AxisType.Explicit in jax.typeof(a).sharding.mesh.axis_types for a in operands)
