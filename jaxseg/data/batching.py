"""Batches for training, shuffled and endless, and for evaluation, in order and complete."""

import functools
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from jaxseg.data.crops import NativeSource
from jaxseg.data.sources import Example

if TYPE_CHECKING:
    import grain


def batches(
    source: Sequence[Example],
    *,
    batch_size: int,
    seed: int = 0,
    shuffle: bool = True,
    repeat: bool = True,
    drop_remainder: bool = True,
    with_index: bool = False,
    crop: tuple[int, int] | None = None,
    process: int = 0,
    processes: int = 1,
) -> "grain.DatasetIterator[Example]":
    """Iterates over batches of a source, read ahead by a thread.

    Each of several processes reads every `processes`-th example of the stream, in batches of
    batch_size / processes: the k-th batches of all of them hold the same examples as the k-th
    batch of a single process. A run may therefore be resumed by another number of processes.

    Args:
        source: Examples, dicts of arrays that have the same shapes in all examples unless `crop`
            is given.
        batch_size: Number of examples in a batch, of all processes together.
        seed: Seed of the shuffling, 0 to 2³² - 1. The batches depend on it and the source only.
        shuffle: Draw a new order for each epoch; otherwise keep the source's.
        repeat: Go on without end. The last examples of an epoch then share a batch with the first
            ones of the next, so that each epoch has each example exactly once.
        drop_remainder: Without `repeat`, leave out a last batch that is not full.
        with_index: Give each batch an `"index"` too: the rank, uint32, of each example in the
            stream, modulo 2³². It differs from one visit of an example to the next, and does not
            depend on how the stream is cut into batches, so that `augment` can draw by it.
        crop: Height and width of a random crop of each example, for a `NativeSource`, whose
            examples have sizes of their own. Its place depends on `seed`, on the example's rank in
            the stream and on the image's size, so that it differs from visit to visit.
        process: Index of this process, 0 to processes - 1.
        processes: Number of processes that share each batch.

    Returns:
        An iterator of dicts of arrays with a leading batch axis. Its `get_state()` and
        `set_state(...)` resume it exactly.

    Raises:
        ValueError: The source is empty, there would be no batch, `processes` does not divide
            `batch_size`, an argument is out of range, or `crop` is given or missing though the
            source has examples of one size or of several.

    Example:
        >>> source = [{"image": np.full((2, 2, 1), i), "label": np.zeros((2, 2))} for i in range(5)]
        >>> stream = batches(source, batch_size=3, shuffle=False)
        >>> [next(stream)["image"][:, 0, 0, 0].tolist() for _ in range(3)]
        [[0, 1, 2], [3, 4, 0], [1, 2, 3]]
    """
    import grain  # here, since it is slow to import

    _check(source, batch_size)
    _check_processes(batch_size, process, processes)
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed={seed!r} is out of range, expected 0 to 2**32 - 1: pass another")
    if not repeat:
        _check_epoch(len(source), batch_size, drop_remainder, processes)
    _check_crop(source, crop)
    # With crops the stream is one of indices, so that only the crop of an example is read.
    records: Sequence[Any] = range(len(source)) if crop else source
    examples: grain.MapDataset[Any] = grain.MapDataset.source(records).seed(seed)
    if shuffle:
        examples = examples.shuffle()
    if repeat:
        examples = examples.repeat(None)
    # Both before the cuts below, which count anew.
    if isinstance(source, NativeSource) and crop is not None:
        read_crop = functools.partial(_read_crop, source, crop, seed)
        examples = examples.map_with_index(read_crop)
    if with_index:
        examples = examples.map_with_index(_add_index)
    if not repeat and drop_remainder:  # before the processes' cut, whose parts may differ by one
        examples = examples[: len(source) // batch_size * batch_size]
    batched = examples[process::processes].batch(
        batch_size // processes, drop_remainder=drop_remainder
    )
    # One thread reads ahead while the step computes. A second one makes small examples slower, as
    # it waits for the interpreter's lock. Grain's defaults are 16 threads and 500 batches.
    reading = grain.ReadOptions(num_threads=1, prefetch_buffer_size=4)
    return iter(batched.to_iter_dataset(reading))


def _read_crop(
    source: NativeSource, size: tuple[int, int], seed: int, rank: int, index: int
) -> Example:
    return source.random_crop(index, size, seed=(seed, rank))


def _add_index(index: int, example: Example) -> Example:
    return {**example, "index": np.asarray(index % 2**32, np.uint32)}


def padded_batches(
    source: Sequence[Example], *, batch_size: int, ignore_index: int = 255
) -> Iterator[Example]:
    """Iterates over every example exactly once, in order, in batches of one shape.

    The last batch is padded with images of zeros whose labels are all ignored. They change no loss
    and no metric, and a compiled evaluation step sees a single shape.

    Args:
        source: Examples of `"image"` and `"label"`.
        batch_size: Number of examples in a batch.
        ignore_index: Label of the padding.

    Returns:
        An iterator of ⌈len(source) / batch_size⌉ dicts of `"image"` and `"label"`.

    Raises:
        ValueError: The source is empty, or `batch_size` is not a positive integer.

    Example:
        >>> source = [{"image": np.ones((1, 1, 3)), "label": np.full((1, 1), i)} for i in range(3)]
        >>> [batch["label"].ravel().tolist() for batch in padded_batches(source, batch_size=2)]
        [[0, 1], [2, 255]]
    """
    _check(source, batch_size)
    return _padded(source, batch_size, ignore_index)


def _padded(source: Sequence[Example], batch_size: int, ignore_index: int) -> Iterator[Example]:
    examples = (source[index] for index in range(len(source)))
    while chunk := list(islice(examples, batch_size)):
        padding = {
            "image": np.zeros_like(chunk[0]["image"]),
            "label": np.full_like(chunk[0]["label"], ignore_index),
        }
        chunk += [padding] * (batch_size - len(chunk))
        yield {key: np.stack([example[key] for example in chunk]) for key in padding}


def _check(source: Sequence[Example], batch_size: int) -> None:
    if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
        raise ValueError(
            f"batch_size={batch_size!r} is not valid, expected a positive integer: pass 1 or more"
        )
    if len(source) == 0:
        raise ValueError("source has 0 examples, expected at least one: choose another split")


def _check_crop(source: Sequence[Example], crop: tuple[int, int] | None) -> None:
    if crop is not None and (len(crop) != 2 or min(crop) < 1):
        raise ValueError(
            f"crop={crop} is not a size, expected a positive height and width: pass such a pair"
        )
    if crop is not None and not isinstance(source, NativeSource):
        raise ValueError(
            f"crop={crop} needs a source of examples at their own sizes, expected a NativeSource: "
            "load the data set with crops=True, or crop by `augment`"
        )
    if crop is None and isinstance(source, NativeSource) and len(set(source.sizes)) > 1:
        raise ValueError(
            f"crop=None, and the examples have several sizes, such as {source.sizes[:2]}, expected "
            "crops of one size: pass crop=(height, width)"
        )


def _check_epoch(examples: int, batch_size: int, drop_remainder: bool, processes: int) -> None:
    if drop_remainder and batch_size > examples:
        raise ValueError(
            f"batch_size={batch_size} leaves no batch of {examples} examples, expected at most "
            f"{examples}: pass a smaller one, or drop_remainder=False, or repeat=True"
        )
    if not drop_remainder and processes > 1:
        raise ValueError(
            f"processes={processes} cannot share a last batch that is not full, expected "
            "repeat=True or drop_remainder=True: pass one of them, or processes=1"
        )


def _check_processes(batch_size: int, process: int, processes: int) -> None:
    if processes < 1 or batch_size % processes:
        raise ValueError(
            f"processes={processes} does not divide batch_size={batch_size}, expected as many "
            f"examples of a batch for each process: pass a multiple of {max(processes, 1)} as "
            "batch_size"
        )
    if not 0 <= process < processes:
        raise ValueError(
            f"process={process} is out of range, expected 0 to {processes - 1}: pass "
            "jax.process_index(), and jax.process_count() as processes"
        )
