"""What the scripts around `train.py` share: nets by name, losses, and runs to be opened again."""

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxseg import data, interop, losses, models, nn
from jaxseg.training import TrainState, init_state
from jaxseg.training.checkpoints import Checkpoints
from jaxseg.training.optimizers import OptimizerConfig, make_optimizer

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
]
NETS: dict[str, tuple[type[models.Segmenter], dict[str, Any]]] = {
    "fcn": (models.FCN, {"backbone": "resnet18"}),
    "fcn32s": (models.SkipFCN, {"backbone": "resnet18", "finest": 32}),
    "fcn16s": (models.SkipFCN, {"backbone": "resnet18", "finest": 16}),
    "fcn8s": (models.SkipFCN, {"backbone": "resnet18", "finest": 8}),
    "deeplabv3": (models.DeepLabV3, {"backbone": "resnet18"}),
    "deeplabv3plus": (models.DeepLabV3Plus, {"backbone": "resnet18", "output_stride": 16}),
    "encoder_unet": (models.EncoderUNet, {"backbone": "resnet18"}),
    "lraspp": (models.LRASPP, {}),
    "drn": (models.DRN, {}),
}
"""Every net on an encoder, with what it is built with here unless asked otherwise."""
ClassWeights = Literal["none", "median_frequency", "inverse_log"]
LossName = Literal["cross_entropy", "focal", "dice", "lovasz", "ohem"]


@dataclass(frozen=True)
class ModelConfig:
    """A net by name, and what of it may be chosen; what a net has not, it leaves unread.

    Attributes:
        name: the architecture.
        backbone: the encoder of all but "unet", a name of `models.ENCODERS`; None: a MobileNet for
            "lraspp", a DRN for "drn", and "resnet18" for the others.
        width: channels of the first stage of a ResNet or a DRN, of which the others are multiples;
            None: as published.
        output_stride: of the encoder; None: 8 for "fcn", "deeplabv3" and "drn", 16 for
            "deeplabv3plus" and "lraspp", 32 for the others.
        features: channels of the head of "deeplabv3", "deeplabv3plus" and "lraspp"; None: as
            published.
        widths: channels of each level of "unet".
        residual: shortcuts in the blocks of "unet".
        skips: long skips of "unet".
        auxiliary: a second head for training, at half the weight.
        dropout: in training, before the classifier ("unet": at the lowest level).
        norm: "batch" or "group".
        dtype: what is computed in; parameters stay float32.
        remat: recompute in the backward pass rather than keep.
        weights: torchvision's weights to start from (.safetensors, or .pth): of the same net for
            "fcn" and "deeplabv3", of the encoder alone for the others. What has another shape,
            such as the classifier of other classes, stays as drawn.
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
    dropout: float = 0.1
    norm: Literal["batch", "group"] = "batch"
    dtype: Literal["float32", "bfloat16"] = "float32"
    remat: bool = False
    weights: Path | None = None


@dataclass(frozen=True)
class LossConfig:
    """What is minimised.

    Attributes:
        name: "cross_entropy", "focal", "ohem" (of the pixels that are not yet easy alone, a quarter
            of them at least), or cross-entropy plus "dice" or "lovasz".
        class_weights: of the cross-entropy, from the training split's class frequencies.
        label_smoothing: of the cross-entropy.
    """

    name: LossName = "cross_entropy"
    class_weights: ClassWeights = "none"
    label_smoothing: float = 0.0

    def __post_init__(self):
        """Refuse a smoothing that is none, or that would stay unread."""
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"label_smoothing={self.label_smoothing} must be at least 0 and below 1."
            )
        if self.label_smoothing and self.name in ("focal", "ohem"):
            raise ValueError(
                f"label_smoothing={self.label_smoothing} has no effect on {self.name!r}: leave it "
                "out, or take another loss."
            )


def build(config: ModelConfig, classes: int, channels: int, rngs: nnx.Rngs) -> Any:
    """The net, with fresh weights.

    Raises:
        ValueError: as the net's own config.
    """
    common: dict[str, Any] = {
        "classes": classes,
        "inputs": channels,
        "norm": config.norm,
        "dtype": config.dtype,
        "remat": config.remat,
        "dropout": config.dropout,
        "rngs": rngs,
    }
    if config.name == "unet":
        if config.auxiliary:
            raise ValueError("model.auxiliary: unet has no second head: leave it out.")
        return models.UNet(
            widths=config.widths, residual=config.residual, skips=config.skips, **common
        )
    net, fields = NETS[config.name]
    if config.features is not None and config.name not in ("deeplabv3", "deeplabv3plus", "lraspp"):
        raise ValueError(f"model.features: {config.name} has no such choice: leave it out.")
    fields = {**fields, **common, "auxiliary": config.auxiliary}
    backbone = config.backbone or fields.get("backbone")
    if config.width is not None:
        known = models.ENCODERS.get(backbone or "")
        if not isinstance(known, models.ResNetSize | models.DRNSize):
            raise ValueError(
                f"model.width={config.width}: {backbone or config.name} comes in one width: leave "
                "it out, or name a ResNet or a DRN as model.backbone."
            )
        backbone = replace(known, width=config.width)
    asked = {
        "backbone": backbone,
        "output_stride": config.output_stride,
        "features": config.features,
    }
    return net(**fields | {name: value for name, value in asked.items() if value is not None})


def functions(config: ModelConfig, classes: int, channels: int):
    """`(init, apply)` of the net as `nn.functional` gives them, both heads in training."""
    init, plain = nn.functional(lambda rngs: build(config, classes, channels, rngs))

    def apply(params, stats, images, *, train: bool, **options):
        method = "with_auxiliary" if train and config.auxiliary else None
        return plain(params, stats, images, train=train, method=method, **options)

    return init, apply


def make_loss(
    config: LossConfig, weights: np.ndarray | None, auxiliary: bool
) -> Callable[[Any, jax.Array], jax.Array]:
    """`loss(logits, labels)`, of both heads' logits where there are two."""

    def pixels(logits, labels):
        if config.name == "focal":
            found = losses.focal_loss(logits, labels, class_weights=weights)
            return losses.mean_over_valid(found, labels, class_weights=weights)
        if config.name == "ohem":
            hard = losses.hard_labels(logits, labels, least_kept=labels.size // 4)
            return losses.mean_cross_entropy(logits, hard, class_weights=weights)
        return losses.mean_cross_entropy(
            logits, labels, class_weights=weights, label_smoothing=config.label_smoothing
        )

    def loss(logits, labels):
        total = pixels(logits, labels)
        if config.name == "dice":
            total += losses.mean_over_classes(losses.dice_loss(logits, labels), labels)
        if config.name == "lovasz":
            total += losses.mean_over_classes(losses.lovasz_softmax(logits, labels), labels)
        return total

    return losses.with_auxiliary(loss) if auxiliary else loss


def start(
    model: ModelConfig, optimizer: OptimizerConfig, info: data.DatasetInfo, steps: int, seed: int
) -> TrainState:
    """The state before the first step; its shapes alone under `jax.eval_shape`."""
    init, _ = functions(model, info.classes, info.channels)

    @jax.jit
    def begin(key):
        params, stats = init(jax.random.fold_in(key, 0))
        rule = make_optimizer(optimizer, steps)
        return init_state(
            params, stats, rule, key=jax.random.fold_in(key, 1), average=optimizer.average > 0
        )

    return begin(jax.random.key(seed))


def pretrained(
    config: ModelConfig, weights: Path, info: data.DatasetInfo, state: TrainState
) -> TrainState:
    """The state before the first step with torchvision's weights in it; prints what did not fit.

    Raises:
        ValueError: the net has no encoder, or nothing fits.
    """
    make = functools.partial(build, config, info.classes, info.channels)
    graphdef = nnx.graphdef(nnx.eval_shape(lambda: make(nnx.Rngs(0))))
    net = nnx.merge(graphdef, state.params, state.stats, copy=True)
    if isinstance(net, models.UNet):
        raise ValueError("model.weights: unet has no encoder of torchvision's: leave them out.")
    whole = isinstance(net, models.FCN | models.DeepLabV3)
    target = net if whole else net.backbone
    report = interop.load_torchvision(target, weights, strict=False)
    if len(report.missing) == len(nnx.to_flat_state(nnx.state(target))):
        raise ValueError(f"model.weights={weights} hold nothing of {config.name}:\n{report}")
    print(f"Weights of {weights}: {report}")
    _, params, stats = nnx.split(net, nnx.Param, ...)
    average = state.average and jax.tree.map(jnp.copy, (params, stats))
    return replace(state, params=params, stats=stats, average=average)


@dataclass(frozen=True)
class Run:
    """A net that `train.py` trained.

    Attributes:
        config: its configuration, as JSON values.
        info: what its images and labels mean.
        step: how many steps it has been trained for.
        logits: images (batch, height, width, channels) of any size, of 8 bits or floating from 0
            to 1, -> logits (batch, height, width, classes); to be jitted.
    """

    config: dict[str, Any]
    info: data.DatasetInfo
    step: int
    logits: Callable[[jax.Array], jax.Array]


def load_run(folder: Path, *, step: int | None = None) -> Run:
    """Open the newest checkpoint of a run, or that of `step`.

    The moving average is taken where the run has one.

    Raises:
        ValueError: there is no such run or checkpoint, or it is damaged.
    """
    if not (folder / "config.json").is_file() or not (folder / "checkpoints").is_dir():
        raise ValueError(
            f"{folder} is no run of train.py (no config.json, or no checkpoints): give the folder "
            "that was its --out."
        )
    config, info = _records(folder)
    model = from_record(ModelConfig, config["model"])
    optimizer = from_record(OptimizerConfig, config["optimizer"])
    like = jax.eval_shape(lambda: start(model, optimizer, info, config["steps"], config["seed"]))
    with Checkpoints(folder / "checkpoints", read_only=True) as checkpoints:
        found, state, _ = checkpoints.restore(like, step, with_data=False)
    _, apply = functions(model, info.classes, info.channels)
    params, stats = evaluated(state)

    def logits(images):
        return apply(params, stats, info.normalize(images), train=False)[0]

    return Run(config, info, found, logits)


def _records(folder: Path) -> tuple[dict[str, Any], data.DatasetInfo]:
    """What a run wrote of itself and of its data.

    Raises:
        ValueError: a file is missing or damaged, or of another script.
    """
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text())
        missing = {"model", "optimizer", "data", "steps", "seed"} - set(config)
        if missing:
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        path = folder / "dataset.json"
        return config, from_record(data.DatasetInfo, json.loads(path.read_text()))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is no record of train.py, or damaged ({error}): put it back, or train again."
        ) from error


def evaluated(state: TrainState) -> tuple[Any, Any]:
    """Parameters and statistics to evaluate: the moving average where there is one."""
    return state.average or (state.params, state.stats)


def from_record(kind: type, record: dict[str, Any]) -> Any:
    """A flat dataclass from JSON values, in which tuples have become lists."""

    def tuples(value):
        return tuple(map(tuples, value)) if isinstance(value, list) else value

    known = {field.name for field in fields(kind)}
    return kind(**{name: tuples(value) for name, value in record.items() if name in known})
