"""The part of `jaxseg inspect` on a folder of one's own: its files, before anything is prepared."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from jaxseg import files
from jaxseg.data.folders.folder_scan import (
    FolderScan,
    find_masks,
    list_contents,
    scan_masks,
    scan_pairs,
)
from jaxseg.data.folders.layouts import find_pairs
from jaxseg.data.folders.unused_files import describe_unused, unused_files
from jaxseg.data.images.image_files import FilePair
from jaxseg.data.images.orientation import MaskOrientation
from jaxseg.data.images.repeated_pictures import describe_repeated
from jaxseg.data.masks import class_lists, mask_doubts
from jaxseg.data.masks.class_drafts import draft_classes
from jaxseg.data.masks.class_lists import ClassList
from jaxseg.data.masks.mask_classes import Classes
from jaxseg.data.masks.mask_labels import assign_labels
from jaxseg.data.masks.mask_survey import Entry, MaskSurvey, Tally
from jaxseg.data.masks.mask_values import IGNORE_INDEX, show_value
from jaxseg.data.sets.folder import class_list

_MOST_ROWS = 64
_MOST_PROBLEMS = 12


def examine(
    root: Path,
    *,
    write_classes: bool,
    out: Path,
    held_out: float | None = None,
    seed: int | None = None,
    mask_orientation: MaskOrientation | None = None,
) -> None:
    """Prints what the files of a folder hold, and drafts a list of classes.

    Nothing here is refused: what the folder is refused for is printed with all the rest.

    Args:
        root: The folder.
        write_classes: Write the draft, as classes.txt in the folder, or beside the tables if the
            folder has one.
        out: Folder of the tables.
        held_out: Share of the images that is held out, where the folder is not split.
        seed: Seed of that draw.
        mask_orientation: Pixels that masks without an orientation tag were drawn on.

    Raises:
        ValueError: The folder is missing, or the draft cannot be written.
    """
    if not root.is_dir():
        raise ValueError(
            f"directory={str(root)!r} is not a folder, expected one of images and masks: correct "
            "--data.directory"
        )
    pairs, refusals = None, []
    try:
        pairs = find_pairs(root, held_out=held_out, seed=seed)
    except ValueError as error:
        refusals.append(str(error))
    if pairs is None:
        scan = scan_masks(root, find_masks(root))
    else:
        scan = scan_pairs(root, pairs, mask_orientation or "unknown")
    listed, classes = None, None
    try:
        listed = class_list(root)
    except (ValueError, OSError) as error:
        refusals.append(str(error))
    else:
        try:
            classes = assign_labels(scan.masks, listed) if scan.masks.masks else None
        except ValueError as error:
            refusals.append(str(error))
    print("\n".join(report(root, pairs, scan, classes, refusals)))
    if write_classes:
        print(f"\n{_write(root, scan.masks, listed, out)}")
    print()


def report(
    root: Path,
    pairs: Mapping[str, list[FilePair]] | None,
    scan: FolderScan,
    classes: Classes | None,
    refusals: list[str],
) -> list[str]:
    """Writes what the files of a folder hold, as lines.

    Args:
        root: The folder.
        pairs: The pairs of every split, or None where they could not be found.
        scan: What the files hold.
        classes: The meaning of the masks' values, or None where it is open.
        refusals: What the folder as a whole is refused for.
    """
    lines = _contents(root) if pairs is None else [_splits(root, pairs)]
    unused = [] if pairs is None else unused_files(root, pairs)
    lines += [
        f"masks: {number} {kind}, such as {file}"
        for kind, (number, file) in scan.masks.formats.items()
    ]
    if scan.masks.masks:
        lines += ["", *table(scan.masks, classes), ""]
    if classes is not None and classes.remark:
        lines.append(f"  {classes.remark}")
    notes = [
        describe_unused(root, unused),
        *_orientations(scan),
        describe_repeated(tuple(scan.pictures.across_splits)),
    ]
    notes += [*_rare(scan.masks), *scan.problems[:_MOST_PROBLEMS]]
    if len(scan.problems) > _MOST_PROBLEMS:
        notes.append(f"... and {len(scan.problems) - _MOST_PROBLEMS} further files like these")
    lines += [f"! {note}" for note in (*notes, *refusals) if note]
    if refusals:
        lines += ["", f"{class_lists.FILE} settles what masks mean. {class_lists.SYNTAX}"]
    return lines


def table(survey: MaskSurvey, classes: Classes | None) -> list[str]:
    """Writes a line for every value of the masks: how often it occurs and what it means.

    Args:
        survey: What the masks hold.
        classes: The meaning of the values, or None where it is open.
    """
    rows = sorted(survey.entries.items(), key=lambda item: _order(item[0]))
    lines = [
        f"{'value':>9}  {'color':15}{'class':20}{'pixels':>12}{'%':>8}{'masks':>7}  first mask"
    ]
    for entry, tally in rows[:_MOST_ROWS]:
        number = "" if entry.kind == "color" and entry.number is None else entry.number
        color = ""
        if entry.color is not None and entry.kind != "gray":
            color = show_value(entry.color, colored=True)
        lines.append(
            f"{number!s:>9}  {color:15}{_meaning(entry, classes):20}{tally.pixels:12}"
            f"{100 * tally.pixels / survey.pixels:8.2f}{tally.masks:7}  {tally.file}"
        )
    if len(rows) > _MOST_ROWS:
        lines.append(f"... and {len(rows) - _MOST_ROWS} further values")
    return lines


def _meaning(entry: Entry, classes: Classes | None) -> str:
    if classes is None:
        return "?"
    value = entry.color if classes.colored else entry.number
    label = classes.labels.get(-1 if value is None else value)
    if label is None:
        return "?"
    return "(ignored)" if label == IGNORE_INDEX else f"{label} {classes.names[label]}"


def _order(entry: Entry) -> tuple[str, int, int]:
    number = -1 if entry.number is None else entry.number
    return entry.kind, number, -1 if entry.color is None else entry.color


def _splits(root: Path, pairs: Mapping[str, list[FilePair]]) -> str:
    parts = ", ".join(f"{split} {len(listed)}" for split, listed in pairs.items())
    return f"{root.name}: {sum(map(len, pairs.values()))} images with masks ({parts})"


def _contents(root: Path) -> list[str]:
    lines = [f"{root.name} holds"]
    for folder, endings in list(list_contents(root).items())[:_MOST_ROWS]:
        counts = ", ".join(f"{number} {ending}" for ending, number in endings.items())
        lines.append(f"  {folder}: {counts}")
    return lines


def _orientations(scan: FolderScan) -> list[str]:
    return [
        f"{len(names)} {kind} such as {names[0]} bear the orientation tag {orientation}: a file is "
        "turned upright as its own tag says, so look whether the masks fit"
        for (orientation, kind), names in sorted(scan.orientations.items())
    ]


def _rare(survey: MaskSurvey) -> list[str]:
    notes = []
    for tallies, colored in ((survey.by_number(), False), (survey.by_color(), True)):
        if colored and all(entry.number is not None for entry in survey.entries):
            continue  # the numbers say the same
        for value in mask_doubts.find_rare(survey, tallies, list(tallies))[:_MOST_PROBLEMS]:
            tally: Tally = tallies[value]
            notes.append(
                f"the {'color' if colored else 'value'} {show_value(value, colored=colored)} "
                f"occurs in {tally.pixels} pixels of {tally.masks} masks only, such as "
                f"{tally.file}: it may be a slip"
            )
    return notes


def _write(root: Path, survey: MaskSurvey, listed: ClassList | None, out: Path) -> str:
    if not survey.masks:
        return f"no mask could be read, so that there is no {class_lists.FILE} to draft"
    present = [path for path in root.iterdir() if path.name.lower() == class_lists.FILE]
    path = root / class_lists.FILE
    if present:
        out.mkdir(parents=True, exist_ok=True)
        path = next(p for p in _numbered(out / class_lists.FILE) if not p.exists())
    try:
        files.write_text(path, draft_classes(survey, listed))
    except OSError as error:
        raise ValueError(
            f"{str(path)!r} cannot be written ({error.strerror}), expected a folder that can be "
            "written to: copy the folder, or change its permissions"
        ) from error
    stays = f"; {present[0]} stays as it is" if present else ""
    return f"a list of classes to edit is in {path}{stays}; edit it, and look again"


def _numbered(path: Path) -> Iterator[Path]:
    yield path
    for number in range(2, 1000):
        yield path.with_stem(f"{path.stem}-{number}")
