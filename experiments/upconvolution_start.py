"""Checkerboards of layers and nets as they are drawn, against theory; nothing is trained.

With independent weights of mean 0, each phase of an upconvolution of stride s is a draw of its own.
On features of one grey value the mean power of the phases' means is then 1 at frequency 0 to
s**2 - 1 at the stride's frequencies: three quarters at s = 2, whatever the window. And on white
noise a pixel's power is proportional to the taps that meet in it, as is that of a gradient behind
a strided convolution.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from upconvolution_config import RANDOM, UPS, WINDOWS, Config, Decoded

from jaxseg import nn, ops
from jaxseg.analysis import phase_power
from jaxseg.training import member_mesh, over_members

START = {
    "quantity": str,
    "case": str,
    "theory": float,
    "measured": float,
    "error": float,
    "draws": int,
}
SHARE = "share of the power at the stride's frequencies, of a flat image"
POWER = "power where most taps meet over power where fewest do, of white noise"
GRADIENT = "the same of the gradient in the image, behind two strided convolutions"
SIDE, EDGE = 24, 8
"""Pixels a side of the images, and of the border that is left out."""


def start_rows(config: Config) -> list[dict]:
    """A row a quantity and case, with the columns of `START`; an error is a standard error."""
    rows = []
    for arm in config.arms:
        uneven, total, power = _over_draws(_layer(UPS[arm], config.features), config.draws)
        theory = 0.75 if arm in RANDOM else 0.0
        rows.append(_row(SHARE, arm, theory, *_ratio(uneven, total), config))
        if arm in RANDOM:
            rows.append(_row(POWER, arm, *_contrast(taps(WINDOWS.get(arm, 4)), power), config))
    for window in config.windows:
        power = _over_draws(_gradient_power(window, config.features), config.draws)
        rows.append(_row(GRADIENT, f"k{window}s2", *_contrast(paths(window), power), config))
    return sorted(rows, key=lambda row: (SHARE, POWER, GRADIENT).index(row["quantity"]))


def _row(quantity: str, case: str, theory, measured, error, config: Config) -> dict:
    numbers = {"theory": theory, "measured": measured, "error": error}
    return {
        "quantity": quantity,
        "case": case,
        **{k: float(v) for k, v in numbers.items()},
        "draws": config.draws,
    }


def _over_draws(one: Callable, draws: int):
    """`one(key)` of so many keys, an even number, shared out among the devices."""
    mesh = member_mesh(draws)
    draw = over_members(lambda seed: one(jax.random.key(seed)), mesh, in_axes=(0,), few_calls=True)
    return jax.device_get(draw(jnp.arange(draws, dtype=jnp.uint32)))


def _ratio(above: np.ndarray, below: np.ndarray) -> tuple[float, float]:
    """The ratio of two means over draws, and its standard error to first order."""
    ratio = above.mean() / below.mean()
    scatter = (above - ratio * below).std(ddof=1) / below.mean()
    return float(ratio), float(scatter / len(above) ** 0.5)


def _contrast(theory: np.ndarray, power: np.ndarray) -> tuple[float, float, float]:
    """Power at the places where theory has most over that where it has least: both, and the error.

    Even theory has no such places: those in even rows are compared with those in odd ones.
    """
    high, low = theory == theory.max(), theory == theory.min()
    if high.all():
        high = np.indices(theory.shape)[0] % 2 == 0
        low = ~high
    ratio = theory[high].mean() / theory[low].mean()
    return float(ratio), *_ratio(power[:, high].mean(axis=1), power[:, low].mean(axis=1))


def taps(window: int) -> np.ndarray:
    """(2, 2) taps of an upconvolution of stride 2 that meet in a pixel, by its place in a cell."""
    ones = jnp.ones((window, window, 1, 1))
    return _cell(ops.upconv(jnp.ones((1, SIDE, SIDE, 1)), ones, stride=2), EDGE, 2)


def paths(window: int) -> np.ndarray:
    """(4, 4) paths from a pixel, by its place in a period, to the lowest level."""
    ones = jnp.ones((window, window, 1, 1))

    def count(x):
        x = ops.conv(x, jnp.ones((3, 3, 1, 1)))
        return jnp.sum(ops.conv(ops.conv(x, ones, stride=2), ones, stride=2))

    return _cell(jax.jit(jax.grad(count))(jnp.ones((1, SIDE, SIDE, 1))), EDGE, 4)


def _cell(images: jax.Array, start: int, size: int) -> np.ndarray:
    return np.asarray(images)[0, start : start + size, start : start + size, 0]


def _inner(x: jax.Array, border: int) -> jax.Array:
    return x[:, border:-border, border:-border]


def _layer(make: Callable, features: int) -> Callable:
    """Of one draw: power of a flat image but its mean, all its power, and that of white noise."""
    init, apply = nn.functional(lambda rngs: make(features, rngs))

    def one(key):
        key, grey, noise = jax.random.split(key, 3)
        params, stats = init(key)
        flat = jax.random.normal(grey, (1, 1, 1, features))
        flat = jnp.broadcast_to(flat, (1, SIDE, SIDE, features))
        white = jax.random.normal(noise, flat.shape)
        level, y = (_inner(apply(params, stats, x)[0], EDGE) for x in (flat, white))
        # One cell says it all of a flat image; the mean over its places is frequency 0.
        cell = level[:, :2, :2]
        mean = jnp.mean(cell, axis=(1, 2), keepdims=True)
        return jnp.mean(jnp.square(cell - mean)), jnp.mean(jnp.square(cell)), phase_power(y, 2)

    return one


def _gradient_power(window: int, features: int) -> Callable:
    """Of one random net: (4, 4) power of the image's gradient at each place of a period.

    What comes to the lowest level is white noise, so that the pattern is the encoder's alone.
    """

    def net(rngs: nnx.Rngs) -> Decoded:
        return Decoded(
            UPS["upconv k4s2"], classes=2, inputs=1, features=features, down=window, rngs=rngs
        )

    init, apply = nn.functional(net)

    def one(key):
        key, noise, error = jax.random.split(key, 3)
        params, stats = init(key)
        images = jax.random.normal(noise, (1, SIDE, SIDE, 1))
        low, pull = jax.vjp(lambda x: apply(params, stats, x, method="encode")[0], images)
        (gradient,) = pull(jax.random.normal(error, low.shape))
        return phase_power(_inner(gradient, EDGE), 4)

    return one
