"""A batch over two devices, by examples and by height, trains as on one."""

import jax
import numpy as np
import optax
import pytest
from jax.sharding import Mesh, PartitionSpec

from jaxseg import models, nn
from jaxseg.training import init_state, make_train_step
from jaxseg.training.devices import batch_mesh, batch_placer, join_processes, replicate


def test_two_devices_train_as_one():
    init, apply = nn.functional(
        lambda rngs: models.UNet(classes=3, inputs=1, widths=(4,), rngs=rngs)
    )
    rng = np.random.default_rng(0)
    batch = {
        "image": rng.normal(size=(2, 8, 6, 1)).astype(np.float32),
        "label": rng.integers(0, 3, (2, 8, 6)).astype(np.int32),
        "index": np.arange(2, dtype=np.uint32),
    }
    rule = optax.sgd(0.1, momentum=0.9)
    step = jax.jit(make_train_step(apply, rule))
    state = init_state(*jax.jit(init)(jax.random.key(0)), rule)
    one = Mesh(np.array(jax.devices()[:1]).reshape(1, 1), ("data", "space"))
    found = []
    for mesh in (one, batch_mesh(2), batch_mesh(2, space=2)):
        placed, put = replicate(state, mesh), batch_placer(mesh)
        losses = []
        for _ in range(3):
            placed, metrics = step(placed, put(batch))
            losses.append(float(metrics["loss"]))
        found.append(losses)
    assert put(batch)["image"].sharding.spec == PartitionSpec("data", "space")
    np.testing.assert_allclose(found[1], found[0], rtol=1e-5)
    np.testing.assert_allclose(found[2], found[0], rtol=1e-5)
    assert found[0][2] < found[0][0]


def test_numbers_that_do_not_share_out_are_refused():
    with pytest.raises(ValueError, match="space=3 must divide the 2 devices"):
        batch_mesh(4, space=3)
    with pytest.raises(ValueError, match="batch_size=3 does not share out among 2 groups"):
        batch_mesh(3)
    with pytest.raises(ValueError, match="images of height 5"):
        batch_placer(batch_mesh(1, space=2))({"image": np.zeros((1, 5, 4, 1), np.float32)})
    with pytest.raises(ValueError, match="process=2 must be at least 0 and below processes=2"):
        join_processes("127.0.0.1:1", 2, 2)
    with pytest.raises(ValueError, match="processes=2 need a coordinator"):
        join_processes(None, 2, 0)
    with pytest.raises(ValueError, match="leave out processes=2 and process=1"):
        join_processes("auto", 2, 1)


def test_without_a_cluster_there_is_nobody_to_join(monkeypatch):
    for name in ("SLURM_JOB_ID", "OMPI_MCA_orte_hnp_uri", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)

    def undetected(**options):
        raise ValueError("coordinator_address should be defined.")

    monkeypatch.setattr(jax.distributed, "initialize", undetected)
    with pytest.raises(ValueError, match="no cluster has started this process"):
        join_processes("auto", 1, 0)


def test_nothing_is_joined_alone():
    join_processes(None, 1, 0)
    assert jax.process_count() == 1
