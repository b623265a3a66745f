"""Every loss as a scalar function of logits and labels, and random logits and labels."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxseg import losses

WEIGHTS = np.array([0.5, 2.0, 1.0, 3.0], np.float32)
CLASSES = len(WEIGHTS)


def of_pixels(loss, **options):
    def mean(logits, labels, ignore_index=255):
        values = loss(logits, labels, ignore_index=ignore_index, **options)
        return losses.mean_over_valid(values, labels, ignore_index=ignore_index)

    return mean


def of_regions(loss, *, present_only=True, **options):
    def mean(logits, labels, ignore_index=255):
        values = loss(logits, labels, ignore_index=ignore_index, **options)
        return losses.mean_over_classes(
            values, labels, present_only=present_only, ignore_index=ignore_index
        )

    return mean


def mined(logits, labels, ignore_index=255):
    hard = losses.hard_labels(
        logits, labels, threshold=0.4, least_kept=5, ignore_index=ignore_index
    )
    return losses.mean_cross_entropy(logits, hard, ignore_index=ignore_index)


def weighted(logits, labels, ignore_index=255):
    return losses.mean_cross_entropy(
        logits, labels, class_weights=WEIGHTS, label_smoothing=0.1, ignore_index=ignore_index
    )


def auxiliary(logits, labels, ignore_index=255):
    def loss(z, y):
        return losses.mean_cross_entropy(z, y, ignore_index=ignore_index)

    return losses.with_auxiliary(loss, weight=0.4)((logits, -logits), labels)


PIXELS = {
    "cross_entropy": of_pixels(losses.cross_entropy),
    "weighted": weighted,
    "focal": of_pixels(losses.focal_loss),
    "focal_half": of_pixels(losses.focal_loss, gamma=0.5, class_weights=WEIGHTS),
    "mined": mined,
    "auxiliary": auxiliary,
}
REGIONS = {
    "tversky": of_regions(losses.tversky_loss),
    "dice": of_regions(losses.dice_loss),
    "dice_bare": of_regions(losses.dice_loss, smoothing=0.0),
    "jaccard": of_regions(losses.jaccard_loss, present_only=False),
    "lovasz": of_regions(losses.lovasz_softmax),
    "lovasz_all": of_regions(losses.lovasz_softmax, present_only=False),
    "boundary": of_regions(losses.boundary_loss, present_only=False),
}
LOSSES = PIXELS | REGIONS
# Losses are jitted, since operation by operation every new shape takes seconds. Values alone are
# compiled without optimizations; with the gradients they are compiled as users compile them.
SCALARS = {
    name: jax.jit(
        loss, static_argnames="ignore_index", compiler_options={"xla_backend_optimization_level": 0}
    )
    for name, loss in LOSSES.items()
}
GRADIENTS = {name: jax.jit(jax.value_and_grad(loss)) for name, loss in LOSSES.items()}


def draw(shape=(3, 5, 4), seed=0, scale=3.0, ignored=0.2):
    rng = np.random.default_rng(seed)
    logits = scale * rng.standard_normal((*shape, CLASSES))
    labels = rng.integers(0, CLASSES, shape)
    labels[rng.random(shape) < ignored] = 255
    return jnp.asarray(logits, jnp.float32), jnp.asarray(labels, jnp.int32)
