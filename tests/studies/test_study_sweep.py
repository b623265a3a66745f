"""Arms × seeds × rates: what is trained, what it is measured by, and what is added later."""

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jaxseg import data, nn
from jaxseg.studies import Sweep, SweepConfig, Trained, draw_nets, easy_mosaic

RATES = (0.01, 0.1)


class Net(nnx.Module):
    """A net of one hidden layer, with statistics."""

    def __init__(self, features, *, classes, inputs, rngs):
        self.layer = nn.ConvNorm(inputs, features, 1, norm=nn.BatchNorm, rngs=rngs)
        self.head = nn.Conv(features, classes, 1, bias=True, rngs=rngs)

    def __call__(self, images, *, train=False):
        return self.head(self.layer(images, train=train))


@dataclass(frozen=True, kw_only=True)
class Config(SweepConfig):
    """A study of two arms."""

    arms: tuple[str, ...] = ("thin",)
    known_arms: ClassVar[tuple[str, ...]] = ("thin", "wide")


@dataclass
class Stage:
    """A sweep that has been run, and what its watch was called with."""

    sweep: Sweep
    trained: Trained
    watched: list


@pytest.fixture(scope="module", autouse=True)
def promotion():
    with jax.numpy_dtype_promotion("standard"):  # optax mixes floats and integers
        yield


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> data.Dataset:
    # The second validation batch is not full.
    return easy_mosaic(8, train=12, validation=20, test=4, data_dir=tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    out = tmp_path_factory.mktemp("sweep")
    return Config(out=out, seeds=2, learning_rates=RATES, steps=4, batch_size=2)


def run(config, dataset, *, save=True):
    sweep, watched = Sweep(config, dataset, extra={"features": int}), []

    def watch(step, params, stats):
        kernels = np.asarray(params["head"]["kernel"][...])
        watched.append((step, kernels, len(jax.tree.leaves(stats)[0])))

    trained = sweep.train(partial(Net, 3), watch=watch, watch_every=2, arm="thin")
    trained.record("numbers", np.arange(len(trained.fresh)))
    if save:
        trained.save(features=3)
    return Stage(sweep, trained, watched)


@pytest.fixture(scope="module")
def first(config, dataset):
    return run(config, dataset)


@pytest.fixture(scope="module")
def grown(config, dataset, first):
    """The same with a further seed and a further rate."""
    more = replace(config, resume=True, seeds=3, learning_rates=(*RATES, 0.05))
    return run(more, dataset)


def runs(rows):
    return [(row["seed"], row["learning_rate"]) for row in rows]


def test_every_seed_is_trained_at_every_rate(first):
    rows = first.trained.rows
    assert runs(rows) == [(0, 0.01), (0, 0.1), (1, 0.01), (1, 0.1)]
    assert [tuple(member) for member in first.trained.fresh] == runs(rows)
    channels, classes = first.sweep.dataset.info.channels, first.sweep.dataset.info.classes
    # Kernel, scale and shift; kernel and bias.
    parameters = 3 * channels + 2 * 3 + 3 * classes + classes
    assert {row["parameters"] for row in rows} == {parameters}
    assert all(0 < row["train_loss"] < 10 for row in rows)
    assert len({row["train_loss"] for row in rows}) == 4
    columns = ["arm", *("seed", "learning_rate", "train_loss"), *("pixel_accuracy", "mean_iou")]
    assert [*first.sweep.results.columns] == [
        *columns,
        *("parameters", "compile_seconds", "step_milliseconds", "features"),
    ]
    assert {row["features"] for row in first.sweep.results.rows} == {3}


def test_what_is_trained_is_not_trained_again(config, dataset, first):
    sweep = Sweep(replace(config, resume=True), dataset, extra={"features": int})
    assert sweep.train(partial(Net, 3), arm="thin") is None
    assert sweep.results.rows == first.sweep.results.rows


def test_scores_are_those_of_the_kept_nets_over_all_validation_images(first, dataset):
    """Counted here anew, one net and one image at a time."""
    source = dataset.source("validation")
    examples = [dataset.info.normalize_batch(source[n]) for n in range(len(source))]
    params, stats = first.trained.nets
    apply = jax.jit(first.trained.apply)
    for number, row in enumerate(first.trained.rows):
        own = jax.tree.map(lambda a, n=number: a[n], (params, stats))
        right, counts = [], np.zeros((3, dataset.info.classes), int)
        for example in examples:
            predicted = np.argmax(np.asarray(apply(*own, example["image"][None])[0][0]), axis=-1)
            label = np.asarray(example["label"])
            right.append(predicted == label)
            for kind in range(dataset.info.classes):
                both = (predicted == kind) & (label == kind), predicted == kind, label == kind
                counts[:, kind] += [int(mask.sum()) for mask in both]
        assert row["pixel_accuracy"] == pytest.approx(np.mean(right))
        joint, of_net, of_label = counts
        ious = joint / (of_net + of_label - joint)
        assert row["mean_iou"] == pytest.approx(np.mean(ious[of_label + of_net > 0]))


def test_predictions_are_those_of_the_first_validation_images(first):
    trained = first.trained
    images = first.sweep.validation_batch()["image"]
    own = jax.tree.map(lambda a: a[2], trained.nets)
    expected = jnp.argmax(trained.apply(*own, images)[0], axis=-1)
    np.testing.assert_array_equal(trained.predictions[2], expected)


def test_seeds_start_from_their_own_keys(first):
    for seed in (0, 1):
        params, stats = first.trained.init(jax.random.key(seed))
        start = jax.tree.map(lambda a, n=seed: a[n], first.trained.start)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-6), start, (params, stats))


def test_nets_are_watched_from_before_the_first_step_to_the_last(first):
    assert [step for step, *_ in first.watched] == [0, 2, 4]
    start, nets = (
        tree[0]["head"]["kernel"][...] for tree in (first.trained.start, first.trained.nets)
    )
    np.testing.assert_array_equal(first.watched[0][1], start[[0, 0, 1, 1]])
    np.testing.assert_array_equal(first.watched[-1][1], nets)
    assert {count for *_, count in first.watched} == {4}


def test_seeds_and_rates_are_added_behind_the_others(first, grown):
    old = first.trained.rows
    assert runs(grown.trained.rows[:4]) == runs(old)
    new = [(0, 0.05), (1, 0.05), (2, 0.01), (2, 0.1), (2, 0.05)]
    assert runs(grown.trained.rows[4:]) == new
    assert [tuple(member) for member in grown.trained.fresh] == new
    assert grown.sweep.results.rows[:4] == first.sweep.results.rows
    for before, after in zip(
        *(jax.tree.leaves(stage.trained.nets) for stage in (first, grown)), strict=True
    ):
        assert len(after) == 9
        np.testing.assert_array_equal(before, after[:4])
    assert len(jax.tree.leaves(grown.trained.start)[0]) == 3


def test_what_is_recorded_belongs_to_the_runs(grown):
    members = grown.sweep.members(arm="thin")
    order = [*reversed(grown.trained.rows)]
    assert members.pick(order, "numbers").tolist() == [4, 3, 2, 1, 0, 3, 2, 1, 0]
    losses = members.pick(grown.trained.rows)
    assert losses.shape == (9, 4)
    # The last tenth of four steps is one of them.
    assert losses[:, -1].tolist() == [row["train_loss"] for row in grown.trained.rows]


def test_fewer_seeds_than_were_trained_are_no_loss(config, dataset, grown):
    fewer = replace(config, resume=True, seeds=1, learning_rates=(*RATES, 0.02))
    trained = run(fewer, dataset, save=False).trained
    assert runs(trained.rows[-1:]) == [(0, 0.02)]
    assert len(trained.rows) == 10
    assert len(jax.tree.leaves(trained.start)[0]) == 3


def test_runs_that_diverge_are_recorded_as_lost(dataset, tmp_path):
    config = Config(
        out=tmp_path, seeds=1, learning_rates=(1e30,), steps=30, batch_size=2, clip=float("inf")
    )
    sweep = Sweep(config, dataset, rule=optax.sgd)
    trained = sweep.train(partial(Net, 3), arm="thin")
    trained.save()
    assert sweep.results.rows[0]["train_loss"] == np.inf
    losses = sweep.members(arm="thin").pick(sweep.results.rows)
    assert losses.shape == (1, 30)
    assert np.isnan(losses[0, -1])


def test_each_seed_has_its_own_batches(config, dataset):
    sweep = Sweep(replace(config, batch_size=3), dataset)
    first = [next(sweep.batches(seed))["image"] for seed in (0, 0, 1)]
    assert first[0].shape == (3, 8, 8, dataset.info.channels)
    assert first[0].dtype == np.uint8
    np.testing.assert_array_equal(first[0], first[1])
    assert (first[0] != first[2]).any()
    batch = sweep.training_batch()
    np.testing.assert_array_equal(
        batch["image"], dataset.info.normalize_batch(next(sweep.batches(0)))["image"]
    )
    assert batch["image"].dtype == jnp.float32


def test_validation_images_come_in_their_order(config, dataset):
    batch = Sweep(config, dataset).validation_batch(5)
    source = dataset.source("validation")
    expected = [dataset.info.normalize_batch(source[n])["image"] for n in range(5)]
    np.testing.assert_array_equal(batch["image"], np.stack(expected))


def test_rates_stay_for_half_of_the_steps_and_fall_to_nothing(config, dataset):
    sweep = Sweep(replace(config, steps=8, clip=2.0), dataset, rule=optax.sgd)
    optimizer = sweep.optimizer(0.5)
    gradient = jnp.array([3.0, 4.0])  # of norm 5, which is clipped to 2
    state, sizes = optimizer.init(gradient), []
    for _ in range(9):
        update, state = optimizer.update(gradient, state)
        np.testing.assert_allclose(4 * update[0], 3 * update[1], rtol=1e-6)
        sizes.append(float(jnp.linalg.norm(update)))
    np.testing.assert_allclose(sizes, [1, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0], atol=1e-6)


def test_arrays_of_an_arm_are_kept(config, dataset):
    sweep = Sweep(config, dataset, names={"arm": str, "depth": int})
    for stage in ("before", "after"):
        sweep.write_array("logits", np.full(3, len(stage)), arm="no skips/1", depth=8, stage=stage)
    assert sweep.read_array("logits", arm="no skips/1", depth=8, stage="before").tolist() == [6] * 3
    assert (config.out / "arrays" / "no_skips_1-8-after-logits.npy").is_file()
    assert sweep.members(arm="no skips/1", depth=8).path.name == "no_skips_1-8.npz"
    with pytest.raises(ValueError, match="energy"):
        sweep.read_array("energy", arm="plain", depth=8)


def test_nets_are_drawn_from_the_keys_of_their_seeds():
    """An odd number on two devices."""

    def init(key):
        return {"w": jax.random.normal(key, (2,))}, jnp.zeros(())

    params, stats = draw_nets(init, 3)
    expected = [jax.random.normal(jax.random.key(seed), (2,)) for seed in range(3)]
    np.testing.assert_allclose(params["w"], np.stack(expected), rtol=1e-6)
    assert stats.shape == (3,)
