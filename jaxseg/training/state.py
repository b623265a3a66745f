"""The train state and the pure step that moves it on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxseg.losses import mean_cross_entropy
from jaxseg.numerics import safe_norm

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]
Apply = Callable[..., tuple[jax.Array, Any]]
"""`apply(params, stats, images, train=...) -> (logits, stats)`, as `nn.functional` makes it."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainState:
    """All that a step changes: a pytree, so that `vmap` stacks many of them into one.

    `alive` turns false, for good, at the first step whose loss or gradient is not finite; the rest
    then stays as it was before that step.
    """

    step: jax.Array
    alive: jax.Array
    params: Any
    stats: Any
    opt_state: optax.OptState


def init_state(params: Any, stats: Any, optimizer: optax.GradientTransformation) -> TrainState:
    """The state before the first step."""
    return TrainState(
        jnp.zeros((), jnp.int32), jnp.ones((), bool), params, stats, optimizer.init(params)
    )


def clip_by_norm(largest: float) -> optax.GradientTransformation:
    """Scale the gradient down to norm `largest`, as `optax.clip_by_global_norm` does.

    That one's norm overflows from 1.8e19 on, which a deep net with batch norm reaches.
    """

    def update(updates, state, params=None):
        del params
        factor = jnp.minimum(1.0, largest / jnp.maximum(safe_norm(updates), 1e-30))
        return jax.tree.map(lambda g: g * factor.astype(g.dtype), updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def make_train_step(
    apply: Apply,
    optimizer: optax.GradientTransformation,
    loss: Callable[[jax.Array, jax.Array], jax.Array] = mean_cross_entropy,
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
    """Build the step `(state, batch) -> (state, metrics)`: pure, for `jit` and `vmap`.

    Args:
        apply: the net, `apply(params, stats, images, train=True) -> (logits, stats)`.
        optimizer: any optax transformation.
        loss: `loss(logits, labels)`, a scalar.

    Returns:
        the step. A batch is {"image": (batch, *space, channels), "label": (batch, *space)}. The
        metrics are `loss` and `gradient_norm` before the update, and `finite`: false from the
        first step on at which either is not. A diverged run keeps its last good parameters.
    """

    def objective(params, stats, batch):
        logits, stats = apply(params, stats, batch["image"], train=True)
        return loss(logits, batch["label"]), stats

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        gradient = jax.value_and_grad(objective, has_aux=True)
        (value, stats), grads = gradient(state.params, state.stats, batch)
        norm = safe_norm(grads)
        finite = state.alive & jnp.isfinite(value) & jnp.isfinite(norm)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        moved = TrainState(state.step + 1, finite, params, stats, opt_state)
        kept = jax.tree.map(lambda new, old: jnp.where(finite, new, old), moved, state)
        return replace(kept, alive=finite), {"loss": value, "gradient_norm": norm, "finite": finite}

    return step


def make_eval_step(
    apply: Apply, classes: int, confusion: Callable[..., jax.Array]
) -> Callable[[Any, Any, Batch], tuple[jax.Array, jax.Array]]:
    """Build `(params, stats, batch) -> (confusion matrix, predictions)`, pure."""

    def step(params, stats, batch):
        logits, _ = apply(params, stats, batch["image"], train=False)
        predictions = jnp.argmax(logits, axis=-1).astype(jnp.int32)
        return confusion(batch["label"], predictions, classes), predictions

    return step
