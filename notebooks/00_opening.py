# %% [markdown]
# # Why dense prediction works: an opening
#
# [Receptive field – striding →](01_receptive_field_striding.ipynb)
#
# A segmentation net classifies *every pixel* of an image. To do so it has to see a large part of
# the image from each pixel, keep the full resolution, and be deep. These goals conflict. A lecture
# on **dilation**, **upconvolution** and **residual connections** shows how nets meet all three.
# These pages follow its headings in its order, with code to change and sliders to move.
#
# | page | heading | question |
# |---|---|---|
# | [01](01_receptive_field_striding.ipynb) | Receptive field – striding | What does one output pixel see? |
# | [02](02_segmentation.ipynb) | Segmentation | What does a lower resolution cost? |
# | [03](03_dilation.ipynb) | Dilation | How can a net see far and keep every pixel? |
# | [04](04_upconvolution.ipynb) | Upconvolution | How does a net get its pixels back? |
# | [05](05_residual_connections.ipynb) | Residual connections | What does a shortcut change? |
# | [06](06_deep_networks.ipynb) | Deep networks are hard to train | What goes wrong with depth? |
# | [07](07_residual_gradient.ipynb) | Residual connections – gradient | Why do shortcuts help? |
# | [08](08_upconvolution_residual.ipynb) | Upconvolution – residual connections | What do long skips carry? |
# | [09](09_gradient_norms.ipynb) | Gradient-norm studies with `vmap` | How do you measure a thousand nets at once? |
#
# **How to use these pages.** `make notebooks` installs what they need and executes them all. To
# move the sliders, open a page in Jupyter (`pip install jupyterlab`, then `jupyter lab notebooks/`)
# and run all cells; without a kernel you see the figure for the initial values. Above each figure
# with sliders stands a question: *predict* the answer, then move the sliders. Each page ends with a
# summary and three exercises, whose solutions are folded.
#
# A page takes less than a minute on two cores. What takes longer was trained by
# `python notebooks/precompute.py`, and the page loads it. Every number in the text is computed on
# the page, was measured with the settings that stand beside it, or is cited.

# %% [markdown]
# ## The symbols of all pages
#
# | symbol | meaning |
# |---|---|
# | $x$, $y$ | input and output of a layer; on pages 02 and 09, $y$ is a label or a measured value |
# | $w$, $k$ | weights of a kernel, and its number of taps along an axis |
# | $s$, $d$, $p$, $a$ | stride; dilation (rate); padding on each side; output padding |
# | $n$, $o$ | pixels of the input along an axis; index of an output pixel |
# | $l$, $L$ | index of a layer or block; their number |
# | $r$ | receptive field: pixels along an axis that an output pixel sees |
# | $M_l$ | largest gap in the distance rule for dilation rates (page 03) |
# | $A$, $A^\top$ | matrix of a convolution; its transpose |
# | $E$, $\mathbb{E}$ | loss (cross-entropy); mean over random nets or numbers |
# | $F_l$, $\alpha$, $\lambda$ | branch of a residual block; scale of the branch; scale of the shortcut |
# | $q_l$, $c_l$ | variance of the signal in layer $l$; correlation of two inputs' signals |
# | $\sigma_w^2$, $\sigma_b^2$ | variance of the weights (times the width) and of the biases |
# | $\xi$ | depth scale: layers in which a correlation settles by a factor of $e$ |
# | $\phi$ | activation function, such as ReLU or tanh |
# | $N$ | width: features of a layer |
# | $q$ | gain of the squared gradient through a whole net (page 09) |
# | $G$, $\Sigma$, $B$ | mean gradient; covariance of the examples' gradients; gradient noise scale |
#
# A few pages need a letter for something else and say so: the class $c$ and its probability
# $p_{ijc}$ on page 02, the length $k$ of a path on page 05, the maps $e_i$ and $d_i$ on page 08.

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
from pages import sliders

from jaxseg import analysis, data, models, nn, ops, plots
from jaxseg.data.sets.mosaic import CLASSES, PALETTE

# %% [markdown]
# ## The data: a mosaic of textures
#
# The images are mosaics of three photographs: brick, grass and gravel. The pixels are real, the
# masks are exact, and nothing is downloaded. The three photographs share one histogram of gray
# values, so the value of a single pixel does not tell its class: a net has to look *around* the
# pixel. That is why the receptive field comes first.

# %%
config = data.MosaicConfig(size=48, cells=5)
examples = [data.mosaic_example(config, "train", index) for index in range(4)]
images = np.stack([image for image, _ in examples])[..., None] / 255
labels = np.stack([label for _, label in examples])
plots.contact_sheet(images, labels, PALETTE, CLASSES, columns=4)

# %% [markdown]
# ## The one operation
#
# Everything here is built from one operation: the convolution of $n$ pixels with a kernel of $k$
# taps, at stride $s$, dilation $d$ and padding $p$:
#
# $$ y_o = \sum_{t=0}^{k-1} x_{\,o s + t d - p}\; w_t ,
# \qquad
# \text{outputs} = \left\lfloor \frac{n + 2p - d(k-1) - 1}{s} \right\rfloor + 1 . $$
#
# On the left, the pixels that one output pixel reads (orange); on the right, the whole output, on
# the same scale.
#
# **Predict**: which of the four sliders change the size of the output, and which change how far the
# output pixel sees? **Then move them.** With a 3 × 3 kernel at stride 1, which padding keeps 48
# pixels for each dilation? (If the window does not fit into the padded image, a message says so.)


# %%
def draw_convolution(kernel, stride, dilation, padding):
    image = jnp.asarray(images[0], jnp.float32)[None]
    mean = jnp.full((kernel, kernel, 1, 1), 1 / kernel**2)
    output = ops.conv(image, mean, stride=stride, dilation=dilation, padding=padding)[0, ..., 0]
    rows, columns = (
        [n // 2 * stride + t * dilation - padding for t in range(kernel)] for n in output.shape
    )
    return plots.convolution(images[0, ..., 0], np.asarray(output), rows, columns)


sliders(
    draw_convolution,
    kernel=IntSlider(3, 1, 7),
    stride=IntSlider(1, 1, 6),
    dilation=IntSlider(4, 1, 10),
    padding=IntSlider(4, 0, 24),
)

# %% [markdown]
# ## Functions, modules, nets
#
# `jaxseg.ops` holds pure functions of arrays with channels last. `jaxseg.nn` holds modules, which
# own the kernels. `jaxseg.models` holds nets. A net maps images to one score per class and pixel,
# **at the size of the image**, whatever that is.


# %%
def unet(images):
    return models.UNet(classes=3, inputs=1, widths=(8, 16, 32), rngs=nnx.Rngs(0))(images)


for size in [(48, 48), (37, 20), (1, 1)]:
    logits = jax.eval_shape(unet, jnp.zeros((1, *size, 1)))  # shapes alone: nothing is computed
    print(f"image {size} -> logits {logits.shape[1:]}")

# %% [markdown]
# `nn.functional` turns a module into a pair of pure functions, `init` and `apply`, to which `jit`,
# `grad` and `vmap` apply as to any function. Here eight nets from eight seeds score the same images
# in one call:

# %%
init, apply = nn.functional(lambda rngs: models.DeepNet(classes=3, inputs=1, blocks=4, rngs=rngs))
params, stats = jax.jit(jax.vmap(init))(jax.random.split(jax.random.key(0), 8))
batch = jnp.asarray(images, jnp.float32)
logits, _ = jax.jit(jax.vmap(lambda p, s: apply(p, s, batch)))(params, stats)
print("(nets, images, height, width, classes) =", logits.shape)

# %% [markdown]
# `jaxseg.analysis` examines *any* function of images. How far does the middle pixel see in three
# nets of four 3 × 3 convolutions?


# %%
def convolutions(x, *, strides=(1, 1, 1, 1), dilations=(1, 1, 1, 1)):
    for stride, dilation in zip(strides, dilations, strict=True):
        x = ops.conv(x, jnp.ones((3, 3, 1, 1)), stride=stride, dilation=dilation)
    return x


NETS = {
    "four plain": {},
    "two of stride 2": {"strides": (1, 2, 2, 1)},
    "dilations 1, 2, 4, 8": {"dilations": (1, 2, 4, 8)},
}
fields = {
    name: analysis.receptive_field(
        lambda x, options=options: convolutions(x, **options), jnp.zeros((1, 48, 48, 1))
    )
    for name, options in NETS.items()
}
middle = {name: tuple(n // 2 for n in field.output_size) for name, field in fields.items()}
plots.windows(
    images[0],
    [field.window(middle[name]) for name, field in fields.items()],
    list(fields),
    title="what the middle pixel sees through four 3 × 3 convolutions",
)

# %%
for name, field in fields.items():
    print(
        f"{name:>22}: the field is {field.size[0]:2d} × {field.size[1]:2d} pixels, the output "
        f"{field.output_size[0]} × {field.output_size[1]}"
    )

# %% [markdown]
# Plain convolutions see little. Strides see farther but lose pixels. Dilation sees farthest and
# keeps every pixel. The next pages take these up one by one.
#
# ## Summary
#
# - A segmentation net classifies every pixel: it must see far *and* keep the resolution.
# - Kernel size and dilation decide how far an output pixel sees. The output's size depends on all
#   four: kernel, stride, dilation and padding.
# - Padding $p = d\,(k-1)/2$ at stride 1 keeps the size.
#
# ## Exercises
#
# **1.** A 5 × 5 kernel has dilation 3 and stride 1. Which padding keeps 48 pixels?
#
# <details><summary>Solution</summary>
#
# $p = d\,(k-1)/2 = 3 \cdot 4 / 2 = 6$. The kernel spans $3 \cdot 4 + 1 = 13$ pixels, of which 6 lie
# on each side of the middle one.
#
# </details>
#
# **2.** Kernel 3, stride 2 and padding 1 turn 48 pixels into 24. Into how many do they turn 47 and
# 49?
#
# <details><summary>Solution</summary>
#
# $\lfloor (47 + 2 - 2 - 1)/2 \rfloor + 1 = 24$ and $\lfloor (49 + 2 - 2 - 1)/2 \rfloor + 1 = 25$.
# So 47 and 48 pixels have the same output size; page 04 comes back to this.
#
# </details>
#
# **3.** Which field do four 3 × 3 convolutions have if *each* has stride 2? Add a net to `NETS` and
# check.
#
# <details><summary>Solution</summary>
#
# `"four of stride 2": {"strides": (2, 2, 2, 2)}` has $1 + 2\,(1 + 2 + 4 + 8) = 31$ pixels, as many
# as dilations 1, 2, 4, 8, but its output has 3 × 3 pixels.
#
# </details>
#
# ---
#
# [Receptive field – striding →](01_receptive_field_striding.ipynb)
