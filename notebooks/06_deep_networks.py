# %% [markdown]
# # Deep networks are hard to train
#
# [← Residual connections](05_residual_connections.ipynb) · [Contents and symbols](00_opening.ipynb) · [Residual connections – gradient →](07_residual_gradient.ipynb)
#
# As a rule of thumb, plain nets can be trained with ten to fifteen layers, and nets with
# normalization with twenty to thirty. Beyond that, a *deeper net is worse*. It is worse on the
# training images too, so the reason is not overfitting. He et al. (2015) described this
# **degradation** for nets that already had batch norm: their plain net of 34 layers had a higher
# training error than the one of 18 layers throughout. On the validation images of ImageNet the
# errors were (top-1, in %, averaged over 10 crops of each image):
#
# | layers | plain | residual |
# |---|---|---|
# | 18 | 27.94 | 27.88 |
# | 34 | 28.54 | 25.03 |
#
# A deeper net could copy the shallower one and let its other layers be the identity. It does not,
# so it is the *training* that fails. What goes wrong? This page looks at the **size** of the signal
# and at its **content**, the next one at the gradient.
#
# **What you will see**: a random net that forgets its input while its numbers stay of normal size,
# and trained nets of 8 to 64 convolutions of which only those with shortcuts (or with carefully
# chosen kernels) still learn.

# %%
import importlib.util

if importlib.util.find_spec("jaxseg") is None:  # a fresh runtime, such as Colab's
    SOURCE = "..."  # the address of a git repository of jaxseg
    get_ipython().system(f"git clone -q {SOURCE} jaxseg && pip install -q './jaxseg[notebooks]'")
    get_ipython().run_line_magic("cd", "jaxseg/notebooks")

# %%
import math

import numpy as np
import random_nets
import short_runs
from ipywidgets import Dropdown, FloatSlider, IntSlider
from pages import SMALL, results, sliders

from jaxseg import data, models, nn, plots
from jaxseg.analysis import mean_field

# %% [markdown]
# ## The signal: its size and its content
#
# Mean-field theory follows two inputs through a wide random net, $h_{l+1} = W \phi(h_l) + b$, whose
# weights have variance $\sigma_w^2$ / width and whose biases have variance $\sigma_b^2$ (Poole et
# al. 2016, Schoenholz et al. 2017). Their common **variance** $q_l$ measures the size of the
# signal. Their **correlation** $c_l$ measures how well the net tells them apart:
#
# $$ q_{l+1} = \sigma_w^2\, \mathbb{E}\,\phi(\sqrt{q_l} z)^2 + \sigma_b^2, \qquad
# c_{l+1} = \frac{\sigma_w^2\, \mathbb{E}\,\phi(u)\phi(v) + \sigma_b^2}{q_{l+1}} , $$
#
# where $z$ is standard normal, and $u$ and $v$ are normal with variance $q_l$ and correlation
# $c_l$. If $c_l \to 1$, the net gives the same output for every image. If $c_l$ falls to a lower
# value from any start, images that are nearly equal get unrelated outputs. Either way the last
# layer no longer depends on the image in a useful way. The dashed line is the theory, the points
# are one random net of width 400.
#
# **Predict**: two inputs have correlation 0.3. What is it after thirty layers of tanh whose weights
# are small? And if they are large? **Then move the weight variance** of tanh through its critical
# value, 1.76 at a bias variance of 0.05. Below it, $c_l \to 1$ (order); above it, $c_l$ settles
# below 1 (chaos). **Choose ReLU with weight variance 2 and bias variance 0**, its critical values
# (He et al. 2015b): the variance stays the same. And the correlation?

# %%
ACTIVATIONS = {
    "tanh": (mean_field.TANH, np.tanh),
    "relu": (mean_field.RELU, lambda x: np.maximum(x, 0)),
}
START, DEEPEST = 0.3, 60


def settings(activation, weight_variance, bias_variance, depth, shortcut):
    """Mean-field theory of these settings, and the arguments of the simulation."""
    theory, phi = ACTIVATIONS[activation]
    scale = 1 / math.sqrt(depth) if shortcut == "yes, α = 1/√L" else None
    layer = mean_field.Layer(theory, weight_variance, bias_variance, branch_scale=scale)
    path = mean_field.iterate(layer, depth, correlation=START)
    theory = np.array(path.variances), np.array(path.correlations)
    return theory, (phi, weight_variance, bias_variance, depth, scale)


def draw_signals(activation, weight_variance, bias_variance, depth, shortcut, before=None):
    theory, net = settings(activation, weight_variance, bias_variance, depth, shortcut)
    ghost = settings(**before)[0] if before else None
    return plots.signal_propagation(
        random_nets.signals(*net, start=START), theory, before=ghost, most_layers=DEEPEST
    )


sliders(
    draw_signals,
    activation=Dropdown(options=list(ACTIVATIONS)),
    weight_variance=FloatSlider(value=1.3, min=0.5, max=4.0, step=0.1),
    bias_variance=FloatSlider(value=0.05, min=0.0, max=0.3, step=0.01),
    depth=IntSlider(30, 5, 60),
    shortcut=Dropdown(options=["no", "yes, α = 1/√L"]),
)

# %% [markdown]
# It also matters *how fast* the correlation settles. Near its limit it does so as $e^{-l/\xi}$, and
# a net that is deeper than about six of these **depth scales** $\xi$ cannot be trained (Schoenholz
# et al. 2017). On the critical line $\xi$ is infinite. For tanh with $\sigma_b^2 = 0.05$:

# %%
critical = mean_field.critical_weight_variance(0.05)
print(f"critical weight variance {critical:.4f}")
for weight_variance in (1.3, 1.5, 1.7, 2.0, 2.5):
    layer = mean_field.Layer(mean_field.TANH, weight_variance, 0.05)
    scales = mean_field.depth_scales(layer)
    limit = mean_field.fixed_correlation(layer)
    print(
        f"weight variance {weight_variance}: c_l tends to {limit:.3f}, "
        f"ξ = {scales.correlation:.1f} layers"
    )

# %% [markdown]
# ReLU at its critical variance keeps the size of the signal but loses its content: two uncorrelated
# inputs have correlation $1/\pi$ after one layer, and in deep nets
# $1 - c_l \approx 9\pi^2 / (2 l^2)$:

# %%
path = mean_field.iterate(mean_field.Layer(mean_field.RELU, 2.0), 4000)
for depth in (1, 2, 3, 10, 30, 100, 4000):
    c = path.correlations[depth]
    print(f"layer {depth:4d}: c = {c:.5f}, (1 - c) l² = {(1 - c) * depth**2:6.2f}")
print(f"9π²/2 = {9 * np.pi**2 / 2:.2f}")

# %% [markdown]
# ## A norm: the first remedy
#
# **Batch norm** (Ioffe & Szegedy 2015) makes the size of the signal independent of the weights.
# Over all pixels of all images of a batch, it brings each feature $j$ to mean 0 and variance 1; two
# trained numbers per feature, $\gamma_j$ and $\beta_j$, then set its scale and offset:
#
# $$ \hat x_j = \frac{x_j - \mu_j}{\sqrt{v_j + \epsilon}}, \qquad y_j = \gamma_j\, \hat x_j +
# \beta_j . $$
#
# In training, $\mu_j$ and $v_j$ are the mean and variance over the batch, so an image's output
# depends on the others of its batch; in use, running averages take their place. The *size* of the
# signal is now safe at every depth. But the [next page](07_residual_gradient.ipynb) shows that the
# gradient of a plain net with batch norm explodes.
#
# ## The experiment
#
# Nets of 3 × 3 convolutions at full resolution are trained on mosaics of 20 × 20 pixels: plain,
# plain with batch norm, residual ($\alpha = 1/\sqrt L$), and a fair control, plain nets of tanh
# with delta-orthogonal kernels (Xiao et al. 2018), which keep, up to a factor, the length of every
# signal. All have equally many parameters and see the same images. Each kind is shown at *its own
# best* of three learning rates and judged by its **training** loss.
#
# **Predict** for each kind whether the loss after 150 steps rises from 8 to 64 convolutions.

# %%
LABELS = {
    "plain": "plain",
    "plain_norm": "plain, batch norm",
    "plain_isometric": "plain, tanh, orthogonal",
    "residual": "residual",
}
stored = results("06_depth")
place = {str(name): number for number, name in enumerate(stored["names"])}
final = {label: stored["final"][place[name]].T for name, label in LABELS.items()}
plots.medians(
    stored["depths"],
    final,
    xlabel="convolutions",
    ylabel="training loss (nats)",
    log_x=True,
    chance=math.log(3),
    title="150 steps; median and range of three seeds",
)

# %%
curves = stored["losses"].astype(float)  # (kinds, depths, seeds, steps)
plots.training_curves(
    {
        f"{stored['depths'][depth]} convolutions": {
            label: np.median(curves[place[name], depth], axis=0)[None]
            for name, label in LABELS.items()
        }
        for depth in (0, 2, 3)
    },
    steps_per_value=int(stored["bin"]),
    chance=math.log(3),
    ylim=(0.3, 1.4),
)

# %% [markdown]
# The numbers are those of `python -m experiments.depth_scaling`, which `precompute.py` stores. A
# net that knows nothing has a loss of ln 3 = 1.099. The loss of both plain ReLU kinds rises with
# depth, and the plain net with 64 convolutions learns nothing at all. That of tanh with orthogonal
# kernels rises a little, from .38 to .54. The loss of the residual net does not rise. The same
# study with more depths and five seeds (`--preset full`) goes on to 256 convolutions: plain 1.099,
# plain with batch norm 1.101, tanh with orthogonal kernels 0.761, residual 0.468. Residual nets of
# 1,026 convolutions learn too (`--preset deepest`):
#
# ![Training loss of residual nets of 1,026 convolutions](../experiments/figures/deepest.png)
#
# "Plain nets cannot be trained deep" would be too strong: with orthogonal kernels on the critical
# line, 10,000 layers of tanh were trained (Xiao et al. 2018). Shortcuts need no such care. The
# reason is in their gradient: that is the next page.
#
# **Try it.** The cell below trains one net for 110 steps on 16 × 16 pixels. Does a plain net of 24
# convolutions learn? Does a residual one? In so few steps a residual net of 24 convolutions is
# still behind one of 8; only the longer runs above show that it is no worse.

# %%
CONVOLUTIONS, OPTIONS = (6, {"residual": True}) if SMALL else (24, {"residual": True})
STEPS, RATE, SEED = 2 if SMALL else 110, 4e-3, 0
CONFIG = data.MosaicConfig(size=16, cells=3, equal=False)
net = nn.functional(
    lambda rngs: models.DeepNet(
        classes=3, inputs=1, features=8, blocks=CONVOLUTIONS // 2 - 1, **OPTIONS, rngs=rngs
    )
)
train_set = short_runs.mosaic_examples(CONFIG, "train", 8 if SMALL else 256)
run = short_runs.train(net, train_set, train_set[0][:8], steps=STEPS, rate=RATE, seed=SEED)
print(f"training loss: {run.losses[0]:.3f} at first, {run.losses[-10:].mean():.3f} at the end")

# %% [markdown]
# ## Summary
#
# - Degradation is a failure of training: the *training* loss rises with depth.
# - Random layers change the size of the signal, $q_l$, and its content, $c_l$. Either can be lost.
# - Critical ReLU nets keep the size and lose the content slowly, as $1/l^2$.
# - A norm fixes the size. It carries plain nets to twice the depth here, not farther.
#
# ## Exercises
#
# **1.** tanh with weight variance 1.3 and bias variance .05 has $\xi = 7.8$ layers. To which depth
# can it be trained?
#
# <details><summary>Solution</summary>
#
# To about six depth scales, so to some 47 layers (Schoenholz et al. 2017).
#
# </details>
#
# **2.** ReLU with weight variance 1.5 and bias variance 0: by which factor does the variance change
# in thirty layers?
#
# <details><summary>Solution</summary>
#
# ReLU keeps half of the second moment, so each layer multiplies by $1.5/2 = .75$:
# $.75^{30} = 1.8 \cdot 10^{-4}$.
#
# </details>
#
# **3.** Why is each kind of net judged at its *own* best learning rate?
#
# <details><summary>Solution</summary>
#
# At one common rate, the comparison would depend on whom the rate suits. A residual net and a plain
# one may need rates that differ severalfold, and deep plain nets need smaller ones.
#
# </details>
#
# **Sources.** He et al. 2015, arXiv:1512.03385; 2015b, arXiv:1502.01852. Ioffe & Szegedy 2015,
# arXiv:1502.03167. Poole et al. 2016, arXiv:1606.05340. Schoenholz et al. 2017, arXiv:1611.01232.
# Xiao et al. 2018, arXiv:1806.05393.
#
# ---
#
# [← Residual connections](05_residual_connections.ipynb) · [Contents and symbols](00_opening.ipynb) · [Residual connections – gradient →](07_residual_gradient.ipynb)
