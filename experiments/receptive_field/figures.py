"""The receptive_field study's figures: exact fields, holes, and what is looked at."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

from experiments.receptive_field import claims, probes
from experiments.receptive_field.config import NETS, Config
from jaxseg import plots
from jaxseg.plots.effective_fields import GAUSSIAN
from jaxseg.plots.fields import GROWTH, HOLE
from jaxseg.studies import Row

CAPTIONS = {
    "growth.png": "How the receptive field grows with depth: linearly for plain convolutions, "
    "exponentially for pooling, striding and dilation.",
    "bottlenecks.png": "The receptive field of a ResNet-50 after each stage, for both places of "
    "its strides; circles are published sizes.",
    "windows.png": "What one pixel of each scale of a U-Net sees, and what one output pixel sees.",
    "gridding.png": "How many paths lead from each pixel of the image to one output pixel of three "
    "dilated convolutions; red pixels have none.",
    "checkerboard.png": "How many paths meet in each output pixel of an upconvolution of stride 2.",
    "hybrid.png": "What the rule of hybrid dilation says, and the truth, for all triples of rates.",
    "phases_2x2.png": "The fields of neighboring output pixels of a U-Net with 2 × 2 "
    "upconvolutions differ: by phase, within a period of 16 pixels.",
    "phases_4x4.png": "The fields of neighboring output pixels of a U-Net with 4 × 4 "
    "upconvolutions, likewise.",
    "effective.png": "Where the gradient of one output pixel lies in random nets, inside the "
    "theoretical field.",
    "effective_width.png": "The theoretical field grows as the depth n, and the width of the "
    "effective one as √n.",
}
KIND_STYLES = {
    "uniform": ("#5b6f8f", "s"),
    "dilated": (GROWTH["dilation"]["color"], "o"),
    "residual": (GAUSSIAN, "^"),
}
"""Kind of random net -> color, marker."""
TRIPLE_COLORS = {
    "passes, no hole": "#b7dcd3",
    "passes, with holes": HOLE,
    "fails, yet no hole": "#1f6fb2",
    "fails, with holes": "#dedede",
}
"""The kinds of `probes.triple_kinds`, in their order -> color."""
BLOCK_STYLES = ((plots.CYCLE[3], "s"), (plots.CYCLE[1], "^"))
CIRCLE = {"markersize": 13, "fillstyle": "none", "color": "black", "markeredgewidth": 1}
PHOTOGRAPH = 256
"""Height and width of the photograph that windows are drawn on, in pixels."""


@dataclass(frozen=True)
class Effective:
    """The effective field of random nets of one kind and depth.

    Attributes:
        net: The nets.
        energy: (height, width) mean squared gradient, as shares.
        center: (2,) its center in pixels.
        width: (2,) its standard deviation in pixels.
    """

    net: probes.RandomNet
    energy: np.ndarray
    center: np.ndarray
    width: np.ndarray


def draw(
    config: Config,
    rows: Sequence[Row],
    paths: Mapping[str, np.ndarray],
    overlaps: Mapping[int, np.ndarray],
    kinds: np.ndarray,
    effective: Sequence[Effective],
) -> dict[str, Figure]:
    """Draw the study's figures: file name -> figure.

    Args:
        config: The study's configuration.
        rows: Rows of results.csv.
        paths: From `study.path_maps`.
        overlaps: From `study.overlap_maps`.
        kinds: From `probes.triple_kinds`.
        effective: Effective fields, shallow nets first in each kind.
    """
    windows = nested_windows(PHOTOGRAPH)
    return {
        "growth.png": _growth(config, claims.select(rows, "growth")),
        "bottlenecks.png": field_by_stage(*bottlenecks()),
        "windows.png": plots.windows(
            photograph(PHOTOGRAPH),
            [*windows.values()],
            [*windows],
            title="What one pixel of each scale of a U-Net sees",
        ),
        "gridding.png": plots.path_counts(
            {f"rates {rates}": counts for rates, counts in paths.items()},
            title=r"Three dilated $3 \times 3$ convolutions: paths to one output pixel",
        ),
        "checkerboard.png": plots.overlaps(
            {rf"${n} \times {n}$, stride 2": counts for n, counts in overlaps.items()},
            title="Upconvolutions of stride 2: paths that meet in each output pixel",
        ),
        "hybrid.png": rule_of_triples(kinds),
        **{f"phases_{window}x{window}.png": _phases(window) for window in (2, 4)},
        **_effective_figures(effective, claims.effective_seeds(rows)),
    }


def _growth(config: Config, rows: Sequence[Row]) -> Figure:
    sizes = {
        way: [int(row["measured"]) for row in rows if row["case"] == way] for way in claims.GROWTH
    }
    return plots.field_growth(
        range(1, config.layers + 1),
        sizes,
        layers=r"$3 \times 3$ convolutions",
        title="Striding and dilation see the same; dilation keeps every pixel",
    )


def _phases(window: int) -> Figure:
    return plots.output_phases(
        claims.phase_intervals(window),
        title=rf"U-Net with ${window} \times {window}$ upconvolutions: fields by output phase",
    )


def _effective_figures(effective: Sequence[Effective], seeds: int) -> dict[str, Figure]:
    kinds = {kind: [e for e in effective if e.net.kind == kind] for kind in claims.KINDS}
    shown = [*kinds["uniform"][-2:], kinds["dilated"][-1], kinds["residual"][-1]]
    nets = f"({seeds} random ReLU nets each)"
    return {
        "effective.png": plots.effective_field(
            [e.energy for e in shown],
            [e.net.window for e in shown],
            [e.center for e in shown],
            [e.width for e in shown],
            labels=[f"{e.net.kind}, {e.net.depth} layers" for e in shown],
            title=f"Where the gradient of one output pixel lies {nets}",
        ),
        "effective_width.png": width_growth(
            kinds, title=f"The field grows as n, the effective width as √n {nets}"
        ),
    }


def nested_windows(size: int) -> dict[str, probes.Window]:
    """Trace what one pixel of each scale of a U-Net, and one output pixel, see amid an image."""
    net, middle = NETS["U-Net same 2x2"], size // 2
    ends = {f"scale {n}": (f"down{n}", middle >> (n - 1)) for n in range(1, 6)}
    ends["output"] = "output", middle // 16 * 16 + 8
    return {
        name: probes.exact_field(net, end, size=size).window((at, at)) or ()
        for name, (end, at) in ends.items()
    }


def photograph(size: int) -> np.ndarray:
    """Read a cat, (size, size, 3) in 0..1, from scikit-image (Stéfan van der Walt, CC0)."""
    file = resources.files("skimage").joinpath("data/chelsea.png")
    with file.open("rb") as stream, Image.open(stream) as picture:
        side = min(picture.size)
        left = (picture.width - side) // 2
        square = picture.convert("RGB").crop((left, 0, left + side, side)).resize((size, size))
    return np.asarray(square) / 255


def bottlenecks() -> tuple[dict[str, list[int]], dict[str, dict[int, int]]]:
    """Trace a ResNet-50 by stage for both places of its strides.

    Returns:
        Name -> pixels after each stage; name -> number of a stage, from 0 -> published pixels.
        Those of v1.5 follow from the formula.
    """
    first = claims.TWO_PLACES[0]
    published = NETS[first].published
    sizes = {
        name: [probes.exact_field(NETS[name], end).size[0] for end in published]
        for name in claims.TWO_PLACES
    }
    known = {n: size for n, size in enumerate(published.values()) if isinstance(size, int)}
    return sizes, {first: known}


def field_by_stage(
    sizes: Mapping[str, Sequence[int]], published: Mapping[str, Mapping[int, int]]
) -> Figure:
    """Draw the field after each stage of variants of a net, published sizes circled.

    Args:
        sizes: Variant -> pixels an axis after each stage.
        published: Variant -> number of a stage, from 0 -> pixels.
    """
    figure = Figure(figsize=(5.6, 4), layout="constrained")
    axes = figure.subplots()
    largest = max(line[-1] for line in sizes.values())
    labeled: dict[tuple[int, int], str] = {}
    for (name, line), (color, mark) in zip(sizes.items(), BLOCK_STYLES, strict=False):
        axes.plot(range(len(line)), line, color=color, marker=mark, linewidth=1.6, label=name)
        style = {"fontsize": 8, "color": color, "ha": "center", "textcoords": "offset points"}
        offset = (0, 11 if line[-1] == largest else -17)
        for point in enumerate(line):
            # Points that coincide have one label.
            if labeled.setdefault(point, name) == name:
                axes.annotate(f"{point[1]}", point, xytext=offset, **style)
        known = published.get(name, {})
        label = "published" if known else None
        axes.plot([*known], [*known.values()], "o", **CIRCLE, label=label)
    count = len(next(iter(sizes.values())))
    axes.set_xticks(range(count), [f"stage {n}" for n in range(1, count + 1)])
    axes.margins(x=0.08, y=0.12)
    axes.set_ylim(0, None)
    axes.set_ylabel("receptive field (pixels an axis)")
    _finish(
        axes,
        "A ResNet-50 that strides on 1 × 1 convolutions (v1) sees farther\n"
        "than one that strides on 3 × 3 (v1.5); published: Araujo et al. 2019",
    )
    return figure


def _finish(axes: Axes, title: str, *, columns: int = 1) -> None:
    axes.grid(axis="y", linewidth=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(title, fontsize=9)
    axes.legend(fontsize=8, frameon=False, loc="upper left", ncols=columns)


def width_growth(kinds: Mapping[str, Sequence[Effective]], *, title: str) -> Figure:
    """Draw width of the effective field and size of the theoretical one against depth.

    Args:
        kinds: Kind of net -> effective fields by depth.
        title: Title of the figure.
    """
    figure = Figure(figsize=(5.6, 4), layout="constrained")
    axes = figure.subplots()
    for kind, line in kinds.items():
        color, mark = KIND_STYLES[kind]
        at = [e.net.depth for e in line]
        sizes = [e.net.window[0][1] - e.net.window[0][0] + 1 for e in line]
        axes.plot(at, sizes, ":", color=color, linewidth=1.6)
        axes.plot(at, [e.net.theory for e in line], "--", color=color, linewidth=1.2)
        widths = [probes.mean_width(e.width) for e in line]
        axes.plot(at, widths, mark, color=color, markersize=6, label=kind)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    ticks = sorted({e.net.depth for line in kinds.values() for e in line})
    axes.set_xticks(ticks, [f"{t}" for t in ticks])
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set(xlabel="depth (convolutions)", ylabel="pixels an axis")
    axes.plot([], [], ":", color="black", label="theoretical field")
    axes.plot([], [], "--", color="black", label=r"width by theory, $\sim \sqrt{n}$")
    axes.plot([], [], "D", color="black", label="width as measured")
    _finish(axes, title, columns=2)
    return figure


def triples_title(kinds: np.ndarray) -> str:
    """Say what the kinds of all triples mean for the rule of hybrid dilation."""
    insufficient, first = np.any(kinds == 1), np.any(kinds[0] == 1)
    unless = r", unless $r_1 = 1$" if insufficient and not first else ""
    sufficient = f"{'not ' if insufficient else ''}sufficient{unless}"
    necessary = f"{'not ' if np.any(kinds == 2) else ''}necessary"
    rates = r"Rates $(r_1, r_2, r_3)$ of three $3 \times 3$ convolutions"
    return rates + "\n" + rf"$M_2 \leq 3$ is {sufficient}, and {necessary}"


def rule_of_triples(kinds: np.ndarray) -> Figure:
    """Draw the rule of hybrid dilation beside the truth, a panel a first rate.

    Args:
        kinds: From `probes.triple_kinds`.
    """
    largest, columns = len(kinds), min(5, len(kinds))
    rows = -(-largest // columns)
    wide = min(plots.PAGE, max(4.8, 1 + 1.3 * columns))
    figure = Figure(figsize=(wide, 1.6 + 1.4 * rows), layout="constrained")
    figure.suptitle(triples_title(kinds), fontsize=9)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    colors = ListedColormap([*TRIPLE_COLORS.values()])
    edges = np.arange(largest + 1) + 0.5
    for number, axes in enumerate(grid.flat):
        if number >= largest:
            axes.axis("off")
            continue
        options = {"cmap": colors, "vmin": -0.5, "vmax": 3.5, "edgecolor": "white"}
        axes.pcolormesh(edges, edges, kinds[number], linewidth=0.6, **options)
        axes.spines[:].set_visible(False)
        axes.tick_params(labelsize=7, length=0, labelbottom=number + columns >= largest)
        ticks = [1, (largest + 1) // 2, largest]
        axes.set(xticks=ticks, yticks=ticks, aspect="equal")
        axes.set_title(rf"$r_1 = {number + 1}$", fontsize=8)
        axes.set_xlabel(r"$r_3$" if number + columns >= largest else "", fontsize=9)
        axes.set_ylabel(r"$r_2$" if number % columns == 0 else "", fontsize=9)
    handles = [
        Patch(color=color, label=f"{name}: {np.sum(kinds == kind)}")
        for kind, (name, color) in enumerate(TRIPLE_COLORS.items())
    ]
    figure.legend(handles=handles, fontsize=8, frameon=False, ncols=2, loc="outside lower center")
    return figure
