"""Short trainings that the pages and `precompute.py` share."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxseg import data, losses, metrics, models, nn, ops, training

Net = tuple[Callable[..., Any], Callable[..., Any]]
"""The pair `init(key) -> (params, stats)`, `apply(params, stats, images) -> (logits, stats)`."""
Examples = tuple[np.ndarray, np.ndarray]
"""Normalized images (n, height, width, 1) and labels (n, height, width)."""


class Run(NamedTuple):
    """A training: the loss of every step, and the labels predicted for the test images."""

    losses: np.ndarray
    predictions: np.ndarray


def mosaic_examples(config: data.MosaicConfig, split: str, number: int) -> Examples:
    """Draw the first examples of a split, with gray values of about mean 0 and deviation 1."""
    pairs = [data.mosaic_example(config, split, index) for index in range(number)]
    pixels = np.stack([image for image, _ in pairs])[..., None].astype(np.float32)
    return (pixels - 128) / 40, np.stack([label for _, label in pairs]).astype(np.int32)


def dilated_net(kernel: int, rates: Sequence[int], features: int = 12) -> Net:
    """Make a chain of dilated convolutions with ReLUs, and a 1 × 1 convolution to three scores."""

    def init(key):
        widths = [1, *[features] * len(rates)]
        keys = jax.random.split(key, len(rates) + 1)
        draw = nn.initializers.he_normal()
        layers = [
            {"kernel": draw(k, (kernel, kernel, i, o)), "bias": jnp.zeros(o)}
            for k, i, o in zip(keys, widths, widths[1:], strict=False)
        ]
        head = {"kernel": 0.1 * draw(keys[-1], (1, 1, features, 3)), "bias": jnp.zeros(3)}
        return [*layers, head], {}

    def apply(params, stats, images, train=False):
        x = images
        for layer, rate in zip(params[:-1], rates, strict=True):
            x = jax.nn.relu(ops.conv(x, layer["kernel"], dilation=rate) + layer["bias"])
        return ops.conv(x, params[-1]["kernel"]) + params[-1]["bias"], stats

    return init, apply


def small_unet(skips: str, *, residual: bool = False, levels: int = 3) -> Net:
    """Make a U-Net of 8 features per level; `skips` is "none", "sum" or "concat"."""
    return nn.functional(
        lambda rngs: models.UNet(
            classes=3,
            inputs=1,
            widths=(8,) * levels,
            norm="group",
            skips=skips,
            residual=residual,
            rngs=rngs,
        )
    )


def train(
    net: Net,
    train_set: Examples,
    test_images: np.ndarray,
    *,
    steps: int,
    rate: float,
    batch: int = 8,
    seed: int = 0,
) -> Run:
    """Train a net by Adam at a rate that falls to zero along a cosine, and predict."""
    init, apply = net
    images, labels = (jnp.asarray(array) for array in train_set)
    order = np.random.default_rng(seed).integers(len(images), size=(steps, batch))
    optimizer = optax.chain(
        training.clip_by_norm(1.0), optax.adam(optax.cosine_decay_schedule(rate, steps))
    )
    step = training.make_train_step(apply, optimizer, losses.mean_cross_entropy)

    @jax.jit
    def run(key):
        def train_batch(state, index):
            return step(state, {"image": images[index], "label": labels[index]})

        state = training.init_state(*init(key), optimizer)
        state, history = jax.lax.scan(train_batch, state, order)
        logits, _ = apply(state.params, state.stats, test_images)
        return history["loss"], jnp.argmax(logits, axis=-1).astype(jnp.uint8)

    return Run(*jax.device_get(run(jax.random.key(seed))))


def scores(labels: np.ndarray, predictions: np.ndarray) -> dict[str, float]:
    """Return accuracy, mean IoU, and the accuracies near borders of classes and elsewhere."""
    confusion = metrics.confusion_matrix(labels, np.asarray(predictions, np.int32), 3)
    correct, border = predictions == labels, near_borders(labels)
    return {
        "accuracy": float(metrics.pixel_accuracy(confusion)),
        "mean_iou": float(metrics.mean_iou(confusion)),
        "near_borders": float(correct[border].mean()),
        "elsewhere": float(correct[~border].mean()),
    }


def near_borders(labels: np.ndarray, reach: int = 2) -> np.ndarray:
    """Find the pixels that have a pixel of another class within `reach` pixels."""
    one_hot = jax.nn.one_hot(labels, 3)
    around = ops.max_pool(one_hot, 2 * reach + 1, stride=1, padding=reach)
    return np.asarray(jnp.sum(around, axis=-1) > 1)
