"""Puts batches on the device while the step before them computes."""

import copy
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

Batch = TypeVar("Batch")
Placed = TypeVar("Placed")


def prefetch(
    iterator: Iterator[Batch], put: Callable[[Batch], Placed], *, ahead: int = 2
) -> "Prefetch[Batch, Placed]":
    """Puts batches on the device before they are asked for.

    When a batch is handed out, the next `ahead` batches have been put on the device already, so
    that their transfers, which do not block, run beside the step. There is no thread here: that of
    `batches` reads ahead.

    Args:
        iterator: An iterator of batches, such as that of `batches`. It must not be used elsewhere.
        put: Puts a batch on the device without waiting for it: for example
            `lambda batch: jax.device_put(batch, sharding)`, or `training.batch_placer(mesh)`.
        ahead: Number of batches that are put ahead. The device holds these and the one in use.

    Returns:
        An iterator with the `get_state()` and `set_state(...)` of `iterator`, where that has them.
        Its state is that after the last batch handed out, so that nothing read ahead is lost.

    Raises:
        ValueError: `ahead` is not an integer, or negative.

    Example:
        >>> ahead = prefetch(iter([1, 2, 3]), lambda batch: print("put", batch) or batch, ahead=1)
        >>> next(ahead)
        put 1
        put 2
        1
    """
    if not isinstance(ahead, int) or isinstance(ahead, bool) or ahead < 0:
        raise ValueError(
            f"ahead={ahead!r} is not valid, expected an integer of at least 0: pass 2, or 0 to "
            "put each batch when it is asked for"
        )
    return Prefetch(iterator, put, ahead)


class _Read(NamedTuple):
    """A batch, or the error that came instead of it, and the source's state after it."""

    batch: Any
    error: Exception | None
    state: Any


class Prefetch(Generic[Batch, Placed]):
    """The iterator that `prefetch` returns.

    An error of the source, or of `put`, is raised where its batch would be handed out, after all
    batches before it. Asking again raises it again, since a source may lose count when it fails:
    `set_state(get_state())` tries that batch anew. The end of the source is treated alike.

    Args:
        source: An iterator of batches.
        put: Puts a batch on the device.
        ahead: Number of batches that are put ahead.
    """

    def __init__(self, source: Iterator[Batch], put: Callable[[Batch], Placed], ahead: int):
        self._source = source
        self._put = put
        self._ahead = ahead
        self._read: deque[_Read] = deque()
        self._state = self._source_state()

    def __iter__(self) -> "Prefetch[Batch, Placed]":
        return self

    def __next__(self) -> Placed:
        while len(self._read) <= self._ahead and not (self._read and self._read[-1].error):
            self._read.append(self._read_one())
        first = self._read[0]
        if first.error is not None:
            raise first.error  # it stays where it is
        self._read.popleft()
        self._state = first.state
        return first.batch

    def get_state(self) -> Any:
        """The source's state after the last batch that was handed out.

        Raises:
            ValueError: The source has no state.
        """
        self._check_resumable()
        return copy.deepcopy(self._state)

    def set_state(self, state: Any) -> None:
        """Goes on after the batch at which `get_state` gave a state; forgets what was read ahead.

        Args:
            state: What `get_state` returned, of this iterator or of the source.

        Raises:
            ValueError: The source has no state.
        """
        self._check_resumable()
        self._source.set_state(state)  # type: ignore[attr-defined]
        self._read.clear()
        self._state = self._source_state()

    def _read_one(self) -> _Read:
        try:
            batch = self._put(next(self._source))
        except Exception as error:  # whatever it is, it waits for its turn
            return _Read(None, error, None)
        return _Read(batch, None, self._source_state())

    def _source_state(self) -> Any:
        # A copy: a source may change its state in place.
        return copy.deepcopy(self._source.get_state()) if self._resumable() else None  # type: ignore[attr-defined]

    def _resumable(self) -> bool:
        return hasattr(self._source, "get_state") and hasattr(self._source, "set_state")

    def _check_resumable(self) -> None:
        if not self._resumable():
            raise ValueError(
                f"prefetch: {type(self._source).__name__} has no get_state and set_state, expected "
                "an iterator that can be resumed: pass one from `batches`"
            )
