# %% [markdown]
# # Residual connections – gradient
#
# [← Deep networks are hard to train](06_deep_networks.ipynb) · [Contents and symbols](00_opening.ipynb) · [Upconvolution – residual connections →](08_upconvolution_residual.ipynb)
#
# A net of $L$ residual blocks is a sum. From the input $x_l$ of block $l$ to the last one's output,
# with $\alpha = 1$,
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
#
# **What you will see**: gradients that vanish to $10^{-58}$, explode to $4 \cdot 10^9$, or stay
# within a factor of two, each as the formula says; and deep plain nets whose gradient has the right
# size and is noise all the same.

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
# $\sqrt e$, give or take the scatter of random nets. **Predict** the gradient at block 0 for each
# setting below, then set it. (A pale line is the theory for the setting before.)
#
# - **Set $\alpha = 1$**: the squared gradient grows to $2^L$ times its size.
# - **Set $\alpha = 1$ and $\lambda = 0$**: a plain net. It keeps the gradient on average, but
#   single nets scatter about the average, the more the deeper they are.
# - **Set $\alpha = 0.125$ and $\lambda = 0$**: a plain net whose weights are too small. The
#   gradient vanishes.
# - **Set $\alpha = 0$ and $\lambda = 0.9$, then $\lambda = 1.1$**: only the shortcut is left. The
#   gradient is exactly $\lambda^{L-l}$ times the last one, so it vanishes or explodes.

# %%
SEEDS, DEEPEST = 5, 128


def expected(depth, branch, shortcut):
    return np.log10(shortcut**2 + branch**2) / 2 * np.arange(depth, -1, -1)


def draw_gradients(depth, branch, shortcut, before=None):
    if branch == shortcut == 0:
        raise ValueError("α = λ = 0: no gradient passes at all; make one of them positive.")
    nets = np.array(
        [random_nets.log_gradients(depth, branch, shortcut, seed) for seed in range(SEEDS)]
    )
    figure = Figure(figsize=(7.4, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.axhspan(-1, 1, color="#eeeeee", label="within a factor of ten")
    plots.nets_and_theory(
        axes,
        nets,
        expected(depth, branch, shortcut),
        before=before and expected(**before),
        label="random nets of width 128",
        formula=r"theory: $(\lambda^2 + \alpha^2)^{(L-l)/2}$",
    )
    axes.set(xlabel="block $l$", ylabel="log₁₀ of gradient norm at $l$ / at $L$")
    axes.set(xlim=(-2, DEEPEST + 2), ylim=plots.steady_limits(nets.min(), nets.max(), least=3.0))
    axes.set_title(f"α = {branch:.3f}, λ = {shortcut:.2f}, {depth} blocks", fontsize=9)
    axes.legend(fontsize=8, frameon=False, loc="upper right")
    return figure


sliders(
    draw_gradients,
    depth=IntSlider(64, 4, DEEPEST),
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
# grows only like a power of the depth: the signal on the shortcuts grows from block to block, and a
# norm brings the branch back to size 1, so the deeper the block, the less its branch weighs (De &
# Smith 2020).
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
# along a circle in the space of images and plot the gradient along one direction. In a shallow net
# this is a smooth curve. In a deep plain net with batch norm it looks like white noise: after a
# small step the gradient points somewhere else. In residual nets the gradient changes more slowly.
# On the right is the cosine between the gradients at two points, by their distance on the circle.
#
# **Predict**: does batch norm make the gradient of a plain net smoother or rougher? **Then move the
# depth from 1 to 60**, without and with batch norm, and compare the plain net with the residual one
# below it.


# %%
def draw_shattering(norm, depth):
    gradients = {
        kind: random_nets.gradients_on_circle(
            depth, residual=kind == "residual", batch_norm=norm == "batch norm"
        )
        for kind in ("plain", "residual")
    }
    return plots.shattering(
        {kind: g.sum(axis=1) for kind, g in gradients.items()},
        {kind: random_nets.mean_cosines(g) for kind, g in gradients.items()},
        title=f"{depth} layers, {norm}",
    )


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
# Shortcuts with scaled branches keep the **size** of the gradient at every depth, and they keep its
# **direction** from one input to the next. The same idea works across a whole net: shortcuts from
# encoder to decoder bring the lost pixels back. That is the next page.
#
# ## Summary
#
# - $\partial E/\partial x_l = \partial E/\partial x_L\,(1 + \dots)$: the 1 passes the gradient on.
# - The squared gradient grows by $\lambda^2 + \alpha^2$ a block. With $\lambda = 1$ and
#   $\alpha = 1/\sqrt L$ this is at most $e$ in all, at every depth; so $\alpha = 1/\sqrt L$.
# - Plain nets with batch norm: the squared gradient explodes by $\pi/(\pi - 1)$ a layer, and
#   gradients of unlike inputs shatter as $2^{-L}$.
#
# ## Exercises
#
# **1.** A shortcut is scaled by $\lambda = 0.9$, and the branches are zero. How many blocks let the
# gradient fall below a thousandth?
#
# <details><summary>Solution</summary>
#
# $0.9^L < 10^{-3}$ needs $L > 3 / 0.0458 = 65.6$, so 66 blocks.
#
# </details>
#
# **2.** Why $\alpha = 1/\sqrt L$ and not $1/L$?
#
# <details><summary>Solution</summary>
#
# $(1 + 1/L^2)^L \to 1$: with $1/L$, all branches together hardly change the signal, and in a deep
# net the blocks at initialization do nothing. $1/\sqrt L$ is the largest power with a finite limit,
# $e$.
#
# </details>
#
# **3.** By how much does the gradient grow through 64 layers of a plain net with batch norm?
#
# <details><summary>Solution</summary>
#
# The squared norm by $(\pi/(\pi - 1))^{64} = 1.467^{64} \approx 4.5 \cdot 10^{10}$, the norm by
# about $2 \cdot 10^5$.
#
# </details>
#
# **Sources.** He et al. 2016, arXiv:1603.05027. Balduzzi et al. 2017, arXiv:1702.08591. Yang et al.
# 2019, arXiv:1902.08129. De & Smith 2020, arXiv:2002.10444.
#
# ---
#
# [← Deep networks are hard to train](06_deep_networks.ipynb) · [Contents and symbols](00_opening.ipynb) · [Upconvolution – residual connections →](08_upconvolution_residual.ipynb)
