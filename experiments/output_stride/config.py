"""Arms, configuration and presets of the output_stride study."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from jaxseg.studies import StudyConfig, check_names

STRIDES = ("stride 4", "stride 8", "stride 16", "stride 32")
SKIPS = ("fcn8s", "fcn16s", "fcn32s")
"""The arms of either kind, the best one by the literature first."""
ARMS: dict[str, dict[str, Any]] = {
    **{f"stride {n}": {"name": "fcn", "output_stride": n} for n in (32, 16, 8, 4)},
    **{name: {"name": name} for name in reversed(SKIPS)},
}
"""Arm -> the options of the net that set it apart."""
LABELS = {arm: arm.replace("fcn", "FCN-") for arm in ARMS}
"""Arm -> its name for people."""


@dataclass(frozen=True, kw_only=True)
class Config(StudyConfig):
    """The study.

    Attributes:
        devices: XLA devices on a CPU that share each batch; 0 is one a core.
        dataset: Name of the data set; "mosaic" is embedded, the others need a folder.
        directory: That folder; otherwise the environment variable JAXSEG_<NAME> names it.
        size: Height and width of the images in pixels.
        arms: The arms to run.
        width: Channels of the encoder's stem.
        steps: Steps of each run.
        batch_size: Images a step.
        learning_rate: Peak learning rate of each run.
        seeds: Runs of each arm.
        split: The split that is evaluated at the end.
    """

    devices: int = 1
    out: Path = Path("runs/output_stride")
    dataset: str = "mosaic"
    directory: Path | None = None
    size: tuple[int, int] = (64, 64)
    arms: tuple[str, ...] = tuple(ARMS)
    width: int = 16
    steps: int = 300
    batch_size: int = 8
    learning_rate: float = 2e-3
    seeds: int = 2
    split: str = "test"

    may_differ: ClassVar[tuple[str, ...]] = (*StudyConfig.may_differ, "arms", "seeds", "directory")
    """Arms and seeds may be added: every row says what it was made with."""

    def __post_init__(self):
        """Refuse what cannot be run."""
        super().__post_init__()
        check_names("arms", self.arms, tuple(ARMS))
        self.require(1, "seeds", "steps", "batch_size", "width", "size")
        if self.dataset == "mosaic" and self.size[0] != self.size[1]:
            raise ValueError(f"size={self.size}: mosaics are square; give one side twice.")
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(f"learning_rate={self.learning_rate} must be a positive number.")


PRESETS = {
    "tiny": Config(
        size=(32, 32), arms=("stride 32", "stride 8"), width=4, steps=4, batch_size=2, seeds=1
    ),
    "quick": Config(),
    "camvid": Config(dataset="camvid", size=(90, 120), width=32, steps=800, seeds=1),
}
