"""Trained nets as ONNX files, made by jax2onnx and run by onnxruntime.

jax2onnx does not know the primitives of `ops`, and converts some of `lax` wrongly or not at all. A
net is therefore rewritten first (`plain_lax`), as convolutions, slices, gathers and sums. Images
stay channels-last.
"""

import contextlib
import importlib
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from jaxseg.interop.export_support import require
from jaxseg.interop.plain_lax import to_plain_lax

IMAGES, LOGITS = "images", "logits"


def export_onnx(
    fn: Callable[[jax.Array], jax.Array],
    path: str | Path,
    *,
    shape: Sequence[int | str] = ("batch", "height", "width", 3),
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a net to an ONNX file.

    The file's input is called "images" and its output "logits", both float32 and channels-last.
    All nets of `jaxseg.models` can be exported for any batch size, with numbers as height and
    width. All but a `UNet` with "valid" padding can be exported for any height and width as well.

    Args:
        fn: Function of images that returns logits, such as a net, which then runs in evaluation
            mode. Its parameters become part of the file.
        path: Path of the file, which may have up to 2 GB.
        shape: Shape of the images, (batch, height, width, channels). A name stands for any size.
        metadata: Texts by name that the file carries, such as the names of the classes; every ONNX
            runtime shows them (`metadata_props`, onnxruntime's `custom_metadata_map`).

    Raises:
        ValueError: jax2onnx or onnxruntime is not installed, the shape is malformed, jax2onnx
            cannot convert the function, or the metadata are no texts.
    """
    require("export_onnx", "jax2onnx", "onnx", "onnxruntime")
    properties = dict(metadata or {})
    for name, text in properties.items():
        if not isinstance(name, str) or not isinstance(text, str):
            raise ValueError(
                f"export_onnx: metadata has {name!r}: {text!r}, expected texts: write other values "
                "as JSON, json.dumps(...)."
            )
    sizes = export.symbolic_shape(", ".join(map(str, shape)))
    images = jax.ShapeDtypeStruct(sizes, jnp.float32)
    try:
        model = _convert(fn, images)
    except Exception as error:  # jax2onnx raises many kinds
        raise ValueError(
            f"export_onnx: {type(error).__name__} at images {tuple(shape)}, {error}: give the "
            "height and the width as numbers, or use export_stablehlo."
        ) from error
    onnx = importlib.import_module("onnx")
    onnx.helper.set_model_props(model, properties)
    onnx.save(model, str(path))


def load_onnx(path: str | Path) -> Callable[[Any], np.ndarray]:
    """Load a net of `export_onnx` into onnxruntime, on the CPU.

    Args:
        path: Path of the file.

    Returns:
        Function of images (batch, height, width, channels) that returns logits. It raises a
        `ValueError` for images of a shape that was not exported.

    Raises:
        ValueError: onnxruntime is not installed, or the file is not a net of `export_onnx`.
    """
    require("load_onnx", "onnxruntime")
    onnxruntime = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only: every folded constant is worth a warning to it
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        (shape,) = [tuple(i.shape) for i in session.get_inputs() if i.name == IMAGES]
    except Exception as error:  # a foreign file can raise anything
        raise ValueError(f"{path} holds no net of export_onnx: export it again.") from error

    def net(images: Any) -> np.ndarray:
        array = np.asarray(images, np.float32)
        fits = array.ndim == len(shape) and all(
            n == exported or not isinstance(exported, int)
            for n, exported in zip(array.shape, shape, strict=True)
        )
        if not fits:
            raise ValueError(
                f"the net was exported for images {shape}, and these are {array.shape}: give such "
                "images, or export the net for these."
            )
        return session.run([LOGITS], {IMAGES: array})[0]

    return net


def read_onnx_metadata(path: str | Path) -> dict[str, str]:
    """Read the texts that `export_onnx` was given as metadata.

    Args:
        path: Path of the file.

    Raises:
        ValueError: onnx is not installed, or the file is no ONNX file.
    """
    require("read_onnx_metadata", "onnx")
    try:
        model = importlib.import_module("onnx").load(str(path), load_external_data=False)
    except Exception as error:  # a foreign file can raise anything
        raise ValueError(f"{path} is no ONNX file ({error}): export the net again.") from error
    return {entry.key: entry.value for entry in model.metadata_props}


def check_onnx(path: str | Path, fn: Callable[[Any], Any], images: Any) -> float:
    """Compute the largest absolute difference between the logits of a net and of its ONNX file.

    Args:
        path: Path of the file.
        fn: Net that was exported.
        images: Images (batch, height, width, channels) of a shape that was exported.

    Raises:
        ValueError: onnxruntime is not installed, the file is not a net of `export_onnx`, or it was
            not exported for images of this shape.
    """
    return float(np.max(np.abs(load_onnx(path)(images) - np.asarray(fn(images)))))


def _convert(fn: Callable, images: jax.ShapeDtypeStruct) -> Any:
    plain = to_plain_lax(fn, images)
    log = logging.getLogger("onnx_ir")  # warns of every constant whose type it leaves out
    level = log.level
    try:
        log.setLevel(logging.ERROR)
        with warnings.catch_warnings(), _functions_kept(jnp, jax.lax, jax.nn):
            warnings.simplefilter("ignore")  # those of the packages that jax2onnx imports
            convert = importlib.import_module("jax2onnx").to_onnx
            return convert(plain, [images], input_names=[IMAGES], output_names=[LOGITS])
    finally:
        log.setLevel(level)


@contextlib.contextmanager
def _functions_kept(*modules: ModuleType) -> Iterator[None]:
    """Give modules back the functions that they had.

    jax2onnx replaces `jax.numpy.cumsum` as it is imported, by one that takes its axis by name only,
    and leaves it there.
    """
    functions = [dict(vars(module)) for module in modules]
    try:
        yield
    finally:
        for module, names in zip(modules, functions, strict=True):
            vars(module).update(names)
