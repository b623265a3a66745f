"""Frequencies of the classes, and weights that make up for them."""

from collections.abc import Iterable, Mapping

import numpy as np
from jaxtyping import Float64, Integer

from jaxseg.data.sources import Example, check_labels


def class_frequencies(
    examples: Iterable[Example] | Iterable[Integer[np.ndarray, "..."]],
    classes: int,
    *,
    where_present: bool = False,
    ignore_index: int = 255,
) -> Float64[np.ndarray, "classes"]:
    """The share of each class in the pixels that are not ignored.

    Args:
        examples: A source, or other examples with a `"label"`, or labels themselves; they are read
            one after the other, and none is kept.
        classes: Number of classes.
        where_present: Relate each class to the pixels of those images only that it occurs in.
            The shares then do not add up to 1, and an example must be one image, not a batch.
        ignore_index: Label of the pixels that do not count.

    Returns:
        Shares from 0 to 1, 0 for a class that does not occur.

    Raises:
        ValueError: There is no pixel that counts, or a label is neither a class nor ignored.

    Example:
        >>> labels = [np.array([[0, 0], [1, 255]]), np.array([[0, 0], [0, 0]])]
        >>> class_frequencies(labels, 3).round(3).tolist()
        [0.857, 0.143, 0.0]
        >>> class_frequencies(labels, 3, where_present=True).round(3).tolist()
        [0.857, 0.333, 0.0]
    """
    pixels = np.zeros(classes, np.int64)
    total = np.zeros(classes, np.int64)
    for example in examples:
        label = np.asarray(example["label"] if isinstance(example, Mapping) else example)
        check_labels(label, classes, ignore_index)
        counts = np.bincount(label[label != ignore_index], minlength=classes)
        pixels += counts
        total += np.where(counts > 0, counts.sum(), 0) if where_present else counts.sum()
    if not pixels.any():
        raise ValueError(
            f"examples have no pixel of the {classes} classes, expected at least one: pass a split "
            "with labels, or the right ignore_index"
        )
    return pixels / np.maximum(total, 1)


def median_frequency_weights(
    frequencies: Float64[np.ndarray, "classes"],
) -> Float64[np.ndarray, "classes"]:
    """Median frequency balancing: median(f) / f_c.

    Eigen and Fergus (Predicting depth, surface normals and semantic labels with a common
    multi-scale convolutional architecture, ICCV 2015) relate each class to the images that it
    occurs in: `class_frequencies(..., where_present=True)`.

    Args:
        frequencies: Frequency of each class, from 0 to 1.

    Returns:
        One weight for each class. A class that does not occur has weight 0, and no part in the
        median.

    Raises:
        ValueError: A frequency is not in [0, 1], or all are 0.

    Example:
        >>> median_frequency_weights(np.array([0.5, 0.25, 0.125, 0.0])).tolist()
        [0.5, 1.0, 2.0, 0.0]
    """
    frequencies = _check(frequencies)
    present = frequencies > 0
    weights = np.zeros_like(frequencies)
    weights[present] = np.median(frequencies[present]) / frequencies[present]
    return weights


def inverse_log_weights(
    frequencies: Float64[np.ndarray, "classes"], *, offset: float = 1.02
) -> Float64[np.ndarray, "classes"]:
    """The weights of ENet (Paszke et al. 2016, arXiv:1606.02147): 1 / ln(offset + f_c).

    They are bounded, unlike `median_frequency_weights`: between 1.4 and 50.5 at the default offset.

    Args:
        frequencies: Frequency of each class in all pixels, from 0 to 1.
        offset: A number greater than 1. The nearer to 1, the more a rare class weighs.

    Returns:
        One weight for each class.

    Raises:
        ValueError: A frequency is not in [0, 1], all are 0, or `offset` is out of range.

    Example:
        >>> inverse_log_weights(np.array([0.9, 0.1, 0.0])).round(2).tolist()
        [1.53, 8.82, 50.5]
    """
    if not 1 < offset < np.inf:
        raise ValueError(f"offset={offset} is out of range, expected more than 1: pass 1.02")
    return 1 / np.log(offset + _check(frequencies))


def _check(frequencies) -> np.ndarray:
    frequencies = np.asarray(frequencies, np.float64)
    if frequencies.ndim != 1 or not ((frequencies >= 0) & (frequencies <= 1)).all():
        raise ValueError(
            f"frequencies={frequencies} are not shares, expected one number in [0, 1] for each "
            "class: pass those of class_frequencies"
        )
    if not frequencies.any():
        raise ValueError(
            f"frequencies={frequencies} are all 0, expected a class that occurs: pass those of "
            "class_frequencies"
        )
    return frequencies
