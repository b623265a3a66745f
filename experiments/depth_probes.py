"""What the depth study measures inside a net: gradients before training, responses behind it."""

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg.analysis import StackNorms, stack_gradient_norms
from jaxseg.losses import mean_cross_entropy


def gradient_norms(apply, params, stats, batch, features: int) -> StackNorms:
    """Norms of the loss's gradient in every block's input and parameters.

    Args:
        apply: of a `DeepNet`, from `nn.functional`.
        params: its parameters.
        stats: its statistics.
        batch: images and labels.
        features: channels of the blocks.
    """
    blocks = params["stack"]["blocks"]
    depth = len(jax.tree.leaves(blocks)[0])

    def loss(blocks, nudges):
        moved = nnx.merge_state(params, nnx.State({"stack": {"blocks": blocks}}))
        (logits, _), _ = apply(
            moved, stats, batch["image"], train=True, nudges=nudges, method="trace"
        )
        return mean_cross_entropy(logits, batch["label"])

    shape = (depth, *batch["image"].shape[:-1], features)
    return stack_gradient_norms(loss, blocks, jnp.zeros(shape))


def layer_responses(apply, params, stats, images, *, residual: bool) -> jax.Array:
    """Standard deviation of what every block but the last puts out.

    He et al. 2015 (arXiv:1512.03385, fig. 7) look behind each batch norm; here it is a whole
    block's result, and with shortcuts what the block adds to its input.

    Args:
        apply: of a `DeepNet`, from `nn.functional`.
        params: its parameters.
        stats: its statistics.
        images: (batch, height, width, channels).
        residual: whether the blocks have shortcuts.

    Returns:
        (blocks - 1,)
    """
    (_, inputs), _ = apply(params, stats, images, train=True, method="trace")
    responses = inputs[1:] - inputs[:-1] if residual else inputs[1:]
    return jnp.std(responses, axis=tuple(range(1, responses.ndim)))
