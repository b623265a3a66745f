"""The data set of a training run, as it was when the run began."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from jaxseg import data
from jaxseg.commands.data import DataConfig, load
from jaxseg.data.folders.file_lists import FileLists, name_some
from jaxseg.data.masks.mask_values import show_value
from jaxseg.data.sets.folder import find_pairs
from jaxseg.training import records

RECOMPUTED = ("mean", "std", "palette")
"""Fields of `DatasetInfo` in which the data of a run may differ from what it began with."""


def recorded_data(
    config: Mapping[str, Any], *, directory: Path | None = None, data_dir: Path | None = None
) -> DataConfig:
    """Configure the data set of a run, where it lies now.

    Args:
        config: The configuration of the run, as JSON values.
        directory: The folder of the data set if it has been moved; None is where it was.
        data_dir: Where prepared data is kept; None is where it was.
    """
    saved = config["data"]
    record = dict(saved)
    for name, given in (("directory", directory), ("data_dir", data_dir)):
        record[name] = given or (saved.get(name) and Path(saved[name]))
    return from_record(DataConfig, record)


def open_listed(
    config: DataConfig, lists: FileLists, folder: Path
) -> tuple[data.Dataset, list[Path]]:
    """Open a data set from the lists of a run, and name what has been added to it since.

    Args:
        config: The data set.
        lists: The lists of the run.
        folder: The folder of the run, for messages.

    Returns:
        The data set, and the listed files that hold something else than they did.

    Raises:
        ValueError: The folder or a listed file is missing; or a data set whose splits are fixed
            has other files than it had.
    """
    if lists.root is None:
        return load(config), []
    if config.name == "folder":
        root = (config.directory or lists.root).expanduser()
    else:
        dataset = load(config)
        root = dataset.root or lists.root
    if not root.is_dir():
        raise ValueError(
            f"{root}, the images that {folder} was trained on, is not there: give the folder's new "
            "place by --data.directory."
        )
    changes = lists.changes(root)
    if missing := [change.path for change in changes if change.missing]:
        raise ValueError(
            f"{name_some(missing)} is missing, on which {folder} was trained: put it back, or give "
            "the folder that has it by --data.directory."
        )
    changed = [change.path for change in changes]
    if config.name != "folder":
        if added := lists.unlisted(dataset.pairs, root):
            raise ValueError(
                f"{name_some(added)} was not there when {folder} was trained: remove it from the "
                "data set, whose splits are fixed, or give another --data.directory."
            )
        return dataset, changed
    _name_new_files(lists, root, folder)
    return load(config, pairs=lists.pairs(root)), changed


def _name_new_files(lists: FileLists, root: Path, folder: Path) -> None:
    """Print which images are in the folder of a run's data set, but not in its lists."""
    try:
        current = find_pairs(root, held_out=None, seed=None)
    except ValueError as error:  # what was added is not complete; what is listed is
        print(f"Not all of {root} can be read, only what {folder} was trained with: {error}")
        return
    if added := lists.unlisted(current, root):
        print(
            f"{len(added)} new in {root} since {folder} was trained, and left out here: "
            f"{name_some(added)}."
        )


def check_info(
    folder: Path, old: Mapping[str, Any], info: data.DatasetInfo, may_differ: Sequence[str] = ()
) -> None:
    """Refuse to use a run with images or classes other than those that it was trained with.

    Args:
        folder: The folder of the run.
        old: Its data set, as JSON values.
        info: The data set now.
        may_differ: Fields that do not count.

    Raises:
        ValueError: Another field differs.
    """
    new = records.config_record(info)
    labels = _changed_labels(old, new)
    # Where the labels of values differ, the values of classes tell the same again.
    untold = {"mask_labels", *(("mask_values", "ignored_value") if labels else ()), *may_differ}
    changed = [
        f"{name}: {old.get(name)!r} there, {value!r} now"
        for name, value in new.items()
        if name not in untold and old.get(name) != value
    ]
    if labels:
        changed.append(f"values of masks: {name_some(labels)}")
    if changed:
        raise ValueError(
            f"{folder} was trained on other data ({'; '.join(changed)}): put that back, or train "
            "anew with another --out."
        )


def _changed_labels(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Name the values of masks that stand for another class than they did.

    A value that only one of both tables has is in no mask of the other, and so does not count.
    """
    before, colored = dict(old.get("mask_labels", ())), new["colored_masks"]
    if old.get("colored_masks", False) != colored:
        return []
    return [
        f"{show_value(value, colored=colored)} was {_class_name(old, before[value])}, "
        f"is {_class_name(new, label)} now"
        for value, label in new["mask_labels"]
        if before.get(value, label) != label
    ]


def _class_name(info: Mapping[str, Any], label: int) -> str:
    names = info["class_names"]
    return repr(names[label]) if label < len(names) else "ignored"


def from_record(kind: type, record: dict[str, Any]) -> Any:
    """Build a flat dataclass from JSON values, in which tuples have become lists."""

    def tuples(value):
        return tuple(map(tuples, value)) if isinstance(value, list) else value

    known = {field.name for field in fields(kind)}
    return kind(**{name: tuples(value) for name, value in record.items() if name in known})
