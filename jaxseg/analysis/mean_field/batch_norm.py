"""Random nets with batch norm: how gradients grow, and how much a branch weighs."""

import numpy as np

BATCH_NORM_GAIN = np.pi / (np.pi - 1)
"""Growth of the squared gradient per layer of ReLU with batch norm, 1.46694 (Yang et al. 2019,
arXiv:1902.08129, theorem 3.9)."""


def batch_norm_identity_gain(batch: int) -> float:
    """Growth of the squared gradient per layer of a linear net with batch norm: (B - 2) / (B - 3).

    Normalization alone makes gradients explode: by 6 / 5 per layer for batches of 8.

    Args:
        batch: B, the number of examples that the statistics are taken over, at least 4.

    Raises:
        ValueError: `batch` is below 4, where the growth is infinite.

    Example:
        >>> from jaxseg.analysis import mean_field
        >>> mean_field.batch_norm_identity_gain(8)
        1.2

    Source:
        Yang et al. 2019, "A Mean Field Theory of Batch Normalization", arXiv:1902.08129.
    """
    if batch < 4:
        raise ValueError(f"batch={batch}: expected 4 examples or more.")
    return (batch - 2) / (batch - 3)


def batch_norm_moment(blocks: int) -> np.ndarray:
    """The second moment behind l residual blocks with batch norm grows linearly: l + 1.

    Each branch is normalized first, so that at He initialization it adds 1, whatever its input.
    Without the norm the moment would be 2ˡ. This is the mean square over the random weights. The
    variance over a batch, which a norm divides by, grows by 1 / `BATCH_NORM_GAIN` only, as the mean
    of a rectified feature is the same for all examples.

    Args:
        blocks: L, the number of blocks.

    Returns:
        (blocks + 1,) moments, of the input and behind every block.

    Source:
        De & Smith 2020, "Batch Normalization Biases Residual Blocks Towards the Identity Function
        in Deep Networks", arXiv:2002.10444.
    """
    return np.arange(blocks + 1) + 1.0


def batch_norm_branch_fraction(blocks: int) -> np.ndarray:
    """The share of the second moment that the l-th branch has added: 1 / (l + 1).

    The deeper a block lies, the closer it is to the identity.

    Args:
        blocks: L, the number of blocks.

    Returns:
        (blocks,) fractions, from the first block on.

    Source:
        De & Smith 2020, "Batch Normalization Biases Residual Blocks Towards the Identity Function
        in Deep Networks", arXiv:2002.10444.
    """
    return 1 / batch_norm_moment(blocks)[1:]
