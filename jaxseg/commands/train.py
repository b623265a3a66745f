r"""Train a segmentation net, from a data set's name to weights, curves and a table of classes.

    jaxseg train --preset quick
    jaxseg train --data.name folder --data.directory my_images --out runs/mine
    jaxseg train --preset camvid --model.name deeplabv3plus --out runs/deeplab
    jaxseg train --out runs/deeplab --resume
    jaxseg train --out runs/deeplab --resume --steps 2400
    jaxseg train --config runs/deeplab/config.json --model.weights runs/deeplab \
        --data.directory others --out runs/others

`quick` trains a small U-Net on the embedded mosaic, in about a minute on two cores. `camvid` is a
schedule for two cores within the hour (180 x 240 pixels), `full` one for a GPU (360 x 480).

It leaves in --out: config.json, dataset.json (classes, colors, normalization), files.json (the
files of every split and their SHA-256), metrics.jsonl, checkpoints/, curves.png, panel.png,
results.csv and summary.md. The newest checkpoints stay, and the one with the best mean IoU on the
validation split, which is the one that is reported and that other commands take. --patience N ends
training after N evaluations without a better one.

Ctrl-C and SIGTERM save and stop within a step; --resume goes on from the newest checkpoint, bit for
bit as if nothing had happened, with the options and the files that the run was begun with. With
another --steps, the learning rate follows the schedule of that number from there on. Then:

    jaxseg evaluate --run runs/deeplab --split test --inference.flip
    jaxseg predict --run runs/deeplab --images "photos/*.jpg"
    jaxseg export --run runs/deeplab
"""

import json
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import jax

from jaxseg import data, files
from jaxseg.commands.data import load
from jaxseg.commands.run import FILES, METRIC, start
from jaxseg.commands.run_data import check_info, open_listed
from jaxseg.commands.run_folder import RunFolder, check_free, claim
from jaxseg.commands.train_config import MAY_DIFFER, PRESETS, Config, default_preset, parse
from jaxseg.commands.train_loop import Training
from jaxseg.commands.train_report import report
from jaxseg.data.folders.file_lists import FileLists, name_some
from jaxseg.progress import busy
from jaxseg.startup import Stopped, disk_is_full
from jaxseg.training import Diverged, records, use_all_cores
from jaxseg.training.checkpoint import Checkpoints
from jaxseg.training.checkpoint.folders import complete_steps
from jaxseg.training.devices import batch_mesh, join_processes

__all__ = ["PRESETS", "Config", "Diverged", "command", "default_preset", "main"]

WRITTEN = (
    "config.json",
    "dataset.json",
    FILES,
    "metrics.jsonl",
    "results.csv",
    "summary.md",
    "curves.png",
    "panel.png",
)
"""Files that a run writes into its folder."""


def main(config: Config) -> None:
    """Train to the last step, or until told to stop, then write tables and figures."""
    use_all_cores(config.devices)
    join_processes(config.coordinator, config.processes, config.process)
    config, leader = _absolute(config), jax.process_index() == 0
    folder = RunFolder(config.out, _names(config))
    if leader:
        if folder.has_previous:
            with records.only_run(config.out):
                folder.recover()
        _check_folder(config)
    dataset = _open_data(config)
    _check_run(config, dataset.info)
    if leader:
        files.make_folder(config.out)
    with records.only_run(config.out) if leader else nullcontext():
        try:
            steps_before = _open_folder(config, dataset, folder) if leader else None
            _train(config, dataset, folder, steps_before)
        except BaseException:
            if leader and folder.has_previous:
                folder.recover()
            raise


def _train(
    config: Config, dataset: data.Dataset, folder: RunFolder, steps_before: int | None
) -> None:
    options = {"keep": config.keep, "keep_best": 1, "metric": METRIC}
    with Checkpoints(config.out / "checkpoints", **options) as checkpoints:
        if not config.resume:
            checkpoints.discard_after(-1)
        training = Training(config, dataset, checkpoints, folder, steps_before)
        state = training.run()
        state = training.best(state)
        confusion = training.evaluate(state)
    if confusion is not None and jax.process_index() == 0:
        with busy("drawing"):
            text = report(
                config, training.info, state, confusion, training.validation, training.apply
            )
        print(f"\n{text}")


def _absolute(config: Config) -> Config:
    """Make the paths of a configuration absolute, so that the run is found from elsewhere."""

    def absolute(path: Path | None) -> Path | None:
        return path and path.expanduser().absolute()

    place = replace(
        config.data,
        directory=absolute(config.data.directory),
        data_dir=absolute(config.data.data_dir),
    )
    model = replace(config.model, weights=absolute(config.model.weights))
    return replace(config, data=place, model=model)


def _names(config: Config) -> tuple[str, ...]:
    """Name the files and folders that a run writes, besides its checkpoints."""
    return (*WRITTEN, *["tensorboard"] * config.tensorboard)


def _check_folder(config: Config) -> None:
    """Refuse a folder that holds another run, or files that are not a run's.

    This is checked first, before a data set is prepared for nothing.
    """
    out, saved = config.out, config.out / "config.json"
    if config.resume:
        if saved.exists():
            records.check_unchanged(out, config, may_differ=MAY_DIFFER)
        check_free(out, _names(config), trusted=True)
        return
    check_free(out, _names(config))
    has_results = (out / "metrics.jsonl").exists() or complete_steps(out / "checkpoints")
    if has_results and not config.overwrite:
        raise ValueError(
            f"{out} holds results of an earlier run: go on with --resume, start again with "
            "--overwrite, or give another --out."
        )


def _open_data(config: Config) -> data.Dataset:
    """Open the data set; that of a run that goes on from its lists, if nothing has changed."""
    if not (config.resume and (config.out / "config.json").exists()):
        return load(config.data)
    lists = FileLists.read(config.out / FILES)
    dataset, changed = open_listed(config.data, lists, config.out)
    if changed:
        raise ValueError(
            f"{name_some(changed)} holds something else than when {config.out} was begun: put it "
            "back, or train anew with --overwrite or another --out."
        )
    old = records.read_config(config.out / "dataset.json")
    check_info(config.out, old, dataset.info)
    return dataset


def _check_run(config: Config, info: data.DatasetInfo) -> None:
    """Refuse an impossible run before anything of an earlier one is touched."""
    batch_mesh(config.batch_size, space=config.space)
    weights = config.model.weights
    if weights is not None and not config.resume and not weights.exists():
        raise ValueError(
            f"model.weights={weights} is missing: correct --model.weights, a file of torchvision's "
            "weights or the folder of a training run."
        )
    jax.eval_shape(lambda: start(config.model, config.optimizer, info, config.steps, config.seed))


def _open_folder(config: Config, dataset: data.Dataset, folder: RunFolder) -> int | None:
    """Write what the run begins with; return the steps that a resumed run was to take."""
    out, steps_before = config.out, None
    _check_folder(config)  # again, now that the folder is ours alone
    goes_on = config.resume and (out / "config.json").exists()
    lists = None if goes_on else FileLists.of(dataset)
    if goes_on:
        steps_before = int(records.read_config(out / "config.json")["steps"])
    claim(out, _names(config), trusted=config.resume)
    if config.overwrite:
        folder.set_aside()
    if lists is not None:
        lists.write(out / FILES)
    info = json.dumps(records.config_record(dataset.info))
    files.write_text(out / "dataset.json", info + "\n")
    # The last of the three: with it, the folder counts as a run.
    records.write_config(out, config)
    return steps_before


def command(args: Sequence[str]) -> None:
    """Read the command line and train."""
    config = parse(args, __doc__)
    go_on = f"jaxseg train --out {config.out} --resume"
    try:
        main(config)
    except Stopped as stop:
        if not stop.advice and (config.out / "config.json").exists():
            stop.advice = f"To go on from its last checkpoint: {go_on}"
        raise
    except Exception as error:
        if disk_is_full(error) and (config.out / "config.json").exists():
            raise OSError(f"{error}. Once there is space, go on: {go_on}") from error
        raise
