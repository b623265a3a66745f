"""Nets by name, with weights: torchvision's names, and those of the command line."""

import importlib.util
from pathlib import Path
from typing import Literal

from flax import nnx

from jaxseg.interop.download import download
from jaxseg.interop.torchvision import TORCHVISION_NETS, LoadReport, load_torchvision
from jaxseg.models import FCN, LRASPP, DeepLabV3
from jaxseg.models.registry import NETS, has_encoder

_ADDRESS = "https://download.pytorch.org/models/"
_FILES = {
    "fcn_resnet50": "fcn_resnet50_coco-1167a1af.pth",
    "fcn_resnet101": "fcn_resnet101_coco-7ecb50ca.pth",
    "deeplabv3_resnet50": "deeplabv3_resnet50_coco-cd0a2569.pth",
    "deeplabv3_resnet101": "deeplabv3_resnet101_coco-586e9e4e.pth",
    "deeplabv3_mobilenet_v3_large": "deeplabv3_mobilenet_v3_large-fc3c493d.pth",
    "lraspp_mobilenet_v3_large": "lraspp_mobilenet_v3_large-d234d4ea.pth",
}
"""torchvision's files; each name ends in the first 8 digits of the file's SHA-256."""


def list_nets() -> list[str]:
    """Names that `create` takes: torchvision's nets first, then those of the command line.

    Example:
        >>> from jaxseg import interop
        >>> interop.list_nets()[:2]
        ['fcn_resnet50', 'fcn_resnet101']
    """
    return [*TORCHVISION_NETS, *NETS]


def create(
    name: str,
    *,
    classes: int = 21,
    weights: Literal["torchvision"] | str | Path | None = None,
    inputs: int = 3,
    auxiliary: bool = False,
    norm: Literal["batch", "group"] = "batch",
    dtype: Literal["float32", "bfloat16"] | None = None,
    remat: bool = False,
    rngs: nnx.Rngs,
) -> nnx.Module:
    """Build a net by its name, and load weights into it.

    Args:
        name: A name of `list_nets()`: one of torchvision's, such as "deeplabv3_resnet50", or one
            of the command line's, such as "unet", which is then built as `jaxseg train` does by
            default. The constructors in `jaxseg.models` have more options.
        classes: Channels of the logits.
        weights: "torchvision" for the weights that torchvision publishes under this name, which
            are downloaded into the user's cache once; their 21 classes are those of Pascal VOC. Or
            the path of a `.safetensors` or `.pth` file: of the whole net for FCN, DeepLabV3 and
            LRASPP, of the encoder for the others. None leaves the weights as drawn. With another
            number of classes than the weights have, the classifiers stay as drawn.
        inputs: Channels of the images; 3 for torchvision's weights.
        auxiliary: Build the second head too, and load it where the weights have one.
        norm: Normalization; "batch" for torchvision's weights.
        dtype: Type that is computed in; None is that of the images. Parameters stay float32.
        remat: Recompute activations in the backward pass rather than keep them.
        rngs: Draws the weights.

    Returns:
        The net.

    Raises:
        ValueError: The name is unknown, an option does not fit the net, the weights do not fit it,
            or they cannot be downloaded or read.

    Example:
        >>> from flax import nnx
        >>> from jaxseg import interop
        >>> net = interop.create("unet", classes=2, inputs=1, rngs=nnx.Rngs(0))
        >>> type(net).__name__
        'UNet'
    """
    if name not in (*TORCHVISION_NETS, *NETS):
        raise ValueError(f"create: name={name!r} must be one of {', '.join(list_nets())}.")
    if weights == "torchvision" and name not in _FILES:
        raise ValueError(
            f"create: torchvision has no weights of {name!r}: name one of {', '.join(_FILES)}, or "
            "give the path of a file as weights."
        )
    options = {"inputs": inputs, "norm": norm, "dtype": dtype, "remat": remat}
    if name in NETS and not has_encoder(name):
        if auxiliary or weights is not None:
            raise ValueError(
                f"create: {name!r} has neither an auxiliary head nor an encoder of torchvision's: "
                "leave auxiliary and weights out, or name a net on an encoder, such as "
                "'encoder_unet'."
            )
    else:
        options["auxiliary"] = auxiliary
    if name in TORCHVISION_NETS:
        net = TORCHVISION_NETS[name](classes=classes, rngs=rngs, **options)
    else:
        kind, defaults = NETS[name]
        net = kind(classes=classes, rngs=rngs, **defaults, **options)
    if weights is not None:
        _load(net, _torchvision_file(name) if weights == "torchvision" else Path(weights))
    return net


def _torchvision_file(name: str) -> Path:
    """Download torchvision's weights of a net; refuse first where they could not be read."""
    if importlib.util.find_spec("torch") is None:
        raise ValueError(
            f"create: torchvision's weights of {name!r} can only be read with PyTorch, which is "
            "not installed: install it, or give the path of a .safetensors file as weights."
        )
    return download(_ADDRESS + _FILES[name])


def _load(net: nnx.Module, path: Path) -> None:
    """Load a file into a net, and refuse every difference but those that a user asks for.

    Args:
        net: The net; one that is refused is to be thrown away.
        path: The file.

    Raises:
        ValueError: The file is missing, cannot be read or does not fit.
    """
    if not path.is_file():
        raise ValueError(f"create: weights={str(path)!r} is missing: correct the path.")
    whole = isinstance(net, FCN | DeepLabV3 | LRASPP)
    target: nnx.Module = net if whole else net.backbone  # type: ignore[union-attr]
    report = load_torchvision(target, path, strict=False)
    unwanted = "aux_classifier." if whole else ("fc.", "classifier.")
    problems = LoadReport(
        missing=report.missing,
        unexpected=tuple(n for n in report.unexpected if not n.startswith(unwanted)),
        mismatched={
            n: (theirs, ours)
            for n, (theirs, ours) in report.mismatched.items()
            if not ("classifier" in n and theirs[1:] == ours[1:])
        },
    )
    if not problems.complete:
        raise ValueError(
            f"create: the weights of {path} are not those of this {type(net).__name__}: name the "
            f"net that they belong to.\n{problems}"
        )
