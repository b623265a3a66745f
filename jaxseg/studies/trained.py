"""The runs of one arm: nets before and after training, and ways to measure them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from jaxseg.progress import busy
from jaxseg.studies.arms import best_rate
from jaxseg.studies.members import Members
from jaxseg.studies.results import Results, Row
from jaxseg.training import member_mesh, over_members, pad_members
from jaxseg.training.sweep import Member


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """The runs of one arm; `Sweep.train` makes it.

    Attributes:
        names: What names the arm: column -> value.
        init: `init(key) -> (params, stats)` of the arm's net.
        apply: `apply(params, stats, images, ...) -> (output, stats)`; see `nn.functional`.
        fresh: The runs that were trained just now.
        rows: Rows of results.csv of all runs, the fresh ones last.
        predictions: Labels predicted for the first validation batch by the fresh runs.
        start: (params, stats) before training, with a leading axis of seeds.
        nets: (params, stats) after training, with a leading axis of runs.
        kept: The file that keeps the runs.
        results: The table that `save` writes to.
    """

    names: Mapping[str, Any]
    init: Callable[..., Any]
    apply: Callable[..., Any]
    fresh: list[Member]
    rows: list[Row]
    predictions: np.ndarray
    start: tuple[Any, Any]
    nets: tuple[Any, Any]
    kept: Members
    results: Results
    _measures: dict[Any, Callable[..., Any]] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The arm's name for people."""
        return ", ".join(str(value) for value in self.names.values())

    def at_best(self) -> tuple[Any, Any]:
        """Return (params, stats) of the trained nets at the arm's best rate, likewise."""
        rate = best_rate(self.rows)
        chosen = sorted(
            (row["seed"], number)
            for number, row in enumerate(self.rows)
            if row["learning_rate"] == rate
        )
        picked = [number for _, number in chosen]
        return jax.tree.map(lambda a: a[picked], self.nets)

    def best_rows(self) -> list[Row]:
        """Return the rows that belong to the nets of `at_best`."""
        rate = best_rate(self.rows)
        return sorted(
            (row for row in self.rows if row["learning_rate"] == rate), key=lambda row: row["seed"]
        )

    def measure(
        self, fn: Callable[..., Any], nets: tuple[Any, Any], *shared: Any, each: tuple = ()
    ) -> Any:
        """Measure nets, shared out among the devices.

        Args:
            fn: `fn(params, stats, *each, *shared)` of one net; a pytree of arrays.
            nets: (params, stats) with a leading axis of nets.
            *shared: Arguments that all nets share.
            each: Arguments with a leading axis of nets.

        Returns:
            What `fn` returns, as NumPy arrays with a leading axis of nets.
        """
        count = len(jax.tree.leaves(nets)[0])
        mesh = member_mesh(count)
        picks = np.array(pad_members(list(range(count)), mesh))
        params, stats, *own = jax.tree.map(lambda a: a[picks], (*nets, *each))
        cached = (fn, count, len(each), len(shared))
        if cached not in self._measures:
            axes = (0,) * (2 + len(each)) + (None,) * len(shared)
            self._measures[cached] = over_members(fn, mesh, in_axes=axes, few_calls=True)
        with busy(f"{self.title}: measuring"):
            measured = jax.device_get(self._measures[cached](params, stats, *own, *shared))
        return jax.tree.map(lambda a: a[:count], measured)

    def record(self, name: str, values: np.ndarray) -> None:
        """Keep an array beside the runs, to be read with `Sweep.members`.

        Args:
            name: Of the array.
            values: One entry a fresh run along the leading axis.
        """
        self.kept.extend(name, values, fresh=len(self.fresh))

    def save(self, **extra: Any) -> None:
        """Write the arm's rows, which say that everything about the arm is on the disk.

        Args:
            **extra: Values of the further columns, the same for all runs of the arm.
        """
        self.results.replace([{**row, **extra} for row in self.rows], **self.names)
        best = min(self.rows, key=lambda row: row["train_loss"])
        print(
            f"{self.title}: loss {best['train_loss']:.3f}, accuracy {best['pixel_accuracy']:.3f}, "
            f"mean IoU {best['mean_iou']:.3f} at rate {best['learning_rate']:g} (best of "
            f"{len(self.rows)}; compiled in {best['compile_seconds']:.1f} s, "
            f"{best['step_milliseconds']:.1f} ms a step and run)"
        )
