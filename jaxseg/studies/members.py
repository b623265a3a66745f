"""Arrays of an arm's runs beside their rows: parameters, losses, and what a study adds."""

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxseg import files
from jaxseg.studies.results import Row

_LEAF = "leaf_{:04d}"


class Members:
    """Arrays with a leading axis of runs, in one file, which is written whole or not at all.

    Args:
        path: The file (.npz); it need not exist yet.
    """

    def __init__(self, path: Path):
        self.path = path

    def pick(self, rows: Sequence[Row], name: str = "losses") -> np.ndarray:
        """Read an array's entries of some runs, in the order of their rows.

        Args:
            rows: With "seed" and "learning_rate".
            name: "losses", (runs, steps), or what `Trained.record` was given.

        Raises:
            ValueError: The file is missing or damaged, or has no such run or array.
        """
        arrays = self._read()
        if name not in arrays:
            raise ValueError(
                f"{self.path} holds no {name}: start again with --overwrite, or give another --out."
            )
        return arrays[name][self._places(arrays, rows)]

    def join(
        self, before: Sequence[Row], fresh: Sequence[Row], nets: Any, losses: np.ndarray
    ) -> Any:
        """Put fresh runs behind those that were kept before, and write the file.

        Args:
            before: Rows of the runs that stay; others in the file are forgotten.
            fresh: Rows of the new runs.
            nets: A pytree of the new runs' arrays.
            losses: (new runs, steps) training losses.

        Returns:
            The pytree of all runs.
        """
        leaves, structure = jax.tree.flatten(nets)
        new = {_LEAF.format(n): np.asarray(leaf) for n, leaf in enumerate(leaves)}
        new["losses"] = losses
        for name in ("seed", "learning_rate"):
            new[name] = np.array([row[name] for row in fresh])
        arrays = new
        if before:
            old = self._read()
            places = self._places(old, before)
            kept = {name: array[places] for name, array in old.items()}
            arrays = kept | {name: np.concatenate([kept[name], new[name]]) for name in new}
        self._write(arrays)
        return structure.unflatten([arrays[_LEAF.format(n)] for n in range(len(leaves))])

    def extend(self, name: str, values: np.ndarray, *, fresh: int) -> None:
        """Add an array of the fresh runs, the last ones in the file, to that of the others.

        Args:
            name: The array's name.
            values: One entry a fresh run.
            fresh: How many these are.
        """
        arrays = self._read()
        others = len(arrays["seed"]) - fresh
        arrays[name] = np.concatenate([arrays[name], values]) if others else np.asarray(values)
        self._write(arrays)

    def _places(self, arrays: dict[str, np.ndarray], rows: Sequence[Row]) -> list[int]:
        runs = list(zip(arrays["seed"].tolist(), arrays["learning_rate"].tolist(), strict=True))
        try:
            return [runs.index((row["seed"], row["learning_rate"])) for row in rows]
        except ValueError as error:
            raise ValueError(
                f"{self.path} lacks a run that results.csv has: start again with --overwrite, or "
                "give another --out."
            ) from error

    def _read(self) -> dict[str, np.ndarray]:
        try:
            # numpy.load leaves a damaged file open where it is given a name.
            with self.path.open("rb") as stream, np.load(stream) as file:
                return dict(file)
        except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
            raise ValueError(
                f"{self.path} cannot be read ({error}): start again with --overwrite, or give "
                "another --out."
            ) from error

    def _write(self, arrays: dict[str, np.ndarray]) -> None:
        self.path.parent.mkdir(exist_ok=True)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        files.write_bytes(self.path, buffer.getvalue())
