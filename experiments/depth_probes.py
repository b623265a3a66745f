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

    def loss(blocks, perturbations):
        moved = nnx.merge_state(params, nnx.State({"stack": {"blocks": blocks}}))
        (logits, _), _ = apply(
            moved, stats, batch["image"], train=True, perturbations=perturbations, method="trace"
        )
        return mean_cross_entropy(logits, batch["label"])

    shape = (depth, *batch["image"].shape[:-1], features)
    return stack_gradient_norms(loss, blocks, jnp.zeros(shape))


def layer_responses(apply, params, stats, images, *, residual: bool) -> tuple[jax.Array, jax.Array]:
    """What every block but the last puts out, and how much of its output that is.

    He et al. 2015 (arXiv:1512.03385, fig. 7) look behind each batch norm, whose learned scale these
    nets do without; here it is a whole block's result, and with shortcuts what it adds.

    Args:
        apply: of a `DeepNet`, from `nn.functional`.
        params: its parameters.
        stats: its statistics.
        images: (batch, height, width, channels).
        residual: whether the blocks have shortcuts.

    Returns:
        (blocks - 1,) standard deviations, and their ratio to those of the blocks' outputs: 1
        without shortcuts.
    """
    (_, inputs), _ = apply(params, stats, images, train=True, method="trace")
    outputs = inputs[1:]
    added = outputs - inputs[:-1] if residual else outputs
    axes = tuple(range(1, outputs.ndim))
    response = jnp.std(added, axis=axes)
    return response, response / jnp.std(outputs, axis=axes)
