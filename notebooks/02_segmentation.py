# %% [markdown]
# # Segmentation
#
# To segment is to **classify each pixel**: for an image of $H \times W$ pixels a net gives a score
# $z_{ijc}$ for each class $c$ at each pixel, and is trained by the cross-entropy, averaged over the
# pixels that have a label,
#
# $$ E = -\frac{1}{|\Omega|} \sum_{(i,j) \in \Omega} \log p_{ij y_{ij}}, \qquad
# p_{ijc} = \frac{e^{z_{ijc}}}{\sum_{c'} e^{z_{ijc'}}} . $$
#
# Classification may give the resolution up, layer by layer, until one number a class is left. Here
# **all of it has to be there at the end**, and yet each pixel must see far. This page asks what
# both are worth.

# %%
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ipywidgets import Dropdown, FloatSlider, SelectionSlider
from matplotlib.figure import Figure
from pages import SMALL, sliders

from jaxseg import data, losses, metrics, nn, ops, plots, training

# %%
NAMES = ("brick", "grass", "gravel")
PALETTE = ((200, 80, 60), (80, 170, 70), (120, 120, 180))
CONFIG = data.MosaicConfig(size=32, cells=5)


def draw_examples(split, number):
    """Images (number, 32, 32, 1), standardised, and labels."""
    pairs = [data.mosaic_example(CONFIG, split, index) for index in range(number)]
    pixels = np.stack([image for image, _ in pairs])[..., None].astype(np.float32)
    return (pixels - 128) / 40, np.stack([label for _, label in pairs]).astype(np.int32)


train_images, train_labels = draw_examples("train", 16 if SMALL else 512)
test_images, test_labels = draw_examples("test", 4 if SMALL else 48)

# %% [markdown]
# ## What resolution is worth
#
# Suppose a net knew of every cell of $s \times s$ pixels exactly how much of it is of which class,
# and nothing more: a perfect net of **output stride** $s$. Its answers are brought back to the
# image's size by rule, and compared with the truth. **Move the stride**: which shapes go first?


# %%
def draw_resolution(output_stride, method):
    truth = jax.nn.one_hot(test_labels, 3)
    coarse = ops.avg_pool(truth, output_stride) if output_stride > 1 else truth
    back = ops.resize(coarse, CONFIG.size, method=method)
    answer = np.asarray(jnp.argmax(back, axis=-1), np.int32)
    confusion = metrics.confusion_matrix(test_labels, answer, 3)
    figure = Figure(figsize=(8.2, 2.9), layout="constrained")
    for axes, number in zip(figure.subplots(2, 4).T, range(4), strict=True):
        for ax, label in zip(axes, (test_labels, answer), strict=True):
            ax.imshow(plots.to_rgb(label[number], PALETTE), interpolation="nearest")
            ax.set(xticks=[], yticks=[])
        if number == 0:
            axes[0].set_ylabel("truth", fontsize=8)
            axes[1].set_ylabel("from cells", fontsize=8)
    figure.suptitle(
        f"one answer every {output_stride} pixels: mean IoU "
        f"{float(metrics.mean_iou(confusion)):.3f}, accuracy "
        f"{float(metrics.pixel_accuracy(confusion)):.3f}",
        fontsize=10,
    )
    return figure


sliders(
    draw_resolution,
    output_stride=SelectionSlider(options=[1, 2, 4, 8, 16], value=8),
    method=Dropdown(options=["bilinear", "nearest"]),
)

# %% [markdown]
# ## What accuracy hides
#
# Segmentation data are unbalanced: much road, few poles. The **accuracy** is the share of right
# pixels; the **intersection over union** of a class divides what is rightly called so by all that
# is so or is called so,
#
# $$ \text{IoU}_c = \frac{\text{TP}_c}{\text{TP}_c + \text{FP}_c + \text{FN}_c} . $$
#
# Below, two classes, and a net that finds a part of the rare one and otherwise says "background".
# **Make the class rare**: what do accuracy and mean IoU say of a net that finds none of it?


# %%
def draw_imbalance(rare_share, found):
    shares = np.linspace(0.005, 0.5, 100)
    tp, background = found * shares, 1 - shares
    accuracy = background + tp
    iou = (tp / shares + background / (background + shares - tp)) / 2
    figure = Figure(figsize=(7.0, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(shares, accuracy, color="#777777", linewidth=1.8, label="accuracy")
    axes.plot(shares, iou, color="#0b5fa5", linewidth=1.8, label="mean IoU")
    axes.axvline(rare_share, color="#e4572e", linewidth=1)
    for line in (accuracy, iou):
        value = np.interp(rare_share, shares, line)
        axes.plot([rare_share], [value], "o", color="#e4572e")
        axes.annotate(
            f"{value:.3f}",
            (rare_share, value),
            xytext=(7, -12),
            textcoords="offset points",
            fontsize=9,
        )
    axes.set(xlabel="share of the rare class", ylim=(0.2, 1.05), xlim=(0, 0.52))
    axes.set_title(f"a net that finds {found:.0%} of the rare class", fontsize=9)
    axes.legend(fontsize=8, frameon=False, loc="lower right")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


sliders(
    draw_imbalance,
    rare_share=FloatSlider(value=0.05, min=0.005, max=0.5, step=0.005, readout_format=".3f"),
    found=FloatSlider(value=0.0, min=0.0, max=1.0, step=0.05),
)

# %% [markdown]
# Pixels without a label (255 by convention) count for nothing, in losses and metrics alike: not
# even a batch of nothing else is trouble.

# %%
scores = jax.random.normal(jax.random.key(0), (1, 4, 4, 3))
nothing = jnp.full((1, 4, 4), 255)
value, gradient = jax.value_and_grad(losses.mean_cross_entropy)(scores, nothing)
print(f"loss {value}, largest gradient {jnp.abs(gradient).max()}")

# %% [markdown]
# ## What seeing far is worth
#
# Four nets of four convolutions at full resolution, with the same number of features, trained on
# the same mosaics with the same optimiser. They differ in how far they see, and in nothing else but
# the number of taps. **Change a net**, or add one of 5 × 5.

# %%
NETS = {
    "1 × 1": {"kernel": 1, "dilations": (1, 1, 1, 1)},
    "3 × 3": {"kernel": 3, "dilations": (1, 1, 1, 1)},
    "rates 1, 1, 2, 4": {"kernel": 3, "dilations": (1, 1, 2, 4)},
    "rates 1, 2, 4, 8": {"kernel": 3, "dilations": (1, 2, 4, 8)},
}
FEATURES, STEPS, BATCH, RATE = 12, 3 if SMALL else 250, 8, 5e-3


def make(key, *, kernel, dilations):
    widths = [1, *[FEATURES] * len(dilations)]
    keys = jax.random.split(key, len(dilations) + 1)
    draw = nn.initializers.he_normal()
    layers = [
        {"kernel": draw(k, (kernel, kernel, i, o)), "bias": jnp.zeros(o)}
        for k, i, o in zip(keys, widths, widths[1:], strict=False)
    ]
    return [*layers, {"kernel": 0.1 * draw(keys[-1], (1, 1, FEATURES, 3)), "bias": jnp.zeros(3)}]


def predict(params, images, *, dilations):
    x = images
    for layer, dilation in zip(params[:-1], dilations, strict=True):
        x = jax.nn.relu(ops.conv(x, layer["kernel"], dilation=dilation) + layer["bias"])
    return ops.conv(x, params[-1]["kernel"]) + params[-1]["bias"]


def fitted(kernel, dilations):
    """The losses of every step, and the predictions for the test images."""

    def apply(params, stats, images, train):
        return predict(params, images, dilations=dilations), stats

    optimizer = optax.adam(optax.cosine_decay_schedule(RATE, STEPS))
    step = training.make_train_step(apply, optimizer)
    state = training.init_state(
        make(jax.random.key(0), kernel=kernel, dilations=dilations), {}, optimizer
    )
    order = np.random.default_rng(0).integers(len(train_images), size=(STEPS, BATCH))

    @jax.jit
    def train(state, images, labels):
        return jax.lax.scan(
            lambda state, pick: step(state, {"image": images[pick], "label": labels[pick]}),
            state,
            order,
        )

    state, history = train(state, jnp.asarray(train_images), jnp.asarray(train_labels))
    scores = jax.jit(lambda p, x: predict(p, x, dilations=dilations))(state.params, test_images)
    return np.asarray(history["loss"]), np.asarray(jnp.argmax(scores, -1), np.int32)


curves, answers = {}, {}
for name, options in NETS.items():
    curves[name], answers[name] = fitted(**options)
    confusion = metrics.confusion_matrix(test_labels, answers[name], 3)
    reach = 1 + (options["kernel"] - 1) * sum(options["dilations"])
    print(
        f"{name:>16}: sees {reach:2d} pixels; loss {curves[name][-25:].mean():.3f}; test "
        f"accuracy "
        f"{float(metrics.pixel_accuracy(confusion)):.3f}, "
        f"mean IoU {float(metrics.mean_iou(confusion)):.3f}"
    )

# %%
figure = Figure(figsize=(8.4, 6.0), layout="constrained")
shown = {"image": (test_images[:4] * 40 + 128) / 255, "truth": test_labels[:4]}
plots.image_strip(figure, {**shown, **{k: v[:4] for k, v in answers.items()}}, PALETTE)
figure

# %% [markdown]
# The net of single pixels cannot tell the textures apart: in one pixel there is nothing to tell.
# The one of small windows sees the edges of stones, and the dilated one sees stones: it has as many
# parameters, and lost no pixel, which striding would have. (One run each: a difference of a few
# hundredths may be chance.)
#
# Yet to see farther is not better by itself. At rates 1, 2, 4, 8 a pixel is reached by few paths,
# and the taps of the last layers lie in other stones. Which rates are good is the subject of
# [Dilation](03_dilation.ipynb).
