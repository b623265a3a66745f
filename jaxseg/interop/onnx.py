"""Trained nets as one ONNX file, through jax2onnx, and what onnxruntime computes with it.

jax2onnx knows `lax` and not the primitives of `ops`, and converts some of `lax` wrongly or not at
all, so that what it is given is first written out (`written_out`): a net is then convolutions,
slices, gathers and sums, with images channels-last as everywhere here.
"""

import importlib
import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from jaxseg.interop.optional import require
from jaxseg.interop.written_out import written_out

IMAGES, LOGITS = "images", "logits"


def export_onnx(
    fn: Callable[[jax.Array], jax.Array],
    path: str | Path,
    *,
    shape: Sequence[int | str] = ("batch", "height", "width", 3),
) -> None:
    """Write a net to an ONNX file: "images" in, "logits" out, both float32 and channels-last.

    Every net of `jaxseg.models` exports for any batch at a height and width that are numbers; for
    any height and width too, unless it is a `UNet` of padding "valid".

    Args:
        fn: images -> logits, such as a net in evaluation mode; its parameters go into the file.
        path: of the file, which may hold 2 GB.
        shape: of the images (batch, height, width, channels); a name stands for any size.

    Raises:
        ValueError: jax2onnx or onnxruntime is not installed, a malformed shape, or a `fn` that
            jax2onnx cannot convert.
    """
    require("export_onnx", "jax2onnx", "onnx", "onnxruntime")
    sizes = export.symbolic_shape(", ".join(map(str, shape)))
    images = jax.ShapeDtypeStruct(sizes, jnp.float32)
    try:
        model = _converted(fn, images)
    except Exception as error:  # of many kinds, jax2onnx's own among them
        raise ValueError(
            f"export_onnx: {type(error).__name__} at images {tuple(shape)}, {error}: give the "
            "height and the width as numbers, or use export_stablehlo."
        ) from error
    importlib.import_module("onnx").save(model, str(path))


def load_onnx(path: str | Path) -> Callable[[Any], np.ndarray]:
    """Read a net for onnxruntime, on the CPU: images (batch, height, width, channels) -> logits.

    Raises:
        ValueError: onnxruntime is not installed, or the file holds no such net; on a call, the
            images are of a shape that was not exported.
    """
    require("load_onnx", "onnxruntime")
    onnxruntime = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; else it tells of every constant that it folds
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        (shape,) = [tuple(i.shape) for i in session.get_inputs() if i.name == IMAGES]
    except Exception as error:  # whatever a foreign file makes of the reader
        raise ValueError(f"{path} holds no net of export_onnx: export it again.") from error

    def net(images: Any) -> np.ndarray:
        given = np.asarray(images, np.float32)
        fits = len(given.shape) == len(shape) and all(
            n == wanted or not isinstance(wanted, int)
            for n, wanted in zip(given.shape, shape, strict=True)
        )
        if not fits:
            raise ValueError(
                f"the net was exported for images {shape}, and these are {given.shape}: give such "
                "images, or export the net for these."
            )
        return session.run([LOGITS], {IMAGES: given})[0]

    return net


def check_onnx(path: str | Path, fn: Callable[[Any], Any], images: Any) -> float:
    """The largest absolute difference between a net's logits and those of its ONNX file.

    Args:
        path: of the file.
        fn: the net.
        images: (batch, height, width, channels) of a shape that was exported.

    Raises:
        ValueError: as `load_onnx`.
    """
    return float(np.max(np.abs(load_onnx(path)(images) - np.asarray(fn(images)))))


def _converted(fn: Callable, images: jax.ShapeDtypeStruct) -> Any:
    plain = written_out(fn, images)
    log = logging.getLogger("onnx_ir")  # tells of every constant whose type it leaves out
    level = log.level
    try:
        log.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the many packages that jax2onnx imports
            convert = importlib.import_module("jax2onnx").to_onnx
            return convert(plain, [images], input_names=[IMAGES], output_names=[LOGITS])
    finally:
        log.setLevel(level)
