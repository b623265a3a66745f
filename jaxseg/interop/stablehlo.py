"""Trained nets as one file of StableHLO, for any batch, height and width, through `jax.export`.

The file is a serialised `jax.export.Exported`: a portable StableHLO program with the parameters in
it. It needs neither this package nor the net's source to run, only JAX, and runs on any of its
platforms. Later versions of JAX read it for a limited time ("compatibility guarantees" in the
documentation of `jax.export`), so keep the weights as well.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax import export
from jaxtyping import Array, Float

from jaxseg.interop.optional import pure, require

Images = Float[Array, "batch height width channels"]
Logits = Float[Array, "batch height width classes"]

PLATFORMS = ("cpu", "cuda", "tpu")


@dataclass(frozen=True)
class ExportedNet:
    """A net from a file, called as the net was: images -> logits. Compiled once a shape.

    Attributes:
        shape: of the images, as exported: numbers, names, and what is known of them.
        dtype: of the images.
        platforms: that it runs on.
    """

    shape: str
    dtype: str
    platforms: tuple[str, ...]
    program: Callable[[jax.Array], Any]

    def __call__(self, images: Images) -> Logits:
        """Logits of images (batch, height, width, channels) of the exported shape and dtype.

        Raises:
            ValueError: the images are of another shape or dtype, or the platform is another.
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
    """Write a net to a file that JAX runs without it.

    Every net of `jaxseg.models` exports for any batch, height and width of at least 1. For such
    sizes convolutions are plain ones of XLA: where height and width are numbers, the file holds for
    each platform the form that is fastest there, as `ops` chooses it.

    Args:
        fn: images -> logits, such as a net in evaluation mode; its parameters go into the file.
        path: of the file.
        shape: of the images; a name stands for any size, and expressions of names for what is known
            of it: "32*h" for multiples of 32.
        constraints: more that is known, such as "h >= 64"; as in `jax.export.symbolic_shape`.
        dtype: of the images.
        platforms: that the file is to run on, of "cpu", "cuda", "rocm" and "tpu".

    Raises:
        ValueError: `flatbuffers` is not installed; a malformed shape or constraint; or `fn` asks of
            a size what cannot be said before it is known.
    """
    require("export_stablehlo", "flatbuffers")
    sizes = export.symbolic_shape(", ".join(map(str, shape)), constraints=constraints)
    images = jax.ShapeDtypeStruct(sizes, dtype)
    try:
        program = export.export(jax.jit(pure(fn)), platforms=list(platforms))(images)
    except jax.errors.InconclusiveDimensionOperation as error:
        raise ValueError(
            f"export_stablehlo: for images {tuple(shape)} the net asks what cannot be said of "
            f"every such size ({str(error).splitlines()[0]}): say more of it, such as "
            'shape=("batch", "32*h", "32*w", 3) or a constraint, or give a number.'
        ) from error
    Path(path).write_bytes(program.serialize())


def load_stablehlo(path: str | Path) -> ExportedNet:
    """Read a net that `export_stablehlo` wrote.

    Args:
        path: of the file; only from someone trusted, since it is a program.

    Raises:
        ValueError: `flatbuffers` is not installed, or the file holds no exported net.
    """
    require("load_stablehlo", "flatbuffers")
    data = bytearray(Path(path).read_bytes())
    try:
        program = export.deserialize(data)
        (images,) = program.in_avals
    except Exception as error:  # whatever a foreign file makes of the reader
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
