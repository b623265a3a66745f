"""From the tables of the study of paths to its figures and verdicts."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import studies
from orders import above
from paths_config import ARMS, Config
from paths_nets import theory

from jaxseg import analysis, plots
from jaxseg.training import records

COLUMNS = {
    "results": {
        "arm": str,
        "blocks": int,
        "seed": int,
        "learning_rate": float,
        "train_loss": float,
    },
    "paths": {
        "arm": str,
        "blocks": int,
        "seed": int,
        "when": str,
        "length": int,
        "log_norm": float,
        "off": float,
    },
    "singles": {
        "arm": str,
        "blocks": int,
        "seed": int,
        "when": str,
        "length": int,
        "log_norm": float,
    },
    "lesions": {
        "arm": str,
        "blocks": int,
        "seed": int,
        "kind": str,
        "number": int,
        "loss": float,
        "accuracy": float,
    },
}
PUBLISHED = (5, 17)
"""Lengths that nearly all gradient came through for CIFAR, of 54 blocks (Veit et al. 2016)."""
VEIT = "Veit et al. 2016"
HEADING = "Residual connections"
BEGUN, TRAINED = "initialisation", "after training"
Tables = Mapping[str, studies.Table]


def untrained(arm: str, blocks: int, seeds: int) -> list[dict[str, Any]]:
    """The results of nets that are not trained: that they are done."""
    same = {"arm": arm, "blocks": blocks, "learning_rate": 0.0, "train_loss": math.nan}
    return [{**same, "seed": seed} for seed in range(seeds)]


def write(config: Config, tables: Tables, chance: float) -> str:
    """Write figures and summary; returns the summary's text."""
    curves = {arm: by_length(config, tables, arm) for arm in config.measured}
    about = (
        f"Mosaics of {config.size} x {config.size} pixels, {config.features} features, "
        f"{config.steps} steps of {config.batch_size} images, {config.seeds} seeds"
    )
    quantities = list(next(iter(curves.values())))
    plots.gradient_by_length(
        {name: {arm: found[name] for arm, found in curves.items()} for name in quantities},
        published=PUBLISHED if config.blocks == 54 else None,
        source="published for CIFAR, ResNet-110",
        title=f"Gradient by path length, {config.blocks} blocks: median and range\n{about}",
    ).savefig(config.out / "paths.png", dpi=150)
    losses = [
        {arm: lesions_of(tables["lesions"], arm, blocks) for arm in arms}
        for blocks, arms in config.nets.items()
    ]
    plots.lesions(losses, chance=chance, title=f"Lesions. {about}").savefig(
        config.out / "lesions.png", dpi=150
    )
    verdicts = [*path_verdicts(config, tables, curves), *lesion_verdicts(config, losses, chance)]
    figures = {
        "paths.png": "The gradient by path length: measured, theory dashed",
        "lesions.png": "The loss after blocks were removed or changed about",
    }
    return studies.write_summary(
        config.out,
        title="Paths",
        about=f"{about}; ln K = {chance:.3f}.",
        verdicts=verdicts,
        figures=figures,
        tables=[length_table(curves), loss_table(tables["results"])],
    )


def by_length(config: Config, tables: Tables, arm: str) -> dict[str, plots.ByLength]:
    """The curves of one net: what the figure's rows are called -> at both times, and theory."""
    squares, norms = theory(ARMS[arm], config.blocks, config.size)
    counts = analysis.log_path_counts(config.blocks)

    def both(curve, expected) -> plots.ByLength:
        begun, trained = (curve(when) for when in (BEGUN, TRAINED))
        return plots.ByLength(begun, expected, trained if len(trained) else None)

    def exact(when):
        return shares(2 * _by_seed(tables["paths"], arm, when))

    def singles(when):
        logs = _mean_singles(tables["singles"], arm, when, config.blocks)
        return (logs - logs[:, :1]) / math.log(10) if len(logs) else logs

    def estimate(when):
        return shares(counts + singles(when) * math.log(10)) if len(singles(when)) else []

    return {
        "share of the squared gradient\nthrough all paths of a length": both(
            exact, shares(squares[None])[0]
        ),
        "log₁₀ of a single path's gradient\nover that of length 0 (sampled)": both(
            singles, (norms - counts) / math.log(10)
        ),
        "share of the sum of norms\n(sampled, times number of paths)": both(
            estimate, shares(norms[None])[0]
        ),
    }


def shares(logs: np.ndarray) -> np.ndarray:
    """Rows of logs as parts of 1."""
    if not len(logs):
        return logs
    parts = np.exp(logs - logs.max(axis=1, keepdims=True))
    return parts / parts.sum(axis=1, keepdims=True)


def _by_seed(table: studies.Table, arm: str, when: str) -> np.ndarray:
    """(seeds, lengths) of exact log norms."""
    rows = [r for r in table.rows if (r["arm"], r["when"]) == (arm, when)]
    seeds = sorted({r["seed"] for r in rows})
    return np.array([[r["log_norm"] for r in rows if r["seed"] == s] for s in seeds])


def _mean_singles(table: studies.Table, arm: str, when: str, blocks: int) -> np.ndarray:
    """(seeds, lengths) log of the mean norm; lengths that were not drawn lie on straight lines."""
    rows = [r for r in table.rows if (r["arm"], r["when"]) == (arm, when)]
    drawn = sorted({r["length"] for r in rows})
    found = []
    for seed in sorted({r["seed"] for r in rows}):
        groups = [
            np.array([r["log_norm"] for r in rows if (r["seed"], r["length"]) == (seed, k)])
            for k in drawn
        ]
        means = [g.max() + np.log(np.mean(np.exp(g - g.max()))) for g in groups]
        found.append(np.interp(np.arange(blocks + 1), drawn, means))
    return np.array(found)


def lesions_of(table: studies.Table, arm: str, blocks: int) -> plots.Lesions:
    """The losses of one net."""
    rows = [r for r in table.rows if (r["arm"], r["blocks"]) == (arm, blocks)]

    def losses(kind):
        numbers = sorted({r["number"] for r in rows if r["kind"] == kind})
        return {
            n: np.array([r["loss"] for r in rows if (r["kind"], r["number"]) == (kind, n)])
            for n in numbers
        }

    whole, single = losses("whole")[0], losses("block")
    return plots.Lesions(
        whole, np.stack(list(single.values()), 1), losses("delete"), losses("shuffle")
    )


def path_verdicts(config: Config, tables: Tables, curves) -> list[studies.Verdict]:
    """Of the gradient by length."""
    off = float(np.max([r["off"] for r in tables["paths"].rows]))
    found = [
        studies.Verdict(
            HEADING,
            "The parts of all path lengths sum to the gradient of the whole net",
            "derived",
            "relative distance below 1e-4",
            f"at most {off:.1e}",
            config.seeds,
            studies.judged(off < 1e-4),
        )
    ]
    words = {
        "residual_unscaled": "Unscaled branches at initialisation: lengths follow Bin(L, 1/2) but "
        "for what the border takes, and the shortest matter least",
        "residual": "Branches scaled by 1/√L at initialisation: lengths follow about Poisson(1)",
        "residual_norm": "Batch norm at initialisation: block l is taken with odds of about "
        "1/l, so that the typical path has some ln L branches",
    }
    for arm in curves:
        claim, shown = words[arm], next(iter(curves[arm].values()))
        expected = mean_length(shown.theory[None])[0]
        means = mean_length(shown.begun)
        away = means / expected - 1
        beyond = np.min(away) > 0.15 or np.max(away) < -0.15
        agrees = told_by(abs(np.mean(away)) <= 0.15, beyond)
        found.append(
            studies.Verdict(
                HEADING,
                claim,
                "derived from Veit et al. 2016 and De & Smith 2020"
                if arm == "residual_norm"
                else f"derived from {VEIT}",
                f"mean length {expected:.2f} of {config.blocks} ± 15 %",
                f"{np.mean(means):.2f} ({means.min():.2f} to {means.max():.2f})",
                config.seeds,
                studies.judged(agrees if config.seeds > 1 else None),
            )
        )
    return [*found, *_short(config, curves)]


def told_by(holds: Any, contradicted: Any) -> bool | None:
    """The verdict on a claim; None where it neither holds nor is contradicted, as with NaN."""
    return True if holds else False if contradicted else None


def _short(config: Config, curves) -> list[studies.Verdict]:
    """After training: short paths carry the gradient; and what sampling makes of it."""
    longest = round(PUBLISHED[1] / 54 * config.blocks)
    fraction = 100 * analysis.path_share(config.blocks, 0, longest)
    if "residual_norm" not in curves:
        return []
    exact, _, sampled = curves["residual_norm"].values()
    found = []
    for name, shown in (("exactly", exact), ("by sampled paths", sampled)):
        low = 100 * shown.trained[:, : longest + 1].sum(axis=1)
        within = 100 * shown.trained[:, PUBLISHED[0] : longest + 1].sum(axis=1)
        found.append(
            studies.Verdict(
                HEADING,
                f"After training with batch norm most of the gradient comes through paths of at "
                f"most {longest} of {config.blocks} branches ({fraction:.2g} % of all "
                f"paths); {name}",
                VEIT,
                "above 90 %; published for CIFAR: 5 to 17 of 54",
                f"{np.median(low):.1f} % ({low.min():.1f} to {low.max():.1f}); from "
                f"{PUBLISHED[0]} on {np.median(within):.1f} %; mean length "
                f"{np.median(mean_length(shown.trained)):.1f}",
                config.seeds,
                studies.judged(
                    told_by(low.min() > 90, low.max() <= 90) if config.seeds > 1 else None
                ),
            )
        )
    means = [mean_length(s.trained) for s in (exact, sampled)]
    found.append(
        studies.Verdict(
            HEADING,
            "Sampled paths times their number overstate the long ones: gradients of different "
            "paths mostly cancel, so that their sum grows as the root of their number",
            "derived",
            "mean length by sampling above the exact one in every seed",
            f"{np.median(means[1]):.1f} against {np.median(means[0]):.1f}",
            config.seeds,
            studies.judged(told_by(np.all(means[1] > means[0]), np.all(means[1] <= means[0]))),
        )
    )
    return found


def lesion_verdicts(config: Config, losses, chance: float) -> list[studies.Verdict]:
    """Of removed and shuffled blocks."""
    found = []
    for arms in losses:
        depth = next(iter(arms.values())).block.shape[1]
        for plain in [arm for arm in arms if not ARMS[arm]["residual"]]:
            norm = ARMS[plain].get("norm") == "batch"
            twin = "residual_norm" if norm else "residual"
            if twin in arms:
                found.append(_one_block(config, arms, plain, twin, depth, chance))
    for arm in [arm for arm in losses[0] if ARMS[arm]["residual"]]:
        for kind, does in (("delete", "removed"), ("shuffle", "moved")):
            steps = getattr(losses[0][arm], kind)
            means = [np.median(losses[0][arm].whole), *(np.median(v) for v in steps.values())]
            less = np.array(means)
            # Of draws this few, a step down by a hundredth of the loss of knowing nothing is none.
            rises = np.all(less[1:] >= less[:-1] - 0.01 * chance) and less[-1] > less[0]
            told = bool(rises) if less[0] < 2 / 3 * chance else None  # else it knows too little
            told = None if np.isnan(less).any() else told
            found.append(
                studies.Verdict(
                    HEADING,
                    f"The more blocks of a {config.blocks}-block `{arm}` net are {does}, the "
                    "higher its loss, step by step",
                    VEIT,
                    f"rises with k = {', '.join(map(str, steps))}",
                    f"{means[0]:.3f} whole; " + ", ".join(f"{m:.3f}" for m in means[1:]),
                    config.seeds,
                    studies.judged(told),
                )
            )
    return found


def _one_block(config, arms, plain, twin, depth, chance) -> studies.Verdict:
    """A plain net loses what it knows without a block; its residual twin does not."""
    # What a net knows is chance minus its loss; a lesion takes a part of it, the whole or more.
    known = {arm: chance - arms[arm].whole for arm in (plain, twin)}
    lost = {
        arm: np.median((arms[arm].block - arms[arm].whole[:, None]) / known[arm][:, None], axis=1)
        for arm in (plain, twin)
    }
    # A seed that learned nothing has nothing to lose, and a share of that has no meaning.
    trained = all(np.median(k) > chance / 3 and np.min(k) > chance / 10 for k in known.values())
    agrees = lost[plain].min() > 0.5 and lost[twin].max() < 0.2
    # In the right order or overlapping, but neither harmless nor fatal: not told.
    told = told_by(agrees, above(lost[twin], lost[plain])) if trained else None
    return studies.Verdict(
        HEADING,
        f"Without one of {depth} blocks a `{plain}` net fails and a `{twin}` net hardly notices",
        VEIT,
        "of chance minus loss, the median block takes above 50 % plain, below 20 % residual, in "
        "every seed",
        "; ".join(
            f"{arm} {100 * np.median(lost[arm]):.0f} % ({100 * lost[arm].min():.0f} to "
            f"{100 * lost[arm].max():.0f}; loss whole {np.median(arms[arm].whole):.2f})"
            for arm in (plain, twin)
        ),
        config.seeds,
        studies.judged(None if told is None else bool(told)),
    )


def mean_length(shares_: np.ndarray) -> np.ndarray:
    """(seeds, lengths) shares -> (seeds,) mean length."""
    return shares_ @ np.arange(shares_.shape[1])


def length_table(curves) -> list[str]:
    """Mean length by net, time, and way of weighing."""
    lines = []
    for arm, found in curves.items():
        exact, _, sampled = found.values()
        for when in ("theory", "begun", "trained"):
            values = [getattr(shown, when) for shown in (exact, sampled)]
            if values[0] is not None:
                cells = [f"{np.median(mean_length(np.atleast_2d(v))):.2f}" for v in values]
                lines.append(" | ".join([arm, when, *cells]))
    return records.markdown_table(
        "net | when | mean length, squared gradient | mean length, sampled, times number", lines
    )


def loss_table(table: studies.Table) -> list[str]:
    """Training losses by net and rate."""
    groups: dict[tuple, list[float]] = {}
    for row in table.rows:
        if row["learning_rate"]:
            key = (row["arm"], row["blocks"], row["learning_rate"])
            groups.setdefault(key, []).append(row["train_loss"])
    return records.markdown_table(
        "net | blocks | learning rate | median training loss (range)",
        [
            f"{arm} | {blocks} | {rate:g} | {np.median(v):.3f} ({min(v):.3f} to {max(v):.3f})"
            for (arm, blocks, rate), v in groups.items()
        ],
    )
