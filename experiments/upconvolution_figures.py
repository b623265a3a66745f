"""The pictures that the study of upconvolutions draws: the algebra, and what decoders give."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from upconvolution_algebra import phases_of

from jaxseg import data, files, ops, plots
from jaxseg.nn.initializers import bilinear

ROWS = ("logit of a class, drawn", "spectrum, drawn", "logit, trained", "spectrum, trained")


def algebra_pictures() -> tuple[np.ndarray, ...]:
    """What `plots.upconvolution` takes: a small shape under bilinear interpolation."""
    with jax.enable_x64(True):
        image = jnp.asarray(np.tri(6) * (np.indices((6, 6)).sum(0) > 2) * 1.0)
        kernel = bilinear()(jax.random.key(0), (4, 4, 1, 1), jnp.float64)
        x = image[None, :, :, None]
        parts = phases_of(kernel)
        outputs = [ops.conv(x, part, padding=padding)[0, :, :, 0] for part, padding in parts]
        dilated = jnp.zeros((11, 11)).at[::2, ::2].set(image)
        kernels = [part[:, :, 0, 0] for part, _ in parts]
        output = ops.upconv(x, kernel, stride=2)[0, :, :, 0]
        found = (image, dilated, kernel[:, :, 0, 0], output, jnp.stack(kernels), jnp.stack(outputs))
        return tuple(np.asarray(a) for a in found)


def decoder_pictures(
    folder: Path, arms: Sequence[str], shown: dict[str, Any], dataset: data.Dataset
) -> Figure:
    """Logits of one validation image, and the spectrum over all, of every arm's best run."""
    logits = {arm: files.read_array(folder / f"{arm.replace(' ', '_')}.npy") for arm in arms}
    side = shown["label"].shape[1]
    border = (side - next(iter(logits.values())).shape[2]) // 2
    inner, middle = slice(border, side - border), int(shown["label"][0, side // 2, side // 2])
    views = {
        arm: (
            drawn[0, :, :, middle],
            _spectrum(drawn),
            trained[0, :, :, middle],
            _spectrum(trained),
        )
        for arm, (drawn, trained) in logits.items()
    }
    grey = np.asarray(dataset.info.denormalize(shown["image"][0]))
    return plots.decoders(
        plots.to_rgb(grey[inner, inner], dataset.info.palette),
        plots.to_rgb(shown["label"][0, inner, inner], dataset.info.palette),
        views,
        ROWS,
        title="What decoders give: logits, each on its own scale; spectra over six decades, "
        "frequency 0 in the middle and 1/2 at the edges",
    )


def _spectrum(logits: np.ndarray) -> np.ndarray:
    """Mean power spectrum over images and classes, each without its mean."""
    centred = logits - logits.mean(axis=(1, 2), keepdims=True)
    # A taper that ends at 0: else what an image does at its edges would hide the rest.
    taper = np.outer(*(np.hanning(n + 1)[:-1] for n in logits.shape[1:3]))
    power = np.abs(np.fft.fft2(centred * taper[:, :, None], axes=(1, 2))) ** 2
    return np.fft.fftshift(power.mean(axis=(0, 3)))
