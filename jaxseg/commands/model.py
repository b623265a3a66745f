"""Nets by name: what the commands build, train and open again."""

import functools
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from jaxseg import data, interop, models, nn
from jaxseg.models.registry import NETS, has_encoder
from jaxseg.training import TrainState

ModelName = Literal[
    "unet",
    "fcn",
    "fcn32s",
    "fcn16s",
    "fcn8s",
    "deeplabv3",
    "deeplabv3plus",
    "encoder_unet",
    "lraspp",
    "drn",
    "linknet",
    "pspnet",
    "fpn",
    "upernet",
    "unetplusplus",
    "erfnet",
    "fcdensenet56",
    "fcdensenet67",
    "fcdensenet103",
]
_WITHOUT = {
    "backbone": "has no encoder to choose",
    "width": "has no encoder",
    "output_stride": "has no encoder",
    "auxiliary": "has no second head",
    "features": "has no head of another width",
    "widths": "is as wide as its encoder",
    "residual": "has the blocks of its encoder",
    "skips": "has no choice of long skips",
    "dropout": "drops nothing without an auxiliary head",
}


@dataclass(frozen=True)
class ModelConfig:
    """A net by name, and its options.

    Attributes:
        name: Architecture.
        backbone: Encoder of the nets that have one, a name of `models.ENCODERS`; None: a MobileNet
            for "lraspp", a DRN for "drn", and "resnet18" for the others.
        width: Channels of the first stage of a ResNet or a DRN; those of the other stages are
            multiples. None: as published.
        output_stride: Output stride of the encoder; None: 8 for "fcn", "deeplabv3" and "drn", 16
            for "deeplabv3plus" and "lraspp", 32 for the others.
        features: Channels of the head of "deeplabv3", "deeplabv3plus" and "lraspp"; None: as
            published.
        widths: Channels of each level of "unet"; no other net reads this.
        residual: Put shortcuts into the blocks of "unet"; no other net reads this.
        skips: Long skips of "unet"; no other net reads this.
        auxiliary: Train a second head too, at half the weight; for nets on an encoder.
        dropout: Share of the features dropped in training, before the classifier of "fcn",
            "deeplabv3", "deeplabv3plus" and auxiliary heads, and at the lowest level of "unet";
            None: 0.1, 0.5 behind the pyramid of "deeplabv3" and "deeplabv3plus", 0.3 for "erfnet"
            and 0.2 for "fcdensenet56" and its like, within their blocks.
        norm: Normalization.
        dtype: Type that is computed in; parameters stay float32.
        remat: Recompute activations in the backward pass rather than keep them.
        weights: Weights to start from: the folder of a training run, of which the best checkpoint
            is taken; or torchvision's (.safetensors, or .pth), those of the same net for "fcn" and
            "deeplabv3", those of the encoder for the others. Arrays of another shape, such as the
            classifier of other classes, stay as drawn.
    """

    name: ModelName = "unet"
    backbone: str | None = None
    width: int | None = None
    output_stride: int | None = None
    features: int | None = None
    widths: tuple[int, ...] = (16, 32, 64, 128, 256)
    residual: bool = False
    skips: Literal["concat", "sum", "none"] = "concat"
    auxiliary: bool = False
    dropout: float | None = None
    norm: Literal["batch", "group"] = "batch"
    dtype: Literal["float32", "bfloat16"] = "float32"
    remat: bool = False
    weights: Path | None = None


def unread_fields(config: ModelConfig) -> dict[str, Any]:
    """The fields that have been changed from their defaults without effect on the named net.

    Args:
        config: The net and its options.
    """
    unet_alone = {"widths", "residual", "skips"}
    pyramids = {"deeplabv3", "deeplabv3plus"}
    if not has_encoder(config.name):
        unread = {"backbone", "width", "output_stride", "features", "auxiliary"}
        unread |= set() if config.name == "unet" else unet_alone
    else:
        unread = set(unet_alone)
        if config.name not in pyramids | {"lraspp"}:
            unread.add("features")
        if config.name not in pyramids | {"fcn"} and not (config.auxiliary or config.dropout == 0):
            unread.add("dropout")
    return {
        field.name: getattr(config, field.name)
        for field in fields(config)
        if field.name in unread and getattr(config, field.name) != field.default
    }


def without_unread(config: ModelConfig) -> ModelConfig:
    """The same net, with the fields that it does not read at their defaults.

    Args:
        config: The net and its options, such as those of a preset that was made for another net.
    """
    defaults = {field.name: field.default for field in fields(config)}
    return replace(config, **{name: defaults[name] for name in unread_fields(config)})


def build(config: ModelConfig, classes: int, channels: int, rngs: nnx.Rngs) -> Any:
    """Build the net, with fresh weights.

    Args:
        config: The net and its options.
        classes: Channels of the logits.
        channels: Channels of the images.
        rngs: Draws the weights.

    Raises:
        ValueError: An option does not fit the net.
    """
    for name, value in unread_fields(config).items():
        raise ValueError(
            f"model.{name}={value} has no effect: {config.name} {_WITHOUT.get(name, 'has none')}; "
            f"leave --model.{name.replace('_', '-')} out, or give another --model.name."
        )
    common: dict[str, Any] = {
        "classes": classes,
        "inputs": channels,
        "norm": config.norm,
        "dtype": config.dtype,
        "remat": config.remat,
        "rngs": rngs,
    }
    if config.dropout is not None:
        common["dropout"] = config.dropout
    net, options = NETS[config.name]
    if config.name == "unet":
        common.setdefault("dropout", 0.1)
        options = {name: getattr(config, name) for name in ("widths", "residual", "skips")}
    if not has_encoder(config.name):
        return net(**options, **common)
    options = {**options, **common, "auxiliary": config.auxiliary}
    if config.dropout is not None and net in (models.DeepLabV3, models.DeepLabV3Plus):
        options["pyramid_dropout"] = config.dropout
    backbone = config.backbone or options.get("backbone")
    if config.width is not None:
        known = models.ENCODERS.get(backbone or "")
        if not isinstance(known, models.ResNetSize | models.DRNSize):
            raise ValueError(
                f"model.width={config.width}: {backbone or config.name} comes in one width: leave "
                "--model.width out, or name a ResNet or a DRN as --model.backbone."
            )
        backbone = replace(known, width=config.width)
    asked = {
        "backbone": backbone,
        "output_stride": config.output_stride,
        "features": config.features,
    }
    return net(**options | {name: value for name, value in asked.items() if value is not None})


def functions(config: ModelConfig, classes: int, channels: int):
    """Return `(init, apply)` of the net as `nn.functional` does; with both heads in training."""
    init, plain = nn.functional(lambda rngs: build(config, classes, channels, rngs))

    def apply(params, stats, images, *, train: bool, **options):
        method = "with_auxiliary" if train and config.auxiliary else None
        return plain(params, stats, images, train=train, method=method, **options)

    return init, apply


def load_pretrained(
    config: ModelConfig, weights: Path, info: data.DatasetInfo, state: TrainState
) -> TrainState:
    """Put torchvision's weights into the state before the first step, and print what did not fit.

    Args:
        config: The net.
        weights: The file.
        info: The data set.
        state: The state as drawn.

    Raises:
        ValueError: The file is missing, the net has no encoder, the images are not of red, green
            and blue, or nothing fits.
    """
    if info.channels != 3 or info.dtype == "float32":
        raise ValueError(
            f"model.weights={weights} were trained on red, green and blue, but the images of "
            f"{info.name} have {info.channels} channels of {info.dtype}: leave --model.weights "
            "out, or convert the images to red, green and blue of 8 or 16 bits."
        )
    if not weights.is_file():
        raise ValueError(
            f"model.weights={weights} is missing: correct --model.weights, a file of torchvision's "
            "weights or the folder of a training run."
        )
    make = functools.partial(build, config, info.classes, info.channels)
    graphdef = nnx.graphdef(nnx.eval_shape(lambda: make(nnx.Rngs(0))))
    net = nnx.merge(graphdef, state.params, state.stats, copy=True)
    if not isinstance(net, models.Segmenter):
        raise ValueError(
            f"model.weights={weights}: {config.name} has no encoder of torchvision's: give the "
            "folder of a training run, or leave --model.weights out."
        )
    whole = isinstance(net, models.FCN | models.DeepLabV3)
    target = net if whole else net.backbone
    report = interop.load_torchvision(target, weights, strict=False)
    if len(report.missing) == len(nnx.to_flat_state(nnx.state(target))):
        raise ValueError(f"model.weights={weights} hold nothing of {config.name}:\n{report}")
    print(f"Weights of {weights}: {report}")
    _, params, stats = nnx.split(net, nnx.Param, ...)
    return with_weights(state, params, stats)


def with_weights(state: TrainState, params: Any, stats: Any) -> TrainState:
    """Replace the weights of a state before its first step, the moving average's too.

    Args:
        state: The state as drawn.
        params: The parameters.
        stats: What the net changes by itself.
    """
    average = state.average and jax.tree.map(jnp.copy, (params, stats))
    return replace(state, params=params, stats=stats, average=average)
