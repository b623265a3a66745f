"""ONNX files against the nets, and functions rewritten in plain `lax`."""

import functools
import importlib.util
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from export_nets import assert_same, closure, every_net_and_shape, jitted, make
from small_nets import QUICKLY, images

from jaxseg import ops
from jaxseg.interop import check_onnx, export_onnx, load_onnx, read_onnx_metadata
from jaxseg.interop.plain_lax import RULES, scan_counts, to_plain_lax, unroll

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
    export_onnx(closure(name), path, shape=("batch", 33, 18, 3))
    run = load_onnx(path)
    assert_same(run, name, (1, 33, 18), 1e-4)
    assert 0 < check_onnx(path, jitted(name), images((33, 18))) < 1e-4
    with pytest.raises(ValueError, match=r"exported for images \('batch', 33, 18, 3\)"):
        run(images((33, 19)))


@needs_onnx
def test_refusals(tmp_path):
    path = tmp_path / "net.onnx"
    with pytest.raises(ValueError, match="give the height and the width as numbers"):
        export_onnx(jnp.linalg.det, path)
    path.write_bytes(b"no such thing")
    with pytest.raises(ValueError, match="holds no net of export_onnx"):
        load_onnx(path)


@needs_onnx
def test_the_file_carries_texts(tmp_path):
    path, texts = tmp_path / "net.onnx", {"class_names": '["Straße", "b"]', "step": "12"}
    export_onnx(lambda x: 2 * x, path, shape=(1, 2, 2, 3), metadata=texts)
    assert read_onnx_metadata(path) == texts
    onnxruntime = importlib.import_module("onnxruntime")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map == texts
    export_onnx(lambda x: 2 * x, path, shape=(1, 2, 2, 3))
    assert read_onnx_metadata(path) == {}
    with pytest.raises(ValueError, match=r"metadata has 'step': 12, expected texts.*json\.dumps"):
        export_onnx(lambda x: 2 * x, path, shape=(1, 2, 2, 3), metadata={"step": 12})
    path.write_bytes(b"no such thing")
    with pytest.raises(ValueError, match="is no ONNX file"):
        read_onnx_metadata(path)


def test_jax_is_left_as_it_was(tmp_path):
    """jax2onnx, when it is imported, puts a `cumsum` of its own into `jax.numpy`."""
    pytest.importorskip("jax2onnx")
    modules = (jnp, jax.lax, jax.nn)
    functions = [dict(vars(module)) for module in modules]
    export_onnx(lambda x: jnp.cumsum(x, axis=1), tmp_path / "net.onnx", shape=(1, 4, 4, 3))
    for module, names in zip(modules, functions, strict=True):
        assert [name for name in names if getattr(module, name) is not names[name]] == []
    np.testing.assert_array_equal(jnp.cumsum(jnp.arange(4.0), 0), [0, 1, 3, 6])


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"jax2onnx.*pip install 'jaxseg\[export\]'"):
        export_onnx(lambda x: x, tmp_path / "net")
    with pytest.raises(ValueError, match=r"onnxruntime.*pip install 'jaxseg\[export\]'"):
        load_onnx(tmp_path / "net")


def every_operation(x):
    """Operations of `ops` and calls of JAX that no small net has."""
    k = jnp.asarray(np.random.default_rng(3).normal(size=(3, 3, 3, 3)), jnp.float32)
    y = ops.upconv(x, k[:, :, :1], stride=(2, 3), groups=3, padding=5)  # beyond the window's reach
    y = jax.checkpoint(lambda a: ops.max_pool(a, 3, stride=1, padding=1, dilation=1))(y)
    y = ops.upconv(ops.conv(y, k, stride=2, dilation=2, padding=4), k, stride=1, dilation=2)
    y = ops.max_pool(y, (3, 2), stride=2, padding=(2, 0), dilation=(2, 1))
    y = ops.resize(ops.resize(y, (5, 9), method="nearest"), (7, 4), align_corners=True)
    steps = jnp.asarray([1.0, 2.0, 3.0])

    def step(carry, s):
        return carry * s, jnp.sum(carry)

    last, sums = jax.lax.scan(step, y, steps, reverse=True)
    return last + sums[0] + 2 * sums[1] + 3 * sums[2]


def test_plain_lax_computes_the_same():
    x = images((6, 8))
    plain = to_plain_lax(every_operation, jax.typeof(x))
    quickly = functools.partial(jax.jit, compiler_options=QUICKLY)
    np.testing.assert_allclose(quickly(plain)(x), quickly(every_operation)(x), rtol=1e-5, atol=1e-5)
    names = set(re.findall(r" = ([a-z_0-9]+)[\[ ]", str(jax.make_jaxpr(plain)(x))))
    assert "conv_general_dilated" in names
    assert not names & ({*RULES, "scan", "checkpoint", "custom_jvp_call"} - {"gather", "pad"})
    with pytest.raises(ValueError, match="returns 2 arrays"):
        to_plain_lax(lambda x: (x, x), jax.typeof(x))
    kernel_gradient = jax.grad(lambda k: jnp.sum(ops.conv(jnp.ones((1, 4, 4, 1)), k)))
    with pytest.raises(ValueError, match="gradient of a kernel, which cannot be exported"):
        to_plain_lax(lambda x: kernel_gradient(x[:1, :1, :1, :1]), jax.typeof(x))


class Tree:
    """Tree of a scan's operands as JAX 0.12 has it in place of their numbers."""

    def __init__(self, *counts):
        self.counts = counts

    def unpack(self):
        return tuple(range(n) for n in self.counts)


def accumulate(scale, start, xs):
    """A scan with two constants, two carried arrays and one input."""

    def step(carry, x):
        total, count = carry
        return (total + scale[0] * x + scale[1], count + 1), total * x

    return jax.lax.scan(step, (start, 0.0), xs)


def test_scans_of_both_forms_of_parameters():
    operands = ((jnp.float32(2), jnp.float32(3)), jnp.float32(1), jnp.arange(4.0))
    (scan,) = [e for e in jax.make_jaxpr(accumulate)(*operands).eqns if e.primitive.name == "scan"]
    assert scan_counts(scan.params) == (2, 2)
    values = [*operands[0], operands[1], jnp.float32(0), operands[2]]
    numbers = {k: v for k, v in scan.params.items() if k in ("jaxpr", "length", "reverse")}
    for counts in ({"num_consts": 2, "num_carry": 2}, {"ft_in": Tree(2, 2, 1)}):
        unrolled = unroll({**numbers, **counts}, values)
        for a, b in zip(unrolled, jax.tree.leaves(accumulate(*operands)), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)
    with pytest.raises(ValueError, match="carried arrays cannot be read: export with JAX"):
        scan_counts(numbers)
