# %% [markdown]
# # Dilation
#
# A **dilated** convolution (*à trous*, "with holes") leaves $d - 1$ pixels between its taps:
#
# $$ y_o = \sum_{t} x_{\,o + t d - p}\; w_t . $$
#
# The kernel has as many weights as before, and the output as many pixels as the image; but the
# kernel reaches $d\,(k-1) + 1$ pixels. It is the kernel that is stretched, not the image that is
# shrunk.

# %%
import itertools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from ipywidgets import IntSlider
from matplotlib.figure import Figure
from pages import rows, sliders

from jaxseg import analysis, nn, ops, plots

# %% [markdown]
# ## Drawn: a kernel with holes
#
# **Move the dilation**: the number of coloured pixels stays $k^2$. **At which padding** does the
# output keep the image's size?

# %%
PIXELS = 17


def draw_kernel(kernel, dilation, padding):
    figure = Figure(figsize=(4.6, 4.8), layout="constrained")
    axes = figure.subplots()
    size = ops.conv_output_size(PIXELS, kernel, dilation=dilation, padding=padding)
    image = np.zeros((PIXELS, PIXELS))
    first = PIXELS // 2 - dilation * (kernel - 1) // 2
    taps = [first + dilation * t for t in range(kernel)]
    for row, column in itertools.product(taps, taps):
        if 0 <= row < PIXELS and 0 <= column < PIXELS:
            image[row, column] = 1
    axes.pcolormesh(image, cmap="Blues", vmin=0, vmax=1.4, edgecolors="#cccccc", linewidth=0.5)
    axes.set(aspect="equal", xticks=[], yticks=[])
    axes.set_title(
        f"{kernel} × {kernel} taps reach {dilation * (kernel - 1) + 1} pixels;\n"
        f"{PIXELS} pixels padded by {padding} give {size}",
        fontsize=9,
    )
    return figure


sliders(
    draw_kernel, kernel=IntSlider(3, 1, 5), dilation=IntSlider(3, 1, 8), padding=IntSlider(3, 0, 10)
)

# %% [markdown]
# ## Receptive field – dilation
#
# In a chain every layer adds its reach, and without strides the reach is in pixels of the image:
#
# $$ r = 1 + \sum_l (k_l - 1)\, d_l . $$
#
# With rates that double, $d_l = 1, 2, 4, \dots, 2^{L-1}$ and $k = 3$, this is $2^{L+1} - 1$:
# *exponential* growth, as with strides, and **every pixel is still there** (Yu & Koltun 2016).

# %%
SIZE = 40


def layer(kernel, dilation):
    return lambda x: ops.conv(x, jnp.ones((kernel, 1, 1)), dilation=dilation)


def draw_chain(first, second, third, kernel):
    rates = (first, second, third)
    links, places = rows([layer(kernel, d) for d in rates], SIZE)
    found = analysis.hybrid_dilation(rates, kernel)
    return plots.chain(
        links,
        places,
        ["image", *(f"rate {d}" for d in rates)],
        index=SIZE // 2,
        title=f"1 + {kernel - 1} · ({first} + {second} + {third}) = {found.size} pixels, of which "
        f"{found.seen} are seen",
    )


sliders(
    draw_chain,
    first=IntSlider(1, 1, 9),
    second=IntSlider(2, 1, 9),
    third=IntSlider(4, 1, 9),
    kernel=IntSlider(3, 2, 5),
)

# %% [markdown]
# Two ways to the same field: compare the paths with those of
# [striding](01_receptive_field_striding.ipynb). There the upper rows are thin; here they are all
# full.

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
plots.field_growth(list(DEPTHS), growth, title="3 taps: dilation sees as far as striding does")

# %% [markdown]
# The **context module** of Yu & Koltun (2016) puts this behind a net: 3 × 3 kernels at rates
# 1, 1, 2, 4, 8, 16, 1. Its published fields are 3, 5, 9, 17, 33, 65, 67 pixels. Here they are read
# off the module:

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
# Not all rates will do. With rates 2, 2, 2 an output pixel sees only pixels at even distances: its
# neighbour sees the others, and the two never meet. The image falls into four grids that are
# treated apart.
#
# Wang et al. (2018) give a rule, *hybrid dilation*: with $M_n = r_n$ and
# $M_i = \max(M_{i+1} - 2 r_i,\; 2 r_i - M_{i+1},\; r_i)$ it asks that $M_2 \le K$. **Find rates
# that pass the rule and still have holes.** (Hint: the rule never looks at $r_1$.)


# %%
def draw_grid(first, second, third):
    found = analysis.hybrid_dilation((first, second, third))
    counts = np.array(found.counts)
    return plots.path_counts(
        {f"rates {first}, {second}, {third}": np.outer(counts, counts)},
        title=f"M₂ = {found.max_distance}: the rule {'passes' if found.passes else 'fails'};"
        f" {'no' if found.full else 'with'} holes",
    )


sliders(draw_grid, first=IntSlider(2, 1, 9), second=IntSlider(2, 1, 9), third=IntSlider(2, 1, 9))

# %% [markdown]
# How often is the rule wrong? Of all triples of rates up to 9, with three taps:

# %%
triples = {
    rates: analysis.hybrid_dilation(rates) for rates in itertools.product(range(1, 10), repeat=3)
}
passing_with_holes = [r for r, found in triples.items() if found.passes and not found.full]
failing_without = [r for r, found in triples.items() if found.full and not found.passes]
print(
    f"{len(triples)} triples: {len(passing_with_holes)} pass and have holes, "
    f"{len(failing_without)} fail and have none"
)
print(f"of those that pass with holes, {sum(r[0] == 1 for r in passing_with_holes)} begin with 1")

# %% [markdown]
# So count paths, as `analysis.hybrid_dilation` does, or begin with rate 1.
#
# ## Dilation instead of striding, in a net that is trained already
#
# Let $A$ be a layer of stride 2 and $B$ one behind it. Take the stride away from $A$, and dilate
# $B$ by 2: at every second pixel the result is **the same number**, with the same weights; in
# between there are new ones. So any classifier becomes a segmenter of finer output stride (Chen et
# al. 2017; Yu et al. 2017) without training anew.

# %%
keys = jax.random.split(jax.random.key(0), 3)
image = jax.random.normal(keys[0], (1, 33, 33, 3))
kernel_a, kernel_b = (0.3 * jax.random.normal(k, (3, 3, 3, 3)) for k in keys[1:])


def net(x, *, stride):
    """Two layers; what is not strided is dilated."""
    x = jax.nn.relu(ops.conv(x, kernel_a, stride=stride, padding=1))
    dilation = 2 // stride
    return ops.conv(x, kernel_b, dilation=dilation, padding=dilation)


strided, dilated = net(image, stride=2), net(image, stride=1)
difference = jnp.abs(strided - dilated[:, ::2, ::2]).max()
print(
    f"strided {strided.shape[1:3]}, dilated {dilated.shape[1:3]}: "
    f"largest difference {difference:.1e} of {jnp.abs(strided).max():.1f}"
)

# %% [markdown]
# **Try it**: leave the dilation of the second layer at 1. The difference is then as large as the
# numbers themselves: such code runs, and gives nonsense.
#
# Dilation keeps every pixel, and pays for every pixel: all layers work at full resolution. The
# other way is to stride first and to get the pixels back afterwards:
# [Upconvolution](04_upconvolution.ipynb).
#
# **Sources.** Yu & Koltun 2016, arXiv:1511.07122. Wang et al. 2018, arXiv:1702.08502. Chen et al.
# 2017, arXiv:1706.05587. Yu, Koltun & Funkhouser 2017, arXiv:1705.09914.
