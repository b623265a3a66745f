# %% [markdown]
# # Deep networks are hard to train
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

# %%
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ipywidgets import Dropdown, FloatSlider, IntSlider
from matplotlib.figure import Figure
from pages import SMALL, decimal_ticks, sliders

from jaxseg import data, losses, models, nn, plots, training
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
# **Move the weight variance** of tanh through its critical value, 1.76 at a bias variance of 0.05.
# Below it, $c_l \to 1$ (order); above it, $c_l$ settles below 1 (chaos). **Choose ReLU with weight
# variance 2 and bias variance 0**, its critical values (He et al. 2015b): the variance stays the
# same. And the correlation?

# %%
ACTIVATIONS = {
    "tanh": (mean_field.TANH, np.tanh),
    "relu": (mean_field.RELU, lambda x: np.maximum(x, 0)),
}
WIDTH, START = 400, 0.3


def simulated_signals(phi, weight_variance, bias_variance, depth, branch_scale=None, seed=0):
    """Variance and correlation of two inputs, layer by layer, in one random net."""
    rng = np.random.default_rng(seed)
    first, orthogonal = np.linalg.qr(rng.normal(size=(WIDTH, 2)))[0].T * np.sqrt(WIDTH)
    h = np.stack([first, START * first + np.sqrt(1 - START**2) * orthogonal])
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
    variances, correlations = simulated_signals(phi, weight_variance, bias_variance, depth, scale)
    figure = Figure(figsize=(8.4, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    layers = np.arange(depth + 1)
    left.plot(layers, variances, ".", color="#0b5fa5")
    left.plot(layers, path.variances, "--", color="#e4572e")
    left.set(yscale="log", xlabel="layer", title="variance $q_l$ (size)")
    decimal_ticks(left.yaxis)
    right.plot(layers, correlations, ".", color="#0b5fa5", label="a random net")
    right.plot(layers, path.correlations, "--", color="#e4572e", label="theory")
    right.set(ylim=(-0.1, 1.05), xlabel="layer", title="correlation $c_l$ of two images")
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
# ## The experiment
#
# The cell below trains nets of 3 × 3 convolutions at full resolution: plain, plain with batch norm,
# and residual. All have equally many kernels and see the same mosaics. Each kind of net is shown at
# *its own best* learning rate and judged by its **training** loss, as the median of two seeds.
# `vmap` trains all seeds and rates of a kind at once.
#
# **Change** `NETS`, `DEPTHS`, `RATES`. (`python -m experiments.depth_scaling` asks the same
# question with more seeds, rates and steps.)

# %%
NETS = {
    "plain": {"residual": False},
    "plain, batch norm": {"residual": False, "norm": "batch"},
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


def make_net(kind, depth):
    """A net of `depth` convolutions as a pair of functions."""
    options = {"classes": 3, "inputs": 1, "features": FEATURES, "blocks": depth // 2 - 1}
    return nn.functional(lambda rngs: models.DeepNet(**options, **NETS[kind], rngs=rngs))


def train(kind, depth):
    """Training losses, (seeds, rates, steps)."""
    init, apply = make_net(kind, depth)

    def run(key, rate):
        optimizer = optax.chain(training.clip_by_norm(1.0), optax.adam(rate))
        step = training.make_train_step(apply, optimizer, losses.mean_cross_entropy)
        state = training.init_state(*init(key), optimizer)

        def train_batch(state, batch):
            state, results = step(state, {"image": images[batch], "label": labels[batch]})
            return state, results["loss"]

        return jax.lax.scan(train_batch, state, order)[1]

    keys = jax.random.split(jax.random.key(1), SEEDS)
    run_all = jax.vmap(jax.vmap(run, (None, 0)), (0, None))
    # With all optimizations, compiling would take longer than training.
    options = {"xla_backend_optimization_level": 1}
    return np.asarray(jax.jit(run_all, compiler_options=options)(keys, RATES))


curves = {}
for depth in DEPTHS:
    for kind in NETS:
        histories = train(kind, depth)
        final = histories[..., -STEPS // 10 :].mean(-1)
        best = np.argmin(np.where(np.isfinite(final), final, np.inf).mean(0))
        curves[kind, depth] = histories[:, best]
        print(
            f"{kind:>17}, {depth:2d} convolutions: training loss {np.median(final[:, best]):.3f} "
            f"at rate {float(RATES[best]):g}"
        )


# %%
def smooth(line, steps=12):
    """Mean over the last `steps` steps."""
    total = np.convolve(line, np.ones(steps))[: len(line)]
    return total / np.minimum(np.arange(1, len(line) + 1), steps)


figure = Figure(figsize=(8.4, 3.2), layout="constrained")
for axes, depth in zip(
    figure.subplots(1, len(DEPTHS), sharey=True, squeeze=False)[0], DEPTHS, strict=True
):
    for kind, color in zip(NETS, plots.CYCLE, strict=False):
        for number, line in enumerate(curves[kind, depth]):
            axes.plot(smooth(line), color=color, linewidth=1.3, label=None if number else kind)
    axes.axhline(np.log(3), color="black", linestyle=":", linewidth=1, label="chance, ln 3")
    axes.set(xlabel="step", ylim=(0.5, 1.3))
    axes.set_title(f"{depth} convolutions", fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(fontsize=8, frameon=False, loc="lower left")
figure.axes[0].set_ylabel("training loss (nats)")
figure

# %% [markdown]
# A net that knows nothing has a loss of ln 3 = 1.099. Both plain kinds lose with depth, the one
# without norm most. But so does the residual net: 110 steps and two seeds are too few to show what
# shortcuts are good for. `python -m experiments.depth_scaling` trains deeper nets, with three seeds
# and 150 steps on slightly larger images. Its training losses, each kind at its best rate:
#
# | convolutions | plain | plain, batch norm | residual |
# |---|---|---|---|
# | 8 | 0.445 | 0.486 | 0.432 |
# | 16 | 0.718 | 0.527 | 0.396 |
# | 32 | 0.881 | 0.763 | 0.390 |
# | 64 | 1.099 | 0.999 | 0.424 |
#
# The loss of both plain kinds rises with depth, and the plain net with 64 convolutions learns
# nothing at all. The loss of the residual net does not rise:
#
# ![How deep can a segmentation net be trained?](../experiments/figures/depth_scaling.png)
#
# "Plain nets cannot be trained deep" would be too strong: tanh nets with orthogonal kernels on the
# critical line were trained with 10,000 layers (Xiao et al. 2018). Shortcuts need no such care. The
# reason is in their gradient: [Residual connections – gradient](07_residual_gradient.ipynb).
#
# **Sources.** He et al. 2015, arXiv:1512.03385; 2015b, arXiv:1502.01852. Poole et al. 2016,
# arXiv:1606.05340. Schoenholz et al. 2017, arXiv:1611.01232. Xiao et al. 2018, arXiv:1806.05393.
