"""The loop keeps the history of every step, and says where a run diverged."""

import dataclasses
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxseg import progress
from jaxseg.training import Diverged, fit, init_state, loop, make_train_step

CLASSES, SHAPE = 3, (2, 4, 4, 2)


def apply(params, stats, images, *, train):
    """A linear classifier of pixels."""
    del train
    flat = images.reshape(-1, images.shape[-1])
    return (flat @ params["w"]).reshape(*images.shape[:-1], CLASSES), stats


def start(optimizer, seed=0):
    w = 0.1 * jax.random.normal(jax.random.key(seed), (SHAPE[-1], CLASSES))
    return init_state({"w": w}, {}, optimizer)


def batch(seed=0):
    x = np.random.default_rng(seed).standard_normal(SHAPE).astype(np.float32)
    label = np.where(x[..., 0] > 0.5, 2, np.where(x[..., 1] > 0, 1, 0))
    return {"image": jnp.array(x), "label": jnp.array(label, jnp.int32)}


def endless(bad_from=None):
    count = 0
    while True:
        data = batch(count)
        if bad_from is not None and count >= bad_from:
            data["image"] = data["image"] * jnp.nan
        count += 1
        yield data


def test_fit_keeps_the_history_of_every_step():
    optimizer = optax.sgd(0.5)
    step = jax.jit(make_train_step(apply, optimizer))
    state, history = fit(step, start(optimizer), endless(), 7, name="run", progress=False)
    assert {k: v.shape for k, v in history.items()} == dict.fromkeys(
        ("loss", "gradient_norm", "finite"), (7,)
    )
    assert int(state.step) == 7
    by_hand = start(optimizer)
    for _, data in zip(range(3), endless(), strict=False):
        by_hand, metrics = step(by_hand, data)
    assert history["loss"][2] == float(metrics["loss"])


@pytest.mark.parametrize("bad_from", [0, 4, 12])
def test_fit_says_which_run_diverged_where_and_what_to_try(bad_from):
    optimizer = optax.sgd(0.5)
    step = jax.jit(make_train_step(apply, optimizer))
    message = rf"my run: not finite any more at step {bad_from + 1} .*lower the learning rate, clip"
    with pytest.raises(Diverged, match=message):
        fit(step, start(optimizer), endless(bad_from), 25, name="my run", progress=False)


def test_fit_of_no_steps():
    state, history = fit(None, "state", endless(), 0, name="run", progress=False)
    assert (state, history) == ("state", {})


def test_an_ensemble_goes_on_without_the_member_that_diverged(capsys):
    optimizer = optax.sgd(0.5)
    step = jax.jit(jax.vmap(make_train_step(apply, optimizer), (0, None)))
    state = jax.tree.map(lambda a, b: jnp.stack([a, b]), *(start(optimizer, s) for s in (0, 1)))
    broken = {**state.params, "w": state.params["w"].at[0].set(jnp.nan)}
    state = dataclasses.replace(state, params=broken)
    state, history = fit(step, state, endless(), 11, name="pair", check_every=3)
    assert history["finite"].shape == (11, 2)
    assert not history["finite"][:, 0].any()
    assert history["finite"][:, 1].all()
    assert np.asarray(state.step).tolist() == [0, 11]
    assert "pair" in capsys.readouterr().err


class Bar:
    """Stands for tqdm's, and keeps what it was told."""

    made = None
    disable = True  # nothing has to be redrawn

    def __init__(self, **options):
        self.options, self.n = options, options["initial"]
        Bar.made = self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def set_postfix(self, *_, **__):
        pass

    def update(self, count):
        self.n += count


def test_going_on_takes_the_steps_that_are_left_and_shows_them_all(monkeypatch):
    monkeypatch.setattr(loop, "progress_bar", Bar)
    optimizer, seen = optax.sgd(0.5), []

    def watch(count, state, metrics):
        seen.append((count, int(state.step), metrics["loss"].tolist()))

    step = jax.jit(make_train_step(apply, optimizer))
    options = {"name": "run", "start": 3, "check_every": 3, "watch": watch}
    _, history = fit(step, start(optimizer), endless(), 11, **options)
    losses = history["loss"].tolist()
    assert len(losses) == 8
    # Looked at where check_every divides the count from step 0, and at the last step.
    assert seen == [(6, 3, losses[:3]), (9, 6, losses[3:6]), (11, 8, losses[6:])]
    assert (Bar.made.options["initial"], Bar.made.options["total"], Bar.made.n) == (3, 11, 11)


def test_the_loop_ends_when_the_one_who_watches_says_so():
    optimizer = optax.sgd(0.5)
    step = jax.jit(make_train_step(apply, optimizer))
    options = {"name": "run", "progress": False, "check_every": 2}
    state, history = fit(
        step, start(optimizer), endless(), 9, **options, watch=lambda count, *_: count == 4
    )
    assert int(state.step) == len(history["loss"]) == 4


def test_a_run_that_diverges_after_it_was_resumed_counts_from_its_beginning():
    optimizer = optax.sgd(0.5)
    step = jax.jit(make_train_step(apply, optimizer))
    with pytest.raises(Diverged, match="not finite any more at step 25 ") as raised:
        fit(step, start(optimizer), endless(4), 40, name="run", progress=False, start=20)
    assert len(raised.value.history["loss"]) == 10
    assert int(raised.value.state.step) == 4


def test_a_step_may_be_due_though_the_metrics_are_not():
    optimizer, seen = optax.sgd(0.5), []

    def watch(count, state, metrics):
        seen.append((count, len(metrics["loss"])))

    step = jax.jit(make_train_step(apply, optimizer))
    options = {"name": "run", "progress": False, "check_every": 4, "watch": watch}
    fit(step, start(optimizer), endless(), 9, due=lambda count: count % 3 == 0, **options)
    assert seen == [(3, 3), (4, 1), (6, 2), (8, 2), (9, 1)]


def test_the_device_runs_ahead_by_one_step():
    taken, waited = [], []

    def step(state, batch):
        taken.append(len(waited))
        return state, {"finite": np.ones(()), "loss": np.zeros(())}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop.jax, "block_until_ready", lambda value: waited.append(value))
        fit(step, "state", endless(), 5, name="run", progress=False, check_every=100)
    assert taken == [0, 0, 1, 2, 3]


def test_the_bar_shows_images_a_second(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_LINE_PERIOD", 0.0)
    optimizer = optax.sgd(0.5)
    step = jax.jit(make_train_step(apply, optimizer))
    options = {"name": "run", "check_every": 1, "batch_size": 2}
    slow = lambda *args: (time.sleep(0.15), step(*args))[1]  # noqa: E731
    fit(slow, start(optimizer), endless(), 4, **options)
    assert "images/s=" in capsys.readouterr().err
