"""The state of the data iterator when a checkpoint was saved: a small file for each process."""

import base64
import json
from pathlib import Path
from typing import Any

import jax

from jaxseg.training.checkpoint.manifest import Manifest


def iterator_file(process: int) -> str:
    """The name of a process's file in a checkpoint."""
    return f"data-{process}.json"


def encode_iterator_state(state: Any) -> str:
    """Text from which `read_iterator_state` makes the same state again.

    Args:
        state: Bytes, or what JSON gives back unchanged.

    Raises:
        ValueError: It is neither.
    """
    if isinstance(state, bytes):
        return json.dumps({"bytes": base64.b64encode(state).decode()})
    try:
        text = json.dumps({"json": state})
        unchanged = json.loads(text)["json"] == state
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"iterator_state={state!r} is no JSON value ({error}): give one, or bytes."
        ) from error
    if not unchanged:
        raise ValueError(
            f"iterator_state={state!r} does not come back from JSON as it was: use lists, dicts "
            "with string keys, finite numbers and strings, or give bytes."
        )
    return text


def read_iterator_state(folder: Path, manifest: Manifest) -> Any:
    """This process's state of the data iterator; None if none was saved.

    Args:
        folder: The checkpoint.
        manifest: Its manifest.

    Raises:
        ValueError: Another number of processes saved theirs.
    """
    if iterator_file(0) not in manifest.files:
        return None
    if manifest.processes != jax.process_count():
        raise ValueError(
            f"{folder} holds the iterator states of {manifest.processes} processes, and there are "
            f"{jax.process_count()} now: run as many, or restore with_iterator_state=False."
        )
    record = json.loads((folder / iterator_file(jax.process_index())).read_text())
    return base64.b64decode(record["bytes"]) if "bytes" in record else record["json"]
