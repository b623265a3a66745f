"""Images of 8 bits are normalized to NumPy's own bits, whatever JAX makes of the function."""

import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxseg import data, interop, ops

MEAN, STD = (0.4116, 0.4249, 0.4322), (0.3068, 0.3114, 0.3069)
INFO = data.DatasetInfo("x", (8, 8), ("a", "b"), ((0, 0, 0), (1, 1, 1)), MEAN, STD)
# Each of the 256 values in each channel.
IMAGES = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(4, 8, 8, 3)


def by_numpy(images, mean=MEAN, std=STD):
    mean, std = np.asarray(mean, np.float32), np.asarray(std, np.float32)
    return (images.astype(np.float32) / np.float32(255) - mean) / std


def normalized(images):
    return data.normalize(images, MEAN, STD)


def assert_same_bits(found, expected):
    assert found.dtype == np.float32
    assert np.asarray(found).tobytes() == np.asarray(expected).tobytes()


def mesh_of_two(kind):
    return jax.make_mesh((2,), ("d",), axis_types=(kind,))


def under_shard_map(images):
    spec = PartitionSpec("d")
    mesh = mesh_of_two(AxisType.Auto)
    return jax.jit(jax.shard_map(normalized, mesh=mesh, in_specs=spec, out_specs=spec))(images)


def on_mesh(kind):
    def run(images):
        mesh = mesh_of_two(kind)
        with jax.set_mesh(mesh):
            placed = jax.device_put(images, NamedSharding(mesh, PartitionSpec("d")))
            found = jax.jit(normalized)(placed)
            assert found.sharding.is_equivalent_to(placed.sharding, 4)
            return found

    return run


WAYS = {
    "eagerly": normalized,
    "of a device array": lambda images: normalized(jnp.asarray(images)),
    "jit": jax.jit(normalized),
    "jit, numbers as arguments": lambda images: jax.jit(data.normalize)(
        images, jnp.asarray(MEAN), jnp.asarray(STD)
    ),
    "numbers on the device": lambda images: data.normalize(
        images, jnp.asarray(MEAN), jnp.asarray(STD)
    ),
    "jit of a constant": lambda images: jax.jit(lambda: normalized(jnp.asarray(images)))(),
    **{
        f"vmap over axis {axis}": jax.jit(jax.vmap(normalized, in_axes=axis, out_axes=axis))
        for axis in range(3)
    },
    "vmap, not compiled": jax.vmap(normalized),
    "vmap, jit, vmap": jax.vmap(jax.jit(jax.vmap(normalized))),
    "vmap over all arguments": lambda images: jax.jit(jax.vmap(data.normalize))(
        images, jnp.tile(jnp.asarray(MEAN), (4, 1)), jnp.tile(jnp.asarray(STD), (4, 1))
    ),
    "scan": jax.jit(lambda images: jax.lax.scan(lambda _, x: (0, normalized(x)), 0, images)[1]),
    "map": jax.jit(lambda images: jax.lax.map(normalized, images)),
    "shard_map": under_shard_map,
    "sharded": on_mesh(AxisType.Auto),
    "explicitly sharded": on_mesh(AxisType.Explicit),
    "remat": jax.jit(jax.checkpoint(normalized)),
    "by the info": INFO.normalize,
    "a batch by the info": lambda images: jax.jit(INFO.normalize_batch)(
        {"image": images, "label": np.zeros(images.shape[:-1], np.uint8)}
    )["image"],
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_bits_of_numpy(way):
    assert_same_bits(WAYS[way](IMAGES), by_numpy(IMAGES))


channels = st.lists(
    st.tuples(st.floats(-1, 2, width=32), st.floats(2**-9, 8, width=32)), min_size=1, max_size=5
)


@given(channels)
def test_any_mean_and_deviation_gives_the_bits_of_numpy(numbers):
    mean, std = zip(*numbers, strict=True)
    images = np.repeat(np.arange(256, dtype=np.uint8)[:, None], len(numbers), axis=1)
    assert_same_bits(data.normalize(images, mean, std), by_numpy(images, mean, std))


def test_a_function_fused_behind_it_sees_the_same_bits():
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 48, 3)).astype(np.uint8)
    fused = jax.jit(lambda images: jnp.abs(normalized(images)))(images)
    assert_same_bits(fused, np.abs(by_numpy(images)))


def test_images_of_any_number_of_axes():
    for images in (IMAGES[0, 0, 0], IMAGES[0, 0], IMAGES[None], IMAGES[:0]):
        assert_same_bits(normalized(images), by_numpy(images))


@pytest.mark.parametrize("dtype", [np.float32, jnp.bfloat16, np.float16])
def test_brightness_as_floats(dtype):
    images = (IMAGES / 255).astype(dtype)
    found = normalized(images)
    assert found.dtype == np.float32
    expected = (np.asarray(images, np.float32) - np.float32(MEAN)) / np.float32(STD)
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_16_bits_are_brightness():
    images = np.array([0, 1, 4095, 65535], np.uint16).reshape(1, 1, 4, 1)
    found = data.normalize(images, (0.25,), (0.5,))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, (images / 65535 - 0.25) / 0.5, rtol=1e-6, atol=1e-7)
    compiled = jax.jit(lambda images: data.normalize(images, (0.25,), (0.5,)))(images)
    np.testing.assert_allclose(found, compiled, rtol=1e-6, atol=1e-7)
    back = data.denormalize(found, (0.25,), (0.5,))
    np.testing.assert_array_equal(np.rint(np.asarray(back) * 65535), images)


def test_measurements_are_not_clipped_on_the_way_back():
    info = data.DatasetInfo("x", (1, 2), ("a", "b"), (), (300.0,), (50.0,), dtype="float32")
    images = np.array([-5.0, 900.0], np.float32).reshape(1, 2, 1)
    np.testing.assert_allclose(info.normalize(images).ravel(), [-6.1, 12.0], rtol=1e-6)
    np.testing.assert_allclose(info.denormalize(info.normalize(images)), images, rtol=1e-5)


@pytest.mark.parametrize(("stored", "given"), [("uint8", np.uint16), ("uint16", np.uint8)])
def test_integers_of_another_type_than_is_stored_are_refused(stored, given):
    info = data.DatasetInfo("x", (8, 8), ("a", "b"), (), MEAN, STD, dtype=stored)
    with pytest.raises(ValueError, match=rf"dtype {given.__name__}, expected {stored}"):
        info.normalize(IMAGES.astype(given))


def test_floats_are_differentiable_to_any_order():
    images = jnp.asarray(IMAGES / 255, jnp.float32)
    cubes = lambda images: jnp.sum(normalized(images) ** 3) / 3  # noqa: E731
    gradient = jax.jit(jax.grad(cubes))(images)
    z, std = np.asarray(normalized(images)), np.float32(STD)
    np.testing.assert_allclose(gradient, z**2 / std, rtol=1e-5)
    _, second = jax.jvp(jax.grad(cubes), (images,), (jnp.ones_like(images),))
    np.testing.assert_allclose(second, 2 * z / std**2, rtol=1e-5, atol=1e-6)


def test_each_channel_has_its_own_numbers():
    images = np.stack([np.full((2, 3, 4), v, np.float32) for v in (0.5, 0.25)], axis=-1)
    found = data.normalize(images, (0.25, 0.5), (0.5, 0.125))
    np.testing.assert_array_equal(found[..., 0], 0.5)
    np.testing.assert_array_equal(found[..., 1], -2)
    back = data.denormalize(found, (0.25, 0.5), (0.5, 0.125))
    np.testing.assert_array_equal(back, images)


@pytest.mark.parametrize("info", [INFO, None])
def test_denormalize_is_the_inverse(info):
    back = (info.denormalize if info else lambda x: data.denormalize(x, MEAN, STD))(
        normalized(IMAGES)
    )
    np.testing.assert_array_equal(np.rint(np.asarray(back) * 255), IMAGES)
    np.testing.assert_allclose(back, IMAGES / np.float32(255), rtol=0, atol=1e-6)
    assert (back.dtype, float(back.min()), float(back.max())) == (np.float32, 0, 1)


def test_what_was_changed_beyond_black_and_white_is_clipped():
    found = data.denormalize(np.array([[-99.0], [0.0], [99.0]], np.float32), (0.5,), (0.25,))
    assert np.asarray(found).tolist() == [[0], [0.5], [1]]


def test_a_batch_keeps_what_else_it_holds():
    batch = {
        "image": IMAGES,
        "label": np.full((4, 8, 8), 255, np.uint8),
        "index": np.arange(4, dtype=np.uint32),
    }
    for found in (INFO.normalize_batch(batch), jax.jit(INFO.normalize_batch)(batch)):
        assert {k: v.dtype for k, v in found.items()} == {
            "image": np.float32,
            "label": np.int32,
            "index": np.uint32,
        }
        np.testing.assert_array_equal(found["label"], 255)
        np.testing.assert_array_equal(found["index"], batch["index"])
    assert batch["image"] is IMAGES


def test_what_does_not_fit_is_named():
    with pytest.raises(ValueError, match="dtype int32, expected uint8, or floats"):
        normalized(IMAGES.astype(np.int32))
    with pytest.raises(ValueError, match="dtype uint8, expected floats"):
        data.denormalize(IMAGES, MEAN, STD)
    with pytest.raises(ValueError, match=r"mean has shape \(1,\), expected \(3,\)"):
        data.normalize(IMAGES, (0,), (1,) * 3)
    with pytest.raises(ValueError, match=r"std has shape \(2,\), expected \(3,\)"):
        data.denormalize(np.zeros((1, 2, 2, 3), np.float32), (0,) * 3, jnp.ones(2))


# --- Exports of a net that begins with it --------------------------------------------------------


def net(images):
    return ops.conv(normalized(images), jnp.ones((3, 3, 3, 2)) / 8)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_a_net_behind_it_exports_to_stablehlo(tmp_path, dtype):
    pytest.importorskip("flatbuffers")
    images = IMAGES[:, :7] if dtype == np.uint8 else np.float32(IMAGES[:, :7] / 255)
    interop.export_stablehlo(net, tmp_path / "net", dtype=dtype)
    found = interop.load_stablehlo(tmp_path / "net")(images)
    np.testing.assert_allclose(found, net(images), rtol=1e-5, atol=1e-5)


def test_a_net_behind_it_exports_to_onnx(tmp_path):
    for package in ("jax2onnx", "onnxruntime"):
        pytest.importorskip(package)
    images = np.float32(IMAGES / 255)
    interop.export_onnx(net, tmp_path / "net.onnx")
    found = interop.load_onnx(tmp_path / "net.onnx")(images)
    np.testing.assert_allclose(found, net(images), rtol=1e-5, atol=1e-5)
