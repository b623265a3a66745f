"""L equal blocks as one stacked pytree, run by `lax.scan`."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx


class Stack(nnx.Module):
    """A chain of `depth` blocks that compiles in the time of one.

    The blocks' parameters are one pytree, `stack.blocks`, whose leaves have a leading axis of
    length `depth`; so do their gradients. Output and gradients equal those of a Python loop.

    Args:
        make_block: makes one block from its own `nnx.Rngs`; each is called as
            `block(x, train=...)` and keeps the shape of x.
        depth: number of blocks, >= 1.
        checkpoint_every: 0 keeps every intermediate for the backward pass. k > 0 keeps each k-th
            block's input and recomputes the rest, k blocks at a time (Chen et al. 2016,
            arXiv:1604.06174): 1 saves most where a block's inside is large, sqrt(depth) leaves
            only about 2 sqrt(depth) block inputs alive.
        rngs: its `params` stream gives each block a key.
    """

    def __init__(
        self,
        make_block: Callable[[nnx.Rngs], nnx.Module],
        depth: int,
        *,
        checkpoint_every: int = 0,
        rngs: nnx.Rngs,
    ):
        if depth < 1:
            raise ValueError(f"Stack: depth={depth} must be at least 1.")
        if checkpoint_every < 0:
            raise ValueError(f"Stack: checkpoint_every={checkpoint_every} must not be negative.")
        graphdef = nnx.graphdef(nnx.eval_shape(lambda: make_block(nnx.Rngs(0))))
        keys = jax.random.split(rngs.params(), depth)
        stacked = jax.vmap(lambda key: nnx.state(make_block(nnx.Rngs(key))))(keys)
        self.blocks = nnx.merge(graphdef, stacked, copy=True)
        self.depth, self.checkpoint_every = depth, checkpoint_every

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Run the blocks on x; with `train`, their statistics are updated in place."""
        return self._run(x, None, train=train, collect=False)[0]

    def trace(
        self, x: jax.Array, *, train: bool = False, perturbations: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """Run the blocks and keep what each was given.

        Args:
            x: as for a call.
            train: as for a call.
            perturbations: (depth, *x.shape), added to each block's input. The gradient with respect
                to them, at zero, is the gradient with respect to each block's input.

        Returns:
            the output, and the input of each block, (depth, *x.shape).
        """
        return self._run(x, perturbations, train=train, collect=True)  # type: ignore[return-value]

    def _run(self, x, perturbations, *, train, collect):
        graphdef, params, rest = nnx.split(self.blocks, nnx.Param, ...)

        def step(x, layer):
            params, rest, nudge = layer
            x = x if nudge is None else x + nudge
            # A copy: merge would otherwise hand out the very variables of `self`.
            block = nnx.merge(graphdef, params, rest, copy=True)
            y = block(x, train=train)
            return y, (nnx.state(block, nnx.Not(nnx.Param)), x if collect else None)

        x, (rest, inputs) = _scan(
            step, x, (params, rest, perturbations), self.depth, self.checkpoint_every
        )
        nnx.update(self.blocks, rest)
        return x, inputs


def _scan(step, x, layers, depth: int, every: int):
    """`lax.scan` over layers, rematerialised in segments of `every` where that is not zero."""
    if every == 0:
        return jax.lax.scan(step, x, layers)
    if every == 1:
        # Inside a scan nothing is merged across iterations, so the barrier is not needed.
        return jax.lax.scan(jax.checkpoint(step, prevent_cse=False), x, layers)

    @jax.checkpoint
    def segment(x, layers):
        return jax.lax.scan(step, x, layers)

    whole = depth // every * every
    head = jax.tree.map(lambda a: a[:whole].reshape(-1, every, *a.shape[1:]), layers)
    x, outs = jax.lax.scan(segment, x, head)
    outs = jax.tree.map(lambda a: a.reshape(whole, *a.shape[2:]), outs)
    if whole < depth:
        x, last = segment(x, jax.tree.map(lambda a: a[whole:], layers))
        outs = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), outs, last)
    return x, outs
