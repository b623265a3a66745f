"""The effective receptive field: how much of its field an output pixel really looks at.

The theoretical field says which pixels can move an output; the gradient says by how much they do.
In a deep chain that is a Gaussian about the middle, whose width grows as the root of the depth.
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
"""One output pixel, an index an axis, or a sequence of them."""


class EffectiveField(NamedTuple):
    """What `effective_receptive_field` found, an entry a position; all in pixels of the input.

    Attributes:
        energy: the mean squared gradient (see `power`) as shares that sum to one over the image;
            NaN where no gradient arrives at all.
        log10_total: log10 of the sum over the image of what `energy` is a share of; -inf where no
            gradient arrives.
        positions: the output pixels asked about.
        centre: mean of `energy`, and of the Gaussian fitted to it by its moments.
        width: standard deviation of `energy` along each axis, and of that Gaussian.
        kurtosis: fourth central moment over the variance's square along each axis: 3 for a
            Gaussian, 1.8 for a uniform field; NaN for a field of one pixel.
    """

    energy: Float[Array, "positions *space"]
    log10_total: Float[Array, "positions"]
    positions: Int[Array, "positions axes"]
    centre: Float[Array, "positions axes"]
    width: Float[Array, "positions axes"]
    kurtosis: Float[Array, "positions axes"]

    @property
    def gaussian(self) -> Float[Array, "positions *space"]:
        """The fitted Gaussian on the pixels of the image, shares that sum to one over them.

        Independent along the axes: a product of normal densities.
        """
        bell = functools.partial(_gaussian, self.energy.shape[1:])
        return jax.vmap(bell)(self.centre, self.width)


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
    r"""Gradient of an output pixel in the image, its square averaged over images and draws.

    .. math:: E_p(q) = \frac{1}{S B C} \sum_{s, b, c}
        \Big| \frac{\partial}{\partial x_{b q c}} \sum_{b', f} v_{s b' f} \, y_{b' p f} \Big|^2

    with y the output, p its pixel, q a pixel of the image, and v standard normal, drawn for each
    of S seeds, B images and every feature f. The mean over v is the sum over all features of their
    squared gradients, so none is singled out and none cancels another.

    With random kernels of mean zero the squared gradients of a chain go through a layer as a random
    walk does: each adds to the variance that of its taps, 2/3 d**2 an axis for three taps at
    dilation d, and a residual block (x + f(x)) / sqrt(2) half of its branch's. In a chain of given
    kernels without negative taps it is the gradient itself that does so: `power=1`. Either way n
    equal layers give a width that grows as the root of n, and towards a Gaussian, inside a
    theoretical field that grows as n.

    Args:
        fn: `fn(x)`, from an image batch to `(batch, *size, features)`, one to three spatial axes
            both. With `init`, `fn(params, x)`.
        x: images to take the gradient at; random normal ones for a net that is not trained.
        key: draws the projections v, and the nets.
        init: `init(key) -> params`, any pytree: a net of its own for every seed. For a module that
            `nn.functional` split: `fn=lambda state, x: apply(*state, x)[0]`.
        positions: output pixels, one or a sequence of them, each an index an axis; None: the
            middle, `size // 2`.
        seeds: how many draws to average over.
        power: of the magnitude of the gradient; 2 for its energy.
        batch_size: at most so many gradients, one a seed and position, at once, each of the whole
            batch of images; None: all.

    Returns:
        an `EffectiveField`, float32, or float64 where the images are. Where the net couples images,
        as batch norm over its batch's own statistics does, what flows from one to another is
        counted as well. Each call traces `fn` anew: `jit` what is called often.

    Raises:
        ValueError: `x` without one to three spatial axes, empty, or not real floating; an output
            that is not real floating, of another rank or batch, or without pixels; positions that
            are not integers or not in the output; `seeds` or `batch_size` < 1; `power` <= 0.

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
    total = _sum_over(of_seed, keys, min(seeds, max(1, at_once // len(pixels))))
    return _described(total, pixels, seeds)


class _Sum(NamedTuple):
    """map * exp(log_scale), of equal rank: the square of a gradient of 1e-20 is not a float32."""

    map: Float[Array, "..."]
    log_scale: Float[Array, "..."]


def _powers(gradient: Float[Array, "batch *space channels"], power: float) -> _Sum:
    """The gradient's magnitude to the power, averaged over the images and their channels."""
    wide = jnp.float64 if gradient.dtype == jnp.float64 else jnp.float32
    magnitude = jnp.abs(gradient.astype(wide))
    scale = jnp.maximum(magnitude.max(), jnp.finfo(magnitude.dtype).tiny)
    map_ = jnp.mean((magnitude / scale) ** power, axis=(0, -1))
    return _Sum(map_, jnp.full((1,) * map_.ndim, power * jnp.log(scale)))


def _merged(sums: _Sum) -> _Sum:
    """Sum over the first axis."""
    top = sums.log_scale.max(axis=0, keepdims=True)
    return _Sum(jnp.sum(sums.map * jnp.exp(sums.log_scale - top), axis=0), top[0])


def _sum_over(of_seed: Callable[[jax.Array], _Sum], keys: jax.Array, together: int) -> _Sum:
    """Sum of `of_seed(key)`, so many keys at a time; only the sum is held."""

    def add(total: _Sum, keys: jax.Array) -> tuple[_Sum, None]:
        found = _map(of_seed, keys, together)
        return _merged(jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), total, found)), None

    shape = jax.eval_shape(of_seed, keys[0])
    total = _Sum(*(jnp.zeros(a.shape, a.dtype) for a in shape))
    total = total._replace(log_scale=total.log_scale - jnp.inf)
    whole = len(keys) // together * together
    for part, size in ((keys[:whole], together), (keys[whole:], len(keys) - whole)):
        if size:
            total, _ = lax.scan(add, total, part.reshape(-1, size, *part.shape[1:]))
    return total


def _map(one: Callable[[Any], _Sum], over: Any, at_once: int) -> _Sum:
    """`one` of every entry; by itself, not as a batch of one, where only one is at once."""
    entries = len(jax.tree.leaves(over)[0])
    if min(at_once, entries) == 1:
        return lax.map(one, over)
    return jax.vmap(one)(over) if at_once >= entries else lax.map(one, over, batch_size=at_once)


def _described(total: _Sum, pixels: np.ndarray, seeds: int) -> EffectiveField:
    """Shares, their sum, and their moments along each axis."""
    sums = total.map.sum(axis=range(1, total.map.ndim), keepdims=True)
    energy = total.map / sums
    log_total = (total.log_scale + jnp.log(sums / seeds)).reshape(-1)
    return EffectiveField(
        energy, log_total / math.log(10), jnp.array(pixels), *jax.vmap(_moments)(energy)
    )


def _moments(energy: Float[Array, "*space"]) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Centre, standard deviation and kurtosis along each axis."""
    found = []
    for axis in range(energy.ndim):
        along = energy.sum(axis=[other for other in range(energy.ndim) if other != axis])
        places = jnp.arange(len(along), dtype=along.dtype)
        centre = jnp.sum(along * places)
        second, fourth = (jnp.sum(along * (places - centre) ** n) for n in (2, 4))
        found.append((centre, jnp.sqrt(second), fourth / second**2))
    centre, width, kurtosis = (jnp.stack(a) for a in zip(*found, strict=True))
    return centre, width, kurtosis


def _gaussian(space: tuple[int, ...], centre: jax.Array, width: jax.Array) -> jax.Array:
    """Shares of a Gaussian on the pixels; one without width is a single pixel's."""
    bells = []
    for axis, pixels in enumerate(space):
        away = jnp.arange(pixels, dtype=centre.dtype) - centre[axis]
        bell = jnp.exp(-0.5 * (away / jnp.maximum(width[axis], 1e-3)) ** 2)
        bells.append(bell / bell.sum())
    return functools.reduce(jnp.multiply.outer, bells)


# --- what is refused ---------------------------------------------------------------------------


def _check_options(seeds: int, power: float, batch_size: int | None) -> None:
    if seeds < 1:
        raise ValueError(f"seeds={seeds} must be at least 1: it is how many draws are averaged.")
    if not power > 0:
        raise ValueError(f"power={power} must be positive: 2 for energy, 1 for magnitude.")
    if batch_size is not None and batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1, or None for all at once.")


def _check_images(x: Any) -> None:
    shape, dtype = jnp.shape(x), jax.dtypes.result_type(x)
    if not 3 <= len(shape) <= 5 or 0 in shape:
        raise ValueError(
            f"x has shape {shape}, but must be images (batch, *space, channels) with one to three "
            "spatial axes, none of them empty: of one image give x[None]."
        )
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(f"x is {dtype}, which has no real gradient: give x.astype(jnp.float32).")


def _size(output: Any, x: jax.Array) -> tuple[int, ...]:
    """The spatial axes of the net's output, if it is a batch of feature maps."""
    shape, dtype = getattr(output, "shape", None), getattr(output, "dtype", None)
    if shape is None or dtype is None:
        raise ValueError(
            f"fn must return an array, (batch, *size, features), but returns a "
            f"{type(output).__name__}: return the features alone."
        )
    if len(shape) != jnp.ndim(x) or shape[0] != len(x) or 0 in shape:
        raise ValueError(
            f"fn must return (batch, *size, features) for images of shape {jnp.shape(x)}, with as "
            f"many spatial axes and none empty, but returns {shape}: keep the feature map, before "
            "any pooling over all of it."
        )
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(f"fn returns {dtype}, which has no gradient: return scores, not labels.")
    return shape[1:-1]


def _pixels(positions: Positions | None, size: tuple[int, ...]) -> np.ndarray:
    """(positions, axes) indices into an output of this size."""
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
