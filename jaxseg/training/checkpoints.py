"""Checkpoints of a run: written beside the training, whole or not at all, verified when read.

A checkpoint is a folder `step-00000100` that orbax writes, which a manifest with the SHA-256 of
every file completes. Without its manifest it does not count; with one it is refused by name as
soon as a byte differs. Orbax alone restores a flipped byte as a wrong value, without a word.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from jaxseg.training.leaves import differences, from_arrays, leaf_specs, to_arrays, to_targets
from jaxseg.training.manifest import (
    Damaged,
    Manifest,
    file_digests,
    read_manifest,
    verify_files,
    write_manifest,
)
from jaxseg.training.positions import encode_position, position_file, read_position
from jaxseg.training.records import write_text
from jaxseg.training.step_folders import complete_steps, folder_name, remove, sweep

# The same number on every process, which take part in the same calls in the same order.
_barriers = itertools.count()


class Restored(NamedTuple):
    """What `Checkpoints.restore` gives back."""

    step: int
    state: Any
    data: Any


class Checkpoints:
    """The checkpoints in a folder; a context manager that waits for what is still being written.

    A checkpoint holds a pytree of arrays, typed keys and numbers, and the position of the data.
    `with Checkpoints(folder) as checkpoints` opens; `save` returns as soon as the arrays have left
    the devices, and the rest happens in a thread. An error there is raised by the next call.

    With several processes (`jax.distributed`) each makes the same calls in the same order, on a
    folder that they share.

    Args:
        folder: made if it is not there. Whatever a killed save left in it is removed; files that
            are not of checkpoints stay.
        keep: how many of the newest stay.
        keep_best: how many stay besides for being the best by `metric`, of all that are there.
        metric: a key of the `metrics` given to `save`.
        best: whether the largest or the smallest value is the best.
        read_only: touch nothing: for a look at a run that is being trained.

    Raises:
        ValueError: numbers out of range, or a metric without `keep_best` or the reverse.
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
        if keep < 1 or keep_best < 0:
            raise ValueError(f"{keep=} must be at least 1, and {keep_best=} at least 0.")
        if bool(keep_best) != bool(metric):
            raise ValueError(f"{keep_best=} and {metric=} go together: give both or neither.")
        if best not in ("max", "min"):
            raise ValueError(f'{best=} must be "max" or "min".')
        # Orbax wants an absolute path.
        self.folder, self.read_only = Path(folder).absolute(), read_only
        self._keep, self._keep_best = keep, keep_best
        self._metric, self._sign = metric, 1 if best == "max" else -1
        self._thread: ThreadPoolExecutor | None = None
        self._pending: Future[None] | None = None
        if not read_only:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._on_one(lambda: sweep(self.folder))

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        try:
            self.close()
        except Exception as failed:
            if error is None:
                raise
            error.add_note(f"The last checkpoint failed as well: {failed!r}")

    def close(self) -> None:
        """Wait for the save that is under way, and for its thread."""
        try:
            self.wait()
        finally:
            thread, self._thread = self._thread, None
            if thread:
                thread.shutdown()

    def wait(self) -> None:
        """Wait for the save that is under way; raise what went wrong with it."""
        pending, self._pending = self._pending, None
        if pending:
            pending.result()

    def steps(self) -> list[int]:
        """The steps of the complete checkpoints, ascending; their files are not verified here."""
        return complete_steps(self.folder)

    def latest(self) -> int | None:
        """The newest complete checkpoint's step, if there is one."""
        return max(self.steps(), default=None)

    def best(self) -> int | None:
        """The step of the best complete checkpoint by the metric, if one has it."""
        ranked = self._ranked()
        return ranked[0] if ranked else None

    def save(
        self,
        step: int,
        state: Any,
        data: Any = None,
        *,
        metrics: Mapping[str, float] | None = None,
        wait: bool = False,
    ) -> None:
        """Save; returns once the arrays are copied, so that the next step may overwrite them.

        A save that is still under way is waited for first.

        Args:
            step: later than all there are.
            state: a pytree of arrays, typed keys and numbers.
            data: the position of the data, as a data iterator's `get_state()` gives it: bytes, or
                what JSON gives back unchanged. Each process keeps its own.
            metrics: kept beside it, and what `keep_best` goes by.
            wait: return when the checkpoint is complete.

        Raises:
            ValueError: a step not later than the newest, a state or data that cannot be kept, no
                value for the metric that `keep_best` goes by, or a folder opened `read_only`.
        """
        self.wait()
        self._check_writable()
        newest = self.latest()
        if step < 0 or (newest is not None and step <= newest):
            raise ValueError(
                f"{step=} must be later than the newest checkpoint in {self.folder}, {newest}: "
                f"go on from there, or remove what is later by discard_after({step - 1})."
            )
        record = {name: float(value) for name, value in (metrics or {}).items()}
        if self._metric is not None and self._metric not in record:
            raise ValueError(
                f"metrics={sorted(record)} lack {self._metric!r}, by which the best are kept."
            )
        specs, arrays, text = leaf_specs(state), to_arrays(state), encode_position(data)
        process = jax.process_index()
        if data is not None:
            write_text(self.folder / f"{folder_name(step)}.{position_file(process)}", text)
        response = ocp.save_async(str(self.folder / folder_name(step)), arrays)
        self._thread = self._thread or ThreadPoolExecutor(1, "checkpoints")
        manifest = Manifest(step, jax.process_count(), specs, record, {})
        barrier = next(_barriers)
        self._pending = self._thread.submit(self._complete, response, manifest, barrier)
        if wait:
            self.wait()

    def restore(self, like: Any, step: int | None = None, *, with_data: bool = True) -> Restored:
        """Verify a checkpoint and read it, bit for bit.

        Args:
            like: a state of the same structure, shapes and dtypes: the one before the first step,
                or its `jax.eval_shape` (whose leaves may name shardings). Each array comes back
                with the sharding it has there.
            step: which; the newest if not given. A damaged newest is an error, not passed over.
            with_data: whether to give back the position of the data.

        Returns:
            (step, state, data).

        Raises:
            ValueError: there is no such checkpoint, a file of it is damaged, it holds another
                state, or another number of processes saved the positions of the data.
        """
        self.wait()
        steps = self.steps()
        if not steps:
            raise ValueError(f"{self.folder} holds no complete checkpoint: start afresh.")
        chosen = steps[-1] if step is None else step
        if chosen not in steps:
            raise ValueError(f"{self.folder} holds no checkpoint of step {chosen}, only {steps}.")
        folder = self.folder / folder_name(chosen)
        try:
            manifest = read_manifest(folder)
            verify_files(folder, manifest)
        except Damaged as error:
            raise ValueError(f"{error}: {_remedy(chosen, steps)}") from error
        if differ := differences(manifest.leaves, leaf_specs(like)):
            raise ValueError(
                f"{folder} holds another state ({differ}): resume with the configuration of the "
                "run that saved it."
            )
        arrays = ocp.load(str(folder), to_targets(like))
        data = read_position(folder, manifest) if with_data else None
        return Restored(chosen, from_arrays(like, arrays), data)

    def discard_after(self, step: int) -> None:
        """Remove the checkpoints later than `step`, to go on from there by another path."""
        self.wait()
        self._check_writable()
        later = [s for s in self.steps() if s > step]
        self._on_one(lambda: [remove(self.folder, s) for s in reversed(later)])

    def _check_writable(self) -> None:
        if self.read_only:
            raise ValueError(f"{self.folder} was opened read_only: open it without, to write.")

    def _complete(self, response: Any, manifest: Manifest, barrier: int) -> None:
        """In the thread: when orbax has committed, make it count, and drop what is old."""
        folder = self.folder / folder_name(manifest.step)
        try:
            response.result()
            if jax.process_index() == 0:
                for path in self.folder.glob(f"{folder.name}.data-*.json"):
                    path.rename(folder / path.name.removeprefix(f"{folder.name}."))
                files = file_digests(folder)
                write_manifest(folder, Manifest(**{**vars(manifest), "files": files}))
                self._prune()
        except Exception as error:
            error.add_note(f"This happened while {folder} was being saved.")
            if jax.process_index() == 0:
                with contextlib.suppress(OSError):
                    sweep(self.folder)  # so that the step can be saved again
            raise
        finally:
            _meet(barrier)

    def _ranked(self) -> list[int]:
        """The steps that have a value of the metric, best first, later before earlier."""
        values = {}
        for step in self.steps():
            try:
                values[step] = read_manifest(self.folder / folder_name(step)).metrics[
                    self._metric or ""
                ]
            except (Damaged, KeyError):
                continue
        usable = [s for s, value in values.items() if not np.isnan(value)]
        return sorted(usable, key=lambda s: (self._sign * values[s], s), reverse=True)

    def _prune(self) -> None:
        steps = self.steps()
        best = self._ranked()[: self._keep_best] if self._keep_best else []
        for step in steps[: -self._keep]:
            if step not in best:
                remove(self.folder, step)

    def _on_one(self, action: Any) -> None:
        """Act on process 0 while the others wait."""
        try:
            if jax.process_index() == 0:
                action()
        finally:
            _meet(next(_barriers))


def _meet(number: int) -> None:
    """Wait until every process is here, whatever its devices are busy with."""
    if jax.process_count() > 1:
        key = f"jaxseg-checkpoints-{number}"
        asyncio.run(ocp.multihost.sync_global_processes(key, operation_id=str(number)))


def _remedy(step: int, steps: list[int]) -> str:
    before = [s for s in steps if s < step]
    if not before:
        return f"the checkpoint of step {step} is damaged, and there is no earlier one: start anew."
    return (
        f"the checkpoint of step {step} is damaged. Resume from step {before[-1]}, the one before "
        f"it: restore(step={before[-1]}), then discard_after({before[-1]})."
    )
