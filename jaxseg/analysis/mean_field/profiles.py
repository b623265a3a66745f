"""What mean-field theory says of the gradients in a stack of blocks.

Each function gives log10(||dE/dx_l|| / ||dE/dx_L||) for the inputs x_1 ... x_L of a stack of L
blocks of two convolutions, at initialisation, in the limit of many channels. NumPy in float64;
products of many factors are kept as sums of logs.
"""

import numpy as np

from jaxseg.analysis.mean_field.normalised import BATCH_NORM_GAIN

LOG10 = np.log(10.0)


def tap_average(side: int, dilation: int = 1) -> np.ndarray:
    """(side, side) matrix: the share of a row's three taps that fall on each pixel of an axis.

    Zero padding takes the taps beyond the border away: their share of the gradient is lost.
    """
    shift = np.eye(side, k=dilation) + np.eye(side, k=-dilation)
    return (np.eye(side) + shift) / 3.0


def he_relu(
    blocks: int, size: tuple[int, int], *, branch_scale: float | None = None, dilation: int = 1
) -> np.ndarray:
    """He-initialised ReLU nets of 3x3 convolutions, plain or with a scaled residual branch.

    One convolution keeps the squared gradient but for what the border takes, q -> A q. A plain
    block is q -> A A q; a residual one is q -> q + branch_scale**2 A A q, which without the border
    is the factor 1 + branch_scale**2: 2**L in all for branch_scale = 1, and towards e for
    1 / sqrt(L). (The recursion of He et al. 2016, eq. 5, in the mean.)

    Args:
        blocks: L.
        size: height and width of the feature maps, in pixels.
        branch_scale: of the residual branch; None for a plain net.
        dilation: of the convolutions.

    Returns:
        (blocks,), the last entry 0 by definition.
    """
    rows, columns = (tap_average(n, dilation) for n in size)
    # Uniform behind the last block; what the border takes inside it is in x_L's gradient already.
    map_, log = np.ones(size), np.zeros(blocks + 1)
    for block in range(blocks - 1, -1, -1):
        branch = rows @ rows @ map_ @ columns @ columns
        map_ = branch if branch_scale is None else map_ + branch_scale**2 * branch
        total = map_.mean()
        log[block] = log[block + 1] + 0.5 * np.log(total)
        map_ = map_ / total
    return (log[:blocks] - log[blocks - 1]) / LOG10


def batch_norm_plain(blocks: int) -> np.ndarray:
    """ReLU and batch norm without shortcuts: the gradient explodes towards the input.

    The squared norm grows by pi / (pi - 1) a layer (Yang et al. 2019, theorem 3.9), its root by
    1.2112, whatever the kernels' variance.
    """
    return np.arange(blocks - 1, -1, -1) * np.log10(BATCH_NORM_GAIN)


def batch_norm_residual(blocks: int) -> np.ndarray:
    """Pre-activation residual blocks with batch norm: the gradient stays tame.

    At He initialisation a branch adds (pi - 1) / pi to a variance that starts at 1, and its
    gradient is divided by that variance (De & Smith 2020): q_l = q_{l+1} (1 + gain / Var_l).
    """
    variance = 1 + np.arange(blocks) / BATCH_NORM_GAIN
    factors = np.log10(1 + BATCH_NORM_GAIN / variance)
    return 0.5 * np.array([factors[block : blocks - 1].sum() for block in range(blocks)])


def tanh_isometric(
    blocks: int, *, weight_variance: float, input_variance: float = 1.0
) -> np.ndarray:
    """Plain tanh nets with (delta-)orthogonal kernels and no bias (Xiao et al. 2018).

    Variance q -> s E[tanh(sqrt(q) z)^2]; squared gradient times s E[tanh'(sqrt(q) z)^2], with s
    the weight variance and z standard normal.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(201)
    weights = weights / weights.sum()
    variance, gains = input_variance, []
    for _ in range(2 * blocks):
        field = np.tanh(np.sqrt(variance) * nodes)
        gains.append(np.log10(weight_variance * np.sum(weights * (1 - field**2) ** 2)))
        variance = weight_variance * np.sum(weights * field**2)
    by_block = np.array(gains).reshape(blocks, 2).sum(axis=1)
    return 0.5 * np.array([by_block[block : blocks - 1].sum() for block in range(blocks)])
