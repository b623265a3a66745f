"""What is in a data set: splits, classes and how often they occur, and pictures to look at.

    python experiments/inspect_data.py                                    the embedded mosaic
    python experiments/inspect_data.py --data.name folder --data.directory DIR
    python experiments/inspect_data.py --data.name camvid --data.size 120 160

Look at the pictures before you train: a mask that is shifted, turned or of the wrong class shows at
once. It prints a table and remarks on what may hurt, and leaves classes.csv, scenes.png (images
with their labels laid over them) and classes.png (how often each class occurs) in --out. Every
image is read, so a data set of 20,000 takes minutes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tyro
from segmentation_data import DataConfig, load
from tqdm import tqdm

from jaxseg import data, plots
from jaxseg.training import records

COLUMNS = ("split", "class", "name", "pixels", "pixel_share", "images", "image_share")


@dataclass(frozen=True)
class Config:
    """What is looked at.

    Attributes:
        data: the data set.
        out: folder of the table and the figures; older ones are replaced.
        images: how many images are shown, spread evenly over the split.
        columns: of the figure that shows them.
        split: that they are of.
    """

    data: DataConfig = field(default_factory=DataConfig)
    out: Path = Path("runs/inspect")
    images: int = 12
    columns: int = 3
    split: str = "train"

    def __post_init__(self):
        for name in ("images", "columns"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name}={getattr(self, name)} is out of range, expected 1 or more: pass for "
                    f"example {Config.__dataclass_fields__[name].default}"
                )


class Counts(NamedTuple):
    """How often each class occurs in a split.

    Attributes:
        pixels: of each class, (classes,).
        images: that have a pixel of it, (classes,).
        ignored: pixels.
        examples: images in all.
    """

    pixels: np.ndarray
    images: np.ndarray
    ignored: int
    examples: int

    @property
    def pixel_shares(self) -> np.ndarray:
        """Of the labelled pixels, (classes,)."""
        return self.pixels / max(1, self.pixels.sum())

    @property
    def image_shares(self) -> np.ndarray:
        """Of the images, (classes,)."""
        return self.images / self.examples

    @property
    def ignored_share(self) -> float:
        """Of all pixels."""
        return self.ignored / (self.ignored + int(self.pixels.sum()))


def main(config: Config) -> dict[str, Counts]:
    """Count, print, draw; returns what was counted of each split."""
    dataset = load(config.data)
    chosen = dataset.source(config.split)
    found = {split: count(dataset, split) for split in dataset.splits}
    print(summary(dataset, found))
    config.out.mkdir(parents=True, exist_ok=True)
    records.write_csv(config.out / "classes.csv", COLUMNS, rows(dataset, found))
    height, width = dataset.info.size
    title = f"{dataset.info.name}, {height} x {width} pixels"
    places = spread(len(chosen), config.images)
    examples = [chosen[place] for place in places]
    sheet = plots.contact_sheet(
        [example["image"] / 255 for example in examples],
        [example["label"] for example in examples],
        dataset.info.palette,
        dataset.info.class_names,
        columns=config.columns,
        titles=[f"{config.split} {place}" for place in places],
        title=title,
    )
    sheet.savefig(config.out / "scenes.png", dpi=130)
    bars = plots.class_bars(
        {split: counts.pixel_shares for split, counts in found.items()},
        {split: counts.image_shares for split, counts in found.items()},
        dataset.info.palette,
        dataset.info.class_names,
        title=title,
    )
    bars.savefig(config.out / "classes.png", dpi=130)
    print(f"\nclasses.csv, scenes.png and classes.png are in {config.out}")
    return found


def count(dataset: data.Dataset, split: str) -> Counts:
    """Reads every label of a split."""
    classes, ignored = dataset.info.classes, 0
    pixels, images = np.zeros(classes, int), np.zeros(classes, int)
    source = dataset.source(split)
    for place in tqdm(range(len(source)), desc=f"counting {split}", leave=False):
        label = source[place]["label"]
        counts = np.bincount(label.ravel(), minlength=256)[:classes]
        pixels = pixels + counts
        images = images + (counts > 0)
        ignored += label.size - int(counts.sum())
    return Counts(pixels, images, ignored, len(source))


def rows(dataset: data.Dataset, found: dict[str, Counts]) -> list[dict]:
    """The table of classes.csv; ignored pixels are the class 255, of no image count."""
    table = []
    for split, counts in found.items():
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


def summary(dataset: data.Dataset, found: dict[str, Counts]) -> str:
    """The printed table: a line a split, a line a class, and what may hurt."""
    height, width = dataset.info.size
    mean, std = (", ".join(f"{x:.3f}" for x in v) for v in (dataset.info.mean, dataset.info.std))
    lines = [
        f"{dataset.info.name}: {height} x {width} pixels, {dataset.info.channels} channels, "
        f"{dataset.info.classes} classes; mean {mean}; std {std}",
        f"prepared in {dataset.directory}",
        "",
        f"{'split':12}{'images':>8}{'ignored pixels':>16}",
    ]
    for split, counts in found.items():
        lines.append(f"{split:12}{counts.examples:8}{100 * counts.ignored_share:15.1f}%")
    wide = max(8, *map(len, dataset.info.class_names)) + 2
    head = "".join(f"{split:>22}" for split in found)
    lines += [
        "",
        f"{'':{wide + 5}}{head}",
        f"{'class':{wide + 5}}" + "    % pixels  % images" * len(found),
    ]
    for number, name in enumerate(dataset.info.class_names):
        cells = "".join(
            f"{100 * c.pixel_shares[number]:12.2f}{100 * c.image_shares[number]:10.1f}"
            for c in found.values()
        )
        lines.append(f"{number:4} {name:{wide}}{cells}")
    said = remarks(dataset, found)
    return "\n".join([*lines, *([""] if said else []), *said])


def remarks(dataset: data.Dataset, found: dict[str, Counts]) -> list[str]:
    """What in these numbers may hurt training, or a comparison."""
    said = []
    for split, counts in found.items():
        absent = [dataset.info.class_names[k] for k in np.flatnonzero(counts.pixels == 0)]
        if absent:
            names = ", ".join(absent[:8]) + (", …" if len(absent) > 8 else "")
            said.append(f"! {split} has no pixel of {names}")
        if counts.ignored_share > 0.5:
            said.append(f"! more than half of the pixels of {split} are ignored")
        if counts.examples < 10:
            said.append(f"! {split} has {counts.examples} images only: its scores will be noisy")
    shares = next(iter(found.values())).pixel_shares
    if shares.max() > 0.95:
        name = dataset.info.class_names[int(shares.argmax())]
        said.append(
            f"! {name!r} has {100 * shares.max():.1f} % of the pixels: predicting nothing else "
            "would score as much accuracy; look at the mean IoU, and weight the classes"
        )
    return said


def spread(number: int, shown: int) -> list[int]:
    """At most `shown` places out of 0..number-1, evenly spread."""
    return np.unique(np.linspace(0, number - 1, min(shown, number)).round().astype(int)).tolist()


def command(args: Sequence[str] | None = None) -> None:
    """Read the command line, run, and say what is wrong where something is."""
    try:
        main(tyro.cli(Config, description=__doc__, args=args))
    except (ValueError, OSError) as error:
        raise SystemExit(f"inspect_data: {error}") from error


if __name__ == "__main__":
    command()
