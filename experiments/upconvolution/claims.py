"""The upconvolution study's claims and tables, from its rows."""

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.upconvolution.config import LABELS, RANDOM, case_label
from experiments.upconvolution.probes import GRADIENT, POWER, SHARE
from jaxseg.studies import (
    Row,
    Table,
    Verdict,
    columns,
    hardly_trained,
    judge,
    order,
    rate_text,
    shown_in,
    spread,
)

HEADING = "Upconvolution"
DUMOULIN, ODENA, AITKEN = "Dumoulin & Visin 2016", "Odena et al. 2016", "Aitken et al. 2017"
LONG, SHI = "Long et al. 2015", "Shi et al. 2016, arXiv:1609.07009"
Best = Mapping[str, Sequence[Row]]
"""Arm -> its rows at its best rate, one a seed."""
Curves = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""Arm -> steps, and (seeds, steps) energies."""
TOLERANCE = 1e-12
"""Relative error in float64 below which two sides of an identity are equal."""
IDENTITIES = {
    "input gradient": (
        "A strided convolution's input gradient is an upconvolution: input dilated, kernel flipped",
        DUMOULIN,
    ),
    "adjoint": ("The upconvolution is the adjoint of the convolution", DUMOULIN),
    "kernel gradient": (
        "A strided convolution's kernel gradient is a convolution dilated by the stride",
        "derived",
    ),
    "pixel shuffle": (
        "A 4 × 4 upconvolution of stride 2 is the pixel shuffle of four 2 × 2 convolutions",
        SHI,
    ),
    "ICNR": ("A sub-pixel convolution from ICNR is nearest-neighbor upsampling", AITKEN),
    "bilinear phases": ("A bilinear kernel of 2s - (s mod 2) taps has phases that sum to 1", LONG),
    "bilinear slopes": (
        "A bilinear kernel upsamples constants and slopes exactly in the interior",
        LONG,
    ),
}
"""Name of an identity -> claim, source."""
OVERLAPS = {
    "3 × 3 at stride 2": (3, 4.0),
    "5 × 5 at stride 2": (5, 2.25),
    "4 × 4 at stride 2": (4, 1.0),
}
"""Name -> window, and the largest over the smallest number of taps that meet in a pixel."""
SIGMAS = 3.5
"""Standard errors that a measurement may be away from theory: of a dozen measurements at once, one
is farther away by chance in one study of 200."""
THE_LABELS, RANDOM_LAYERS = "the labels", "layers of random kernels"
TRAINED_LOGITS = (
    (THE_LABELS, "upconv k4s2", ODENA, "Training leaves a checkerboard even where overlap is even"),
    (
        "upconv k4s2",
        "upconv k3s2",
        ODENA,
        "Uneven overlap leaves more of a checkerboard than even overlap",
    ),
    (
        "resize nearest",
        RANDOM_LAYERS,
        ODENA,
        "Resizing (nearest) and convolving leaves less of a checkerboard than random kernels",
    ),
    (
        "resize bilinear",
        RANDOM_LAYERS,
        ODENA,
        "Resizing bilinearly and convolving leaves less of a checkerboard than random kernels",
    ),
    (
        "upconv bilinear",
        RANDOM_LAYERS,
        "derived",
        "An upconvolution from bilinear weights leaves less of a checkerboard than random kernels",
    ),
    (
        "sub-pixel ICNR",
        "sub-pixel",
        AITKEN,
        "A sub-pixel convolution from ICNR leaves less of a checkerboard than a random one",
    ),
)
"""Arm that leaves less of a checkerboard, arm that leaves more, source, claim."""


def _verdict(claim: str, source: str, theory: str, measured: str, seeds: int, agrees: bool | None):
    return Verdict(HEADING, claim, source, theory, measured, seeds, judge(agrees))


def _identity(name: str, error: float) -> Verdict:
    measured = f"relative error {error:.1e}"
    equal = "equal to 10⁻¹² in float64"
    return _verdict(*IDENTITIES[name], equal, measured, 1, error <= TOLERANCE)


def algebra_verdicts(
    errors: Mapping[str, float],
    conv_transpose: tuple[float, float],
    sizes: tuple[int, int],
    overlaps: Mapping[str, np.ndarray],
) -> list[Verdict]:
    """Judge the claims of algebra.

    Args:
        errors: From `probes.identity_errors`.
        conv_transpose: From `probes.conv_transpose_errors`.
        sizes: From `probes.size_formulas`.
        overlaps: Name -> counts of `probes.overlap`, for every one of `OVERLAPS`.
    """
    default, transposed = conv_transpose
    correct, total = sizes
    ratios = {name: float(counts.max() / counts.min()) for name, counts in overlaps.items()}
    expected = {name: ratio for name, (_, ratio) in OVERLAPS.items()}
    identities = [_identity(name, errors[name]) for name in IDENTITIES]
    arithmetic = [
        _verdict(
            "`jax.lax.conv_transpose` is the gradient of a convolution only with "
            "`transpose_kernel=True`",
            "derived",
            "different by default, else equal",
            f"relative error {default:.1f} by default, {transposed:.1e} with "
            "`transpose_kernel=True`",
            1,
            default > 0.1 and transposed <= TOLERANCE,
        ),
        _verdict(
            "Output sizes, and the remainder a that makes the way back unique",
            DUMOULIN,
            "o = ⌊(i + 2p − k) / s⌋ + 1; o′ = s(i′ − 1) + a + k − 2p, a = (i + 2p − k) mod s",
            f"{correct} of {total} geometries",
            0,
            correct == total,
        ),
    ]
    meeting = _verdict(
        "Where the stride does not divide the window, more taps meet in some pixels",
        ODENA,
        "; ".join(f"{name}: {ratio:g} to 1" for name, ratio in expected.items()),
        ", ".join(f"{ratio:g}" for ratio in ratios.values()),
        0,
        ratios == expected,
    )
    return [*shown_in("algebra.png", identities), *arithmetic, *shown_in("overlap.png", [meeting])]


def initial_verdicts(initial: Sequence[Row]) -> list[Verdict]:
    """Judge layers at initialization by theory.

    "not shown" where a standard error is above a tenth of what is expected.

    Args:
        initial: Rows of initial.csv.
    """
    claims = {
        SHARE: "At initialization every upconvolution with random kernels leaves a checkerboard "
        "on a flat image, even where windows overlap evenly; resized, bilinear and ICNR layers "
        "leave none",
        POWER: "At initialization an upconvolution of white noise is as uneven as its overlap",
        GRADIENT: "The gradient behind strided convolutions is as uneven as the paths to them",
    }
    verdicts = []
    for quantity, claim in claims.items():
        rows = [row for row in initial if row["quantity"] == quantity]
        precise = all(row["error"] <= 0.1 * max(row["theory"], 0.1) for row in rows)
        near = all(
            abs(row["measured"] - row["theory"]) <= max(SIGMAS * row["error"], 1e-6) for row in rows
        )
        if rows:
            verdicts.append(
                _verdict(
                    claim,
                    "derived",
                    "; ".join(f"{case_label(row['case'])}: {row['theory']:.3g}" for row in rows),
                    "; ".join(
                        f"{case_label(row['case'])}: {row['measured']:.2g} ± {row['error']:.1g}"
                        for row in rows
                    ),
                    min(row["draws"] for row in rows),
                    near if precise else None,
                )
            )
    return shown_in("initial.png", verdicts)


def trained_verdicts(
    best: Best, logits: Curves, gradients: Curves, *, labels: float, chance: float
) -> list[Verdict]:
    """Judge trained nets; claims about arms that were not run are left out.

    Args:
        best: From `at_best_rate`.
        logits: Energies of the logits.
        gradients: Energies of the gradient in the image.
        labels: Energy of the labels themselves.
        chance: The loss of knowing nothing, in nats.
    """
    losses = columns(best, "train_loss")
    verdicts = _trained_logits(losses, logits, labels, chance)
    if "sub-pixel ICNR" in best:
        claim = ("ICNR starts without a checkerboard of the last level", AITKEN, "energy 0")
        start = logits["sub-pixel ICNR"][1][:, 0]
        agrees = bool(start.max() < 1e-6)
        verdicts.append(_verdict(*claim, f"{start.max():.1e} at most", len(start), agrees))
    pair = ("sub-pixel ICNR", "resize nearest")
    if {*pair} <= {*best}:
        claim = "A sub-pixel convolution from ICNR fits better than resizing and convolving"
        fits = {LABELS[arm]: losses[arm] for arm in pair}
        verdicts.append(
            _less(claim, AITKEN, "training loss", fits).unless(hardly_trained(fits, chance))
        )
    last = np.concatenate([values[:, -1] for _, values in gradients.values()])
    claim = "Strided convolutions leave a checkerboard in the gradient of trained nets"
    values = {"white noise": np.ones(len(last)), "all arms": last}
    verdict = _less(claim, ODENA, "energy of the gradient", values)
    named = {LABELS[arm]: loss for arm, loss in losses.items()}
    return shown_in("checkerboards.png", [*verdicts, verdict.unless(hardly_trained(named, chance))])


def _less(claim: str, source: str, quantity: str, values: Mapping[str, np.ndarray]) -> Verdict:
    """Judge whether values are below those of the next entry."""
    return order(HEADING, claim, source, quantity, values, larger_is_better=False)


def _trained_logits(
    losses: Mapping[str, np.ndarray], logits: Curves, labels: float, chance: float
) -> list[Verdict]:
    """Judge where training leaves less of a checkerboard in the logits."""
    groups = {THE_LABELS: [], RANDOM_LAYERS: [arm for arm in RANDOM if arm in losses]}
    groups |= {arm: [arm] for arm in losses}
    values = {
        name: np.concatenate([logits[arm][1][:, -1] for arm in arms])
        for name, arms in groups.items()
        if arms
    }
    values[THE_LABELS] = np.full(4, labels)
    verdicts = []
    for less, more, source, claim in TRAINED_LOGITS:
        if {less, more} <= {*values}:
            pair = {LABELS.get(name, name): values[name] for name in (less, more)}
            trained = {LABELS[arm]: losses[arm] for arm in groups[less] + groups[more]}
            verdict = _less(claim, source, "energy of the logits", pair)
            verdicts.append(verdict.unless(hardly_trained(trained, chance)))
    return verdicts


def arm_table(
    results: Sequence[Row], best: Best, logits: Curves, gradients: Curves, labels: float
) -> Table:
    """Tabulate the arms at their best rates."""
    rows = [
        [
            LABELS[arm],
            rate_text(results, runs),
            *(
                spread([run[name] for run in runs])
                for name in ("train_loss", "mean_iou", "pixel_accuracy")
            ),
            *(
                f"{np.median(curves[arm][1][:, 0]):.2f} → {spread(curves[arm][1][:, -1], 2)}"
                for curves in (logits, gradients)
            ),
            f"{runs[0]['parameters']:,}",
            f"{runs[0]['step_milliseconds']:.1f}",
        ]
        for arm, runs in best.items()
    ]
    rows.append([THE_LABELS, *[""] * 4, f"{labels:.2f}", *[""] * 3])
    return Table.of(
        "Each arm at its best rate",
        (
            "arm",
            "rate",
            "training loss",
            "mean IoU",
            "pixel accuracy",
            "energy of the logits, before → after training",
            "energy of the gradient, likewise",
            "parameters",
            "ms a step and run",
        ),
        rows,
    )


def rate_table(energies: Sequence[Row], labels: float) -> Table:
    """Tabulate the energy of the trained logits at every rate: fast training leaves more of it."""
    rates = sorted({row["learning_rate"] for row in energies})
    rows = []
    for arm in dict.fromkeys(row["arm"] for row in energies):
        runs = [row for row in energies if row["arm"] == arm]
        last = [row for row in runs if row["step"] == max(row["step"] for row in runs)]
        by_rate = [[r["logits"] for r in last if r["learning_rate"] == rate] for rate in rates]
        rows.append([LABELS[arm], *(spread(values, 2) if values else "" for values in by_rate)])
    rows.append([THE_LABELS, *[f"{labels:.2f}"] * len(rates)])
    columns = ("arm", *(f"rate {rate:g}" for rate in rates))
    return Table.of("Energy of the trained logits at every rate", columns, rows)
