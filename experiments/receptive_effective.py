"""The effective field of random nets, for `receptive_field`: how wide, by depth and kind."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from receptive_nets import Net, dilated
from receptive_studies import Claim, exact

from jaxseg import ops
from jaxseg.analysis import EffectiveField, effective_receptive_field, receptive_field

TOLERANCE = 0.07
"""Largest relative error of a width over 64 random nets; it falls as the root of their number."""


@dataclass(frozen=True)
class Effective:
    """The effective field of random nets of one kind and depth, and their theoretical window."""

    kind: str
    depth: int
    theory: float
    window: tuple[tuple[int, int], ...]
    field: EffectiveField

    @property
    def width(self) -> float:
        """Standard deviation, over both axes."""
        return float(np.sqrt(np.mean(np.square(self.field.width[0]))))


def random_net(kind: str, rates: Sequence[int], depth: int, features: int, size: int):
    """`init(key)` and `net(params, x)` of a He-initialised chain at an image of noise.

    The image is drawn with the kernels, so that every net sees one of its own.
    """
    residual = kind == "residual"
    image = (1, size, size, features)
    kernels = (depth // len(rates), len(rates), 3, 3, features, features)
    scale = math.sqrt(2 / (9 * features))

    def init(key):
        # Drawn flat: the generator of an array of six axes takes two seconds to compile.
        drawn = jax.random.normal(key, (math.prod(image) + math.prod(kernels),))
        noise, weights = jnp.split(drawn, [math.prod(image)])
        return noise.reshape(image), scale * weights.reshape(kernels)

    def net(params, x):
        noise, kernels = params

        def group(x, kernels):
            for kernel, rate in zip(kernels, rates, strict=True):
                branch = ops.conv(jax.nn.relu(x), kernel, dilation=rate)
                x = (x + branch) / math.sqrt(2) if residual else branch
            return x, None

        return jax.lax.scan(group, x + noise, kernels)[0]

    return init, net


def effective(kind: str, depth: int, rates, *, features: int, seeds: int, key) -> Effective:
    """Measure one kind at one depth; theory is the random walk of the squared gradient."""
    rates = tuple(rates) if kind == "dilated" else (1,)
    repeated = rates * (depth // len(rates))
    size = 1 + 2 * sum(repeated)
    init, net = random_net(kind, rates, depth, features, size)
    x = jnp.zeros((1, size, size, features))
    measure = jax.jit(
        lambda key: effective_receptive_field(net, x, key=key, init=init, seeds=seeds)
    )
    found = jax.device_get(measure(key))
    params = jax.eval_shape(init, key)
    zeros = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), params)
    window = receptive_field(partial(net, zeros), x).window((size // 2,) * 2)
    assert window is not None
    half = 0.5 if kind == "residual" else 1.0
    theory = math.sqrt(half * 2 / 3 * sum(rate**2 for rate in repeated))
    return Effective(kind, depth, theory, window, found)


def effective_claim(found: Effective, seeds: int, seconds: float) -> Claim:
    """The width against the root of the variance of the walk."""
    near = abs(found.width / found.theory - 1) < TOLERANCE * math.sqrt(64 / seeds)
    case, theory, width = f"{found.kind} {found.depth} layers", found.theory, found.width
    return Claim(
        "effective",
        case,
        "width in pixels",
        round(theory, 3),
        round(width, 3),
        near,
        round(seconds, 2),
    )


CHAINS = {"20 layers": (1,) * 20, "rates 1 2 4 8 16": (1, 2, 4, 8, 16)}


def path_moments() -> list[Claim]:
    """Variance and kurtosis of the paths of a chain: of the gradient, were all kernels ones.

    Three taps at rate d have the variance 2/3 d**2 and the fourth cumulant -2/3 d**4, and layers
    add both.
    """
    claims = []
    for case, rates in CHAINS.items():
        net = Net("", partial(dilated, rates), 4 * sum(rates) + 1)
        counts = net.field(axes=1).counts((2 * sum(rates),))
        share = counts / counts.sum()
        away = np.arange(len(share)) - 2 * sum(rates)
        variance, fourth = (float(np.sum(share * away**n)) for n in (2, 4))
        expected = 2 / 3 * sum(rate**2 for rate in rates)
        kurtosis = 3 - 2 / 3 * sum(rate**4 for rate in rates) / expected**2
        for quantity, theory, value in (
            ("variance of the paths", expected, variance),
            ("kurtosis of the paths", kurtosis, fourth / variance**2),
        ):
            claims.append(exact("effective", case, quantity, round(theory, 6), round(value, 6)))
    return claims
