"""The effective receptive field: how much of its field an output pixel really uses.

The theoretical field tells which pixels can change an output; the gradient tells by how much they
do. In a deep chain that is a Gaussian about the middle, whose width grows as the root of the depth.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

Positions = Sequence[int] | Sequence[Sequence[int]]
"""One output pixel, an index for each axis, or a sequence of them."""


class EffectiveField(NamedTuple):
    """Effective fields of output pixels, one entry for each of them, in pixels of the input.

    Attributes:
        energy: Mean squared gradient (or another power of it) at each pixel of the image, as shares
            that sum to one; NaN if no gradient arrives at all.
        log10_total: log10 of the sum over the image of what `energy` gives the shares of; minus
            infinity if no gradient arrives.
        positions: Output pixels.
        center: Mean of `energy`, and of the Gaussian fitted to it by its moments.
        width: Standard deviation of `energy` along each axis, and of that Gaussian.
        kurtosis: Fourth central moment over the squared variance along each axis: 3 for a Gaussian,
            1.8 for a uniform field; NaN for a field of one pixel.
    """

    energy: Float[Array, "positions *space"]
    log10_total: Float[Array, "positions"]
    positions: Int[Array, "positions axes"]
    center: Float[Array, "positions axes"]
    width: Float[Array, "positions axes"]
    kurtosis: Float[Array, "positions axes"]

    @property
    def gaussian(self) -> Float[Array, "positions *space"]:
        """The fitted Gaussian at the pixels of the image, as shares that sum to one.

        It is a product of normal densities along the axes.
        """
        gaussian = functools.partial(_gaussian, self.energy.shape[1:])
        return jax.vmap(gaussian)(self.center, self.width)


def effective_receptive_field(
    fn: Callable[..., jax.Array],
    x: Float[Array, "batch *space channels"],
    *,
    key: jax.Array,
    init: Callable[[jax.Array], Any] | None = None,
    positions: Positions | None = None,
    seeds: int = 16,
    power: float = 2,
    batch_size: int | None = 1,
) -> EffectiveField:
    r"""The squared gradient of an output pixel in the image, averaged over images and draws.

    .. math:: E_p(q) = \frac{1}{S B C} \sum_{s, b, c}
        \Big| \frac{\partial}{\partial x_{b q c}} \sum_{b', f} v_{s b' f} \, y_{b' p f} \Big|^2

    with y the output, p one of its pixels, q a pixel of the image, and v standard normal, drawn for
    each of S seeds, B images and every feature f. The mean over v is the sum over all features of
    their squared gradients: no feature is singled out, and none cancels another.

    With random kernels of mean zero, squared gradients go through a chain as a random walk does.
    Each layer adds the variance of its taps, 2/3 d² along an axis for three taps at dilation d,
    and a residual block (x + f(x)) / √2 adds half of its branch's. In a chain of given kernels
    without negative taps the gradient itself does so: `power=1`. Either way n equal layers have a
    width that grows as the root of n, and a shape that tends to a Gaussian, inside of a theoretical
    field that grows as n.

    Args:
        fn: `fn(x)`, from an image batch to an array (batch, *size, features) with as many spatial
            axes. With `init`, `fn(params, x)`.
        x: Image batch (batch, *space, channels) at which the gradient is taken, with one to three
            spatial axes; random normal images for a net that is not trained.
        key: PRNG key that draws the projections v and the nets.
        init: `init(key) -> params`, any pytree, which draws a net of its own for each seed. For a
            module that `nn.functional` split: `fn=lambda state, x: apply(*state, x)[0]`.
        positions: Output pixels, one or a sequence of them, each an index for every axis; None for
            the middle, `size // 2`.
        seeds: Number of draws to average over.
        power: Power of the gradient's magnitude; 2 for its energy.
        batch_size: Most gradients at a time, one for each seed and position, each of the whole
            image batch; None for all.

    Returns:
        An `EffectiveField`, float32, or float64 if the images are. If the net couples images, as
        batch norm over the statistics of its batch does, what flows from one to another counts as
        well. Each call traces `fn` anew: compile what is called often with `jit`.

    Raises:
        ValueError: `x` does not have one to three spatial axes, is empty, or is not real floating;
            the output is not real floating, has another rank or batch, or no pixels; `positions`
            are not integers or not in the output; `seeds` or `batch_size` is below 1; `power` is
            not positive.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxseg import ops
        >>> from jaxseg.analysis import effective_receptive_field
        >>> def net(x):  # six means of three pixels: variance 6 * 2/3, kurtosis 3 - 1.5 / 6
        ...     for _ in range(6):
        ...         x = ops.conv(x, jnp.full((3, 1, 1), 1 / 3))
        ...     return x
        >>> x = jnp.zeros((1, 31, 1))
        >>> field = effective_receptive_field(net, x, key=jax.random.key(0), seeds=1, power=1)
        >>> [round(float(n.item()), 3) for n in (field.center, field.width**2, field.kurtosis)]
        [15.0, 4.0, 2.75]

    Source:
        Luo et al. 2016, "Understanding the Effective Receptive Field in Deep Convolutional Neural
        Networks", arXiv:1701.04128, section 2. The projection v and the squares are ours.
    """
    _check_options(seeds, power, batch_size)
    _check_images(x)
    net = fn if init is None else lambda x: fn(init(key), x)
    pixels = _pixels(positions, _size(jax.eval_shape(net, x), x))
    at_once = seeds * len(pixels) if batch_size is None else batch_size

    def of_seed(key: jax.Array) -> _Sum:
        net_key, key = jax.random.split(key)
        net = fn if init is None else functools.partial(fn, init(net_key))
        output, pull = jax.vjp(net, x)

        def of_position(given: tuple[jax.Array, jax.Array]) -> _Sum:
            pixel, key = given
            projection = jax.random.normal(key, (len(x), output.shape[-1]), output.dtype)
            one_hot = jnp.zeros_like(output).at[(slice(None), *pixel)].set(projection)
            (gradient,) = pull(one_hot)
            return _powers(gradient, power)

        return _map(of_position, (jnp.array(pixels), jax.random.split(key, len(pixels))), at_once)

    keys = jax.random.split(key, seeds)
    total = _sum_over_seeds(of_seed, keys, min(seeds, max(1, at_once // len(pixels))))
    return _describe(total, pixels, seeds)


class _Sum(NamedTuple):
    """The array map * exp(log_scale), as the square of a gradient of 1e-20 is not a float32.

    Both have the same rank.
    """

    map: Float[Array, "..."]
    log_scale: Float[Array, "..."]


def _powers(gradient: Float[Array, "batch *space channels"], power: float) -> _Sum:
    """A power of the gradient's magnitude, averaged over the images and their channels."""
    dtype = jnp.float64 if gradient.dtype == jnp.float64 else jnp.float32
    magnitude = jnp.abs(gradient.astype(dtype))
    scale = jnp.maximum(magnitude.max(), jnp.finfo(magnitude.dtype).tiny)
    map_ = jnp.mean((magnitude / scale) ** power, axis=(0, -1))
    return _Sum(map_, jnp.full((1,) * map_.ndim, power * jnp.log(scale)))


def _sum_first_axis(sums: _Sum) -> _Sum:
    """The sum over the first axis."""
    largest = sums.log_scale.max(axis=0, keepdims=True)
    return _Sum(jnp.sum(sums.map * jnp.exp(sums.log_scale - largest), axis=0), largest[0])


def _sum_over_seeds(of_seed: Callable[[jax.Array], _Sum], keys: jax.Array, at_once: int) -> _Sum:
    """The sum of `of_seed(key)`, some keys at a time; only the sum is held."""

    def add(total: _Sum, keys: jax.Array) -> tuple[_Sum, None]:
        terms = _map(of_seed, keys, at_once)
        terms = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), total, terms)
        return _sum_first_axis(terms), None

    shape = jax.eval_shape(of_seed, keys[0])
    total = _Sum(*(jnp.zeros(a.shape, a.dtype) for a in shape))
    total = total._replace(log_scale=total.log_scale - jnp.inf)
    even = len(keys) // at_once * at_once
    for part, size in ((keys[:even], at_once), (keys[even:], len(keys) - even)):
        if size:
            total, _ = lax.scan(add, total, part.reshape(-1, size, *part.shape[1:]))
    return total


def _map(one: Callable[[Any], _Sum], over: Any, at_once: int) -> _Sum:
    """Call `one` on every entry, `at_once` of them together, or by themselves if that is 1."""
    entries = len(jax.tree.leaves(over)[0])
    if min(at_once, entries) == 1:
        return lax.map(one, over)
    return jax.vmap(one)(over) if at_once >= entries else lax.map(one, over, batch_size=at_once)


def _describe(total: _Sum, pixels: np.ndarray, seeds: int) -> EffectiveField:
    """The shares, their sum, and their moments along each axis."""
    sums = total.map.sum(axis=range(1, total.map.ndim), keepdims=True)
    energy = total.map / sums
    log_total = (total.log_scale + jnp.log(sums / seeds)).reshape(-1)
    return EffectiveField(
        energy, log_total / math.log(10), jnp.array(pixels), *jax.vmap(_moments)(energy)
    )


def _moments(energy: Float[Array, "*space"]) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Center, standard deviation and kurtosis along each axis."""
    by_axis = []
    for axis in range(energy.ndim):
        profile = energy.sum(axis=[other for other in range(energy.ndim) if other != axis])
        pixel = jnp.arange(len(profile), dtype=profile.dtype)
        center = jnp.sum(profile * pixel)
        second, fourth = (jnp.sum(profile * (pixel - center) ** n) for n in (2, 4))
        by_axis.append((center, jnp.sqrt(second), fourth / second**2))
    center, width, kurtosis = (jnp.stack(values) for values in zip(*by_axis, strict=True))
    return center, width, kurtosis


def _gaussian(space: tuple[int, ...], center: jax.Array, width: jax.Array) -> jax.Array:
    """The shares of a Gaussian at each pixel; without width, it lies in a single pixel."""
    profiles = []
    for axis, pixels in enumerate(space):
        distance = jnp.arange(pixels, dtype=center.dtype) - center[axis]
        profile = jnp.exp(-0.5 * (distance / jnp.maximum(width[axis], 1e-3)) ** 2)
        profiles.append(profile / profile.sum())
    return functools.reduce(jnp.multiply.outer, profiles)


# --- what is refused -----------------------------------------------------------------------------


def _check_options(seeds: int, power: float, batch_size: int | None) -> None:
    if seeds < 1:
        raise ValueError(f"seeds={seeds} must be at least 1: it is the number of draws to average.")
    if not power > 0:
        raise ValueError(f"power={power} must be positive: 2 for energy, 1 for magnitude.")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1, or None for all at once.")


def _check_images(x: Any) -> None:
    shape, dtype = jnp.shape(x), jax.dtypes.result_type(x)
    if not 3 <= len(shape) <= 5 or 0 in shape:
        raise ValueError(
            f"x has shape {shape}, but must be images (batch, *space, channels) with one to three "
            "spatial axes, none of them empty: give a single image as x[None]."
        )
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(f"x is {dtype}, which has no real gradient: give x.astype(jnp.float32).")


def _size(output: Any, x: jax.Array) -> tuple[int, ...]:
    """The spatial size of a net's output, which must be a batch of feature maps."""
    shape, dtype = getattr(output, "shape", None), getattr(output, "dtype", None)
    if shape is None or dtype is None:
        raise ValueError(
            f"fn must return an array, (batch, *size, features), but returns a "
            f"{type(output).__name__}: return the features alone."
        )
    if len(shape) != jnp.ndim(x) or shape[0] != len(x) or 0 in shape:
        raise ValueError(
            f"fn must return (batch, *size, features) for images of shape {jnp.shape(x)}, with as "
            f"many spatial axes and none empty, but returns {shape}: return the feature map before "
            "it is pooled."
        )
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(f"fn returns {dtype}, which has no gradient: return scores, not labels.")
    return shape[1:-1]


def _pixels(positions: Positions | None, size: tuple[int, ...]) -> np.ndarray:
    """The (positions, axes) indices of pixels of an output."""
    given = [n // 2 for n in size] if positions is None else positions
    pixels = np.asarray(given)
    pixels = pixels[None] if pixels.shape == (len(size),) else pixels
    if pixels.ndim != 2 or pixels.shape[1] != len(size) or not len(pixels):
        raise ValueError(
            f"positions={positions} must be one pixel of {len(size)} indices, or a sequence of "
            f"such, for an output of {size} pixels: {tuple(n // 2 for n in size)} is its middle."
        )
    if not np.issubdtype(pixels.dtype, np.integer) or (pixels < 0).any() or (pixels >= size).any():
        raise ValueError(
            f"positions={positions} must be integers from 0 and below {size}, the output's size."
        )
    return pixels.astype(np.int32)
