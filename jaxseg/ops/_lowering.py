"""The choice between the plain form of a convolution, its rewritten forms and oneDNN."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, get_args

import jax
import numpy as np
from jax.experimental.xla_metadata import set_xla_metadata
from jax.interpreters import mlir
from jax.sharding import AxisType

from jaxseg.ops.native.loader import status

Form = Literal["auto", "direct", "fast", "native"]
FORMS = get_args(Form)

_form: ContextVar[Form] = ContextVar("jaxseg_lowering", default="auto")


@contextmanager
def lowering(form: Form) -> Iterator[None]:
    """Choose how the convolutions traced inside the block are written for the compiler.

    Args:
        form: "direct" is one plain `lax.conv_general_dilated`, differentiated by JAX: the
            definition that everything else is tested against. (Output pixels that see nothing but
            padding are left out of it.) "fast" is the rewritten form, in pure JAX, on every
            platform. "native" is oneDNN (`pip install 'jaxseg[onednn]'`) wherever it can compute
            the operation, and the rewritten form elsewhere: in float64, in exports, on other
            platforms than CPU. Large 3x3 windows it computes by Winograd's F(2x2, 3x3), which
            rounds one or two bits more, and spreads a NaN over its tile of 2x2 pixels. "auto",
            the default outside any block, is on CPU the faster of "native" and "fast" for each
            shape, as far as "native" is available, and on other platforms the plain form.

    Raises:
        ValueError: `form` is none of these, or "native" is not available; the message says what
            is missing.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxseg import ops
        >>> x, kernel = jnp.ones((1, 5, 5, 2)), jnp.ones((3, 3, 2, 4))
        >>> with ops.lowering("direct"):
        ...     y = ops.conv(x, kernel)
        >>> bool((y == ops.conv(x, kernel)).all())
        True
    """
    if form not in FORMS:
        raise ValueError(
            f'lowering {form!r} is unknown: give "auto", "direct", "fast" or "native".'
        )
    if form == "native" and (reason := status().reason):
        raise ValueError(f'lowering "native" is not available: {reason}')
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


def is_export(context: Any) -> bool:
    """Tell whether what is lowered may be compiled elsewhere, where no library of ours is loaded.

    Args:
        context: the `jax.interpreters.mlir.LoweringRuleContext` of the lowering rule.
    """
    # Both fields are public by name but not documented; tests/ops/native/test_exports.py guards
    # them. `jax.export` has no other sign that a lowering rule could see.
    module = context.module_context
    return module.lowering_parameters.for_export or len(module.platforms) > 1


def sharing_devices(context: Any) -> int:
    """Return the number of devices that XLA may share an operation out over.

    Args:
        context: the `jax.interpreters.mlir.LoweringRuleContext` of the lowering rule.
    """
    # Public by name but not documented; tests/ops/native/test_native_devices.py guards it.
    axes = context.module_context.axis_context
    if isinstance(axes, mlir.ShardingContext):
        return axes.num_devices
    if isinstance(axes, mlir.SPMDAxisContext):  # inside shard_map: what its axes leave over
        sizes = axes.mesh.shape
        return int(np.prod([sizes[name] for name in sizes if name not in axes.manual_axes]))
    return 1


def is_direct(*operands: jax.Array) -> bool:
    """Tell whether an operation is left to lax: by choice, or on an Explicit mesh."""
    return current_form() == "direct" or on_explicit_mesh(*operands)


def on_explicit_mesh(*operands: jax.Array) -> bool:
    """Tell whether any operand lies on a mesh of Explicit axes, which only lax's rules know."""
    return any(AxisType.Explicit in jax.typeof(a).sharding.mesh.axis_types for a in operands)
