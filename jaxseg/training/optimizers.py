"""Optimisers of segmentation nets: SGD or AdamW, behind a clip, along a schedule."""

from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import optax

from jaxseg.numerics import safe_norm


@dataclass(frozen=True)
class OptimizerConfig:
    """What `make_optimizer` builds.

    Attributes:
        name: "sgd" with momentum, or "adamw".
        learning_rate: the highest.
        schedule: how it falls from there to 0: "poly" as (1 - t / T) ** power, "cosine", or
            "constant" (not at all).
        power: of "poly"; 0.9 in Chen et al. 2017 (arXiv:1606.00915, section 4.1.2).
        warmup: steps over which the rate rises from 0 first.
        momentum: of "sgd"; the decay of the first moment of "adamw".
        weight_decay: of kernels alone, never of norms and biases. Added to the gradient for "sgd",
            decoupled for "adamw" (Loshchilov & Hutter 2019, arXiv:1711.05101).
        clip: largest norm of the gradient; 0 for none.
        accumulate: parts of a batch that go through the net one after the other.
        average: decay of the moving average of the parameters that is evaluated; 0 for none.
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
        """Refuse numbers that make no optimiser."""
        for field in ("weight_decay", "clip", "warmup", "power"):
            if getattr(self, field) < 0:
                raise ValueError(f"{field}={getattr(self, field)} must not be negative.")
        for field in ("momentum", "average"):
            if not 0 <= getattr(self, field) < 1:
                raise ValueError(f"{field}={getattr(self, field)} must be at least 0 and below 1.")
        if self.learning_rate <= 0:
            raise ValueError(f"learning_rate={self.learning_rate} must be above 0.")
        if self.accumulate < 1:
            raise ValueError(f"accumulate={self.accumulate} must be at least 1.")


def make_schedule(config: OptimizerConfig, steps: int) -> optax.Schedule:
    """The learning rate at each of `steps` steps.

    Raises:
        ValueError: a warm-up that leaves no step.
    """
    if not 0 <= config.warmup < steps:
        raise ValueError(
            f"warmup={config.warmup} must leave some of the {steps} steps: choose a shorter one."
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


def _poly(highest: float, power: float, steps: int) -> optax.Schedule:
    # optax's own takes the power of a float by an int, which strict promotion refuses.
    def rate(count):
        left = 1 - jnp.minimum(jnp.asarray(count, jnp.float32), steps) / steps
        return highest * left**power

    return rate


def make_optimizer(config: OptimizerConfig, steps: int) -> optax.GradientTransformation:
    """The optimiser of a run of so many steps.

    Raises:
        ValueError: as `make_schedule`.
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
    """Whether each leaf is a kernel, by its name: true for those that weight decay is for."""

    def is_kernel(path, leaf):
        del leaf
        names = [k.key for k in path if isinstance(getattr(k, "key", None), str)]
        return bool(names) and names[-1] == "kernel"

    return jax.tree_util.tree_map_with_path(is_kernel, params)


def clip_by_norm(largest: float) -> optax.GradientTransformation:
    """Scale the gradient down to norm `largest`, as `optax.clip_by_global_norm` does.

    That one's norm overflows from 1.8e19 on, which a deep net with batch norm reaches.
    """

    def update(updates, state, params=None):
        del params
        factor = jnp.minimum(1.0, largest / jnp.maximum(safe_norm(updates), 1e-30))
        return jax.tree.map(lambda g: g * factor.astype(g.dtype), updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
