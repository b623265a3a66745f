"""Barriers between the processes that save a checkpoint together."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

import jax

# The same number on every process, which take part in the same calls in the same order.
_numbers = itertools.count()


def next_barrier() -> int:
    """The number of a barrier that no process has met at yet."""
    return next(_numbers)


def meet(barrier: int) -> None:
    """Waits until every process is here, whatever its devices are busy with.

    Args:
        barrier: What `next_barrier` returned, in the thread that makes the calls.
    """
    if jax.process_count() > 1:
        from orbax.checkpoint import v1 as ocp  # here, since it is slow to import

        key = f"jaxseg-checkpoints-{barrier}"
        asyncio.run(ocp.multihost.sync_global_processes(key, operation_id=str(barrier)))


def on_one_process(action: Callable[[], Any]) -> None:
    """Acts on process 0 while the others wait.

    Args:
        action: What is done; its result is dropped.
    """
    try:
        if jax.process_index() == 0:
            action()
    finally:
        meet(next_barrier())
