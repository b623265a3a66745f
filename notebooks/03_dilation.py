# %% [markdown]
# # Dilation
#
# A **dilated** convolution (also *atrous*, from French *à trous*, "with holes") skips $d - 1$
# pixels between neighboring taps; $d$ is its dilation or *rate*:
#
# $$ y_o = \sum_{t=0}^{k-1} x_{\,o + t d - p}\; w_t . $$
#
# The kernel keeps its $k$ weights but spans $d\,(k-1) + 1$ pixels. With padding $p = d\,(k-1)/2$
# the output has as many pixels as the image. The kernel is stretched; the image is not shrunk.

# %%
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from ipywidgets import IntSlider
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from pages import pixels_inside, rows, sliders

from jaxseg import analysis, nn, ops, plots

# %% [markdown]
# ## A kernel with holes
#
# White pixels are the image, gray ones its zero padding, blue ones the taps of the kernel at one
# position. **Move the dilation**: the number of taps stays $k^2$. **Find the padding** at which the
# output is as large as the image. (A kernel that is wider than the padded image is refused.)

# %%
PIXELS = 17


def draw_kernel(kernel, dilation, padding):
    size = ops.conv_output_size(PIXELS, kernel, dilation=dilation, padding=padding)
    padded, span = PIXELS + 2 * padding, dilation * (kernel - 1) + 1
    canvas = np.full((padded, padded), 1)  # 0 image, 1 padding, 2 taps
    canvas[padding : padding + PIXELS, padding : padding + PIXELS] = 0
    taps = (padded - span) // 2 + dilation * np.arange(kernel)
    canvas[np.ix_(taps, taps)] = 2
    figure = Figure(figsize=(4.6, 4.9), layout="constrained")
    axes = figure.subplots()
    colors = ListedColormap(["white", "#e4e4e4", "#2171b5"])
    axes.pcolormesh(canvas, cmap=colors, vmin=0, vmax=2, edgecolors="#cccccc", linewidth=0.5)
    axes.set(aspect="equal", xticks=[], yticks=[])
    axes.set_title(
        f"{kernel} × {kernel} taps span {span} × {span} pixels;\n"
        f"{PIXELS} pixels padded by {padding} give {size}",
        fontsize=9,
    )
    return figure


sliders(
    draw_kernel, kernel=IntSlider(3, 1, 5), dilation=IntSlider(3, 1, 8), padding=IntSlider(3, 0, 16)
)

# %% [markdown]
# ## Receptive field – dilation
#
# In a chain of $L$ layers without strides, layer $l$ adds $(k_l - 1)\, d_l$ pixels to the receptive
# field $r$:
#
# $$ r = 1 + \sum_{l=1}^{L} (k_l - 1)\, d_l . $$
#
# If the rates double, $d_l = 1, 2, 4, \dots, 2^{L-1}$, and $k = 3$, then $r = 2^{L+1} - 1$. The
# field grows *exponentially*, as with strides, and **no pixel is lost** (Yu & Koltun 2016).

# %%
SIZE = 40


def layer(kernel, dilation):
    return lambda x: ops.conv(x, jnp.ones((kernel, 1, 1)), dilation=dilation)


def draw_chain(first, second, third, kernel):
    rates = (first, second, third)
    links, places = rows([layer(kernel, d) for d in rates], SIZE)
    paths = analysis.hybrid_dilation(rates, kernel)
    inside = pixels_inside(links, SIZE // 2)
    clipped = f", {inside} inside the image" if inside < paths.size else ""
    return plots.chain(
        links,
        places,
        ["image", *(f"rate {d}" for d in rates)],
        index=SIZE // 2,
        title=f"r = 1 + {kernel - 1} · ({first} + {second} + {third}) = {paths.size} pixels, "
        f"{paths.seen} of them seen{clipped}",
    )


sliders(
    draw_chain,
    first=IntSlider(1, 1, 9),
    second=IntSlider(2, 1, 9),
    third=IntSlider(4, 1, 9),
    kernel=IntSlider(3, 2, 5),
)

# %% [markdown]
# Striding and dilation lead to the same field. Compare this figure with that of
# [striding](01_receptive_field_striding.ipynb): there the upper rows have few pixels; here every
# row has all of them.

# %%
DEPTHS = range(1, 8)
IMAGE = jax.ShapeDtypeStruct((1, 2048, 1), jnp.float32)


def measured_field(strides, dilations):
    def net(x):
        for s, d in zip(strides, dilations, strict=True):
            x = ops.conv(x, jnp.ones((3, 1, 1)), stride=s, dilation=d)
        return x

    return analysis.receptive_field(net, IMAGE).size[0]


growth = {
    "plain": [measured_field([1] * n, [1] * n) for n in DEPTHS],
    "striding": [measured_field([2] * n, [1] * n) for n in DEPTHS],
    "dilation": [measured_field([1] * n, [2**i for i in range(n)]) for n in DEPTHS],
}
assert growth["dilation"] == growth["striding"] == [2 ** (n + 1) - 1 for n in DEPTHS]
plots.field_growth(list(DEPTHS), growth, title="3 taps: dilation sees as far as striding")

# %% [markdown]
# Yu & Koltun (2016) append such a chain to a net as its **context module**: 3 × 3 kernels at rates
# 1, 1, 2, 4, 8, 16, 1. The published fields are 3, 5, 9, 17, 33, 65 and 67 pixels. Measured on the
# module:

# %%
context = nn.ContextModule(1, rngs=nnx.Rngs(0))
layers = list(context.layers)


def first_layers(x, number):
    for convolution in layers[:number]:
        x = jax.nn.relu(convolution(x))
    return x


for number, convolution in enumerate(layers, 1):
    field = analysis.receptive_field(
        lambda x, number=number: first_layers(x, number), jnp.zeros((1, 128, 128, 1))
    )
    print(f"layer {number}, rate {convolution.dilation:2d}: {field.size[0]} pixels")

# %% [markdown]
# ## Holes: gridding
#
# Not every choice of rates is good. With rates 2, 2, 2 an output pixel sees only pixels at even
# distances, and its neighbor sees only the others. The image falls into four grids that never
# exchange information. This is called *gridding*.
#
# Wang et al. (2018) give two rules for the rates $d_1, \dots, d_L$ of a *hybrid* dilated chain. The
# first one bounds a distance. Let $M_L = d_L$ and
#
# $$ M_l = \max(M_{l+1} - 2 d_l,\; 2 d_l - M_{l+1},\; d_l) ; $$
#
# then $M_2 \le k$ is required, where $k$ is the number of taps along an axis. $M_l$ is meant as the
# largest distance between neighboring pixels that layers $l$ to $L$ see. The second rule is that
# the rates have no common factor.
#
# The initial rates pass the first rule and have holes, but 2 is a common factor. **Find rates that
# pass both rules and still have holes.** (Hint: the first rule does not depend on $d_1$.)


# %%
def draw_grid(first, second, third):
    paths = analysis.hybrid_dilation((first, second, third))
    counts, divisor = np.array(paths.counts), math.gcd(first, second, third)
    distance = f"M₂ = {paths.max_distance} {'≤' if paths.passes else '>'} 3"
    factor = f"common factor {divisor}" if divisor > 1 else "no common factor"
    return plots.path_counts(
        {f"rates {first}, {second}, {third}": np.outer(counts, counts)},
        title=f"{distance}, {factor}\nthe field has {'no holes' if paths.full else 'holes'}",
    )


sliders(draw_grid, first=IntSlider(2, 1, 9), second=IntSlider(2, 1, 9), third=IntSlider(2, 1, 9))

# %% [markdown]
# How often are the rules wrong? Consider all triples of rates up to 9, with three taps:

# %%
triples = {
    rates: analysis.hybrid_dilation(rates) for rates in itertools.product(range(1, 10), repeat=3)
}
passes_with_holes = [rates for rates, p in triples.items() if p.passes and not p.full]
fails_without_holes = [rates for rates, p in triples.items() if p.full and not p.passes]
coprime = [rates for rates in passes_with_holes if math.gcd(*rates) == 1]
print(
    f"{len(triples)} triples. Rule M₂ ≤ 3: {len(passes_with_holes)} pass and have holes, "
    f"{len(fails_without_holes)} fail and have none"
)
print(f"of those that pass with holes, {len(coprime)} have no common factor either")

from_one = {rates: p for rates, p in triples.items() if rates[0] == 1}
print(
    f"{len(from_one)} triples begin with rate 1: {sum(not p.full for p in from_one.values())} of "
    f"them have holes, {sum(p.passes and not p.full for p in from_one.values())} of those pass the "
    f"rule"
)

# %% [markdown]
# So the two rules together are not enough, and rate 1 in the first layer is not enough either: (1,
# 1, 6) has holes. But among these triples **rate 1 in the first layer together with $M_2 \le 3$**
# never leaves a hole. In general, count the paths, as `analysis.hybrid_dilation` does.
#
# ## Dilation instead of striding, in a trained net
#
# Let layer $A$ have stride 2, and let layer $B$ follow it. Remove the stride from $A$ and dilate
# $B$ by 2. Then, with the same weights, every second pixel of the result has **exactly the same
# value** as before, and there are new values in between. In this way a trained classifier becomes a
# segmentation net of smaller output stride without new training (Chen et al. 2017; Yu et al. 2017).

# %%
keys = jax.random.split(jax.random.key(0), 3)
image = jax.random.normal(keys[0], (1, 33, 33, 3))
kernel_a, kernel_b = (0.3 * jax.random.normal(k, (3, 3, 3, 3)) for k in keys[1:])


def net(x, *, stride):
    """Layers A and B; B is dilated by 2 if A has stride 1."""
    x = jax.nn.relu(ops.conv(x, kernel_a, stride=stride, padding=1))
    dilation = 2 // stride
    return ops.conv(x, kernel_b, dilation=dilation, padding=dilation)


strided, dilated = net(image, stride=2), net(image, stride=1)
difference = jnp.abs(strided - dilated[:, ::2, ::2]).max()
print(
    f"strided {strided.shape[1:3]}, dilated {dilated.shape[1:3]} pixels: largest difference "
    f"{difference:.1e}, largest value {jnp.abs(strided).max():.1f}"
)

# %% [markdown]
# **Try it**: leave the dilation of layer $B$ at 1. The largest difference is then about as large as
# the largest value. The program still runs, but its result is meaningless.
#
# Dilation keeps every pixel at a cost: all layers work at full resolution. The alternative is to
# stride first and to bring the pixels back afterwards: [Upconvolution](04_upconvolution.ipynb).
#
# **Sources.** Yu & Koltun 2016, arXiv:1511.07122. Wang et al. 2018, arXiv:1702.08502. Chen et al.
# 2017, arXiv:1706.05587. Yu, Koltun & Funkhouser 2017, arXiv:1705.09914.
