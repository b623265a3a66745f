"""Reader of the safetensors format: a length, a JSON header, and little-endian arrays."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np

_DTYPES = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype(jnp.bfloat16),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
_LENGTH_BYTES = 8  # the header's own length comes first


def read_safetensors(path: str | Path) -> dict[str, np.ndarray]:
    """Read all arrays of a file.

    Nothing in the file is executed. The arrays are read-only views of the file's bytes.

    Args:
        path: Path of a `.safetensors` file.

    Returns:
        Arrays by name, in the order of the header.

    Raises:
        ValueError: The file is not in this format, is cut short, or has a dtype that NumPy lacks.
    """
    data = Path(path).read_bytes()
    length = int.from_bytes(data[:_LENGTH_BYTES], "little")
    if len(data) < _LENGTH_BYTES or length > len(data) - _LENGTH_BYTES:
        raise ValueError(f"{path}: its header would end beyond the file: is it safetensors?")
    try:
        header = json.loads(data[_LENGTH_BYTES : _LENGTH_BYTES + length])
    except ValueError as error:
        raise ValueError(f"{path}: its header is no JSON: is it safetensors?") from error
    body = memoryview(data)[_LENGTH_BYTES + length :]
    return {
        name: _array(f"{path}: {name}", entry, body)
        for name, entry in header.items()
        if name != "__metadata__"
    }


def _array(name: str, entry: dict, body: memoryview) -> np.ndarray:
    dtype, shape, (start, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if dtype not in _DTYPES:
        raise ValueError(f"{name} has dtype {dtype}: expected one of {sorted(_DTYPES)}.")
    size = int(np.prod(shape, dtype=np.int64)) * _DTYPES[dtype].itemsize
    if not 0 <= start <= end <= len(body) or end - start != size:
        raise ValueError(
            f"{name} of shape {tuple(shape)} and dtype {dtype} needs {size} bytes, but its header "
            f"gives {start} to {end} of {len(body)}: the file is cut short or damaged."
        )
    return np.frombuffer(body[start:end], _DTYPES[dtype]).reshape(shape)
