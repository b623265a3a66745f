"""StableHLO files: any size, without this package, and messages; comparison of exports."""

import functools
import importlib.util
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from export_nets import assert_same, closure, every_net_and_shape, jitted, make
from small_nets import QUICKLY, images

from jaxseg import ops
from jaxseg.interop import compare, export_stablehlo, load_stablehlo

needs_flatbuffers = pytest.mark.skipif(
    importlib.util.find_spec("flatbuffers") is None, reason="flatbuffers is not installed"
)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    @functools.cache
    def once(name):
        path = tmp_path_factory.mktemp("exported") / "net"
        export_stablehlo(make(name), path)
        return load_stablehlo(path)

    return once


@needs_flatbuffers
@every_net_and_shape
def test_one_file_for_any_batch_and_size(name, shape, exported):
    net = exported(name)
    assert net.platforms == ("cpu", "cuda", "tpu")
    assert_same(jax.jit(net, compiler_options=QUICKLY), name, shape, 1e-5)


@needs_flatbuffers
def test_fixed_sizes_and_multiples(tmp_path):
    export_stablehlo(closure("unet"), tmp_path / "fixed", shape=("batch", 20, 24, 3))
    assert_same(load_stablehlo(tmp_path / "fixed"), "unet", (2, 20, 24), 1e-5)
    with pytest.raises(ValueError, match=r"exported for images \(batch, 20, 24, 3\).* 20, 25, 3"):
        load_stablehlo(tmp_path / "fixed")(images((20, 25)))
    export_stablehlo(
        closure("unet"), tmp_path / "half", shape=(2, "8*h", 24, 3), constraints=["h >= 2"]
    )
    assert_same(load_stablehlo(tmp_path / "half"), "unet", (2, 16, 24), 1e-5)
    with pytest.raises(ValueError, match=r"exported for images \(2, 8\*h, 24, 3\)"):
        load_stablehlo(tmp_path / "half")(images((20, 24)))


@needs_flatbuffers
def test_the_file_runs_without_this_package(tmp_path):
    export_stablehlo(closure("unet"), tmp_path / "net", platforms=("cpu",))
    x = images((9, 14))
    np.save(tmp_path / "x.npy", x)
    program = (
        "import sys, numpy as np, pathlib; from jax import export;"
        "here = pathlib.Path(sys.argv[1]);"
        "net = export.deserialize(bytearray((here / 'net').read_bytes()));"
        "np.save(here / 'y.npy', net.call(np.load(here / 'x.npy')));"
        "assert not any(name.startswith('jaxseg') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, timeout=120)
    logits = jitted("unet")(x)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), logits, rtol=1e-5, atol=1e-5)


@needs_flatbuffers
def test_refusals(tmp_path):
    path = tmp_path / "net"
    with pytest.raises(ValueError, match=r"what cannot be said of every such size.*32\*h"):
        export_stablehlo(lambda x: x if x.shape[1] > 9 else -x, path)
    kernel = jnp.ones((3, 3, 3, 1))
    with pytest.raises(ValueError, match=r"multiples of the stride"):
        export_stablehlo(lambda x: ops.conv(x, kernel, stride=2), path)
    path.write_bytes(b"no such thing")
    with pytest.raises(ValueError, match=r"holds no net of export_stablehlo"):
        load_stablehlo(path)
    export_stablehlo(closure("unet"), path, platforms=("cuda",))
    run = load_stablehlo(path)
    with pytest.raises(ValueError, match="float32, and these are int32: convert"):
        run(jnp.zeros((1, 8, 8, 3), jnp.int32))
    if jax.default_backend() == "cpu":
        with pytest.raises(ValueError, match=r"on cuda, and these are .* on cpu"):
            run(images((8, 8)))


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"flatbuffers.*pip install 'jaxseg\[export\]'"):
        export_stablehlo(lambda x: x, tmp_path / "net")
    with pytest.raises(ValueError, match=r"flatbuffers.*pip install 'jaxseg\[export\]'"):
        load_stablehlo(tmp_path / "net")


OFFSET = np.asarray([0, 3, 0], np.float32).reshape(1, 1, 1, 3)


def test_compare_measures_each_export():
    x = images((5, 6))
    rows = compare(lambda x: x, {"same": lambda x: x, "shifted": lambda x: x + OFFSET}, [x, x[:1]])
    assert [(r["way"], r["batch"]) for r in rows] == [
        ("same", 2),
        ("shifted", 2),
        ("same", 1),
        ("shifted", 1),
    ]
    assert (rows[0]["height"], rows[0]["width"]) == (5, 6)
    assert rows[0]["max_difference"] == 0
    assert rows[0]["same_class"] == 1
    assert rows[1]["max_difference"] == pytest.approx(3)
    assert rows[1]["rms_difference"] == pytest.approx(3**0.5)
    assert rows[1]["same_class"] == pytest.approx(np.mean(x.argmax(-1) == (x + OFFSET).argmax(-1)))
    assert rows[1]["largest"] == pytest.approx(np.max(np.abs(x)))
    with pytest.raises(ValueError, match=r"half: logits \(2, 5, 6, 2\) instead of"):
        compare(lambda x: x, {"half": lambda x: x[..., :2]}, [x])
