"""Operands of one operation in `shard_map` vary over the same axes of the mesh."""

import jax
from jax import lax


def match_varying(*operands: jax.Array) -> list[jax.Array]:
    """Mark every operand as varying over the mesh axes that any of them varies on (`shard_map`).

    The transpose of that mark is the sum over devices that the gradient of a shared operand needs.

    Args:
        operands: arrays that one primitive takes.
    """
    # Undocumented as yet, though public by name; tests/ops/test_sharding.py guards it.
    axes = [jax.typeof(a).manual_axis_type.varying for a in operands]
    union = frozenset().union(*axes)
    return [
        lax.pcast(a, tuple(union - varying), to="varying") if union - varying else a
        for a, varying in zip(operands, axes, strict=True)
    ]
