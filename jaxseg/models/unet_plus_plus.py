"""U-Net++: a U-Net whose skips pass through convolutions that see every level below."""

import functools

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg.models._arguments import (
    ComputeDtype,
    Norm,
    check_choice,
    check_positive,
    check_rate,
    suggest_arguments,
)
from jaxseg.models._layers import NORMS, run_block, to_compute_dtype, to_float32
from jaxseg.models.heads import classifier
from jaxseg.models.unet import UNetBlock, downsample
from jaxseg.nn import UpConv, dropout


@suggest_arguments
class UNetPlusPlus(nnx.Module):
    """U-Net++ (Zhou et al. 2018, section 3, eq. 1, arXiv:1807.10165).

    Node (i, j) of level i sees all nodes of its level before it, and the node (i + 1, j - 1),
    brought to its size by a 2x2 upconvolution; with j = 0 it is a level of a U-Net's contracting
    path. With deep supervision the logits are the mean of those of the nodes (0, 1), (0, 2), ...,
    each of which is the end of a U-Net of fewer levels. Odd sizes are rounded up when they are
    halved; what an upconvolution makes beyond its level's size is cut off.

    Args:
        classes: Number of classes, which is the number of channels of the logits.
        inputs: Number of channels of the images.
        widths: Number of channels of each level, the finest first: two or more. Every level after
            the first halves the image once more.
        deep_supervision: Classify at every node of the finest level, and average.
        norm: Normalization, "batch" or "group".
        dropout: Dropout rate of the lowest level's features, in training when a key is given.
        dtype: Dtype of the computation; parameters and statistics stay float32. None computes in
            the dtype of the images.
        remat: Recompute the inside of each block in the backward pass, to save memory.
        rngs: Random number generators; the `params` stream draws the kernels.

    Raises:
        ValueError: An argument is none of the values that it may have.
    """

    def __init__(
        self,
        *,
        classes: int,
        inputs: int = 3,
        widths: tuple[int, ...] = (32, 64, 128, 256, 512),
        deep_supervision: bool = False,
        norm: Norm = "batch",
        dropout: float = 0.0,
        dtype: ComputeDtype | None = None,
        remat: bool = False,
        rngs: nnx.Rngs,
    ):
        check_choice("UNetPlusPlus", "norm", norm, NORMS)
        check_choice("UNetPlusPlus", "dtype", dtype, (None, "float32", "bfloat16"))
        check_positive("UNetPlusPlus", classes=classes, inputs=inputs)
        check_rate("UNetPlusPlus", "dropout", dropout)
        if len(widths) < 2 or min(widths) < 1:
            raise ValueError(
                f"UNetPlusPlus: widths={widths!r} must be integers, two or more, and at least 1."
            )
        self.dtype: ComputeDtype | None = dtype
        self.remat, self.dropout = remat, dropout
        block = functools.partial(
            UNetBlock, valid=False, residual=False, norm=NORMS[norm], rngs=rngs
        )
        pairs = zip((inputs, *widths), widths, strict=False)
        self.down = nnx.List(block(below, above) for below, above in pairs)
        levels = range(len(widths) - 1)
        # Nodes (i, 1), (i, 2), ... of each level i.
        self.nodes = nnx.List(
            nnx.List(block((j + 1) * widths[i], widths[i]) for j in range(1, len(widths) - i))
            for i in levels
        )
        self.ups = nnx.List(
            nnx.List(
                UpConv(widths[i + 1], widths[i], 2, bias=True, rngs=rngs)
                for _ in range(1, len(widths) - i)
            )
            for i in levels
        )
        ends = len(levels) if deep_supervision else 1
        self.classifiers = nnx.List(classifier(widths[0], classes, rngs) for _ in range(ends))

    def __call__(
        self, images: jax.Array, *, train: bool = False, key: jax.Array | None = None
    ) -> jax.Array:
        """Score every class at every pixel.

        Args:
            images: Images (batch, height, width, inputs), floating, of any height and width.
            train: Normalize by the batch's statistics, and update the running ones in place.
            key: JAX PRNG key for dropout in training; without one nothing is dropped.

        Returns:
            Logits (batch, height, width, classes), float32, or float64 for float64 images.
        """
        run = functools.partial(run_block, train=train, remat=self.remat)
        x = to_compute_dtype(images, self.dtype)
        levels: list[list[jax.Array]] = []
        for level, block in enumerate(self.down):
            x = run(block, downsample(x) if level else x)
            levels.append([x])
        if train:
            levels[-1] = [dropout(x, self.dropout, key)]
        for j in range(1, len(levels)):
            for i in range(len(levels) - j):
                here = levels[i]
                height, width = here[0].shape[1:-1]
                raised = self.ups[i][j - 1](levels[i + 1][j - 1])[:, :height, :width]
                here.append(run(self.nodes[i][j - 1], jnp.concatenate([*here, raised], axis=-1)))
        ends = levels[0][-len(self.classifiers) :]
        scores = [score(x) for score, x in zip(self.classifiers, ends, strict=True)]
        return to_float32(sum(scores[1:], scores[0]) / len(scores), images)
