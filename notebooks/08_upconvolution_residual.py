# %% [markdown]
# # Upconvolution – residual connections
#
# Striding sees far and loses *where*; upconvolution brings the pixels back and can only guess what
# was in them. So carry it around: a **long skip** joins the encoder's map of each size to the
# decoder's map of that size. FCN adds scores (Long et al. 2015), the U-Net concatenates features
# (Ronneberger et al. 2015):
#
# $$ d_i = D_i\big(\operatorname{up}(d_{i+1}),\; e_i\big), \qquad e_{i+1} = E_i(\text{down}(e_i)) .
# $$
#
# It is the residual connection of the whole net: a short path from the image to the answer, beside
# a long one that sees far.

# %%
import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from ipywidgets import FloatSlider, SelectionSlider
from matplotlib.figure import Figure
from pages import SMALL, sliders

from jaxseg import analysis, data, losses, metrics, models, nn, ops, plots, training

# %% [markdown]
# ## What the way down loses
#
# An image $x$, averaged over cells of $s \times s$ and brought back:
# $\operatorname{up}(\operatorname{down}(x))$. What is lost is the difference, and it is what a skip
# has to carry:
#
# $$ x = \underbrace{\operatorname{up}(\operatorname{down}(x))}_{\text{through the net}} +
# \underbrace{\big(x - \operatorname{up}(\operatorname{down}(x))\big)}_{\text{by the skip}} . $$
#
# **Move the strength** of the skip from 0 to 1.

# %%
SIZE = 64
CONFIG = data.MosaicConfig(size=SIZE, cells=6)
grey, _ = data.mosaic_example(CONFIG, "train", 3)
picture = jnp.asarray(grey / 255.0, jnp.float32)[None, ..., None]


def draw_skip(stride, skip):
    back = ops.resize(ops.avg_pool(picture, stride), SIZE)
    lost = picture - back
    shown = {
        "image": (picture, "gray", (0, 1)),
        f"down and up by {stride}": (back, "gray", (0, 1)),
        "lost": (lost, "RdBu_r", (-0.5, 0.5)),
        f"with {skip:.2f} of the skip": (back + skip * lost, "gray", (0, 1)),
    }
    figure = Figure(figsize=(9.0, 2.6), layout="constrained")
    for axes, (name, (pixels, colours, limits)) in zip(
        figure.subplots(1, 4), shown.items(), strict=True
    ):
        axes.imshow(pixels[0, ..., 0], cmap=colours, vmin=limits[0], vmax=limits[1])
        axes.set(xticks=[], yticks=[])
        axes.set_title(name, fontsize=9)
    share = float(jnp.var(lost) / jnp.var(picture))
    figure.suptitle(f"{share:.0%} of the image's variance is lost", fontsize=9)
    return figure


sliders(
    draw_skip,
    stride=SelectionSlider(options=[2, 4, 8, 16, 32], value=8),
    skip=FloatSlider(value=0.5, min=0.0, max=1.0, step=0.05),
)

# %% [markdown]
# ## What a pixel sees, by the long way and by the short
#
# The field of a U-Net's pixel is that of its longest path, down to the last level. **Change the
# number of levels**: the field doubles with each, and each is one more halving of the image.


# %%
def unet_field(levels, skips):
    def net(images):
        widths = (1,) * levels
        fields = {"classes": 1, "inputs": 1, "widths": widths, "skips": skips}
        return models.UNet(**fields, rngs=nnx.Rngs(0))(images)

    side = 2 ** (levels + 5)
    return analysis.receptive_field(net, jax.ShapeDtypeStruct((1, side, side, 1), jnp.float32))


def draw_field(levels):
    field = unet_field(levels, "concat")
    side = field.input_size[0]
    phases = [(side // 2, side // 2), (side // 2 + 2 ** (levels - 1) // 2,) * 2]
    return plots.windows(
        (side, side),
        [field.window(p) for p in phases],
        [f"pixel {p[0]}" for p in phases],
        title=f"{levels} levels, {levels - 1} long skips: up to {field.size[0]} pixels an axis",
    )


sliders(draw_field, levels=SelectionSlider(options=[1, 2, 3, 4, 5], value=3))

# %% [markdown]
# ## Any size comes out as it went in
#
# Odd sizes are halved upwards, and what an upconvolution makes beyond the skip's size is cut off: a
# skip also says *which size* to come back to. From 1 × 1 pixels on:


# %%
def shape_of_answer(size):
    def net(images):
        return models.UNet(classes=5, inputs=3, widths=(4, 8, 8, 8), rngs=nnx.Rngs(0))(images)

    return jax.eval_shape(net, jnp.zeros((1, *size, 3))).shape[1:3]


sizes = [(1, 1), (2, 2), (4, 4), (32, 1), (8, 4), (2, 16), (37, 101), (512, 512)]
assert all(shape_of_answer(size) == size for size in sizes)
print(f"{len(sizes)} sizes from {sizes[0]} to {sizes[-1]} come out as they went in")

# %% [markdown]
# ## Long and short skips: where the gradient goes
#
# Drozdzal et al. (2016) asked which skips matter: the *long* ones between encoder and decoder, or
# the *short* ones around two convolutions (a residual block). Without long skips the first layers
# are reached by the gradient through the whole net alone; with them, through one level.
#
# Below, at initialisation: the root mean square of the gradient in each 3 × 3 kernel, from the
# image (left) over the lowest level to the answer (right), over random nets, beside the last
# kernel's.

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

    # Over the members of an ensemble; compiled quickly, not well, for it runs once.
    many = training.over_members(gradients, training.member_mesh(1), in_axes=(0,), few_calls=True)
    return np.asarray(many(jax.random.split(jax.random.key(1), NETS)))


found = {kind: kernel_gradients(kind) for kind in KINDS}

# %%
COLOURS = {"no skips": "#777777", "long": "#0b5fa5", "long and short": "#e4572e"}
figure = Figure(figsize=(7.6, 3.6), layout="constrained")
axes = figure.subplots()
for kind, norms in found.items():
    logs = np.log10(norms / norms[:, -1:])
    place = np.arange(1, logs.shape[1] + 1)
    axes.plot(place, np.median(logs, axis=0), "o-", color=COLOURS[kind], label=kind, markersize=4)
    axes.fill_between(
        place, logs.min(axis=0), logs.max(axis=0), color=COLOURS[kind], alpha=0.15, linewidth=0
    )
axes.axvspan(2 * LEVELS - 1.5, 2 * LEVELS + 0.5, color="#eeeeee", zorder=0, label="lowest level")
axes.set(
    xlabel="3 × 3 convolution, from the image to the answer",
    ylabel="log10 of gradient / the last one's",
)
axes.legend(fontsize=8, frameon=False)
axes.spines[["top", "right"]].set_visible(False)
figure

# %% [markdown]
# Without skips the gradient grows towards the image, as norms make it grow
# ([Residual connections – gradient](07_residual_gradient.ipynb)). With long skips it is a *valley*:
# both ends are near to the answer, by the skip of the first level, and the lowest level is the
# farthest. No gradient vanishes here, with skips or without: what the long skips mend first is not
# the gradient's size but what the decoder *knows*.
#
# ## Does it matter for the answer?
#
# The same nets, without and with long skips, trained on the same mosaics with the same steps, and
# judged on images of their own: by pixels, by classes, and by pixels within two of a border between
# classes, where the pixels count that were lost.

# %%
STEPS, BATCH, RATE = (2, 2, 3e-3) if SMALL else (140, 8, 3e-3)
MOSAIC = data.MosaicConfig(size=SIDE if SMALL else 32, cells=5)


def drawn(split, number):
    pairs = [data.mosaic_example(MOSAIC, split, index) for index in range(number)]
    pixels = (np.stack([p[0] for p in pairs])[..., None] - 128.0) / 40
    return jnp.asarray(pixels, jnp.float32), jnp.asarray(np.stack([p[1] for p in pairs]), jnp.int32)


images, labels = drawn("train", 8 if SMALL else 256)
test_images, test_labels = drawn("test", 4 if SMALL else 48)
order = np.random.default_rng(0).integers(len(images), size=(STEPS, BATCH))


def train(kind):
    """Losses of every step, and labels for the test images."""
    init, apply = unet(kind)
    optimizer = optax.chain(training.clip_by_norm(1.0), optax.adam(RATE))
    step = training.make_train_step(apply, optimizer, losses.mean_cross_entropy)

    @jax.jit
    def run(key):
        state = training.init_state(*init(key), optimizer)
        pick = lambda state, at: step(state, {"image": images[at], "label": labels[at]})  # noqa: E731
        state, history = jax.lax.scan(pick, state, order)
        scores, _ = apply(state.params, state.stats, test_images)
        return history["loss"], jnp.argmax(scores, axis=-1).astype(jnp.int32)

    return jax.device_get(run(jax.random.key(0)))


def near_borders(labels, reach=2):
    """Where pixels of another class lie within `reach` pixels."""
    one_hot = jax.nn.one_hot(labels, 3)
    around = ops.max_pool(one_hot, 2 * reach + 1, stride=1, padding=reach)
    return np.asarray(jnp.sum(around, axis=-1) > 1)


borders, answers = near_borders(test_labels), {}
for kind in [k for k in KINDS if k != "long and short"]:
    curve, answers[kind] = train(kind)
    confusion = metrics.confusion_matrix(test_labels, answers[kind], 3)
    right = answers[kind] == np.asarray(test_labels)
    print(
        f"{kind:>9}: loss {curve[-25:].mean():.3f}; test accuracy "
        f"{float(metrics.pixel_accuracy(confusion)):.3f} (at borders "
        f"{right[borders].mean():.3f}, inside {right[~borders].mean():.3f}), mean IoU "
        f"{float(metrics.mean_iou(confusion)):.3f}"
    )

# %%
PALETTE = ((200, 80, 60), (80, 170, 70), (120, 120, 180))
figure = Figure(figsize=(8.4, 4.8), layout="constrained")
shown = {
    "image": np.asarray(test_images[:4] * 40 + 128) / 255,
    "truth": np.asarray(test_labels[:4]),
}
plots.image_strip(figure, {**shown, **{k: v[:4] for k, v in answers.items()}}, PALETTE)
figure

# %% [markdown]
# These are single short runs, in which a difference of a few hundredths may be chance: run more of
# them, with other seeds and more `LEVELS`, before you believe them. All pages so far looked at a
# handful of nets. What is true of *random* nets has to be measured over many:
# [Gradient-norm studies with `vmap`](09_gradient_norms.ipynb).
#
# **Sources.** Long et al. 2015, arXiv:1411.4038. Ronneberger et al. 2015, arXiv:1505.04597.
# Drozdzal et al. 2016, arXiv:1608.04117.
