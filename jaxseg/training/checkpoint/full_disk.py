"""A disk that is full while a checkpoint is saved: one error, with what is whole."""

import logging
from pathlib import Path

from jaxseg.startup import disk_is_full
from jaxseg.training.checkpoint.folders import complete_steps


def is_no_full_disk(record: logging.LogRecord) -> bool:
    """Drops the tracebacks that orbax logs in every thread of a save: the error is raised, too.

    Args:
        record: What is logged; this is a filter of `logging`.
    """
    error = record.exc_info[1] if record.exc_info else None
    return error is None or not disk_is_full(error)


def no_space(folder: Path, step: int) -> OSError:
    """The error for a checkpoint that the disk has no space for.

    Args:
        folder: The folder of the checkpoints.
        step: The step of the one that cannot be written.
    """
    steps = complete_steps(folder)
    whole = f"those of the steps {steps} are whole" if steps else "there is none"
    return OSError(
        f"the checkpoint of step {step} cannot be written, since the disk of {folder} is full; of "
        f"the earlier ones {whole}"
    )
