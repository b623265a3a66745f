"""Tables of the depth study: from rows of results to losses by depth, gradients and a summary."""

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from jaxseg.analysis import mean_field
from jaxseg.models.deep import DeepNetConfig
from jaxseg.training import records

RESULTS = {
    "arm": str,
    "depth": int,
    "seed": int,
    "learning_rate": float,
    "train_loss": float,
    "pixel_accuracy": float,
    "mean_iou": float,
    "parameters": int,
    "compile_seconds": float,
    "step_milliseconds": float,
}
GRADIENTS = {
    "arm": str,
    "depth": int,
    "seed": int,
    "layer": int,
    "input_gradient_norm": float,
    "weight_gradient_norm": float,
}
RESPONSES = {
    "arm": str,
    "depth": int,
    "seed": int,
    "learning_rate": float,
    "layer": int,
    "response": float,
    "share": float,
}
Rows = list[dict[str, Any]]


def best_rate_rows(results: Rows) -> dict[str, dict[int, Rows]]:
    """By arm and depth -> the runs, one a seed, at the rate whose median training loss is lowest.

    Of the rates that were tried with the most seeds: one lucky seed is no rate.
    """
    by_rate: dict[tuple[str, int], dict[float, Rows]] = defaultdict(lambda: defaultdict(list))
    for row in results:
        by_rate[row["arm"], row["depth"]][row["learning_rate"]].append(row)
    best: dict[str, dict[int, Rows]] = defaultdict(dict)
    for (arm, depth), rates in sorted(by_rate.items(), key=lambda item: item[0][1]):
        most = max(len(rows) for rows in rates.values())
        tried = [rows for rows in rates.values() if len(rows) == most]
        best[arm][depth] = min(tried, key=lambda rows: _median(rows, "train_loss"))
    return dict(best)


def loss_table(results: Rows) -> dict[str, dict[int, np.ndarray]]:
    """By arm and depth -> training losses over the seeds, at the arm's best rate there."""
    return {
        arm: {d: np.array([r["train_loss"] for r in rows]) for d, rows in depths.items()}
        for arm, depths in best_rate_rows(results).items()
    }


def gradient_table(gradients: Rows, depth: int) -> dict[str, np.ndarray]:
    """By arm, (seeds, layers) norms of the gradient in each block's input, at one depth."""
    found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in gradients:
        if row["depth"] == depth:
            found[row["arm"]][row["seed"]].append(row["input_gradient_norm"])
    return {arm: np.array(list(seeds.values())) for arm, seeds in found.items()}


def response_table(responses: Rows, results: Rows, column: str) -> dict[str, dict[int, np.ndarray]]:
    """By arm and depth, (seeds, blocks) of one column of responses.csv, at the arm's best rate."""
    found: dict[str, dict[int, np.ndarray]] = defaultdict(dict)
    for arm, depths in best_rate_rows(results).items():
        for depth, runs in depths.items():
            best = {(r["seed"], r["learning_rate"]) for r in runs}
            by_seed: dict[int, list[float]] = defaultdict(list)
            for row in sorted(responses, key=lambda r: r["layer"]):
                own = (row["arm"], row["depth"]) == (arm, depth)
                if own and (row["seed"], row["learning_rate"]) in best:
                    by_seed[row["seed"]].append(row[column])
            if by_seed:
                found[arm][depth] = np.array(list(by_seed.values()))
    return dict(found)


def curve_table(path: Path, results: Rows) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """By name, (steps, losses) of every seed, for each arm's deepest net at its best rate."""
    wanted = {}
    for arm, depths in best_rate_rows(results).items():
        deep = max(depths)
        for row in depths[deep]:
            wanted[arm, deep, row["seed"], row["learning_rate"]] = f"{arm}, {deep}"
    found = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            run = json.loads(line)
        except json.JSONDecodeError:  # torn by a kill; its run is done again
            continue
        key = (run["arm"], run["depth"], run["seed"], run["learning_rate"])
        if key in wanted:
            losses = np.array(run["train_loss"], float)
            found[key] = np.arange(len(losses)) * run["every"], losses
    curves: dict[str, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)
    for key, curve in found.items():
        curves[wanted[key]].append(curve)
    return curves


def theory(
    depth: int, size: tuple[int, int], dilation: int, fields: dict[str, Any]
) -> np.ndarray | None:
    """log10 of the expected gradient profile of an arm, by `analysis.mean_field`.

    None for an arm that has no closed form there.
    """
    net = DeepNetConfig(classes=1, blocks=depth // 2 - 1, dilation=dilation, **fields)
    if net.zero_last:
        return None
    he_relu = (net.activation, net.kernel_init, net.weight_variance) == ("relu", "he", 2)
    if he_relu and net.norm == "none":
        scale = net.scale if net.residual else None
        return mean_field.he_relu(net.blocks, size, branch_scale=scale, dilation=dilation)
    if he_relu and net.norm == "batch" and not net.residual:
        return mean_field.batch_norm_plain(net.blocks)
    if he_relu and net.norm == "batch" and net.scale == 1:
        return mean_field.batch_norm_residual(net.blocks)
    tanh = (net.activation, net.kernel_init, net.norm) == ("tanh", "delta_orthogonal", "none")
    if tanh and not net.residual:
        return mean_field.tanh_isometric(net.blocks, weight_variance=net.weight_variance)
    return None


def trainable_depth(losses: dict[int, np.ndarray], chance: float) -> int | None:
    """The greatest depth whose median loss is below half of chance; None if there is none."""
    return max((d for d, loss in losses.items() if np.median(loss) < chance / 2), default=None)


def summarise(results: Rows, chance: float, about: str) -> str:
    """What the study ran on, and its tables, as Markdown."""
    best = best_rate_rows(results)
    losses = loss_table(results)
    depths = sorted({row["depth"] for row in results})
    by_depth, deepest = [], []
    for arm, table in losses.items():
        deep = trainable_depth(table, chance)
        cells = [_cell(table[d]) if d in table else "" for d in depths]
        by_depth.append(" | ".join([arm, str(deep or "none"), *cells]))
    for arm, table in best.items():
        depth = max(table)
        rows = table[depth]
        deepest.append(
            f"{arm} | {depth} | {rows[0]['learning_rate']:g} "
            f"| {_median(rows, 'pixel_accuracy'):.3f} | {_median(rows, 'mean_iou'):.3f} "
            f"| {rows[0]['parameters']:,} | {len(rows)} | {_median(rows, 'compile_seconds'):.1f} "
            f"| {_median(rows, 'step_milliseconds'):.1f}"
        )
    lines = [
        f"{about}.",
        f"Chance loss is ln K = {chance:.4f}. Each cell is the median training loss over the seeds "
        "at the arm's best learning rate for that depth (lowest and highest seed in brackets); "
        f"a depth counts as trainable where the median is below ln(K)/2 = {chance / 2:.4f}.",
        "",
        *records.markdown_table(
            " | ".join(["arm", "trainable depth", *(f"{d} convs" for d in depths)]), by_depth
        ),
        "",
        "At each arm's greatest depth, on the validation images (median over seeds):",
        "",
        *records.markdown_table(
            "arm | convs | best rate | pixel accuracy | mean IoU | parameters | seeds "
            "| compile s | ms a step and run",
            deepest,
        ),
    ]
    return "\n".join(lines)


def _cell(losses: np.ndarray) -> str:
    return f"{np.median(losses):.3f} ({losses.min():.3f} to {losses.max():.3f})"


def _median(rows: Rows, key: str) -> float:
    return float(np.median([row[key] for row in rows]))
