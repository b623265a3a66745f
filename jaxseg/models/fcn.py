"""FCN: a dilated encoder and one head on its last features."""

import jax
from flax import nnx

from jaxseg.models._arguments import ComputeDtype, DilationRule, Norm, suggest_arguments
from jaxseg.models.encoders import EncoderSize, Features
from jaxseg.models.heads import FCNHead
from jaxseg.models.segmenter import Segmenter, Size


@suggest_arguments
class FCN(Segmenter):
    """torchvision's fully convolutional net: a dilated encoder and one head on its last features.

    It follows Long et al. 2015 (arXiv:1411.4038), with dilation in place of learned upsampling.

    Args:
        classes: Number of classes, which is the number of channels of the logits.
        backbone: Encoder: the name of its size in `models.ENCODERS`, such as "resnet50" or
            "mobilenet_v3_large", or the size itself.
        output_stride: Image pixels per pixel of the encoder's last features: 4, 8, 16 or 32. Stages
            that would go beyond it dilate instead of striding.
        auxiliary: Add a second head, an `FCNHead` on the encoder's `auxiliary` features, for
            training.
        dropout: Dropout rate before the classifier of each head, in training when a key is given.
        dilation_rule: Convolutions that a dilated stage dilates more: "first_keeps" all but the one
            that strode; "whole_stage" all of them.
        inputs: Number of channels of the images.
        norm: Normalization of encoder and heads, "batch" or "group".
        dtype: Dtype of the computation; parameters and statistics stay float32. None computes in
            the dtype of the images.
        remat: Recompute the inside of each block in the backward pass, to save memory.
        rngs: Random number generators; the `params` stream draws the kernels.

    Raises:
        ValueError: An argument is none of the values that it may have.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from jaxseg import models
        >>> def score(images):
        ...     net = models.FCN(classes=21, backbone="resnet18", auxiliary=True, rngs=nnx.Rngs(0))
        ...     return net.with_auxiliary(images)
        >>> logits, auxiliary = jax.eval_shape(score, jnp.zeros((1, 33, 40, 3)))
        >>> logits.shape, auxiliary.shape
        ((1, 33, 40, 21), (1, 33, 40, 21))
    """

    def __init__(
        self,
        *,
        classes: int,
        backbone: str | EncoderSize = "resnet50",
        output_stride: int = 8,
        auxiliary: bool = False,
        dropout: float = 0.1,
        dilation_rule: DilationRule = "first_keeps",
        inputs: int = 3,
        norm: Norm = "batch",
        dtype: ComputeDtype | None = None,
        remat: bool = False,
        rngs: nnx.Rngs,
    ):
        super().__init__(
            classes=classes,
            backbone=backbone,
            output_stride=output_stride,
            auxiliary=auxiliary,
            dropout=dropout,
            dilation_rule=dilation_rule,
            inputs=inputs,
            norm=norm,
            dtype=dtype,
            remat=remat,
            rngs=rngs,
        )
        self.head = FCNHead(
            self.backbone.widths.layer4, classes, dropout=dropout, norm=self._norm, rngs=rngs
        )

    def decode(
        self, features: Features[jax.Array], size: Size, *, train: bool, key: jax.Array | None
    ) -> jax.Array:
        """Map the last features to logits at the output stride."""
        del size
        return self.head(features.layer4, train=train, key=key)
