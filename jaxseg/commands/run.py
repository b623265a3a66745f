"""Training runs: their state before the first step, and as they are opened again."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from jaxseg import data
from jaxseg.commands.model import ModelConfig, functions, with_weights
from jaxseg.commands.run_data import RECOMPUTED, check_info, from_record, open_listed, recorded_data
from jaxseg.data.folders.file_lists import FileLists, ListedPair, name_some
from jaxseg.training import OptimizerConfig, TrainState, init_state, make_optimizer, records
from jaxseg.training.checkpoint import Checkpoints
from jaxseg.training.checkpoint.arrays import leaf_specs, named_leaves

FILES = "files.json"
"""Name of the file that lists what a run was trained on."""
METRIC = "mean_iou"
"""The metric on the validation split that ranks a run's checkpoints."""


def start(
    model: ModelConfig, optimizer: OptimizerConfig, info: data.DatasetInfo, steps: int, seed: int
) -> TrainState:
    """Build the state before the first step; under `jax.eval_shape` only its shapes.

    Args:
        model: The net.
        optimizer: The optimizer.
        info: The data set.
        steps: Steps of the whole run.
        seed: Seed of the weights, of augmentation and dropout.
    """
    init, _ = functions(model, info.classes, info.channels)

    @jax.jit
    def begin(key):
        params, stats = init(jax.random.fold_in(key, 0))
        rule = make_optimizer(optimizer, steps)
        return init_state(
            params, stats, rule, key=jax.random.fold_in(key, 1), average=optimizer.average > 0
        )

    return begin(jax.random.key(seed))


@dataclass(frozen=True)
class Run:
    """A trained net.

    Attributes:
        folder: The folder of the run.
        config: Its configuration, as JSON values.
        info: What its images and labels mean.
        step: Steps that it has been trained for.
        logits: Maps images (batch, height, width, channels) of any size, of 8 bits or floating
            from 0 to 1, to logits (batch, height, width, classes); to be jitted.
        files: The files that it was trained, validated and tested on, by split, with the SHA-256
            of each; empty for a data set that is drawn.
        lists: The same with the folder that they lay in.
    """

    folder: Path
    config: dict[str, Any]
    info: data.DatasetInfo
    step: int
    logits: Callable[[jax.Array], jax.Array]
    lists: FileLists

    @property
    def files(self) -> Mapping[str, Sequence[ListedPair]]:
        """The files of every split."""
        return self.lists.splits

    def open_data(
        self, *, directory: Path | None = None, data_dir: Path | None = None
    ) -> data.Dataset:
        """Open the data set that the run was trained on, in the splits of that time.

        Images that have been added to the folder since are named and left out; files that have
        been edited are named.

        Args:
            directory: The folder of the data set if it has been moved; None is where it was.
            data_dir: Where prepared data is kept; None is where it was.

        Raises:
            ValueError: The folder or a file is missing, or its classes are not those of the run.
        """
        config = recorded_data(self.config, directory=directory, data_dir=data_dir)
        dataset, changed = open_listed(config, self.lists, self.folder)
        if changed:
            print(
                f"Edited since {self.folder} was trained: {name_some(changed)}. They are read as "
                "they are now."
            )
        check_info(self.folder, records.config_record(self.info), dataset.info, RECOMPUTED)
        return dataset


def load_run(folder: Path, *, checkpoint: str = "best") -> Run:
    """Open a run at one of its checkpoints.

    The moving average is taken where the run has one.

    Args:
        folder: The folder that was `--out` of the training.
        checkpoint: "best" for the best mean IoU on the validation split, "last" for the newest
            checkpoint, or the number of a step. Before the first evaluation, the best is the
            newest.

    Raises:
        ValueError: There is no such run or checkpoint, or it is damaged.
    """
    config, model, info = read_records(folder)
    lists = FileLists.read(folder / FILES)
    number, state = restore(folder, checkpoint)
    _, apply = functions(model, info.classes, info.channels)
    params, stats = evaluated(state)

    def logits(images):
        return apply(params, stats, info.normalize(images), train=False)[0]

    return Run(folder, config, info, number, logits, lists)


def restore(folder: Path, checkpoint: str = "best") -> tuple[int, TrainState]:
    """Read a checkpoint of a run.

    Args:
        folder: The folder of the run.
        checkpoint: "best", "last" or the number of a step, as in `load_run`.

    Returns:
        The checkpoint's step, and the state.

    Raises:
        ValueError: There is no such run or checkpoint, or it is damaged.
    """
    config, model, info = read_records(folder)
    optimizer = from_record(OptimizerConfig, config["optimizer"])
    like = jax.eval_shape(lambda: start(model, optimizer, info, config["steps"], config["seed"]))
    with Checkpoints(folder / "checkpoints", read_only=True, metric=METRIC) as checkpoints:
        if not checkpoints.steps():
            raise ValueError(
                f"{folder} has no checkpoint yet, or was stopped while it was begun anew: go on by "
                f"jaxseg train --out {folder} --resume"
            )
        step = _chosen_step(checkpoints, checkpoint)
        try:
            number, state, _ = checkpoints.restore(like, step, with_iterator_state=False)
        except ValueError as error:
            others = [s for s in checkpoints.steps() if s != step]
            if not others:
                raise
            flags = " or ".join(f"--checkpoint {s}" for s in others)
            raise ValueError(f"{error} Other checkpoints: {flags}.") from error
    return number, state


def fine_tune(folder: Path, state: TrainState) -> TrainState:
    """Put the weights of a run's best checkpoint into a state, and print what did not fit.

    Arrays go by their names. Those that the other net has in another shape, such as the classifier
    of other classes, stay as drawn.

    Args:
        folder: The folder of the run.
        state: The state as drawn.

    Raises:
        ValueError: There is no such run, it is damaged, or nothing of it fits.
    """
    step, other = restore(folder)
    drawn = {"params": state.params, "stats": state.stats}
    given = dict(zip(drawn, evaluated(other), strict=True))
    names, theirs = named_leaves(drawn), named_leaves(given)
    specs, their_specs = leaf_specs(drawn), leaf_specs(given)
    kept = [name for name in names if specs[name] != their_specs.get(name)]
    if len(kept) == len(names):
        raise ValueError(
            f"model.weights={folder} hold nothing of this net: give --model options like those of "
            "that run, or leave --model.weights out."
        )
    leaves = [leaf if name in kept else theirs[name] for name, leaf in names.items()]
    weights = jax.tree.unflatten(jax.tree.structure(drawn), leaves)
    shown = [name.removesuffix(".value") for name in kept]
    rest = f"; as drawn: {name_some(shown)}" if kept else ""
    print(
        f"{len(names) - len(kept)} of {len(names)} arrays are those of {folder}, step {step}{rest}."
    )
    return with_weights(state, **weights)


def check_checkpoint(checkpoint: str) -> None:
    """Check a choice of a checkpoint.

    Args:
        checkpoint: What was given as one.

    Raises:
        ValueError: It is neither "best" nor "last" nor a whole number.
    """
    if checkpoint not in ("best", "last") and not checkpoint.isdecimal():
        raise ValueError(
            f"checkpoint={checkpoint!r} must be best, last or the number of a step: give for "
            "example --checkpoint last."
        )


def _chosen_step(checkpoints: Checkpoints, checkpoint: str) -> int | None:
    check_checkpoint(checkpoint)
    if checkpoint == "best":
        return checkpoints.best()
    return None if checkpoint == "last" else int(checkpoint)


def read_records(folder: Path) -> tuple[dict[str, Any], ModelConfig, data.DatasetInfo]:
    """Read a run's configuration, its net and its data set from the files that it wrote.

    Args:
        folder: The folder that was `--out` of the training.

    Raises:
        ValueError: A file is missing, damaged, or not of a training run.
    """
    if not (folder / "config.json").is_file() or not (folder / "checkpoints").is_dir():
        raise ValueError(
            f"{folder} is no training run (no config.json, or no checkpoints): give the folder "
            "that was --out of `jaxseg train`."
        )
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        missing = {"model", "optimizer", "data", "steps", "seed"} - set(config)
        if missing:
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        path = folder / "dataset.json"
        info = from_record(data.DatasetInfo, json.loads(path.read_text(encoding="utf-8")))
        return config, from_record(ModelConfig, config["model"]), info
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is no record of a training run, or damaged ({error}): put it back, or train "
            "again."
        ) from error


def evaluated(state: TrainState) -> tuple[Any, Any]:
    """Return the parameters and statistics to evaluate: the moving average where there is one."""
    return state.average or (state.params, state.stats)
