"""The study of upconvolutions as tables and verdicts."""

from collections.abc import Mapping

import numpy as np
from orders import order
from studies import Heading, Verdict, judged
from study_arms import Rows, best_rates, mean_text, of_arm, rate_text
from upconvolution_config import RANDOM, UPS
from upconvolution_start import GRADIENT, POWER, SHARE

from jaxseg.training import records

ENERGIES = {
    "arm": str,
    "seed": int,
    "learning_rate": float,
    "step": int,
    "logits": float,
    "gradient": float,
}
ODENA, AITKEN = "Odena et al. 2016", "Aitken et al. 2017"
HEADING: Heading = "Upconvolution"


def curves(energies: Rows, chosen: Mapping[str, float], column: str):
    """Arm -> (steps, (seeds, steps) energies)."""
    table = {}
    for arm in chosen:
        steps = sorted({row["step"] for row in energies if row["arm"] == arm})
        values = [of_arm(energies, chosen, arm, column, step=step) for step in steps]
        table[arm] = (np.array(steps), np.array(values).T)
    return table


def arm_table(energies: Rows, results: Rows, labels: float) -> list[str]:
    """A line an arm, means over the seeds and their standard deviation."""
    chosen, lines = best_rates(results, tuple(UPS)), []
    for arm, rate in chosen.items():
        cells = [mean_text(of_arm(results, chosen, arm, c)) for c in ("train_loss", "mean_iou")]
        accuracy = of_arm(results, chosen, arm, "pixel_accuracy").mean()
        logits, gradient = (_ends(energies, chosen, arm, c) for c in ("logits", "gradient"))
        first = next(row for row in results if row["arm"] == arm)
        own = [
            arm,
            rate_text(results, arm, rate),
            *cells,
            f"{accuracy:.3f}",
            f"{logits[0].mean():.2f} → {mean_text(logits[1], 2)}",
            f"{gradient[0].mean():.2f} → {mean_text(gradient[1], 2)}",
            f"{first['parameters']:,}",
            f"{first['step_milliseconds']:.1f}",
        ]
        lines.append(" | ".join(own))
    lines.append(f"the labels | | | | | {labels:.2f} | | | ")
    head = (
        "arm | rate | training loss | mean IoU | accuracy | energy of logits, drawn → trained | "
        "energy of the gradient | parameters | ms a step and run"
    )
    return records.markdown_table(head, lines)


def rate_table(energies: Rows, labels: float) -> list[str]:
    """Energy of the trained logits at every rate: fast training leaves more of it."""
    rates = sorted({row["learning_rate"] for row in energies})
    lines = []
    for arm in (a for a in UPS if any(row["arm"] == a for row in energies)):
        own = [row for row in energies if row["arm"] == arm]
        last = max(row["step"] for row in own)
        values = [
            np.array(
                [
                    row["logits"]
                    for row in own
                    if (row["step"], row["learning_rate"]) == (last, rate)
                ]
            )
            for rate in rates
        ]
        lines.append(" | ".join([arm, *(mean_text(v, 2) if v.size else "" for v in values)]))
    lines.append(" | ".join(["the labels", *[f"{labels:.2f}"] * len(rates)]))
    head = ["energy of the trained logits at the rate", *(f"{rate:g}" for rate in rates)]
    return records.markdown_table(" | ".join(head), lines)


def _ends(energies: Rows, chosen, arm: str, column: str) -> tuple[np.ndarray, np.ndarray]:
    steps = {row["step"] for row in energies if row["arm"] == arm}
    first, last = (of_arm(energies, chosen, arm, column, step=s) for s in (min(steps), max(steps)))
    return first, last


def verdicts(start: Rows, energies: Rows, results: Rows, labels: float) -> list[Verdict]:
    """What is judged of drawn and of trained nets; claims of arms that were not run are not."""
    chosen = best_rates(results, tuple(UPS))
    ends = {arm: _ends(energies, chosen, arm, "logits") for arm in chosen}
    gradients = {arm: _ends(energies, chosen, arm, "gradient")[1] for arm in chosen}
    found = [
        *_start_verdicts(start),
        *_trained({arm: last for arm, (_, last) in ends.items()}, labels),
    ]
    if "sub-pixel ICNR" in chosen:
        first = ends["sub-pixel ICNR"][0]
        found.append(
            Verdict(
                heading=HEADING,
                claim="ICNR starts without a checkerboard of the last level",
                source=AITKEN,
                theory="energy 0",
                measured=f"at most {first.max():.1e}",
                seeds=len(first),
                verdict=judged(bool(first.max() < 1e-6)),
            )
        )
    if {"resize nearest", "sub-pixel ICNR"} <= {*chosen}:
        pair = ("sub-pixel ICNR", "resize nearest")
        found.append(
            order(
                HEADING,
                "A sub-pixel convolution from ICNR fits better than resizing and convolving",
                AITKEN,
                "training loss",
                {arm: of_arm(results, chosen, arm, "train_loss").tolist() for arm in pair},
                larger_is_better=False,
            )
        )
    if gradients:
        values = np.concatenate([*gradients.values()]).tolist()
        found.append(
            order(
                HEADING,
                "Strided convolutions leave a checkerboard in the gradient of trained nets",
                ODENA,
                "energy of the gradient",
                {"all arms": values, "white noise": [1.0] * len(values)},
            )
        )
    return found


def _trained(trained: Mapping[str, np.ndarray], labels: float) -> list[Verdict]:
    """Of nets that have learned: where the energy of the logits is less."""
    drawn = [value for arm in RANDOM if arm in trained for value in trained[arm].tolist()]
    values = {arm: found.tolist() for arm, found in trained.items()} | {
        "layers drawn at random": drawn,
        "the labels": [labels] * 4,
    }
    claims = (
        (
            "the labels",
            "upconv k4s2",
            ODENA,
            "Even overlap (k4s2) does not keep training from leaving a checkerboard",
        ),
        ("upconv k4s2", "upconv k3s2", ODENA, "Uneven overlap leaves more of it than even overlap"),
        (
            "resize nearest",
            "layers drawn at random",
            ODENA,
            "Resizing (nearest) and convolving leaves less of it than layers whose phases are "
            "drawn apart",
        ),
        (
            "resize bilinear",
            "layers drawn at random",
            ODENA,
            "So does resizing bilinearly and convolving",
        ),
        (
            "upconv bilinear",
            "layers drawn at random",
            "derived",
            "So does an upconvolution that starts as bilinear interpolation (Long et al. 2015)",
        ),
        (
            "sub-pixel ICNR",
            "sub-pixel",
            AITKEN,
            "After training a sub-pixel convolution from ICNR has less of it than one drawn at "
            "random",
        ),
    )
    return [
        order(
            HEADING,
            claim,
            source,
            "energy of the logits",
            {a: values[a] for a in (less, more)},
            larger_is_better=False,
            digits=2,
        )
        for less, more, source, claim in claims
        if less in values and values.get(more)
    ]


SIGMAS = 3.5
"""Standard errors that a measurement may be off: of a dozen at once, one in 200 is by chance."""


def _start_verdicts(start: Rows) -> list[Verdict]:
    """Theory of drawn layers; not shown where an error is above a tenth of what is expected."""
    claims = (
        (
            SHARE,
            "Drawn at random, every upconvolution paints a checkerboard on a flat image, even "
            "where windows overlap evenly; resized, bilinear and ICNR layers paint none",
            "derived",
        ),
        (
            POWER,
            "Drawn at random, an upconvolution of white noise is as uneven as its overlap",
            "derived",
        ),
        (
            GRADIENT,
            "The gradient behind strided convolutions is as uneven as the paths to them",
            "derived",
        ),
    )
    found = []
    for quantity, claim, source in claims:
        rows = [row for row in start if row["quantity"] == quantity]
        if not rows:
            continue
        sharp = all(row["error"] <= 0.1 * max(row["theory"], 0.1) for row in rows)
        near = all(
            abs(row["measured"] - row["theory"]) <= max(SIGMAS * row["error"], 1e-6) for row in rows
        )
        found.append(
            Verdict(
                heading=HEADING,
                claim=claim,
                source=source,
                theory=", ".join(f"{row['case']}: {row['theory']:.3g}" for row in rows),
                measured=", ".join(f"{row['measured']:.2g} ± {row['error']:.1g}" for row in rows),
                seeds=min(row["draws"] for row in rows),
                verdict=judged(near if sharp else None),
            )
        )
    return found
