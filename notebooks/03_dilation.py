# %% [markdown]
# # Dilation
#
# [← Segmentation](02_segmentation.ipynb) · [Contents and symbols](00_opening.ipynb) · [Upconvolution →](04_upconvolution.ipynb)
#
# A **dilated** convolution (also *atrous*, from French *à trous*, "with holes") skips $d - 1$
# pixels between neighboring taps; $d$ is its dilation or *rate*:
#
# $$ y_o = \sum_{t=0}^{k-1} x_{\,o + t d - p}\; w_t . $$
#
# The kernel keeps its $k$ weights but spans $d\,(k-1) + 1$ pixels. With padding $p = d\,(k-1)/2$
# the output has as many pixels as the image. The kernel is stretched; the image is not shrunk.
#
# **What you will see**: three layers that see as far as striding and keep every pixel, what that
# costs, rates that never see most of their field, and a published rule against such holes that is
# neither necessary nor sufficient.

# %%
import importlib.util

if importlib.util.find_spec("jaxseg") is None:  # a fresh runtime, such as Colab's
    SOURCE = "..."  # the address of a git repository of jaxseg
    get_ipython().system(f"git clone -q {SOURCE} jaxseg && pip install -q './jaxseg[notebooks]'")
    get_ipython().run_line_magic("cd", "jaxseg/notebooks")

# %%
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from ipywidgets import IntSlider
from pages import pixels_inside, rows, sliders

from jaxseg import analysis, nn, ops, plots

# %% [markdown]
# ## A kernel with holes
#
# White pixels are the image, gray ones its zero padding, blue ones the taps of the kernel at one
# position. (A kernel that is wider than the padded image is refused.)
#
# **Predict**: how many pixels does a 3 × 3 kernel of dilation 4 span, and which padding makes the
# output as large as the image? **Then move the dilation**: the number of taps stays $k^2$. **Find
# the padding** for other kernels.

# %%
PIXELS = 17


def draw_kernel(kernel, dilation, padding):
    size = ops.conv_output_size(PIXELS, kernel, dilation=dilation, padding=padding)
    span = dilation * (kernel - 1) + 1
    taps = (PIXELS + 2 * padding - span) // 2 + dilation * np.arange(kernel)
    return plots.kernel_on_pixels(
        PIXELS,
        padding,
        taps,
        most_padding=16,
        title=f"{kernel} × {kernel} taps span {span} × {span} pixels;\n"
        f"{PIXELS} pixels padded by {padding} give {size}",
    )


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
#
# **Predict**: which rate must the third layer have so that the three layers see 25 pixels? **Then
# move the rates.** Which rates leave pixels inside the field that are not seen (orange crosses)?

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
        xlim=(-2, SIZE + 1),
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
# ## What dilation costs
#
# Every layer now works at full resolution. Here are two chains of four 3 × 3 layers with 64
# features on an image of 512 × 512 pixels. Both see 31 pixels; one strides, one dilates.
# `analysis.summary` counts their multiply-adds, and the outputs of all layers are what training
# keeps in memory for the backward pass.


# %%
def cost(strides, dilations, size=512, features=64):
    """Field, multiply-adds, and mebibytes of the layers' outputs in float32."""
    kernel = jax.ShapeDtypeStruct((3, 3, features, features), jnp.float32)

    def net(x):
        for number, (s, d) in enumerate(zip(strides, dilations, strict=True)):
            with jax.named_scope(f"layer {number}"):
                x = ops.conv(x, jnp.ones(kernel.shape), stride=s, dilation=d)
        return x

    table = analysis.summary(net, jax.ShapeDtypeStruct((1, size, size, features), jnp.float32))
    whole, *layers = sorted(table.layers, key=lambda layer: layer.name)
    values = sum(math.prod(layer.shape) for layer in layers)
    return whole.field.size[0], whole.multiply_adds, 4 * values / 2**20


for name, strides, dilations in (
    ("strides 2, 2, 2, 1", (2, 2, 2, 1), (1, 1, 1, 1)),
    ("dilations 1, 2, 4, 8", (1, 1, 1, 1), (1, 2, 4, 8)),
):
    size, multiply_adds, mebibytes = cost(strides, dilations)
    print(
        f"{name:>21}: field {size} pixels, {multiply_adds / 1e9:5.1f} billion multiply-adds, "
        f"{mebibytes:4.0f} MiB"
    )

# %% [markdown]
# Dilation costs about twelve times as many multiply-adds here, and twelve times as much memory.
# This is why nets for segmentation stride first, down to an eighth or a sixteenth, and dilate only
# behind that.
#
# ## Several rates at once: ASPP
#
# DeepLab (Chen et al. 2017) reads the last map at several rates *in parallel*. This **atrous
# spatial pyramid pooling** sees small and large surroundings at the same time; its last branch, the
# mean of the map, sees the whole image:

# %%
plots.aspp(rates=(6, 12, 18))

# %% [markdown]
# The branches of `nn.ASPP` see $2d + 1 = 13$, 25 and 37 pixels of the map. If the map has one pixel
# for every 8 of the image, this is 97, 193 and 289 pixels of the image, besides what the encoder
# below has seen.

# %% [markdown]
# ## Holes: gridding
#
# A **hole** of a receptive field is a pixel inside it that no path leads to, so that it cannot
# change the output. (The pixels that one kernel skips need not be holes: other layers may fill them
# in.)
#
# Not every choice of rates is good. With rates 2, 2, 2 an output pixel sees only pixels at even
# distances along both axes, and its neighbor sees none of these. The image falls into four grids
# that never exchange information. This is called *gridding*.
#
# Wang et al. (2018) give two rules for the rates $d_1, \dots, d_L$ of a *hybrid* dilated chain. The
# first one bounds a distance. Let $M_L = d_L$ and
#
# $$ M_l = \max(M_{l+1} - 2 d_l,\; 2 d_l - M_{l+1},\; d_l) ; $$
#
# then $M_2 \le k$ is required, where $k$ is the number of taps along an axis. $M_l$ is meant as the
# largest distance between neighboring pixels that layers $l$ to $L$ see. The second rule is that
# the rates have no factor that is common to *all* of them.
#
# The initial rates pass the first rule and have holes, but 2 is a common factor. **Predict**: do
# rates that pass *both* rules always see their whole field? **Then search** for rates that pass
# both and still have holes. (Hint: the first rule does not depend on $d_1$.)


# %%
def draw_grid(first, second, third):
    paths = analysis.hybrid_dilation((first, second, third))
    counts, divisor = np.array(paths.counts), math.gcd(first, second, third)
    distance = f"M₂ = {paths.max_distance} {'≤' if paths.passes else '>'} 3"
    factor = f"common factor {divisor}" if divisor > 1 else "no common factor"
    return plots.path_counts(
        {f"rates {first}, {second}, {third}": np.outer(counts, counts)},
        title=f"{distance}, {factor}\nthe field has {'no holes' if paths.full else 'holes'}",
        side=43,
    )


sliders(draw_grid, first=IntSlider(2, 1, 7), second=IntSlider(2, 1, 7), third=IntSlider(2, 1, 7))

# %% [markdown]
# How often are the rules wrong? Consider all triples of rates up to 9, with three taps:

# %%
triples = {
    rates: analysis.hybrid_dilation(rates) for rates in itertools.product(range(1, 10), repeat=3)
}
passes_with_holes = [rates for rates, p in triples.items() if p.passes and not p.full]
fails_without_holes = [rates for rates, p in triples.items() if p.full and not p.passes]
coprime = [rates for rates in passes_with_holes if math.gcd(*rates) == 1]
pairwise = [
    rates
    for rates in passes_with_holes
    if all(math.gcd(*pair) == 1 for pair in itertools.combinations(rates, 2))
]
print(
    f"{len(triples)} triples. Rule M₂ ≤ 3: {len(passes_with_holes)} pass and have holes, "
    f"{len(fails_without_holes)} fail and have none"
)
print(
    f"of those that pass with holes, {len(coprime)} have no factor common to all three rates, and "
    f"{len(pairwise)} have none common to any two"
)

from_one = {rates: p for rates, p in triples.items() if rates[0] == 1}
print(
    f"{len(from_one)} triples begin with rate 1: {sum(not p.full for p in from_one.values())} of "
    f"them have holes, {sum(p.passes and not p.full for p in from_one.values())} of those pass the "
    f"rule"
)

# %% [markdown]
# So the two rules together are not enough, and rate 1 in the first layer is not enough either: (1,
# 1, 6) has holes. But **rate 1 in the first layer together with $M_2 \le 3$** never leaves a hole
# in three layers of three taps. (These triples are all there are: $M_2 \le 3$ needs $d_2 \le 3$ and
# $d_3 \le 3 + 2 d_2 \le 9$.) In general, count the paths, as `analysis.hybrid_dilation` does.
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
# Dilation keeps every pixel at the cost above. The alternative is to stride first and to bring the
# pixels back afterwards, which is the subject of the next page.
#
# ## Summary
#
# - $r = 1 + \sum_l (k_l - 1)\, d_l$: rates that double see as far as strides of 2, at full
#   resolution.
# - The price is computation and memory at full resolution.
# - Rates with holes do not see all of their field. Rate 1 first, and $M_2 \le k$, is safe for three
#   layers of three taps; the published rules alone are not. In doubt, count the paths.
# - A stride can be traded for dilation in a trained net, without new training.
#
# ## Exercises
#
# **1.** Five 3 × 3 layers shall see 63 pixels without holes. Which rates do it?
#
# <details><summary>Solution</summary>
#
# $1 + 2\,(1 + 2 + 4 + 8 + 16) = 63$. Doubling rates that begin with 1 leave no hole: the layers
# before the one of rate $d$ see $2d - 1$ adjacent pixels, and it joins three such groups at
# distance $d$, which overlap (or touch, for $d = 1$).
#
# </details>
#
# **2.** ASPP with rate 24 reads a map of 20 × 20 pixels. What does its 3 × 3 kernel compute?
#
# <details><summary>Solution</summary>
#
# All taps but the middle one lie outside of the map, at every pixel, where they meet zeros. The
# 3 × 3 convolution has become a 1 × 1 convolution (Chen et al. 2017, section 3.3).
#
# </details>
#
# **3.** Rates 2, 3, 5 pass both rules. How many pixels of their field are not seen?
#
# <details><summary>Solution</summary>
#
# The field has $1 + 2 \cdot 10 = 21$ pixels. Sums of $\pm 2$, $\pm 3$, $\pm 5$ and zeros reach
# every distance up to 10 but 9, so two pixels are not seen.
#
# </details>
#
# **Sources.** Yu & Koltun 2016, arXiv:1511.07122. Wang et al. 2018, arXiv:1702.08502. Chen et al.
# 2017, arXiv:1706.05587. Yu, Koltun & Funkhouser 2017, arXiv:1705.09914.
#
# ---
#
# [← Segmentation](02_segmentation.ipynb) · [Contents and symbols](00_opening.ipynb) · [Upconvolution →](04_upconvolution.ipynb)
