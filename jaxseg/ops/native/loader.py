"""The library in this process: loaded and registered with XLA once, when it is first needed."""

import ctypes
import os
import threading
from dataclasses import dataclass
from pathlib import Path

import jax

from jaxseg.ops.geometry import Geometry
from jaxseg.ops.native.build import UnavailableError, build

TARGET = "jaxseg_onednn"
MODES = {"y": 0, "x": 1, "k": 2}
_NAME_SIZE = 128


@dataclass(frozen=True)
class Status:
    """State of the library in this process: whether it is in use, and why not.

    Attributes:
        library: the loaded library, or None.
        path: its file, or None.
        reason: why there is none, with what helps; empty where there is one.
    """

    library: ctypes.CDLL | None
    path: Path | None
    reason: str


class _Process:
    """State of this process, which loads the library once; its threads wait for the first."""

    def __init__(self) -> None:
        self.status: Status | None = None
        self.renew_lock()

    def renew_lock(self) -> None:
        self.lock = threading.Lock()


_process = _Process()
if hasattr(os, "register_at_fork"):  # a thread that is not in the child may have held the lock
    os.register_at_fork(after_in_child=_process.renew_lock)


def status() -> Status:
    """Return whether the library is in use, after trying to build and load it at the first call."""
    if _process.status is None:
        with _process.lock:
            if _process.status is None:
                _process.status = _load()
    return _process.status


def is_available() -> bool:
    """Tell whether the library is in use, after trying to build and load it at the first call."""
    return status().library is not None


def _load() -> Status:
    try:
        path = build()
        library = ctypes.CDLL(str(path))
    except (UnavailableError, OSError) as error:
        return Status(None, None, str(error))
    library.jaxseg_onednn_implementation.restype = None
    jax.ffi.register_ffi_target(TARGET, jax.ffi.pycapsule(library.jaxseg_onednn), platform="cpu")
    # XLA may then shard the leading axes, on which all operands and the result agree.
    jax.ffi.register_ffi_target_as_batch_partitionable(TARGET)
    return Status(library, path, "")


def options_of(geometry: Geometry) -> list[int]:
    """Return the handler's options: stride, dilation, low, high, by axis, and groups."""
    low, high = zip(*geometry.padding, strict=True)
    return [*geometry.stride, *geometry.dilation, *low, *high, geometry.groups]


def implementation(
    mode: str, geometry: Geometry, images: int, inputs: int, features: int
) -> str | None:
    """Return the name of the implementation that oneDNN would choose, or None if it has none.

    Args:
        mode: "y", "x" or "k".
        geometry: geometry of the convolution.
        images: size of the batch.
        inputs: channels of the convolution's input.
        features: channels of its output.
    """
    library = status().library
    if library is None:
        return None
    g = geometry
    shapes = (
        (images, *g.input, inputs),
        (*g.window, inputs // g.groups, features),
        (images, *g.output, features),
        options_of(g),
    )
    arrays = [(ctypes.c_int64 * len(shape))(*shape) for shape in shapes]
    name = ctypes.create_string_buffer(_NAME_SIZE)
    library.jaxseg_onednn_implementation(
        ctypes.c_int64(MODES[mode]),
        ctypes.c_int64(len(g.stride)),
        *arrays,
        name,
        ctypes.c_size_t(_NAME_SIZE),
    )
    return name.value.decode() or None
