# %% [markdown]
# # Residual connections
#
# A **residual block** adds to its input instead of replacing it (He et al. 2015, 2016):
#
# $$ x_{l+1} = x_l + \alpha\, F_l(x_l) . $$
#
# $F_l$, the *branch*, is a layer or two; $\alpha$, its scale, is 1 in the first publications. What
# passes around the branch is the *shortcut*: the identity. A block that has nothing to say can be
# silent, and the image, or the gradient, passes it unharmed.

# %%
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from ipywidgets import FloatSlider, IntSlider
from matplotlib.figure import Figure
from pages import sliders

from jaxseg import analysis, models, nn
from jaxseg.analysis import mean_field

# %% [markdown]
# ## The identity, exactly
#
# Let the last kernel of every branch start at zero. Then a net of any depth *is* the identity
# between its first and last layer, and its gradient is the same at every block: to the last bit.

# %%
net = models.DeepNet(classes=3, inputs=1, features=8, blocks=50, zero_last=True, rngs=nnx.Rngs(0))
image = jax.random.normal(jax.random.key(0), (1, 16, 16, 1))
perturbations = jnp.zeros((50, 1, 16, 16, 8))


@jax.jit
def signals(perturbations):
    logits, inputs = net.trace(image, perturbations=perturbations)
    return jnp.sum(jnp.sin(logits)), inputs


gradients, inputs = jax.grad(signals, has_aux=True)(perturbations)
print(
    f"{net.config.convolutions} convolutions: "
    f"x_50 - x_1: {jnp.abs(inputs[-1] - inputs[0]).max()}, "
    f"|dE/dx_1| / |dE/dx_50|: {jnp.linalg.norm(gradients[0]) / jnp.linalg.norm(gradients[-1])}"
)

# %% [markdown]
# The *order* inside of the block matters for that. If an activation stands behind the sum (He et
# al. 2015), it stands on the path of every block; in front of the branch's kernels (He et al. 2016)
# it does not. With silent branches, what comes through three blocks?

# %%
x = jnp.array([-2.0, -1.0, 1.0, 2.0]).reshape(1, 1, 1, 4)
for name, branch, activation in (
    ("behind the sum", nn.PostActivation, jax.nn.relu),
    ("in the branch alone", nn.PreActivation, None),
):
    silent = branch(4, last_init=nn.initializers.zeros(), rngs=nnx.Rngs(0))
    block = nn.Residual(silent, activation=activation)
    out = block(block(block(x)))
    print(f"activation {name:>19}: {x.ravel()} -> {out.ravel()}")

# %% [markdown]
# ## What adding does to the size of things
#
# At He initialisation a branch has on average the variance of what it is given, and is uncorrelated
# with it. The variances add:
#
# $$ \operatorname{Var} x_L = (1 + \alpha^2)^L \operatorname{Var} x_0 . $$
#
# With $\alpha = 1$ that is $2^L$: at a hundred blocks it leaves the range of float32. With
# $\alpha = 1/\sqrt L$ it goes to $e$, however deep. A plain net keeps its variance on average.
# **Move the scale**; the dashed line is the formula, the points are four random nets of width 256
# each.

# %%
WIDTH, SEEDS = 256, 4


def forward(depth, scale, *, plain=False, seed=0):
    """Mean squares of x_0 ... x_L of one random net, at one pixel of eight images."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(8, WIDTH))
    squares = [np.mean(x**2)]
    for _ in range(depth):
        weights = rng.normal(size=(WIDTH, WIDTH)) * np.sqrt(2 / WIDTH)
        branch = np.maximum(x, 0) @ weights
        x = branch if plain else x + scale * branch
        squares.append(np.mean(x**2))
    return np.array(squares) / squares[0]


def draw_variance(depth, scale_times_root_depth):
    scale = scale_times_root_depth / np.sqrt(depth)
    layers = np.arange(depth + 1)
    figure = Figure(figsize=(7.4, 3.4), layout="constrained")
    axes = figure.subplots()
    for seed in range(SEEDS):
        axes.plot(
            layers,
            forward(depth, scale, seed=seed),
            ".",
            color="#0b5fa5",
            markersize=4,
            label="residual, as drawn" if seed == 0 else None,
        )
        axes.plot(
            layers,
            forward(depth, scale, plain=True, seed=seed),
            "-",
            color="#999999",
            linewidth=0.8,
            label="plain, as drawn" if seed == 0 else None,
        )
    layer = mean_field.Layer(mean_field.RELU, 2.0, branch_scale=scale)
    theory = mean_field.iterate(layer, depth).variances
    axes.plot(layers, theory, "--", color="#e4572e", label=r"$(1 + \alpha^2)^l$")
    axes.set(yscale="log", xlabel="block", ylabel="variance / first variance")
    axes.set_title(rf"$\alpha$ = {scale:.3f}: $(1 + \alpha^2)^L$ = {theory[-1]:.4g}", fontsize=9)
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


sliders(
    draw_variance,
    depth=IntSlider(64, 2, 128),
    scale_times_root_depth=FloatSlider(
        value=1.0, min=0.0, max=4.0, step=0.25, description="α · √depth"
    ),
)

# %% [markdown]
# ## Many paths
#
# Multiply out: $x_2 = x_0 + F_0(x_0) + F_1(x_0 + F_0(x_0))$. Through $L$ blocks the gradient has
# $2^L$ paths, each block taken or left; $\binom{L}{k}$ of them take $k$ (Veit et al. 2016).
# Counting paths, most are of length $L/2$. But a path of length $k$ carries $\alpha^{2k}$ of the
# squared gradient, so that its *length is weighed*: for $\alpha = 1/\sqrt L$ most of the gradient
# comes through paths of no more than two or three blocks.
#
# **Move the scale from 1 downwards.**


# %%
def draw_paths(depth, branch_scale):
    lengths = np.arange(depth + 1)
    counted = np.exp(analysis.log_path_counts(depth) - depth * np.log(2))
    weighed = analysis.independent_path_shares(np.full(depth, branch_scale**2))
    figure = Figure(figsize=(7.4, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.bar(lengths, counted, width=0.9, color="#cccccc", label="share of the paths")
    axes.bar(lengths, weighed, width=0.5, color="#0b5fa5", label="share of the squared gradient")
    axes.set(xlabel="length of the path (blocks)", xlim=(-1, depth + 1))
    mean = float(lengths @ weighed)
    axes.set_title(
        f"{depth} blocks: {depth / 2:g} blocks long by number, {mean:.1f} by gradient", fontsize=9
    )
    axes.legend(fontsize=8, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


sliders(
    draw_paths,
    depth=IntSlider(54, 2, 100),
    branch_scale=FloatSlider(value=0.14, min=0.0, max=1.5, step=0.02),
)

# %% [markdown]
# Veit et al. (2016) measured in a *trained* net of 54 blocks that nearly all of the gradient comes
# through paths of 5 to 17 blocks. By number these are rare:

# %%
print(f"paths of 5 to 17 of 54 blocks: {analysis.path_share(54, 5, 17):.2%} of all")

# %% [markdown]
# ## Take a block away
#
# If paths are many, no block is indispensable. Below, random nets lose one block; how alike are
# their outputs before and after (cosine)? The plain net is another net; the residual one is still
# recognisable, and with scaled branches hardly changed.


# %%
def outputs(depth, scale, *, plain, without=None, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(64, WIDTH))
    for block in range(depth):
        weights = rng.normal(size=(WIDTH, WIDTH)) * np.sqrt(2 / WIDTH)
        if block == without:
            continue
        branch = np.maximum(x, 0) @ weights
        x = branch if plain else x + scale * branch
    return x - x.mean(axis=0)  # what tells the 64 inputs apart


def alike(a, b):
    return np.sum(a * b) / np.sqrt(np.sum(a**2) * np.sum(b**2))


DEPTH = 16
for name, plain, scale in (
    ("plain", True, 1.0),
    ("residual, α = 1", False, 1.0),
    ("residual, α = 1/√L", False, 0.25),
):
    whole = outputs(DEPTH, scale, plain=plain)
    cosines = [
        alike(whole, outputs(DEPTH, scale, plain=plain, without=block)) for block in range(DEPTH)
    ]
    print(f"{name:>18}: cosine {min(cosines):.3f} to {max(cosines):.3f}")

# %% [markdown]
# ## And the receptive field?
#
# It is that of the longest path, so a residual net sees as far as a plain one. But the short paths
# see less, and they are many: the effective field shrinks. If $x + F(x)$ is half shortcut and half
# three taps, the variance of a walk of $n$ blocks is $n/3$ in place of the plain chain's
# $2n/3$.


# %%
def draw_fields(blocks):
    figure = Figure(figsize=(7.4, 3.0), layout="constrained")
    axes = figure.subplots()
    kernels = {"plain": np.ones(3) / 3, "residual": np.array([1, 4, 1]) / 6}
    colours = {"plain": "#999999", "residual": "#0b5fa5"}
    place = np.arange(-blocks, blocks + 1)
    for name, kernel in kernels.items():
        shares = np.ones(1)
        for _ in range(blocks):
            shares = np.convolve(shares, kernel)
        deviation = np.sqrt(shares @ place**2)
        axes.step(
            place,
            shares,
            where="mid",
            color=colours[name],
            label=f"{name}: σ = {deviation:.2f} pixels",
        )
    theory = f"√(2n/3) = {np.sqrt(2 * blocks / 3):.2f}, √(n/3) = {np.sqrt(blocks / 3):.2f}"
    axes.set_title(f"{blocks} blocks, a field of {2 * blocks + 1} pixels; {theory}", fontsize=9)
    axes.set(xlabel="pixels from the middle", yticks=[])
    axes.legend(fontsize=8, frameon=False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    return figure


sliders(draw_fields, blocks=IntSlider(20, 1, 60))

# %% [markdown]
# So shortcuts make *looking far* no easier: dilation and striding are still wanted. What they make
# easier is *training*: [Deep networks are hard to train](06_deep_networks.ipynb).
#
# **Sources.** He et al. 2015, arXiv:1512.03385; 2016, arXiv:1603.05027. Veit, Wilber & Belongie
# 2016, arXiv:1605.06431. Luo et al. 2016, arXiv:1701.04128.
