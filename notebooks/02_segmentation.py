# %% [markdown]
# # Segmentation
#
# [← Receptive field – striding](01_receptive_field_striding.ipynb) · [Contents and symbols](00_opening.ipynb) · [Dilation →](03_dilation.ipynb)
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
#
# **What you will see**: how fast a perfect net of low resolution loses its shapes, why accuracy
# says little where a class is rare, and three nets of equal size of which one gains seven
# hundredths of mean IoU by seeing farther, once it is trained long enough.

# %%
import importlib.util

if importlib.util.find_spec("jaxseg") is None:  # a fresh runtime, such as Colab's
    SOURCE = "..."  # the address of a git repository of jaxseg
    get_ipython().system(f"git clone -q {SOURCE} jaxseg && pip install -q './jaxseg[notebooks]'")
    get_ipython().run_line_magic("cd", "jaxseg/notebooks")

# %%
import jax
import jax.numpy as jnp
import numpy as np
import short_runs
from ipywidgets import Dropdown, FloatSlider, SelectionSlider
from pages import SMALL, results, sliders

from jaxseg import data, losses, metrics, ops, plots
from jaxseg.data.sets.mosaic import CLASSES, PALETTE

# %%
CONFIG = data.MosaicConfig(size=32, cells=5)
test_images, test_labels = short_runs.mosaic_examples(CONFIG, "test", 4 if SMALL else 48)

# %% [markdown]
# ## What resolution is worth
#
# Imagine a perfect net of **output stride** $s$: for every cell of $s \times s$ pixels it knows
# exactly what share of the cell belongs to each class, and nothing more. Its output is resized to
# the size of the image and compared with the truth.
#
# **Predict**: which mean IoU is left at an output stride of 8, of 32 pixels? **Then increase the
# output stride**: which shapes are lost first, and how fast does the mean IoU fall?


# %%
def draw_resolution(output_stride, method):
    truth = jax.nn.one_hot(test_labels, 3)
    coarse = ops.avg_pool(truth, output_stride) if output_stride > 1 else truth
    resized = ops.resize(coarse, CONFIG.size, method=method)
    prediction = np.asarray(jnp.argmax(resized, axis=-1), np.int32)
    confusion = metrics.confusion_matrix(test_labels, prediction, 3)
    return plots.label_maps(
        {"truth": test_labels[:4], f"stride {output_stride}": prediction[:4]},
        PALETTE,
        CLASSES,
        title=f"perfect net of output stride {output_stride}: mean IoU "
        f"{float(metrics.mean_iou(confusion)):.3f}, accuracy "
        f"{float(metrics.pixel_accuracy(confusion)):.3f}",
    )


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
# background everywhere else.
#
# **Predict**: a net never finds a class that makes up 1 % of the pixels. What are its accuracy and
# its mean IoU? **Then make the class rare**, at recall 0.


# %%
def draw_imbalance(rare_share, recall):
    shares = np.linspace(0.005, 0.5, 100)
    true_positives, background = recall * shares, 1 - shares
    iou_rare = true_positives / shares
    iou_background = background / (background + shares - true_positives)
    return plots.against_share(
        shares,
        {"accuracy": background + true_positives, "mean IoU": (iou_rare + iou_background) / 2},
        at=rare_share,
        xlabel="share of the rare class among the pixels",
        title=f"a net that finds {recall:.0%} of the rare class",
    )


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
# full resolution and 12 features. They differ in their dilation rates (a rate $d$ sets the taps of
# a kernel $d$ pixels apart; the next page is about them), and the first one also in its number of
# taps: it sees single pixels.
#
# **Predict** their order by mean IoU. The fields are 1, 9, 17 and 31 pixels wide, and the images
# 32.
#
# The cells below show what 2,000 steps make of them (`python notebooks/precompute.py 02`; five
# seeds, about a quarter of a minute each). A pixel is *near a border* if a pixel of another class
# lies within two pixels of it along both axes.

# %%
stored = results("02_segmentation")
for name, iou, border, elsewhere in zip(
    *(stored[key] for key in ("names", "mean_iou", "near_borders", "elsewhere")), strict=True
):
    print(
        f"{name:>16}: mean IoU {np.median(iou):.3f} ({iou.min():.3f} to {iou.max():.3f}); accuracy "
        f"near borders {np.median(border):.3f}, elsewhere {np.median(elsewhere):.3f}"
    )

# %%
maps = {"image": test_images[:4] * 40 / 255 + 128 / 255, "truth": test_labels[:4]}
maps |= dict(zip(stored["names"], stored["predictions"], strict=True))
plots.label_maps(maps, PALETTE, CLASSES, title="test images, after 2,000 steps")

# %%
plots.training_curves(
    {
        "medians of five seeds": {
            name: np.median(curves, axis=0)[None]
            for name, curves in zip(stored["names"], stored["losses"].astype(float), strict=True)
        }
    },
    steps_per_value=int(stored["bin"]),
    chance=np.log(3),
    ylim=(0.2, 1.2),
)

# %% [markdown]
# The net of 1 × 1 kernels stays at chance, ln 3 = 1.099: a single pixel carries no information
# about its class. The three other nets have equally many parameters, and none of them has lost a
# pixel. Rates 1, 1, 2, 4 are worth about .07 of mean IoU over 3 × 3. They gain it *away* from the
# borders, where a wide field sees more of one texture; near borders, where it sees two, they gain
# nothing.
#
# But a wider field is not better by itself: rates 1, 2, 4, 8 bring nothing here. Their field of 31
# pixels is as large as the image, so much of it is zero padding. And where the maps of dilated nets
# fray into combs and dots, neighboring pixels disagree: in a last 3 × 3 layer of rate 4 or 8 they
# read no value in common.
#
# **Try it.** The cell below trains one net for 250 steps. That is too short to tell 3 × 3 from
# rates 1, 1, 2, 4: with seeds 0 and 1 we measured mean IoUs of .53 and .50 against .54 and .56. Set
# `STEPS` to 2,000, or try 5 × 5 kernels.

# %%
KERNEL, RATES = 3, (1, 1, 2, 4)
STEPS, SEED = 3 if SMALL else 250, 0
train_set = short_runs.mosaic_examples(CONFIG, "train", 16 if SMALL else 512)
net = short_runs.dilated_net(KERNEL, RATES)
run = short_runs.train(net, train_set, test_images, steps=STEPS, rate=5e-3, seed=SEED)
scores = short_runs.scores(test_labels, run.predictions)
print(", ".join(f"{name} {score:.3f}" for name, score in scores.items()))

# %% [markdown]
# ## Summary
#
# - A net needs both: resolution at the end, and a field that holds enough of a texture.
# - Accuracy counts pixels, so it hides rare classes; mean IoU counts each class once.
# - At equal parameters, dilation is worth .07 of mean IoU here; too wide a field is worth nothing.
#
# ## Exercises
#
# **1.** A perfect net has output stride 16 on images of 512 pixels instead of 32. Does it lose more
# or less than here?
#
# <details><summary>Solution</summary>
#
# Less, if the shapes grow with the image: what counts is the stride relative to the size of a
# shape. A stride of 16 at 512 pixels cuts a shape as finely as a stride of 1 at 32.
#
# </details>
#
# **2.** Two classes, the rare one with 1 % of the pixels. A net marks *all* pixels as rare. What
# are its accuracy and its mean IoU?
#
# <details><summary>Solution</summary>
#
# Accuracy .01. The rare class has IoU $.01 / 1 = .01$ and the background 0, so the mean is .005.
#
# </details>
#
# **3.** Which field do rates 1, 1, 1, 5 have, and does the last layer leave gaps in it?
#
# <details><summary>Solution</summary>
#
# $1 + 2\,(1 + 1 + 1 + 5) = 17$ pixels, as many as rates 1, 1, 2, 4. The three layers of rate 1 see
# 7 neighboring pixels, and the last layer joins three such groups at distance 5, so there is no
# gap.
#
# </details>
#
# ---
#
# [← Receptive field – striding](01_receptive_field_striding.ipynb) · [Contents and symbols](00_opening.ipynb) · [Dilation →](03_dilation.ipynb)
