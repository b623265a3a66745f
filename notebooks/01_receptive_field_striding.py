# %% [markdown]
# # Receptive field – striding
#
# The **receptive field** of an output pixel is the part of the image that can change it. What lies
# outside, the net cannot use: a field smaller than a brick will not tell a brick from gravel.
#
# For a chain of layers with kernels $k_l$ and strides $s_l$ it has a closed form (Araujo, Norris &
# Sim 2019):
#
# $$ r = 1 + \sum_{l=1}^{L} (k_l - 1) \prod_{i<l} s_i . $$
#
# Each layer adds its reach $k_l - 1$, counted in the pixels of the image: and behind strides
# $s_1 \cdots s_{l-1}$ a pixel of the map stands for so many of the image. Without strides the field
# grows *linearly* with depth; with a stride in every layer it grows *exponentially*.

# %%
import math

import jax
import jax.numpy as jnp
import numpy as np
from ipywidgets import IntSlider
from matplotlib.figure import Figure
from pages import SMALL, rows, sliders

from jaxseg import analysis, nn, ops, plots

# %% [markdown]
# ## Drawn: who sees whom
#
# One axis of an image, and layers upon it. Blue is what the pixel at the top sees; the numbers
# count the *paths* that lead to it. **Move depth and stride**: what grows faster? **Set the padding
# to 0**: where do the pixels of the upper rows lie then? With kernel 2 and stride 2, how many paths
# lead from each pixel?

# %%
SIZE = 32


def layer(kernel, stride, padding):
    return lambda x: ops.conv(x, jnp.ones((kernel, 1, 1)), stride=stride, padding=padding)


def field_by_formula(kernels, strides):
    """The formula above."""
    before = [math.prod(strides[:number]) for number in range(len(strides))]
    return 1 + sum((k - 1) * jump for k, jump in zip(kernels, before, strict=True))


def draw_chain(depth, kernel, stride, padding):
    links, places = rows([layer(kernel, stride, padding)] * depth, SIZE)
    size = field_by_formula([kernel] * depth, [stride] * depth)
    return plots.chain(
        links,
        places,
        ["image", *(f"layer {n + 1}" for n in range(depth))],
        index=len(places[-1]) // 2,
        title=f"r = 1 + {kernel - 1} · ({' + '.join(str(stride**n) for n in range(depth))})"
        f" = {size} pixels (clipped where the image ends); {len(places[-1])} outputs",
    )


sliders(
    draw_chain,
    depth=IntSlider(3, 1, 5),
    kernel=IntSlider(3, 1, 5),
    stride=IntSlider(2, 1, 3),
    padding=IntSlider(1, 0, 3),
)

# %% [markdown]
# ## Growth
#
# The same, measured: `analysis.receptive_field` interprets the program that a net is, so it needs
# no formula, and is asked here for chains of 3-tap layers.


# %%
def measured_field(kernels, strides, size=8192):
    def net(x):
        for k, s in zip(kernels, strides, strict=True):
            x = ops.conv(x, jnp.ones((k, 1, 1)), stride=s)
        return x

    return analysis.receptive_field(net, jax.ShapeDtypeStruct((1, size, 1), jnp.float32)).size[0]


DEPTHS = range(1, 9)
growth = {
    "plain": [measured_field([3] * n, [1] * n) for n in DEPTHS],
    "striding": [measured_field([3] * n, [2] * n) for n in DEPTHS],
}
assert growth["plain"] == [2 * n + 1 for n in DEPTHS]
assert growth["striding"] == [2 ** (n + 1) - 1 for n in DEPTHS]
plots.field_growth(
    list(DEPTHS), growth, title="kernel 3: 2n + 1 without strides, $2^{n+1}$ − 1 with stride 2"
)

# %% [markdown]
# ## A real net, layer by layer
#
# VGG-16 (Simonyan & Zisserman 2015) is pairs and triples of 3 × 3 convolutions with 2 × 2 pooling
# in between. **Change the list**: what if the pooling came two layers earlier? What if every kernel
# had 5 taps?

# %%
VGG16 = [
    (3, 1),
    (3, 1),
    (2, 2),
    (3, 1),
    (3, 1),
    (2, 2),
    (3, 1),
    (3, 1),
    (3, 1),
    (2, 2),
    (3, 1),
    (3, 1),
    (3, 1),
    (2, 2),
    (3, 1),
    (3, 1),
    (3, 1),
    (2, 2),
]
"""(kernel, stride) of convolutions and poolings, from the image on."""

kernels, strides = zip(*VGG16, strict=True)
sizes = [field_by_formula(kernels[:n], strides[:n]) for n in range(1, len(VGG16) + 1)]
assert sizes[-1] == measured_field(kernels, strides)
for number, ((_, stride), size) in enumerate(zip(VGG16, sizes, strict=True), 1):
    kind = "pooling" if stride > 1 else "3 × 3"
    print(
        f"{number:2d} {kind:>8}: sees {size:3d} pixels, one output every "
        f"{math.prod(strides[:number]):2d}"
    )

# %% [markdown]
# The published field of its last pooling is 212 (Araujo et al. 2019): the list gives the same.
#
# The position of a stride matters as much as its size. A bottleneck block of a ResNet is 1 × 1,
# 3 × 3, 1 × 1; in the first publication its first layer strides (He et al. 2015), in most code
# today the 3 × 3. "ResNet-50" therefore names two nets that see differently:


# %%
def resnet50(stride_on):
    """(kernel, stride) along the longest path: the stem, then 3 + 4 + 6 + 3 bottlenecks."""
    layers = [(7, 2), (3, 2)]
    for stage, blocks in enumerate((3, 4, 6, 3)):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            first, second = (stride, 1) if stride_on == "1 × 1" else (1, stride)
            layers += [(1, first), (3, second), (1, 1)]
    return layers


for where in ("1 × 1", "3 × 3"):
    size = field_by_formula(*zip(*resnet50(where), strict=True))
    print(f"ResNet-50 with its strides on the {where}: {size}")

# %% [markdown]
# ## What is in the field, and what is looked at
#
# All pixels of the field *can* move the output; they do not do so alike. The numbers of paths above
# pile up in the middle: a chain of $n$ kernels of three equal taps is a random walk of $n$ steps of
# −1, 0 or 1, so its paths are spread as a bell of variance $\tfrac{2}{3} n$. The field grows as
# $n$, the bell as $\sqrt n$ (Luo et al. 2016).
#
# **Move the depth**: which share of the field holds 95 % of the paths?


# %%
def draw_paths(depth):
    counts = np.array(analysis.hybrid_dilation([1] * depth).counts, float)
    shares, place = counts / counts.sum(), np.arange(len(counts)) - depth
    deviation = np.sqrt(2 * depth / 3)
    within = int(np.floor(1.96 * deviation)) * 2 + 1
    along = np.linspace(-depth - 0.5, depth + 0.5, 400)
    bell = np.exp(-0.5 * (along / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
    figure = Figure(figsize=(7.4, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.bar(
        place,
        shares,
        width=1,
        color="#9ecae1",
        edgecolor="white",
        linewidth=0.3,
        label="share of the paths",
    )
    axes.plot(along, bell, "--", color="#e4572e", label=r"normal, $\sigma^2 = 2n/3$")
    axes.set(xlim=(-depth - 1, depth + 1), xlabel="pixels from the middle of the field", yticks=[])
    axes.set_title(
        f"{depth} layers: the field has {2 * depth + 1} pixels, the middle {within} of "
        f"them hold {shares[np.abs(place) <= within // 2].sum():.0%} of the paths",
        fontsize=9,
    )
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False)
    return figure


sliders(draw_paths, depth=IntSlider(20, 1, 100))

# %% [markdown]
# Do random ReLU nets, whose gradients have signs and gaps, look like this too?
# `analysis.effective_receptive_field` averages the squared gradient of one output pixel over nets
# (He initialisation) and random projections of their features.

# %%
LAYERS = (4, 8) if SMALL else (5, 10, 20)
FEATURES, NETS = 16, 4 if SMALL else 48


def random_nets(depth):
    """Widths of the effective field along rows and columns, beside theory."""
    size = 2 * depth + 9

    def make(key):
        keys = jax.random.split(key, depth)
        widths = [1, *[FEATURES] * depth]
        draw = nn.initializers.he_normal()
        return [draw(k, (3, 3, i, o)) for k, i, o in zip(keys, widths, widths[1:], strict=False)]

    def net(kernels, x):
        for kernel in kernels:
            x = jax.nn.relu(ops.conv(x, kernel))
        return x

    image = jax.random.normal(jax.random.key(1), (1, size, size, 1))
    key = jax.random.key(depth)
    return jax.jit(
        lambda x: analysis.effective_receptive_field(net, x, key=key, init=make, seeds=NETS)
    )(image)


found = {depth: random_nets(depth) for depth in LAYERS}
for depth, field in found.items():
    rows_width, columns_width = field.width[0]
    print(
        f"{depth:2d} layers: σ = {rows_width:.2f} and {columns_width:.2f} pixels, "
        f"√(2n/3) = {np.sqrt(2 * depth / 3):.2f}; field {2 * depth + 1}"
    )

# %%
reach = {
    depth: (field.energy.shape[1] // 2 - depth, field.energy.shape[1] // 2 + depth)
    for depth, field in found.items()
}
plots.effective_field(
    [np.asarray(field.energy[0]) for field in found.values()],
    [(reach[depth], reach[depth]) for depth in found],
    [field.center[0] for field in found.values()],
    [field.width[0] for field in found.values()],
    labels=[f"{depth} layers" for depth in found],
    title="where an output pixel of random ReLU nets looks",
)

# %% [markdown]
# So depth alone is a slow way to see far: a net twice as deep looks $\sqrt2$ times as far. Striding
# is the fast way, and its price is in the figure at the top: of 32 pixels four are left. What that
# costs is the matter of [Segmentation](02_segmentation.ipynb).
#
# **Sources.** Araujo, Norris & Sim, *Computing receptive fields of convolutional neural networks*,
# Distill 2019. Luo et al., *Understanding the effective receptive field in deep convolutional
# neural networks*, 2016, arXiv:1701.04128. He et al., 2015, arXiv:1512.03385.
