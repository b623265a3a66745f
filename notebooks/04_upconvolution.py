# %% [markdown]
# # Upconvolution
#
# [← Dilation](03_dilation.ipynb) · [Contents and symbols](00_opening.ipynb) · [Residual connections →](05_residual_connections.ipynb)
#
# A strided convolution has fewer outputs than inputs. The **upconvolution** has more: it puts
# $s - 1$ zeros between neighboring pixels of the input, that is, it *dilates the input*, and then
# convolves with stride 1:
#
# $$ y = \operatorname{conv}\big(\operatorname{dilate}(x, s),\, w\big), \qquad
# \text{outputs} = s\,(n - 1) + k - 2p + a . $$
#
# Here $n$ is the number of inputs, $k$ the number of taps, $p$ the padding and $a$ the output
# padding. Other names are *transposed convolution*, *fractionally strided convolution* and,
# wrongly, *deconvolution* (Dumoulin & Visin 2016).
#
# **What you will see**: the same operation as a convolution of a dilated input, as stamps that are
# summed, and as the transpose of a matrix; why kernel 3 with stride 2 paints a checkerboard; and
# output pixels of one net that see differently far.

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
from flax import nnx
from ipywidgets import IntSlider
from pages import rows, sliders

from jaxseg import analysis, models, nn, ops, plots

# %% [markdown]
# ## The dilated input
#
# On the left, the pixels of the input (blue), the zeros between and around them (white), and the
# kernel at its first position (orange). On the right, the output; each number says how many pixels
# of the input its window contains.
#
# **Predict**: 4 pixels, kernel 3, stride 2 and no padding: how many outputs? **Then move the
# stride**: how many taps meet a pixel, and how many meet a zero? **Choose kernel and padding at
# stride 2 so that 4 pixels become 8.**

# %%
PIXELS = 4


def overlaps(pixels, kernel, stride, padding, output_padding=0):
    """How many pixels of the input each output sums: an upconvolution of ones with ones."""
    row = ops.upconv(
        jnp.ones((1, pixels, 1)),
        jnp.ones((kernel, 1, 1)),
        stride=stride,
        padding=padding,
        output_padding=output_padding,
    )[0, :, 0]
    return np.rint(np.outer(row, row)).astype(int)


def draw_dilated(kernel, stride, padding, output_padding):
    outputs = ops.upconv_output_size(
        PIXELS, kernel, stride=stride, padding=padding, output_padding=output_padding
    )
    margin = kernel - 1 - padding  # zeros on each side; pixels cut off if it is negative
    dilated = stride * (PIXELS - 1) + 1
    place = np.arange(dilated + 2 * margin + output_padding) - margin
    pixel = (place >= 0) & (place < dilated) & (place % stride == 0)
    frame = f"{margin} zeros on each side" if margin >= 0 else f"{-margin} cut off on each side"
    return plots.dilated_input(
        np.outer(pixel, pixel),
        kernel,
        overlaps(PIXELS, kernel, stride, padding, output_padding),
        cells=18,
        titles=(
            f"{PIXELS} pixels, dilated by {stride}, {frame}",
            f"{outputs} × {outputs} outputs: pixels in the window of each",
        ),
    )


sliders(
    draw_dilated,
    kernel=IntSlider(3, 1, 6),
    stride=IntSlider(2, 1, 4),
    padding=IntSlider(0, 0, 3),
    output_padding=IntSlider(0, 0, 2),
)

# %% [markdown]
# ## Stamps that are summed, and a transpose
#
# There is a second way to read an upconvolution. Each pixel $x_i$ of the input *stamps* the kernel,
# multiplied by $x_i$, onto the output, $s$ pixels behind the stamp before. Where stamps overlap,
# they are summed. The figure shows it along one axis, for kernel 3 and stride 2.
#
# Row $i$ of the stamps is $x_i$ times row $i$ of a matrix $A$, so their sum is $A^\top x$. And $A$
# itself is the strided convolution with the same taps: each of its rows is the kernel at one
# position.
#
# **Predict**: for kernel 2 and stride 2, how many stamps does each output sum? **Then change
# the sliders.**


# %%
def draw_stamps(kernel, stride):
    # Tap t has the value t + 1. `ops.upconv` stamps its kernel from the last tap to the first.
    taps = jnp.arange(1.0, kernel + 1)[::-1, None, None]
    stamps = ops.upconv(jnp.eye(4)[..., None], taps, stride=stride, padding=0)[..., 0]
    return plots.transposed_convolution(np.rint(stamps).astype(int))


sliders(draw_stamps, kernel=IntSlider(3, 2, 5), stride=IntSlider(2, 1, 3))

# %% [markdown]
# In general, a convolution is linear: $y = A x$ with a matrix $A$. Its backward pass maps a
# gradient of the size of $y$ to a gradient of the size of $x$, which is multiplication by $A^\top$.
# This *is* the upconvolution with the same stride and padding. (`ops.upconv` stamps its kernel from
# the last tap to the first, so the kernel has to be flipped.) Hence
#
# $$ \langle A x,\, y \rangle = \langle x,\, A^\top y \rangle \quad \text{for all } x, y . $$

# %%
x = jax.random.normal(jax.random.key(0), (1, 9, 9, 2))
kernel = jax.random.normal(jax.random.key(1), (3, 3, 2, 4))
down, backward = jax.vjp(lambda x: ops.conv(x, kernel, stride=2, padding=1), x)
y = jax.random.normal(jax.random.key(2), down.shape)

flipped = jnp.swapaxes(kernel[::-1, ::-1], 2, 3)  # input and output channels change places too
up = ops.upconv(y, flipped, stride=2, padding=1)
(gradient,) = backward(y)
print(f"{x.shape[1:3]} -> {down.shape[1:3]} -> {up.shape[1:3]}")
print(f"upconvolution and gradient: largest difference {jnp.abs(up - gradient).max():.1e}")
print(f"⟨Ax, y⟩ = {jnp.vdot(down, y):.4f}, ⟨x, Aᵀy⟩ = {jnp.vdot(x, up):.4f}")

# %% [markdown]
# The transpose is not an inverse: $A^\top A x \ne x$. It restores the *size* only; what the pixels
# contain has to be learned. A strided convolution maps several sizes to the same one (9 and 10
# pixels both become 5), so `output_padding` says which of them to return to.
#
# ## Uneven overlap: checkerboards
#
# If the stride does not divide the kernel size, some outputs sum more products than others, in a
# pattern that repeats with the stride (Odena, Dumoulin & Olah 2016). With kernel 3 and stride 2,
# stamps of three pixels lie two pixels apart: along an axis, outputs sum two products and one in
# turn. If the stride divides the kernel size, all outputs sum equally many. A kernel that is
# smaller than the stride leaves outputs that sum none.
#
# **Predict**: which kernels from 2 to 8 have even overlap at stride 3? **Then find them**, for
# stride 2 and for stride 3.


# %%
def overlap_pattern(kernel, stride):
    """The overlap of 12 × 12 outputs away from the border."""
    counts = overlaps(24, kernel, stride, 0)
    start = len(counts) // 2 // stride * stride
    return counts[start : start + 12, start : start + 12]


def draw_overlap(kernel, stride):
    return plots.overlaps({f"kernel {kernel}, stride {stride}": overlap_pattern(kernel, stride)})


sliders(draw_overlap, kernel=IntSlider(3, 2, 8), stride=IntSlider(2, 2, 4))

# %% [markdown]
# ## What an output pixel sees depends on its position
#
# Behind an upconvolution with stride 2, even and odd pixels meet *different taps*. If their windows
# differ in size, there is no single receptive field; there is one for each **phase** of the output
# pixel.
#
# **Predict**: do two neighboring outputs of two such layers see the same number of pixels? **Then
# move the output pixel** step by step.


# %%
def draw_phases(kernel, depth, output_pixel):
    layers = [lambda x: ops.upconv(x, jnp.ones((kernel, 1, 1)), stride=2)] * depth
    links, places = rows(layers, 5)
    index = min(output_pixel, len(places[-1]) - 1)
    return plots.chain(
        links,
        places,
        ["image", *(f"upconv {n + 1}" for n in range(depth))],
        index=index,
        title=f"output pixel {index} of 0 to {len(places[-1]) - 1}, from 5 pixels",
        most_rows=4,
        xlim=(-0.8, 4.8),
    )


sliders(
    draw_phases,
    kernel=IntSlider(3, 2, 5),
    depth=IntSlider(2, 1, 3),
    output_pixel=IntSlider(9, 0, 39),
)

# %% [markdown]
# The same happens in a whole net. In a U-Net of five levels (Ronneberger et al. 2015) the coarsest
# map has one pixel for every sixteen of the image along each axis. The field of an output pixel
# depends on its position within these sixteen:


# %%
def unet(images):
    return models.UNet(classes=2, inputs=1, widths=(2, 2, 2, 2, 2), rngs=nnx.Rngs(0))(images)


field = analysis.receptive_field(unet, jax.ShapeDtypeStruct((1, 512, 512, 1), jnp.float32))
intervals = np.array([(p.first - p.phase, p.first - p.phase + p.size - 1) for p in field.phases[0]])
plots.output_phases(intervals, title="fields of a U-Net with 2 × 2 upconvolutions, by phase")

# %% [markdown]
# ## Three ways to initialize an upconvolution
#
# **Bilinear.** With a tent-shaped kernel of $k = 2s - (s \bmod 2)$ taps, an upconvolution *is*
# bilinear interpolation. FCN starts from it (Long et al. 2015). Away from the border it maps
# constants to constants:

# %%
for stride in (2, 3, 4):
    taps = 2 * stride - stride % 2
    tent = nn.initializers.bilinear()(jax.random.key(0), (taps, 1, 1))
    line = ops.upconv(jnp.ones((1, 8, 1)), tent, stride=stride)[0, :, 0]
    inner = line[stride:-stride]
    print(
        f"stride {stride}: kernel {', '.join(f'{tap:.3g}' for tap in tent[:, 0, 0])}; "
        f"a constant 1 becomes {inner.min():.4f} to {inner.max():.4f}"
    )

# %% [markdown]
# **Sub-pixel.** An upconvolution with kernel 4 and stride 2 equals four convolutions with 2 × 2
# kernels, one for each position in a cell of 2 × 2 outputs, whose results are *shuffled* together
# (Shi et al. 2016):

# %%
kernel = jax.random.normal(jax.random.key(3), (4, 4, 1, 1))
image = jax.random.normal(jax.random.key(4), (1, 6, 6, 1))
whole = ops.upconv(image, kernel, stride=2, padding=1)

# Output (2h + i, 2w + j) meets the taps whose row is i and whose column is j modulo the stride.
cells = [kernel[i::2, j::2] for i in range(2) for j in range(2)]
parts = [
    ops.conv(image, cell, padding=((1 - i, i), (1 - j, j)))
    for cell, (i, j) in zip(cells, [(0, 0), (0, 1), (1, 0), (1, 1)], strict=True)
]
shuffled = ops.pixel_shuffle(jnp.concatenate(parts, axis=-1), 2)
print(f"largest difference {jnp.abs(whole - shuffled).max():.1e}")

# %% [markdown]
# **ICNR.** If these four kernels are drawn independently, neighboring outputs differ from the
# start, and the first output is a checkerboard. If they are initialized *equal*, the upconvolution
# starts as a convolution followed by nearest-neighbor upsampling (Aitken et al. 2017). The figure
# shows the same features through a random and an ICNR kernel:

# %%
features = ops.avg_pool(
    jax.random.normal(jax.random.key(5), (1, 10, 10, 8)), 5, stride=1, padding=2
)
outputs = {}
for name, draw in (
    ("random", nn.initializers.he_normal(1.0)),
    ("ICNR", nn.initializers.icnr(2, nn.initializers.he_normal(1.0))),
):
    subpixel = draw(jax.random.key(6), (3, 3, 8, 4))
    output = ops.pixel_shuffle(ops.conv(features, subpixel), 2)[0, ..., 0]
    outputs[name] = np.asarray((output - output.min()) / (output.max() - output.min()))
plots.image_row(outputs)

# %% [markdown]
# Even overlap and a good initialization only avoid a checkerboard at the start. Training can still
# learn one.
#
# The upconvolution brings the pixels back, but not the *edges* that striding lost: it can only
# guess them. The information has to bypass the layers that lose it, first around single blocks (the
# next page) and later around [the whole net](08_upconvolution_residual.ipynb).
#
# ## Summary
#
# - Dilate the input and convolve; or stamp and sum; or multiply by $A^\top$: three readings of one
#   operation.
# - The transpose restores the size, not the content.
# - If $s$ does not divide $k$, outputs sum different numbers of products: for $k = 3$ and $s = 2$,
#   the most over the fewest is 2 along an axis and 4 in two dimensions. Kernels 2 and 4 at stride 2
#   have even overlap.
# - Behind upconvolutions, the receptive field depends on the output pixel's phase.
#
# ## Exercises
#
# **1.** Which kernel, padding and output padding at stride 3 turn 5 pixels into 15, with even
# overlap?
#
# <details><summary>Solution</summary>
#
# $3\,(5 - 1) + k - 2p + a = 15$. Kernel 3 without padding is one; the stride divides the kernel.
# Kernel 6 needs $2p - a = 3$, such as $p = 2$ and $a = 1$.
#
# </details>
#
# **2.** Why does a checkerboard of an upconvolution with kernel 3 and stride 2 repeat every two
# pixels and not every three?
#
# <details><summary>Solution</summary>
#
# The stamps lie two pixels apart. Even outputs are covered by two of them, odd ones by one (or the
# other way round), and this repeats with the stride. The size of the kernel only decides how many.
#
# </details>
#
# **3.** Change `flipped` above to the kernel with its channels swapped but not flipped. Are the two
# scalar products still equal?
#
# <details><summary>Solution</summary>
#
# No. The unflipped kernel gives another matrix than $A^\top$, of the same size, so the sizes fit
# but the numbers differ.
#
# </details>
#
# **Sources.** Dumoulin & Visin 2016, arXiv:1603.07285. Odena, Dumoulin & Olah, *Deconvolution and
# checkerboard artifacts*, Distill 2016. Shi et al. 2016, arXiv:1609.05158. Aitken et al. 2017,
# arXiv:1707.02937. Long et al. 2015, arXiv:1411.4038. Ronneberger et al. 2015, arXiv:1505.04597.
#
# ---
#
# [← Dilation](03_dilation.ipynb) · [Contents and symbols](00_opening.ipynb) · [Residual connections →](05_residual_connections.ipynb)
