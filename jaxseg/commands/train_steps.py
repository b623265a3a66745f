"""The compiled steps of a training run, and what they are made with."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxseg import data
from jaxseg.commands.loss import LossConfig, make_loss
from jaxseg.commands.model import ModelConfig, load_pretrained
from jaxseg.commands.run import fine_tune
from jaxseg.commands.train_config import Config
from jaxseg.progress import busy
from jaxseg.training import TrainState, make_eval_step, make_optimizer, make_train_step


def train_step(
    config: Config,
    info: data.DatasetInfo,
    apply: Callable,
    weights: np.ndarray | None,
    augmentation: data.Augmentation,
) -> Any:
    """Build the jitted training step, which augments and normalizes the images first.

    Args:
        config: The run.
        info: Its data set.
        apply: The net, as `model.functions` gives it.
        weights: Class weights, (classes,), or None.
        augmentation: The changes of each training image.
    """

    def transform(key, batch):
        images, labels = data.augment(
            key,
            batch["image"],
            batch["label"].astype(np.int32),
            augmentation,
            index=batch["index"],
            fill=info.mean,
            clip=info.dtype != "float32",
        )
        return {"image": info.normalize(images), "label": labels}

    return jax.jit(
        make_train_step(
            apply,
            make_optimizer(config.optimizer, config.steps),
            make_loss(config.loss, weights, config.model.auxiliary),
            transform=transform,
            accumulate=config.optimizer.accumulate,
            decay=config.optimizer.average,
        )
    )


def evaluate_step(info: data.DatasetInfo, apply: Callable, mesh: Mesh) -> Any:
    """Build the jitted `(params, stats, batch) -> confusion matrix`, on every device of a mesh.

    Args:
        info: The data set.
        apply: The net, as `model.functions` gives it.
        mesh: The devices.
    """
    evaluate = make_eval_step(
        apply, info.classes, transform=lambda _, batch: info.normalize_batch(batch)
    )
    return jax.jit(
        lambda params, stats, batch: evaluate(params, stats, batch)[0],
        out_shardings=NamedSharding(mesh, PartitionSpec()),
    )


def class_weights(config: LossConfig, train: data.Source, classes: int) -> np.ndarray | None:
    """Compute the class weights of the loss from the training split; None for none.

    Args:
        config: The loss.
        train: The training split, of which every label is read.
        classes: Number of classes.
    """
    kind = config.class_weights
    if kind == "none":
        return None
    median = kind == "median_frequency"
    with busy("counting classes"):
        frequencies = data.class_frequencies(train, classes, where_present=median)
    if median:
        return data.median_frequency_weights(frequencies)
    return data.inverse_log_weights(frequencies)


def load_weights(
    config: ModelConfig, weights: Path, info: data.DatasetInfo, state: TrainState
) -> TrainState:
    """Replace the parameters of a state by those of another run, or of a file.

    Args:
        config: The net.
        weights: The folder of a training run, or a file of torchvision's weights.
        info: The data set.
        state: The state.

    Raises:
        ValueError: They are not of this net.
    """
    if weights.is_dir():
        return fine_tune(weights, state)
    return load_pretrained(config, weights, info, state)
