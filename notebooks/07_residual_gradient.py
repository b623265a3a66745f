# %% [markdown]
# # Residual connections – gradient
#
# A net of $L$ residual blocks is a sum. From the input $x_l$ of block $l$ to the last one's output,
#
# $$ x_L = x_l + \sum_{i=l}^{L-1} F_i(x_i) . $$
#
# So the gradient of the loss $E$ at block $l$ is (He et al. 2016)
#
# $$ \frac{\partial E}{\partial x_l} = \frac{\partial E}{\partial x_L}
# \left( 1 + \frac{\partial}{\partial x_l} \sum_{i=l}^{L-1} F_i(x_i) \right) : $$
#
# The 1 passes the gradient of the last block to every block **unchanged**, and the branches add
# something to it. In a plain net the gradient is a *product* of $L - l$ Jacobians, and long
# products tend to vanish or to explode.

# %%
import jax
import jax.numpy as jnp
import numpy as np
from ipywidgets import Dropdown, FloatSlider, IntSlider
from matplotlib.figure import Figure
from pages import SMALL, sliders

from jaxseg import analysis, models, nn, plots, training
from jaxseg.analysis import mean_field

# %% [markdown]
# ## The size of the gradient, block by block
#
# Let $\alpha$ be the scale of the branch and $\lambda$ that of the shortcut, which should be 1. At
# He initialization the Jacobian of a branch keeps the squared gradient on average, so a block
# multiplies it by $\lambda^2 + \alpha^2$:
#
# $$ \mathbb{E} \left\| \frac{\partial E}{\partial x_l} \right\|^2
# = (\lambda^2 + \alpha^2)^{L - l} \left\| \frac{\partial E}{\partial x_L} \right\|^2 . $$
#
# At first $\alpha = 1/\sqrt L = 0.125$ and $\lambda = 1$: the gradient stays within a factor of
# $\sqrt e$, give or take the scatter of random nets.
#
# - **Set $\alpha = 1$**: the squared gradient grows to $2^L$ times its size.
# - **Set $\alpha = 1$ and $\lambda = 0$**: a plain net. It keeps the gradient on average, but
#   single nets scatter about the average, the more the deeper they are.
# - **Set $\alpha = 0.125$ and $\lambda = 0$**: a plain net whose weights are too small. The
#   gradient vanishes.
# - **Set $\alpha = 0$ and $\lambda = 0.9$, then $\lambda = 1.1$**: only the shortcut is left. The
#   gradient is exactly $\lambda^{L-l}$ times the last one, so it vanishes or explodes.

# %%
WIDTH, SEEDS = 128, 5


def log_gradients(depth, branch, shortcut, seed):
    """log10 of ‖∂E/∂x_l‖ / ‖∂E/∂x_L‖ for l = 0 ... L, in one random net."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(depth, WIDTH, WIDTH)) * np.sqrt(2 / WIDTH)
    x, slopes = rng.normal(size=WIDTH), []
    for w in weights:
        slopes.append(x > 0)
        x = shortcut * x + branch * (np.maximum(x, 0) @ w)
        x = x / np.linalg.norm(x)  # the slopes of ReLU do not depend on the size of x
    g, logs = rng.normal(size=WIDTH), [0.0]
    for w, slope in zip(weights[::-1], slopes[::-1], strict=True):
        norm = np.linalg.norm(g)
        g = shortcut * g + branch * slope * (w @ g)
        logs.append(logs[-1] + np.log10(np.linalg.norm(g) / norm))
        g = g / np.linalg.norm(g)
    return np.array(logs[::-1])


def draw_gradients(depth, branch, shortcut):
    if branch == shortcut == 0:
        raise ValueError("α = λ = 0: no gradient passes at all; make one of them positive.")
    blocks = np.arange(depth + 1)
    figure = Figure(figsize=(7.4, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.axhspan(-1, 1, color="#eeeeee", label="within a factor of ten")
    for seed in range(SEEDS):
        axes.plot(
            blocks,
            log_gradients(depth, branch, shortcut, seed),
            color="#0b5fa5",
            linewidth=0.9,
            label="random nets of width 128" if seed == 0 else None,
        )
    theory = np.log10(shortcut**2 + branch**2) / 2 * (depth - blocks)
    axes.plot(
        blocks,
        theory,
        "--",
        color="#e4572e",
        linewidth=1.6,
        label=r"theory: $(\lambda^2 + \alpha^2)^{(L-l)/2}$",
    )
    logs = np.concatenate([line.get_ydata() for line in axes.lines])
    axes.set_ylim(min(-3, 1.1 * logs.min()), max(3, 1.1 * logs.max()))
    axes.set(xlabel="block $l$", ylabel="log₁₀ of gradient norm at $l$ / at $L$")
    axes.set_title(f"α = {branch:.3f}, λ = {shortcut:.2f}, {depth} blocks", fontsize=9)
    axes.legend(fontsize=8, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


sliders(
    draw_gradients,
    depth=IntSlider(64, 4, 200),
    branch=FloatSlider(
        value=0.125, min=0.0, max=1.5, step=0.025, readout_format=".3f", description="branch α"
    ),
    shortcut=FloatSlider(value=1.0, min=0.0, max=1.2, step=0.05, description="shortcut λ"),
)

# %% [markdown]
# ## The same in convolutional nets
#
# To get the gradient at the input of every block in one backward pass, the net adds
# `perturbations`, which are zero, to these inputs; the gradient with respect to the perturbations
# is the gradient at the inputs. The theory (dashed, nothing fitted) includes the small loss at the
# zero padding of each convolution.
#
# Batch norm *without* shortcuts is the surprise. It makes the gradient explode toward the image:
# the squared gradient grows by $\pi/(\pi - 1)$ per layer (Yang et al. 2019). With shortcuts it
# grows only like a power of the depth.
#
# The plain nets lie below their line. The theory gives the mean over nets, and at such a small
# width the typical net lies below the mean; [the last page](09_gradient_norms.ipynb) measures by
# how much.

# %%
BLOCKS, FEATURES, NETS, SIDE = (6, 4, 2, 8) if SMALL else (32, 16, 4, 16)
KINDS = {
    "plain": {"residual": False},
    "plain, batch norm": {"residual": False, "norm": "batch"},
    "residual, α = 1/√L": {"residual": True},
    "residual, batch norm": {"residual": True, "norm": "batch", "branch_scale": 1.0},
}
if SMALL:
    KINDS = {"residual, α = 1/√L": KINDS["residual, α = 1/√L"]}
THEORY = {
    "plain": lambda: mean_field.he_relu_gradient_norms(BLOCKS, (SIDE, SIDE)),
    "plain, batch norm": lambda: mean_field.batch_norm_plain_gradient_norms(BLOCKS),
    "residual, α = 1/√L": lambda: mean_field.he_relu_gradient_norms(
        BLOCKS, (SIDE, SIDE), branch_scale=BLOCKS**-0.5
    ),
    "residual, batch norm": lambda: mean_field.batch_norm_residual_gradient_norms(BLOCKS),
}
images = jax.random.normal(jax.random.key(0), (8, SIDE, SIDE, 1))


def gradient_norms(kind):
    """‖∂E/∂x_l‖, (nets, blocks), for random nets; E is a random projection of the logits."""
    init, apply = nn.functional(
        lambda rngs: models.DeepNet(
            classes=3, inputs=1, features=FEATURES, blocks=BLOCKS, **KINDS[kind], rngs=rngs
        )
    )

    def norms(key):
        params, stats = init(key)
        readout = jax.random.normal(key, (8, SIDE, SIDE, 3))

        def loss(params, perturbations):
            (logits, _), _ = apply(
                params, stats, images, method="trace", train=True, perturbations=perturbations
            )
            return jnp.sum(logits * readout)

        perturbations = jnp.zeros((BLOCKS, 8, SIDE, SIDE, FEATURES))
        return analysis.leading_norms(jax.grad(loss, 1)(params, perturbations))

    # One call only, so it is compiled with few optimizations.
    norms_of_all = training.over_members(
        norms, training.member_mesh(1), in_axes=(0,), few_calls=True
    )
    return np.asarray(norms_of_all(jax.random.split(jax.random.key(1), NETS)))


measured = {kind: gradient_norms(kind) for kind in KINDS}
theory = {kind: THEORY[kind]() for kind in KINDS}

# %%
figure = Figure(figsize=(7.4, 4.0), layout="constrained")
colors = dict(zip(measured, plots.CYCLE, strict=False))
plots.gradient_profile(figure.subplots(), measured, theory, 2 * BLOCKS + 2, colors)
figure

# %% [markdown]
# ## Size is not everything: shattered gradients
#
# A deep plain net with He initialization keeps the *size* of its gradient, and still it does not
# learn. Look at the gradient as a *function of the input* (Balduzzi et al. 2017). Move the input
# along a circle in the space of images and plot one component of the gradient. In a shallow net
# this is a smooth curve. In a deep plain net with batch norm it looks like white noise: after a
# small step the gradient points somewhere else. In residual nets the gradient changes more slowly.
# On the right is the cosine between the gradients at two points, by their distance on the circle.
#
# **Move the depth from 1 to 60**, without and with batch norm, and compare the plain net with the
# residual one beside it.

# %%
POINTS, UNITS = 192, 160


def gradients_on_circle(depth, *, residual, batch_norm, seed=0):
    """∂E/∂x at the points of a circle of inputs, (points, units)."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(depth, UNITS, UNITS)) * np.sqrt(2 / UNITS)
    scale = 1.0 if batch_norm else 1 / np.sqrt(depth)
    angle = np.linspace(0, 2 * np.pi, POINTS, endpoint=False)[:, None]
    start = rng.normal(size=(2, UNITS))
    x = np.cos(angle) * start[0] + np.sin(angle) * start[1]  # all of nearly the same size
    slopes = []
    for w in weights:
        # The statistics count as constants, so that each point has a gradient of its own.
        mean, deviation = (x.mean(0), x.std(0)) if batch_norm else (0.0, 1.0)
        z = (x - mean) / deviation
        slopes.append((z > 0) / deviation)
        branch = np.maximum(z, 0) @ w
        x = x + scale * branch if residual else branch
    g = np.tile(rng.normal(size=UNITS), (POINTS, 1))
    for w, slope in zip(weights[::-1], slopes[::-1], strict=True):
        branch = slope * (g @ w.T)
        g = g + scale * branch if residual else branch
        g = g / np.sqrt(np.mean(g**2))
    return g


def mean_cosines(gradients):
    """Mean cosine of the gradients at two points, by the number of points between them."""
    directions = gradients / np.linalg.norm(gradients, axis=1, keepdims=True)
    return [
        np.mean(np.sum(directions * np.roll(directions, -lag, axis=0), axis=1))
        for lag in range(POINTS // 2)
    ]


def draw_shattering(norm, depth):
    figure = Figure(figsize=(8.4, 3.6), layout="constrained")
    axes = figure.subplot_mosaic([["plain", "cosine"], ["residual", "cosine"]])
    degrees = np.arange(POINTS) * 360 / POINTS
    for kind, color in (("plain", "#c1272d"), ("residual", "#0b5fa5")):
        gradients = gradients_on_circle(
            depth, residual=kind == "residual", batch_norm=norm == "batch norm"
        )
        component = gradients.sum(axis=1) / np.sqrt(UNITS)
        axes[kind].plot(degrees, component, color=color, linewidth=1)
        axes[kind].set(ylabel=kind, yticks=[])
        axes["cosine"].plot(
            degrees[: POINTS // 2], mean_cosines(gradients), color=color, label=kind
        )
    axes["plain"].set_title("one component of the gradient", fontsize=9)
    axes["plain"].set_xticklabels([])
    axes["residual"].set_xlabel("position on the circle of inputs (degrees)")
    axes["cosine"].axhline(0, color="black", linewidth=0.5)
    axes["cosine"].set(ylim=(-0.15, 1.05), xlabel="distance on the circle (degrees)")
    axes["cosine"].set_title("cosine between two gradients", fontsize=9)
    axes["cosine"].legend(fontsize=8, frameon=False)
    for ax in axes.values():
        ax.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{depth} layers, {norm}", fontsize=9)
    return figure


sliders(
    draw_shattering,
    norm=Dropdown(options=["no norm", "batch norm"], value="batch norm"),
    depth=IntSlider(24, 1, 60),
)

# %% [markdown]
# How fast does the gradient shatter? Take two uncorrelated inputs. Mean-field theory gives the
# factor by which each layer reduces the correlation of their gradients. Batch norm keeps the inputs
# uncorrelated, and the factor is one half: the correlation falls as $2^{-L}$. Without norm, a plain
# net makes the *inputs* more and more similar (see the previous page), which helps the gradients:
# their correlation falls only as $L^{-3}$ in deep nets. With branches scaled by $1/\sqrt L$ it
# tends to a limit above zero.


# %%
def gradient_correlation(depth, *, branch_scale=None):
    """Correlation of two uncorrelated inputs' gradients, in wide ReLU nets without norm."""
    layer = mean_field.Layer(mean_field.RELU, 2.0, branch_scale=branch_scale)
    correlations = mean_field.iterate(layer, depth).correlations[:-1]
    gain_of_one = mean_field.gradient_gain(layer, variance=1.0)
    gains = [mean_field.gradient_gain(layer, variance=1.0, correlation=c) for c in correlations]
    return float(np.prod(np.array(gains) / gain_of_one))


print("layers   plain, batch norm   plain    residual, 1/√L")
for depth in (1, 2, 4, 8, 16, 32, 64):
    plain = gradient_correlation(depth)
    scaled = gradient_correlation(depth, branch_scale=depth**-0.5)
    print(f"{depth:6d}   {2.0**-depth:17.2e}   {plain:.1e}   {scaled:.3f}")

# %% [markdown]
# In summary, shortcuts with scaled branches keep the **size** of the gradient at every depth, and
# they keep its **direction** from one input to the next.
#
# The same idea works across a whole net: shortcuts from encoder to decoder bring the lost pixels
# back. [Upconvolution – residual connections](08_upconvolution_residual.ipynb).
#
# **Sources.** He et al. 2016, arXiv:1603.05027. Balduzzi et al. 2017, arXiv:1702.08591. Yang et al.
# 2019, arXiv:1902.08129. De & Smith 2020, arXiv:2002.10444.
