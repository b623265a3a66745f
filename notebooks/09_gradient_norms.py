# %% [markdown]
# # Gradient-norm studies with `vmap`
#
# [← Upconvolution – residual connections](08_upconvolution_residual.ipynb) · [Contents and symbols](00_opening.ipynb)
#
# The gradient of *one* net on *one* batch says little about nets in general. `jax.vmap` turns a
# function of one input into a function of many, which is compiled once. This page maps over many
# **seeds**, many **examples** and many **learning rates**.
#
# **What you will see**: a thousand nets whose gradients scatter as theory says, the gradient of
# each image in a batch, how large a batch should be, and thirty trainings as one program.

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
import optax
import random_nets
from ipywidgets import IntSlider
from pages import SMALL, sliders

from jaxseg import analysis, data, nn, ops, plots

# %% [markdown]
# ## Over seeds: a thousand nets
#
# A ReLU net of width $N$ and depth $L$ with He initialization keeps the squared gradient **on
# average over nets**. A single net does not: each layer multiplies the squared gradient by a random
# factor near 1. So the logarithm of the total gain $q$ is a sum of $L$ small random terms. It is
# approximately normal, with (Hanin 2018)
#
# $$ \mathbb{E} \ln q \approx -\frac{5L}{2N}, \qquad \operatorname{Var} \ln q \approx \frac{5L}{N} ,
# \qquad q = \frac{\|\partial E / \partial x_0\|^2}{\|\partial E / \partial x_L\|^2} . $$
#
# The gradient shrinks in the typical net; a few nets with a very large gradient make up the
# average. What counts is the ratio $L/N$ of depth *to width*.

# %%
WIDTH, DEPTH, SEEDS = (16, 4, 32) if SMALL else (64, 16, 1000)


def log_gradient(key):
    """ln q of one random net at one random input."""
    at_input, at_weights, at_end = jax.random.split(key, 3)
    weights = jax.random.normal(at_weights, (DEPTH, WIDTH, WIDTH)) * jnp.sqrt(2 / WIDTH)
    x = jax.random.normal(at_input, (WIDTH,))
    readout = jax.random.normal(at_end, (WIDTH,))

    def loss(x):
        x, _ = jax.lax.scan(lambda x, w: (jax.nn.relu(x) @ w, None), x, weights)
        return x @ readout

    return 2 * jnp.log(jnp.linalg.norm(jax.grad(loss)(x)) / jnp.linalg.norm(readout))


log_gradients = jax.jit(jax.vmap(log_gradient))
logs = np.asarray(log_gradients(jax.random.split(jax.random.key(0), SEEDS)))
print(f"{SEEDS} nets, width {WIDTH}, depth {DEPTH}")
print(
    f"mean of ln q     {logs.mean():+.3f} ± {logs.std() / SEEDS**0.5:.3f}, "
    f"theory {-2.5 * DEPTH / WIDTH:+.3f}"
)
print(
    f"variance of ln q  {logs.var():.3f} ± {logs.var() * (2 / SEEDS) ** 0.5:.3f}, "
    f"theory  {5 * DEPTH / WIDTH:.3f}"
)
print(f"mean of q {np.exp(logs).mean():.2f}, median of q {np.exp(np.median(logs)):.2f}")

# %% [markdown]
# `log_gradient` is written for one net; `vmap` made it a function of a thousand keys.
#
# **Predict**: what happens to the distribution if width *and* depth double? And the depth alone?
# **Then double width and depth** together: the distribution stays. **Increase the depth** alone: it
# moves to the left and gets wider. (The figure draws 2,000 nets in NumPy. Given the gradient $g$
# behind a layer with weights $W$, the product $g W^\top$ is normal with independent entries, so
# these are drawn instead of $W$. The theory leaves out terms of order $L/N^2$; at first, they would
# raise its variance from 1.25 to 1.36.)


# %%
def draw_spread(width, depth):
    logs = random_nets.log_gains(width, depth)
    mean, deviation = -2.5 * depth / width, np.sqrt(5 * depth / width)
    edges = np.linspace(-14, 6, 101)
    along = np.linspace(-14, 6, 400)
    bell = np.exp(-0.5 * ((along - mean) / deviation) ** 2) / deviation / np.sqrt(2 * np.pi)
    return plots.shares(
        (edges[1:] + edges[:-1]) / 2,
        {"2,000 random nets": np.histogram(logs, edges)[0] / len(logs)},
        curve=(along, bell * (edges[1] - edges[0]), "theory: normal, −5L/2N and 5L/N"),
        limits=((-14, 6), (0, 0.2)),
        xlabel="ln q, the logarithm of the gain of the squared gradient",
        title=f"L/N = {depth / width:.2f}: mean {logs.mean():.2f} (theory {mean:.2f}), "
        f"variance {logs.var():.2f} (theory {deviation**2:.2f})",
    )


sliders(draw_spread, width=IntSlider(48, 16, 96, step=8), depth=IntSlider(12, 4, 40))

# %% [markdown]
# ## Over examples: per-example gradients
#
# The gradient of a batch is the mean of the gradients of its examples.
# `analysis.per_example_gradients` returns the gradient of every example.
# `analysis.layer_gradient_norms` returns their norms, and never holds all gradients in memory. A
# check: the mean of the examples' gradients must be the gradient of the mean loss.

# %%
CONFIG = data.MosaicConfig(size=24, cells=4, equal=False)
pairs = [data.mosaic_example(CONFIG, "train", i) for i in range(8 if SMALL else 64)]
images = jnp.asarray((np.stack([p[0] for p in pairs])[..., None] - 128.0) / 40, jnp.float32)
labels = jnp.asarray(np.stack([p[1] for p in pairs]), jnp.int32)


def make(key, features=8):
    keys = jax.random.split(key, 4)
    widths = [1, features, features, features]
    draw = nn.initializers.he_normal()
    kernels = [draw(k, (3, 3, i, o)) for k, i, o in zip(keys, widths, widths[1:], strict=False)]
    return {"kernels": kernels, "head": draw(keys[-1], (1, 1, features, 3))}


def net_loss(params, example):
    """Mean cross-entropy of one image."""
    image, label = example
    x = image[None]
    for kernel in params["kernels"]:
        x = jax.nn.relu(ops.conv(x, kernel))
    scores = ops.conv(x, params["head"])[0]
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(scores, label))


params = make(jax.random.key(0))
per_example = jax.jit(lambda p, b: analysis.per_example_gradients(net_loss, p, b))(
    params, (images, labels)
)


def mean_loss(params, images, labels):
    return jnp.mean(jax.vmap(lambda i, t: net_loss(params, (i, t)))(images, labels))


of_mean = jax.jit(jax.grad(mean_loss))(params, images, labels)
differences = jax.tree.map(lambda a, b: float(jnp.abs(a.mean(0) - b).max()), per_example, of_mean)
print(
    "mean of the gradients and gradient of the mean: largest difference "
    f"{max(jax.tree.leaves(differences)):.1e}"
)

# %%
norms = jax.jit(lambda p, b: analysis.layer_gradient_norms(net_loss, p, b))(
    params, (images, labels)
)
layers = dict(zip(("conv 1", "conv 2", "conv 3"), norms["kernels"], strict=True))
plots.points_by_layer(
    {name: np.asarray(norm) for name, norm in (layers | {"head": norms["head"]}).items()},
    ylabel="gradient norm",
    title=f"per-example gradients of {len(images)} images",
)

# %% [markdown]
# **A trap.** Batch norm in training mode uses the statistics of the batch, which couples its
# examples. Then no example has a gradient of its own, and a `vmap` over single examples silently
# computes something else. Use group norm, or batch norm with running statistics.
#
# ## The gradient noise scale
#
# How large should a batch be? The gradients of the examples scatter about their mean $G$ with a
# covariance $\Sigma$. The *gradient noise scale* is
#
# $$ B = \operatorname{tr} \Sigma / \|G\|^2 . $$
#
# The gradient of a batch that is much smaller than $B$ is mostly noise; a much larger batch wastes
# computation (McCandlish et al. 2018).
#
# Linear regression is a case with a closed form. Let $y = w^\ast \cdot x + \sigma\epsilon$ with
# standard normal $x \in \mathbb{R}^D$ and $\epsilon$, and let $\delta = \|w - w^\ast\|$ be the
# distance to the solution. Then $G = w - w^\ast$ and
# $\operatorname{tr} \Sigma = (D + 1)\,\delta^2 + D \sigma^2$.

# %%
DIMENSIONS, EXAMPLES, NOISE = 10, 400 if SMALL else 20_000, 0.5


def regression_loss(w, example):
    x, y = example
    return 0.5 * (w @ x - y) ** 2


points = jax.random.normal(jax.random.key(1), (EXAMPLES, DIMENSIONS))
noise = NOISE * jax.random.normal(jax.random.key(2), (EXAMPLES,))
estimate = jax.jit(
    lambda w, b: analysis.gradient_noise_scale(regression_loss, w, b, batch_size=None)
)
for distance in (1.0, 0.5, 0.25):
    w = jnp.full(DIMENSIONS, distance / DIMENSIONS**0.5)  # the solution is 0
    estimated = float(estimate(w, (points, noise)).scale)
    theory = (DIMENSIONS + 1) + DIMENSIONS * NOISE**2 / distance**2
    print(f"distance {distance:4}: B = {estimated:6.2f}, theory {theory:6.2f}")

# %% [markdown]
# Close to the solution the mean gradient becomes small while the noise stays, so *the batch should
# grow during training*. The same holds for the net above, before and after ten steps of training on
# all 64 images:


# %%
def trained(params, rate, order):
    """Parameters after a step of Adam for each row of `order`, the indices of a batch."""
    optimizer = optax.adam(rate)

    def step(carry, batch):
        params, state = carry
        gradient = jax.grad(mean_loss)(params, images[batch], labels[batch])
        updates, state = optimizer.update(gradient, state)
        return (optax.apply_updates(params, updates), state), None

    (params, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), order)
    return params


noise_scale = jax.jit(lambda p, b: analysis.gradient_noise_scale(net_loss, p, b))
all_images = np.tile(np.arange(len(images)), (10, 1))
for name, p in {
    "at initialization": params,
    "after 10 steps": jax.jit(trained)(params, 0.015, all_images),
}.items():
    estimated = float(noise_scale(p, (images, labels)).scale)
    print(f"{name:>17}: loss {mean_loss(p, images, labels):.2f}, B = {estimated:.1f} images")

# %% [markdown]
# At initialization $B$ is close to 1: the loss is far above ln 3 = 1.099, because the random scores
# are too large, and every image asks for the same correction. So the gradients agree, and a small
# batch is enough. After a few steps this correction is done, and the images disagree.
#
# ## Over learning rates: a sweep as one program
#
# `vmap` over rates *and* seeds trains all combinations at once, after a single compilation.
# **Change** `RATES`, or the optimizer.

# %%
RATES = jnp.geomspace(3e-4, 0.1, 3 if SMALL else 10)
STEPS, SWEEP_SEEDS = (2, 2) if SMALL else (120, 3)
order = np.random.default_rng(0).integers(len(images), size=(STEPS, 4))


def final_loss(key, rate):
    """Loss over all images after `STEPS` steps of Adam with batches of 4."""
    return mean_loss(trained(make(key), rate, order), images, labels)


sweep = jax.jit(jax.vmap(jax.vmap(final_loss, (None, 0)), (0, None)))
final = np.asarray(sweep(jax.random.split(jax.random.key(3), SWEEP_SEEDS), RATES))
plots.medians(
    [float(f"{rate:.2g}") for rate in RATES],
    {"loss over all images": np.minimum(final, 3.0)},
    xlabel="learning rate",
    ylabel="training loss (nats)",
    log_x=True,
    chance=np.log(3),
    title=f"{final.size} runs of {STEPS} steps in one program; median and range over seeds",
)

# %% [markdown]
# The loss falls well below chance at rates near 0.02. At smaller rates it is still on its way; at
# larger ones the net learns nothing. The studies of this laboratory work in the same way: a pure
# function of a seed and a setting is mapped over all seeds and settings
# (`jaxseg.training.over_members` also distributes them over all cores).
#
# ## Summary
#
# - Single nets scatter: $\ln q$ is nearly normal with mean $-5L/2N$ and variance $5L/N$.
# - `vmap` over keys, examples or rates turns a study into one program.
# - $B = \operatorname{tr}\Sigma/\|G\|^2$ says which batch size is worth its cost, and it grows as a
#   net learns.
#
# ## Exercises
#
# **1.** A net has width 64 and depth 64. What is the median of $q$, and how many in a hundred nets
# keep at least the squared gradient, $q \ge 1$?
#
# <details><summary>Solution</summary>
#
# $\ln q$ has mean $-2.5$ and standard deviation $\sqrt5 = 2.24$. The median of $q$ is
# $e^{-2.5} = .08$; $q \ge 1$ lies $2.5/2.24 = 1.12$ deviations above the mean: 13 in a hundred.
#
# </details>
#
# **2.** In linear regression with $D = 10$ and $\sigma = .5$, at which distance $\delta$ is $B =
# 100$?
#
# <details><summary>Solution</summary>
#
# $B = (D + 1) + D\sigma^2/\delta^2 = 11 + 2.5/\delta^2 = 100$, so $\delta = \sqrt{2.5/89} = .17$.
#
# </details>
#
# **3.** Why may `vmap` over examples not be used with batch norm in training mode?
#
# <details><summary>Solution</summary>
#
# The statistics of a batch of one are those of the image itself: `vmap` computes the gradient of
# another net, one that normalizes each image by itself.
#
# </details>
#
# **Sources.** Hanin 2018, arXiv:1801.03744. McCandlish et al. 2018, arXiv:1812.06162.
#
# ---
#
# [← Upconvolution – residual connections](08_upconvolution_residual.ipynb) · [Contents and symbols](00_opening.ipynb)
