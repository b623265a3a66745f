"""Where the data stood when a checkpoint was made: a small file of each process."""

import base64
import json
from pathlib import Path
from typing import Any

import jax

from jaxseg.training.manifest import Manifest


def position_file(process: int) -> str:
    """The name of a process's file in a checkpoint."""
    return f"data-{process}.json"


def encode_position(data: Any) -> str:
    """Text from which `read_position` makes the same again.

    Raises:
        ValueError: neither bytes nor what JSON gives back unchanged.
    """
    if isinstance(data, bytes):
        return json.dumps({"bytes": base64.b64encode(data).decode()})
    try:
        text = json.dumps({"json": data})
        same = json.loads(text)["json"] == data
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"data={data!r} is no JSON value ({error}): give one, or bytes."
        ) from error
    if not same:
        raise ValueError(
            f"{data=} does not come back from JSON as it was: use lists, dicts with string "
            "keys, finite numbers and strings, or give bytes."
        )
    return text


def read_position(folder: Path, manifest: Manifest) -> Any:
    """This process's position in the checkpoint at `folder`; None if none was saved.

    Raises:
        ValueError: another number of processes saved theirs.
    """
    if position_file(0) not in manifest.files:
        return None
    if manifest.processes != jax.process_count():
        raise ValueError(
            f"{folder} holds the data's positions of {manifest.processes} processes, and there are "
            f"{jax.process_count()} now: run as many, or restore with_data=False."
        )
    kept = json.loads((folder / position_file(jax.process_index())).read_text())
    return base64.b64decode(kept["bytes"]) if "bytes" in kept else kept["json"]
