"""Gradients through stacks of blocks at initialization, from mean-field theory.

Each profile is log10(||dE/dx_l|| / ||dE/dx_L||) for the inputs x_1 ... x_L of a stack of L blocks
of two convolutions, in the limit of many channels. NumPy in float64; products of many factors are
kept as sums of logarithms.
"""

import numpy as np

from jaxseg.analysis.mean_field.batch_norm import BATCH_NORM_GAIN


def tap_average(side: int, dilation: int = 1) -> np.ndarray:
    """The share of three taps along an axis that falls on each pixel, by zero padding.

    The taps beyond the border are lost, and with them their share of the gradient.

    Args:
        side: Length of the axis, in pixels.
        dilation: Distance between taps, in pixels.

    Returns:
        (side, side) matrix: 1/3 where a tap connects two pixels, else 0.
    """
    neighbors = np.eye(side, k=dilation) + np.eye(side, k=-dilation)
    return (np.eye(side) + neighbors) / 3.0


def he_relu_gradient_norms(
    blocks: int, size: tuple[int, int], *, branch_scale: float | None = None, dilation: int = 1
) -> np.ndarray:
    """Gradient norms in He-initialized ReLU nets of 3x3 convolutions, plain or residual.

    One convolution keeps the squared gradient except for what the border takes, q -> A q. A plain
    block is q -> A A q. A residual one is q -> q + branch_scale² A A q, which without the border
    is the factor 1 + branch_scale²: in all 2^L for branch_scale = 1, and toward e for
    1 / √L.

    Args:
        blocks: L, the number of blocks.
        size: Height and width of the feature maps, in pixels.
        branch_scale: Scale of the residual branch; None for a plain net.
        dilation: Dilation of the convolutions.

    Returns:
        (blocks,) log10 of the norms relative to the last one, which is 0 by definition.

    Example:
        >>> from jaxseg.analysis import mean_field
        >>> norms = mean_field.he_relu_gradient_norms(11, (300, 300), branch_scale=10**-0.5)
        >>> round(10 ** (2 * norms[0].item()), 2)  # 1.1**10 = 2.59 but for the border
        2.58

    Source:
        He et al. 2016, "Identity Mappings in Deep Residual Networks", arXiv:1603.05027, equation 5,
        in the mean over the weights.
    """
    rows, columns = (tap_average(n, dilation) for n in size)
    # The squared gradient is uniform behind the last block. What the border takes inside of that
    # block is in the gradient at its input, x_L, already.
    squares, log = np.ones(size), np.zeros(blocks + 1)
    for block in range(blocks - 1, -1, -1):
        branch = rows @ rows @ squares @ columns @ columns
        squares = branch if branch_scale is None else squares + branch_scale**2 * branch
        mean = squares.mean()
        log[block] = log[block + 1] + 0.5 * np.log(mean)
        squares = squares / mean
    return (log[:blocks] - log[blocks - 1]) / np.log(10.0)


def batch_norm_plain_gradient_norms(blocks: int) -> np.ndarray:
    """Gradient norms in ReLU nets with batch norm and without shortcuts: they explode.

    Toward the input the squared norm grows by π / (π - 1) a layer, its root by 1.2112, whatever
    the variance of the kernels.

    Args:
        blocks: L, the number of blocks.

    Returns:
        (blocks,) log10 of the norms relative to the last one, which is 0 by definition.

    Source:
        Yang et al. 2019, "A Mean Field Theory of Batch Normalization", arXiv:1902.08129, theorem
        3.9.
    """
    return np.arange(blocks - 1, -1, -1) * np.log10(BATCH_NORM_GAIN)


def batch_norm_residual_gradient_norms(blocks: int) -> np.ndarray:
    """Gradient norms in pre-activation residual nets with batch norm: they grow like a power of L.

    At He initialization a branch adds (π - 1) / π to a variance that starts at 1, and its
    gradient is divided by that variance: q_l = q_{l+1} (1 + gain / Var_l).

    Args:
        blocks: L, the number of blocks.

    Returns:
        (blocks,) log10 of the norms relative to the last one, which is 0 by definition.

    Source:
        After De & Smith 2020, arXiv:2002.10444.
    """
    variance = 1 + np.arange(blocks) / BATCH_NORM_GAIN
    factors = np.log10(1 + BATCH_NORM_GAIN / variance)
    return 0.5 * np.array([factors[block : blocks - 1].sum() for block in range(blocks)])


def tanh_isometric_gradient_norms(
    blocks: int, *, weight_variance: float, input_variance: float = 1.0
) -> np.ndarray:
    """Gradient norms in plain tanh nets with (delta-)orthogonal kernels and no bias.

    With s the weight variance and z standard normal, a layer maps the variance q to
    s E[tanh(√q z)²], and a squared gradient is multiplied by s E[tanh'(√q z)²].

    Args:
        blocks: L, the number of blocks.
        weight_variance: s.
        input_variance: Variance q of the input.

    Returns:
        (blocks,) log10 of the norms relative to the last one, which is 0 by definition.

    Source:
        Xiao et al. 2018, "Dynamical Isometry and a Mean Field Theory of CNNs", arXiv:1806.05393.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(201)
    weights = weights / weights.sum()
    variance, gains = input_variance, []
    for _ in range(2 * blocks):
        features = np.tanh(np.sqrt(variance) * nodes)
        gains.append(np.log10(weight_variance * np.sum(weights * (1 - features**2) ** 2)))
        variance = weight_variance * np.sum(weights * features**2)
    by_block = np.array(gains).reshape(blocks, 2).sum(axis=1)
    return 0.5 * np.array([by_block[block : blocks - 1].sum() for block in range(blocks)])
