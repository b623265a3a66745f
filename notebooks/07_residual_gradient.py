# %% [markdown]
# # Residual connections – gradient
#
# Write a net of residual blocks as a sum: from block $l$ to the last, $L$,
#
# $$ x_L = x_l + \sum_{i=l}^{L-1} F_i(x_i) . $$
#
# So the gradient of the loss at block $l$ is (He et al. 2016)
#
# $$ \frac{\partial E}{\partial x_l} = \frac{\partial E}{\partial x_L}
# \left( 1 + \frac{\partial}{\partial x_l} \sum_{i=l}^{L-1} F_i(x_i) \right) : $$
#
# the gradient at the end arrives **as it is**, through the 1, and something is added. In a plain
# net it is a *product* of $L - l$ Jacobians, and products vanish or explode.

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
# ## The gradient's size, block by block
#
# At He initialisation a branch's Jacobian keeps the squared gradient on average, so a block
# multiplies it by $\lambda^2 + \alpha^2$, with $\alpha$ the scale of the branch and $\lambda$ that
# of the shortcut, which should be 1:
#
# $$ \mathbb{E} \left\| \frac{\partial E}{\partial x_l} \right\|^2
# = (\lambda^2 + \alpha^2)^{L - l} \left\| \frac{\partial E}{\partial x_L} \right\|^2 . $$
#
# **Set the branch to 0**: only $\lambda^{L-l}$ is left, so 0.9 or 1.1 are ruin. **Set the shortcut
# to 0**: a plain net; on average it keeps the gradient, and the nets of one width scatter about
# that the more the deeper they are. **Set both to 1**: $2^L$. **Then take $\alpha = 1/\sqrt L$.**

# %%
WIDTH, SEEDS = 128, 5


def log_gradients(depth, branch, shortcut, seed):
    """log10 of |dE/dx_l| / |dE/dx_L| for l = 0 ... L, in one random net."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(depth, WIDTH, WIDTH)) * np.sqrt(2 / WIDTH)
    x, slopes = rng.normal(size=WIDTH), []
    for w in weights:
        slopes.append(x > 0)
        x = shortcut * x + branch * (np.maximum(x, 0) @ w)
        x = x / np.linalg.norm(x)  # ReLU does not mind: slopes do not change with size
    g, logs = rng.normal(size=WIDTH), [0.0]
    for w, slope in zip(weights[::-1], slopes[::-1], strict=True):
        before = np.linalg.norm(g)
        g = shortcut * g + branch * slope * (w @ g)
        logs.append(logs[-1] + np.log10(np.linalg.norm(g) / before))
        g = g / np.linalg.norm(g)
    return np.array(logs[::-1])


def draw_gradients(depth, branch_times_root_depth, shortcut):
    branch = branch_times_root_depth / np.sqrt(depth)
    layers = np.arange(depth + 1)
    figure = Figure(figsize=(7.4, 3.4), layout="constrained")
    axes = figure.subplots()
    for seed in range(SEEDS):
        with np.errstate(divide="ignore", invalid="ignore"):
            found = log_gradients(depth, branch, shortcut, seed)
        axes.plot(
            layers,
            found,
            color="#0b5fa5",
            linewidth=0.9,
            label="random nets of width 128" if seed == 0 else None,
        )
    gain = np.log10(max(shortcut**2 + branch**2, 1e-30)) / 2
    axes.plot(
        layers,
        gain * (depth - layers),
        "--",
        color="#e4572e",
        linewidth=1.6,
        label=r"$\sqrt{\lambda^2 + \alpha^2}^{\,L-l}$",
    )
    axes.axhline(0, color="black", linewidth=0.5)
    axes.set(xlabel="block l", ylabel="log10 of |gradient at l| / |at L|")
    axes.set_title(f"α = {branch:.3f}, λ = {shortcut:.2f}, {depth} blocks", fontsize=9)
    axes.legend(fontsize=8, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


sliders(
    draw_gradients,
    depth=IntSlider(64, 4, 200),
    branch_times_root_depth=FloatSlider(
        value=1.0, min=0.0, max=8.0, step=0.25, description="branch α · √depth"
    ),
    shortcut=FloatSlider(value=1.0, min=0.0, max=1.2, step=0.05, description="shortcut λ"),
)

# %% [markdown]
# ## The same in convolutional nets
#
# The gradient with respect to zeros that are added to each block's input (`perturbations`) is that
# with respect to all inputs, in one backward pass. The zero padding at the image's border takes a
# little at every convolution: the theory
# (dashed, nothing fitted) knows of it. Batch norm *without* shortcuts is the surprise: it makes the
# gradient explode towards the image, its square by $\pi/(\pi - 1)$ a layer (Yang et al. 2019); with
# shortcuts it grows like a power of the depth alone.
#
# The plain nets lie below their line: theory is of the mean over nets, and the typical net of so
# small a width is below the mean ([the last page](09_gradient_norms.ipynb) measures by how much).

# %%
BLOCKS, FEATURES, NETS, SIDE = (6, 4, 2, 8) if SMALL else (32, 16, 4, 16)
ARMS = {
    "plain": {"residual": False},
    "plain_norm": {"residual": False, "norm": "batch"},
    "residual": {"residual": True},
    "residual_norm": {"residual": True, "norm": "batch", "branch_scale": 1.0},
}
if SMALL:
    ARMS = {"residual": ARMS["residual"]}
THEORY = {
    "plain": lambda: mean_field.he_relu_gradient_norms(BLOCKS, (SIDE, SIDE)),
    "plain_norm": lambda: mean_field.batch_norm_plain_gradient_norms(BLOCKS),
    "residual": lambda: mean_field.he_relu_gradient_norms(
        BLOCKS, (SIDE, SIDE), branch_scale=BLOCKS**-0.5
    ),
    "residual_norm": lambda: mean_field.batch_norm_residual_gradient_norms(BLOCKS),
}
images = jax.random.normal(jax.random.key(0), (8, SIDE, SIDE, 1))


def gradient_norms(arm):
    """(nets, blocks): |dE/dx_l| for random nets, E a random projection of the logits."""
    init, apply = nn.functional(
        lambda rngs: models.DeepNet(
            classes=3, inputs=1, features=FEATURES, blocks=BLOCKS, **ARMS[arm], rngs=rngs
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

    # Over the members of an ensemble; compiled quickly, not well, for it runs once.
    many = training.over_members(norms, training.member_mesh(1), in_axes=(0,), few_calls=True)
    return np.asarray(many(jax.random.split(jax.random.key(1), NETS)))


measured = {arm: gradient_norms(arm) for arm in ARMS}
theory = {arm: THEORY[arm]() for arm in ARMS}

# %%
figure = Figure(figsize=(7.4, 4.0), layout="constrained")
colors = dict(zip(measured, plots.CYCLE, strict=False))
plots.gradient_profile(figure.subplots(), measured, theory, 2 * BLOCKS + 2, colors)
figure

# %% [markdown]
# ## Size is not all: shattered gradients
#
# A plain He net keeps its gradient's *size* and yet is not trained. Look at the gradient as a
# *function of the input* (Balduzzi et al. 2017): walk along a line through the space of images, and
# plot the gradient along one direction. In a shallow net it is like a path, in a deep plain one
# like white noise: a step along the gradient says nothing of the gradient one step farther.
# Residual nets keep it together. Below, the correlation of gradients at points so far apart.
#
# **Move the depth**, for each kind of net.

# %%
POINTS, UNITS = 192, 160


def gradients_along_line(kind, depth, seed=0):
    """dE/dx at points of a line, (points, units)."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(depth, UNITS, UNITS)) * np.sqrt(2 / UNITS)
    residual, normed = "residual" in kind, "batch norm" in kind
    scale = 1.0 if normed else 1 / np.sqrt(depth)
    angle = np.linspace(0, 2 * np.pi, POINTS, endpoint=False)[:, None]
    start = rng.normal(size=(2, UNITS))
    x = np.cos(angle) * start[0] + np.sin(angle) * start[1]  # a circle: all of equal size
    slopes = []
    for w in weights:
        # Of the norm's statistics no gradient is taken: each point has its own.
        mean, deviation = (x.mean(0), x.std(0)) if normed else (0.0, 1.0)
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


def draw_shattering(net, depth):
    g = gradients_along_line(net, depth)
    units = g / np.linalg.norm(g, axis=1, keepdims=True)
    lags = np.arange(POINTS // 2)
    alike = [np.mean(np.sum(units * np.roll(units, -lag, axis=0), axis=1)) for lag in lags]
    figure = Figure(figsize=(8.4, 3.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    degrees = np.arange(POINTS) * 360 / POINTS
    left.plot(degrees, g @ np.ones(UNITS) / np.sqrt(UNITS), color="#0b5fa5", linewidth=1)
    left.set(xlabel="place on a circle of inputs (degrees)", yticks=[])
    left.set_title("the gradient along one direction", fontsize=9)
    right.plot(lags * 360 / POINTS, alike, color="#0b5fa5")
    right.axhline(0, color="black", linewidth=0.5)
    right.set(ylim=(-0.15, 1.05), xlabel="degrees apart")
    right.set_title("cosine of gradients", fontsize=9)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{net}, {depth} layers", fontsize=9)
    return figure


KINDS = ["plain", "plain, batch norm", "residual, α = 1/√L", "residual, batch norm"]
sliders(draw_shattering, net=Dropdown(options=KINDS, value=KINDS[1]), depth=IntSlider(24, 1, 60))

# %% [markdown]
# How fast does it shatter? For two uncorrelated inputs the gradients' correlation loses at each
# layer the factor that mean-field theory has for it. With batch norm, which keeps inputs
# uncorrelated, it is one half: $2^{-L}$. Without, a plain He net makes the *inputs* alike (the page
# before), which helps the gradients: about $L^{-3}$. With branches of $1/\sqrt L$ it tends to a
# limit.


# %%
def gradient_correlation(depth, *, branch_scale=None):
    """Of two uncorrelated inputs' gradients at the first layer; wide He ReLU nets, no norm."""
    layer = mean_field.Layer(mean_field.RELU, 2.0, branch_scale=branch_scale)
    path = mean_field.iterate(layer, depth).correlations[:-1]
    alike = mean_field.gradient_gain(layer, variance=1.0)
    gains = [mean_field.gradient_gain(layer, variance=1.0, correlation=c) for c in path]
    return float(np.prod(np.array(gains) / alike))


print("layers   plain, batch norm   plain    residual, 1/√L")
for depth in (1, 2, 4, 8, 16, 32, 64):
    plain = gradient_correlation(depth)
    scaled = gradient_correlation(depth, branch_scale=depth**-0.5)
    print(f"{depth:6d}   {2.0**-depth:17.2e}   {plain:.1e}   {scaled:.3f}")

# %% [markdown]
# These are gradients of the activations, of equal size everywhere. Put together: the shortcut's 1
# keeps the gradient's **size** at every depth, and its **direction** from point to point.
#
# The same idea, across a whole net instead of a block, brings pixels back:
# [Upconvolution – residual connections](08_upconvolution_residual.ipynb).
#
# **Sources.** He et al. 2016, arXiv:1603.05027. Balduzzi et al. 2017, arXiv:1702.08591. Yang et al.
# 2019, arXiv:1902.08129. De & Smith 2020, arXiv:2002.10444.
