"""Part a: what the machine is, and that every operation, net and study runs on it."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from experiments.benchmarks.accelerator.parts import Row, Task
from jaxseg import models, ops

STUDIES = (
    "receptive_field",
    "dilation",
    "upconvolution",
    "output_stride",
    "long_skips",
    "paths",
    "depth_scaling",
    "trainability",
    "residual_gradient",
    "landscape",
)
SMALL = models.ResNetSize((1, 1, 1, 1), bottleneck=False, width=8)
NETS: dict[str, Callable[[nnx.Rngs], nnx.Module]] = {
    "DeepNet": lambda rngs: models.DeepNet(classes=3, features=4, blocks=2, rngs=rngs),
    "UNet": lambda rngs: models.UNet(classes=3, widths=(4, 8), rngs=rngs),
    "FCN": lambda rngs: models.FCN(classes=3, backbone=SMALL, rngs=rngs),
    "SkipFCN": lambda rngs: models.SkipFCN(classes=3, backbone=SMALL, rngs=rngs),
    "DeepLabV3": lambda rngs: models.DeepLabV3(classes=3, backbone=SMALL, features=8, rngs=rngs),
    "DeepLabV3Plus": lambda rngs: models.DeepLabV3Plus(
        classes=3, backbone=SMALL, features=8, rngs=rngs
    ),
    "EncoderUNet": lambda rngs: models.EncoderUNet(classes=3, backbone=SMALL, rngs=rngs),
}
OPERATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "conv": lambda x: ops.conv(x, jnp.ones((3, 3, 4, 6)) / 9, stride=2, dilation=2, padding="same"),
    "depthwise conv": lambda x: ops.conv(x, jnp.ones((3, 3, 1, 4)) / 9, groups=4, padding="same"),
    "upconv": lambda x: ops.upconv(x, jnp.ones((4, 4, 4, 6)) / 9, stride=2, padding=1),
    "max_pool": lambda x: ops.max_pool(x, 3, stride=2, padding=1),
    "resize": lambda x: ops.resize(x, (11, 7)),
}


def tasks(*, tiny: bool) -> Iterator[Task]:
    """Yield a description of the devices, and each operation, net and study.

    Args:
        tiny: Leave the studies out, which take minutes.
    """
    yield "devices", _describe
    for name, operation in OPERATIONS.items():
        yield f"ops.{name}", partial(_against_host, operation)
    for name, make in NETS.items():
        yield f"models.{name}", partial(_net_against_host, make)
    for name in () if tiny else STUDIES:
        yield f"study {name}", partial(_study, name)


def _describe() -> Row:
    device = jax.devices()[0]
    return {"jax": jax.__version__, "device": device.device_kind, "count": jax.device_count()}


def _against_host(operation: Callable[[jax.Array], jax.Array]) -> Row:
    """Compare value and gradient with the host's; the largest relative difference of both."""
    x = np.random.default_rng(0).normal(size=(2, 9, 10, 4)).astype(np.float32)

    def compute(x):
        return jax.value_and_grad(lambda x: jnp.sum(jnp.sin(operation(x))))(x)

    return _compare(compute, x)


def _net_against_host(make: Callable[[nnx.Rngs], Any]) -> Row:
    x = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype(np.float32)
    return _compare(lambda x: make(nnx.Rngs(0))(x), x)


def _compare(compute: Callable[[Any], Any], x: np.ndarray) -> Row:
    with jax.default_matmul_precision("highest"):
        ours = jax.tree.leaves(jax.jit(compute)(x))
        with jax.default_device(jax.local_devices(backend="cpu")[0]):
            host = jax.tree.leaves(jax.jit(compute)(x))
    return {"difference": max(_difference(a, b) for a, b in zip(ours, host, strict=True))}


def _difference(a: Any, b: Any) -> float:
    a, b = np.asarray(a), np.asarray(b)
    return float(np.abs(a - b).max() / max(float(np.abs(b).max()), 1e-30))


def _study(name: str) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", f"experiments.{name}", "--preset", "tiny", "--out", folder]
        done = subprocess.run(
            [*command, "--overwrite"], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise ValueError(f"status {done.returncode}: {done.stderr[-200:]}")
    return {}
