"""Measurements inside a net: gradients before training, with their theory, and responses after."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxseg.analysis import StackNorms, mean_field, stack_gradient_norms
from jaxseg.losses import mean_cross_entropy
from jaxseg.models import DeepNetConfig


def gradient_norms(apply, params, stats, batch, features: int) -> StackNorms:
    """Measure the norms of the loss's gradient in every block's input and parameters.

    Args:
        apply: `apply` of a `DeepNet`, from `nn.functional`.
        params: Its parameters.
        stats: Its statistics.
        batch: Images and labels.
        features: Channels of the blocks.
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
    """Measure what every block but the last puts out, and its share of the block's output.

    He et al. 2015 (arXiv:1512.03385, fig. 7) look behind each batch norm, whose learned scale these
    nets do without. Here it is a whole block's result, or with shortcuts what the block adds.

    Args:
        apply: `apply` of a `DeepNet`, from `nn.functional`.
        params: Its parameters.
        stats: Its statistics.
        images: (batch, height, width, channels).
        residual: The blocks have shortcuts.

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


def theory(
    depth: int, size: tuple[int, int], dilation: int, options: dict[str, Any]
) -> np.ndarray | None:
    """Give log10 of the expected gradient profile of an arm, by `analysis.mean_field`.

    Args:
        depth: Convolutions of the net.
        size: Height and width of the images.
        dilation: Dilation of the convolutions.
        options: The arm, of `config.ARMS`.

    Returns:
        One entry a block, relative to the last one; None for an arm without a closed form.
    """
    net = DeepNetConfig(classes=1, blocks=depth // 2 - 1, dilation=dilation, **options)
    if net.zero_last:
        return None
    he_relu = (net.activation, net.kernel_init, net.weight_variance) == ("relu", "he", 2)
    if he_relu and net.norm == "none":
        scale = net.scale if net.residual else None
        return mean_field.he_relu_gradient_norms(
            net.blocks, size, branch_scale=scale, dilation=dilation
        )
    if he_relu and net.norm == "batch" and not net.residual:
        return mean_field.batch_norm_plain_gradient_norms(net.blocks)
    if he_relu and net.norm == "batch" and net.scale == 1:
        return mean_field.batch_norm_residual_gradient_norms(net.blocks)
    tanh = (net.activation, net.kernel_init, net.norm) == ("tanh", "delta_orthogonal", "none")
    if tanh and not net.residual:
        return mean_field.tanh_isometric_gradient_norms(
            net.blocks, weight_variance=net.weight_variance
        )
    return None
