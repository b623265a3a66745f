"""Weights of torchvision's segmentation nets and encoders, in and out."""

import functools
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxseg.interop.safetensors import read_safetensors
from jaxseg.models import FCN, LRASPP, DeepLabV3, Encoder, MobileNetV3, ResNet, Segmenter
from jaxseg.models.encoders.mobilenet import InvertedResidual
from jaxseg.models.heads import FCNHead

_NORM = {"scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
_COUNTERS = "num_batches_tracked"
TORCHVISION_NETS: dict[str, Callable[..., Segmenter]] = {
    "fcn_resnet50": functools.partial(FCN, backbone="resnet50", output_stride=8),
    "fcn_resnet101": functools.partial(FCN, backbone="resnet101", output_stride=8),
    "deeplabv3_resnet50": functools.partial(DeepLabV3, backbone="resnet50", output_stride=8),
    "deeplabv3_resnet101": functools.partial(DeepLabV3, backbone="resnet101", output_stride=8),
    "deeplabv3_mobilenet_v3_large": functools.partial(
        DeepLabV3,
        backbone="mobilenet_v3_large",
        output_stride=16,
        dilation_rule="whole_stage",
        rates=(12, 24, 36),
    ),
    "lraspp_mobilenet_v3_large": functools.partial(
        LRASPP, backbone="mobilenet_v3_large", output_stride=16, dilation_rule="whole_stage"
    ),
}
"""torchvision's nets by their names there, with the strides, dilations and rates of their weights.

Each takes the other arguments of its constructor, `classes` and `rngs` at least. torchvision's FCN
and DeepLab weights need `classes=21, auxiliary=True`, those of LRASPP `classes=21`. Loading checks
only names and shapes: weights can be loaded into a net of other dilations as well, and then see
another input than they were trained on.
"""


@dataclass(frozen=True)
class LoadReport:
    """Differences between a state dict and the net that it was loaded into.

    Attributes:
        missing: Names that only the net has. These variables were left as they were.
        unexpected: Names that only the state dict has.
        mismatched: Shapes in the state dict and in the net, in PyTorch's layout, by name, where
            they differ. These variables were left as they were.

    Example:
        >>> from jaxseg import interop
        >>> report = interop.LoadReport(missing=(), unexpected=("fc.bias",), mismatched={})
        >>> report.complete
        False
        >>> print(report)
        unexpected: fc.bias
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]

    @property
    def complete(self) -> bool:
        """True where there is no difference."""
        return not (self.missing or self.unexpected or self.mismatched)

    def __str__(self) -> str:
        """List the differences, one on each line."""
        lines = [f"missing: {name}" for name in self.missing]
        lines += [f"unexpected: {name}" for name in self.unexpected]
        lines += [
            f"of another shape: {name}, {theirs} instead of {ours}"
            for name, (theirs, ours) in self.mismatched.items()
        ]
        return "\n".join(lines) or "complete"


def load_torchvision(
    net: nnx.Module, source: Mapping[str, Any] | str | Path, *, strict: bool = True
) -> LoadReport:
    """Load torchvision's weights into a net, in place.

    Args:
        net: A `models.FCN`, `models.DeepLabV3` or `models.LRASPP`, with or without an auxiliary
            head, built with the settings of `TORCHVISION_NETS`. Or a `models.ResNet` or
            `models.MobileNetV3`, such as the backbone of any net, for the weights of a classifier.
        source: A state dict, arrays or tensors by name; or the path of a `.safetensors` file, or of
            a `.pth` file, for which PyTorch must be installed and of which only tensors are read.
        strict: Refuse a source of which any name or shape differs. Otherwise load what fits.

    Returns:
        The differences.

    Raises:
        ValueError: The net has no counterpart in torchvision, the file cannot be read, or, with
            `strict`, names or shapes differ. The message lists these, and nothing is changed.
    """
    state = source if isinstance(source, Mapping) else _read(Path(source))
    state = {name: value for name, value in state.items() if not name.endswith(_COUNTERS)}
    ours = dict(_variables(net))
    shapes = {
        name: (tuple(state[name].shape), _torch_shape(variable))
        for name, variable in ours.items()
        if name in state
    }
    report = LoadReport(
        missing=tuple(name for name in ours if name not in state),
        unexpected=tuple(name for name in state if name not in ours),
        mismatched={name: pair for name, pair in shapes.items() if pair[0] != pair[1]},
    )
    if strict and not report.complete:
        raise ValueError(
            f"load_torchvision: the weights are not those of this {type(net).__name__}: build the "
            f"net that they belong to, or give strict=False.\n{report}"
        )
    for name, variable in ours.items():
        if name in state and name not in report.mismatched:
            variable[...] = jnp.asarray(_from_torch(_to_numpy(state[name])), variable[...].dtype)
    return report


def to_torchvision(net: nnx.Module) -> dict[str, np.ndarray]:
    """Return a net's weights under torchvision's names and in PyTorch's layout.

    `load_torchvision` takes them, and so does torchvision's net::

        state = interop.to_torchvision(net)
        torch_net.load_state_dict({name: torch.from_numpy(a) for name, a in state.items()})

    Args:
        net: A `models.FCN`, `models.DeepLabV3` or `models.LRASPP`, with or without an auxiliary
            head, or a `models.ResNet` or `models.MobileNetV3`.

    Returns:
        Arrays, float32, by name.

    Raises:
        ValueError: The net has no counterpart in torchvision.
    """
    return {name: _to_torch(np.asarray(v[...])).copy() for name, v in _variables(net)}


# --- names ---------------------------------------------------------------------------------------


def _variables(net: nnx.Module) -> Iterator[tuple[str, nnx.Variable]]:
    """Yield every variable of the net under its name in the state dict."""
    if isinstance(net, ResNet):
        yield from _resnet(net, "")
    elif isinstance(net, MobileNetV3):
        yield from _mobilenet(net, "features.")
    elif isinstance(net, FCN | DeepLabV3 | LRASPP):
        yield from _encoder(net.backbone)
        yield from _classifier(net)
        if net.auxiliary is not None:
            yield from _head(net.auxiliary, "aux_classifier")
    else:
        raise ValueError(
            f"{type(net).__name__} has no counterpart in torchvision: give a ResNet, a "
            "MobileNetV3, an FCN, a DeepLabV3 or an LRASPP."
        )


def _encoder(net: Encoder) -> Iterator[tuple[str, nnx.Variable]]:
    """Yield the variables of a segmentation net's backbone."""
    if isinstance(net, ResNet):
        yield from _resnet(net, "backbone.")
    elif isinstance(net, MobileNetV3):
        yield from _mobilenet(net, "backbone.")
    else:
        raise ValueError(
            f"a backbone of type {type(net).__name__} has no counterpart in torchvision: give a "
            "net on a ResNet or a MobileNetV3."
        )


def _classifier(net: FCN | DeepLabV3 | LRASPP) -> Iterator[tuple[str, nnx.Variable]]:
    if isinstance(net, FCN):
        yield from _head(net.head, "classifier")
    elif isinstance(net, DeepLabV3):
        yield from _deeplab(net)
    else:
        yield from _lraspp(net)


def _resnet(net: ResNet, prefix: str) -> Iterator[tuple[str, nnx.Variable]]:
    yield from _unit(net.stem, f"{prefix}conv1", f"{prefix}bn1")
    for number, layer in enumerate((net.layer1, net.layer2, net.layer3, net.layer4), start=1):
        for place, block in enumerate(layer):
            name = f"{prefix}layer{number}.{place}"
            for index, unit in enumerate(block.units, start=1):
                yield from _unit(unit, f"{name}.conv{index}", f"{name}.bn{index}")
            if block.shortcut is not None:
                yield from _unit(block.shortcut, f"{name}.downsample.0", f"{name}.downsample.1")


def _mobilenet(net: MobileNetV3, prefix: str) -> Iterator[tuple[str, nnx.Variable]]:
    """Number the first convolution, the blocks and the last convolution consecutively."""
    yield from _unit(net.stem, f"{prefix}0.0", f"{prefix}0.1")
    blocks = [block for layer in net.layers for block in layer]
    for place, block in enumerate(blocks, start=1):
        yield from _inverted(block, f"{prefix}{place}.block")
    last = f"{prefix}{len(blocks) + 1}"
    yield from _unit(net.last, f"{last}.0", f"{last}.1")


def _inverted(block: InvertedResidual, prefix: str) -> Iterator[tuple[str, nnx.Variable]]:
    """Number those of the four parts that a block has consecutively."""
    parts: tuple[Any, ...] = (block.expand, block.depthwise, block.squeeze, block.project)
    for place, part in enumerate(part for part in parts if part is not None):
        if part is block.squeeze:
            yield from _conv(part.first, f"{prefix}.{place}.fc1")
            yield from _conv(part.second, f"{prefix}.{place}.fc2")
        else:
            yield from _unit(part, f"{prefix}.{place}.0", f"{prefix}.{place}.1")


def _head(head: FCNHead, prefix: str) -> Iterator[tuple[str, nnx.Variable]]:
    yield from _unit(head.unit, f"{prefix}.0", f"{prefix}.1")
    yield from _conv(head.classifier, f"{prefix}.4")


def _deeplab(net: DeepLabV3) -> Iterator[tuple[str, nnx.Variable]]:
    pyramid = "classifier.0"
    branches = [net.aspp.point, *net.aspp.atrous]
    for place, branch in enumerate(branches):
        name = f"{pyramid}.convs.{place}"
        yield from _unit(branch, f"{name}.0", f"{name}.1")
    pooled = f"{pyramid}.convs.{len(branches)}"  # whose first layer is the pooling
    yield from _unit(net.aspp.pooled, f"{pooled}.1", f"{pooled}.2")
    yield from _unit(net.aspp.project, f"{pyramid}.project.0", f"{pyramid}.project.1")
    yield from _unit(net.unit, "classifier.1", "classifier.2")
    yield from _conv(net.classifier, "classifier.4")


def _lraspp(net: LRASPP) -> Iterator[tuple[str, nnx.Variable]]:
    yield from _unit(net.unit, "classifier.cbr.0", "classifier.cbr.1")
    yield from _conv(net.gate, "classifier.scale.1")
    yield from _conv(net.low_classifier, "classifier.low_classifier")
    yield from _conv(net.high_classifier, "classifier.high_classifier")


def _unit(unit: Any, conv: str, norm: str) -> Iterator[tuple[str, nnx.Variable]]:
    yield from _conv(unit.conv, conv)
    for attribute, name in _NORM.items():
        variable = getattr(unit.norm, attribute, None)  # a group norm has no statistics
        if isinstance(variable, nnx.Variable):
            yield f"{norm}.{name}", variable


def _conv(conv: Any, name: str) -> Iterator[tuple[str, nnx.Variable]]:
    yield f"{name}.weight", conv.kernel
    if conv.bias is not None:
        yield f"{name}.bias", conv.bias


# --- layouts and files ---------------------------------------------------------------------------


def _from_torch(array: np.ndarray) -> np.ndarray:
    """Transpose kernels (out, in, height, width) to (height, width, in, out); vectors stay."""
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array


def _to_torch(array: np.ndarray) -> np.ndarray:
    """Transpose kernels (height, width, in, out) to (out, in, height, width); vectors stay."""
    return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array


def _torch_shape(variable: nnx.Variable) -> tuple[int, ...]:
    shape = variable[...].shape
    return (shape[3], shape[2], shape[0], shape[1]) if len(shape) == 4 else shape


def _to_numpy(value: Any) -> np.ndarray:
    """Convert an array, or a PyTorch tensor of any precision, to a float32 array."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().float()
    return np.asarray(value, np.float32)


def _read(path: Path) -> Mapping[str, Any]:
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    if path.suffix not in (".pth", ".pt"):
        raise ValueError(f"load_torchvision: {path} must end in .safetensors, .pth or .pt.")
    if importlib.util.find_spec("torch") is None:
        raise ValueError(
            f"load_torchvision: {path} can only be read with PyTorch, which is not installed: "
            "install it, or give a .safetensors file or a state dict."
        )
    import torch

    return torch.load(path, map_location="cpu", weights_only=True)
