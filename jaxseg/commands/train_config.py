"""The configuration of a training run, and presets of it."""

import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast, get_args

from jaxseg import cli
from jaxseg.commands.data import DataConfig
from jaxseg.commands.loss import LossConfig
from jaxseg.commands.model import ModelConfig, ModelName, without_unread
from jaxseg.data import Augmentation
from jaxseg.training import OptimizerConfig

MAY_DIFFER = (
    "preset",
    "config",
    "steps",
    "patience",
    "out",
    "resume",
    "resume_step",
    "overwrite",
    "devices",
    "space",
    "coordinator",
    "processes",
    "process",
    "log_every",
    "evaluate_every",
    "save_every",
    "keep",
    "tensorboard",
    "data.directory",
    "data.data_dir",
)
"""Fields that may change when a run goes on."""
COMMON = (
    "preset",
    "data.name",
    "data.directory",
    "data.size",
    "model.name",
    "out",
    "steps",
    "batch_size",
    "optimizer.learning_rate",
    "patience",
    "config",
    "resume",
)
"""Fields on the first page of help."""


@dataclass(frozen=True)
class Config:
    """A training run.

    Attributes:
        model: The net.
        data: The data set.
        optimizer: How it is trained.
        augmentation: Changes of each training image.
        loss: The loss.
        steps: Batches to train on. A run can be resumed with another number: the learning rate then
            follows the schedule of that number, from the step that is reached.
        batch_size: Images a step, of all devices together.
        seed: Seed of the weights, of the order of the images, of augmentation and dropout.
        log_every: Steps between two lines of metrics.jsonl.
        evaluate_every: Steps between two evaluations on the validation split; the last step is
            always evaluated.
        save_every: Steps between two checkpoints; the last step is always saved, and so is the one
            with the best mean IoU on the validation split.
        patience: Evaluations in a row without a better mean IoU after which training ends; None
            trains to the last step.
        keep: Number of the newest checkpoints that are kept, besides the best one.
        out: Folder of the run.
        preset: Preset that the other values come from.
        config: A JSON file of options, such as the config.json of a run; flags go over it.
        resume: Go on with the run in `out`, with the options that it was begun with.
        resume_step: The checkpoint to go on from; None is the newest. Later ones are removed.
        overwrite: Start again over the run in `out`, which is kept until the first checkpoint of
            the new one is whole; its evaluations and predictions in `out` go with it.
        devices: XLA devices of the CPU; other accelerators are all used.
        space: Devices that share the height of each image.
        coordinator: host:port of process 0 where several processes train one net; "auto" where
            SLURM, Kubernetes or Open MPI has started them, "mpi4py" for another MPI.
        processes: Number of these processes. The curve is that of one process except for rounding,
            and for dropout, which depends on an image's place in the batch.
        process: Number of this process.
        tensorboard: Write event files too (needs tensorboardX).
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    augmentation: Augmentation = field(default_factory=Augmentation)
    loss: LossConfig = field(default_factory=LossConfig)
    steps: int = 1000
    batch_size: int = 8
    seed: int = 0
    log_every: int = 10
    evaluate_every: int = 200
    save_every: int = 100
    patience: int | None = None
    keep: int = 2
    out: Path = Path("runs/train")
    preset: str = ""
    config: Path | None = None
    resume: bool = False
    resume_step: int | None = None
    overwrite: bool = False
    devices: int = 1
    space: int = 1
    coordinator: str | None = None
    processes: int = 1
    process: int = 0
    tensorboard: bool = False

    def __post_init__(self):
        """Refuse numbers that cannot be run."""
        least_one = ("steps", "batch_size", "log_every", "evaluate_every", "save_every", "keep")
        for name in (*least_one, "devices", "space", "processes", "patience"):
            value = getattr(self, name)
            if value is not None and value < 1:
                flag = f"--{name.replace('_', '-')}"
                raise ValueError(f"{flag} {value} must be at least 1.")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"--seed {self.seed} must be from 0 to 2**32 - 1.")
        if self.batch_size % self.optimizer.accumulate:
            raise ValueError(
                f"optimizer.accumulate={self.optimizer.accumulate} does not divide "
                f"batch_size={self.batch_size}: choose a divisor (--optimizer.accumulate)."
            )
        if self.resume and self.overwrite:
            raise ValueError(
                "resume and overwrite are both given: go on with --resume alone, or start again "
                "with --overwrite alone."
            )
        if self.resume_step is not None and not self.resume:
            raise ValueError(
                f"resume_step={self.resume_step} is given without resume: add --resume, or leave "
                "--resume-step out."
            )
        if self.tensorboard and importlib.util.find_spec("tensorboardX") is None:
            raise ValueError(
                "tensorboard=True needs tensorboardX: pip install 'jaxseg[tensorboard]', or leave "
                "--tensorboard out (metrics.jsonl has the same numbers)."
            )


_STREET = Augmentation(
    scale=(0.75, 1.5), crop=(144, 192), brightness=0.3, contrast=0.3, saturation=0.3
)
PRESETS = {
    "quick": Config(
        model=ModelConfig(widths=(8, 16, 32)),
        data=DataConfig(name="mosaic", size=(48, 48)),
        augmentation=Augmentation(scale=(1.0, 1.0), brightness=0.1, contrast=0.1),
        optimizer=OptimizerConfig(learning_rate=3e-3, average=0.98),
        steps=400,
        out=Path("runs/quick"),
    ),
    "folder": Config(
        model=ModelConfig(widths=(16, 32, 64, 128)),
        data=DataConfig(name="folder"),
        augmentation=Augmentation(brightness=0.2, contrast=0.2, saturation=0.2),
        optimizer=OptimizerConfig(average=0.98),
        steps=300,
        evaluate_every=100,
        out=Path("runs/folder"),
    ),
    "camvid": Config(
        data=DataConfig(name="camvid", size=(180, 240)),
        augmentation=_STREET,
        loss=LossConfig(class_weights="inverse_log"),
        optimizer=OptimizerConfig(learning_rate=1e-3, warmup=50, weight_decay=0.01, average=0.99),
        steps=1200,
        evaluate_every=300,
        out=Path("runs/camvid"),
    ),
    "full": Config(
        model=ModelConfig(name="deeplabv3plus", backbone="resnet50", dtype="bfloat16"),
        data=DataConfig(name="camvid", size=(360, 480)),
        augmentation=Augmentation(crop=(352, 480), brightness=0.3, contrast=0.3, saturation=0.3),
        optimizer=OptimizerConfig(learning_rate=5e-4, warmup=500, average=0.999),
        steps=40_000,
        evaluate_every=1000,
        save_every=1000,
        batch_size=16,
        out=Path("runs/full"),
    ),
}


def default_preset(words: Sequence[str]) -> str:
    """Choose the preset that goes with the data set that a command line names."""
    name = cli.flag_value(words, "--data.name") or "mosaic"
    return {"mosaic": "quick", "camvid": "camvid"}.get(name, "folder")


def parse(words: Sequence[str], description: str | None) -> Config:
    """Read the command line of a run: flags over a preset, a file, or the run that goes on.

    Args:
        words: The command line without the program's name.
        description: Shown by `--help`.

    Raises:
        ValueError: The file or the run is missing or damaged, or sources contradict each other.
        SystemExit: Help was asked for, or the command line does not parse.
    """
    file, preset = cli.flag_value(words, "--config"), cli.flag_value(words, "--preset")
    if "--resume" in words and "--overwrite" not in words:  # the two are refused together below
        base = _recorded(words, file, preset)
    elif file is not None:
        if preset is not None:
            raise ValueError(
                f"--preset {preset} and --config {file} are both given: give one of them (the file "
                'may name its preset, as "preset").'
            )
        base = read_config_file(Path(file))
    else:
        name = preset or default_preset(words)
        base = PRESETS.get(name, Config())
        net = cli.flag_value(words, "--model.name")
        if net is not None and net in get_args(ModelName):
            # Options of the preset that are those of another net go; what the user gives stays.
            named = replace(base.model, name=cast(ModelName, net))
            base = replace(base, model=replace(without_unread(named), name=base.model.name))
        presets = {**PRESETS, name: base} if name in PRESETS else PRESETS
        return _parse(presets, name, words, description)
    name = base.preset or "none"
    return replace(_parse({name: base}, name, words, description), preset=base.preset)


def read_config_file(path: Path) -> Config:
    """Read the options in a JSON file: a run's config.json, or some options by hand.

    Args:
        path: The file. Options that it leaves out are those of the preset that it names, or else of
            the one that goes with its data set. How a run was begun (resume, overwrite) is not
            read.

    Raises:
        ValueError: The file is missing, is no JSON, or holds what is no option or out of range.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(record, dict):
            raise ValueError("it holds no options by name")
        about = {"versions", "resume", "resume_step", "overwrite", "config"}
        record = {name: value for name, value in record.items() if name not in about}
        settings = record.get("data")
        data_set = settings.get("name") if isinstance(settings, dict) else None
        words = ["--data.name", data_set] if isinstance(data_set, str) else []
        name = record.get("preset") or default_preset(words)
        if name not in PRESETS:
            raise ValueError(f"preset={name!r} must be one of {', '.join(PRESETS)}")
        base = PRESETS[name]
        chosen = record.get("model")
        net = chosen.get("name") if isinstance(chosen, dict) else None
        if net in get_args(ModelName):
            named = without_unread(replace(base.model, name=cast(ModelName, net)))
            base = replace(base, model=named)
        return cli.from_json(replace(base, preset=name), record)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as a configuration: {error}") from error


def _recorded(words: Sequence[str], file: str | None, preset: str | None) -> Config:
    """Read the configuration of the run that is to go on."""
    if file is not None:
        raise ValueError(
            f"--resume goes on with the options that the run was begun with: leave --config {file} "
            "out."
        )
    out = cli.flag_value(words, "--out")
    named = PRESETS.get(preset or default_preset(words), Config())
    folder = named.out if out is None else Path(out)
    if not (folder / "config.json").is_file():
        raise ValueError(
            f"{folder} holds no run to go on with (no config.json): correct --out, or leave "
            "--resume out to begin one."
        )
    base = replace(read_config_file(folder / "config.json"), out=folder)
    if preset is not None and preset != base.preset:
        raise ValueError(
            f"{folder} was begun with --preset {base.preset or 'of no name'}, not {preset}: leave "
            "--preset out, or give another --out."
        )
    return base


def _parse(
    presets: Mapping[str, Config], default: str, words: Sequence[str], description: str | None
) -> Config:
    return cli.parse(
        presets, default, description=description, args=words, program="jaxseg train", common=COMMON
    )
