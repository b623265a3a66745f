"""Nets are taken apart into paths and blocks without loss; theory has its limits."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.paths.claims import mean_length
from experiments.paths.config import ARMS
from experiments.paths.probes import lesion_probe, lesions, path_probe, sampled_lengths, theory
from experiments.paths.study import shares
from jaxseg import analysis, nn
from jaxseg.losses import mean_cross_entropy
from jaxseg.models import DeepNet


def net(arm, blocks=3):
    """Return a small net's `make`, parameters, statistics and a batch."""

    def make(rngs):
        return DeepNet(classes=3, inputs=1, features=3, blocks=blocks, rngs=rngs, **ARMS[arm])

    init, apply = nn.functional(make)
    params, stats = jax.jit(init)(jax.random.key(0))
    image = jax.random.normal(jax.random.key(1), (2, 6, 6, 1))
    label = jax.random.randint(jax.random.key(2), (2, 6, 6), 0, 3)
    return make, apply, params, stats, {"image": image, "label": label.at[0, 0].set(255)}


@pytest.mark.parametrize("arm", ["residual", "residual_norm"])
def test_all_paths_sum_to_the_gradient_of_the_whole_net(arm):
    make, _, params, stats, batch = net(arm)
    probe = jax.jit(path_probe(make, lengths=np.array([0, 2, 3]), samples=4))
    gradients = [probe(params, stats, jax.random.key(seed), batch) for seed in (3, 3, 4)]
    gradient = gradients[0]
    assert float(gradient.distance) < 1e-5
    assert gradient.parts.shape == (4,)
    assert gradient.singles.shape == (3, 4)
    # Only one path has no branch, and only one has all.
    for place, length in ((0, 0), (2, 3)):
        single, part = gradient.singles[place], gradient.parts[length]
        np.testing.assert_allclose(single, np.full(4, part), rtol=1e-5)
    # The others are drawn by the key.
    drawn = [np.asarray(g.singles[1]) for g in gradients]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()


def test_lengths_are_denser_among_the_short_ones():
    lengths = sampled_lengths(54, 12)
    assert (lengths[0], lengths[-1], len(lengths)) == (0, 54, 12)
    assert (np.diff(lengths, 2) >= -1).all()
    assert np.diff(lengths)[0] == 1 < np.diff(lengths)[-1]
    assert sampled_lengths(2, 12).tolist() == [0, 1, 2]


def test_lesions_are_what_they_are_called():
    made = list(lesions(9, 3))
    for kind, number, order, kept in made:
        if kind == "shuffle":
            assert kept.all()
            assert np.sum(order != np.arange(9)) == number
            assert sorted(order) == list(range(9))
        else:
            np.testing.assert_array_equal(order, np.arange(9))
            removed = {"whole": 0, "block": 1, "delete": number}[kind]
            assert np.sum(~kept) == removed
            assert kind != "block" or not kept[number]
    counts = {kind: sum(m.kind == kind for m in made) for kind in ("whole", "block")}
    assert counts == {"whole": 1, "block": 9}
    assert [m.number for m in made if m.kind == "delete"] == [1] * 3 + [2] * 3 + [4] * 3 + [8] * 3
    assert {m.number for m in made if m.kind == "shuffle"} == {2, 4, 8}


@pytest.mark.parametrize("arm", ["residual_norm", "plain"])
def test_lesions_leave_the_other_blocks_as_they_were(arm):
    make, apply, params, stats, batch = net(arm)
    keys = iter(jax.random.split(jax.random.key(4), 99))
    stats = jax.tree.map(lambda a: a + jax.random.uniform(next(keys), a.shape), stats)
    orders = np.array([[0, 1, 2], [2, 0, 1], [0, 1, 2], [0, 1, 2]])
    kept = np.array([[1, 1, 1], [1, 1, 1], [1, 0, 1], [0, 1, 1]], bool)
    probe = jax.jit(lesion_probe(make))
    losses, accuracies = probe(params, stats, batch, orders, kept)
    labeled = batch["label"] != 255
    for number, order in enumerate(orders[:2]):
        state = [_with_blocks(s, lambda a, order=order: a[order]) for s in (params, stats)]
        logits, _ = apply(*state, batch["image"])
        loss = mean_cross_entropy(logits, batch["label"])
        np.testing.assert_allclose(losses[number], loss, rtol=1e-5)
        correct = (jnp.argmax(logits, -1) == batch["label"])[labeled]
        np.testing.assert_allclose(accuracies[number], np.mean(correct), rtol=1e-6)
    assert len({*np.round(np.asarray(losses), 6).tolist()}) == 4
    if arm == "residual_norm":
        # A branch of zeros adds nothing: without its block the net is the same.
        zero = _with_blocks(params, lambda a: a.at[1].set(0))
        losses, _ = probe(zero, stats, batch, orders, kept)
        np.testing.assert_allclose(losses[2], losses[0], rtol=1e-6)
        assert abs(float(losses[3] - losses[0])) > 1e-4


def _with_blocks(state, change):
    """Copy a net's parameters or statistics, and change the arrays of its blocks."""
    state = jax.tree.map(lambda a: a, state)
    if "stack" in state:
        state["stack"]["blocks"] = jax.tree.map(change, state["stack"]["blocks"])
    return state


def test_unscaled_branches_follow_the_binomial_law():
    """But for the border, which takes the less the larger the image is."""
    squares, norms = theory({"residual": True, "branch_scale": 1.0}, 54, 2000)
    law = np.exp(analysis.log_path_counts(54) - 54 * math.log(2))
    np.testing.assert_allclose(shares(squares[None])[0], law, atol=2e-3)
    np.testing.assert_allclose(norms, squares, atol=0.02)


def test_scaled_branches_follow_about_a_poisson_law():
    """Of mean 1 in the squares; of mean sqrt(L) / (1 + 1 / sqrt(L)) in the norms."""
    logs = theory({"residual": True}, 100, 2000)
    lengths = [mean_length(shares(rows[None]))[0] for rows in logs]
    np.testing.assert_allclose(lengths, [100 / 101, 100 / 11], rtol=1e-2)


def test_batch_norm_takes_fewer_branches_the_later_they_stand():
    squares, norms = theory({"residual": True, "norm": "batch", "branch_scale": 1.0}, 54, 16)
    gains = 1.46694 / (1 + np.arange(54) / 1.46694)
    mean = mean_length(shares(squares[None]))[0]
    np.testing.assert_allclose(mean, np.sum(gains / (1 + gains)), rtol=1e-4)
    assert mean_length(shares(norms[None]))[0] > mean


def test_a_small_image_loses_some_at_its_border():
    small, large = (theory({"residual": True}, 10, side)[0] for side in (4, 64))
    assert small[0] == pytest.approx(large[0])
    assert (np.diff(large - small) > 0).all()
