# %% [markdown]
# # Upconvolution – residual connections
#
# Striding lets a net see far but loses *where* things are. Upconvolution brings the pixels back but
# can only guess what they contained. A **long skip** carries this information around the
# bottleneck: it joins the encoder's feature map of each size to the decoder's map of the same size.
# FCN adds scores (Long et al. 2015); the U-Net concatenates features (Ronneberger et al. 2015):
#
# $$ d_i = D_i\big(\operatorname{up}(d_{i+1}),\; e_i\big), \qquad
# e_{i+1} = E_i(\operatorname{down}(e_i)) . $$
#
# Here $e_i$ is the encoder's map of level $i$, $d_i$ the decoder's. A long skip is a residual
# connection across the net: a short path from the image to the output beside a long one that sees
# far.

# %%
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from ipywidgets import FloatSlider, SelectionSlider
from matplotlib.figure import Figure
from pages import SMALL, class_legend, sliders

from jaxseg import analysis, data, losses, metrics, models, nn, ops, plots, training
from jaxseg.data.sets.mosaic import PALETTE

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
# **Move the strength of the skip** from 0 to 1: the last image goes from the blurred one to the
# original. **Increase the stride**: what share of the image's variance is lost?

# %%
SIZE = 64
CONFIG = data.MosaicConfig(size=SIZE, cells=6)
IMAGE = data.mosaic_example(CONFIG, "train", 3)[0][None, ..., None] / np.float32(255)


def draw_skip(stride, skip):
    resized = ops.resize(ops.avg_pool(IMAGE, stride), SIZE)
    lost = IMAGE - resized
    panels = {
        "image": (IMAGE, "gray", (0, 1)),
        f"down and up by {stride}": (resized, "gray", (0, 1)),
        "lost": (lost, "RdBu_r", (-0.5, 0.5)),
        f"with {skip:.2f} of the skip": (resized + skip * lost, "gray", (0, 1)),
    }
    figure = Figure(figsize=(9.0, 2.6), layout="constrained")
    for axes, (name, (pixels, cmap, limits)) in zip(
        figure.subplots(1, 4), panels.items(), strict=True
    ):
        axes.imshow(pixels[0, ..., 0], cmap=cmap, vmin=limits[0], vmax=limits[1])
        axes.set(xticks=[], yticks=[])
        axes.set_title(name, fontsize=9)
    share = float(jnp.var(lost) / jnp.var(IMAGE))
    figure.suptitle(f"{share:.0%} of the image's variance is lost", fontsize=9)
    return figure


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
# two in the decoder, and sees 9 × 9 pixels. **Change the number of levels**: each level halves the
# image once more, and the field grows from 18 pixels with two levels to 44, 100 and 204, which is
# about twofold each time.


# %%
SIDE_OF_FIELD = 320


def receptive_field(net):
    image = jax.ShapeDtypeStruct((1, SIDE_OF_FIELD, SIDE_OF_FIELD, 1), jnp.float32)
    return analysis.receptive_field(net, image)


def long_path(levels):
    """The field of a U-Net."""

    def net(images):
        widths = (1,) * levels
        return models.UNet(classes=1, inputs=1, widths=widths, rngs=nnx.Rngs(0))(images)

    return receptive_field(net)


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
# The figure shows random nets at initialization: the root mean square of the gradient of each 3 × 3
# kernel relative to that of the last one, from the image (left) through the lowest level to the
# output (right).

# %%
LEVELS, NETS, SIDE = (2, 2, 8) if SMALL else (3, 6, 16)
KINDS = {
    "no skips": {"skips": "none", "residual": False},
    "long": {"skips": "sum", "residual": False},
    "long and short": {"skips": "sum", "residual": True},
}
if SMALL:
    KINDS = {"long": KINDS["long"]}


def unet(kind):
    """`init` and `apply` of a U-Net with `LEVELS` levels of 8 features."""
    return nn.functional(
        lambda rngs: models.UNet(
            classes=3, inputs=1, widths=(8,) * LEVELS, norm="group", **KINDS[kind], rngs=rngs
        )
    )


def kernel_gradients(kind):
    """(nets, kernels): root mean squares, in the order of the layers."""
    init, apply = unet(kind)
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
COLORS = {"no skips": "#777777", "long": "#0b5fa5", "long and short": "#e4572e"}
figure = Figure(figsize=(7.6, 3.6), layout="constrained")
axes = figure.subplots()
for kind, norms in gradients_of_kinds.items():
    logs = np.log10(norms / norms[:, -1:])
    number = np.arange(1, logs.shape[1] + 1)
    axes.plot(number, np.median(logs, axis=0), "o-", color=COLORS[kind], label=kind, markersize=4)
    axes.fill_between(
        number, logs.min(axis=0), logs.max(axis=0), color=COLORS[kind], alpha=0.15, linewidth=0
    )
axes.axvspan(2 * LEVELS - 1.5, 2 * LEVELS + 0.5, color="#eeeeee", zorder=0, label="lowest level")
axes.set(
    xlabel="3 × 3 convolution, from the image to the output",
    ylabel="log₁₀ of gradient / that of the last one",
)
axes.legend(fontsize=8, frameon=False)
axes.spines[["top", "right"]].set_visible(False)
figure

# %% [markdown]
# Without skips the gradient grows toward the image, as it does in plain nets with a norm
# ([Residual connections – gradient](07_residual_gradient.ipynb)). With long skips the curve has a
# *valley* at the lowest level: through the first skip, both ends of the net are close to the
# output, and the lowest level is farthest from it. No gradient vanishes here, with or without
# skips. So the main effect of long skips is not on the size of the gradient, but on what the
# decoder *knows*.
#
# ## Do long skips improve the segmentation?
#
# Two nets, without and with long skips, are trained on the same mosaics for equally many steps and
# evaluated on test images: by pixel accuracy, by mean IoU, and by accuracy within two pixels of a
# border between classes, where the lost details matter.

# %%
STEPS, BATCH, RATE = (2, 2, 3e-3) if SMALL else (140, 8, 3e-3)
MOSAIC = data.MosaicConfig(size=SIDE if SMALL else 32, cells=5)


def draw_examples(split, number):
    """Normalized images and their labels."""
    pairs = [data.mosaic_example(MOSAIC, split, index) for index in range(number)]
    pixels = (np.stack([p[0] for p in pairs])[..., None] - 128.0) / 40
    return jnp.asarray(pixels, jnp.float32), jnp.asarray(np.stack([p[1] for p in pairs]), jnp.int32)


images, labels = draw_examples("train", 8 if SMALL else 256)
test_images, test_labels = draw_examples("test", 4 if SMALL else 48)


def train(kind, seed=0):
    """The loss of every step, and the predictions for the test images."""
    init, apply = unet(kind)
    order = np.random.default_rng(seed).integers(len(images), size=(STEPS, BATCH))
    optimizer = optax.chain(training.clip_by_norm(1.0), optax.adam(RATE))
    step = training.make_train_step(apply, optimizer, losses.mean_cross_entropy)

    def train_batch(state, batch):
        return step(state, {"image": images[batch], "label": labels[batch]})

    @jax.jit
    def run(key):
        state = training.init_state(*init(key), optimizer)
        state, history = jax.lax.scan(train_batch, state, order)
        scores, _ = apply(state.params, state.stats, test_images)
        return history["loss"], jnp.argmax(scores, axis=-1).astype(jnp.int32)

    return jax.device_get(run(jax.random.key(seed)))


def near_borders(labels, reach=2):
    """Pixels that have a pixel of another class within `reach` pixels."""
    one_hot = jax.nn.one_hot(labels, 3)
    around = ops.max_pool(one_hot, 2 * reach + 1, stride=1, padding=reach)
    return np.asarray(jnp.sum(around, axis=-1) > 1)


borders, predictions = near_borders(test_labels), {}
for kind in [k for k in KINDS if k != "long and short"]:
    history, predictions[kind] = train(kind)
    confusion = metrics.confusion_matrix(test_labels, predictions[kind], 3)
    correct = predictions[kind] == np.asarray(test_labels)
    print(
        f"{kind:>8}: training loss {history[-25:].mean():.3f}; test accuracy "
        f"{float(metrics.pixel_accuracy(confusion)):.3f} ({correct[borders].mean():.3f} near "
        f"borders, {correct[~borders].mean():.3f} elsewhere), mean IoU "
        f"{float(metrics.mean_iou(confusion)):.3f}"
    )

# %%
figure = Figure(figsize=(7.0, 6.4), layout="constrained")
maps = {"image": np.asarray(test_images[:4] * 40 + 128) / 255, "truth": np.asarray(test_labels[:4])}
maps |= {kind: prediction[:4] for kind, prediction in predictions.items()}
plots.image_strip(figure, maps, PALETTE)
class_legend(figure)
figure

# %% [markdown]
# After 140 steps neither net has learned much, and to the eye the maps without skips are as good.
# **Set `STEPS` to 1500** to see the difference; the cell then takes ten times as long. With seeds 0
# and 1 we measured these test accuracies and mean IoUs:
#
# | net | accuracy near borders | accuracy elsewhere | mean IoU |
# |---|---|---|---|
# | no skips | .52, .53 | .72, .72 | .50, .51 |
# | long | .58, .56 | .75, .73 | .55, .52 |
#
# So long skips help most near the borders, where the lost details matter. (Two seeds of one small
# net: a difference of a few hundredths may be chance. `python -m experiments.long_skips` compares
# more skips and seeds.)
#
# All pages so far looked at a handful of nets. Statements about *random* nets have to be measured
# over many of them: [Gradient-norm studies with `vmap`](09_gradient_norms.ipynb).
#
# **Sources.** Long et al. 2015, arXiv:1411.4038. Ronneberger et al. 2015, arXiv:1505.04597.
# Drozdzal et al. 2016, arXiv:1608.04117.
