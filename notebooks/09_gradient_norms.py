# %% [markdown]
# # Gradient-norm studies with `vmap`
#
# The gradient of *one* net on *one* batch is an anecdote. `jax.vmap` turns a function of one thing
# into a function of many, compiled once: of many **seeds**, many **examples**, many **learning
# rates**. This page measures over each of them.

# %%
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ipywidgets import IntSlider
from matplotlib.figure import Figure
from pages import SMALL, sliders

from jaxseg import analysis, data, nn, ops

# %% [markdown]
# ## Over seeds: a thousand nets
#
# A He-initialised ReLU net of width $n$ and depth $L$ keeps the squared gradient **on average over
# nets**. A single net does not: each layer multiplies it by a random factor near 1, so its
# logarithm is a sum of $L$ small terms, about normal, with (Hanin 2018)
#
# $$ \mathbb{E} \ln q \approx -\frac{5L}{2n}, \qquad \operatorname{Var} \ln q \approx \frac{5L}{n} ,
# \qquad q = \frac{\|\partial E / \partial x_0\|^2}{\|\partial E / \partial x_L\|^2} . $$
#
# The typical net loses gradient; a few huge ones make up the average. What counts is $L/n$: depth
# *over width*.

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


many = jax.jit(jax.vmap(log_gradient))
logs = np.asarray(many(jax.random.split(jax.random.key(0), SEEDS)))
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
# `log_gradient` knows of one net; `vmap` made it a function of a thousand keys. **Move width and
# depth** (400 nets each time, in NumPy, so that nothing is compiled anew):


# %%
def drawn_logs(width, depth, nets=400):
    rng = np.random.default_rng(0)
    g = rng.normal(size=(nets, 1, width)).astype(np.float32)
    logs = np.zeros(nets)
    for _ in range(depth):  # backwards: fresh weights, and slopes that are a coin each
        weights = rng.normal(size=(nets, width, width)).astype(np.float32)
        new = (g @ weights) * (rng.random((nets, 1, width)) < 0.5) * np.sqrt(2 / width)
        before, after = np.linalg.norm(g, axis=(1, 2)), np.linalg.norm(new, axis=(1, 2))
        logs += 2 * np.log(np.maximum(after, 1e-30) / before)
        g = new / np.maximum(after, 1e-30)[:, None, None]
    return logs


def draw_spread(width, depth):
    logs = drawn_logs(width, depth)
    mean, deviation = -2.5 * depth / width, np.sqrt(5 * depth / width)
    along = np.linspace(mean - 4 * deviation, mean + 4 * deviation, 300)
    bell = np.exp(-0.5 * ((along - mean) / deviation) ** 2) / deviation / np.sqrt(2 * np.pi)
    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.hist(logs, bins=30, density=True, color="#9ecae1", label="400 random nets")
    axes.plot(along, bell, "--", color="#e4572e", label="normal, −5L/2n and 5L/n")
    axes.axvline(0, color="black", linewidth=0.8, label="gradient kept")
    axes.set(xlabel="ln q: log of the squared gradient's gain", yticks=[])
    axes.set_title(
        f"L/n = {depth / width:.2f}: mean {logs.mean():.2f} (theory {mean:.2f}), "
        f"variance {logs.var():.2f} (theory {deviation**2:.2f})",
        fontsize=9,
    )
    axes.legend(fontsize=8, frameon=False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    return figure


sliders(draw_spread, width=IntSlider(48, 8, 96, step=8), depth=IntSlider(12, 1, 40))

# %% [markdown]
# ## Over examples: whose gradient is it?
#
# A batch's gradient is the mean of its examples' gradients. `analysis.per_example_gradients` gives
# each its own, `analysis.layer_gradient_norms` their norms, without ever holding all of them. Their
# mean must be the gradient of the mean:

# %%
CONFIG = data.MosaicConfig(size=24, cells=4)
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
own = jax.jit(lambda p, b: analysis.per_example_gradients(net_loss, p, b))(params, (images, labels))


def batch_loss(params):
    return jnp.mean(jax.vmap(lambda i, t: net_loss(params, (i, t)))(images, labels))


together = jax.jit(jax.grad(batch_loss))(params)
gaps = jax.tree.map(lambda a, b: float(jnp.abs(a.mean(0) - b).max()), own, together)
print(
    "mean of the examples' gradients - gradient of the mean, at most",
    f"{max(jax.tree.leaves(gaps)):.1e}",
)

# %%
norms = jax.jit(lambda p, b: analysis.layer_gradient_norms(net_loss, p, b))(
    params, (images, labels)
)
layers = [*norms["kernels"], norms["head"]]
figure = Figure(figsize=(7.2, 3.0), layout="constrained")
axes = figure.subplots()
for number, layer in enumerate(layers, 1):
    spread = np.random.default_rng(number).uniform(-0.2, 0.2, len(layer))
    axes.plot(number + spread, layer, ".", color="#0b5fa5", alpha=0.6, markersize=4)
    axes.hlines(np.median(layer), number - 0.3, number + 0.3, color="#e4572e")
axes.set_xticks(range(1, len(layers) + 1), [*(f"conv {n + 1}" for n in range(3)), "head"])
axes.set(yscale="log", ylabel="norm of the gradient")
axes.set_title(f"{len(images)} images, each with its own gradient; median in orange", fontsize=9)
axes.spines[["top", "right"]].set_visible(False)
figure

# %% [markdown]
# **A trap.** With batch norm over the batch's own statistics the examples are coupled: none has a
# gradient of its own, and a `vmap` over single examples computes something else without a word. Use
# group norm, or running statistics.
#
# ## The gradient noise scale
#
# How large should a batch be? The examples' gradients scatter about their mean $G$ with covariance
# $\Sigma$. A batch much smaller than
#
# $$ B = \operatorname{tr} \Sigma / \|G\|^2 $$
#
# is mostly noise, a much larger one wasteful (McCandlish et al. 2018). First a case that is known
# in closed form: linear regression, $y = w^\ast \cdot x + \sigma\epsilon$ with standard normal $x$,
# at distance $\delta = \|w - w^\ast\|$ of the solution, in $n$ dimensions. There
# $G = w - w^\ast$ and $\operatorname{tr} \Sigma = (n + 1)\,\delta^2 + n \sigma^2$.

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
    found = estimate(w, (points, noise))
    theory = (DIMENSIONS + 1) + DIMENSIONS * NOISE**2 / distance**2
    print(f"distance {distance:4}: B = {float(found.scale):6.2f}, theory {theory:6.2f}")

# %% [markdown]
# Nearer to the solution the mean gets small and the noise stays: *batches should grow while one
# trains*. The same for the net above:

# %%
found = jax.jit(lambda p, b: analysis.gradient_noise_scale(net_loss, p, b))(
    params, (images, labels)
)
print(f"at initialisation: B = {float(found.scale):.1f} images, from {len(images)}")

# %% [markdown]
# ## Over learning rates: a sweep as one program
#
# `vmap` over rates *and* seeds: every combination is trained at once, and one compilation does for
# all. **Change** `RATES`, or the optimiser.

# %%
RATES = jnp.geomspace(1e-3, 1.0, 3 if SMALL else 10)
STEPS, STARTS = (2, 2) if SMALL else (60, 3)


def trained(key, rate):
    """Loss over all images after `STEPS` steps of gradient descent with momentum."""
    optimizer = optax.sgd(rate, momentum=0.9)
    params = make(key)

    def step(carry, pick):
        params, state = carry
        batch = images[pick], labels[pick]
        gradient = jax.grad(lambda p: jnp.mean(jax.vmap(lambda i, t: net_loss(p, (i, t)))(*batch)))
        updates, state = optimizer.update(gradient(params), state)
        return (optax.apply_updates(params, updates), state), None

    order = np.random.default_rng(0).integers(len(images), size=(STEPS, 4))
    (params, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), order)
    return jnp.mean(jax.vmap(lambda i, t: net_loss(params, (i, t)))(images, labels))


sweep = jax.jit(jax.vmap(jax.vmap(trained, (None, 0)), (0, None)))
final = np.asarray(sweep(jax.random.split(jax.random.key(3), STARTS), RATES))
figure = Figure(figsize=(6.4, 3.2), layout="constrained")
axes = figure.subplots()
for line in final:
    axes.plot(
        RATES, np.where(np.isfinite(line), line, np.nan), ".-", color="#0b5fa5", linewidth=0.8
    )
axes.axhline(np.log(3), color="black", linestyle=":", linewidth=1, label="chance, ln 3")
axes.set(xscale="log", xlabel="learning rate", ylabel="training loss")
axes.set_ylim(top=min(2.0, axes.get_ylim()[1]))
axes.set_title(
    f"{final.size} runs of {STEPS} steps at once; diverged ones are left out", fontsize=9
)
axes.legend(fontsize=8, frameon=False)
axes.spines[["top", "right"]].set_visible(False)
figure

# %% [markdown]
# That is how the studies of this laboratory work: one pure function of a seed and a setting, mapped
# over all of them (`jaxseg.training.over_members` shares them out among all cores besides).
#
# **Sources.** Hanin 2018, arXiv:1801.03744. McCandlish et al. 2018, arXiv:1812.06162.
