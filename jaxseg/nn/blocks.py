"""Blocks of equal input and output shape, which a `Stack` repeats.

Each maps (batch, *space, features) to the same shape and is called as `block(x, train=...)`.
A branch alone is a block of a plain net; `Residual` puts a shortcut around any of them.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg.nn.conv import Conv
from jaxseg.nn.initializers import Initializer
from jaxseg.nn.norm import Bias, NormFactory

Activation = Callable[[jax.Array], jax.Array]


class _TwoConvolutions(nnx.Module):
    """Two 3x3 convolutions, two norms and an activation, in an order that a subclass chooses."""

    def __init__(
        self,
        features: int,
        *,
        dilation: int = 1,
        norm: NormFactory = Bias,
        activation: Activation = jax.nn.relu,
        kernel_init: Initializer | None = None,
        last_init: Initializer | None = None,
        rngs: nnx.Rngs,
    ):
        self.norm1, self.norm2 = norm(features), norm(features)
        self.conv1 = Conv(features, features, dilation=dilation, kernel_init=kernel_init, rngs=rngs)
        self.conv2 = Conv(
            features, features, dilation=dilation, kernel_init=last_init or kernel_init, rngs=rngs
        )
        self.activation = activation


class PreActivation(_TwoConvolutions):
    """Twice norm, activation, 3x3 convolution: the plain block, and the branch of He et al. 2016.

    A stack of these is the plain net of convolution, norm, activation, whose order in a chain is
    only a matter of where a block is said to begin (arXiv:1603.05027, fig. 1b).

    Args:
        features: channels, of input and output.
        dilation: of both convolutions.
        norm: makes a normalisation for a number of features.
        activation: a named function (a lambda would make every module a new type to `jit`).
        kernel_init: of the first convolution, and of the second unless `last_init` is given.
        last_init: of the second convolution: `initializers.zeros()` starts a branch at zero.
        rngs: draws the kernels.
    """

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """conv(act(norm(conv(act(norm(x))))))."""
        x = self.conv1(self.activation(self.norm1(x, train=train)))
        return self.conv2(self.activation(self.norm2(x, train=train)))


class PostActivation(_TwoConvolutions):
    """Conv, norm, activation, conv, norm: the branch of He et al. 2015 (arXiv:1512.03385, fig. 2).

    Their residual block is `Residual(PostActivation(...), activation=jax.nn.relu)`. Arguments as
    for `PreActivation`.
    """

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """norm(conv(act(norm(conv(x)))))."""
        x = self.activation(self.norm1(self.conv1(x), train=train))
        return self.norm2(self.conv2(x), train=train)


class Bottleneck(nnx.Module):
    """1x1 to fewer channels, 3x3, 1x1 back, each behind norm and activation.

    The bottleneck of He et al. 2015, fig. 5, in the order of He et al. 2016. Arguments as for
    `PreActivation`, and:

    Args:
        reduction: the 3x3 convolution has features / reduction channels.
    """

    def __init__(
        self,
        features: int,
        *,
        reduction: int = 4,
        dilation: int = 1,
        norm: NormFactory = Bias,
        activation: Activation = jax.nn.relu,
        kernel_init: Initializer | None = None,
        last_init: Initializer | None = None,
        rngs: nnx.Rngs,
    ):
        if features % reduction:
            raise ValueError(
                f"Bottleneck: features={features} do not divide by reduction={reduction}: "
                "choose a divisor."
            )
        inner = features // reduction
        self.norm1, self.norm2, self.norm3 = norm(features), norm(inner), norm(inner)
        self.conv1 = Conv(features, inner, 1, kernel_init=kernel_init, rngs=rngs)
        self.conv2 = Conv(inner, inner, 3, dilation=dilation, kernel_init=kernel_init, rngs=rngs)
        self.conv3 = Conv(inner, features, 1, kernel_init=last_init or kernel_init, rngs=rngs)
        self.activation = activation

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Three times norm, activation, convolution."""
        x = self.conv1(self.activation(self.norm1(x, train=train)))
        x = self.conv2(self.activation(self.norm2(x, train=train)))
        return self.conv3(self.activation(self.norm3(x, train=train)))


class Residual(nnx.Module):
    """x + scale * branch(x), and an activation after the sum if one is given.

    Without it nothing stands on the path from block to block, so that the gradient of x_l holds
    that of x_L itself (He et al. 2016, eq. 5, arXiv:1603.05027).

    Args:
        branch: a module called as `branch(x, train=...)` that keeps the shape of x.
        scale: the factor on the branch; 1 / sqrt(L) in a stack of L keeps its variance bounded.
        learn_scale: make the factor a parameter; with `scale=0` this is SkipInit (De & Smith
            2020, arXiv:2002.10444). A branch whose last kernel starts at zero and whose others are
            `initializers.scaled` by L**-0.5 starts as in Fixup (Zhang et al. 2019,
            arXiv:1901.09321).
        activation: applied to the sum, as He et al. 2015 do (arXiv:1512.03385).
    """

    def __init__(
        self,
        branch: nnx.Module,
        *,
        scale: float = 1.0,
        learn_scale: bool = False,
        activation: Activation | None = None,
    ):
        self.branch = branch
        self.scale = nnx.Param(jnp.float32(scale)) if learn_scale else float(scale)
        self.activation = activation

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """(batch, *space, features) -> the same shape."""
        y = self.branch(x, train=train)  # type: ignore[operator]
        scale = self.scale[...] if isinstance(self.scale, nnx.Param) else self.scale
        y = x + y * jnp.asarray(scale, y.dtype)
        return y if self.activation is None else self.activation(y)
