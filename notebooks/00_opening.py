# %% [markdown]
# # Why dense prediction works: an opening
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
# and run all cells; without a kernel you see the figure for the initial values. A page takes less
# than a minute on two cores. Every number in the text is computed on the page, was measured with
# the settings that stand beside it, or is cited.

# %%
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from ipywidgets import IntSlider
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
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
# On the left, the pixels that one output pixel reads (orange); on the right, the whole output.
# **Move the sliders**: which of them change the size of the output, and which change how far the
# output pixel sees? **Keep 48 pixels**: with a 3 × 3 kernel at stride 1, which padding does it for
# each dilation? (If the window does not fit into the padded image, a message says so.)


# %%
def draw_convolution(kernel, stride, dilation, padding):
    image = jnp.asarray(images[0], jnp.float32)[None]
    mean = jnp.full((kernel, kernel, 1, 1), 1 / kernel**2)
    output = ops.conv(image, mean, stride=stride, dilation=dilation, padding=padding)[0, ..., 0]
    figure = Figure(figsize=(8.2, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, pixels in ((left, images[0, ..., 0]), (right, output)):
        axes.imshow(pixels, cmap="gray", vmin=0, vmax=1)
        axes.set(xticks=[0, pixels.shape[1] - 1], yticks=[0, pixels.shape[0] - 1])
    row, column = (n // 2 for n in output.shape)
    for t in range(kernel):
        for u in range(kernel):
            x, y = column * stride + u * dilation - padding, row * stride + t * dilation - padding
            left.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, color="#e4572e"))
    right.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, color="#e4572e"))
    left.set_title(f"{images.shape[1]} × {images.shape[2]} pixels, and {kernel**2} taps")
    right.set_title(f"{output.shape[0]} × {output.shape[1]} pixels")
    return figure


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
# keeps every pixel. The next pages take these up one by one, beginning with
# [Receptive field – striding](01_receptive_field_striding.ipynb).
