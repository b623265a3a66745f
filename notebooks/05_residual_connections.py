# %% [markdown]
# # Residual connections
#
# [← Upconvolution](04_upconvolution.ipynb) · [Contents and symbols](00_opening.ipynb) · [Deep networks are hard to train →](06_deep_networks.ipynb)
#
# A **residual block** adds something to its input instead of replacing it (He et al. 2015, 2016):
#
# $$ x_{l+1} = x_l + \alpha\, F_l(x_l) . $$
#
# $F_l$ is the *branch*, one or two layers; $\alpha$ is its scale, 1 in the original publications.
# The path around the branch is the *shortcut*, the identity. If the branch is zero, the block
# passes the image forward and the gradient backward unchanged.
#
# **What you will see**: fifty blocks that are exactly the identity, a variance that grows to $2^L$
# or stays below $e$ by one choice of $\alpha$, and which of the $2^L$ paths through a net matter.

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
import random_nets
from flax import nnx
from ipywidgets import FloatSlider, IntSlider
from matplotlib.figure import Figure
from pages import sliders

from jaxseg import analysis, models, nn, plots

# %%
plots.plain_and_residual()

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
    f"largest |x_49 − x_0| = {jnp.abs(inputs[-1] - inputs[0]).max()}, "
    f"‖∂E/∂x_0‖ / ‖∂E/∂x_49‖ = {jnp.linalg.norm(gradients[0]) / jnp.linalg.norm(gradients[-1])}"
)

# %% [markdown]
# This depends on the *order* of the operations in the block. *Post-activation* (He et al. 2015)
# puts an activation behind the sum, where it acts on the shortcut of every block. *Pre-activation*
# (He et al. 2016) puts it in front of the kernels, inside the branch. Where a block changes the
# size of the map, the shortcut cannot be the identity: a **projection**, a strided 1 × 1
# convolution, takes its place.

# %%
plots.residual_blocks()

# %% [markdown]
# **Predict**: with zero branches, what passes through three blocks of each kind, of −2, −1, 1 and
# 2?

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
# gray lines are four random nets of width 128. A pale line is the formula for the setting before.
#
# At first, $\alpha = 1/\sqrt{64} = 0.125$, and the variance ends at about $e$. **Predict**: where
# does it end if you double the depth and leave $\alpha$ as it is? **Then double the depth.** After
# that, **set $\alpha$ to 1**, and **to 0**.

# %%
SEEDS, DEEPEST = 4, 128


def expected(depth, branch_scale):
    return (1 + branch_scale**2) ** np.arange(depth + 1)


def draw_variance(depth, branch_scale, before=None):
    nets = np.array([random_nets.variances(depth, branch_scale, seed) for seed in range(SEEDS)])
    theory = expected(depth, branch_scale)
    figure = Figure(figsize=(7.4, 3.4), layout="constrained")
    axes = figure.subplots()
    for net in nets[:, 1]:
        axes.plot(net, color="#999999", linewidth=0.8)
    axes.lines[0].set_label("plain nets")
    plots.nets_and_theory(
        axes,
        nets[:, 0],
        theory,
        before=before and expected(**before),
        label="residual nets",
        formula=r"theory: $(1 + \alpha^2)^l$",
        marker=".",
    )
    low, high = plots.steady_limits(*np.log10([nets.min(), nets.max()]), least=1.0)
    axes.set(yscale="log", xlim=(-2, DEEPEST + 2), ylim=(10**low, 10**high))
    axes.set(xlabel="block $l$", ylabel=r"Var $x_l$ / Var $x_0$")
    axes.set_title(
        rf"$\alpha$ = {branch_scale:.3f}: $(1 + \alpha^2)^L$ = {theory[-1]:.4g}", fontsize=9
    )
    return figure


sliders(
    draw_variance,
    depth=IntSlider(64, 2, DEEPEST),
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
# **Predict**: of 54 blocks with $\alpha = 1$, how long are the paths that carry most of the squared
# gradient? **Then set $\alpha$ to 1 and move it down.**


# %%
def draw_paths(depth, branch_scale):
    by_number = np.exp(analysis.log_path_counts(depth) - depth * np.log(2))
    by_gradient = analysis.independent_path_shares(np.full(depth, branch_scale**2))
    lengths = np.arange(depth + 1)
    return plots.shares(
        lengths,
        {"of the number of paths": by_number, "of the squared gradient": by_gradient},
        limits=((-1, 61), (0, 0.6)),
        xlabel="length of a path (branches)",
        title=f"{depth} blocks, α = {branch_scale:.2f}: mean length {depth / 2:g} by number, "
        f"{float(lengths @ by_gradient):.1f} by gradient",
    )


sliders(
    draw_paths,
    depth=IntSlider(54, 2, 60),
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
DEPTH = 16
for name, plain, branch_scale in (
    ("plain", True, 1.0),
    ("residual, α = 1", False, 1.0),
    ("residual, α = 1/√L", False, 0.25),
):
    whole = random_nets.outputs(DEPTH, branch_scale, plain=plain)
    cosines = [
        random_nets.cosine(
            whole, random_nets.outputs(DEPTH, branch_scale, plain=plain, without=block)
        )
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
#
# **Predict**: how many residual blocks see effectively as far as 20 plain ones? **Then move the
# number of blocks.**


# %%
def draw_fields(blocks):
    offsets, lines = np.arange(-blocks, blocks + 1), {}
    for name, kernel in (("plain", [1 / 3, 1 / 3, 1 / 3]), ("residual", [1 / 6, 4 / 6, 1 / 6])):
        shares = np.ones(1)
        for _ in range(blocks):
            shares = np.convolve(shares, kernel)
        lines[f"{name}: σ = {np.sqrt(shares @ offsets**2):.2f} pixels"] = shares
    theory = f"√(2L/3) = {np.sqrt(2 * blocks / 3):.2f}, √(L/3) = {np.sqrt(blocks / 3):.2f}"
    return plots.profiles(
        offsets,
        lines,
        limits=((-25, 25), (0, 0.38)),
        xlabel="pixels from the middle",
        title=f"{blocks} blocks, a field of {2 * blocks + 1} pixels; {theory}",
    )


sliders(draw_fields, blocks=IntSlider(20, 4, 60))

# %% [markdown]
# So shortcuts do not help a net to *see far*; dilation and striding are still needed. They help to
# *train* it, which is the subject of the next two pages.
#
# ## Summary
#
# - A residual block adds $\alpha F(x)$ to $x$. With pre-activation the way from block to block is
#   the identity; with post-activation a ReLU stands in it.
# - The variance grows as $(1 + \alpha^2)^L$: $2^L$ for $\alpha = 1$, at most $e$ for
#   $\alpha = 1/\sqrt L$.
# - Most *paths* are long, but for small $\alpha$ the *gradient* comes through short ones.
#
# ## Exercises
#
# **1.** Which $\alpha$ keeps the variance of 1,000 blocks below 2?
#
# <details><summary>Solution</summary>
#
# $(1 + \alpha^2)^{1000} \approx e^{1000 \alpha^2} < 2$ needs $\alpha^2 < \ln 2 / 1000$, so
# $\alpha < 0.026$. ($1/\sqrt{1000} = 0.032$ gives $e$.)
#
# </details>
#
# **2.** In post-activation blocks with zero branches, why does the second block change nothing
# more?
#
# <details><summary>Solution</summary>
#
# The first block's ReLU has already set negative values to zero, and ReLU leaves the others alone:
# $\operatorname{relu}(\operatorname{relu}(x)) = \operatorname{relu}(x)$.
#
# </details>
#
# **3.** For $\alpha = 1$ the two kinds of bars agree. Show why.
#
# <details><summary>Solution</summary>
#
# A path of $k$ branches has weight $\alpha^{2k}$, and there are $\binom Lk$ of them. For $\alpha =
# 1$ all weights are equal, so the share of the gradient is the share of the number, $\binom Lk /
# 2^L$.
#
# </details>
#
# **Sources.** He et al. 2015, arXiv:1512.03385; 2016, arXiv:1603.05027. Veit, Wilber & Belongie
# 2016, arXiv:1605.06431. Luo et al. 2016, arXiv:1701.04128.
#
# ---
#
# [← Upconvolution](04_upconvolution.ipynb) · [Contents and symbols](00_opening.ipynb) · [Deep networks are hard to train →](06_deep_networks.ipynb)
