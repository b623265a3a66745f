"""Configurations that every study shares: frozen dataclasses, whose fields are flags."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, TypeVar

Item = TypeVar("Item")


class ShareFinished(Exception):
    """A share of a study has run all of its arms, and has no findings of its own."""


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """Configuration that every study has.

    Attributes:
        preset: The preset that the other values come from.
        out: Folder of the results.
        data_dir: Where prepared data is kept; None is the user's TFDS folder.
        devices: XLA devices on a CPU; 0 is one a core.
        resume: Go on with what is in `out`.
        overwrite: Start again over what is in `out`.
        share: "I/N" runs share I, from 1, of N shares of the arms, in a folder of its own in
            `out`; `jaxseg merge` joins the shares.
    """

    preset: str = "quick"
    out: Path = Path("runs/study")
    data_dir: Path | None = None
    devices: int = 0
    resume: bool = False
    overwrite: bool = False
    share: str | None = None

    may_differ: ClassVar[tuple[str, ...]] = (
        "preset",
        "out",
        "data_dir",
        "devices",
        "resume",
        "overwrite",
    )
    """Fields that may change when a study goes on: they change no result."""

    def __post_init__(self):
        """Refuse what cannot be run."""
        if self.resume and self.overwrite:
            raise ValueError(
                "resume and overwrite exclude each other: --resume goes on with what is there, "
                "--overwrite starts again."
            )
        if self.devices < 0:
            raise ValueError(f"devices={self.devices} must not be negative: 0 means one a core.")
        _ = self.share_numbers

    @property
    def share_numbers(self) -> tuple[int, int]:
        """I and N of the share "I/N"; (1, 1) for a study that is not shared out.

        Raises:
            ValueError: The share is not written like this, or I is not from 1 to N.
        """
        if self.share is None:
            return 1, 1
        match = re.fullmatch(r"(\d+)/(\d+)", self.share)
        number, count = map(int, match.groups()) if match else (0, 0)
        if not 1 <= number <= count:
            raise ValueError(
                f"share={self.share!r} must be I/N with I from 1 to N, such as 1/2 and 2/2 for "
                "two hosts."
            )
        return number, count

    def shared(self, items: Iterable[Item]) -> list[Item]:
        """Select the items of this share: every N-th one; all where the study is not shared out.

        Args:
            items: What the study runs, such as its arms, the same in every share.

        Example:
            >>> from jaxseg.studies import StudyConfig
            >>> StudyConfig(share="2/3").shared(["a", "b", "c", "d", "e"])
            ['b', 'e']
        """
        number, count = self.share_numbers
        return list(items)[number - 1 :: count]

    def end_share(self) -> None:
        """End the run of a share; a study calls this before it looks at the results of all arms.

        Raises:
            ShareFinished: This is a share; `execute` catches it.
        """
        if self.share is not None:
            raise ShareFinished

    def require(self, least: int, *names: str) -> None:
        """Check that numbers, or all numbers of a tuple, are at least `least`.

        Args:
            least: The smallest value that is allowed.
            *names: Of the fields.

        Raises:
            ValueError: One is smaller, or a tuple is empty.
        """
        for name in names:
            value = getattr(self, name)
            numbers = value if isinstance(value, tuple) else (value,)
            if not numbers or not min(numbers) >= least:
                raise ValueError(f"{name}={value} must be at least {least}.")


@dataclass(frozen=True, kw_only=True)
class SweepConfig(StudyConfig):
    """Configuration of a study whose nets are trained from several seeds at several rates.

    Attributes:
        arms: The arms to run.
        seeds: Runs of each arm and learning rate.
        learning_rates: They stay for half of the steps, then fall to 0 linearly.
        steps: Steps of training.
        batch_size: Images a step.
        clip: Largest norm of the gradient.
    """

    arms: tuple[str, ...] = ()
    seeds: int = 3
    learning_rates: tuple[float, ...] = (1e-3, 4e-3)
    steps: int = 150
    batch_size: int = 4
    clip: float = 1.0

    known_arms: ClassVar[tuple[str, ...]] = ()
    """All arms of the study; a subclass names them."""
    may_differ: ClassVar[tuple[str, ...]] = (
        *StudyConfig.may_differ,
        "arms",
        "seeds",
        "learning_rates",
    )
    """Arms, seeds and rates may be added: every row says what it was made with."""

    def __post_init__(self):
        """Refuse what cannot be run."""
        super().__post_init__()
        check_names("arms", self.arms, self.known_arms)
        self.require(1, "seeds", "steps", "batch_size")
        rates = self.learning_rates
        positive = all(0 < rate < math.inf for rate in rates)
        if not rates or len({*rates}) < len(rates) or not positive:
            raise ValueError(f"learning_rates={rates}: give positive numbers, each once.")
        if not self.clip > 0:
            raise ValueError(f"clip={self.clip} must be positive: inf clips nothing.")


def check_names(field_name: str, given: tuple[str, ...], known: tuple[str, ...]) -> None:
    """Refuse names that a study does not know, none at all, and one given twice.

    Args:
        field_name: The configuration's field, for the message.
        given: What the user gave.
        known: What there is.

    Raises:
        ValueError: See above.
    """
    unknown = [name for name in given if name not in known]
    if unknown or not given or len({*given}) < len(given):
        raise ValueError(
            f"{field_name}={given} must be some of {', '.join(known)}, each once"
            + (f"; unknown: {', '.join(unknown)}." if unknown else ".")
        )
