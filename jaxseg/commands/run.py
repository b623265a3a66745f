"""Training runs: their state before the first step, and as they are opened again."""

import json
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import jax

from jaxseg import data
from jaxseg.commands.data import DataConfig, load
from jaxseg.commands.model import ModelConfig, functions
from jaxseg.training import OptimizerConfig, TrainState, init_state, make_optimizer
from jaxseg.training.checkpoint import Checkpoints


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
        config: Its configuration, as JSON values.
        info: What its images and labels mean.
        step: Steps that it has been trained for.
        logits: Maps images (batch, height, width, channels) of any size, of 8 bits or floating
            from 0 to 1, to logits (batch, height, width, classes); to be jitted.
    """

    config: dict[str, Any]
    info: data.DatasetInfo
    step: int
    logits: Callable[[jax.Array], jax.Array]

    def open_data(
        self, *, directory: Path | None = None, data_dir: Path | None = None
    ) -> data.Dataset:
        """Open the data set that the run was trained on.

        Args:
            directory: The folder of the data set if it has been moved; None is where it was.
            data_dir: Where prepared data is kept; None is where it was.

        Raises:
            ValueError: The folder or a file is missing, or its classes are not those of the run.
        """
        saved = self.config["data"]
        dataset = load(
            DataConfig(
                name=saved["name"],
                directory=directory or (saved["directory"] and Path(saved["directory"])),
                size=self.info.size,
                data_dir=data_dir or (saved["data_dir"] and Path(saved["data_dir"])),
            )
        )
        if dataset.info.class_names != self.info.class_names:
            raise ValueError(
                f"the data has the classes {list(dataset.info.class_names)}, but the run was "
                f"trained on {list(self.info.class_names)}: evaluate on data of the same classes."
            )
        return dataset


def load_run(folder: Path, *, checkpoint: str = "best") -> Run:
    """Open a run at one of its checkpoints.

    The moving average is taken where the run has one.

    Args:
        folder: The folder that was `--out` of the training.
        checkpoint: "best", "last" (the newest) or the number of a step.

    Raises:
        ValueError: There is no such run or checkpoint, or it is damaged.
    """
    config, model, info = read_records(folder)
    optimizer = from_record(OptimizerConfig, config["optimizer"])
    like = jax.eval_shape(lambda: start(model, optimizer, info, config["steps"], config["seed"]))
    with Checkpoints(folder / "checkpoints", read_only=True) as checkpoints:
        step = int(checkpoint) if checkpoint.isdecimal() else None
        number, state, _ = checkpoints.restore(like, step, with_iterator_state=False)
    _, apply = functions(model, info.classes, info.channels)
    params, stats = evaluated(state)

    def logits(images):
        return apply(params, stats, info.normalize(images), train=False)[0]

    return Run(config, info, number, logits)


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
        config = json.loads(path.read_text())
        missing = {"model", "optimizer", "data", "steps", "seed"} - set(config)
        if missing:
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        path = folder / "dataset.json"
        info = from_record(data.DatasetInfo, json.loads(path.read_text()))
        return config, from_record(ModelConfig, config["model"]), info
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path} is no record of a training run, or damaged ({error}): put it back, or train "
            "again."
        ) from error


def evaluated(state: TrainState) -> tuple[Any, Any]:
    """Return the parameters and statistics to evaluate: the moving average where there is one."""
    return state.average or (state.params, state.stats)


def from_record(kind: type, record: dict[str, Any]) -> Any:
    """Build a flat dataclass from JSON values, in which tuples have become lists."""

    def tuples(value):
        return tuple(map(tuples, value)) if isinstance(value, list) else value

    known = {field.name for field in fields(kind)}
    return kind(**{name: tuples(value) for name, value in record.items() if name in known})
