# %% [markdown]
# # Deep networks are hard to train
#
# As a rule of thumb, plain techniques train ten to fifteen layers, and normalisation twenty to
# thirty. Beyond, *deeper is worse*: not on unseen images alone, which would be overfitting, but on
# the training images. This **degradation** was published by He et al. (2015); their errors on
# ImageNet (top-1, in %):
#
# | layers | plain | residual |
# |---|---|---|
# | 18 | 27.94 | 27.88 |
# | 34 | 28.54 | 25.03 |
#
# A deeper net could copy the shallower one and be silent in the rest; that it does not is a failure
# of *training*. What goes wrong? Three suspects: the signal's **size**, its **content**, and the
# gradient's (next page).

# %%
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ipywidgets import Dropdown, FloatSlider, IntSlider
from matplotlib.figure import Figure
from pages import SMALL, sliders

from jaxseg import data, losses, models, nn, plots, training
from jaxseg.analysis import mean_field

# %% [markdown]
# ## Suspect one: the signal's size. Suspect two: its content
#
# Mean-field theory follows two inputs through a wide random net, $h_{l+1} = W \phi(h_l) + b$ with
# weights of variance $\sigma_w^2$ / width and biases of variance $\sigma_b^2$ (Poole et al. 2016,
# Schoenholz et al. 2017). Their **variance** $q_l$ is their size, their **correlation** $c_l$ what
# tells them apart:
#
# $$ q_{l+1} = \sigma_w^2\, \mathbb{E}\,\phi(\sqrt{q_l} z)^2 + \sigma_b^2, \qquad
# c_{l+1} = \frac{\sigma_w^2\, \mathbb{E}\,\phi(u)\phi(v) + \sigma_b^2}{q_{l+1}} , $$
#
# with $u, v$ normal, of variance $q_l$ and correlation $c_l$. Where $c_l \to 1$ the net says the
# same of every image; where it falls, it treats alike images as strangers. Either way the last
# layer knows nothing of the first. Dashed: theory. Points: one random net of width 400.
#
# **Move the weight variance** of tanh through 1.76: order on one side, chaos on the other. **Choose
# ReLU**: its critical variance is 2 (He et al. 2015b). Is all well there?

# %%
ACTIVATIONS = {
    "tanh": (mean_field.TANH, np.tanh),
    "relu": (mean_field.RELU, lambda x: np.maximum(x, 0)),
}
WIDTH, START = 400, 0.3


def drawn_signals(phi, weight_variance, bias_variance, depth, branch_scale=None, seed=0):
    """Variance and correlation of two inputs, layer by layer, in one random net."""
    rng = np.random.default_rng(seed)
    first, other = np.linalg.qr(rng.normal(size=(WIDTH, 2)))[0].T * np.sqrt(WIDTH)
    h = np.stack([first, START * first + np.sqrt(1 - START**2) * other])
    variances, correlations = [], []
    for _ in range(depth + 1):
        variances.append(np.mean(h**2))
        correlations.append(h[0] @ h[1] / np.sqrt((h[0] @ h[0]) * (h[1] @ h[1])))
        weights = rng.normal(size=(WIDTH, WIDTH)) * np.sqrt(weight_variance / WIDTH)
        branch = phi(h) @ weights + rng.normal(size=WIDTH) * np.sqrt(bias_variance)
        h = branch if branch_scale is None else h + branch_scale * branch
    return variances, correlations


def draw_signals(activation, weight_variance, bias_variance, depth, shortcut):
    theory, phi = ACTIVATIONS[activation]
    scale = 1 / math.sqrt(depth) if shortcut == "yes, α = 1/√L" else None
    layer = mean_field.Layer(theory, weight_variance, bias_variance, branch_scale=scale)
    path = mean_field.iterate(layer, depth, correlation=START)
    variances, correlations = drawn_signals(phi, weight_variance, bias_variance, depth, scale)
    figure = Figure(figsize=(8.4, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    layers = np.arange(depth + 1)
    left.plot(layers, variances, ".", color="#0b5fa5")
    left.plot(layers, path.variances, "--", color="#e4572e")
    left.set(yscale="log", xlabel="layer", title="variance (size)")
    right.plot(layers, correlations, ".", color="#0b5fa5", label="a random net")
    right.plot(layers, path.correlations, "--", color="#e4572e", label="theory")
    right.set(ylim=(-0.1, 1.05), xlabel="layer", title="correlation of two images")
    right.legend(fontsize=8, frameon=False)
    for axes in (left, right):
        axes.title.set_fontsize(9)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


sliders(
    draw_signals,
    activation=Dropdown(options=list(ACTIVATIONS)),
    weight_variance=FloatSlider(value=1.3, min=0.5, max=4.0, step=0.1),
    bias_variance=FloatSlider(value=0.05, min=0.0, max=0.3, step=0.01),
    depth=IntSlider(30, 5, 60),
    shortcut=Dropdown(options=["no", "yes, α = 1/√L"]),
)

# %% [markdown]
# Not only *whether* but *how fast*: near its end the correlation settles as $e^{-l/\xi}$, and a net
# deeper than some six of these **depth scales** $\xi$ cannot be trained (Schoenholz et al. 2017).
# At the critical line $\xi$ is infinite. For tanh with $\sigma_b^2 = 0.05$:

# %%
critical = mean_field.critical_weight_variance(0.05)
print(f"critical weight variance {critical:.4f}")
for weight_variance in (1.3, 1.5, 1.7, 2.0, 2.5):
    layer = mean_field.Layer(mean_field.TANH, weight_variance, 0.05)
    scales = mean_field.depth_scales(layer)
    settles = mean_field.fixed_correlation(layer)
    print(f"{weight_variance}: correlation ends at {settles:.3f}, ξ = {scales.correlation:.1f}")

# %% [markdown]
# And ReLU at its critical variance keeps the size of the signal, but not what tells images apart:
# uncorrelated ones have correlation $1/\pi$ behind one layer, and $1 - c_l \to 9\pi^2 / 2 l^2$:

# %%
path = mean_field.iterate(mean_field.Layer(mean_field.RELU, 2.0), 4000)
for depth in (1, 2, 3, 10, 30, 100, 4000):
    c = path.correlations[depth]
    print(f"layer {depth:4d}: c = {c:.5f}, (1 - c) l² = {(1 - c) * depth**2:6.2f}")
print(f"9π²/2 = {9 * np.pi**2 / 2:.2f}")

# %% [markdown]
# ## The experiment
#
# Nets of 3 × 3 convolutions at full resolution, plain and residual, with the same number of
# parameters, on the same mosaics. Each arm is shown at *its own best* learning rate, and judged by
# its **training** loss, the median of two seeds. All seeds and rates of an arm are trained at once,
# by `vmap`.
#
# **Change** `ARMS`, `DEPTHS`, `RATES`. (`experiments/depth_scaling.py` is the same question with
# more seeds, rates and steps.)

# %%
ARMS = {
    "plain": {"residual": False},
    "plain_norm": {"residual": False, "norm": "batch"},
    "residual": {"residual": True},
}
DEPTHS = (8,) if SMALL else (8, 24)
RATES = jnp.array([4e-3]) if SMALL else jnp.array([1e-3, 4e-3, 1.2e-2])
SEEDS, STEPS, BATCH, FEATURES = (1, 2, 2, 4) if SMALL else (2, 110, 4, 8)
CONFIG = data.MosaicConfig(size=16, cells=3, equal=False)

pairs = [data.mosaic_example(CONFIG, "train", index) for index in range(8 if SMALL else 256)]
images = jnp.asarray((np.stack([p[0] for p in pairs])[..., None] - 128.0) / 40, jnp.float32)
labels = jnp.asarray(np.stack([p[1] for p in pairs]), jnp.int32)
order = np.random.default_rng(0).integers(len(images), size=(STEPS, BATCH))


def make_net(arm, depth):
    """A net of `depth` convolutions as a pair of functions."""
    fields = {"classes": 3, "inputs": 1, "features": FEATURES, "blocks": depth // 2 - 1}
    return nn.functional(lambda rngs: models.DeepNet(**fields, **ARMS[arm], rngs=rngs))


def train(arm, depth):
    """Training losses, (seeds, rates, steps)."""
    init, apply = make_net(arm, depth)

    def run(key, rate):
        optimizer = optax.chain(training.clip_by_norm(1.0), optax.adam(rate))
        step = training.make_train_step(apply, optimizer, losses.mean_cross_entropy)
        state = training.init_state(*init(key), optimizer)

        def batch(state, pick):
            state, found = step(state, {"image": images[pick], "label": labels[pick]})
            return state, found["loss"]

        return jax.lax.scan(batch, state, order)[1]

    keys = jax.random.split(jax.random.key(1), SEEDS)
    many = jax.vmap(jax.vmap(run, (None, 0)), (0, None))
    # To compile in full takes longer than to train.
    quickly = {"xla_backend_optimization_level": 1}
    return np.asarray(jax.jit(many, compiler_options=quickly)(keys, RATES))


curves = {}
for depth in DEPTHS:
    for arm in ARMS:
        found = train(arm, depth)
        final = found[..., -STEPS // 10 :].mean(-1)
        best = np.argmin(np.where(np.isfinite(final), final, np.inf).mean(0))
        curves[arm, depth] = found[:, best]
        print(
            f"{arm:>11} {depth:3d} convolutions: loss {np.median(final[:, best]):.3f} "
            f"at rate {float(RATES[best]):g}"
        )


# %%
def smooth(line, reach=12):
    """Mean over the last `reach` steps."""
    total = np.convolve(line, np.ones(reach))[: len(line)]
    return total / np.minimum(np.arange(1, len(line) + 1), reach)


figure = Figure(figsize=(8.4, 3.2), layout="constrained")
for axes, depth in zip(
    figure.subplots(1, len(DEPTHS), sharey=True, squeeze=False)[0], DEPTHS, strict=True
):
    for arm, color in zip(ARMS, plots.CYCLE, strict=False):
        for number, line in enumerate(curves[arm, depth]):
            axes.plot(smooth(line), color=color, linewidth=1.3, label=None if number else arm)
    axes.axhline(np.log(3), color="black", linestyle=":", linewidth=1, label="chance, ln 3")
    axes.set(xlabel="step", ylim=(0.5, 1.3))
    axes.set_title(f"{depth} convolutions", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False, loc="lower left")
figure.axes[0].set_ylabel("training loss (nats)")
figure

# %% [markdown]
# ln 3 = 1.099 is what a net has that knows nothing. Deeper is worse for all three in so few steps,
# and worst for the plain net; what normalisation and shortcuts do at 64 convolutions and more is
# beyond this page (`python -m experiments.depth_scaling`).
#
# "Plain nets cannot be trained deep" would be too strong: tanh with orthogonal kernels at the
# critical line was trained at 10,000 layers (Xiao et al. 2018). Shortcuts need no such care. Why is
# in their gradient: [Residual connections – gradient](07_residual_gradient.ipynb).
#
# **Sources.** He et al. 2015, arXiv:1512.03385; 2015b, arXiv:1502.01852. Poole et al. 2016,
# arXiv:1606.05340. Schoenholz et al. 2017, arXiv:1611.01232. Xiao et al. 2018, arXiv:1806.05393.
