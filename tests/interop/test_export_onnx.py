import functools
import importlib.util
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from export_nets import assert_same, every_net_and_shape, jitted, make
from small_nets import images

from jaxseg import ops
from jaxseg.interop import check_onnx, export_onnx, load_onnx
from jaxseg.interop.written_out import RULES, written_out

needs_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("jax2onnx", "onnxruntime")),
    reason="jax2onnx or onnxruntime is not installed",
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    @functools.cache
    def once(name):
        path = tmp_path_factory.mktemp("exported") / "net.onnx"
        export_onnx(make(name), path)
        return load_onnx(path)

    return once


@needs_onnx
@every_net_and_shape
def test_one_file_for_any_batch_and_size(name, shape, exported):
    if name == "unet_valid":
        with pytest.raises(ValueError, match="give the height and the width as numbers"):
            exported(name)
    else:
        assert_same(exported(name), name, shape, 1e-4)


@needs_onnx
@pytest.mark.parametrize("name", ["unet_valid", "fcn_8s"])
def test_any_batch_of_one_size(name, tmp_path):
    path = tmp_path / "net.onnx"
    export_onnx(jitted(name), path, shape=("batch", 33, 18, 3))
    run = load_onnx(path)
    assert_same(run, name, (1, 33, 18), 1e-4)
    assert 0 < check_onnx(path, jitted(name), images((33, 18))) < 1e-4
    with pytest.raises(ValueError, match=r"exported for images \('batch', 33, 18, 3\)"):
        run(images((33, 19)))


@needs_onnx
def test_what_is_not_converted_is_said(tmp_path):
    path = tmp_path / "net.onnx"
    with pytest.raises(ValueError, match="give the height and the width as numbers"):
        export_onnx(jnp.linalg.det, path)
    path.write_bytes(b"no such thing")
    with pytest.raises(ValueError, match="holds no net of export_onnx"):
        load_onnx(path)


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"jax2onnx.*pip install 'jaxseg\[export\]'"):
        export_onnx(lambda x: x, tmp_path / "net")
    with pytest.raises(ValueError, match=r"onnxruntime.*pip install 'jaxseg\[export\]'"):
        load_onnx(tmp_path / "net")


def both(x):
    """What of `ops` and of JAX's calls no small net has."""
    k = jnp.asarray(np.random.default_rng(3).normal(size=(3, 3, 3, 3)), jnp.float32)
    y = ops.upconv(x, k[:, :, :1], stride=(2, 3), groups=3, padding=5)  # beyond the window's reach
    y = jax.checkpoint(lambda a: ops.max_pool(a, 3, stride=1, padding=1, dilation=1))(y)
    y = ops.upconv(ops.conv(y, k, stride=2, dilation=2, padding=4), k, stride=1, dilation=2)
    y = ops.resize(ops.resize(y, (5, 9), method="nearest"), (7, 4), align_corners=True)
    steps = jnp.asarray([1.0, 2.0, 3.0])

    def step(carry, s):
        return carry * s, jnp.sum(carry)

    last, sums = jax.lax.scan(step, y, steps, reverse=True)
    return last + sums[0] + 2 * sums[1] + 3 * sums[2]


def test_written_out_is_the_same_function_in_plain_lax():
    x = images((6, 8))
    plain = written_out(both, jax.typeof(x))
    np.testing.assert_allclose(jax.jit(plain)(x), jax.jit(both)(x), rtol=1e-5, atol=1e-5)
    names = set(re.findall(r" = ([a-z_0-9]+)[\[ ]", str(jax.make_jaxpr(plain)(x))))
    assert "conv_general_dilated" in names
    assert not names & ({*RULES, "scan", "checkpoint", "custom_jvp_call"} - {"gather", "pad"})
    with pytest.raises(ValueError, match="returns 2 arrays"):
        written_out(lambda x: (x, x), jax.typeof(x))
