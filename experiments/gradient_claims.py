"""The claims of `gradient_norms`, each judged from the rows that were measured."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gradient_arms import SHATTERED
from studies import Judgement, Verdict, judged

from jaxseg.analysis import shattering
from jaxseg.analysis.finite_width import he_log_moments, he_log_moments_exact
from jaxseg.training import records

Rows = Sequence[Mapping[str, Any]]
HEADING = "Residual connections: the gradient"
WIDE = 256
"""Narrower nets cannot tell what is said of wide ones."""
SHALLOW = (1, 2, 4, 8)
"""Depths at which 2**-L is above the noise of the seeds."""


def column(rows: Rows, part: str, arm: str, quantity: str) -> dict[float, Mapping[str, Any]]:
    """Place (layer, depth, angle or batch) -> its row."""
    keys = (part, arm, quantity)
    return {r["at"]: r for r in rows if (r["part"], r["arm"], r["quantity"]) == keys}


def judge(found: Any, wanted: Any, tolerance: Any, error: Any, *, able: bool = True) -> Judgement:
    """Whether all is within the tolerance; "not shown" where noise or width cannot tell.

    Noise cannot where a standard error is as large as the tolerance, or nothing was measured.

    Args:
        found: measured.
        wanted: by theory.
        tolerance: absolute.
        error: standard error of `found`.
        able: whether nets of this size can tell.
    """
    off = np.abs(np.asarray(found) - wanted)
    blind = not off.size or not np.all(np.isfinite(off)) or np.any(np.asarray(error) >= tolerance)
    if blind or not able:
        return judged(None)
    if np.all(off <= tolerance):
        return judged(True)
    return judged(False if np.any(off > tolerance + 3 * np.asarray(error)) else None)


def claims(config: Any, rows: Rows, logs: Mapping[str, np.ndarray]) -> list[Verdict]:
    """Every claim with its verdict.

    Args:
        config: a `gradient_norms.Config`.
        rows: of its table.
        logs: "forward" and "gradient" -> ln of the squared norm's growth, a seed each.
    """
    return [
        *_shortcuts(config, rows),
        *_batch_norm(config, rows),
        *_shattered(config, rows),
        *_finite_width(config, logs),
        _path(rows),
    ]


def _shortcuts(config: Any, rows: Rows) -> list[Verdict]:
    """He et al.: what the shortcut carries."""
    he, wide = "He et al. 2016, eq. 5", config.width >= WIDE
    zero = column(rows, "profiles", "residual_zero", "log_gradient").values()
    most = float(np.max([abs(r["mean"]) + r["sd"] for r in zero]))  # of a NaN NaN
    scaled = column(rows, "depths", "residual_scaled", "log_gradient")
    wanted, found, error = _squared(scaled)
    doubled = column(rows, "profiles", "residual", "log_gradient")[0]
    per_layer = 2 * doubled["mean"] / config.layers / np.log(2)
    spread = 2 * doubled["sd"] / np.sqrt(doubled["seeds"]) / config.layers / np.log(2)
    return [
        Verdict(
            HEADING,
            "A zero branch carries the gradient through every layer as it is",
            he,
            "log of its growth exactly 0",
            f"{most:g} at most",
            config.seeds,
            judged(most == 0),
        ),
        Verdict(
            HEADING,
            "Branches scaled by 1/sqrt(L): the squared gradient grows by (1 + 1/L)^L, towards e",
            he,
            f"{_listed(scaled, wanted)} (5 %)",
            _listed(scaled, found),
            config.seeds,
            judge(found, wanted, 0.05 * wanted, error, able=wide),
        ),
        Verdict(
            HEADING,
            "Unscaled branches: the squared gradient doubles at each layer",
            he,
            "log2 of its growth a layer 1 (5 %)",
            f"{per_layer:.3f}",
            config.seeds,
            judge(per_layer, np.array(1.0), 0.05, spread, able=wide),
        ),
    ]


def _squared(rows: Mapping[float, Mapping[str, Any]]):
    """Theory, measurement and standard error of the squared growth, from its root's logs."""
    wanted = np.exp([2 * r["theory"] for r in rows.values()])
    found = np.exp([2 * r["mean"] for r in rows.values()])
    error = found * [2 * r["sd"] / np.sqrt(r["seeds"]) for r in rows.values()]
    return wanted, found, error


def _batch_norm(config: Any, rows: Rows) -> list[Verdict]:
    """Yang et al.: explosion without shortcuts; De & Smith: linear growth with them."""
    verdicts = []
    for arm, claim in (
        ("relu", "Plain with batch norm: the squared gradient explodes by pi/(pi - 1) a layer"),
        ("identity", "So it does without an activation, by (B - 2)/(B - 3)"),
    ):
        by_batch = column(rows, "batches", arm, "log_growth")
        largest = max(by_batch)
        if arm == "relu":  # a limit of large batches
            by_batch = {largest: by_batch[largest]}
        wanted, found = (np.exp([r[k] for r in by_batch.values()]) for k in ("theory", "mean"))
        seeds = next(iter(by_batch.values()))["seeds"]
        error = found * [r["sd"] / np.sqrt(seeds) for r in by_batch.values()]
        verdict = judge(
            found,
            wanted,
            0.02 * wanted,
            error,
            able=config.batch_width >= WIDE and (arm != "relu" or largest >= 128),
        )
        verdicts.append(
            Verdict(
                HEADING,
                claim,
                "Yang et al. 2019",
                f"{_listed(by_batch, wanted, 'B')} (2 %)",
                _listed(by_batch, found, "B"),
                seeds,
                verdict,
            )
        )
    moments = column(rows, "profiles", "residual_norm", "log_moment")
    powers = {at: r for at, r in moments.items() if at in (1, 2, 4, 8, 16, 32, 64)}
    wanted, found = (np.exp([r[k] for r in powers.values()]) for k in ("theory", "mean"))
    error = found * [r["sd"] / np.sqrt(r["seeds"]) for r in powers.values()]
    fractions = column(rows, "profiles", "residual_norm", "branch_fraction")
    shares = {at: r for at, r in fractions.items() if at in powers}
    got, due = (np.array([r[k] for r in shares.values()]) for k in ("mean", "theory"))
    noise = np.array([r["sd"] / np.sqrt(r["seeds"]) for r in shares.values()])
    wide = config.width >= WIDE
    return [
        *verdicts,
        Verdict(
            HEADING,
            "Residual with batch norm: the second moment grows linearly, l + 1",
            "De & Smith 2020",
            f"{_listed(powers, wanted, 'l')} (4 %)",
            _listed(powers, found, "l"),
            config.seeds,
            judge(found, wanted, 0.04 * wanted, error, able=wide),
        ),
        Verdict(
            HEADING,
            "so that branch l adds a share of 1/(l + 1): ever nearer to the identity",
            "De & Smith 2020",
            f"{_listed(shares, due, 'l')} (4 %)",
            _listed(shares, got, "l"),
            config.seeds,
            judge(got, due, 0.04 * due, noise, able=wide),
        ),
    ]


def _shattered(config: Any, rows: Rows) -> list[Verdict]:
    """Balduzzi et al., and where batch norm is what their result needs."""
    tables = {arm: column(rows, "depths", arm, "gradient_correlation") for arm in SHATTERED}
    wide, seeds = config.width >= WIDE, config.seeds

    def verdict(claim, source, arm, places, tolerance, wanted=None):
        chosen = {at: r for at, r in tables[arm].items() if at in places}
        due = np.array([r["theory"] for r in chosen.values()]) if wanted is None else wanted
        got = np.array([r["mean"] for r in chosen.values()])
        error = np.array([r["sd"] / np.sqrt(r["seeds"]) for r in chosen.values()])
        return Verdict(
            HEADING,
            claim,
            source,
            f"{_listed(chosen, due)} ({tolerance:g} absolute)",
            _listed(chosen, got),
            seeds,
            judge(got, due, tolerance, error, able=wide),
        )

    deepest = sorted(tables["plain"])[-1:]
    unscaled = np.array(
        [shattering.batch_norm_residual(int(at), centred=False)[0] for at in deepest]
    )
    balduzzi = "Balduzzi et al. 2017"
    return [
        verdict(
            "Plain with batch norm: gradients shatter, their correlation over examples is 2^-L",
            balduzzi,
            "plain_norm",
            SHALLOW,
            0.02,
        ),
        verdict(
            "Plain without batch norm it is the product of kappa_0(c_l), far above 2^-L",
            "derived",
            "plain",
            SHALLOW[1:],
            0.02,
        ),
        _power(tables["plain"], config.width, seeds),
        verdict(
            "Residual with batch norm it is the product of (l + 1/2)/(l + 1), ~ 2/sqrt(pi L)",
            balduzzi,
            "residual_norm",
            deepest,
            0.02,
            unscaled,
        ),
        verdict(
            "Residual with batch norm it falls faster, as L^-.73: a norm divides by a centred "
            "variance, which grows by (pi - 1)/pi a layer and not by 1",
            "derived",
            "residual_norm",
            (*SHALLOW, *deepest),
            0.02,
        ),
        verdict(
            "Branches scaled by 1/sqrt(L) do not shatter: the limit is .6336",
            "derived",
            "residual_scaled",
            deepest,
            0.02,
            np.array([shattering.scaled_branch_limit()]),
        ),
    ]


def wide_to(width: int) -> float:
    """The deepest net that the wide limit describes: its logs spread by 5 L / n = .2 (Hanin)."""
    return width / 25


def _power(table: Mapping[float, Mapping[str, Any]], width: int, seeds: int) -> Verdict:
    """The local exponent between the two deepest nets that are still wide."""
    places = [at for at in sorted(table) if at <= wide_to(width)][-2:]
    claim = "that tends to a power of depth, L^-3, and is no exponential"
    if len(places) < 2:
        return Verdict(
            HEADING,
            claim,
            "derived",
            "the local exponent, -3 in the end",
            f"no two depths tried at which nets of width {width} are wide",
            seeds,
            judged(None),
        )
    near, far = places
    a, b = table[near], table[far]
    run = np.log(far / near)
    exponents = {
        k: np.log(b[k] / a[k]) / run if min(a[k], b[k]) > 0 else np.nan for k in ("mean", "theory")
    }
    error = np.hypot(*(r["sd"] / np.sqrt(r["seeds"]) / abs(r["mean"]) for r in (a, b))) / run
    halving = -(far - near) * np.log(2) / run
    return Verdict(
        HEADING,
        claim,
        "derived",
        f"exponent {exponents['theory']:.2f} from L = {near:g} to {far:g}, where 5 L/n is small "
        f"(.3; 2^-L has {halving:.1f})",
        f"{exponents['mean']:.2f}, standard error {error:.2f}",
        seeds,
        judge(exponents["mean"], exponents["theory"], 0.3, error, able=width >= WIDE),
    )


def _finite_width(config: Any, logs: Mapping[str, np.ndarray]) -> list[Verdict]:
    """Hanin: logs are close to normal, their variance 5 L / n."""
    n, layers = config.narrow_width, config.narrow_layers
    leading, exact = he_log_moments(n, layers), he_log_moments_exact(n, layers)
    verdicts = []
    for name, of in (("forward", "features"), ("gradient", "the gradient")):
        found = logs[name][np.isfinite(logs[name])]
        seeds = len(found)
        root = np.sqrt(max(1, seeds))
        variance, mean = (
            (float(found.var(ddof=1)), float(found.mean())) if seeds > 1 else (np.nan, np.nan)
        )
        verdicts.append(
            Verdict(
                HEADING,
                f"Finite width: ln |.|^2 of {of} spreads over seeds by 5 L/n about -5 L/2n",
                "Hanin 2018",
                f"variance {leading.variance:.3f}, mean {leading.mean:.3f} (10 % each; "
                f"exact {exact.variance:.3f}, {exact.mean:.3f})",
                f"variance {variance:.3f}, mean {mean:.3f}",
                seeds,
                judge(
                    np.array([mean, variance]),
                    np.array(leading),
                    0.1 * np.abs(leading),
                    np.array([np.sqrt(variance), variance * np.sqrt(2)]) / root,
                    able=n >= 64,
                ),
            )
        )
    return verdicts


def _path(rows: Rows) -> Verdict:
    """He et al. 2016: x_L is x_l and a sum of branches."""
    left = {
        arm: next(iter(column(rows, "paths", arm, "left_over").values()))
        for arm in ("pre-activation", "post-activation")
    }
    pre, post = (left[arm]["mean"] for arm in left)
    return Verdict(
        HEADING,
        "Pre-activation: x_L - x_0 is the sum of the branches; a ReLU behind the sum "
        "breaks the path",
        "He et al. 2016, eq. 4",
        "0 of |x_L| left over (1e-5), more than 1 %",
        f"{pre:.1e}, {post:.1%}",
        left["pre-activation"]["seeds"],
        judged(pre < 1e-5 and post > 0.01),
    )


def _listed(rows: Mapping[Any, Any], values: np.ndarray, name: str = "L") -> str:
    found = ", ".join(f"{value:.4g}" for value in np.ravel(values))
    return f"{found} at {name} = {', '.join(f'{at:g}' for at in rows)}"


def tables(rows: Rows) -> list[list[str]]:
    """Correlation of gradients by depth, measured and by theory."""
    by_arm = {arm: column(rows, "depths", arm, "gradient_correlation") for arm in SHATTERED}
    places = list(next(iter(by_arm.values())))
    head = "correlation of gradients | " + " | ".join(f"L = {at:g}" for at in places)
    lines = []
    for arm, table in by_arm.items():
        lines += [
            f"{arm}, {kind} | " + " | ".join(f"{table[at][key]:.4f}" for at in places)
            for kind, key in (("measured", "mean"), ("theory", "theory"))
        ]
    return [records.markdown_table(head, lines)]
