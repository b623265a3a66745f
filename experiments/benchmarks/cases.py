"""The convolutions that the benchmark of operations times."""

from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from jaxseg import ops


@dataclass(frozen=True)
class Case:
    """One convolution.

    Attributes:
        family: The kind of convolution that it is counted with.
        op: "conv" or "upconv".
        batch: Images.
        size: Height and width of an image.
        inputs: Channels of the images.
        features: Channels of the result.
        window: Height and width of the window.
        options: Options of the operation.
    """

    family: str
    op: str
    batch: int
    size: int
    inputs: int
    features: int
    window: int
    options: dict[str, Any] = field(default_factory=dict)

    def __str__(self):
        """Name the case, as in "conv 3x3 s2, 8x64x64x64 > 128"."""
        extra = "".join(
            f" {name[0]}{value}"
            for name, value in self.options.items()
            if name in ("stride", "dilation")
        )
        kind = f"{'depthwise ' if self.family == 'depthwise' else ''}{self.op}"
        images = f"{self.batch}x{self.size}x{self.size}x{self.inputs}"
        return f"{kind} {self.window}x{self.window}{extra}, {images} > {self.features}"


def upconv_cases(window: int, stride: int, *shapes: tuple[int, int, int, int]) -> list[Case]:
    """Build upconvolutions to `stride` times the size, padded as in PyTorch.

    Args:
        window: Height and width of the window.
        stride: Factor of the size.
        *shapes: (batch, size, inputs, features).
    """
    padding, extra = (window - stride + 1) // 2, (window - stride) % 2
    options = {"stride": stride, "padding": padding, "output_padding": extra}
    return [Case("upconvolution", "upconv", *shape, window, options) for shape in shapes]


def conv_cases(
    family: str,
    window: int,
    *shapes: tuple[int, int, int, int],
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
) -> list[Case]:
    """Build convolutions padded by half their dilated window.

    Args:
        family: Name of the kind.
        window: Height and width of the window.
        *shapes: (batch, size, inputs, features).
        stride: Step between output pixels.
        dilation: Distance between taps.
        groups: Groups of channels.
    """
    given = {"stride": stride, "dilation": dilation, "groups": groups}
    options = {name: value for name, value in given.items() if value > 1}
    options["padding"] = (window - 1) * dilation // 2
    return [Case(family, "conv", *shape, window, options) for shape in shapes]


def depthwise_cases(window: int, *shapes: tuple[int, int, int], stride: int = 1) -> list[Case]:
    """Build convolutions of every channel by itself; shapes are (batch, size, channels)."""
    return [
        case
        for batch, size, channels in shapes
        for case in conv_cases(
            "depthwise", window, (batch, size, channels, channels), stride=stride, groups=channels
        )
    ]


FULL = (
    *upconv_cases(2, 2, (8, 32, 128, 64), (8, 64, 64, 32), (4, 16, 256, 128)),
    *upconv_cases(3, 2, (8, 32, 128, 64), (4, 64, 64, 32)),
    *upconv_cases(4, 2, (8, 32, 128, 64), (4, 64, 64, 64), (8, 16, 256, 128)),
    *upconv_cases(8, 4, (4, 16, 64, 21), (8, 32, 64, 32)),
    *upconv_cases(16, 8, (8, 16, 64, 21), (4, 32, 21, 21)),
    *conv_cases("dense", 3, (8, 64, 64, 64), (8, 32, 128, 128), (8, 16, 256, 256)),
    *conv_cases("dense", 3, (32, 32, 32, 32)),
    *conv_cases("dense", 7, (8, 128, 3, 64), stride=2),
    *conv_cases("dense", 3, (8, 64, 64, 128), (8, 32, 128, 256), stride=2),
    *conv_cases("dense", 1, (8, 32, 256, 64), (8, 32, 64, 256)),
    *conv_cases("dense", 1, (8, 64, 64, 128), stride=2),
    *conv_cases("atrous", 3, (4, 33, 128, 64), dilation=6),
    *conv_cases("atrous", 3, (4, 33, 128, 64), dilation=12),
    *conv_cases("atrous", 3, (4, 33, 128, 64), dilation=18),
    *conv_cases("atrous", 3, (4, 33, 128, 64), dilation=24),
    *conv_cases("atrous", 3, (4, 33, 128, 64), dilation=36),
    *conv_cases("atrous", 3, (2, 65, 128, 64), dilation=12),
    *conv_cases("atrous", 3, (2, 65, 128, 64), dilation=24),
    *conv_cases("atrous", 3, (2, 65, 128, 64), dilation=36),
    *depthwise_cases(3, (8, 64, 64), (8, 32, 256)),
    *depthwise_cases(3, (8, 64, 128), stride=2),
)
TINY = (
    *upconv_cases(4, 2, (2, 4, 3, 2)),
    *conv_cases("dense", 3, (2, 6, 3, 4)),
    *depthwise_cases(3, (2, 6, 4)),
)
FAMILIES = tuple(dict.fromkeys(case.family for case in FULL))


def operands(case: Case) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw images, a kernel, and the gradient with respect to the result."""
    draw = np.random.default_rng(0)
    groups = case.options.get("groups", 1)
    x = draw.normal(size=(case.batch, case.size, case.size, case.inputs))
    kernel = draw.normal(size=(case.window, case.window, case.inputs // groups, case.features))
    y = jax.eval_shape(lambda x, k: getattr(ops, case.op)(x, k, **case.options), x, kernel)
    cotangent = draw.normal(size=y.shape)
    return x.astype(np.float32), kernel.astype(np.float32), cotangent.astype(np.float32)


def multiply_adds(case: Case) -> int:
    """Count the multiply-adds of the forward pass; each gradient costs as many."""
    side = case.size if case.op == "upconv" else case.size // case.options.get("stride", 1)
    per_pixel = case.window**2 * case.inputs * case.features // case.options.get("groups", 1)
    return case.batch * side**2 * per_pixel
