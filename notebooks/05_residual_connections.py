# %% [markdown]
# # Residual connections
#
# A **residual block** adds something to its input instead of replacing it (He et al. 2015, 2016):
#
# $$ x_{l+1} = x_l + \alpha\, F_l(x_l) . $$
#
# $F_l$ is the *branch*, one or two layers; $\alpha$ is its scale, 1 in the original publications.
# The path around the branch is the *shortcut*, the identity. If the branch is zero, the block
# passes the image forward and the gradient backward unchanged.

# %%
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from ipywidgets import FloatSlider, IntSlider
from matplotlib.figure import Figure
from pages import decimal_ticks, sliders

from jaxseg import analysis, models, nn

# %% [markdown]
# ## Blocks that start as the identity
#
# Initialize the last kernel of every branch with zeros. Then the blocks of a net of any depth form
# *exactly* the identity, and the gradient is the same at every block, to the last bit.

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
    f"largest |x_50 − x_1| = {jnp.abs(inputs[-1] - inputs[0]).max()}, "
    f"‖∂E/∂x_1‖ / ‖∂E/∂x_50‖ = {jnp.linalg.norm(gradients[0]) / jnp.linalg.norm(gradients[-1])}"
)

# %% [markdown]
# This depends on the *order* of the operations in the block. *Post-activation* (He et al. 2015)
# puts an activation behind the sum, where it acts on the shortcut of every block. *Pre-activation*
# (He et al. 2016) puts it in front of the kernels, inside the branch. With zero branches, what
# passes through three blocks?

# %%
x = jnp.array([-2.0, -1.0, 1.0, 2.0]).reshape(1, 1, 1, 4)
for name, branch, activation in (
    ("post-activation", nn.PostActivation, jax.nn.relu),
    ("pre-activation", nn.PreActivation, None),
):
    zero_branch = branch(4, last_init=nn.initializers.zeros(), rngs=nnx.Rngs(0))
    block = nn.Residual(zero_branch, activation=activation)
    out = block(block(block(x)))
    print(f"{name:>15}: {x.ravel()} -> {out.ravel()}")

# %% [markdown]
# ## How the sum changes the variance
#
# At He initialization the output of a branch has, on average, the variance of its input and is
# uncorrelated with it. So the variances add up:
#
# $$ \operatorname{Var} x_L = (1 + \alpha^2)^L \operatorname{Var} x_0 . $$
#
# With $\alpha = 1$ this is $2^L$: $10^{30}$ after a hundred blocks, and more than the largest
# float32 ($3.4 \cdot 10^{38}$) after 128. With $\alpha = 1/\sqrt L$ it tends to $e$, however deep
# the net is. A plain net keeps its variance on average. The dashed line is the formula; points and
# gray lines are four random nets of width 256.
#
# At first, $\alpha = 1/\sqrt{64} = 0.125$. **Set $\alpha$ to 1**, then **to 0**. At
# $\alpha = 0.125$, **double the depth**.

# %%
WIDTH, SEEDS = 256, 4


def mean_square(x):
    return np.mean(np.square(x, dtype=np.float64))  # beyond the range of float32


def variances(depth, branch_scale, seed=0):
    """Variances of x_0 ... x_L over the first one's, of a residual and a plain random net."""
    rng = np.random.default_rng(seed)
    residual = plain = rng.standard_normal((8, WIDTH), np.float32)  # one pixel of eight images
    squares = [(mean_square(residual), mean_square(plain))]
    for _ in range(depth):
        weights = rng.standard_normal((WIDTH, WIDTH), np.float32) * np.float32((2 / WIDTH) ** 0.5)
        residual = residual + branch_scale * (np.maximum(residual, 0) @ weights)
        plain = np.maximum(plain, 0) @ weights
        squares.append((mean_square(residual), mean_square(plain)))
    return np.array(squares).T / squares[0][0]


def draw_variance(depth, branch_scale):
    blocks = np.arange(depth + 1)
    figure = Figure(figsize=(7.4, 3.4), layout="constrained")
    axes = figure.subplots()
    for seed in range(SEEDS):
        residual, plain = variances(depth, branch_scale, seed)
        axes.plot(blocks, residual, ".", color="#0b5fa5", markersize=4)
        axes.plot(blocks, plain, "-", color="#999999", linewidth=0.8)
    for line, label in zip(axes.lines, ("residual nets", "plain nets"), strict=False):
        line.set_label(label)
    theory = (1 + branch_scale**2) ** blocks
    axes.plot(blocks, theory, "--", color="#e4572e", label=r"theory: $(1 + \alpha^2)^l$")
    axes.set(yscale="log", xlabel="block", ylabel=r"Var $x_l$ / Var $x_0$")
    decimal_ticks(axes.yaxis)
    axes.set_title(
        rf"$\alpha$ = {branch_scale:.3f}: $(1 + \alpha^2)^{{{depth}}}$ = {theory[-1]:.4g}",
        fontsize=9,
    )
    axes.legend(fontsize=8, frameon=False, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


sliders(
    draw_variance,
    depth=IntSlider(64, 2, 128),
    branch_scale=FloatSlider(
        value=0.125,
        min=0.0,
        max=1.5,
        step=0.025,
        readout_format=".3f",
        description="branch scale α",
    ),
)

# %% [markdown]
# ## Many paths
#
# Write out two blocks, with $\alpha = 1$: $x_2 = x_0 + F_0(x_0) + F_1(x_0 + F_0(x_0))$. In $L$
# blocks the gradient has $2^L$ paths, since a path goes through each branch or around it;
# $\binom{L}{k}$ of them go through $k$ branches (Veit et al. 2016). By number, most paths go
# through about $L/2$ branches. But a path of length $k$ contributes $\alpha^{2k}$ to the squared
# gradient, relative to the path of length 0. For $\alpha = 1/\sqrt L$, 92 % of the squared gradient
# comes through paths of at most two branches.
#
# **Set $\alpha$ to 1 and move it down**: which paths carry the gradient?


# %%
def draw_paths(depth, branch_scale):
    lengths = np.arange(depth + 1)
    by_number = np.exp(analysis.log_path_counts(depth) - depth * np.log(2))
    by_gradient = analysis.independent_path_shares(np.full(depth, branch_scale**2))
    figure = Figure(figsize=(7.4, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.bar(lengths, by_number, width=0.9, color="#cccccc", label="of the number of paths")
    axes.bar(lengths, by_gradient, width=0.5, color="#0b5fa5", label="of the squared gradient")
    axes.set(xlabel="length of a path (branches)", ylabel="share", xlim=(-1, depth + 1))
    mean = float(lengths @ by_gradient)
    axes.set_title(
        f"{depth} blocks, α = {branch_scale:.2f}: mean length {depth / 2:g} by number, "
        f"{mean:.1f} by gradient",
        fontsize=9,
    )
    axes.legend(fontsize=8, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


sliders(
    draw_paths,
    depth=IntSlider(54, 2, 100),
    branch_scale=FloatSlider(value=0.14, min=0.0, max=1.5, step=0.02, description="branch scale α"),
)

# %% [markdown]
# In a *trained* net of 54 blocks, Veit et al. (2016) found that nearly all of the gradient comes
# through paths of 5 to 17 branches. By number, such paths are rare:

# %%
print(f"paths through 5 to 17 of 54 branches: {analysis.path_share(54, 5, 17):.2%} of all paths")

# %% [markdown]
# ## Removing a block
#
# Since there are many paths, no single block should be indispensable. Remove one block of a random
# net, and compare its outputs for 64 inputs before and after by their cosine. A plain net becomes a
# different net. A residual net remains similar, and with scaled branches it hardly changes.


# %%
def outputs(depth, branch_scale, *, plain, without=None, seed=0):
    """The outputs for 64 inputs, about their mean; block `without` is left out."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(64, WIDTH))
    for block in range(depth):
        weights = rng.normal(size=(WIDTH, WIDTH)) * np.sqrt(2 / WIDTH)
        if block == without:
            continue
        branch = np.maximum(x, 0) @ weights
        x = branch if plain else x + branch_scale * branch
    return x - x.mean(axis=0)


def cosine(a, b):
    return np.sum(a * b) / np.sqrt(np.sum(a**2) * np.sum(b**2))


DEPTH = 16
for name, plain, branch_scale in (
    ("plain", True, 1.0),
    ("residual, α = 1", False, 1.0),
    ("residual, α = 1/√L", False, 0.25),
):
    whole = outputs(DEPTH, branch_scale, plain=plain)
    cosines = [
        cosine(whole, outputs(DEPTH, branch_scale, plain=plain, without=block))
        for block in range(DEPTH)
    ]
    print(f"{name:>18}: cosine {min(cosines):.3f} to {max(cosines):.3f}")

# %% [markdown]
# ## And the receptive field?
#
# The receptive field is that of the longest path, so a residual net sees as far as a plain one. But
# shorter paths see less, and there are many of them, so the effective field is smaller. If a block
# gives half of its weight to the shortcut and half to three equal taps, the bell curve of $L$
# blocks has variance $L/3$, where a plain chain has $2L/3$.


# %%
def draw_fields(blocks):
    figure = Figure(figsize=(7.4, 3.0), layout="constrained")
    axes = figure.subplots()
    kernels = {"plain": np.ones(3) / 3, "residual": np.array([1, 4, 1]) / 6}
    colors = {"plain": "#999999", "residual": "#0b5fa5"}
    offsets = np.arange(-blocks, blocks + 1)
    for name, kernel in kernels.items():
        shares = np.ones(1)
        for _ in range(blocks):
            shares = np.convolve(shares, kernel)
        deviation = np.sqrt(shares @ offsets**2)
        axes.step(
            offsets,
            shares,
            where="mid",
            color=colors[name],
            label=f"{name}: σ = {deviation:.2f} pixels",
        )
    theory = f"√(2L/3) = {np.sqrt(2 * blocks / 3):.2f}, √(L/3) = {np.sqrt(blocks / 3):.2f}"
    axes.set_title(f"{blocks} blocks, a field of {2 * blocks + 1} pixels; {theory}", fontsize=9)
    axes.set(xlabel="pixels from the middle", ylabel="share of the paths", yticks=[])
    axes.legend(fontsize=8, frameon=False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    return figure


sliders(draw_fields, blocks=IntSlider(20, 1, 60))

# %% [markdown]
# So shortcuts do not help a net to *see far*; dilation and striding are still needed. They help to
# *train* it: [Deep networks are hard to train](06_deep_networks.ipynb).
#
# **Sources.** He et al. 2015, arXiv:1512.03385; 2016, arXiv:1603.05027. Veit, Wilber & Belongie
# 2016, arXiv:1605.06431. Luo et al. 2016, arXiv:1701.04128.
