"""From surfaces to numbers of their shape, figures and verdicts."""

from pathlib import Path
from typing import Any

import numpy as np
import studies
from orders import above

from jaxseg import analysis, files, plots
from jaxseg.training import records

RESULTS = {
    "arm": str,
    "depth": int,
    "seed": int,
    "train_loss": float,
    "centre": float,
    "edge": float,
    "basin": float,
    "negative": float,
    "negative_all": float,
    "curvature_along_filters": float,
    "largest_eigenvalue": float,
    "smallest_eigenvalue": float,
    "norms_off": float,
}
LOSSES = {"arm": str, "depth": int, "seed": int, "learning_rate": float, "train_loss": float}
SHOWN = {
    "basin": "share of the surface below chance",
    "negative": "share of that with negative curvature",
    "curvature_along_filters": "curvature along filter-normalised\ndirections (nats)",
    "largest_eigenvalue": "largest eigenvalue of the Hessian",
    "concavity": "its most negative eigenvalue,\nmade positive",
    "edge": "loss at the grid's border (nats, median)",
    "train_loss": "training loss (nats)",
}
LI = "Li et al. 2018"
HEADING = "Residual connections"
Rows = list[dict[str, Any]]


def shape(surface: np.ndarray, offsets: np.ndarray, chance: float) -> dict[str, float]:
    """Numbers of one surface.

    A curvature counts as negative where it is below -1 % of the larger of both: flatter than that,
    its sign is float32's rounding.

    Returns:
        "centre": the loss of the net itself; "edge": the median loss over the grid's border;
        "basin": the share of the points whose loss is below chance; "negative": of the inner points
        that are below chance, the share with a negative curvature, NaN where there are none;
        "negative_all": of all inner points.
    """
    n = len(surface) // 2
    border = np.concatenate([surface[[0, -1]].ravel(), surface[1:-1, [0, -1]].ravel()])
    border = np.where(np.isfinite(border), border, np.inf)
    with np.errstate(over="ignore", invalid="ignore"):
        curvatures = analysis.surface_curvatures(surface, float(offsets[1] - offsets[0]))
        below = surface < chance
        inner = below[1:-1, 1:-1]
        bent = curvatures[..., 0] < -0.01 * np.abs(curvatures).max(axis=-1)
    return {
        "centre": float(surface[n, n]),
        "edge": float(np.median(border)),
        "basin": float(below.mean()),
        "negative": float(bent[inner].mean()) if inner.any() else float("nan"),
        "negative_all": float(bent.mean()),
    }


def write(config, results: Rows, losses: Rows, chance: float) -> str:
    """Write figures and summary; returns the summary's text."""
    about = (
        f"Mosaics of {config.size} x {config.size} pixels, {config.features} features, "
        f"{config.steps} steps of {config.batch_size} images, {config.seeds} seeds"
    )
    surfaces = load_surfaces(config.out, results)
    levels = 2.0 ** np.arange(-3, 7)
    plots.loss_contours(
        surfaces, config.offsets, levels=levels.tolist(), chance=chance, title=f"Seed 0. {about}"
    ).savefig(config.out / "landscape.png", dpi=150)
    results = [{**row, "concavity": -row["smallest_eigenvalue"]} for row in results]
    values = {title: collect(results, name) for name, title in SHOWN.items()}
    plots.shape_against_depth(
        values, logarithmic=[SHOWN["largest_eigenvalue"], SHOWN["edge"]], title=about
    ).savefig(config.out / "sharpness.png", dpi=150)
    figures = {
        "landscape.png": "Loss around trained nets along two filter-normalised directions",
        "sharpness.png": "Numbers of the surfaces' shape against depth, a dot a seed",
    }
    return studies.write_summary(
        config.out,
        title="Loss surfaces",
        about=f"{about}; the loss is taken over {config.images} training images; "
        f"ln K = {chance:.3f}. No norm; branches scaled by 1/sqrt(L).",
        verdicts=verdicts(config, results, chance),
        figures=figures,
        tables=[shape_table(results), rate_table(losses)],
    )


def load_surfaces(folder: Path, results: Rows) -> dict[str, dict[int, np.ndarray]]:
    """Arm -> depth -> the first seed's surface."""
    found: dict[str, dict[int, np.ndarray]] = {}
    for row in results:
        if row["seed"] == 0:
            path = folder / "surfaces" / f"{row['arm']}-{row['depth']}-0.npy"
            found.setdefault(row["arm"], {})[row["depth"]] = files.read_array(path)
    return found


def collect(results: Rows, name: str) -> dict[str, dict[int, np.ndarray]]:
    """Arm -> depth -> values over seeds."""
    found: dict[str, dict[int, np.ndarray]] = {}
    for row in results:
        by_depth = found.setdefault(row["arm"], {})
        by_depth[row["depth"]] = np.append(by_depth.get(row["depth"], np.empty(0)), row[name])
    return found


def verdicts(config, results: Rows, chance: float) -> list[studies.Verdict]:
    """Of the method first, then of the claim at the greatest depth and over all depths."""
    off = max(r["norms_off"] for r in results)
    found = [
        studies.Verdict(
            HEADING,
            "Each filter of a direction has the norm of the net's own filter",
            LI,
            "equal, to 1e-5",
            f"at most {off:.1e} apart",
            config.seeds,
            studies.judged(off < 1e-5),
        )
    ]
    deep = max(config.depths)
    for name, claim, more in (
        ("negative", "the surface below chance is less convex around a plain net", "plain"),
        ("basin", "less of the surface is below chance around a plain net", "residual"),
        (
            "curvature_along_filters",
            "the loss is sharper along filter-normalised directions around a plain net",
            "plain",
        ),
        (
            "largest_eigenvalue",
            "the Hessian's largest eigenvalue is larger at a plain net",
            "plain",
        ),
        ("edge", "the loss rises higher at the border of the grid around a plain net", "plain"),
    ):
        found.append(_compared(config, results, deep, name, claim, more, chance))
    for arm in ("plain", "residual") if len(config.depths) > 1 else ():
        found.append(_over_depth(config, results, arm, chance))
    return found


def _learned(results: Rows, chance: float, *nets: tuple[str, int]) -> tuple[bool, str]:
    """Whether all of these nets know a third of what there is to know, and a word if not.

    Around a net that has learned nothing there is no minimum whose shape could be compared.
    """
    losses = collect(results, "train_loss")
    medians = {f"{arm} {depth}": np.median(losses[arm][depth]) for arm, depth in nets}
    poor = {net: loss for net, loss in medians.items() if not loss < 2 / 3 * chance}
    said = ", ".join(f"{net} ({loss:.2f} of {chance:.2f} nats)" for net, loss in poor.items())
    return not poor, f"; hardly trained: {said}" if poor else ""


def _compared(config, results, depth, name, claim, more, chance) -> studies.Verdict:
    """Both arms at one depth: told only where both learn and their seeds do not overlap."""
    values = {arm: by_depth[depth] for arm, by_depth in collect(results, name).items()}
    less = "residual" if more == "plain" else "plain"
    able, poor = _learned(results, chance, ("plain", depth), ("residual", depth))
    return studies.Verdict(
        HEADING,
        f"At {depth} convolutions {claim} than around a residual one",
        LI,
        f"{more} higher in every seed; seeds that overlap show nothing",
        "; ".join(f"{arm} {_cell(v)}" for arm, v in values.items()) + poor,
        config.seeds,
        studies.judged(above(values[more], values[less]) if able else None),
    )


def _over_depth(config, results, arm, chance) -> studies.Verdict:
    """Whether the curvature grows with depth for plain nets, and does not for residual ones."""
    values = collect(results, "curvature_along_filters")[arm]
    shallow, deep = (values[d] for d in (min(values), max(values)))
    able, poor = _learned(results, chance, (arm, min(values)), (arm, max(values)))
    agrees = grows = above(deep, shallow)
    if arm != "plain":
        still = len(deep) > 1 and np.median(deep) <= 1.5 * np.median(shallow)
        agrees = True if still else False if grows else None
    return studies.Verdict(
        HEADING,
        "Depth sharpens plain nets" if arm == "plain" else "Depth does not sharpen residual nets",
        LI,
        "filter-normalised curvature "
        + (
            "higher in every seed at the greatest depth"
            if arm == "plain"
            else "at the greatest depth at most 1.5 times that at the least, medians"
        ),
        "; ".join(f"{d} convolutions {_cell(v)}" for d, v in sorted(values.items())) + poor,
        config.seeds,
        studies.judged(agrees if able else None),
    )


def _cell(values: np.ndarray) -> str:
    return f"{np.median(values):.3g} ({np.min(values):.3g} to {np.max(values):.3g})"


def shape_table(results: Rows) -> list[str]:
    """Medians and ranges of all numbers, a line a net."""
    names = [
        "train_loss",
        "centre",
        "edge",
        "basin",
        "negative",
        "negative_all",
        "curvature_along_filters",
        "largest_eigenvalue",
        "smallest_eigenvalue",
    ]
    columns = {name: collect(results, name) for name in names}
    lines = [
        " | ".join([arm, str(depth), *(_cell(columns[name][arm][depth]) for name in names)])
        for arm, by_depth in columns["train_loss"].items()
        for depth in by_depth
    ]
    head = "net | convolutions | " + " | ".join(name.replace("_", " ") for name in names)
    return records.markdown_table(head, lines)


def rate_table(losses: Rows) -> list[str]:
    """Training losses by net and rate."""
    groups: dict[tuple, list[float]] = {}
    for row in losses:
        key = (row["arm"], row["depth"], row["learning_rate"])
        groups.setdefault(key, []).append(row["train_loss"])
    return records.markdown_table(
        "net | convolutions | learning rate | training loss",
        [
            f"{arm} | {depth} | {rate:g} | {_cell(np.array(v))}"
            for (arm, depth, rate), v in groups.items()
        ],
    )
