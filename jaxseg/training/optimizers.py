"""Optimizers of segmentation nets: SGD or AdamW, behind a clip, along a schedule."""

import math
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from jaxseg.numerics import safe_norm


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer that `make_optimizer` builds.

    Attributes:
        name: "sgd" with momentum, or "adamw".
        learning_rate: The highest learning rate.
        schedule: How the rate falls from there to 0: "poly" as `(1 - t / T) ** power`, "cosine", or
            "constant" (not at all).
        power: Exponent of "poly"; 0.9 in Chen et al. 2017 (arXiv:1606.00915, section 4.1.2).
        warmup: Number of steps over which the rate first rises from 0.
        momentum: Momentum of "sgd"; decay of the first moment of "adamw".
        weight_decay: Decay of kernels alone, never of norms and biases. It is added to the gradient
            for "sgd" and decoupled for "adamw" (Loshchilov & Hutter 2019, arXiv:1711.05101).
        clip: Largest norm of the gradient; 0 for no clip.
        accumulate: Number of parts of a batch that go through the net one after the other.
        average: Decay of the moving average of the parameters that is evaluated; 0 for none.

    Raises:
        ValueError: A number is out of range.
    """

    name: Literal["sgd", "adamw"] = "adamw"
    learning_rate: float = 1e-3
    schedule: Literal["poly", "cosine", "constant"] = "poly"
    power: float = 0.9
    warmup: int = 0
    momentum: float = 0.9
    weight_decay: float = 1e-4
    clip: float = 1.0
    accumulate: int = 1
    average: float = 0.0

    def __post_init__(self):
        for field in ("weight_decay", "clip", "warmup", "power"):
            if not 0 <= getattr(self, field) < math.inf:
                raise ValueError(
                    f"{field}={getattr(self, field)} must not be negative or infinite."
                )
        for field in ("momentum", "average"):
            if not 0 <= getattr(self, field) < 1:
                raise ValueError(f"{field}={getattr(self, field)} must be at least 0 and below 1.")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate={self.learning_rate} must be above 0 and finite.")
        if self.schedule != "poly" and self.power != type(self).power:
            raise ValueError(
                f'power={self.power} has no effect on schedule={self.schedule!r}, only on "poly": '
                "leave it out."
            )
        if self.accumulate < 1:
            raise ValueError(f"accumulate={self.accumulate} must be at least 1.")


def make_schedule(config: OptimizerConfig, steps: int) -> optax.Schedule:
    """The learning rate as a function of the number of steps taken.

    Args:
        config: The optimizer.
        steps: Number of steps of the run.

    Raises:
        ValueError: The warm-up leaves no step.

    Example:
        >>> rate = make_schedule(OptimizerConfig(learning_rate=1.0, power=1.0, warmup=2), 6)
        >>> [round(float(rate(step)), 2) for step in range(7)]
        [0.0, 0.5, 1.0, 0.75, 0.5, 0.25, 0.0]
    """
    if not 0 <= config.warmup < steps:
        raise ValueError(
            f"warmup={config.warmup} must leave some of the {steps} steps: choose a shorter one "
            "(--optimizer.warmup)."
        )
    after = steps - config.warmup
    if config.schedule == "constant":
        fall = optax.constant_schedule(config.learning_rate)
    elif config.schedule == "cosine":
        fall = optax.cosine_decay_schedule(config.learning_rate, after)
    else:
        fall = _poly(config.learning_rate, config.power, after)
    if not config.warmup:
        return fall
    rise = optax.linear_schedule(0.0, config.learning_rate, config.warmup)
    return optax.join_schedules([rise, fall], [config.warmup])


def make_optimizer(config: OptimizerConfig, steps: int) -> optax.GradientTransformation:
    """The optimizer of a run.

    Args:
        config: What to build.
        steps: Number of steps of the run.

    Raises:
        ValueError: The warm-up leaves no step.
    """
    rate = make_schedule(config, steps)
    decay = optax.add_decayed_weights(config.weight_decay, mask=kernels)
    if config.name == "sgd":
        rule = optax.chain(decay, optax.sgd(rate, momentum=config.momentum))
    else:
        rule = optax.chain(
            optax.scale_by_adam(b1=config.momentum), decay, optax.scale_by_learning_rate(rate)
        )
    return optax.chain(clip_by_norm(config.clip), rule) if config.clip else rule


def kernels(params: Any) -> Any:
    """Marks the kernels, by their name: true for the leaves that weight decay is for.

    Args:
        params: A pytree of parameters.

    Returns:
        A pytree of the same structure, of bools.

    Example:
        >>> kernels({"conv": {"kernel": 1.0, "bias": 0.0}})
        {'conv': {'bias': False, 'kernel': True}}
    """

    def is_kernel(path, leaf):
        del leaf
        names = [k.key for k in path if isinstance(getattr(k, "key", None), str)]
        return bool(names) and names[-1] == "kernel"

    return jax.tree_util.tree_map_with_path(is_kernel, params)


def clip_by_norm(largest: float) -> optax.GradientTransformation:
    """Scales the gradient down to a norm, as `optax.clip_by_global_norm` does.

    The norm of that one overflows from 1.8e19 on, which a deep net with batch norm reaches.

    Args:
        largest: Largest norm that is left alone.
    """

    def update(updates, state, params=None):
        del params
        factor = jnp.minimum(1.0, largest / jnp.maximum(safe_norm(updates), 1e-30))
        return jax.tree.map(lambda g: g * factor.astype(g.dtype), updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def _poly(highest: float, power: float, steps: int) -> optax.Schedule:
    # optax's own takes the power of a float by an int, which strict promotion refuses.
    def rate(count):
        remaining = 1 - jnp.minimum(jnp.asarray(count, jnp.float32), steps) / steps
        return highest * remaining**power

    return rate
