"""Images with their labels laid over them, and how often each class occurs."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke

Color = tuple[int, int, int]

_IGNORED = 255
_VEIL = 0.35  # brightness of ignored pixels, and what every other stripe adds to it
_STRIPES = 24  # across the shorter side
_LEGEND_ROWS = 8  # at most; further classes are left out of the legend, the rarest first
_WIDTH = 11.0  # of a contact sheet, in inches


def overlay(
    image: np.ndarray,
    label: np.ndarray,
    palette: Sequence[Color],
    *,
    alpha: float = 0.45,
    ignore_index: int = _IGNORED,
) -> np.ndarray:
    """Tint an image by its labels, with a line of full color along the borders of classes.

    Ignored pixels are dark, gray and striped.

    Args:
        image: (height, width, channels) with 1 or 3 channels, in 0..1.
        label: (height, width) of integers.
        palette: The color of every class, in 0..255.
        alpha: Opacity of the tint; 0 is none.
        ignore_index: The label of ignored pixels.

    Returns:
        (height, width, 3) in 0..1.
    """
    picture = np.broadcast_to(np.clip(image, 0, 1), (*label.shape, 3))
    colors = np.zeros((256, 3))
    colors[: len(palette)] = np.asarray(palette) / 255
    tint = colors[label.astype(np.uint8)]
    strength = np.where(_borders(label), 1 - (1 - alpha) / 4, alpha)[..., None]
    tinted = (1 - strength) * picture + strength * tint
    veiled = _VEIL * (picture.mean(-1, keepdims=True) + _stripes(label.shape)[..., None])
    return np.where((label == ignore_index)[..., None], veiled, tinted)


def contact_sheet(
    images: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    palette: Sequence[Color],
    class_names: Sequence[str],
    *,
    columns: int = 4,
    titles: Sequence[str] = (),
    title: str = "",
    ignore_index: int = _IGNORED,
) -> Figure:
    """Draw each image beside itself with its labels laid over it, and a legend of the classes.

    Args:
        images: Images of one size, (height, width, channels) with 1 or 3 channels, in 0..1.
        labels: One label map an image, (height, width).
        palette: The color of every class, in 0..255.
        class_names: The name of every class. The legend has the classes that occur, and the most
            frequent ones if there is not room for all.
        columns: Pairs of pictures in a row.
        titles: One title an image, or none.
        title: Title of the figure.
        ignore_index: The label of ignored pixels.

    Raises:
        ValueError: There are no images, or not as many labels.
    """
    if not len(images) or len(images) != len(labels):
        raise ValueError(
            f"there are {len(images)} images and {len(labels)} labels, expected one label an image "
            "and at least one of each: pass as many"
        )
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    height, width = labels[0].shape
    cell = _WIDTH / columns
    handles = _legend(labels, palette, class_names, ignore_index)
    below = 0.35 + 0.19 * -(-len(handles) // _legend_columns(handles))
    above = 0.45 if title else 0.1
    between = 0.06 + (0.17 if titles else 0)
    drawn = rows * (cell * height / (2 * width) + between)
    figure = Figure(figsize=(_WIDTH, drawn + above + below))
    total = drawn + above + below
    grid = figure.add_gridspec(
        rows,
        columns,
        left=0.01,
        right=0.99,
        top=1 - above / total,
        bottom=below / total,
        wspace=0.04,
        hspace=between * rows / drawn,
    )
    for place, (image, label) in enumerate(zip(images, labels, strict=True)):
        axes = figure.add_subplot(grid[place // columns, place % columns])
        tinted = overlay(image, label, palette, ignore_index=ignore_index)
        _draw_pair(axes, image, tinted)
        if titles:
            axes.set_title(titles[place], fontsize=8, pad=3)
    figure.legend(
        handles=handles,
        ncols=_legend_columns(handles),
        loc="lower center",
        fontsize=9,
        frameon=False,
        handlelength=1.2,
        handleheight=1.0,
        columnspacing=1.4,
    )
    figure.suptitle(title, fontsize=12, y=1 - 0.1 / total)
    return figure


def _draw_pair(axes: Axes, image: np.ndarray, tinted: np.ndarray) -> None:
    """Draw an image on the left of its overlay."""
    plain = np.broadcast_to(np.clip(image, 0, 1), tinted.shape)
    axes.imshow(np.concatenate([plain, tinted], 1), interpolation="nearest")
    axes.axvline(tinted.shape[1] - 0.5, color="white", linewidth=1.5)
    axes.set_axis_off()


def class_bars(
    pixels: Mapping[str, np.ndarray],
    images: Mapping[str, np.ndarray],
    palette: Sequence[Color],
    class_names: Sequence[str],
    *,
    most: int = 40,
    title: str = "",
) -> Figure:
    """Draw each class's share of the pixels and of the images, the largest first.

    The first split is drawn as bars with numbers, the others as marks.

    Args:
        pixels: Split -> (classes,) share of the labeled pixels, in 0..1.
        images: Split -> (classes,) share of the images with a pixel of the class, in 0..1.
        palette: The color of every class, in 0..255.
        class_names: The name of every class.
        most: Number of classes that are drawn; the title says so if there are more.
        title: Title of the figure.
    """
    first, *others = pixels
    order = np.argsort(-pixels[first], kind="stable")[:most]
    if len(class_names) > most:
        title = f"{title} (the {most} largest of {len(class_names)} classes)".strip()
    places = np.arange(len(order))
    figure = Figure(figsize=(9, 1.5 + 0.24 * len(order)), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    names = ("share of labeled pixels, %", "images that have it, %")
    for axes, table, name in zip(panels, (pixels, images), names, strict=True):
        percent = 100 * table[first][order]
        colors = [_fraction(palette[number]) for number in order]
        axes.barh(places, percent, color=colors, edgecolor="0.3", linewidth=0.6, label=first)
        end = max(float(100 * np.max(shares)) for shares in table.values())
        for place, value in zip(places, percent, strict=True):
            seen = max(100 * table[split][order[place]] for split in pixels)
            axes.text(seen + 0.025 * end, place, _percent(value), va="center", fontsize=8)
        _draw_marks(axes, {split: 100 * table[split][order] for split in others})
        axes.set(xlim=(0, 1.16 * end or 1), ylim=(len(order) - 0.4, -0.6))
        axes.set_xlabel(name, fontsize=9)
        axes.tick_params(axis="y", length=0)
        axes.tick_params(axis="x", labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks(places, [class_names[number] for number in order], fontsize=9)
    handles = [Patch(facecolor="0.75", edgecolor="0.3", label=f"{first} (bars, numbers)")]
    handles += panels[0].get_legend_handles_labels()[0][: len(others)]
    figure.legend(
        handles=handles, ncols=len(handles), loc="outside lower center", fontsize=9, frameon=False
    )
    figure.suptitle(title, fontsize=12)
    return figure


def _draw_marks(axes: Axes, percents: Mapping[str, np.ndarray]) -> None:
    """Draw the shares of each further split as marks over the bars."""
    for (split, percent), mark in zip(percents.items(), "|xs^v", strict=False):
        axes.plot(
            percent,
            np.arange(len(percent)),
            mark,
            color="black",
            markersize=8,
            markeredgewidth=1.4,
            fillstyle="none",
            label=split,
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )


def _borders(label: np.ndarray) -> np.ndarray:
    """Find the pixels whose neighbor to the right or below has another label."""
    across, down = label[:, 1:] != label[:, :-1], label[1:] != label[:-1]
    return np.pad(across, ((0, 0), (0, 1))) | np.pad(down, ((0, 1), (0, 0)))


def _stripes(shape: tuple[int, ...]) -> np.ndarray:
    """Make diagonal stripes of 0 and 1."""
    wide = max(1, min(shape) // _STRIPES)
    return np.add(*np.indices(shape)) // wide % 2


def _legend(
    labels: Sequence[np.ndarray],
    palette: Sequence[Color],
    class_names: Sequence[str],
    ignore_index: int,
) -> list[Patch]:
    values = np.concatenate([label.ravel() for label in labels]).astype(np.int64)
    counts = np.bincount(values, minlength=256)
    common = np.argsort(-counts[: len(class_names)], kind="stable")
    kept = sorted(number for number in common[: 6 * _LEGEND_ROWS].tolist() if counts[number])
    handles = [
        Patch(
            facecolor=_fraction(palette[number]),
            edgecolor="0.3",
            linewidth=0.6,
            label=class_names[number],
        )
        for number in kept
    ]
    if counts[ignore_index]:
        handles.append(Patch(facecolor="0.25", edgecolor="0.6", hatch="////", label="ignored"))
    return handles


def _fraction(color: Color) -> tuple[float, float, float]:
    red, green, blue = color
    return red / 255, green / 255, blue / 255


def _legend_columns(handles: Sequence[Patch]) -> int:
    longest = max((len(str(handle.get_label())) for handle in handles), default=1)
    return max(1, min(len(handles), int(_WIDTH / (0.55 + 0.085 * longest))))


def _percent(value: float) -> str:
    if value == 0:
        return "none"
    if value >= 10:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"
