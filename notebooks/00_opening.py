# %% [markdown]
# # Why dense prediction works: an opening
#
# A segmentation net says of *every pixel* what it shows. It needs to see far, to keep every pixel,
# and to be deep, and these wishes are at odds. A lecture on **dilation**, **upconvolution** and
# **residual connections** is about how they are reconciled; these pages go through its headings, in
# its order, with code to change and sliders to move.
#
# | page | heading | question |
# |---|---|---|
# | [01](01_receptive_field_striding.ipynb) | Receptive field – striding | what does one output pixel see? |
# | [02](02_segmentation.ipynb) | Segmentation | what is lost with resolution? |
# | [03](03_dilation.ipynb) | Dilation | how to see far and keep every pixel? |
# | [04](04_upconvolution.ipynb) | Upconvolution | how to get pixels back? |
# | [05](05_residual_connections.ipynb) | Residual connections | what does a shortcut change? |
# | [06](06_deep_networks.ipynb) | Deep networks are hard to train | what goes wrong with depth? |
# | [07](07_residual_gradient.ipynb) | Residual connections – gradient | why do shortcuts mend it? |
# | [08](08_upconvolution_residual.ipynb) | Upconvolution – residual connections | what do long skips carry? |
# | [09](09_gradient_norms.ipynb) | Gradient-norm studies with `vmap` | how to measure a thousand nets at once? |
#
# **How to use them.** `make notebooks` sets up and executes every page. To move the sliders, open
# the pages in Jupyter (`pip install jupyterlab`, then `jupyter lab notebooks/`) and run all cells;
# without a kernel each slider shows its first figure. Each page takes under a minute on two cores.
# Every number in the text is computed on the page, or cited as published.

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

# %% [markdown]
# ## The data: textures, and what they are
#
# Mosaics of three photographs: brick, grass and gravel. Real pixels, exact masks, no download. All
# three have the same grey values, so one pixel alone says nothing of its class: a net has to look
# *around* it. That is why the receptive field comes first.

# %%
config = data.MosaicConfig(size=48, cells=5)
examples = [data.mosaic_example(config, "train", index) for index in range(4)]
images = np.stack([image for image, _ in examples])[..., None] / 255
labels = np.stack([label for _, label in examples])

PALETTE = ((200, 80, 60), (80, 170, 70), (120, 120, 180))
plots.contact_sheet(images, labels, PALETTE, ("brick", "grass", "gravel"), columns=4)

# %% [markdown]
# ## The one operation
#
# Everything here is made of one operation, the convolution with stride $s$, dilation $d$ and
# padding $p$ of a kernel of $k$ taps:
#
# $$ y_o = \sum_{t=0}^{k-1} x_{\,o s + t d - p}\; w_t ,
# \qquad
# \text{outputs} = \left\lfloor \frac{n + 2p - d(k-1) - 1}{s} \right\rfloor + 1 . $$
#
# Below, the taps that one output pixel (orange) reads, and the whole output. **Move the sliders**:
# which of them make the output smaller, and which only make the pixel look farther? A window that
# does not fit says so.


# %%
def draw_convolution(kernel, stride, dilation, padding):
    image = jnp.asarray(images[0], jnp.float32)[None]
    mean = jnp.full((kernel, kernel, 1, 1), 1 / kernel**2)
    output = ops.conv(image, mean, stride=stride, dilation=dilation, padding=padding)[0, ..., 0]
    figure = Figure(figsize=(8.2, 4.0), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, picture in ((left, images[0, ..., 0]), (right, output)):
        axes.imshow(picture, cmap="gray", vmin=0, vmax=1)
        axes.set(xticks=[0, picture.shape[1] - 1], yticks=[0, picture.shape[0] - 1])
    row, column = (n // 2 for n in output.shape)
    for t in range(kernel):
        for u in range(kernel):
            at = (column * stride + u * dilation - padding, row * stride + t * dilation - padding)
            left.add_patch(Rectangle((at[0] - 0.5, at[1] - 0.5), 1, 1, color="#e4572e"))
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
# `jaxseg.ops` are pure functions of arrays, channels last. `jaxseg.nn` are modules that hold
# kernels. `jaxseg.models` are nets: images in, one score a class and pixel out, **at the image's
# own size**, whatever that is.


# %%
def unet(images):
    return models.UNet(classes=3, inputs=1, widths=(8, 16, 32), rngs=nnx.Rngs(0))(images)


for size in [(48, 48), (37, 20), (1, 1)]:
    logits = jax.eval_shape(unet, jnp.zeros((1, *size, 1)))  # shapes alone: nothing is computed
    print(f"image {size} -> logits {logits.shape[1:]}")

# %% [markdown]
# A module splits into a pair of pure functions, `init` and `apply`, so that `jit`, `grad` and
# `vmap` take nets as they take numbers. Here are eight nets from eight seeds, and what they say at
# once:

# %%
init, apply = nn.functional(lambda rngs: models.DeepNet(classes=3, inputs=1, blocks=4, rngs=rngs))
params, stats = jax.jit(jax.vmap(init))(jax.random.split(jax.random.key(0), 8))
batch = jnp.asarray(images, jnp.float32)
logits, _ = jax.jit(jax.vmap(lambda p, s: apply(p, s, batch)))(params, stats)
print("(nets, images, height, width, classes) =", logits.shape)

# %% [markdown]
# And `jaxseg.analysis` takes *any* function of images and asks what it does. Where does the pixel
# in the middle of the image look, in nets of the same number of 3 × 3 convolutions?


# %%
def chain_of_convolutions(x, *, strides=(1, 1, 1, 1), dilations=(1, 1, 1, 1)):
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
        lambda x, options=options: chain_of_convolutions(x, **options), jnp.zeros((1, 48, 48, 1))
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
    print(f"{name:>22}: sees {field.size[0]:2d} pixels an axis, has {field.output_size[0]} left")

# %% [markdown]
# Plain convolutions see little. Strides see more and lose pixels. Dilation sees far and loses none.
# The next pages take these apart, one after another:
# [Receptive field – striding](01_receptive_field_striding.ipynb).
