"""Random graphs of layers with positive weights, for comparison with the support of gradients."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxseg import ops

LARGEST, CHANNELS = 14, 4


class Draw:
    """Draws a function of one image batch, layer by layer; every weight is positive."""

    def __init__(self, seed: int, axes: int, largest: int = LARGEST, kinds: tuple[str, ...] = ()):
        self.rng = np.random.default_rng(seed)
        self.axes, self.largest, self.kinds = axes, largest, kinds
        self.names: list[str] = []

    def weights(self, *shape):
        return jnp.asarray(self.rng.uniform(0.5, 1.0, shape))

    def integer(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def choice(self, *options):
        return options[self.integer(0, len(options) - 1)]

    def graph(self, size, depth):
        """A function, and its output's size; channels are CHANNELS throughout."""
        layers = []
        for _ in range(depth):
            layer, size = self.layer(size, 2)
            layers.append(layer)
        return lambda x: functools.reduce(lambda y, f: f(y), layers, x), size

    def layer(self, size, nested):
        """One layer that fits images of `size`; drawn again until it does."""
        while True:
            kinds = [
                self.conv,
                self.conv,
                self.upconv,
                self.pool,
                self.elementwise,
                self.slice,
                self.reverse,
                self.pad,
                self.resize,
                self.shuffle,
                self.unshuffle,
                self.roll,
                self.cumsum,
                self.take,
                self.transpose,
                self.join,
                self.mean,
                self.repeat,
                self.update,
                self.dynamic_slice,
                self.place,
                self.scatter,
                self.gather_windows,
                self.take_along,
                self.diagonal,
            ]
            if nested:
                kinds += [self.residual, self.concat, self.scan, self.unet, self.split, self.cond]
            kind = self.choice(*(k for k in kinds if not self.kinds or k.__name__ in self.kinds))
            made = kind(size, nested) if kind.__name__ in NESTED else kind(size)
            if made is not None and all(1 <= n <= self.largest for n in made[1]):
                self.names.append(kind.__name__)
                return made

    def sized(self, f, size):
        """The layer with the size that it gives."""
        try:
            out = jax.eval_shape(f, jax.ShapeDtypeStruct((1, *size, CHANNELS), jnp.float64))
        except ValueError:
            return None
        return (f, out.shape[1:-1]) if out.shape[-1] == CHANNELS else None

    def conv(self, size):
        k = [self.integer(1, 3) for _ in size]
        groups = self.choice(1, 1, 2, CHANNELS)
        kernel = self.weights(*k, CHANNELS // groups, CHANNELS)
        stride = [self.integer(1, 3) for _ in size]
        dilation = [self.integer(1, 3) for _ in size]
        padding = self.choice("same", "valid", self.integer(0, 3))
        form = self.choice("direct", "fast")

        def f(x):
            with ops.lowering(form):
                return ops.conv(
                    x, kernel, stride=stride, dilation=dilation, padding=padding, groups=groups
                )

        return self.sized(f, size)

    def upconv(self, size):
        k = [self.integer(1, 4) for _ in size]
        groups = self.choice(1, 2)
        kernel = self.weights(*k, CHANNELS // groups, CHANNELS)
        stride = [self.integer(1, 3) for _ in size]
        dilation = [self.integer(1, 2) for _ in size]
        padding = self.choice("same", "valid", self.integer(0, 2))
        form = self.choice("direct", "fast")

        def f(x):
            with ops.lowering(form):
                return ops.upconv(
                    x, kernel, stride=stride, dilation=dilation, padding=padding, groups=groups
                )

        return self.sized(f, size)

    def pool(self, size):
        k, s = self.integer(1, 3), self.integer(1, 3)
        if self.choice(True, False):
            return self.sized(lambda x: ops.avg_pool(x, k, stride=s, padding=k // 2), size)
        dilation = self.integer(1, 2)

        def f(x):
            return lax.reduce_window(
                x,
                0.0,
                lax.add,
                (1, *[k] * len(size), 1),
                (1, *[s] * len(size), 1),
                [(0, 0), *[(1, 2)] * len(size), (0, 0)],
                window_dilation=(1, *[dilation] * len(size), 1),
            )

        return self.sized(f, size)

    def elementwise(self, size):
        bias = self.weights(CHANNELS)
        return self.choice(
            lambda x: jax.nn.softplus(x) + bias.reshape((1,) * (len(size) + 1) + (-1,)),
            lambda x: x * 1.5,
            jax.jit(lambda x: jnp.where(x > 0, x * x, x)),
            jax.checkpoint(lambda x: jnp.log1p(x)),
        ), size

    def slice(self, size):
        axis = self.integer(0, len(size) - 1)
        first, step = self.integer(0, 2), self.integer(1, 2)
        return self.sized(
            lambda x: lax.slice_in_dim(x, min(first, size[axis] - 1), None, step, axis=1 + axis),
            size,
        )

    def reverse(self, size):
        axis = self.integer(0, len(size) - 1)
        return lambda x: jnp.flip(x, 1 + axis), size

    def pad(self, size):
        amounts = [(self.integer(-1, 2), self.integer(-1, 2), self.integer(0, 1)) for _ in size]
        return self.sized(
            lambda x: lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *amounts, (0, 0, 0)]), size
        )

    def resize(self, size):
        new = [self.integer(1, LARGEST) for _ in size]
        if self.choice(True, False, False):
            return self.sized(
                lambda x: jax.image.resize(x, (1, *new, CHANNELS), "linear", antialias=False), size
            )
        method, corners = self.choice(("bilinear", False), ("bilinear", True), ("nearest", False))
        return self.sized(lambda x: ops.resize(x, new, method=method, align_corners=corners), size)

    def shuffle(self, size):
        kernel = self.weights(*[1] * len(size), CHANNELS, CHANNELS * 2 ** len(size))
        if self.choice(True, False):  # one channel a pixel, channels apart
            kernel = self.weights(*[1] * len(size), 1, CHANNELS * 2 ** len(size))
            return self.sized(
                lambda x: ops.pixel_shuffle(ops.conv(x, kernel, groups=CHANNELS), 2), size
            )
        return self.sized(lambda x: ops.pixel_shuffle(ops.conv(x, kernel), 2), size)

    def unshuffle(self, size):
        def f(x):
            y = ops.pixel_unshuffle(x, 2)
            return y[..., 1 : 1 + 2 * CHANNELS : 2]

        return self.sized(f, size)

    def roll(self, size):
        axis, by = self.integer(1, len(size)), self.integer(-3, 3)
        return lambda x: jnp.roll(x, by, axis), size

    def cumsum(self, size):
        axis, reverse = self.integer(1, len(size)), self.choice(True, False)
        return lambda x: lax.cumsum(x, axis, reverse=reverse), size

    def take(self, size):
        axis = self.integer(0, len(size) - 1)
        index = self.rng.integers(0, size[axis], self.integer(1, size[axis]))
        if self.choice(True, False):
            return self.sized(lambda x: jnp.take(x, index, axis=1 + axis), size)
        one = int(index[0])
        return self.sized(
            lambda x: jnp.expand_dims(lax.index_in_dim(x, one, 1 + axis, keepdims=False), 1 + axis),
            size,
        )

    def transpose(self, size):
        return self.sized(lambda x: jnp.swapaxes(x, 1, len(size)), size)

    def join(self, size):
        axis = self.integer(1, len(size))
        return self.sized(
            lambda x: jnp.concatenate([x, jnp.ones_like(x), jnp.flip(x, axis)], axis), size
        )

    def mean(self, size):
        axis = self.integer(1, len(size))
        return lambda x: x + jnp.mean(x, axis, keepdims=True) * 0.25, size

    def repeat(self, size):
        axis = self.integer(1, len(size))
        return self.sized(lambda x: jnp.repeat(x, 2, axis), size)

    def update(self, size):
        first = [self.integer(-2, n + 1) for n in size]
        if min(size) < 2:
            return None

        def f(x):
            box = x[(slice(None), *[slice(0, 1)] * len(size))]
            box = jnp.flip(box, -1)
            if len(size) == 2:
                return lax.dynamic_update_slice(x, box, (0, *first, 0))
            row = first[0] % size[0]
            return x.at[:, row : row + 1].set(box)

        return self.sized(f, size)

    def dynamic_slice(self, size):
        """Starts beyond both ends, too, which JAX moves inside."""
        starts = [self.integer(-3, n + 2) for n in size]
        lengths = [self.integer(1, n) for n in size]
        return self.sized(
            lambda x: lax.dynamic_slice(x, (0, *starts, 0), (1, *lengths, CHANNELS)), size
        )

    def place(self, size):
        """Put pixels apart, among zeros."""
        steps = [self.integer(1, 3) for _ in size]
        firsts = [self.integer(0, step - 1) for step in steps]
        new = [n * step + self.integer(0, 1) for n, step in zip(size, steps, strict=True)]
        places = tuple(
            slice(first, first + n * step, step)
            for n, first, step in zip(size, firsts, steps, strict=True)
        )
        add = self.choice(True, False)

        def f(x):
            places_in_zeros = jnp.zeros((1, *new, CHANNELS)).at[(slice(None), *places)]
            return places_in_zeros.add(x) if add else places_in_zeros.set(x)

        return self.sized(f, size)

    def scatter(self, size):
        """Replace some rows by others, or add others to them, at any places."""
        axis = self.integer(0, len(size) - 1)
        count = self.integer(1, size[axis])
        source = self.rng.integers(0, size[axis], count)
        add, step = self.choice(True, False), self.choice(1, 2)
        target = self.rng.integers(0, size[axis] + 1, count)  # the last is out of bounds
        target = target if add else self.rng.permutation(size[axis])[:count]
        here = (slice(None),) * (1 + axis)
        # A second axis of the image, in steps.
        beside = (slice(None, None, step),) if len(size) == 2 and axis == 0 else ()

        def f(x):
            places = x.at[(*here, target, *beside)]
            rows = x[(*here, source, *beside)]
            return places.add(rows) if add else places.set(rows)

        return self.sized(f, size)

    def gather_windows(self, size):
        """Windows of rows, side by side or summed."""
        axis = self.integer(0, len(size) - 1)
        taps = self.integer(1, min(3, size[axis]))
        first = self.rng.integers(0, size[axis] - taps + 1, self.integer(1, size[axis]))
        index = first[:, None] + np.arange(taps)
        add = self.choice(True, False)

        def f(x):
            windows = jnp.take(x, index, axis=1 + axis)
            if add:
                return windows.sum(2 + axis)
            return windows.reshape(*x.shape[: 1 + axis], index.size, *x.shape[2 + axis :])

        return self.sized(f, size)

    def take_along(self, size):
        """Rows by an index that may differ from column to column and from channel to channel."""
        axis = self.integer(0, len(size) - 1)
        shape = [1, *(n if self.choice(True, False) else 1 for n in size), 1]
        shape[1 + axis], shape[-1] = self.integer(1, size[axis]), self.choice(1, 1, CHANNELS)
        index = self.rng.integers(0, size[axis], shape)
        return self.sized(lambda x: jnp.take_along_axis(x, jnp.asarray(index), 1 + axis), size)

    def diagonal(self, size):
        """Pixels by pairs of a row and a column."""
        if len(size) == 1:
            return None
        rows, columns = (self.rng.integers(0, n, min(size)) for n in size)
        return self.sized(lambda x: x[:, rows, columns][:, :, None], size)

    def residual(self, size, nested):
        branch, other = self.layer(size, nested - 1)

        def f(x):
            y = branch(x)
            small = [min(a, b) for a, b in zip(size, other, strict=True)]
            crop = (slice(None), *(slice(0, n) for n in small))
            return x[crop] + y[crop]

        return self.sized(f, size)

    def concat(self, size, nested):
        one, a = self.layer(size, nested - 1)
        two, b = self.layer(size, nested - 1)
        if a != b:
            return None
        first = self.integer(0, CHANNELS)
        return lambda x: jnp.concatenate([one(x), two(x)], -1)[..., first : first + CHANNELS], a

    def split(self, size, nested):
        one, a = self.layer(size, 0)
        two, b = self.layer(size, 0)
        if a != b:
            return None

        def f(x):
            y = jnp.concatenate([one(x), two(x)], -1)
            left, right = jnp.split(y, 2, -1)
            return left if nested % 2 else right

        return f, a

    def scan(self, size, nested):
        k = self.integer(2, 3)
        kernels = self.weights(self.integer(1, 4), *[k] * len(size), CHANNELS, CHANNELS)
        reverse, keep = self.choice(True, False), self.choice(True, False)

        def f(x):
            def step(y, kernel):
                y = ops.conv(y, kernel)
                return y, y

            last, every = lax.scan(step, x, kernels, reverse=reverse)
            return every[0] if keep else last

        return f, size

    def cond(self, size, nested):
        one, a = self.layer(size, 0)
        two, b = self.layer(size, 0)
        if a != b:
            return None
        which = self.choice(True, False)
        return lambda x: lax.cond(which, one, two, x), a

    def unet(self, size, nested):
        if min(size) < 4:
            return None
        down, up = self.integer(2, 3), self.integer(2, 4)
        first = self.weights(*[down] * len(size), CHANNELS, CHANNELS)
        last = self.weights(*[up] * len(size), CHANNELS, CHANNELS)
        middle, half = self.layer([-(-n // 2) for n in size], nested - 1)

        def f(x):
            y = ops.upconv(middle(ops.conv(x, first, stride=2)), last, stride=2)
            small = [min(a, 2 * b) for a, b in zip(size, half, strict=True)]
            crop = (slice(None), *(slice(0, n) for n in small))
            z = jnp.concatenate([x[crop], y[crop]], -1)
            return z[..., ::2]

        return self.sized(f, size)


NESTED = {"residual", "concat", "scan", "unet", "split", "cond"}


def draw(seed: int):
    """(function, size of its input, names of its layers), 1-D or 2-D by turns."""
    axes = 1 + seed % 2
    drawn = Draw(seed, axes)
    size = [drawn.integer(3, 12 if axes == 1 else 9) for _ in range(axes)]
    f, out = drawn.graph(size, drawn.integer(1, 4))
    return f, tuple(size), tuple(out), drawn.names


REGULAR = (
    "conv",
    "upconv",
    "pool",
    "elementwise",
    "reverse",
    "shuffle",
    "unshuffle",
    "repeat",
    "place",
    "residual",
    "concat",
    "scan",
    "unet",
    "split",
    "cond",
)


def draw_regular(seed: int):
    """As `draw`, of layers that repeat, on a line long enough to have a middle without borders."""
    drawn = Draw(seed, 1, largest=4000, kinds=REGULAR)
    f, out = drawn.graph([480], drawn.integer(1, 5))
    return f, (480,), tuple(out), drawn.names


def supports(graphs, compiler_options=None):
    """For each (f, size, out): (*out, *size) booleans, where a pixel's gradient is not zero.

    All of them are compiled together, as the compiler takes longer to begin than to compile one.
    """
    inputs, one_hots = [], []
    for _, size, _ in graphs:
        x = np.random.default_rng(0).uniform(0.5, 1.0, (1, *size, CHANNELS))
        pixels = math.prod(size)
        one_hot = np.zeros((pixels, 1, *size, CHANNELS))
        one_hot.reshape(pixels, pixels, CHANNELS)[np.arange(pixels), np.arange(pixels)] = 1
        inputs.append(jnp.asarray(x))
        one_hots.append(jnp.asarray(one_hot))

    # The sum over channels keeps every path: all weights are positive.
    def derivatives(f, x, one_hot):
        return jax.vmap(lambda tangent: jax.jvp(f, (x,), (tangent,))[1][0].sum(-1))(one_hot)

    def all_derivatives(inputs, one_hots):
        return [
            derivatives(f, x, one_hot)
            for (f, _, _), x, one_hot in zip(graphs, inputs, one_hots, strict=True)
        ]

    by_input = jax.jit(all_derivatives, compiler_options=compiler_options)(inputs, one_hots)
    return [
        np.moveaxis(np.asarray(derivative != 0), 0, -1).reshape(*out, *size)
        for derivative, (_, size, out) in zip(by_input, graphs, strict=True)
    ]
