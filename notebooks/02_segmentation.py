# %% [markdown]
# # Segmentation
#
# To segment an image is to **classify each of its pixels**. For an image of $H \times W$ pixels, a
# net gives a score $z_{ijc}$ to each class $c$ at each pixel $(i, j)$. It is trained with the
# cross-entropy, averaged over the set $\Omega$ of pixels that have a label $y_{ij}$:
#
# $$ E = -\frac{1}{|\Omega|} \sum_{(i,j) \in \Omega} \log p_{ij y_{ij}}, \qquad
# p_{ijc} = \frac{e^{z_{ijc}}}{\sum_{c'} e^{z_{ijc'}}} . $$
#
# A net that classifies whole images may give up resolution layer by layer, until one score per
# class is left. A segmentation net needs **the full resolution at the end**, and still each pixel
# must see far. This page measures what each of the two is worth.

# %%
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ipywidgets import Dropdown, FloatSlider, SelectionSlider
from matplotlib.figure import Figure
from pages import SMALL, class_legend, sliders

from jaxseg import data, losses, metrics, nn, ops, plots, training
from jaxseg.data.sets.mosaic import PALETTE

# %%
CONFIG = data.MosaicConfig(size=32, cells=5)


def draw_examples(split, number):
    """Normalized images (number, 32, 32, 1) and their labels (number, 32, 32)."""
    pairs = [data.mosaic_example(CONFIG, split, index) for index in range(number)]
    pixels = np.stack([image for image, _ in pairs])[..., None].astype(np.float32)
    return (pixels - 128) / 40, np.stack([label for _, label in pairs]).astype(np.int32)


train_images, train_labels = draw_examples("train", 16 if SMALL else 512)
test_images, test_labels = draw_examples("test", 4 if SMALL else 48)

# %% [markdown]
# ## What resolution is worth
#
# Imagine a perfect net of **output stride** $s$: for every cell of $s \times s$ pixels it knows
# exactly what share of the cell belongs to each class, and nothing more. Its output is resized to
# the size of the image and compared with the truth. **Increase the output stride**: which shapes
# are lost first, and how fast does the mean IoU fall?


# %%
def draw_resolution(output_stride, method):
    truth = jax.nn.one_hot(test_labels, 3)
    coarse = ops.avg_pool(truth, output_stride) if output_stride > 1 else truth
    resized = ops.resize(coarse, CONFIG.size, method=method)
    prediction = np.asarray(jnp.argmax(resized, axis=-1), np.int32)
    confusion = metrics.confusion_matrix(test_labels, prediction, 3)
    figure = Figure(figsize=(7.0, 4.2), layout="constrained")
    maps = {"truth": test_labels[:4], f"stride {output_stride}": prediction[:4]}
    plots.image_strip(figure, maps, PALETTE)
    class_legend(figure)
    figure.suptitle(
        f"perfect net of output stride {output_stride}: mean IoU "
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
# The classes of segmentation data are unbalanced: a street scene has much road and few poles. The
# **pixel accuracy** is the share of correct pixels. The **intersection over union** (IoU) of class
# $c$ counts its true positives, false positives and false negatives:
#
# $$ \text{IoU}_c = \frac{\text{TP}_c}{\text{TP}_c + \text{FP}_c + \text{FN}_c} . $$
#
# The numerator is the overlap of prediction and truth, the denominator their union. The **mean
# IoU** averages it over the classes.
#
# Take two classes and a net that finds a part of the rare one (its *recall*) and predicts
# background everywhere else. **Make the class rare**, at recall 0: what do accuracy and mean IoU
# say about a net that never finds it?


# %%
def draw_imbalance(rare_share, recall):
    shares = np.linspace(0.005, 0.5, 100)
    true_positives, background = recall * shares, 1 - shares
    accuracy = background + true_positives
    iou_rare = true_positives / shares
    iou_background = background / (background + shares - true_positives)
    iou = (iou_rare + iou_background) / 2
    figure = Figure(figsize=(7.0, 3.5), layout="constrained")
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
    axes.set(xlabel="share of the rare class among the pixels", ylim=(0.2, 1.05), xlim=(0, 0.52))
    axes.set_title(f"a net that finds {recall:.0%} of the rare class", fontsize=9)
    figure.legend(fontsize=8, frameon=False, loc="outside lower center", ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


sliders(
    draw_imbalance,
    rare_share=FloatSlider(value=0.05, min=0.005, max=0.5, step=0.005, readout_format=".3f"),
    recall=FloatSlider(value=0.0, min=0.0, max=1.0, step=0.05),
)

# %% [markdown]
# Pixels without a label have the value 255 by convention. Losses and metrics ignore them. A batch
# without a single labeled pixel has loss 0 and gradient 0:

# %%
scores = jax.random.normal(jax.random.key(0), (1, 4, 4, 3))
unlabeled = jnp.full((1, 4, 4), 255)
value, gradient = jax.value_and_grad(losses.mean_cross_entropy)(scores, unlabeled)
print(f"loss {value}, largest gradient {jnp.abs(gradient).max()}")

# %% [markdown]
# ## What seeing far is worth
#
# Four nets are trained on the same mosaics with the same optimizer. Each has four convolutions at
# full resolution and the same number of features. They differ in their dilation rates, and the
# first one also in its number of taps. **Change a net**, or add one with 5 × 5 kernels.

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


def train_net(kernel, dilations, seed=0):
    """The loss of every step, and the predictions for the test images."""

    def apply(params, stats, images, train):
        return predict(params, images, dilations=dilations), stats

    optimizer = optax.adam(optax.cosine_decay_schedule(RATE, STEPS))
    step = training.make_train_step(apply, optimizer)
    state = training.init_state(
        make(jax.random.key(seed), kernel=kernel, dilations=dilations), {}, optimizer
    )
    order = np.random.default_rng(seed).integers(len(train_images), size=(STEPS, BATCH))

    @jax.jit
    def train(state, images, labels):
        return jax.lax.scan(
            lambda state, batch: step(state, {"image": images[batch], "label": labels[batch]}),
            state,
            order,
        )

    state, history = train(state, jnp.asarray(train_images), jnp.asarray(train_labels))
    scores = jax.jit(lambda p, x: predict(p, x, dilations=dilations))(state.params, test_images)
    return np.asarray(history["loss"]), np.asarray(jnp.argmax(scores, -1), np.int32)


predictions = {}
for name, options in NETS.items():
    history, predictions[name] = train_net(**options)
    confusion = metrics.confusion_matrix(test_labels, predictions[name], 3)
    size = 1 + (options["kernel"] - 1) * sum(options["dilations"])
    print(
        f"{name:>16}: field {size:2d} pixels; training loss {history[-25:].mean():.3f}; test "
        f"accuracy {float(metrics.pixel_accuracy(confusion)):.3f}, "
        f"mean IoU {float(metrics.mean_iou(confusion)):.3f}"
    )

# %%
figure = Figure(figsize=(7.0, 9.2), layout="constrained")
maps = {"image": (test_images[:4] * 40 + 128) / 255, "truth": test_labels[:4]}
maps |= {name: prediction[:4] for name, prediction in predictions.items()}
plots.image_strip(figure, maps, PALETTE)
class_legend(figure)
figure

# %% [markdown]
# The net of 1 × 1 kernels stays at chance, ln 3 = 1.099: a single pixel carries no information
# about its class. The three other nets have equally many parameters, and none of them has lost a
# pixel.
#
# After 250 steps the two nets with fields of 9 and 17 pixels are still close, and the net that sees
# farthest is the worst of the three. **Set `STEPS` to 2000** to let them learn; the cell then takes
# eight times as long. With seeds 0 and 1 we measured these mean IoUs:
#
# | net | field | 250 steps | 2,000 steps |
# |---|---|---|---|
# | 3 × 3 | 9 | .52, .50 | .69, .68 |
# | rates 1, 1, 2, 4 | 17 | .53, .55 | .76, .76 |
# | rates 1, 2, 4, 8 | 31 | .41, .38 | .67, .70 |
#
# So with enough training, rates 1, 1, 2, 4 are worth about .07 of mean IoU over 3 × 3, with the
# same number of parameters. But a wider field is not better by itself: rates 1, 2, 4, 8 bring
# nothing here. Their field of 31 pixels is as large as the image, so much of it is zero padding.
# Which rates are good is the subject of [Dilation](03_dilation.ipynb).
