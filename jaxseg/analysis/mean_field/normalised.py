"""Random nets with batch norm: how gradients grow, and what a branch weighs."""

import numpy as np

BATCH_NORM_GAIN = np.pi / (np.pi - 1)
"""Growth of the squared gradient a layer of ReLU with batch norm: 1.46694 (Yang et al. 2019, arXiv
1902.08129)."""


def batch_norm_identity_gain(batch: int) -> float:
    """Growth of the squared gradient a layer of a linear net with batch norm: (B - 2) / (B - 3).

    Normalisation alone makes gradients explode: 6 / 5 a layer for batches of 8 (Yang et al. 2019).

    Args:
        batch: B > 3 examples that a statistic is taken over.

    Raises:
        ValueError: for fewer, where it is infinite.
    """
    if batch < 4:
        raise ValueError(f"batch={batch}: expected 4 examples or more.")
    return (batch - 2) / (batch - 3)


def batch_norm_moment(blocks: int) -> np.ndarray:
    """(blocks + 1,) second moment l + 1 behind l residual blocks with batch norm: linear growth.

    Each branch is normalised first, so that at He initialisation it adds 1, whatever it is given;
    without the norm the moment would be 2**l (De & Smith 2020, arXiv 2002.10444). This is the mean
    of squares over the random weights. The variance over a batch, which a norm divides by, grows by
    1 / `BATCH_NORM_GAIN` only, for a rectified feature's mean is the same for all examples.

    Args:
        blocks: L.
    """
    return np.arange(blocks + 1) + 1.0


def batch_norm_branch_fraction(blocks: int) -> np.ndarray:
    """(blocks,) 1 / (l + 1), the l-th branch's share of the second moment, l = 1 ... L.

    The deeper a block, the nearer it is to the identity (De & Smith 2020).

    Args:
        blocks: L.
    """
    return 1 / batch_norm_moment(blocks)[1:]
