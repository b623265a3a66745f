# %% [markdown]
# # Receptive field – striding
#
# [← Why dense prediction works: an opening](00_opening.ipynb) · [Contents and symbols](00_opening.ipynb) · [Segmentation →](02_segmentation.ipynb)
#
# The **receptive field** of an output pixel is the part of the image that can change its value. The
# net cannot use anything outside it: if the field is smaller than a brick, the net never sees a
# whole brick.
#
# For a chain of $L$ layers with kernels $k_l$ and strides $s_l$, the size $r$ of the field along
# one axis has a closed form (Araujo, Norris & Sim 2019):
#
# $$ r = 1 + \sum_{l=1}^{L} (k_l - 1) \prod_{i<l} s_i . $$
#
# Layer $l$ adds $k_l - 1$ pixels of its own input, and one pixel of that input corresponds to
# $s_1 \cdots s_{l-1}$ pixels of the image. Without strides the field grows *linearly* with depth;
# with a stride in every layer it grows *exponentially*.
#
# **What you will see**: fields that double from layer to layer, the field of VGG-16 as published,
# two nets that are both called "ResNet-50" and see differently far, and why most of a field hardly
# counts.

# %%
import importlib.util

if importlib.util.find_spec("jaxseg") is None:  # a fresh runtime, such as Colab's
    SOURCE = "..."  # the address of a git repository of jaxseg
    get_ipython().system(f"git clone -q {SOURCE} jaxseg && pip install -q './jaxseg[notebooks]'")
    get_ipython().run_line_magic("cd", "jaxseg/notebooks")

# %%
import math

import jax
import jax.numpy as jnp
import numpy as np
from ipywidgets import IntSlider
from pages import SMALL, pixels_inside, rows, sliders

from jaxseg import analysis, nn, ops, plots

# %% [markdown]
# ## What one output pixel sees
#
# The figure shows one axis of an image at the bottom and the layers above it. Blue marks what the
# middle output pixel sees. The number below an image pixel counts the *paths* from it to that
# output pixel.
#
# **Predict**: three layers of stride 2 see 15 pixels; how many do four see? And four layers of
# stride 1? **Then move depth and stride.** **Set the padding to 0**: where do the pixels of the
# upper rows lie now? **Choose kernel 2, stride 2 and padding 0**: how many paths lead from each
# pixel?

# %%
SIZE = 32


def layer(kernel, stride, padding):
    return lambda x: ops.conv(x, jnp.ones((kernel, 1, 1)), stride=stride, padding=padding)


def field_by_formula(kernels, strides):
    """The formula above."""
    steps = [math.prod(strides[:number]) for number in range(len(strides))]
    return 1 + sum((k - 1) * step for k, step in zip(kernels, steps, strict=True))


def draw_chain(depth, kernel, stride, padding):
    links, places = rows([layer(kernel, stride, padding)] * depth, SIZE)
    index = len(places[-1]) // 2
    size = field_by_formula([kernel] * depth, [stride] * depth)
    inside = pixels_inside(links, index)
    clipped = f", {inside} of them inside the image" if inside < size else ""
    return plots.chain(
        links,
        places,
        ["image", *(f"layer {n + 1}" for n in range(depth))],
        index=index,
        title=f"r = 1 + {kernel - 1} · ({' + '.join(str(stride**n) for n in range(depth))})"
        f" = {size} pixels{clipped}; {len(places[-1])} outputs",
        most_rows=6,
        xlim=(-8, SIZE + 7),
    )


sliders(
    draw_chain,
    depth=IntSlider(3, 1, 5),
    kernel=IntSlider(3, 1, 5),
    stride=IntSlider(2, 1, 3),
    padding=IntSlider(1, 0, 3),
)

# %% [markdown]
# ## Growth with depth
#
# `analysis.receptive_field` needs no formula: it reads the field off the program of the net. Here
# it measures chains of layers with 3 taps.


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
    list(DEPTHS), growth, title="kernel 3: $2L + 1$ without strides, $2^{L+1} - 1$ with stride 2"
)

# %% [markdown]
# ## A real net, layer by layer
#
# VGG-16 (Simonyan & Zisserman 2015) consists of pairs and triples of 3 × 3 convolutions, each
# followed by 2 × 2 pooling. **Change the list**: what happens if a pooling comes two layers
# earlier? What if every convolution has 5 × 5 taps?

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
"""(kernel, stride) of each convolution and pooling, the one next to the image first."""

kernels, strides = zip(*VGG16, strict=True)
sizes = [field_by_formula(kernels[:n], strides[:n]) for n in range(1, len(VGG16) + 1)]
assert sizes[-1] == measured_field(kernels, strides)
for number, ((kernel, stride), size) in enumerate(zip(VGG16, sizes, strict=True), 1):
    kind = "pooling" if stride > 1 else "conv"
    print(
        f"{number:2d} {kind:>7} {kernel} × {kernel}: field {size:3d} pixels, one output every "
        f"{math.prod(strides[:number]):2d}"
    )

# %% [markdown]
# The published field of the last pooling is 212 pixels (Araujo et al. 2019), as here.
#
# Where a stride stands matters as much as its size. A bottleneck block of a ResNet has three
# convolutions, 1 × 1, 3 × 3 and 1 × 1. In the original publication the first one has the stride (He
# et al. 2015); in most code today the 3 × 3 one has it. So there are two nets called "ResNet-50",
# with different fields:


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
    print(f"ResNet-50 with its strides on the {where} convolutions: {size} pixels")

# %% [markdown]
# ## The effective receptive field
#
# Every pixel of the field *can* change the output, but not all of them do so equally. The path
# counts above are largest in the middle. A path through $L$ kernels of three equal taps is a random
# walk of $L$ steps of −1, 0 or 1, so the paths are distributed as a bell curve of variance
# $\tfrac{2}{3} L$. The field grows as $L$, the bell curve only as $\sqrt L$ (Luo et al. 2016).
#
# **Predict**: if the depth grows from 4 layers to 16, does the share of the field that holds 95 %
# of the paths stay, halve, or fall to a quarter? **Then move the depth.**


# %%
def draw_paths(depth):
    counts = np.array(analysis.hybrid_dilation([1] * depth).counts, float)
    shares, offsets = counts / counts.sum(), np.arange(len(counts)) - depth
    deviation = np.sqrt(2 * depth / 3)
    reach = int(np.floor(1.96 * deviation))
    share_of_paths = shares[np.abs(offsets) <= reach].sum()
    along = np.linspace(-depth - 0.5, depth + 0.5, 400)
    bell = np.exp(-0.5 * (along / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))
    return plots.shares(
        offsets,
        {"share of the paths": shares},
        curve=(along, bell, r"normal, $\sigma^2 = 2L/3$"),
        limits=((-41, 41), (0, 0.36)),
        xlabel="pixels from the middle of the field",
        title=f"{depth} layers: of the {2 * depth + 1} pixels of the field, the middle "
        f"{2 * reach + 1} hold {share_of_paths:.0%} of the paths",
    )


sliders(draw_paths, depth=IntSlider(20, 1, 100))

# %% [markdown]
# Path counts ignore the weights and the ReLUs. Do random ReLU nets behave in the same way?
# `analysis.effective_receptive_field` measures it: it averages the squared gradient of one output
# pixel over random nets (He initialization) and random projections of their features.

# %%
LAYERS = (4, 8) if SMALL else (5, 10, 20)
FEATURES, NETS = 16, 4 if SMALL else 48


def random_nets(depth):
    """The effective field of random nets of this depth."""
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


effective_fields = {depth: random_nets(depth) for depth in LAYERS}
for depth, field in effective_fields.items():
    rows_width, columns_width = field.width[0]
    print(
        f"{depth:2d} layers: σ = {rows_width:.2f} and {columns_width:.2f} pixels along rows and "
        f"columns, √(2L/3) = {np.sqrt(2 * depth / 3):.2f}; field {2 * depth + 1}"
    )

# %%
extents = {
    depth: (field.energy.shape[1] // 2 - depth, field.energy.shape[1] // 2 + depth)
    for depth, field in effective_fields.items()
}
plots.effective_field(
    [np.asarray(field.energy[0]) for field in effective_fields.values()],
    [(extents[depth], extents[depth]) for depth in effective_fields],
    [field.center[0] for field in effective_fields.values()],
    [field.width[0] for field in effective_fields.values()],
    labels=[f"{depth} layers" for depth in effective_fields],
    title="effective field of one output pixel, over random ReLU nets",
)

# %% [markdown]
# So depth alone is a slow way to see far: a net twice as deep sees effectively $\sqrt2$ times as
# far. Striding is fast, but it loses pixels: in the first figure, four outputs are left of 32
# pixels. What that costs is the subject of the next page.
#
# ## Summary
#
# - $r = 1 + \sum_l (k_l - 1) \prod_{i<l} s_i$: linear in depth without strides, exponential with
#   them.
# - The field belongs to the *net*, not to its name: where a stride stands changes it.
# - The effective field is a bell curve of standard deviation $\sqrt{2L/3}$ inside the field of
#   $2L + 1$ pixels.
#
# ## Exercises
#
# **1.** How many 3 × 3 layers of stride 1 see as far as four of stride 2?
#
# <details><summary>Solution</summary>
#
# Four layers of stride 2 see $2^5 - 1 = 31$ pixels; $2L + 1 = 31$ needs $L = 15$.
#
# </details>
#
# **2.** Move the first pooling of VGG-16 to the very front. Does the field grow or shrink?
#
# <details><summary>Solution</summary>
#
# The two convolutions behind it now add $2 \cdot 2$ pixels each instead of 2; the pooling adds 1 as
# before. The field grows by 4, from 212 to 216 pixels.
#
# </details>
#
# **3.** From which depth on do 95 % of the paths lie within a quarter of the field?
#
# <details><summary>Solution</summary>
#
# About $2 \cdot 1.96 \sqrt{2L/3}$ pixels hold 95 %. This is a quarter of $2L$ when
# $\sqrt L = 8 \cdot 1.96 \sqrt{2/3}/2 \approx 6.4$, so from about 41 layers on.
#
# </details>
#
# **Sources.** Araujo, Norris & Sim, *Computing receptive fields of convolutional neural networks*,
# Distill 2019. Luo et al., *Understanding the effective receptive field in deep convolutional
# neural networks*, 2016, arXiv:1701.04128. He et al., 2015, arXiv:1512.03385. Simonyan & Zisserman,
# 2015, arXiv:1409.1556.
#
# ---
#
# [← Why dense prediction works: an opening](00_opening.ipynb) · [Contents and symbols](00_opening.ipynb) · [Segmentation →](02_segmentation.ipynb)
