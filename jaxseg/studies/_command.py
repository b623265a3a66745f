"""The command of a study: its command line, its folder, and what it leaves there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from jaxseg import cli
from jaxseg.files import write_text
from jaxseg.startup import Stopped, launch
from jaxseg.studies.config import ShareFinished, StudyConfig
from jaxseg.studies.findings import STUDY, Findings
from jaxseg.studies.merge import SHARE
from jaxseg.training import records, use_all_cores

Config = TypeVar("Config", bound=StudyConfig)
WRITTEN = (STUDY, SHARE, "*.csv", "summary.md", "*.png", "members/*.npz", "arrays/*.npy")
"""Files that studies leave in their folders, besides config.json."""


def execute(
    name: str, run: Callable[[Config], Findings], config: Config, *, program: str = ""
) -> Findings | None:
    """Run a study in its folder and write its findings there.

    Args:
        name: The study's name.
        run: The study.
        config: Its configuration.
        program: The command that runs the study, for the report.

    Returns:
        The findings as written; None for a share, which has none.

    Raises:
        ValueError: The folder belongs to another run or holds other results, or the study refuses;
            or, with everything written, the findings report a failure.
        Stopped: Ctrl-C or SIGTERM; its advice says how to go on.
    """
    number, count = config.share_numbers
    whole = config.out
    if config.share is not None:
        config = replace(config, out=whole / f"share-{number}-of-{count}")
    use_all_cores(config.devices)
    with records.only_run(config.out):
        records.open_run(
            config.out,
            config,
            results="results.csv",
            written=WRITTEN,
            may_differ=config.may_differ,
            resume=config.resume,
            overwrite=config.overwrite,
        )
        # What an earlier run found is not what this one will have found.
        for file in (STUDY, SHARE):
            (config.out / file).unlink(missing_ok=True)
        try:
            findings = replace(
                run(config),
                study=name,
                command=program,
                preset=config.preset,
                versions=records.versions(),
            )
            if config.share is not None:
                raise ValueError(
                    f"{name} ran every arm, since it does not call config.shared and "
                    "config.end_share: run it without --share."
                )
            text = findings.write(config.out)
        except ShareFinished:
            write_text(config.out / SHARE, f'{{"share": "{config.share}"}}\n')
            print(
                f"\nShare {config.share} is finished, in {config.out}. When all are: jaxseg merge "
                f"{whole} {whole}/share-*-of-{count}"
            )
            return None
        except Stopped as stop:
            stop.advice = (
                f"What is finished is in {config.out}: to go on, give the same command with "
                "--resume (and without --overwrite)."
            )
            raise
    print(f"\n{text}\nIn {config.out}: {', '.join((*findings.figures, STUDY))}.")
    if findings.failure:
        raise ValueError(findings.failure)
    return findings


def command(
    name: str,
    run: Callable[[Config], Findings],
    presets: Mapping[str, Config],
    *,
    description: str | None,
    program: str = "",
    args: Sequence[str] | None = None,
) -> None:
    """Read a study's command line and execute it.

    Args:
        name: The study's name.
        run: The study.
        presets: Name -> configuration; "quick", or else the first one, is the default.
        description: Shown by `--help`.
        program: The command that runs the study.
        args: The command line without the program's name; None reads `sys.argv`.

    Raises:
        ValueError: See `execute`; or the preset is unknown.
    """
    default = "quick" if "quick" in presets else next(iter(presets))
    config = cli.parse(presets, default, description=description, program=program, args=args)
    execute(name, run, config, program=program)


def main(
    name: str,
    run: Callable[[Config], Findings],
    presets: Mapping[str, Config],
    *,
    description: str | None,
    program: str = "",
    args: Sequence[str] | None = None,
) -> None:
    """Be the main program of a study: `command`, with one-line errors and exit statuses.

    Args:
        name: The study's name.
        run: The study.
        presets: Name -> configuration; "quick", or else the first one, is the default.
        description: Shown by `--help`.
        program: The command that runs the study.
        args: The command line without the program's name; None reads `sys.argv`.

    Raises:
        SystemExit: Always, with the exit status; see `jaxseg.startup.launch`.
    """

    def load():
        return lambda words: command(
            name, run, presets, description=description, program=program, args=words
        )

    launch(name, load, args)
