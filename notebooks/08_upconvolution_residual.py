# %% [markdown]
# # Upconvolution – residual connections
#
# [← Residual connections – gradient](07_residual_gradient.ipynb) · [Contents and symbols](00_opening.ipynb) · [Gradient-norm studies with `vmap` →](09_gradient_norms.ipynb)
#
# Striding lets a net see far but loses *where* things are. Upconvolution brings the pixels back but
# can only guess what they contained. A **long skip** carries this information around the
# bottleneck: it joins the encoder's feature map of each size to the decoder's map of the same size.
# FCN adds scores (Long et al. 2015); the U-Net concatenates features (Ronneberger et al. 2015):
#
# $$ d_i = D_i\big(\operatorname{up}(d_{i+1}),\; e_i\big), \qquad
# e_{i+1} = E_i(\operatorname{down}(e_i)) . $$
#
# Here $e_i$ is the encoder's map of level $i$, $d_i$ the decoder's; $E_i$ and $D_i$ are the layers
# that make them. A long skip is a residual connection across the net: a short path from the image
# to the output beside a long one that sees far.
#
# **What you will see**: what downsampling loses, a U-Net whose long path sees 204 pixels and whose
# short path sees 9, and trained nets of which those with long skips gain about .1 of mean IoU.

# %%
import importlib.util

if importlib.util.find_spec("jaxseg") is None:  # a fresh runtime, such as Colab's
    SOURCE = "..."  # the address of a git repository of jaxseg
    get_ipython().system(f"git clone -q {SOURCE} jaxseg && pip install -q './jaxseg[notebooks]'")
    get_ipython().run_line_magic("cd", "jaxseg/notebooks")

# %%
import functools

import jax
import jax.numpy as jnp
import numpy as np
import short_runs
from flax import nnx
from ipywidgets import FloatSlider, SelectionSlider
from pages import SMALL, results, sliders

from jaxseg import analysis, data, models, ops, plots, training
from jaxseg.data.sets.mosaic import CLASSES, PALETTE

# %%
plots.u_net(64, widths=(16, 32, 64, 128))

# %% [markdown]
# ## What downsampling loses
#
# Average an image $x$ over cells of $s \times s$ pixels and resize it back to
# $\operatorname{up}(\operatorname{down}(x))$. The difference to $x$ is lost, and this is what a
# skip has to carry:
#
# $$ x = \underbrace{\operatorname{up}(\operatorname{down}(x))}_{\text{through the net}} +
# \underbrace{\big(x - \operatorname{up}(\operatorname{down}(x))\big)}_{\text{by the skip}} . $$
#
# **Predict**: which share of the image's variance is lost at stride 8? **Then increase the
# stride.**
# **Move the strength of the skip** from 0 to 1: the last image goes from the blurred one to the
# original.

# %%
SIZE = 64
CONFIG = data.MosaicConfig(size=SIZE, cells=6)
IMAGE = data.mosaic_example(CONFIG, "train", 3)[0][None, ..., None] / np.float32(255)


def draw_skip(stride, skip):
    resized = ops.resize(ops.avg_pool(IMAGE, stride), SIZE)
    lost = IMAGE - resized
    panels = {
        "image": IMAGE,
        f"down and up by {stride}": resized,
        "lost": lost,
        f"with {skip:.2f} of the skip": resized + skip * lost,
    }
    return plots.image_row(
        {name: np.asarray(pixels[0, ..., 0]) for name, pixels in panels.items()},
        differences=["lost"],
        title=f"{float(jnp.var(lost) / jnp.var(IMAGE)):.0%} of the image's variance is lost",
    )


sliders(
    draw_skip,
    stride=SelectionSlider(options=[2, 4, 8, 16, 32], value=8),
    skip=FloatSlider(value=0.5, min=0.0, max=1.0, step=0.05),
)

# %% [markdown]
# ## What a pixel sees along the long path and the short one
#
# The receptive field of a U-Net is that of its longest path, through the lowest level. The shortest
# path, through the first skip, goes through only four 3 × 3 convolutions, two in the encoder and
# two in the decoder, and sees 9 × 9 pixels.
#
# **Predict**: two levels see 18 pixels; how many do five see, if each level halves the image once
# more? **Then change the number of levels.** (18, 44, 100 and 204: each step about doubles the
# field.)

# %%
SIDE_OF_FIELD = 320


@functools.cache
def long_path(levels):
    """The field of a U-Net."""

    def net(images):
        widths = (1,) * levels
        return models.UNet(classes=1, inputs=1, widths=widths, rngs=nnx.Rngs(0))(images)

    return receptive_field(net)


def receptive_field(net):
    image = jax.ShapeDtypeStruct((1, SIDE_OF_FIELD, SIDE_OF_FIELD, 1), jnp.float32)
    return analysis.receptive_field(net, image)


@functools.cache
def short_path():
    """The field of the four convolutions that the first skip leaves."""

    def net(images):
        for _ in range(4):
            images = ops.conv(images, jnp.ones((3, 3, 1, 1)))
        return images

    return receptive_field(net)


def draw_field(levels):
    # Fields differ by phase; that of a pixel in the middle of a coarsest cell is the largest.
    pixel = (SIDE_OF_FIELD // 2 + 2 ** (levels - 1) // 2,) * 2
    long, short = long_path(levels), short_path()
    return plots.windows(
        (SIDE_OF_FIELD, SIDE_OF_FIELD),
        [long.window(pixel), short.window(pixel)],
        ["long path", "short path"],
        title=f"what one pixel of a U-Net of {levels} levels sees",
    )


for levels in (2, 3, 4, 5):  # measured now, so that the slider need not wait
    long_path(levels)

sliders(draw_field, levels=SelectionSlider(options=[2, 3, 4, 5], value=3))

# %% [markdown]
# ## Images of any size
#
# The encoder rounds up when it halves an odd size, and the decoder cuts off what an upconvolution
# yields beyond the size of the skip. So the skips also say *which size* to return to, and the
# output is as large as the image, from 1 × 1 pixels on:


# %%
def output_size(size):
    def net(images):
        return models.UNet(classes=5, inputs=3, widths=(4, 8, 8, 8), rngs=nnx.Rngs(0))(images)

    return jax.eval_shape(net, jnp.zeros((1, *size, 3))).shape[1:3]


sizes = [(1, 1), (2, 2), (4, 4), (32, 1), (8, 4), (2, 16), (37, 101), (512, 512)]
for size in sizes:
    print(f"image {size} -> logits {output_size(size)}")

# %% [markdown]
# ## Long and short skips: where the gradient goes
#
# Drozdzal et al. (2016) asked which skips matter: the *long* ones between encoder and decoder, or
# the *short* ones around two convolutions (residual blocks). Without long skips the gradient
# reaches the first layers only through the whole net; with them, also through a single level.
#
# The figure shows random nets with group norm at initialization: the root mean square of the
# gradient of each 3 × 3 kernel relative to that of the last one, from the image (left) through the
# lowest level to the output (right).

# %%
LEVELS, NETS, SIDE = (2, 2, 8) if SMALL else (3, 6, 16)
KINDS = {"no skips": ("none", False), "long": ("sum", False), "long and short": ("sum", True)}
if SMALL:
    KINDS = {"long": KINDS["long"]}


def kernel_gradients(kind):
    """(nets, kernels): root mean squares, in the order of the layers."""
    skips, residual = KINDS[kind]
    init, apply = short_runs.small_unet(skips, residual=residual, levels=LEVELS)
    inputs = jax.random.normal(jax.random.key(0), (2, SIDE, SIDE, 1))

    def gradients(key):
        params, stats = init(key)
        readout = jax.random.normal(key, (2, SIDE, SIDE, 3))
        gradient = jax.grad(lambda p: jnp.sum(apply(p, stats, inputs)[0] * readout))(params)
        blocks = [gradient["down"][level] for level in range(LEVELS)]
        blocks += [gradient["merge"][level] for level in range(LEVELS - 1)]
        kernels = [
            block[name]["conv"]["kernel"] for block in blocks for name in ("first", "second")
        ]
        return jnp.stack([jnp.sqrt(jnp.mean(kernel[...] ** 2)) for kernel in kernels])

    # One call only, so it is compiled with few optimizations.
    gradients_of_all = training.over_members(
        gradients, training.member_mesh(1), in_axes=(0,), few_calls=True
    )
    return np.asarray(gradients_of_all(jax.random.split(jax.random.key(1), NETS)))


gradients_of_kinds = {kind: kernel_gradients(kind) for kind in KINDS}

# %%
logs = {kind: np.log10(norms / norms[:, -1:]) for kind, norms in gradients_of_kinds.items()}
plots.medians(
    np.arange(1, 4 * LEVELS - 1),
    logs,
    xlabel=f"3 × 3 convolution; {2 * LEVELS - 1} and {2 * LEVELS} are the lowest level's",
    ylabel="log₁₀ of gradient / that of the last one",
    title=f"{NETS} random nets; median and range",
)

# %% [markdown]
# Without skips the gradient grows toward the image, as it does in plain nets with a norm
# ([Residual connections – gradient](07_residual_gradient.ipynb)). With long skips the curve has a
# *valley* at the lowest level: through the first skip, both ends of the net are close to the
# output, and the lowest level is farthest from it. No gradient vanishes here, with or without
# skips. So the main effect of long skips is not on the size of the gradient, but on what the
# decoder *knows*.

# %% [markdown]
# ## Do long skips improve the segmentation?
#
# U-Nets without long skips, with skips that are added, and with skips that are concatenated are
# trained on the same mosaics for 1,500 steps (`python notebooks/precompute.py 08`; five seeds,
# about half a minute each). They are judged on test images: by mean IoU, and by the accuracy within
# two pixels of a border between classes, where the lost details matter, and elsewhere.
#
# **Predict**: do skips help only near the borders?

# %%
stored = results("08_long_skips")
for name, iou, border, elsewhere in zip(
    *(stored[key] for key in ("names", "mean_iou", "near_borders", "elsewhere")), strict=True
):
    print(
        f"{name:>24}: mean IoU {np.median(iou):.3f} ({iou.min():.3f} to {iou.max():.3f}); accuracy "
        f"near borders {np.median(border):.3f} ({border.min():.3f} to {border.max():.3f}), "
        f"elsewhere {np.median(elsewhere):.3f}"
    )

# %%
MOSAIC = data.MosaicConfig(size=32, cells=5)
test_images, test_labels = short_runs.mosaic_examples(MOSAIC, "test", 4 if SMALL else 48)
maps = {"image": test_images[:4] * 40 / 255 + 128 / 255, "truth": test_labels[:4]}
maps |= {
    name.replace(", ", ",\n"): prediction
    for name, prediction in zip(stored["names"].tolist(), stored["predictions"], strict=True)
}
plots.label_maps(maps, PALETTE, CLASSES, title="test images, after 1,500 steps")

# %% [markdown]
# With skips the mean IoU rises by about .09 if they are added and .12 if they are concatenated, and
# every seed with skips is above every seed without. (Concatenation also brings more parameters, see
# exercise 2.) Near borders, skips bring back where a class ends. But the accuracy elsewhere gains at
# least as much: the fine texture that tells the classes apart is lost by striding, too.
#
# **Try it.** The cell below trains one net for 140 steps. After so few steps no net has learned
# much, and to the eye the maps without skips are as good. Set `STEPS` to 1,500, and `SKIPS` to
# "none", "sum" or "concat".

# %%
SKIPS, STEPS, SEED = "concat", 2 if SMALL else 140, 0
train_set = short_runs.mosaic_examples(MOSAIC, "train", 8 if SMALL else 512)
net = short_runs.small_unet(SKIPS, levels=LEVELS)
run = short_runs.train(net, train_set, test_images, steps=STEPS, rate=1e-2, seed=SEED)
scores = short_runs.scores(test_labels, run.predictions)
print(", ".join(f"{name} {score:.3f}" for name, score in scores.items()))

# %% [markdown]
# All pages so far looked at a handful of nets. Statements about *random* nets have to be measured
# over many of them, which is the subject of the last page.
#
# ## Summary
#
# - Downsampling loses what varies within a cell; a long skip carries exactly this.
# - The long path sees far, the short one sees sharply: 204 and 9 pixels in a U-Net of five levels.
# - At initialization, long skips do not rescue a vanishing gradient. They bring back detail: where a
#   class ends, and the texture that tells it apart.
#
# ## Exercises
#
# **1.** A U-Net of three levels reads 37 × 101 pixels. Which sizes do its maps have?
#
# <details><summary>Solution</summary>
#
# 37 × 101, 19 × 51 and 10 × 26: halves are rounded up. On the way back, 20 × 52 is cut to 19 × 51
# and 38 × 102 to 37 × 101.
#
# </details>
#
# **2.** Sum or concatenate: which needs more parameters in the decoder, and why?
#
# <details><summary>Solution</summary>
#
# Concatenation: the first convolution behind the joint reads twice as many features, so it has
# twice as many weights. A part of what it gains above may be due to them.
#
# </details>
#
# **3.** Which share of an image's variance does the skip have to carry if the image is white noise
# and the stride is 2?
#
# <details><summary>Solution</summary>
#
# Averaging four independent pixels keeps a quarter of the variance in the means. If each mean is
# repeated in its cell, three quarters are lost. (Bilinear resizing loses .82: it also blurs the
# means.)
#
# </details>
#
# **Sources.** Long et al. 2015, arXiv:1411.4038. Ronneberger et al. 2015, arXiv:1505.04597.
# Drozdzal et al. 2016, arXiv:1608.04117.
#
# ---
#
# [← Residual connections – gradient](07_residual_gradient.ipynb) · [Contents and symbols](00_opening.ipynb) · [Gradient-norm studies with `vmap` →](09_gradient_norms.ipynb)
