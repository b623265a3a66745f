"""Class probabilities of whole images: at several scales, mirrored, and window by window."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxseg import ops

Logits = Callable[[jax.Array], jax.Array]
"""`logits(images)`: (batch, height, width, channels) -> (batch, height, width, classes)."""


@dataclass(frozen=True)
class InferenceConfig:
    """The views of an image that a prediction is averaged over.

    Attributes:
        scales: Factors by which the image is resized.
        flip: Whether its mirror image is a view too.
        window: Height and width of the windows that a larger image is cut into; None for the whole
            image at once.
        overlap: Share of a window's side that the next one covers again, below 1.

    Raises:
        ValueError: A field is out of range.
    """

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    window: tuple[int, int] | None = None
    overlap: float = 0.5

    def __post_init__(self):
        if not self.scales or min(self.scales) <= 0:
            raise ValueError(f"scales={self.scales!r} must be one or more numbers above 0.")
        if self.window is not None and min(self.window) < 1:
            raise ValueError(f"window={self.window!r} must be (height, width) of at least 1.")
        if not 0 <= self.overlap < 1:
            raise ValueError(f"overlap={self.overlap} must be at least 0 and below 1.")


def probabilities(logits: Logits, images: jax.Array, config: InferenceConfig) -> jax.Array:
    """The mean of the softmax over all views of each image.

    Args:
        logits: The net, for images of any size.
        images: (batch, height, width, channels).
        config: The views.

    Returns:
        (batch, height, width, classes), float32; the classes of a pixel sum to 1.

    Example:
        >>> net = lambda images: jnp.concatenate([images, -images], axis=-1)
        >>> config = InferenceConfig(window=(4, 4), flip=True)
        >>> probabilities(net, jnp.zeros((1, 6, 8, 1)), config)[0, 0, 0].tolist()
        [0.5, 0.5]
    """
    size = images.shape[1:3]
    total, views = jnp.zeros((), jnp.float32), 0
    for scale in config.scales:
        scaled_size = tuple(max(1, round(n * scale)) for n in size)
        scaled = images if scaled_size == size else ops.resize(images, scaled_size)
        for mirrored in (False, True) if config.flip else (False,):
            found = _over_windows(logits, scaled[:, :, ::-1] if mirrored else scaled, config)
            found = found[:, :, ::-1] if mirrored else found
            total = total + (found if scaled_size == size else ops.resize(found, size))
            views += 1
    return total / views


def _over_windows(logits: Logits, images: jax.Array, config: InferenceConfig) -> jax.Array:
    """The softmax of the whole image, or the mean over the windows that cover each pixel."""
    if config.window is None:
        return jax.nn.softmax(logits(images).astype(jnp.float32))
    size = images.shape[1:3]
    window = tuple(min(w, n) for w, n in zip(config.window, size, strict=True))
    tops, lefts = (window_starts(n, w, config.overlap) for n, w in zip(size, window, strict=True))
    total, counts = jnp.zeros((), jnp.float32), jnp.zeros((*size, 1), jnp.float32)
    for top in tops:
        for left in lefts:
            rows, columns = slice(top, top + window[0]), slice(left, left + window[1])
            found = jax.nn.softmax(logits(images[:, rows, columns]).astype(jnp.float32))
            gaps = [(0, 0), (top, size[0] - top - window[0]), (left, size[1] - left - window[1])]
            total = total + jnp.pad(found, [*gaps, (0, 0)])
            counts = counts.at[rows, columns].add(1)
    return total / counts[None]


def window_starts(length: int, window: int, overlap: float) -> Sequence[int]:
    """The first pixels of windows that cover an axis evenly.

    Args:
        length: Pixels to cover.
        window: Pixels of a window, at most `length`.
        overlap: Least share of a window that the next one covers again.

    Example:
        >>> window_starts(11, 4, 0.5)
        [0, 2, 4, 5, 7]
    """
    step = max(1, math.floor(window * (1 - overlap)))
    count = 1 + math.ceil((length - window) / step)
    return [round(i * (length - window) / max(1, count - 1)) for i in range(count)]


def entropy(probabilities: jax.Array) -> jax.Array:
    """Uncertainty of each pixel: -sum p ln p / ln classes, from 0 (certain) to 1 (uniform).

    Args:
        probabilities: (..., classes), which sum to 1.

    Returns:
        (...).

    Example:
        >>> entropy(jnp.array([[0.5, 0.5], [0.9, 0.1]])).round(2).tolist()
        [1.0, 0.4699999988079071]
    """
    classes = probabilities.shape[-1]
    total = -jnp.sum(jax.scipy.special.xlogy(probabilities, probabilities), axis=-1)
    return total / math.log(classes) if classes > 1 else total
