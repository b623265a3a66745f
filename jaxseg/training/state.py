"""The train state and the pure steps that move it on and evaluate it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxseg.losses import mean_cross_entropy
from jaxseg.metrics import confusion_matrix
from jaxseg.numerics import safe_norm

Batch = dict[str, jax.Array]
"""{"image": (batch, *space, channels), "label": (batch, *space)}, and what a transform needs."""
Metrics = dict[str, jax.Array]
Apply = Callable[..., tuple[Any, Any]]
"""`apply(params, stats, images, train=...) -> (logits, stats)`, as `nn.functional` makes it."""
Transform = Callable[[jax.Array | None, Batch], Batch]
"""`transform(key, batch) -> batch`: augmentation and normalization, on the device."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TrainState:
    """All that a step changes: a pytree, so that `vmap` stacks many of them into one.

    Attributes:
        step: Number of steps taken.
        alive: Turns false, for good, at the first step whose loss or gradient is not finite; the
            rest then stays as it was before that step.
        params: What is trained.
        stats: What the net changes by itself, such as running statistics.
        opt_state: The optimizer's state.
        average: Moving average of `params` and `stats`; None for none.
        key: The run's PRNG key, from which each step derives its own; None for none.
    """

    step: jax.Array
    alive: jax.Array
    params: Any
    stats: Any
    opt_state: optax.OptState
    average: Any = None
    key: jax.Array | None = None


def init_state(
    params: Any,
    stats: Any,
    optimizer: optax.GradientTransformation,
    *,
    key: jax.Array | None = None,
    average: bool = False,
) -> TrainState:
    """The state before the first step.

    Args:
        params: What is trained.
        stats: What the net changes by itself.
        optimizer: Any optax transformation.
        key: JAX PRNG key of the run, for dropout and augmentation; None for neither.
        average: Whether a moving average is kept, which starts at `params` and `stats`.
    """
    # Copies: a step that donates its state cannot give one buffer away twice.
    copy = jax.tree.map(jnp.copy, (params, stats)) if average else None
    return TrainState(
        jnp.zeros((), jnp.int32),
        jnp.ones((), bool),
        params,
        stats,
        optimizer.init(params),
        copy,
        key,
    )


def make_train_step(
    apply: Apply,
    optimizer: optax.GradientTransformation,
    loss: Callable[[Any, jax.Array], jax.Array] = mean_cross_entropy,
    *,
    transform: Transform | None = None,
    accumulate: int = 1,
    decay: float = 0.999,
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
    """Builds the training step `(state, batch) -> (state, metrics)`: pure, for `jit` and `vmap`.

    Args:
        apply: The net, `apply(params, stats, images, train=True) -> (logits, stats)`. If the state
            has a key, the net is also given `key=`, another at each step.
        optimizer: Any optax transformation.
        loss: `loss(logits, labels)`, a scalar.
        transform: `transform(key, batch) -> batch`, run first, with the state's key, the same at
            each step: augmentation, which draws by `batch["index"]`, and normalization.
        accumulate: Number of parts that a batch is cut into, whose gradients are averaged; a part
            needs so many times less memory. Batch norm sees one part at a time. Losses that are
            means over the labeled pixels are averaged as if each part had as many.
        decay: Decay of the moving average, if the state has one. At step t it is (1 + t) / (10 + t)
            where that is less, so that the start is soon forgotten.

    Returns:
        The step. A batch is {"image": (batch, *space, channels), "label": (batch, *space)}. The
        metrics are `loss` and `gradient_norm` before the update, and `finite`: false from the
        first step on at which either is not. A diverged run keeps its last good parameters.

    Raises:
        ValueError: From the step, where `accumulate` does not divide the batch.

    Example:
        A net of one kernel that sees each pixel by itself:

        >>> def apply(params, stats, images, *, train):
        ...     return images @ params["kernel"], stats
        >>> optimizer = optax.sgd(0.5)
        >>> step = jax.jit(make_train_step(apply, optimizer))
        >>> state = init_state({"kernel": jnp.zeros((1, 2))}, {}, optimizer)
        >>> images = jnp.array([-1.0, 1.0]).reshape(1, 1, 2, 1)
        >>> batch = {"image": images, "label": jnp.array([[[0, 1]]])}
        >>> for _ in range(3):
        ...     state, metrics = step(state, batch)
        ...     print(round(float(metrics["loss"]), 2))
        0.69
        0.47
        0.35
    """

    def objective(params, stats, batch, key):
        keyed = {} if key is None else {"key": key}
        logits, stats = apply(params, stats, batch["image"], train=True, **keyed)
        return loss(logits, batch["label"]), stats

    gradient = jax.value_and_grad(objective, has_aux=True)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        key = None if state.key is None else jax.random.fold_in(state.key, state.step)
        batch = batch if transform is None else transform(state.key, batch)
        if accumulate == 1:
            (value, stats), grads = gradient(state.params, state.stats, batch, key)
        else:
            (value, stats), grads = _accumulate(gradient, state, batch, key, accumulate)
        norm = safe_norm(grads)
        finite = state.alive & jnp.isfinite(value) & jnp.isfinite(norm)
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        average = _move_average(state.average, (params, stats), state.step, decay)
        new = (state.step + 1, params, stats, opt_state, average)
        old = (state.step, state.params, state.stats, state.opt_state, state.average)
        kept = jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, old)
        metrics = {"loss": value, "gradient_norm": norm, "finite": finite}
        return TrainState(kept[0], finite, *kept[1:], key=state.key), metrics

    return step


def make_eval_step(
    apply: Apply, classes: int, *, transform: Transform | None = None
) -> Callable[[Any, Any, Batch], tuple[jax.Array, jax.Array]]:
    """Builds the evaluation step `(params, stats, batch) -> (confusion matrix, predictions)`.

    Args:
        apply: The net, `apply(params, stats, images, train=False) -> (logits, stats)`.
        classes: Number of classes.
        transform: `transform(None, batch) -> batch`, run first: normalization.

    Returns:
        The step: pure, for `jit` and `vmap`. A batch is {"image": (batch, *space, channels),
        "label": (batch, *space)}. The matrix is (classes, classes), as
        `metrics.confusion_matrix` counts it, and the predictions are int32, (batch, *space).
    """

    def step(params, stats, batch):
        batch = batch if transform is None else transform(None, batch)
        logits, _ = apply(params, stats, batch["image"], train=False)
        predictions = jnp.argmax(logits, axis=-1).astype(jnp.int32)
        return confusion_matrix(batch["label"], predictions, classes), predictions

    return step


def _accumulate(gradient, state: TrainState, batch: Batch, key, parts: int):
    """The mean loss and gradient over parts of a batch, and the statistics after the last one."""
    size = len(batch["image"])
    if size % parts:
        raise ValueError(
            f"accumulate={parts} does not divide the batch of {size}: choose a divisor."
        )
    # Part j takes every parts-th example: each device keeps those that it holds.
    batch = {
        name: jnp.moveaxis(a.reshape(size // parts, parts, *a.shape[1:]), 1, 0)
        for name, a in batch.items()
    }

    def add_part(carry, numbered_part):
        number, part = numbered_part
        total, stats, grads = carry
        part_key = None if key is None else jax.random.fold_in(key, number)
        (value, stats), part_grads = gradient(state.params, stats, part, part_key)
        grads = jax.tree.map(lambda a, b: a + b / parts, grads, part_grads)
        return (total + value / parts, stats, grads), None

    zeros = jax.tree.map(jnp.zeros_like, state.params)
    start = (jnp.zeros((), jnp.float32), state.stats, zeros)
    (value, stats, grads), _ = jax.lax.scan(add_part, start, (jnp.arange(parts), batch))
    return (value, stats), grads


def _move_average(average, new, step, decay: float):
    if average is None:
        return None
    t = step.astype(jnp.float32)
    share = jnp.minimum(decay, (1 + t) / (10 + t))
    return jax.tree.map(lambda a, b: (a + (1 - share) * (b - a)).astype(a.dtype), average, new)
