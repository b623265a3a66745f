"""What is restored is what was saved, to the bit, or is refused by the name of the damaged file."""

import errno
import os
from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from orbax.checkpoint import v1 as ocp

from jaxseg.training.checkpoint import Checkpoints, Restored, manifest
from jaxseg.training.state import init_state, make_train_step


def tiny(value):
    return {"w": jnp.full(3, value, jnp.float32)}


@cache
def trained(seed):
    """A train state after two steps: the optimizer's moments and the average are not zero."""
    graph, params = nnx.split(nnx.Linear(3, 2, rngs=nnx.Rngs(seed)))
    optimizer = optax.adamw(1e-3)

    def apply(params, stats, images, *, train, key):
        del train, key
        return nnx.merge(graph, params, copy=True)(images), {"mean": stats["mean"] + 1}

    stats = {"mean": jnp.float32(seed)}
    state = init_state(params, stats, optimizer, key=jax.random.key(seed), average=True)
    images = jax.random.normal(jax.random.key(seed), (4, 3))
    with jax.numpy_dtype_promotion("standard"):  # optax mixes floats and integers
        step = jax.jit(make_train_step(apply, optimizer))
        for _ in range(2):
            state, _ = step(state, {"image": images, "label": jnp.array([0, 1, 0, 1])})
    return state


def full_state(seed=0):
    """One leaf of every kind that a training run has."""
    draw = np.random.default_rng(seed)
    return {
        "train": trained(seed),
        "key": jax.random.split(jax.random.key(seed), 2),
        "other key": jax.random.key(seed, impl="rbg"),
        "half": jnp.asarray(draw.normal(size=(3, 2)), jnp.bfloat16),
        "numpy": draw.normal(size=4),
        "numpy half": draw.normal(size=2).astype(jnp.bfloat16),
        "int": 2**40 + seed,
        "float": 0.1 + seed,
        "bool": seed == 0,
        "number": np.float32(seed),
        "empty": jnp.zeros((0, 3)),
        "odd": jnp.array([jnp.nan, -0.0, jnp.inf, 1e-45], jnp.float32),
        "nested": (None, [jnp.int8(seed)]),
    }


def bits(leaf):
    """Type, dtype, shape and bytes."""
    is_jax = isinstance(leaf, jax.Array)
    if is_jax and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return str(leaf.dtype), bits(jax.random.key_data(leaf))
    array = np.asarray(leaf)
    return jax.Array if is_jax else type(leaf), array.dtype, array.shape, array.tobytes()


def assert_same(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert bits(a) == bits(b)


def flip(path, where=0.5):
    content = bytearray(path.read_bytes())
    content[int(len(content) * where)] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("data", [{"next_index": 7, "more": [{"a": None}]}, b"\x00\xff", None, {}])
def test_round_trip_to_the_bit(tmp_path, data):
    with Checkpoints(tmp_path / "run") as checkpoints:
        checkpoints.save(3, full_state(), data, metrics={"loss": 0.5})
    with Checkpoints(tmp_path / "run") as checkpoints:
        step, state, position = checkpoints.restore(full_state(seed=1))
    assert step == 3
    assert_same(state, full_state())
    moments = jax.tree.leaves(state["train"].opt_state)
    assert all(np.asarray(moment).any() for moment in moments)  # else this has tested little
    assert position == data
    assert type(position) is type(data)
    assert not state["half"].committed  # as free to move as what it was to be like


def test_restored_by_shapes_alone_and_read_by_orbax_alone(tmp_path):
    state = {"w": jnp.arange(3.0), "key": jax.random.key(5, impl="rbg")}
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(0, state, wait=True)
        assert_same(checkpoints.restore(jax.eval_shape(lambda: state)).state, state)
    plain = {"w": np.zeros(3, np.float32), "key": np.zeros(4, np.uint32)}
    loaded = ocp.load(tmp_path / "step-00000000", plain)
    np.testing.assert_array_equal(loaded["w"], state["w"])
    np.testing.assert_array_equal(loaded["key"], jax.random.key_data(state["key"]))


def test_shardings_are_those_of_like(tmp_path):
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,))
    split, whole = (NamedSharding(mesh, PartitionSpec(*p)) for p in (("data",), ()))
    x, key = jnp.arange(8.0).reshape(4, 2), jax.random.split(jax.random.key(0), 4)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(0, jax.device_put({"x": x, "key": key}, split), wait=True)
        for like in (
            jax.device_put({"x": x * 0, "key": key}, whole),
            jax.device_put({"x": x * 0, "key": key}, split),
            {"x": x, "key": key},
            {"x": jax.ShapeDtypeStruct((4, 2), jnp.float32, sharding=split), "key": key},
        ):
            state = checkpoints.restore(like).state
            assert_same(state, {"x": x, "key": key})
            for name, leaf in like.items():
                assert state[name].sharding.is_equivalent_to(leaf.sharding, leaf.ndim)


def test_what_is_saved_is_copied_before_save_returns(tmp_path):
    """The next step takes over the buffers of the state it is given."""
    advance = jax.jit(lambda x: x + 1, donate_argnums=0)
    x, y = jnp.zeros(500_000), np.zeros(10)
    with Checkpoints(tmp_path, keep=5) as checkpoints:
        for step in range(5):
            checkpoints.save(step, {"x": x, "y": y})
            x = advance(x)
            y += 1
        for step in range(5):
            state = checkpoints.restore({"x": jnp.zeros(500_000), "y": y}, step).state
            assert np.all(np.asarray(state["x"]) == step)
            assert np.all(state["y"] == step)


def test_a_flipped_byte_in_any_file_is_refused_by_name(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        for step in (10, 20):
            checkpoints.save(step, {"w": jnp.arange(64.0) + step}, {"next_index": step})
    newest = tmp_path / "step-00000020"
    files = [p for p in sorted(newest.rglob("*")) if p.is_file() and p.stat().st_size]
    assert {"manifest.json", "data-0.json", "_METADATA"} <= {p.name for p in files}
    with Checkpoints(tmp_path) as checkpoints:
        restore = partial(checkpoints.restore, {"w": jnp.zeros(64)})
        for path in files:
            saved = path.read_bytes()
            for where in (0, 0.2, 0.5, 0.8):
                flip(path, where)
                with pytest.raises(
                    ValueError, match=rf"{path} .*step 20.* before it is of step 10"
                ):
                    restore()
                path.write_bytes(saved)
            path.write_bytes(saved[:-1])
            with pytest.raises(ValueError, match=f"{path} .*step 20 is damaged"):
                restore()
            path.unlink()
            if path.name == "manifest.json":
                assert checkpoints.steps() == [10]
            else:
                with pytest.raises(ValueError, match=f"{path} is missing: .*step 20 is damaged"):
                    restore()
            path.write_bytes(saved)
        assert restore().step == 20
        assert restore(10).iterator_state == {"next_index": 10}
        flip(tmp_path / "step-00000010" / "state" / "_METADATA")
        with pytest.raises(ValueError, match=r"_METADATA .*step 10 is damaged, and there is no ea"):
            restore(10)


def test_a_manifest_of_another_version_is_refused(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, tiny(1), wait=True)
        folder = tmp_path / "step-00000001"
        manifest.write_manifest(folder, replace(manifest.read_manifest(folder), version=2))
        with pytest.raises(ValueError, match="is of version 2, where this program reads 1"):
            checkpoints.restore(tiny(0))


def test_going_on_from_before_a_damaged_checkpoint(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        for step in (10, 20):
            checkpoints.save(step, tiny(step))
        with pytest.raises(ValueError, match=r"step=15 must be later .*, 20: .*discard_after\(14"):
            checkpoints.save(15, tiny(0))
        with pytest.raises(ValueError, match="step=20 must be later"):
            checkpoints.save(20, tiny(0))
        flip(tmp_path / "step-00000020" / "state" / "_METADATA")
        checkpoints.discard_after(10)
        assert checkpoints.steps() == [10]
        checkpoints.save(20, tiny(21), wait=True)
        assert_same(checkpoints.restore(tiny(0)), Restored(20, tiny(21), None))


def test_leftovers_are_swept_and_foreign_files_are_not(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, tiny(1), {"next_index": 1})
        checkpoints.save(2, tiny(2))
    (tmp_path / "step-00000002" / "manifest.json").unlink()
    (tmp_path / "step-00000003.orbax-checkpoint-tmp" / "state").mkdir(parents=True)
    (tmp_path / "step-00000003.data-0.json").write_text("{}")
    (tmp_path / ".step-00000003.data-0.json.x1").write_text("{}")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "step-00000006").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "step-00000007.data-0.json").symlink_to(tmp_path / "elsewhere")
    foreign = ["notes.txt", "step-4/x", "7/x", "step-00000005.png", "other.orbax-checkpoint-tmp/x"]
    for name in foreign:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")

    before = sorted(tmp_path.rglob("*"))
    looker = Checkpoints(tmp_path, read_only=True)
    assert looker.steps() == [1]
    assert looker.restore(tiny(0)).step == 1
    with pytest.raises(ValueError, match="read_only"):
        looker.save(2, tiny(2))
    assert sorted(tmp_path.rglob("*")) == before

    assert Checkpoints(tmp_path).latest() == 1
    left = {p.relative_to(tmp_path).as_posix() for p in tmp_path.iterdir()}
    links = {"elsewhere", "step-00000006", "step-00000007.data-0.json"}
    assert left == {"step-00000001", *links, *(name.split("/")[0] for name in foreign)}
    assert all((tmp_path / name).read_text() == "mine" for name in foreign)


def test_the_newest_and_the_best_are_kept(tmp_path):
    scores = {1: 0.1, 2: 0.9, 3: float("nan"), 4: 0.5, 5: 0.2, 6: 0.3}
    options = {"keep": 2, "keep_best": 2, "metric": "miou"}
    with Checkpoints(tmp_path, **options) as checkpoints:
        for step, score in scores.items():
            checkpoints.save(step, tiny(step), metrics={"miou": score, "loss": 1})
        checkpoints.wait()
        assert checkpoints.steps() == [2, 4, 5, 6]
        assert checkpoints.best() == 2
        assert_same(checkpoints.restore(tiny(0), 2).state, tiny(2))
        with pytest.raises(ValueError, match=r"\['loss'\] lack 'miou'"):
            checkpoints.save(7, tiny(7), metrics={"loss": 1.0})
    lowest = Checkpoints(tmp_path, keep=1, keep_best=1, metric="miou", best="min")
    assert lowest.best() == 5
    with lowest:
        lowest.save(8, tiny(8), metrics={"miou": 1.0})
    assert lowest.steps() == [5, 8]


def test_metrics_may_come_later(tmp_path):
    with Checkpoints(tmp_path, keep=3, keep_best=1, metric="miou") as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(step, tiny(step))
        assert checkpoints.best() is None  # without a value, none is ranked
        checkpoints.record(2, {"miou": 0.5})
        checkpoints.record(1, {"miou": 0.4})
        assert checkpoints.best() == 2
        assert_same(checkpoints.restore(tiny(0), 2).state, tiny(2))
        with pytest.raises(ValueError, match=r"\['loss'\] lack 'miou'"):
            checkpoints.record(3, {"loss": 1.0})
        with pytest.raises(ValueError, match=r"no checkpoint of step=7, only \[1, 2, 3\]"):
            checkpoints.record(7, {"miou": 1.0})
    reader = Checkpoints(tmp_path, metric="miou", read_only=True)
    assert reader.best() == 2
    with pytest.raises(ValueError, match="read_only"):
        reader.record(1, {"miou": 1.0})


@pytest.mark.parametrize("name", ["write_text", "write_manifest"])
def test_a_full_disk_leaves_the_checkpoints_before_it(tmp_path, monkeypatch, name):
    def full(*args, **options):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, tiny(1), {"next": 1}, wait=True)
        monkeypatch.setattr(f"jaxseg.training.checkpoint.checkpoints.{name}", full)
        with pytest.raises(OSError, match=r"step 2 cannot be written.*steps \[1\] are whole"):
            checkpoints.save(2, tiny(2), {"next": 2}, wait=True)
        monkeypatch.undo()
        assert checkpoints.steps() == [1]
        checkpoints.save(2, tiny(2), {"next": 2}, wait=True)
        assert checkpoints.steps() == [1, 2]


def test_of_equal_checkpoints_the_later_is_the_better(tmp_path):
    for best in ("max", "min"):
        folder = tmp_path / best
        options = {"keep": 1, "keep_best": 1, "metric": "miou", "best": best}
        with Checkpoints(folder, **options) as checkpoints:
            for step in (1, 2, 3):
                checkpoints.save(step, tiny(step), metrics={"miou": 0.5 if step < 3 else 0.4})
            checkpoints.wait()
            assert checkpoints.best() == (2 if best == "max" else 3)
            assert checkpoints.steps() == ([2, 3] if best == "max" else [3])


def test_a_removal_cut_short_leaves_no_half_checkpoint(tmp_path, monkeypatch):
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(1, tiny(1), wait=True)
        with monkeypatch.context() as patch:
            patch.setattr("shutil.rmtree", lambda path: (_ for _ in ()).throw(OSError("cut short")))
            checkpoints.save(2, tiny(2))
            with pytest.raises(OSError, match="cut short") as raised:
                checkpoints.wait()
        assert "step-00000002" in raised.value.__notes__[0]
        assert (tmp_path / "step-00000001").exists()
        assert checkpoints.steps() == [2]
    assert Checkpoints(tmp_path).steps() == [2]
    assert not (tmp_path / "step-00000001").exists()


def test_an_error_in_the_background_is_raised_by_the_next_call(tmp_path, monkeypatch):
    def fail(folder):
        raise OSError("disk full")

    with Checkpoints(tmp_path) as checkpoints:
        with monkeypatch.context() as patch:
            patch.setattr("jaxseg.training.checkpoint.checkpoints.file_digests", fail)
            checkpoints.save(1, tiny(1), {"next_index": 1})
            with pytest.raises(OSError, match="disk full"):
                checkpoints.save(2, tiny(2))
        assert checkpoints.steps() == []
        assert list(tmp_path.iterdir()) == []
        checkpoints.save(1, tiny(1), {"next_index": 1})  # it can be tried again
        assert checkpoints.restore(tiny(0)).iterator_state == {"next_index": 1}

    def diverge():
        with Checkpoints(tmp_path) as checkpoints:
            monkeypatch.setattr("jaxseg.training.checkpoint.checkpoints.file_digests", fail)
            checkpoints.save(2, tiny(2))
            raise RuntimeError("diverged")

    with pytest.raises(RuntimeError, match="diverged") as raised:
        diverge()
    assert "disk full" in raised.value.__notes__[0]


@pytest.mark.parametrize(
    ("like", "message"),
    [
        ({"w": jnp.zeros(4)}, r"w is float32\[3\] there, float32\[4\] now"),
        ({"w": jnp.zeros(3, jnp.bfloat16)}, r"w is float32\[3\] there, bfloat16\[3\] now"),
        ({"w": jnp.zeros(3), "b": 0}, r"b is absent there, int64\[\] now"),
        ({"v": jnp.zeros(3)}, r"v is absent there, .*; w is float32\[3\] there, absent now"),
        (
            {"w": jnp.zeros(3), "a": 0, "b": 0, "c": 0, "d": 0},
            r"a is absent there, .*; c is absent there, int64\[\] now; and 1 more\)",
        ),
        ({"w": jax.random.key(0)}, r"w is float32\[3\] there, key<fry>\[\] now"),
    ],
)
def test_another_state_is_refused(tmp_path, like, message):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(1, tiny(1), wait=True)
        with pytest.raises(ValueError, match=message):
            checkpoints.restore(like)


def test_bad_arguments(tmp_path):
    for options, message in [
        ({"keep": 0}, "keep=0"),
        ({"keep_best": 1}, "keep_best=1 and metric=None go together"),
        ({"best": "least"}, "best='least'"),
    ]:
        with pytest.raises(ValueError, match=message):
            Checkpoints(tmp_path, **options)
    checkpoints = Checkpoints(tmp_path)
    with pytest.raises(ValueError, match="no complete checkpoint"):
        checkpoints.restore(tiny(0))
    for state, data, message in [
        ({}, None, "no leaves"),
        ({"w": jnp.zeros(0)}, None, "no elements"),
        ({"name": "resnet"}, None, "name of the state is of type <U6"),
        ({"n": 2**70}, None, "n of the state is of type object"),
        ({"a": {"b": 1}, "a.b": 2}, None, "both called 'a.b'"),
        (tiny(0), {"index": (1, 2)}, "does not come back from JSON"),
        (tiny(0), {1: 2}, "does not come back"),
        (tiny(0), {"index": np.int64(1)}, "no JSON value"),
    ]:
        with pytest.raises(ValueError, match=message):
            checkpoints.save(0, state, data)
    with pytest.raises(ValueError, match="step=-1"):
        checkpoints.save(-1, tiny(0))
    checkpoints.save(0, tiny(0), wait=True)
    with pytest.raises(ValueError, match=r"no checkpoint of step 5, only \[0\]"):
        checkpoints.restore(tiny(0), 5)
    checkpoints.close()
