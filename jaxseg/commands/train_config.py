"""The configuration of a training run, and presets of it."""

import importlib.util
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jaxseg.commands.data import DataConfig
from jaxseg.commands.loss import LossConfig
from jaxseg.commands.model import ModelConfig
from jaxseg.data import Augmentation
from jaxseg.training import OptimizerConfig

MAY_DIFFER = (
    "preset",
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
        steps: Batches to train on.
        batch_size: Images a step, of all devices together.
        seed: Seed of the weights, of the order of the images, of augmentation and dropout.
        log_every: Steps between two lines of metrics.jsonl.
        evaluate_every: Steps between two evaluations on the validation split.
        save_every: Steps between two checkpoints; the last step is always saved.
        keep: Number of the newest checkpoints that are kept.
        out: Folder of the run.
        preset: Preset that the other values come from.
        resume: Go on with the run in `out`.
        resume_step: The checkpoint to go on from; None is the newest. Later ones are removed.
        overwrite: Start again over what is in `out`.
        devices: XLA devices of the CPU; other accelerators are all used.
        space: Devices that share the height of each image.
        coordinator: host:port of process 0 where several processes train one net.
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
    keep: int = 2
    out: Path = Path("runs/train")
    preset: str = ""
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
        for name in ("steps", "batch_size", "log_every", "evaluate_every", "save_every", "keep"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1.")
        if self.batch_size % self.optimizer.accumulate:
            raise ValueError(
                f"optimizer.accumulate={self.optimizer.accumulate} does not divide "
                f"batch_size={self.batch_size}: choose a divisor."
            )
        if self.resume and self.overwrite:
            raise ValueError(
                "resume and overwrite are both given: go on with --resume alone, or start again "
                "with --overwrite alone."
            )
        if self.resume_step is not None and not self.resume:
            raise ValueError(
                f"resume_step={self.resume_step} is given without resume: add --resume, or leave "
                "it out."
            )
        if self.tensorboard and importlib.util.find_spec("tensorboardX") is None:
            raise ValueError(
                "tensorboard=True needs tensorboardX: pip install 'jaxseg[tensorboard]', or leave "
                "it out (metrics.jsonl has the same numbers)."
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
    split = " ".join(words).replace("=", " ").split()
    name = dict(itertools.pairwise(split)).get("--data.name", "mosaic")
    return {"mosaic": "quick", "camvid": "camvid"}.get(name, "folder")
