"""Join the shares of a study that several hosts have run with --share I/N.

    jaxseg merge runs/dilation runs/dilation/share-*-of-2
    python -m experiments.dilation --out runs/dilation --resume

The second command, with the other options of the shares, finds nothing left to train and writes the
findings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from jaxseg.studies import merge_shares


@dataclass(frozen=True)
class Config:
    """A merge.

    Attributes:
        out: Folder of the whole study.
        shares: Folders of all shares.
        overwrite: Replace results that are in the folder of the whole study.
    """

    out: tyro.conf.Positional[Path]
    shares: tyro.conf.Positional[tuple[Path, ...]]
    overwrite: bool = False


def main(config: Config) -> None:
    """Join the shares."""
    merge_shares(config.out, config.shares, overwrite=config.overwrite)
    print(
        f"{len(config.shares)} shares are joined in {config.out}: give the study's command with "
        "--resume, and without --share, for the findings."
    )


def command(args: Sequence[str]) -> None:
    """Read the command line and join the shares."""
    words = ["--help" if word == "--help-all" else word for word in args]
    main(tyro.cli(Config, description=__doc__, prog="jaxseg merge", args=words))
