"""Trained nets as StableHLO files, for any batch, height and width, made by `jax.export`.

A file is a serialized `jax.export.Exported`: a portable StableHLO program that contains the
parameters. To run it takes JAX, but neither this package nor the net's source. Later versions of
JAX read it for a limited time only (see "compatibility guarantees" in the documentation of
`jax.export`), so keep the weights as well.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax import export
from jaxtyping import Array, Float

from jaxseg.interop.export_support import pure, require

Images = Float[Array, "batch height width channels"]
Logits = Float[Array, "batch height width classes"]

PLATFORMS = ("cpu", "cuda", "tpu")


@dataclass(frozen=True)
class ExportedNet:
    """Net from a file. It is called like the net, and compiled once for each shape.

    Attributes:
        shape: Shape of the images, as exported: numbers, names, and expressions of names.
        dtype: Dtype of the images.
        platforms: Platforms that the net runs on.
        program: Function of images that returns logits.
    """

    shape: str
    dtype: str
    platforms: tuple[str, ...]
    program: Callable[[jax.Array], Any]

    def __call__(self, images: Images) -> Logits:
        """Score every class at every pixel.

        Args:
            images: Images (batch, height, width, channels) of the exported shape and dtype.

        Raises:
            ValueError: The images have another shape or dtype, or the net was not exported for this
                platform.
        """
        images = jnp.asarray(images)
        if images.dtype != self.dtype:
            raise ValueError(
                f"the net was exported for images of {self.dtype}, and these are {images.dtype}: "
                "convert them."
            )
        try:
            return self.program(images)
        except ValueError as error:
            raise ValueError(
                f"the net was exported for images ({self.shape}) on {' '.join(self.platforms)}, "
                f"and these are {images.shape} on {jax.default_backend()}: give such images, or "
                "export the net for these."
            ) from error


def export_stablehlo(
    fn: Callable[[Images], Logits],
    path: str | Path,
    *,
    shape: Sequence[int | str] = ("batch", "height", "width", 3),
    constraints: Sequence[str] = (),
    dtype: Any = jnp.float32,
    platforms: Sequence[str] = PLATFORMS,
) -> None:
    """Write a net to a file that JAX runs without the net's source.

    All nets of `jaxseg.models` can be exported for any batch, height and width of at least 1.
    Convolutions of such sizes are the plain ones of XLA. Where height and width are numbers, the
    file has for each platform the form that is fastest there, as `ops` chooses it.

    Args:
        fn: Function of images that returns logits, such as a net, which then runs in evaluation
            mode. Its parameters become part of the file.
        path: Path of the file.
        shape: Shape of the images. A name stands for any size, and an expression of names for what
            is known about it, such as "32*h" for multiples of 32.
        constraints: More that is known about the sizes, such as "h >= 64", as in
            `jax.export.symbolic_shape`.
        dtype: Dtype of the images.
        platforms: Platforms that the file runs on, of "cpu", "cuda", "rocm" and "tpu".

    Raises:
        ValueError: `flatbuffers` is not installed, a shape or constraint is malformed, or `fn`
            depends on a property of a size that is not known.
    """
    require("export_stablehlo", "flatbuffers")
    sizes = export.symbolic_shape(", ".join(map(str, shape)), constraints=constraints)
    images = jax.ShapeDtypeStruct(sizes, dtype)
    try:
        program = export.export(jax.jit(pure(fn)), platforms=list(platforms))(images)
    except jax.errors.InconclusiveDimensionOperation as error:
        raise ValueError(
            f"export_stablehlo: for images {tuple(shape)} the net depends on what cannot be said "
            f"of every such size ({str(error).splitlines()[0]}): say more about it, such as "
            'shape=("batch", "32*h", "32*w", 3) or a constraint, or give a number.'
        ) from error
    Path(path).write_bytes(program.serialize())


def load_stablehlo(path: str | Path) -> ExportedNet:
    """Load a net that `export_stablehlo` wrote.

    Args:
        path: Path of the file. A file is a program: load only files from a source you trust.

    Raises:
        ValueError: `flatbuffers` is not installed, or the file is not an exported net.
    """
    require("load_stablehlo", "flatbuffers")
    data = bytearray(Path(path).read_bytes())
    try:
        program = export.deserialize(data)
        (images,) = program.in_avals
    except Exception as error:  # a foreign file can raise anything
        raise ValueError(
            f"{path} holds no net of export_stablehlo that this JAX reads ({error}): export it "
            "again."
        ) from error
    return ExportedNet(
        ", ".join(map(str, images.shape)),
        str(images.dtype),
        tuple(program.platforms),
        jax.jit(program.call),
    )
