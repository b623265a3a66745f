"""The residual_gradient study's claims and table, from its rows."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from experiments.residual_gradient.config import LABELS, SHATTERED, Config
from jaxseg.analysis import finite_width, shattering
from jaxseg.studies import Row, Table, Verdict, judge, judge_within, shown_in

HEADING = "Residual connections: the gradient"
WIDE, LARGE_BATCH = 256, 128
"""Narrower nets and smaller batches cannot tell what is claimed of wide nets and large batches."""
SHALLOW = (1, 2, 4, 8)
"""Depths at which 2**-L is above the noise of the seeds."""
POWERS_OF_TWO = (1, 2, 4, 8, 16, 32, 64)
"""Layers that claims about all layers are judged at."""
HE, YANG, HANIN = "He et al. 2016, eq. 5", "Yang et al. 2019", "Hanin 2018"
DE, BALDUZZI, DERIVED = "De & Smith 2020", "Balduzzi et al. 2017", "derived"


class Points(NamedTuple):
    """Measurements at some layers, depths or batch sizes, and what theory expects there.

    Attributes:
        at: Places.
        measured: Means over the seeds.
        error: Standard errors of these means.
        theory: Expected values.
        seeds: Number of seeds.
    """

    at: np.ndarray
    measured: np.ndarray
    error: np.ndarray
    theory: np.ndarray
    seeds: int

    def exp(self, factor: float = 1.0) -> "Points":
        """Return the exponentials of `factor` times the values."""
        measured = np.exp(factor * self.measured)
        error = measured * factor * self.error
        return self._replace(measured=measured, error=error, theory=np.exp(factor * self.theory))

    def expecting(self, theory: float) -> "Points":
        """Return the same measurements beside another theory."""
        return self._replace(theory=np.full(len(self.at), theory))


def points(
    rows: Sequence[Row], part: str, arm: str, quantity: str, places: Collection[float] | None = None
) -> Points:
    """Collect a quantity of an arm at some places, or at all of them, from results.csv."""
    key = (part, arm, quantity)
    chosen = [row for row in rows if (row["part"], row["arm"], row["quantity"]) == key]
    chosen = [row for row in chosen if places is None or row["at"] in places]
    at, mean, sd, theory, seeds = (
        np.array([row[name] for row in chosen], float)
        for name in ("at", "mean", "sd", "theory", "seeds")
    )
    return Points(at, mean, sd / np.sqrt(seeds), theory, int(min(seeds, default=0)))


def verdicts(config: Config, rows: Sequence[Row], logs: Mapping[str, np.ndarray]) -> list[Verdict]:
    """Judge all claims.

    Args:
        config: The study's configuration.
        rows: Rows of results.csv.
        logs: "forward" and "gradient" -> ln of the squared norm's growth, one a seed.
    """
    profiles = [*_shortcuts(config, rows), *_batch_norm(config, rows)]
    widths = [_finite_width(config, name, values) for name, values in logs.items()]
    return [
        *shown_in("layer_by_layer.png", profiles),
        *shown_in("shattering.png", _shattered(config, rows)),
        *shown_in("log_norms.png", widths),
        _path(rows),
    ]


def _shortcuts(config: Config, rows: Sequence[Row]) -> list[Verdict]:
    zero = points(rows, "profiles", "residual_zero", "log_gradient")
    # The largest of numbers with a NaN among them is NaN, which is not 0.
    largest = float(np.max(np.abs(zero.measured) + zero.error * np.sqrt(zero.seeds)))
    whole = points(rows, "profiles", "residual", "log_gradient", (0,)).expecting(1.0)
    layer = 2 / config.layers / np.log(2)
    doublings = whole._replace(
        at=np.array([config.layers]), measured=layer * whole.measured, error=layer * whole.error
    )
    wide = config.width >= WIDE
    return [
        Verdict(
            HEADING,
            "A zero branch carries the gradient through every layer unchanged",
            HE,
            theory="log of its growth exactly 0",
            measured=f"{largest:g} at most",
            seeds=zero.seeds,
            verdict=judge(largest == 0),
        ),
        _within(
            "Branches scaled by 1/√L: the squared gradient grows by (1 + 1/L)ᴸ, toward e",
            HE,
            points(rows, "depths", "residual_scaled", "log_gradient").exp(2),
            0.05,
            able=wide,
        ),
        _within(
            "Unscaled branches: the squared gradient doubles at each layer (log₂ of its growth)",
            HE,
            doublings,
            0.05,
            able=wide,
        ),
    ]


def _batch_norm(config: Config, rows: Sequence[Row]) -> list[Verdict]:
    """Judge explosion without shortcuts, and linear growth with them."""
    largest = max(config.batches)
    able = config.batch_width >= WIDE
    moments, shares = (
        points(rows, "profiles", "residual_norm", quantity, POWERS_OF_TWO)
        for quantity in ("log_moment", "branch_fraction")
    )
    explodes = partial(_within, source=YANG, tolerance=0.02, at="B")
    linear = partial(_within, source=DE, tolerance=0.04, at="l", able=config.width >= WIDE)
    return [
        explodes(
            "Plain nets with batch norm: the squared gradient explodes by π/(π − 1) a layer",
            # A limit of large batches.
            chosen=points(rows, "batches", "relu", "log_growth", (largest,)).exp(),
            able=able and largest >= LARGE_BATCH,
        ),
        explodes(
            "Plain nets with batch norm and without an activation: it explodes by (B − 2)/(B − 3)",
            chosen=points(rows, "batches", "identity", "log_growth").exp(),
            able=able,
        ),
        linear(
            "Residual nets with batch norm: the second moment grows linearly, as l + 1",
            chosen=moments.exp(),
        ),
        linear(
            "Residual nets with batch norm: branch l adds a share of 1/(l + 1), so that layers "
            "come ever nearer to the identity",
            chosen=shares,
        ),
    ]


def _shattered(config: Config, rows: Sequence[Row]) -> list[Verdict]:
    """Judge the correlation of gradients by depth, with and without batch norm."""
    deepest = max(config.depths)
    plain, plain_norm, residual_norm, scaled = (
        partial(points, rows, "depths", arm, "gradient_correlation")
        for arm in ("plain", "plain_norm", "residual_norm", "residual_scaled")
    )
    uncentered = shattering.batch_norm_residual_correlations(deepest, centered=False)[0]
    limit = shattering.scaled_branch_limit()
    near = partial(_within, tolerance=0.02, relative=False, able=config.width >= WIDE)
    return [
        near(
            "Plain nets with batch norm: gradients shatter, their correlation over inputs is 2⁻ᴸ",
            BALDUZZI,
            plain_norm(SHALLOW),
        ),
        near(
            "Plain nets without batch norm: it is the product of κ₀(c_{l}), far above 2⁻ᴸ",
            DERIVED,
            plain(SHALLOW[1:]),
        ),
        _power(plain(), config.width),
        near(
            "Residual nets with batch norm: it is the product of (l + ½)/(l + 1), about 2/√(πL)",
            BALDUZZI,
            residual_norm((deepest,)).expecting(uncentered),
        ),
        near(
            "Residual nets with batch norm: it falls faster, as L^{−.73}, because a norm divides "
            "by a centered variance, which grows by (π − 1)/π a layer and not by 1",
            DERIVED,
            residual_norm((*SHALLOW, deepest)),
        ),
        near(
            "Branches scaled by 1/√L do not shatter: the limit is .6336",
            DERIVED,
            scaled((deepest,)).expecting(limit),
        ),
    ]


def widest_depth(width: int) -> float:
    """Return the depth up to which nets count as wide: their logs spread by 5 L / n = 0.2."""
    return width / 25


def _power(plain: Points, width: int) -> Verdict:
    """Judge the local exponent between the two deepest nets that are still wide."""
    wide = np.flatnonzero(plain.at <= widest_depth(width))[-2:]
    at, measured, error, theory = (values[wide] for values in plain[:4])
    run = np.diff(np.log(at))
    slopes = (
        np.diff(np.log(np.where(values > 0, values, np.nan))) / run for values in (measured, theory)
    )
    error = np.linalg.norm(error / np.abs(measured)) / run
    measured, theory = slopes
    verdict = _within(
        "Plain nets without batch norm: the correlation tends to a power of depth, L⁻³, and is no "
        "exponential (local exponent of wide nets)",
        DERIVED,
        Points(at[1:], measured, error, theory, plain.seeds),
        0.3,
        relative=False,
        able=width >= WIDE,
    )
    lacking = f"no two depths were tried at which nets of width {width} are wide"
    return verdict.unless(lacking if len(wide) < 2 else "")


def _finite_width(config: Config, name: str, logs: np.ndarray) -> Verdict:
    """Judge mean and variance of the logs against those of a normal distribution."""
    n, layers = config.narrow_width, config.narrow_layers
    leading = finite_width.he_log_moments(n, layers)
    exact = finite_width.he_log_moments_exact(n, layers)
    finite = logs[np.isfinite(logs)]
    mean, variance = (
        (float(finite.mean()), float(finite.var(ddof=1))) if len(finite) > 1 else (np.nan, np.nan)
    )
    error = np.array([np.sqrt(variance), variance * np.sqrt(2)]) / np.sqrt(max(1, len(finite)))
    subject = {"forward": "features", "gradient": "the gradient"}[name]
    return Verdict(
        HEADING,
        f"Finite width: ln ‖·‖² of {subject} spreads over seeds by 5 L/n about −5 L/2n",
        HANIN,
        theory=f"variance {leading.variance:.3f}, mean {leading.mean:.3f} (10 % each; "
        f"exact {exact.variance:.3f}, {exact.mean:.3f})",
        measured=f"variance {variance:.3f}, mean {mean:.3f}",
        seeds=len(finite),
        verdict=judge_within([mean, variance], leading, 0.1 * np.abs(leading), error, able=n >= 64),
    )


def _path(rows: Sequence[Row]) -> Verdict:
    pre, post = (
        points(rows, "paths", kind, "left_over") for kind in ("pre-activation", "post-activation")
    )
    sums, broken = float(pre.measured[0]), float(post.measured[0])
    return Verdict(
        HEADING,
        "Pre-activation: x_{L} − x₀ is the sum of the branches; a ReLU behind the sum breaks the "
        "path",
        "He et al. 2016, eq. 4",
        theory="0 of ‖x_{L}‖ left over (10⁻⁵); more than 1 %",
        measured=f"{sums:.1e}; {broken:.1%}",
        seeds=pre.seeds,
        verdict=judge(sums < 1e-5 and broken > 0.01),
    )


def _within(
    claim: str,
    source: str,
    chosen: Points,
    tolerance: float,
    *,
    able: bool,
    at: str = "L",
    relative: bool = True,
) -> Verdict:
    """Judge points within a tolerance, which is a share of what theory expects if `relative`."""

    def listed(values: np.ndarray) -> str:
        numbers = ", ".join(f"{value:.4g}" for value in values) or "nothing"
        return f"{numbers} at {at} = {', '.join(f'{place:g}' for place in chosen.at) or 'none'}"

    text = f"{tolerance:.0%}" if relative else f"{tolerance:g} absolute"
    width = tolerance * (chosen.theory if relative else 1.0)
    return Verdict(
        HEADING,
        claim,
        source,
        theory=f"{listed(chosen.theory)} (± {text})",
        measured=listed(chosen.measured),
        seeds=chosen.seeds,
        verdict=judge_within(chosen.measured, chosen.theory, width, chosen.error, able=able),
    )


def correlation_table(rows: Sequence[Row]) -> Table:
    """Tabulate the correlation of gradients by depth, measured and expected."""
    lines, depths = [], []
    for arm in SHATTERED:
        chosen = points(rows, "depths", arm, "gradient_correlation")
        depths = [f"L = {at:g}" for at in chosen.at]
        for kind, values in (("mean over the seeds", chosen.measured), ("theory", chosen.theory)):
            lines.append([LABELS[arm], kind, *(f"{value:.4f}" for value in values)])
    return Table.of("Correlation of gradients at two inputs", ("arm", "", *depths), lines)
