"""Steps, and what happens to a run that is not finite any more."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxseg.training import init_state, make_eval_step, make_train_step

CLASSES, SHAPE = 3, (2, 4, 4, 2)


def apply(params, stats, images, *, train):
    """A linear classifier of pixels that counts its training calls."""
    flat = images.reshape(-1, images.shape[-1])
    logits = (flat @ params["w"]).reshape(*images.shape[:-1], CLASSES) + params["b"].reshape(
        (1,) * (images.ndim - 1) + (CLASSES,)
    )
    return logits, {"calls": stats["calls"] + int(train)}


def start(optimizer, seed=0):
    w = 0.1 * jax.random.normal(jax.random.key(seed), (SHAPE[-1], CLASSES))
    stats = {"calls": jnp.zeros((), jnp.int32)}
    return init_state({"w": w, "b": jnp.zeros(CLASSES)}, stats, optimizer)


def adam(rate):
    """optax's Adam takes a float to the power of an integer, which strict promotion forbids."""
    inner = optax.adam(rate)

    def update(*args):
        with jax.numpy_dtype_promotion("standard"):
            return inner.update(*args)

    return optax.GradientTransformation(inner.init, update)


def batch(seed=0):
    x = np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)
    label = np.where(x[..., 0] > 0.5, 2, np.where(x[..., 1] > 0, 1, 0))
    return {"image": jnp.array(x), "label": jnp.array(label, jnp.int32)}


def equal(a, b):
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


@pytest.mark.parametrize("optimizer", [optax.sgd(0.5), adam(0.1)], ids=["sgd", "adam"])
def test_steps_lower_the_loss(optimizer):
    step = jax.jit(make_train_step(apply, optimizer))
    state, data = start(optimizer), batch()
    losses = []
    for _ in range(40):
        state, metrics = step(state, data)
        losses.append(float(metrics["loss"]))
    assert losses[-1] < 0.6 * losses[0]
    assert int(state.step) == int(state.stats["calls"]) == 40
    assert bool(metrics["finite"])


def test_a_step_of_sgd_is_the_gradient():
    optimizer = optax.sgd(0.5)
    state, data = start(optimizer), batch()

    def loss(params):
        logp = jax.nn.log_softmax(apply(params, state.stats, data["image"], train=True)[0])
        return -jnp.mean(jnp.take_along_axis(logp, data["label"][..., None], -1))

    value, gradient = jax.value_and_grad(loss)(state.params)
    moved, metrics = make_train_step(apply, optimizer)(state, data)
    for key in ("w", "b"):
        expected = state.params[key] - 0.5 * gradient[key]
        np.testing.assert_allclose(moved.params[key], expected, rtol=1e-5, atol=1e-6)
    assert float(metrics["loss"]) == pytest.approx(float(value), rel=1e-5)
    square = sum(float(jnp.sum(g**2)) for g in gradient.values())
    assert float(metrics["gradient_norm"]) == pytest.approx(square**0.5, rel=1e-5)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_leaves_the_state_alone(bad):
    optimizer = adam(0.1)
    step = jax.jit(make_train_step(apply, optimizer))
    state, _ = step(start(optimizer), batch())
    data = batch()
    kept, metrics = step(state, {**data, "image": data["image"].at[0, 0, 0, 0].set(bad)})
    assert not bool(metrics["finite"])
    assert not bool(kept.alive)
    assert equal(dataclasses.replace(kept, alive=state.alive), state)
    # For good: the run does not go on with the next batch.
    later, metrics = step(kept, data)
    assert not bool(metrics["finite"])
    assert equal(later, kept)


def test_a_gradient_that_is_not_finite_is_caught_though_the_loss_is():
    # d sqrt(x) / dx is infinite at 0, where sqrt itself is 0.
    optimizer = optax.sgd(0.1)
    step = make_train_step(apply, optimizer, lambda z, y: jnp.sum(jnp.sqrt(jnp.abs(z * 0.0))))
    state = start(optimizer)
    kept, metrics = step(state, batch())
    assert float(metrics["loss"]) == 0
    assert not bool(metrics["finite"])
    assert equal(dataclasses.replace(kept, alive=state.alive), state)


def test_a_state_with_an_average_can_be_donated():
    optimizer = optax.sgd(0.1)
    state = init_state(start(optimizer).params, {"calls": jnp.zeros(())}, optimizer, average=True)
    expected, _ = make_train_step(apply, optimizer)(state, batch())
    donating = jax.jit(make_train_step(apply, optimizer), donate_argnums=0)
    moved, _ = donating(state, batch())  # no buffer is given away twice
    np.testing.assert_allclose(moved.average[0]["w"], expected.average[0]["w"], rtol=1e-6)


def test_vmapped_steps_equal_single_ones():
    optimizer = adam(0.1)
    step = make_train_step(apply, optimizer)
    states = [start(optimizer, seed) for seed in range(3)]
    batches = [batch(seed) for seed in range(3)]
    batches[1]["image"] = batches[1]["image"].at[0].set(jnp.nan)
    stack = lambda trees: jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)  # noqa: E731
    together, metrics = jax.jit(jax.vmap(step))(stack(states), stack(batches))
    assert np.asarray(metrics["finite"]).tolist() == [True, False, True]
    for i in range(3):
        alone, _ = step(states[i], batches[i])
        pairs = zip(jax.tree.leaves(together), jax.tree.leaves(alone), strict=True)
        for a, b in pairs:
            np.testing.assert_allclose(a[i], b, rtol=1e-4, atol=1e-6)


def test_eval_step_predicts_the_argmax_without_moving_statistics():
    state, data = start(optax.sgd(1.0)), batch()
    counts, predictions = make_eval_step(apply, CLASSES)(state.params, state.stats, data)
    logits, _ = apply(state.params, state.stats, data["image"], train=False)
    np.testing.assert_array_equal(predictions, np.argmax(logits, -1))
    assert predictions.dtype == jnp.int32
    assert int(counts.sum()) == data["label"].size


def test_eval_step_transforms_the_batch_first():
    state, data = start(optax.sgd(1.0)), batch()
    halved = {**data, "image": data["image"] / 2}
    seen = []

    def double(key, batch):
        seen.append(key)
        return {**batch, "image": 2 * batch["image"]}

    evaluate = make_eval_step(apply, CLASSES, transform=double)
    for found, expected in zip(
        evaluate(state.params, state.stats, halved),
        make_eval_step(apply, CLASSES)(state.params, state.stats, data),
        strict=True,
    ):
        np.testing.assert_array_equal(found, expected)
    assert seen == [None]


# --- Keys ----------------------------------------------------------------------------------------


def noisy(params, stats, images, *, train, key):
    """Logits under noise, and the noise among the statistics, as many as there are calls."""
    del train
    noise = jax.random.normal(key, images.shape[:-1])
    logits = images @ params["w"] + noise[..., None]
    return logits, {"noise": jnp.roll(stats["noise"], 1).at[0].set(noise.ravel()[0])}


def noise_of(steps, accumulate=1, transform=None):
    """The noise of each call of `noisy`, the latest first."""
    optimizer = optax.sgd(0.0)
    params, stats = {"w": jnp.ones((SHAPE[-1], CLASSES))}, {"noise": jnp.zeros(4)}
    state = init_state(params, stats, optimizer, key=jax.random.key(3))
    step = make_train_step(noisy, optimizer, accumulate=accumulate, transform=transform)
    data = jax.tree.map(lambda a: jnp.concatenate([a[:1], a[:1]]), batch())  # two equal examples
    for _ in range(steps):
        state, _ = jax.jit(step)(state, data)
    return np.asarray(state.stats["noise"])


def test_each_step_has_a_key_of_its_own():
    second, first, *_ = noise_of(2)
    assert first != second
    np.testing.assert_array_equal(noise_of(2), noise_of(2))
    assert noise_of(1)[0] == first


def test_each_part_of_a_batch_has_a_key_of_its_own():
    calls = noise_of(2, accumulate=2)
    assert len(set(calls.tolist())) == 4


def test_the_transform_has_the_key_of_the_run_at_each_step():
    """It draws by the examples' ranks, so that what it does is not bound to how batches are cut."""
    keys = []

    def transform(key, batch):
        jax.debug.callback(lambda data: keys.append(data.tolist()), jax.random.key_data(key))
        return batch

    noise_of(2, transform=transform)
    jax.effects_barrier()
    assert keys == [jax.random.key_data(jax.random.key(3)).tolist()] * 2
