"""Ensembles over devices: each member does what it would do alone, on any number of devices."""

import os

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType, Mesh

from jaxseg import ops
from jaxseg.training import (
    ensemble,
    member_mesh,
    over_batch,
    over_members,
    pad_members,
    to_members,
    use_all_cores,
)
from jaxseg.training.sweep import Ensemble, Member, evaluate_members, train_members

CLASSES, STEPS = 3, 12


def mesh_of(count):
    return Mesh(np.array(jax.devices()[:count]), ("members",), axis_types=(AxisType.Auto,))


def init(key):
    return {"w": 0.5 * jax.random.normal(key, (2, CLASSES))}, {"seen": jnp.zeros(())}


def apply(params, stats, images, *, train):
    """Logits that grow with the cube, so that a high rate overflows."""
    h = (images.reshape(-1, 2) @ params["w"]).reshape(*images.shape[:-1], CLASSES)
    return h + 0.1 * h**3, {"seen": stats["seen"] + float(train)}


def draw(rng):
    x = rng.standard_normal((4, 3, 3, 2)).astype(np.float32)
    return {"image": x, "label": (x[..., 0] > 0).astype(np.int32) + (x[..., 1] > 1)}


def batches(seed):
    rng = np.random.default_rng(seed)
    while True:
        yield draw(rng)


def train(members, mesh, steps=STEPS):
    keys = jax.vmap(jax.random.key)(jnp.array([m.seed for m in members], jnp.uint32))
    return train_members(
        apply,
        jax.vmap(init)(keys),
        optax.sgd,
        members,
        batches,
        steps=steps,
        mesh=mesh,
        name="toy",
        progress=False,
    )


MEMBERS = [Member(0, 0.1), Member(0, 0.3), Member(1, 0.1), Member(2, 1e30), Member(3, 0.1)]


@pytest.fixture(scope="module")
def sweeps():
    return {count: train(MEMBERS, mesh_of(count)) for count in (1, 2)}


def test_a_member_that_diverges_ends_at_inf_and_the_others_go_on(sweeps):
    final = sweeps[2].final_losses()
    assert sweeps[2].losses.shape == (5, STEPS)
    assert np.isinf(final).tolist() == [False, False, False, True, False]
    # The first loss is from before any step.
    assert np.isfinite(sweeps[2].losses[3, 0])
    assert not np.isfinite(sweeps[2].losses[3, 2:]).any()
    others = np.delete(sweeps[2].losses, 3, axis=0)
    assert np.all(others[:, -1] < others[:, 0])
    # Kept at its last good parameters.
    assert np.isfinite(sweeps[2].params["w"][3]).all()


def test_members_of_one_seed_start_from_one_point(sweeps):
    losses = sweeps[2].losses
    assert losses[0, 0] == losses[1, 0]
    assert losses[0, 1] != losses[1, 1]
    assert len(set(losses[[0, 2, 3, 4], 0].tolist())) == 4


def test_the_number_of_devices_changes_nothing(sweeps):
    one, two = sweeps[1], sweeps[2]
    np.testing.assert_allclose(one.losses, two.losses, rtol=1e-5)
    np.testing.assert_allclose(one.params["w"], two.params["w"][:5], rtol=1e-4, atol=1e-6)
    assert two.params["w"].shape[0] == 6
    assert len(two.params["w"].sharding.device_set) == 2


def test_a_member_does_what_it_does_alone(sweeps):
    alone = train([MEMBERS[2]], mesh_of(1))
    np.testing.assert_allclose(alone.losses[0], sweeps[2].losses[2], rtol=1e-5)
    params, _ = init(jax.random.key(1))
    w, stream = params["w"], batches(1)
    for found in alone.losses[0]:
        data = next(stream)

        def loss(w, data=data):
            z, _ = apply({"w": w}, {"seen": 0.0}, jnp.array(data["image"]), train=True)
            return -jnp.mean(
                jnp.take_along_axis(jax.nn.log_softmax(z), jnp.array(data["label"])[..., None], -1)
            )

        value, gradient = jax.value_and_grad(loss)(w)
        assert float(value) == pytest.approx(found, rel=1e-4)
        w = w - 0.1 * gradient


def test_a_finite_loss_with_a_gradient_that_is_not_has_diverged_too():
    def rooted(params, stats, images, *, train):
        logits, _ = apply(params, {"seen": 0.0}, images, train=train)
        # The root's slope is infinite at 0, where its value is 0.
        return logits + jnp.sqrt(jnp.abs(0 * logits) + stats["safe"]), stats

    w = jnp.ones((2, 2, CLASSES))
    start = {"w": w}, {"safe": jnp.array([1.0, 0.0])}
    sweep = train_members(
        rooted,
        start,
        optax.sgd,
        [Member(0, 0.1)] * 2,
        batches,
        steps=3,
        mesh=mesh_of(2),
        name="toy",
        progress=False,
    )
    assert np.isinf(sweep.final_losses()).tolist() == [False, True]
    np.testing.assert_array_equal(sweep.params["w"][1], w[1])


def test_when_all_diverge_all_are_recorded(capsys):
    sweep = train([Member(0, 1e30), Member(1, 1e30)], member_mesh(4))
    assert np.isinf(sweep.final_losses()).all()
    printed = capsys.readouterr().out
    assert "toy: not finite any more at step" in printed
    assert "All 2 runs are recorded with a loss of inf" in printed


def test_final_losses_average_the_last_tenth():
    losses = np.stack([np.arange(40.0), np.where(np.arange(40) == 3, np.nan, 1.0)])
    sweep = Ensemble(None, None, losses, 0.0, 0.0)
    assert sweep.final_losses().tolist() == [37.5, np.inf]


def test_evaluation_equals_each_member_on_all_pixels(sweeps):
    rng = np.random.default_rng(9)
    full, last = draw(rng), draw(rng)
    # Two examples and two of padding, whose labels are ignored.
    last["label"][2:] = 255
    last["image"][2:] = 0
    confusion, shown = evaluate_members(
        apply, sweeps[2], [full, last], classes=CLASSES, mesh=mesh_of(2)
    )
    assert confusion.dtype == np.int64
    assert confusion.shape == (5, CLASSES, CLASSES)
    assert shown.shape == (5, 4, 3, 3)
    images = np.concatenate([full["image"], last["image"][:2]])
    labels = np.concatenate([full["label"], last["label"][:2]])
    for i in range(5):
        w = {"w": sweeps[2].params["w"][i]}
        predicted = np.argmax(apply(w, {"seen": 0.0}, jnp.array(images), train=False)[0], -1)
        expected = np.zeros((CLASSES, CLASSES), int)
        np.add.at(expected, (labels.ravel(), predicted.ravel()), 1)
        np.testing.assert_array_equal(confusion[i], expected)
        np.testing.assert_array_equal(shown[i], predicted[:4])
    with pytest.raises(ValueError, match=r"no batch to evaluate: give at least one"):
        evaluate_members(apply, sweeps[2], [], classes=CLASSES, mesh=mesh_of(2))


def shifted(batch):
    """The batch in 8 bits, as if it were read from files, and how to undo that."""
    image = np.clip(batch["image"] * 32 + 128, 0, 255).astype(np.uint8)
    return {"image": image, "label": batch["label"].astype(np.uint8)}


def unshifted(key, batch):
    assert key is None
    image = (batch["image"].astype(jnp.float32) - 128) / 32
    return {"image": image, "label": batch["label"].astype(jnp.int32)}


def test_a_transform_runs_before_the_net_in_training_and_in_evaluation():
    members, keys = [Member(0, 0.1), Member(1, 0.3)], jax.vmap(jax.random.key)(jnp.arange(2))

    def trained(prepare, transform):
        sweep = train_members(
            apply,
            jax.vmap(init)(keys),
            optax.sgd,
            members,
            lambda seed: map(prepare, batches(seed)),
            steps=4,
            mesh=mesh_of(2),
            name="toy",
            transform=transform,
            progress=False,
        )
        found = evaluate_members(
            apply,
            sweep,
            [prepare(draw(np.random.default_rng(9)))],
            classes=CLASSES,
            mesh=mesh_of(2),
            transform=transform,
        )
        return sweep.losses, *found

    on_device = trained(shifted, unshifted)
    before = trained(lambda batch: jax.device_get(unshifted(None, shifted(batch))), None)
    for a, b in zip(on_device, before, strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.ptp(on_device[0]) > 0.01


# --- ensemble ------------------------------------------------------------------------------------


def test_over_members_equals_a_loop():
    mesh = member_mesh(4)
    assert mesh.size == 2
    x, y = jnp.arange(12.0).reshape(4, 3), jnp.ones(3)
    fn = over_members(lambda x, y: {"dot": x @ y, "x": x}, mesh, in_axes=(0, None))
    found = fn(to_members(x, mesh), y)
    quick = over_members(jnp.dot, mesh, in_axes=(0, None), few_calls=True)
    np.testing.assert_allclose(quick(x, y), found["dot"])
    np.testing.assert_allclose(found["dot"], [float(row @ y) for row in x])
    np.testing.assert_array_equal(found["x"], x)
    assert len(found["dot"].sharding.device_set) == 2


def test_gradients_in_what_members_share_are_each_members_own():
    """In a shared image, and in zeros made inside: neither is summed over the devices."""
    mesh, scales = member_mesh(4), jnp.arange(1.0, 5.0)
    assert mesh.size == 2

    def gradients(scale, image):
        def loss(image, nudge):
            return jnp.sum(scale * (image + nudge))

        return jax.grad(loss, (0, 1))(image, jnp.zeros_like(image))

    for found in over_members(gradients, mesh, in_axes=(0, None))(scales, jnp.ones(3)):
        np.testing.assert_array_equal(found, np.repeat(np.arange(1.0, 5.0)[:, None], 3, axis=1))


def test_over_batch_is_the_gradient_of_the_whole_batch():
    mesh = member_mesh(2)
    assert mesh.size == 2
    draw = np.random.default_rng(0)
    params = {"kernel": jnp.asarray(draw.normal(size=(3, 3, 2, 4)), jnp.float32)}
    batch = {
        "image": jnp.asarray(draw.normal(size=(4, 6, 5, 2)), jnp.float32),
        "weight": jnp.asarray(draw.normal(size=4), jnp.float32),
    }

    def loss(params, batch):
        y = jnp.sin(ops.conv(batch["image"], params["kernel"], stride=2))
        return jnp.mean(batch["weight"] * y.mean((1, 2, 3)))

    shared = jax.jit(over_batch(loss, mesh))(params, to_members(batch, mesh))
    whole = jax.jit(jax.value_and_grad(loss))(params, batch)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7), shared, whole)
    assert np.abs(whole[1]["kernel"]).max() > 1e-3


def test_pad_members_repeats_the_last():
    assert pad_members([1, 2, 3], mesh_of(2)) == [1, 2, 3, 3]
    assert pad_members([1, 2], mesh_of(2)) == [1, 2]
    assert pad_members([1, 2, 3], mesh_of(1)) == [1, 2, 3]


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, None),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "150000 100000\n"}, 2),
        ({"cpu.max": "5000 100000\n"}, 1),
        ({"cpu.max": "nonsense"}, None),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "0\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "250000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
    ],
)
def test_a_container_limits_the_cores(tmp_path, files, cores):
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert ensemble.cpu_quota(tmp_path) == cores


@pytest.mark.parametrize(("quota", "devices"), [(None, 8), (3, 3), (16, 8)])
def test_use_all_cores_keeps_to_affinity_and_quota(monkeypatch, quota, devices):
    asked = {}
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(ensemble, "cpu_quota", lambda: quota)
    monkeypatch.setattr(ensemble.jax.config, "update", asked.__setitem__)
    use_all_cores()
    assert asked == {"jax_num_cpu_devices": devices}
    use_all_cores(5)
    assert asked == {"jax_num_cpu_devices": 5}


def test_use_all_cores_leaves_a_running_jax_alone():
    jax.devices()
    use_all_cores(7)
    assert len(jax.devices()) == 2
    with pytest.raises(ValueError, match="devices=-1 must not be negative: 0 means one a core"):
        use_all_cores(-1)


def test_what_is_watched_is_the_members_on_their_way():
    seen = {}
    sweep = train_members(
        apply,
        jax.vmap(init)(jax.vmap(jax.random.key)(jnp.arange(2))),
        optax.sgd,
        [Member(0, 0.1), Member(1, 0.1)],
        batches,
        steps=7,
        mesh=mesh_of(2),
        name="toy",
        progress=False,
        watch=lambda step, params, stats: seen.update({step: (params, stats)}),
        watch_every=3,
    )
    assert list(seen) == [3, 6]
    assert seen[6][1]["seen"].tolist() == [6, 6]
    shorter = train([Member(0, 0.1), Member(1, 0.1)], mesh_of(2), steps=3)
    np.testing.assert_allclose(seen[3][0]["w"], shorter.params["w"], rtol=1e-5)
    assert np.abs(sweep.params["w"] - seen[6][0]["w"]).max() > 0
