# %% [markdown]
# # Upconvolution
#
# A strided convolution gives fewer pixels than it takes. The **upconvolution** gives more: put
# $s - 1$ zeros between the pixels of the input, that is, *dilate the input*, and convolve.
#
# $$ y = \operatorname{conv}\big(\text{dilate}(x, s),\, w\big), \qquad
# \text{outputs} = s\,(n - 1) + k - 2p + a , $$
#
# with $a$ the output padding. It is known as *transposed convolution*, *fractionally strided
# convolution* and, wrongly, *deconvolution*. (Dumoulin & Visin 2016)

# %%
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from ipywidgets import IntSlider
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from pages import rows, sliders

from jaxseg import analysis, models, nn, ops, plots

# %% [markdown]
# ## Drawn: the dilated input
#
# The input's pixels in blue, the zeros between and around them in white; the kernel in orange at
# its first place, and the output that it makes as it moves. **Move the stride**: how many of the
# taps meet a pixel, and how many a zero? **Choose kernel and padding so that 4 pixels become 8.**

# %%
PIXELS = 4


def draw_dilated(kernel, stride, padding, output_padding):
    outputs = ops.upconv_output_size(
        PIXELS, kernel, stride=stride, padding=padding, output_padding=output_padding
    )
    around = kernel - 1 - padding  # zeros around the dilated input
    inside = stride * (PIXELS - 1) + 1
    figure = Figure(figsize=(8.0, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    whole = inside + 2 * around + output_padding
    for row in range(max(whole, 0)):
        for column in range(max(whole, 0)):
            at = (row - around, column - around)
            pixel = all(0 <= n < inside and n % stride == 0 for n in at)
            left.add_patch(
                Rectangle(
                    (column, row),
                    1,
                    1,
                    edgecolor="#cccccc",
                    linewidth=0.6,
                    facecolor="#6baed6" if pixel else "white",
                )
            )
    left.add_patch(Rectangle((0, 0), kernel, kernel, fill=False, edgecolor="#e4572e", linewidth=2))
    left.set(xlim=(-0.3, max(whole, kernel) + 0.3), ylim=(max(whole, kernel) + 0.3, -0.3))
    left.set_title(f"{PIXELS} pixels, dilated by {stride}, {around} zeros around", fontsize=9)
    taps = np.asarray(overlaps(PIXELS, kernel, stride, padding, output_padding))
    right.imshow(taps, cmap="Blues", vmin=0, vmax=max(1.3 * taps.max(), 1))
    for (row, column), number in np.ndenumerate(taps):
        right.text(column, row, f"{number:.0f}", ha="center", va="center", fontsize=7)
    right.set_title(f"{outputs} outputs; how many pixels each meets", fontsize=9)
    for axes in (left, right):
        axes.set(aspect="equal", xticks=[], yticks=[])
    return figure


def overlaps(pixels, kernel, stride, padding, output_padding=0):
    """How many products each output sums: the upconvolution of ones by ones."""
    row = ops.upconv(
        jnp.ones((1, pixels, 1)),
        jnp.ones((kernel, 1, 1)),
        stride=stride,
        padding=padding,
        output_padding=output_padding,
    )[0, :, 0]
    return jnp.outer(row, row)


sliders(
    draw_dilated,
    kernel=IntSlider(3, 1, 6),
    stride=IntSlider(2, 1, 4),
    padding=IntSlider(0, 0, 3),
    output_padding=IntSlider(0, 0, 2),
)

# %% [markdown]
# ## It is the transpose
#
# A convolution is linear, $y = A x$. Its gradient with respect to $x$ takes a gradient of $y$'s
# size to one of $x$'s: that is $A^\top$, and it *is* the upconvolution with the same stride and
# padding, and the kernel turned around. So
#
# $$ \langle A x,\, y \rangle = \langle x,\, A^\top y \rangle \quad \text{for all } x, y . $$

# %%
x = jax.random.normal(jax.random.key(0), (1, 9, 9, 2))
kernel = jax.random.normal(jax.random.key(1), (3, 3, 2, 4))
down, pull = jax.vjp(lambda x: ops.conv(x, kernel, stride=2, padding=1), x)
y = jax.random.normal(jax.random.key(2), down.shape)

turned = jnp.swapaxes(kernel[::-1, ::-1], 2, 3)
up = ops.upconv(y, turned, stride=2, padding=1)
(gradient,) = pull(y)
print(f"{x.shape[1:3]} -> {down.shape[1:3]} -> {up.shape[1:3]}")
print(f"upconvolution against gradient: largest difference {jnp.abs(up - gradient).max():.1e}")
print(f"<Ax, y> = {jnp.vdot(down, y):.4f}, <x, A'y> = {jnp.vdot(x, up):.4f}")

# %% [markdown]
# Not an inverse: $A^\top A x \ne x$. It brings the *size* back, and learns the rest. Several sizes
# shrink to one (9 and 10 pixels both become 5), and `output_padding` says which is meant.
#
# ## Uneven overlap: checkerboards
#
# Where the stride does not divide the kernel, some outputs sum more products than others, in a
# pattern that repeats with the stride (Odena, Dumoulin & Olah 2016). **Find the kernels that are
# even** for stride 2 and for stride 3.


# %%
def draw_overlap(kernel, stride):
    inner = np.asarray(overlaps(12, kernel, stride, 0), int)
    middle = len(inner) // 2 // stride * stride
    cell = inner[middle : middle + 3 * stride, middle : middle + 3 * stride]
    figure = plots.overlaps({f"kernel {kernel}, stride {stride}": cell})
    figure.axes[0].set_xlabel(f"most / fewest = {cell.max() / max(cell.min(), 1):.2f}", fontsize=9)
    return figure


sliders(draw_overlap, kernel=IntSlider(3, 2, 8), stride=IntSlider(2, 2, 4))

# %% [markdown]
# ## What one output pixel sees depends on its place
#
# Behind a stride-2 upconvolution, even and odd pixels meet *different taps*. Where that makes their
# windows differ in size, "the" receptive field does not exist: it has **phases**. **Move the output
# pixel** from one to the next.


# %%
def draw_phases(kernel, depth, output_pixel):
    up = [lambda x: ops.upconv(x, jnp.ones((kernel, 1, 1)), stride=2)] * depth
    links, places = rows(up, 5)
    return plots.chain(
        links,
        places,
        ["image", *(f"upconv {n + 1}" for n in range(depth))],
        index=min(output_pixel, len(places[-1]) - 1),
        title=f"{len(places[-1])} outputs of 5 pixels",
    )


sliders(
    draw_phases,
    kernel=IntSlider(3, 2, 5),
    depth=IntSlider(2, 1, 3),
    output_pixel=IntSlider(9, 0, 19),
)

# %% [markdown]
# A whole net shows it too. In a U-Net of four scales (Ronneberger et al. 2015) the field of a pixel
# goes by its phase with respect to the coarsest map, which has a pixel for sixteen of the image:


# %%
def unet(images):
    return models.UNet(classes=2, inputs=1, widths=(2, 2, 2, 2, 2), rngs=nnx.Rngs(0))(images)


field = analysis.receptive_field(unet, jax.ShapeDtypeStruct((1, 512, 512, 1), jnp.float32))
intervals = np.array([(p.first - p.phase, p.first - p.phase + p.size - 1) for p in field.phases[0]])
plots.output_phases(intervals, title="a U-Net with 2 × 2 upconvolutions: fields by phase")

# %% [markdown]
# ## Three upconvolutions to start from
#
# **Bilinear.** With the kernel of a tent of $k = 2s - (s \bmod 2)$ taps an upconvolution *is*
# bilinear interpolation; FCN starts from it (Long et al. 2015). Constants stay constant, away from
# the border:

# %%
for stride in (2, 3, 4):
    taps = 2 * stride - stride % 2
    tent = nn.initializers.bilinear()(jax.random.key(0), (taps, 1, 1))
    line = ops.upconv(jnp.ones((1, 8, 1)), tent, stride=stride)[0, :, 0]
    inner = line[stride:-stride]
    print(
        f"stride {stride}: kernel {np.asarray(tent[:, 0, 0]).round(3).tolist()}, "
        f"inner values {inner.min():.4f} to {inner.max():.4f}"
    )

# %% [markdown]
# **Sub-pixel.** An upconvolution with kernel 4, stride 2 is four convolutions of 2 × 2, one for
# each place in a cell of 2 × 2 outputs, *shuffled* together (Shi et al. 2016). Exactly:

# %%
kernel = jax.random.normal(jax.random.key(3), (4, 4, 1, 1))
image = jax.random.normal(jax.random.key(4), (1, 6, 6, 1))
whole = ops.upconv(image, kernel, stride=2, padding=1)

# Output (2h + i, 2w + j) meets the taps whose place is that of i (and j) modulo the stride.
cells = [kernel[i::2, j::2] for i in range(2) for j in range(2)]
parts = [
    ops.conv(image, cell, padding=((1 - i, i), (1 - j, j)))
    for cell, (i, j) in zip(cells, [(0, 0), (0, 1), (1, 0), (1, 1)], strict=True)
]
shuffled = ops.pixel_shuffle(jnp.concatenate(parts, axis=-1), 2)
print(f"largest difference {jnp.abs(whole - shuffled).max():.1e}")

# %% [markdown]
# **ICNR.** Drawn at random, those four convolutions disagree, and the first output is a
# checkerboard. Drawn *equal*, the upconvolution starts as nearest-neighbour upsampling (Aitken et
# al. 2017). Below, the same image through a random and an ICNR kernel:

# %%
features = jax.random.normal(jax.random.key(5), (1, 10, 10, 8))
smooth = ops.avg_pool(features, 5, stride=1, padding=2)
figure = Figure(figsize=(6.2, 3.2), layout="constrained")
for axes, (name, draw) in zip(
    figure.subplots(1, 2),
    {
        "random": nn.initializers.he_normal(1.0),
        "ICNR": nn.initializers.icnr(2, nn.initializers.he_normal(1.0)),
    }.items(),
    strict=True,
):
    subpixel = draw(jax.random.key(6), (3, 3, 8, 4))
    axes.imshow(ops.pixel_shuffle(ops.conv(smooth, subpixel), 2)[0, ..., 0], cmap="gray")
    axes.set(xticks=[], yticks=[])
    axes.set_title(name, fontsize=9)
figure

# %% [markdown]
# Even overlap and a good start do not keep training from learning a checkerboard: they only do not
# begin with one.
#
# Pixels come back, and the *edges* that striding lost do not: the upconvolution can only guess
# them. They have to be carried around: first along single layers,
# [Residual connections](05_residual_connections.ipynb), and in the end along
# [the whole net](08_upconvolution_residual.ipynb).
#
# **Sources.** Dumoulin & Visin 2016, arXiv:1603.07285. Odena, Dumoulin & Olah, *Deconvolution and
# checkerboard artifacts*, Distill 2016. Shi et al. 2016, arXiv:1609.05158. Aitken et al. 2017,
# arXiv:1707.02937. Long et al. 2015, arXiv:1411.4038. Ronneberger et al. 2015, arXiv:1505.04597.
