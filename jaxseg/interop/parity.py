"""Comparison of a net with its exports."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np


def compare(
    fn: Callable[[Any], Any], exported: Mapping[str, Callable[[Any], Any]], images: Iterable[Any]
) -> list[dict[str, Any]]:
    """Run a net and its exports on the same images, and compare the logits.

    Args:
        fn: Net, a function of images that returns logits.
        exported: Function of each export, by a name such as "StableHLO".
        images: Batches of images (batch, height, width, channels), of any sizes.

    Returns:
        A row for each batch and export, with the keys `way` (name of the export), `batch`,
        `height`, `width`, `largest` (largest absolute logit of the net), `max_difference` and
        `rms_difference` (of the logits), and `same_class` (share of the pixels with the same
        predicted class).

    Raises:
        ValueError: The logits of an export have another shape than those of the net.

    Example:
        >>> import numpy as np
        >>> from jaxseg import interop
        >>> images = np.zeros((1, 4, 5, 3), np.float32)
        >>> rows = interop.compare(lambda x: x, {"shifted": lambda x: x + 0.5}, [images])
        >>> rows[0]["max_difference"], rows[0]["same_class"]
        (0.5, 1.0)
    """
    rows = []
    for batch in images:
        logits = np.asarray(fn(batch))
        for way, run in exported.items():
            other = np.asarray(run(batch))
            if other.shape != logits.shape:
                raise ValueError(
                    f"{way}: logits {other.shape} instead of {logits.shape}: is it this net's "
                    "export?"
                )
            rows.append({"way": way, **_sizes(logits), **_differences(logits, other)})
    return rows


def _sizes(logits: np.ndarray) -> dict[str, int]:
    return dict(zip(("batch", "height", "width"), logits.shape, strict=False))


def _differences(logits: np.ndarray, other: np.ndarray) -> dict[str, float]:
    difference = np.abs(other.astype(np.float64) - logits)
    return {
        "largest": float(np.max(np.abs(logits))),
        "max_difference": float(np.max(difference)),
        "rms_difference": float(np.sqrt(np.mean(difference**2))),
        "same_class": float(np.mean(logits.argmax(-1) == other.argmax(-1))),
    }
