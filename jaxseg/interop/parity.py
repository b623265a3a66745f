"""How far an exported net is from the net."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np


def compare(
    fn: Callable[[Any], Any], exported: Mapping[str, Callable[[Any], Any]], images: Iterable[Any]
) -> list[dict[str, Any]]:
    """Run a net and its exports on the same images.

    Args:
        fn: the net, images -> logits.
        exported: a name of each export, such as "StableHLO", and its function.
        images: batches (batch, height, width, channels), of any sizes.

    Returns:
        for each batch and export a row: way; batch, height, width; largest (absolute logit of the
        net); max_difference and rms_difference (absolute, of logits); same_class (share of pixels
        whose largest logit is that of the same class).

    Raises:
        ValueError: an export's logits have another shape than the net's.
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
