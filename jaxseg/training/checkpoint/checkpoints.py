"""The checkpoints in a folder: saved, listed, restored and pruned.

A checkpoint is a folder `step-00000100` that orbax writes, and that a manifest with the SHA-256 of
every file completes. Without its manifest it does not count; with one it is refused by name as soon
as a byte differs. Orbax alone would restore a flipped byte as a wrong value without an error.
"""

import contextlib
import logging
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax

from jaxseg.files import write_text
from jaxseg.startup import disk_is_full
from jaxseg.training.checkpoint.arrays import (
    differences,
    from_arrays,
    leaf_specs,
    to_arrays,
    to_targets,
)
from jaxseg.training.checkpoint.barriers import meet, next_barrier, on_one_process
from jaxseg.training.checkpoint.folders import complete_steps, folder_name, remove, sweep
from jaxseg.training.checkpoint.full_disk import is_no_full_disk, no_space
from jaxseg.training.checkpoint.iterator_state import (
    encode_iterator_state,
    iterator_file,
    read_iterator_state,
)
from jaxseg.training.checkpoint.manifest import (
    Manifest,
    file_digests,
    read_manifest,
    read_verified,
    write_manifest,
)
from jaxseg.training.checkpoint.ranking import Ranking


class Restored(NamedTuple):
    """A checkpoint as `Checkpoints.restore` returns it.

    Attributes:
        step: Number of steps taken.
        state: The state, in the structure of the one given.
        iterator_state: This process's state of the data iterator; None if none was saved.
    """

    step: int
    state: Any
    iterator_state: Any


class Checkpoints:
    """The checkpoints in a folder; a context manager that waits for a save under way.

    A checkpoint holds a pytree of arrays, typed keys and numbers, and the state of the data
    iterator. `save` returns as soon as the arrays have left the devices, and a thread does the
    rest; an error there is raised by the next call.

    With several processes (`jax.distributed`) each makes the same calls in the same order, on a
    folder that they share.

    Args:
        folder: The folder, made if need be. What a killed save left in it is removed; files that
            are not of checkpoints stay.
        keep: How many of the newest checkpoints stay.
        keep_best: How many stay besides, for being the best by `metric` of all that are there.
        metric: The key of the `metrics` given to `save` or `record` that ranks checkpoints. Those
            without metrics are not ranked.
        best: Whether the largest or the smallest value is the best.
        read_only: Change nothing in the folder: for a look at a run that is being trained.

    Raises:
        ValueError: A number is out of range, or `keep_best` is given without `metric`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        keep: int = 2,
        keep_best: int = 0,
        metric: str | None = None,
        best: Literal["max", "min"] = "max",
        read_only: bool = False,
    ):
        # Orbax wants an absolute path.
        self.folder, self.read_only = Path(folder).absolute(), read_only
        self._ranking = Ranking(self.folder, keep, keep_best, metric, best)
        self._ranking.check()
        self._thread: ThreadPoolExecutor | None = None
        self._pending: Future[None] | None = None
        if not read_only:
            self.folder.mkdir(parents=True, exist_ok=True)
            on_one_process(lambda: sweep(self.folder))

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        try:
            self.close()
        except Exception as failure:
            if error is None:
                raise
            error.add_note(f"The last checkpoint failed as well: {failure!r}")

    def close(self) -> None:
        """Waits for the save that is under way, and ends its thread."""
        try:
            self.wait()
        finally:
            thread, self._thread = self._thread, None
            if thread:
                thread.shutdown()

    def wait(self) -> None:
        """Waits for the save that is under way, and raises the error that it met."""
        pending, self._pending = self._pending, None
        if pending:
            pending.result()

    def steps(self) -> list[int]:
        """The steps of the complete checkpoints, ascending; their files are not verified here."""
        return complete_steps(self.folder)

    def latest(self) -> int | None:
        """The step of the newest complete checkpoint; None if there is none."""
        return max(self.steps(), default=None)

    def best(self) -> int | None:
        """The step of the best complete checkpoint by the metric; None if none has it.

        Of equal ones the latest counts.
        """
        return next(iter(self._ranking.ranked()), None)

    def save(
        self,
        step: int,
        state: Any,
        iterator_state: Any = None,
        *,
        metrics: Mapping[str, float] | None = None,
        wait: bool = False,
    ) -> None:
        """Saves a checkpoint; returns once the arrays are copied, before the files are written.

        A save that is still under way is waited for first.

        Args:
            step: Number of steps taken; more than any checkpoint has.
            state: A pytree of arrays, typed keys and numbers.
            iterator_state: The state of the data iterator, as its `get_state()` gives it: bytes,
                or what JSON gives back unchanged. Each process keeps its own.
            metrics: Numbers kept beside the state, among them the one that ranks checkpoints;
                `record` may add them later.
            wait: Return when the checkpoint is complete.

        Raises:
            ValueError: The step is not later than the newest, the state or the iterator's cannot be
                kept, the ranking metric is missing, or the folder was opened `read_only`.
            OSError: The disk is full; also raised by the next call, `wait` or `close`.
        """
        from orbax.checkpoint import v1 as ocp  # here, since it is slow to import

        logging.getLogger("absl").addFilter(is_no_full_disk)  # orbax has made this logger
        self.wait()
        self._check_writable()
        newest = self.latest()
        if step < 0 or (newest is not None and step <= newest):
            raise ValueError(
                f"{step=} must be later than the newest checkpoint in {self.folder}, {newest}: "
                f"go on from there, or remove what is later by discard_after({step - 1})."
            )
        numbers = self._ranking.numbers(metrics) if metrics else {}
        specs, arrays = leaf_specs(state), to_arrays(state)
        text = encode_iterator_state(iterator_state)
        try:
            if iterator_state is not None:
                name = f"{folder_name(step)}.{iterator_file(jax.process_index())}"
                write_text(self.folder / name, text)
            response = ocp.save_async(str(self.folder / folder_name(step)), arrays)
        except Exception as error:
            if disk_is_full(error):
                raise no_space(self.folder, step) from error
            raise
        self._thread = self._thread or ThreadPoolExecutor(1, "checkpoints")
        manifest = Manifest(step, jax.process_count(), specs, numbers, {})
        self._pending = self._thread.submit(self._complete, response, manifest, next_barrier())
        if wait:
            self.wait()

    def record(self, step: int, metrics: Mapping[str, float]) -> None:
        """Adds metrics to a complete checkpoint, in place of any that it has.

        Args:
            step: The checkpoint's step.
            metrics: Numbers, among them the one that ranks checkpoints.

        Raises:
            ValueError: There is no such checkpoint, its manifest is damaged, the ranking metric is
                missing, or the folder was opened `read_only`.
        """
        self.wait()
        self._check_writable()
        numbers = self._ranking.numbers(metrics)
        if step not in self.steps():
            raise ValueError(f"{self.folder} holds no checkpoint of {step=}, only {self.steps()}.")
        folder = self.folder / folder_name(step)

        def write() -> None:
            write_manifest(folder, replace(read_manifest(folder), metrics=numbers))

        on_one_process(write)

    def restore(
        self, like: Any, step: int | None = None, *, with_iterator_state: bool = True
    ) -> Restored:
        """Verifies a checkpoint and reads it, bit for bit.

        Args:
            like: A state of the same structure, shapes and dtypes: the one before the first step,
                or its `jax.eval_shape`, whose leaves may name shardings. Each array comes back
                with the sharding that it has there.
            step: The checkpoint's step; by default the newest. A damaged newest is an error, and
                is not passed over.
            with_iterator_state: Whether to read the state of the data iterator.

        Returns:
            The step, the state and the iterator's state.

        Raises:
            ValueError: There is no such checkpoint, a file of it is damaged, it holds another
                state, or another number of processes saved the iterators' states.
        """
        from orbax.checkpoint import v1 as ocp  # here, since it is slow to import

        self.wait()
        steps = self.steps()
        if not steps:
            raise ValueError(f"{self.folder} holds no complete checkpoint: start afresh.")
        chosen = steps[-1] if step is None else step
        if chosen not in steps:
            raise ValueError(f"{self.folder} holds no checkpoint of step {chosen}, only {steps}.")
        folder = self.folder / folder_name(chosen)
        manifest = read_verified(folder, chosen, steps)
        if differing := differences(manifest.leaves, leaf_specs(like)):
            raise ValueError(
                f"{folder} holds another state ({differing}): resume with the configuration of the "
                "run that saved it."
            )
        arrays = ocp.load(str(folder), to_targets(like))
        iterator_state = read_iterator_state(folder, manifest) if with_iterator_state else None
        return Restored(chosen, from_arrays(like, arrays), iterator_state)

    def discard_after(self, step: int) -> None:
        """Removes the checkpoints later than a step, to go on from there by another path.

        Args:
            step: The last step that stays; -1 for none.

        Raises:
            ValueError: The folder was opened `read_only`.
        """
        self.wait()
        self._check_writable()
        later = [s for s in self.steps() if s > step]
        on_one_process(lambda: [remove(self.folder, s) for s in reversed(later)])

    def _check_writable(self) -> None:
        if self.read_only:
            raise ValueError(f"{self.folder} was opened read_only: open it without, to write.")

    def _complete(self, response: Any, manifest: Manifest, barrier: int) -> None:
        """Makes a checkpoint count once orbax has committed it; runs in the thread."""
        folder = self.folder / folder_name(manifest.step)
        try:
            response.result()
            if jax.process_index() == 0:
                for path in self.folder.glob(f"{folder.name}.data-*.json"):
                    path.rename(folder / path.name.removeprefix(f"{folder.name}."))
                write_manifest(folder, replace(manifest, files=file_digests(folder)))
                self._ranking.prune()
        except Exception as error:
            error.add_note(f"This happened while {folder} was being saved.")
            if jax.process_index() == 0:
                with contextlib.suppress(OSError):
                    sweep(self.folder)  # so that the step can be saved again
            if disk_is_full(error):
                raise no_space(self.folder, manifest.step) from error
            raise
        finally:
            meet(barrier)
