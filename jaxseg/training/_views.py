"""Class probabilities of batches on the device: at several scales, mirrored, window by window."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg import ops

Logits = Callable[[jax.Array], jax.Array]
"""`logits(images)`: (batch, height, width, channels) -> (batch, height, width, classes)."""

_CLASSES = 32  # up to so many, the limit for whole images does not depend on their number


@dataclass(frozen=True)
class InferenceConfig:
    """The views of an image that a prediction is averaged over.

    Attributes:
        scales: Factors by which each window, or the whole image, is resized.
        flip: Whether its mirror image is a view too.
        window: Height and width of the windows that a larger image is cut into; None sees images
            of up to `max_whole_pixels` whole, and cuts larger ones into windows of
            `default_window`.
        overlap: Share of a window's side that the next one covers again, below 1.
        max_whole_pixels: Pixels (height × width) up to which an image is seen whole where no
            `window` is given; with more than 32 classes, in proportion fewer. Batches on the device
            (`probabilities`) have no such limit.
        default_window: Height and width of the windows of an image beyond that limit.

    Raises:
        ValueError: A field is out of range.
    """

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    window: tuple[int, int] | None = None
    overlap: float = 0.5
    max_whole_pixels: int = 2048 * 1024
    default_window: tuple[int, int] = (512, 512)

    def __post_init__(self):
        if not self.scales or min(self.scales) <= 0:
            raise ValueError(f"scales={self.scales!r} must be one or more numbers above 0.")
        for name in ("window", "default_window"):
            window = getattr(self, name)
            if window is not None and min(window) < 1:
                raise ValueError(f"{name}={window!r} must be (height, width) of at least 1.")
        if not 0 <= self.overlap < 1:
            raise ValueError(f"overlap={self.overlap} must be at least 0 and below 1.")
        if self.max_whole_pixels < 0:
            raise ValueError(
                f"max_whole_pixels={self.max_whole_pixels} must be at least 0, which cuts every "
                "image into windows."
            )

    def window_of(self, size: tuple[int, int], classes: int = 1) -> tuple[int, int]:
        """Height and width of the windows of an image, which are never larger than the image.

        Args:
            size: Height and width of the image.
            classes: Number of classes.

        Example:
            >>> config = InferenceConfig(max_whole_pixels=1000, default_window=(16, 16))
            >>> config.window_of((20, 50)), config.window_of((10, 101))
            ((20, 50), (10, 16))
            >>> config.window_of((20, 50), classes=64)
            (16, 16)
        """
        window = self.window
        if window is None:
            too_large = math.prod(size) * max(classes, _CLASSES) > self.max_whole_pixels * _CLASSES
            window = self.default_window if too_large else size
        return min(window[0], size[0]), min(window[1], size[1])


def probabilities(logits: Logits, images: jax.Array, config: InferenceConfig) -> jax.Array:
    """The mean of the softmax over all windows that cover a pixel, and over all views of each.

    Args:
        logits: The net, for images of any size.
        images: (batch, height, width, channels). Integers are resized as shares of their type's
            largest number, so that `logits` gets floats from 0 to 1 at scales other than 1.
        config: The views. Without `window` the images are seen whole.

    Returns:
        (batch, height, width, classes), float32; the classes of a pixel sum to 1.

    Example:
        >>> net = lambda images: jnp.concatenate([images, -images], axis=-1)
        >>> config = InferenceConfig(window=(4, 4), flip=True)
        >>> probabilities(net, jnp.zeros((1, 6, 8, 1)), config)[0, 0, 0].tolist()
        [0.5, 0.5]
    """
    if config.window is None:
        return mean_over_views(logits, images, config)
    size = (images.shape[1], images.shape[2])
    window = config.window_of(size)
    tops, lefts = (window_starts(n, w, config.overlap) for n, w in zip(size, window, strict=True))
    total, counts = jnp.zeros((), jnp.float32), jnp.zeros((*size, 1), jnp.float32)
    for top in tops:
        for left in lefts:
            rows, columns = slice(top, top + window[0]), slice(left, left + window[1])
            scores = mean_over_views(logits, images[:, rows, columns], config)
            gaps = [(0, 0), (top, size[0] - top - window[0]), (left, size[1] - left - window[1])]
            total = total + jnp.pad(scores, [*gaps, (0, 0)])
            counts = counts.at[rows, columns].add(1)
    return total / counts[None]


def mean_over_views(logits: Logits, images: jax.Array, config: InferenceConfig) -> jax.Array:
    """The mean of the softmax over the scales and mirror images of a window.

    Args:
        logits: The net, for images of any size.
        images: (batch, height, width, channels).
        config: The views; its windows play no part.

    Returns:
        (batch, height, width, classes), float32.
    """
    size = (images.shape[1], images.shape[2])
    total = jnp.zeros((), jnp.float32)
    for scale in config.scales:
        scaled_size = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
        scaled = images if scaled_size == size else _resize(_to_floats(images), scaled_size)
        for mirrored in (False, True) if config.flip else (False,):
            scores = _softmax(logits(scaled[:, :, ::-1] if mirrored else scaled))
            scores = scores[:, :, ::-1] if mirrored else scores
            total = total + (scores if scaled_size == size else _resize(scores, size))
    return total / (len(config.scales) * (1 + config.flip))


@jax.jit
def _softmax(logits: jax.Array) -> jax.Array:
    return jax.nn.softmax(logits.astype(jnp.float32))


_resize = jax.jit(ops.resize, static_argnums=1)


def _to_floats(images: jax.Array) -> jax.Array:
    if jnp.issubdtype(images.dtype, jnp.floating):
        return images
    return images.astype(jnp.float32) / np.float32(jnp.iinfo(images.dtype).max)


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
