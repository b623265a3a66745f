"""Class probabilities of whole images: at several scales, mirrored, and window by window."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from jaxseg import ops

Logits = Callable[[jax.Array], jax.Array]


@dataclass(frozen=True)
class InferenceConfig:
    """How an image is looked at; what it is seen as is the mean over all looks.

    Attributes:
        scales: factors by which the image is resized.
        flip: look at the mirror image too.
        window: height and width of windows that a larger image is cut into; None: the whole image.
        overlap: share of a window's side that the next one covers again, below 1.
    """

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    window: tuple[int, int] | None = None
    overlap: float = 0.5

    def __post_init__(self):
        """Refuse what looks at nothing."""
        if not self.scales or min(self.scales) <= 0:
            raise ValueError(f"scales={self.scales!r} must be one or more numbers above 0.")
        if self.window is not None and min(self.window) < 1:
            raise ValueError(f"window={self.window!r} must be (height, width) of at least 1.")
        if not 0 <= self.overlap < 1:
            raise ValueError(f"overlap={self.overlap} must be at least 0 and below 1.")


def probabilities(logits: Logits, images: jax.Array, config: InferenceConfig) -> jax.Array:
    """The mean of the softmax over scales and mirror images.

    Args:
        logits: (batch, height, width, channels) -> (batch, height, width, classes), of any size.
        images: (batch, height, width, channels).
        config: how to look.

    Returns:
        (batch, height, width, classes), float32; they sum to 1.
    """
    size = images.shape[1:3]
    total, looks = jnp.zeros((), jnp.float32), 0
    for scale in config.scales:
        scaled = tuple(max(1, round(n * scale)) for n in size)
        seen = images if scaled == size else ops.resize(images, scaled)
        for mirrored in (False, True) if config.flip else (False,):
            found = _windows(logits, seen[:, :, ::-1] if mirrored else seen, config)
            found = found[:, :, ::-1] if mirrored else found
            total = total + (found if scaled == size else ops.resize(found, size))
            looks += 1
    return total / looks


def _windows(logits: Logits, images: jax.Array, config: InferenceConfig) -> jax.Array:
    """The softmax of the whole image, or the mean over the windows that cover each pixel."""
    if config.window is None:
        return jax.nn.softmax(logits(images).astype(jnp.float32))
    size = images.shape[1:3]
    window = tuple(min(w, n) for w, n in zip(config.window, size, strict=True))
    tops, lefts = (window_starts(n, w, config.overlap) for n, w in zip(size, window, strict=True))
    total, seen = jnp.zeros((), jnp.float32), jnp.zeros((*size, 1), jnp.float32)
    for top in tops:
        for left in lefts:
            rows, columns = slice(top, top + window[0]), slice(left, left + window[1])
            found = jax.nn.softmax(logits(images[:, rows, columns]).astype(jnp.float32))
            gaps = [(0, 0), (top, size[0] - top - window[0]), (left, size[1] - left - window[1])]
            total = total + jnp.pad(found, [*gaps, (0, 0)])
            seen = seen.at[rows, columns].add(1)
    return total / seen[None]


def window_starts(length: int, window: int, overlap: float) -> Sequence[int]:
    """Where windows begin that cover `length` pixels evenly, each by `overlap` or more.

    Args:
        length: pixels to cover.
        window: pixels of a window, at most `length`.
        overlap: least share of a window that the next one covers again.
    """
    step = max(1, math.floor(window * (1 - overlap)))
    count = 1 + math.ceil((length - window) / step)
    return [round(i * (length - window) / max(1, count - 1)) for i in range(count)]


def entropy(probabilities: jax.Array) -> jax.Array:
    """Uncertainty of each pixel: -sum p ln p / ln classes, from 0 (sure) to 1 (no idea).

    Args:
        probabilities: (..., classes).

    Returns:
        (...).
    """
    classes = probabilities.shape[-1]
    total = -jnp.sum(jax.scipy.special.xlogy(probabilities, probabilities), axis=-1)
    return total / math.log(classes) if classes > 1 else total
