"""Blocks that keep the shape of their input, which a `Stack` repeats.

Each maps (batch, *space, features) to the same shape and is called as `block(x, train=...)`.
A branch alone is a block of a plain net; `Residual` adds a shortcut around any of them.
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
    """Two 3x3 convolutions and two norms, in an order that the subclass chooses."""

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
    """Norm, activation and 3x3 convolution, twice: the branch of the second ResNet.

    Without a shortcut it is the block of a plain net of convolution, norm and activation: in a
    chain, their order is only a matter of where a block is said to begin.

    Args:
        features: channels of input and output.
        dilation: dilation of both convolutions.
        norm: makes a normalization for a number of features.
        activation: a named function (a lambda would make every module a new type to `jit`).
        kernel_init: initializer of the first kernel, and of the second unless `last_init` is given.
        last_init: initializer of the second kernel: `initializers.zeros()` starts the branch at
            zero.
        rngs: its `params` stream gives the keys of the kernels.

    Source:
        He et al., "Identity mappings in deep residual networks", 2016, fig. 1b (arXiv:1603.05027).

    Example:
        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from jaxseg import nn
        >>> block = nn.PreActivation(4, norm=nn.BatchNorm, rngs=nnx.Rngs(0))
        >>> block(jnp.ones((2, 8, 8, 4)), train=True).shape
        (2, 8, 8, 4)
    """

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Compute conv(act(norm(conv(act(norm(x))))))."""
        x = self.conv1(self.activation(self.norm1(x, train=train)))
        return self.conv2(self.activation(self.norm2(x, train=train)))


class PostActivation(_TwoConvolutions):
    """Convolution, norm, activation, convolution, norm: the branch of the first ResNet.

    Its residual block is `Residual(PostActivation(...), activation=jax.nn.relu)`.

    Args:
        features: channels of input and output.
        dilation: dilation of both convolutions.
        norm: makes a normalization for a number of features.
        activation: a named function (a lambda would make every module a new type to `jit`).
        kernel_init: initializer of the first kernel, and of the second unless `last_init` is given.
        last_init: initializer of the second kernel: `initializers.zeros()` starts the branch at
            zero.
        rngs: its `params` stream gives the keys of the kernels.

    Source:
        He et al., "Deep residual learning for image recognition", 2015, fig. 2 (arXiv:1512.03385).
    """

    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        """Compute norm(conv(act(norm(conv(x)))))."""
        x = self.activation(self.norm1(self.conv1(x), train=train))
        return self.norm2(self.conv2(x), train=train)


class Bottleneck(nnx.Module):
    """A 1x1 convolution to fewer channels, a 3x3, and a 1x1 back, each behind norm and activation.

    This is the bottleneck of the first ResNet (He et al. 2015, fig. 5, arXiv:1512.03385) in the
    order of the second (He et al. 2016, arXiv:1603.05027).

    Args:
        features: channels of input and output.
        reduction: the 3x3 convolution has features / reduction channels.
        dilation: dilation of the 3x3 convolution.
        norm: makes a normalization for a number of features.
        activation: a named function (a lambda would make every module a new type to `jit`).
        kernel_init: initializer of the first two kernels, and of the third unless `last_init` is
            given.
        last_init: initializer of the third kernel: `initializers.zeros()` starts the branch at
            zero.
        rngs: its `params` stream gives the keys of the kernels.

    Raises:
        ValueError: `reduction` does not divide `features`.
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
        """Compute norm, activation and convolution, three times."""
        x = self.conv1(self.activation(self.norm1(x, train=train)))
        x = self.conv2(self.activation(self.norm2(x, train=train)))
        return self.conv3(self.activation(self.norm3(x, train=train)))


class Residual(nnx.Module):
    """A shortcut around a branch: x + scale * branch(x), followed by an activation if one is given.

    Without the activation the path from block to block is the identity, and the gradient in the
    input of any block contains that in the output of the last one, unchanged (He et al. 2016, eq.
    5, arXiv:1603.05027).

    Args:
        branch: a module called as `branch(x, train=...)` that keeps the shape of x.
        scale: factor on the branch; 1 / √L in a stack of L keeps the variance bounded.
        learn_scale: make the factor a parameter; with `scale=0` this is SkipInit (De & Smith
            2020, arXiv:2002.10444). A branch whose last kernel starts at zero and whose others are
            `initializers.scaled` by L^−½ starts as in Fixup (Zhang et al. 2019,
            arXiv:1901.09321).
        activation: applied to the sum, as He et al. 2015 do (arXiv:1512.03385); None applies none.

    Example:
        A branch whose last kernel is zero makes the block the identity:

        >>> import jax.numpy as jnp
        >>> from flax import nnx
        >>> from jaxseg import nn
        >>> zeros = nn.initializers.zeros()
        >>> block = nn.Residual(nn.PreActivation(4, last_init=zeros, rngs=nnx.Rngs(0)))
        >>> x = jnp.ones((2, 8, 8, 4))
        >>> bool((block(x) == x).all())
        True
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
        """Map (batch, *space, features) to the same shape."""
        y = self.branch(x, train=train)  # type: ignore[operator]
        scale = self.scale[...] if isinstance(self.scale, nnx.Param) else self.scale
        y = x + y * jnp.asarray(scale, y.dtype)
        return y if self.activation is None else self.activation(y)
