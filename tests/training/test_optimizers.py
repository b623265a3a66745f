"""Schedules, decay of kernels alone, accumulation and the moving average."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxseg.training import (
    OptimizerConfig,
    init_state,
    kernels,
    make_optimizer,
    make_schedule,
    make_train_step,
)

PARAMS = {"conv": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}, "norm": {"scale": jnp.ones(2)}}


@pytest.fixture(autouse=True)
def _optax():
    """Optax mixes floats and integers."""
    with jax.numpy_dtype_promotion("standard"):
        yield


@pytest.mark.parametrize(("name", "half"), [("poly", 0.5**0.9), ("cosine", 0.5), ("constant", 1.0)])
def test_schedules_rise_and_fall(name, half):
    rate = make_schedule(OptimizerConfig(learning_rate=0.4, schedule=name, warmup=10), 110)
    np.testing.assert_allclose([rate(0), rate(5), rate(10)], [0, 0.2, 0.4], rtol=1e-6)
    np.testing.assert_allclose(rate(60), 0.4 * half, rtol=1e-5)
    np.testing.assert_allclose(rate(110), 0.4 * (name == "constant"), atol=1e-7)


def test_poly_is_its_formula():
    rate = make_schedule(OptimizerConfig(learning_rate=2.0, power=0.9), 50)
    found = [float(rate(t)) for t in range(51)]
    np.testing.assert_allclose(found, [2 * (1 - t / 50) ** 0.9 for t in range(51)], rtol=1e-5)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_only_kernels_decay(name):
    config = OptimizerConfig(name=name, learning_rate=0.1, weight_decay=0.5, schedule="constant")
    rule = make_optimizer(config, 10)
    zero = jax.tree.map(jnp.zeros_like, PARAMS)
    updates, _ = rule.update(zero, rule.init(PARAMS), PARAMS)
    np.testing.assert_allclose(updates["conv"]["kernel"], -0.05, rtol=1e-6)
    np.testing.assert_array_equal(updates["conv"]["bias"], 0)
    np.testing.assert_array_equal(updates["norm"]["scale"], 0)
    assert kernels(PARAMS) == {"conv": {"kernel": True, "bias": False}, "norm": {"scale": False}}
    assert kernels({"kernel": {"bias": 0}, "a": [0]}) == {"kernel": {"bias": False}, "a": [False]}


def test_sgd_decays_within_the_momentum_and_adamw_beside_it():
    """Against what optax itself builds for the same rule."""
    gradient = jax.tree.map(lambda p: 0.3 * p, PARAMS)
    theirs = {
        "sgd": optax.chain(optax.add_decayed_weights(0.1, kernels), optax.sgd(0.2, momentum=0.8)),
        "adamw": optax.adamw(0.2, b1=0.8, weight_decay=0.1, mask=kernels),
    }
    for name, rule in theirs.items():
        config = OptimizerConfig(
            name=name,
            learning_rate=0.2,
            momentum=0.8,
            weight_decay=0.1,
            clip=0,
            schedule="constant",
        )
        ours = make_optimizer(config, 10)
        found, wanted, a, b = PARAMS, PARAMS, ours.init(PARAMS), rule.init(PARAMS)
        for factor in (1.0, -2.0, 3.0):
            scaled = jax.tree.map(lambda g: factor * g, gradient)  # noqa: B023  used at once
            update, a = ours.update(scaled, a, found)
            found = optax.apply_updates(found, update)
            update, b = rule.update(scaled, b, wanted)
            wanted = optax.apply_updates(wanted, update)
        for x, y in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-6)


@pytest.mark.parametrize(("clip", "norm"), [(0.0, 5.0), (0.5, 0.5), (2.0, 2.0), (7.0, 5.0)])
@pytest.mark.parametrize("size", [1.0, 1e20, 1e-25])
def test_the_gradient_is_clipped_by_its_norm_whatever_its_size(clip, norm, size):
    """Of 1e20 a float32 holds no square, nor of 1e-25."""
    config = OptimizerConfig(
        name="sgd",
        learning_rate=1.0,
        momentum=0,
        weight_decay=0,
        clip=clip * size,
        schedule="constant",
    )
    rule = make_optimizer(config, 10)
    gradient = {"a": jnp.array([3.0 * size]), "kernel": jnp.array([[4.0 * size]])}
    updates, _ = rule.update(gradient, rule.init(gradient), gradient)
    np.testing.assert_allclose(updates["a"], [-0.6 * norm * size], rtol=1e-6)
    np.testing.assert_allclose(updates["kernel"], [[-0.8 * norm * size]], rtol=1e-6)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"learning_rate": 0.0}, "learning_rate=0.0 must be above 0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan must be above 0"),
        ({"learning_rate": float("inf")}, "learning_rate=inf must be above 0 and finite"),
        ({"power": 2.0, "schedule": "cosine"}, "power=2.0 has no effect on schedule='cosine'"),
        ({"clip": float("nan")}, "clip=nan must not be negative"),
        ({"average": -0.1}, "average=-0.1 must be at least 0 and below 1"),
        ({"weight_decay": -1.0}, "weight_decay=-1.0 must not be negative"),
        ({"momentum": 1.0}, "momentum=1.0 must be at least 0 and below 1"),
        ({"accumulate": 0}, "accumulate=0 must be at least 1"),
    ],
)
def test_numbers_that_make_no_optimizer_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        OptimizerConfig(**fields)


def test_a_warm_up_leaves_steps():
    with pytest.raises(ValueError, match="warmup=10 must leave some of the 10 steps"):
        make_schedule(OptimizerConfig(warmup=10), 10)


def linear(params, stats, images, *, train, key=None):
    """Scores of two classes, and how often it was called."""
    del train, key
    return images @ params["kernel"], {"calls": stats["calls"] + 1}


def run(parts=1, average=False, size=4, steps=1, decay=0.9):
    rule = optax.sgd(0.5)
    params, stats = {"kernel": jnp.eye(2)}, {"calls": jnp.zeros(())}
    state = init_state(params, stats, rule, average=average, key=jax.random.key(0))
    step = jax.jit(make_train_step(linear, rule, accumulate=parts, decay=decay))
    batch = {
        "image": jnp.linspace(-1, 1, size * 6).reshape(size, 3, 2),
        "label": jnp.arange(size * 3).reshape(size, 3) % 2,
    }
    states = [state]
    for _ in range(steps):
        state, metrics = step(state, batch)
        states.append(state)
    return states, metrics


def test_parts_of_a_batch_give_the_gradient_of_the_whole():
    (_, whole), metrics = run()
    (_, parted), again = run(parts=2)
    np.testing.assert_allclose(parted.params["kernel"], whole.params["kernel"], rtol=1e-5)
    np.testing.assert_allclose(again["loss"], metrics["loss"], rtol=1e-6)
    assert int(whole.stats["calls"]) == 1
    assert int(parted.stats["calls"]) == 2
    with pytest.raises(ValueError, match="accumulate=3 does not divide the batch of 4"):
        run(parts=3)


def test_a_part_has_every_so_many_th_example_so_that_devices_keep_theirs():
    def watching(params, stats, images, *, train, key=None):
        del train, key
        return images @ params["kernel"], {
            "seen": jnp.roll(stats["seen"], -2, 0).at[2:].set(images)
        }

    rule = optax.sgd(0.0)
    params, stats = {"kernel": jnp.eye(2)}, {"seen": jnp.zeros((4, 1, 2))}
    batch = {"image": jnp.arange(8.0).reshape(4, 1, 2), "label": jnp.zeros((4, 1), jnp.int32)}
    step = make_train_step(watching, rule, accumulate=2)
    state, _ = step(init_state(params, stats, rule), batch)
    np.testing.assert_array_equal(state.stats["seen"], batch["image"][jnp.array([0, 2, 1, 3])])


def test_the_moving_average_is_its_recursion():
    states, _ = run(average=True, steps=4, decay=0.3)
    wanted = np.asarray(states[0].params["kernel"])
    for t, state in enumerate(states[1:]):
        share = min(0.3, (1 + t) / (10 + t))
        wanted = share * wanted + (1 - share) * np.asarray(state.params["kernel"])
        np.testing.assert_allclose(state.average[0]["kernel"], wanted, rtol=1e-5)


def test_augmentation_is_given_the_key_of_the_run():
    rule, seen = optax.sgd(0.1), []

    def transform(key, batch):
        seen.append(key)
        return {**batch, "image": batch["image"] * jax.random.uniform(key)}

    state = init_state(
        {"kernel": jnp.eye(2)}, {"calls": jnp.zeros(())}, rule, key=jax.random.key(3)
    )
    batch = {"image": jnp.ones((1, 2, 2)), "label": jnp.zeros((1, 2), jnp.int32)}
    _, found = make_train_step(linear, rule, transform=transform)(state, batch)
    scaled = {**batch, "image": batch["image"] * jax.random.uniform(jax.random.key(3))}
    _, wanted = make_train_step(linear, rule)(state, scaled)
    assert float(found["loss"]) == float(wanted["loss"])
    assert len(seen) == 1
