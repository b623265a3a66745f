"""Equal blocks as one stacked pytree, run by `lax.scan`."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg.nn._plain_variables import build_plain


class Stack(nnx.Module):
    """A chain of `depth` blocks that compiles in the time of one.

    The blocks' parameters are one pytree, `stack.blocks`, whose leaves have a leading axis of
    length `depth`; so do their gradients. Output and gradients equal those of a Python loop.

    Args:
        make_block: makes one block from its own `nnx.Rngs`; each is called as
            `block(x, train=...)` and keeps the shape of x.
        depth: number of blocks, >= 1.
        checkpoint_every: 0 keeps every intermediate for the backward pass; k > 0 keeps the input of
            each k-th block and recomputes the rest, k blocks at a time (Chen et al. 2016,
            arXiv:1604.06174). 1 saves most where the inside of a block is large; √depth keeps
            only about 2 √depth block inputs alive.
        rngs: its `params` stream gives each block a key.

    Raises:
        ValueError: `depth` is below 1 or `checkpoint_every` below 0.

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from jaxseg import nn
        >>> def block(rngs):
        ...     return nn.Residual(nn.PreActivation(4, rngs=rngs))
        >>> stack = nn.Stack(block, depth=10, rngs=nnx.Rngs(0))
        >>> stack.blocks.branch.conv1.kernel.shape
        (10, 3, 3, 4, 4)
        >>> stack(jnp.ones((1, 6, 6, 4))).shape
        (1, 6, 6, 4)
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
        graphdef = nnx.graphdef(nnx.eval_shape(lambda: build_plain(make_block, 0)))
        keys = jax.random.split(rngs.params(), depth)
        stacked = jax.vmap(lambda key: nnx.state(build_plain(make_block, key)))(keys)
        self.blocks = nnx.merge(graphdef, stacked, copy=True)
        self.depth, self.checkpoint_every = depth, checkpoint_every

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Run the blocks on x; with `train`, update their statistics in place."""
        return self._run(x, None, train=train, collect=False)[0]

    def trace(
        self, x: jax.Array, *, train: bool = False, perturbations: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """Run the blocks and return the input of each as well.

        Args:
            x: input of the first block.
            train: use the statistics of the batch, and update the running ones in place.
            perturbations: (depth, *x.shape), added to each block's input. The gradient with respect
                to them, at zero, is the gradient with respect to each block's input.

        Returns:
            The output, and the input of each block, (depth, *x.shape).
        """
        return self._run(x, perturbations, train=train, collect=True)  # type: ignore[return-value]

    def _run(self, x, perturbations, *, train, collect):
        graphdef, params, rest = nnx.split(self.blocks, nnx.Param, ...)

        def step(x, layer):
            params, rest, perturbation = layer
            x = x if perturbation is None else x + perturbation
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
    """Scan over layers, rematerialized in segments of `every` layers where that is not zero."""
    if every == 0:
        return jax.lax.scan(step, x, layers)
    if every == 1:
        # Inside a scan nothing is merged across iterations, so the barrier is not needed.
        return jax.lax.scan(jax.checkpoint(step, prevent_cse=False), x, layers)

    @jax.checkpoint
    def segment(x, layers):
        return jax.lax.scan(step, x, layers)

    divisible = depth // every * every
    head = jax.tree.map(lambda a: a[:divisible].reshape(-1, every, *a.shape[1:]), layers)
    x, outs = jax.lax.scan(segment, x, head)
    outs = jax.tree.map(lambda a: a.reshape(divisible, *a.shape[2:]), outs)
    if divisible < depth:
        x, last = segment(x, jax.tree.map(lambda a: a[divisible:], layers))
        outs = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), outs, last)
    return x, outs
