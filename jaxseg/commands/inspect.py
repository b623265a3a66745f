"""Look at a data set: its splits, its classes and how often they occur, and pictures.

    jaxseg inspect                                             the embedded mosaic
    jaxseg inspect --data.name folder --data.directory DIR
    jaxseg inspect --data.name camvid --data.size 120 160

Look at the pictures before you train: a mask that is shifted, rotated or of the wrong class is
easy to see. It prints a table and remarks on what may harm training, and leaves classes.csv,
scenes.png (images with their labels laid over them) and classes.png (how often each class occurs)
in --out. Every image is read, so a data set of 20,000 takes minutes.

Of a folder of your own it first prints what the files hold, also where they are refused: every
value and color of the masks with its class and its counts, files that differ, orientation tags,
pictures that are in two splits, and values of a few stray pixels. --write-classes drafts a
classes.txt to edit; one that is there already is never replaced. Its lines are, in the order of the
labels, `name`, `name red green blue`, `name = 3`, `name = 3, 7`, `name = 128-255`, and
`ignored = 255` or `ignored red green blue`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tyro

from jaxseg import cli, data, plots
from jaxseg.commands import inspect_folder
from jaxseg.commands.data import DataConfig, describe_size, load
from jaxseg.commands.outputs import Outputs
from jaxseg.progress import progress_bar
from jaxseg.training import tables

COLUMNS = ("split", "class", "name", "pixels", "pixel_share", "images", "image_share")


@dataclass(frozen=True)
class Config:
    """A look at a data set.

    Attributes:
        data: The data set.
        out: Folder of the table and the figures; only what an earlier look wrote is replaced.
        images: Number of images shown, spread evenly over the split.
        columns: Columns of the figure that shows them.
        split: The split that they are taken from.
        write_classes: Draft a classes.txt from the masks of a folder, to be edited.
        preset: Not used: there is one preset.
    """

    data: DataConfig = field(default_factory=DataConfig)
    out: Path = Path("runs/inspect")
    images: int = 12
    columns: int = 3
    split: str = "train"
    write_classes: bool = False
    preset: tyro.conf.Suppress[str] = ""

    def __post_init__(self):
        if self.write_classes and self.data.name != "folder":
            raise ValueError(
                f"write_classes goes with a folder of one's own, and data.name is "
                f"{self.data.name!r}: pass --data.name folder, or leave out --write-classes"
            )
        for name in ("images", "columns"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name}={getattr(self, name)} is out of range, expected 1 or more: pass for "
                    f"example {Config.__dataclass_fields__[name].default}"
                )


class Counts(NamedTuple):
    """Counts of the classes in a split.

    Attributes:
        pixels: Pixels of each class, (classes,).
        images: Images that have a pixel of it, (classes,).
        ignored: Ignored pixels.
        examples: Images in all.
    """

    pixels: np.ndarray
    images: np.ndarray
    ignored: int
    examples: int

    @property
    def pixel_shares(self) -> np.ndarray:
        """Share of the labeled pixels, (classes,)."""
        return self.pixels / max(1, self.pixels.sum())

    @property
    def image_shares(self) -> np.ndarray:
        """Share of the images, (classes,)."""
        return self.images / self.examples

    @property
    def ignored_share(self) -> float:
        """Share of all pixels that is ignored."""
        return self.ignored / (self.ignored + int(self.pixels.sum()))


def main(config: Config) -> dict[str, Counts]:
    """Count, print and draw; return the counts of each split."""
    if config.data.name == "folder" and config.data.directory is not None:
        root = config.data.directory.expanduser()
        inspect_folder.examine(
            root,
            write_classes=config.write_classes,
            out=config.out,
            held_out=config.data.held_out,
            seed=config.data.seed,
            mask_orientation=config.data.mask_orientation,
        )
    dataset = load(config.data)
    dataset.source(config.split)  # an unknown split is refused before anything is written
    outputs = Outputs(config.out)
    outputs.check(["classes.csv", "scenes.png", "classes.png"])
    counted = {split: count(dataset, split) for split in dataset.splits}
    print(summary(dataset, counted))
    with outputs.path("classes.csv") as path:
        tables.write_csv(path, COLUMNS, rows(dataset, counted))
    _draw(config, dataset, counted, outputs)
    print(f"\nclasses.csv, scenes.png and classes.png are in {config.out}")
    return counted


def _draw(
    config: Config, dataset: data.Dataset, counted: dict[str, Counts], outputs: Outputs
) -> None:
    """Draw images under their labels, and how often each class occurs."""
    title = f"{dataset.info.name}, {describe_size(dataset.info)}"
    chosen = dataset.source(config.split)
    places = spread(len(chosen), config.images)
    examples = [chosen[place] for place in places]
    sheet = plots.contact_sheet(
        [plots.displayable(example["image"]) for example in examples],
        [example["label"] for example in examples],
        dataset.info.palette,
        dataset.info.class_names,
        columns=config.columns,
        titles=[f"{config.split} {place}" for place in places],
        title=title,
    )
    with outputs.path("scenes.png") as path:
        sheet.savefig(path, dpi=130)
    bars = plots.class_bars(
        {split: counts.pixel_shares for split, counts in counted.items()},
        {split: counts.image_shares for split, counts in counted.items()},
        dataset.info.palette,
        dataset.info.class_names,
        title=title,
    )
    with outputs.path("classes.png") as path:
        bars.savefig(path, dpi=130)


def count(dataset: data.Dataset, split: str) -> Counts:
    """Count the classes of a split, reading every label."""
    classes, ignored = dataset.info.classes, 0
    pixels, images = np.zeros(classes, int), np.zeros(classes, int)
    source = dataset.source(split)
    for place in progress_bar(range(len(source)), desc=f"counting {split}"):
        label = source[place]["label"]
        counts = np.bincount(label.ravel(), minlength=256)[:classes]
        pixels = pixels + counts
        images = images + (counts > 0)
        ignored += label.size - int(counts.sum())
    return Counts(pixels, images, ignored, len(source))


def rows(dataset: data.Dataset, counted: dict[str, Counts]) -> list[dict]:
    """Build the rows of classes.csv; ignored pixels are class 255, without a count of images."""
    table = []
    for split, counts in counted.items():
        shares = zip(counts.pixel_shares, counts.image_shares, strict=True)
        for number, (pixel_share, image_share) in enumerate(shares):
            values = (
                split,
                number,
                dataset.info.class_names[number],
                int(counts.pixels[number]),
                float(pixel_share),
                int(counts.images[number]),
                float(image_share),
            )
            table.append(dict(zip(COLUMNS, values, strict=True)))
        ignored = (split, 255, "ignored", counts.ignored, counts.ignored_share, "", "")
        table.append(dict(zip(COLUMNS, ignored, strict=True)))
    return table


def summary(dataset: data.Dataset, counted: dict[str, Counts]) -> str:
    """Write the printed table: a line a split, a line a class, and remarks."""
    size = describe_size(dataset.info)
    if dataset.info.crops:
        size = f"images of their own sizes, for {size}"
    mean, std = (", ".join(f"{x:.3f}" for x in v) for v in (dataset.info.mean, dataset.info.std))
    lines = [
        f"{dataset.info.name}: {size}, {_channels(dataset.info)}, "
        f"{dataset.info.classes} classes; mean {mean}; std {std}",
        f"prepared in {dataset.directory}",
        "",
        f"{'split':12}{'images':>8}{'ignored pixels':>16}",
    ]
    for split, counts in counted.items():
        lines.append(f"{split:12}{counts.examples:8}{100 * counts.ignored_share:15.1f}%")
    wide = max(8, *map(len, dataset.info.class_names)) + 2
    head = "".join(f"{split:>22}" for split in counted)
    lines += [
        "",
        f"{'':{wide + 5}}{head}",
        f"{'class':{wide + 5}}" + "    % pixels  % images" * len(counted),
    ]
    for number, name in enumerate(dataset.info.class_names):
        cells = "".join(
            f"{100 * c.pixel_shares[number]:12.2f}{100 * c.image_shares[number]:10.1f}"
            for c in counted.values()
        )
        lines.append(f"{number:4} {name:{wide}}{cells}")
    notes = remarks(dataset, counted)
    return "\n".join([*lines, *([""] if notes else []), *notes])


def _channels(info: data.DatasetInfo) -> str:
    """Say how many channels there are, and of what type unless it is 8 bits."""
    kind = "" if info.dtype == "uint8" else f" of {info.dtype}"
    return f"{info.channels} channel{'s' * (info.channels != 1)}{kind}"


def remarks(dataset: data.Dataset, counted: dict[str, Counts]) -> list[str]:
    """List what in these numbers may harm training, or a comparison."""
    notes = []
    for split, counts in counted.items():
        absent = [dataset.info.class_names[k] for k in np.flatnonzero(counts.pixels == 0)]
        if absent:
            names = ", ".join(absent[:8]) + (", …" if len(absent) > 8 else "")
            notes.append(f"! {split} has no pixel of {names}")
        if counts.ignored_share > 0.5:
            notes.append(f"! more than half of the pixels of {split} are ignored")
        if counts.examples < 10:
            notes.append(f"! {split} has {counts.examples} images only: its scores will be noisy")
    shares = next(iter(counted.values())).pixel_shares
    if shares.max() > 0.95:
        name = dataset.info.class_names[int(shares.argmax())]
        notes.append(
            f"! {name!r} has {100 * shares.max():.1f} % of the pixels: predicting nothing else "
            "would score as much accuracy; look at the mean IoU, and weight the classes"
        )
    return notes


def spread(number: int, shown: int) -> list[int]:
    """Choose at most `shown` of the numbers 0..number-1, evenly spread."""
    return np.unique(np.linspace(0, number - 1, min(shown, number)).round().astype(int)).tolist()


def command(args: Sequence[str]) -> None:
    """Read the command line and look at the data."""
    presets = {"default": Config()}
    main(
        cli.parse(
            presets,
            "default",
            description=__doc__,
            args=args,
            program="jaxseg inspect",
            common=(
                "data.name",
                "data.directory",
                "data.size",
                "out",
                "images",
                "split",
                "write_classes",
            ),
        )
    )
