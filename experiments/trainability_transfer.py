"""Depth transfer: the best learning rate of residual nets at each depth."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from studies import Verdict, judged
from trainability_config import SCALES, Config
from trainability_tables import Rows, all_train, by_rate

from jaxseg import plots


def transfer_losses(config: Config, rows: Rows, chain: int, arm: str) -> np.ndarray:
    """(depths, rates, seeds)."""
    kept = [r for r in rows if (r["part"], r["chain"], r["arm"]) == ("transfer", chain, arm)]
    return np.array([by_rate([r for r in kept if r["depth"] == depth]) for depth in config.blocks])


def best_rates(config: Config, losses: np.ndarray) -> np.ndarray:
    """log2 of the rate of least loss along the axis before the last; NaN where all diverge."""
    rates = np.sort(np.array(config.block_log2_rates, float))
    return np.where(np.isfinite(losses.min(axis=1)), rates[np.argmin(losses, axis=1)], np.nan)


def transfer_verdicts(config: Config, rows: Rows, chance: float) -> list[Verdict]:
    """For each kind of block: whether the best rate stays, and the identity at step 0."""
    return [
        verdict
        for chain in config.chains
        for verdict in (
            _moves(config, rows, chain, "1/sqrt(L)"),
            _moves(config, rows, chain, "unscaled"),
            _zero(config, rows, chain, chance),
        )
    ]


def _moves(config: Config, rows: Rows, chain: int, arm: str) -> Verdict:
    runs = transfer_losses(config, rows, chain, arm)
    losses = np.median(runs, axis=-1)
    best = best_rates(config, losses)
    blocks = f"{chain}-layer blocks"
    if arm == "unscaled":
        claim = f"Unscaled, the best learning rate falls with depth until none is left ({blocks})"
        theory = "best log2 rate falls by more than 2, or every rate diverges at last"
        holds = _falls(best, best_rates(config, runs), config.block_log2_rates)
    else:
        claim = f"With branches over sqrt(L) the best learning rate does not move ({blocks})"
        theory = "best log2 rate within +-1 at all depths, none at an end of those tried"
        holds = _stays(best, best_rates(config, runs), config.block_log2_rates)
    return Verdict(
        heading="Residual connections",
        claim=claim,
        source="Bordelon et al. 2023; Yang et al. 2023",
        theory=theory,
        measured=f"{_by_depth(config, best)}{_price(config, losses)}",
        seeds=config.block_seeds,
        verdict=judged(holds if min(len(config.blocks), config.block_seeds) > 1 else None),
    )


def _stays(best: np.ndarray, by_seed: np.ndarray, tried: Sequence[int]) -> bool | None:
    """Whether the best rates, (depths,), fit in +-1; None if only some (depths, seeds) do.

    None as well where one is the least or the largest of those tried, for then the best may lie
    beyond it, or where all rates diverge at all depths.
    """
    if np.isnan(best).any():
        return None if np.isnan(best).all() else False
    if np.ptp(best) <= 2:
        return None if {min(tried), max(tried)} & {*best} else True
    apart = by_seed.min(axis=1).max() - by_seed.max(axis=1).min()
    return False if apart > 2 else None


def _falls(best: np.ndarray, by_seed: np.ndarray, tried: Sequence[int]) -> bool | None:
    """Whether the best rate falls by more than 2 from the first depth to the last, or is lost.

    None where nothing trains at the first, where it may have fallen farther than what was tried, or
    where it does so by some of the seeds.
    """
    if np.isnan(best[0]):
        return None
    if np.isnan(best[-1]) or best[0] - best[-1] > 2:
        return True
    beyond = best[0] == max(tried) or best[-1] == min(tried)
    return False if not beyond and by_seed[0].max() - by_seed[-1].min() <= 2 else None


def _zero(config: Config, rows: Rows, chain: int, chance: float) -> Verdict:
    moved = max(
        r["moved"] for r in rows if (r["part"], r["chain"], r["arm"]) == ("transfer", chain, "zero")
    )
    losses = np.median(transfer_losses(config, rows, chain, "zero"), axis=-1)
    least = losses.min(axis=1)
    best = _by_depth(config, best_rates(config, losses)) + _price(config, losses)
    verdict = all_train(least, chance) if moved == 0 else judged(False)
    return Verdict(
        heading="Residual connections",
        claim=f"Behind a learned scale that starts at 0 a stack is the identity at step 0, and "
        f"trains at every depth ({chain}-layer blocks)",
        source="De & Smith 2020; Bachlechner et al. 2020",
        theory=f"|stack(x) - x| = 0 exactly; loss below ln(K) / 2 = {chance / 2:.3f} nats",
        measured=f"{moved:g}; largest loss {least.max():.3f} nats; {best}",
        seeds=config.block_seeds,
        verdict=verdict,
    )


def _by_depth(config: Config, best: np.ndarray) -> str:
    """The rates in words; one at an end of those tried may lie beyond it."""
    lowest, highest = min(config.block_log2_rates), max(config.block_log2_rates)
    beyond = {lowest: "<= ", highest: ">= "}
    names = ", ".join("none" if np.isnan(b) else f"{beyond.get(int(b), '')}{b:g}" for b in best)
    return f"best log2 rate {names} at {', '.join(map(str, config.blocks))} blocks"


def _price(config: Config, losses: np.ndarray) -> str:
    """What the shallowest nets' best rate costs the deepest ones."""
    own, borrowed = losses[-1].min(), losses[-1, int(np.argmin(losses[0]))]
    if not np.isfinite(own):
        return ""
    cost = f"{borrowed - own:.3f} nats" if np.isfinite(borrowed) else "divergence"
    return f"; the best rate of {config.blocks[0]} costs {config.blocks[-1]} blocks {cost}"


def transfer_figure(config: Config, rows: Rows, chance: float) -> Figure:
    """See `plots.depth_transfer`."""
    names = {"1/sqrt(L)": "branches / √L", "unscaled": "unscaled", "zero": "learned scale from 0"}
    losses = {
        f"{chain}-layer blocks": {
            names[arm]: transfer_losses(config, rows, chain, arm) for arm in SCALES
        }
        for chain in config.chains
    }
    return plots.depth_transfer(
        losses=losses,
        best={
            kind: {arm: best_rates(config, v) for arm, v in by_arm.items()}
            for kind, by_arm in losses.items()
        },
        log2_rates=sorted(config.block_log2_rates),
        depths=config.blocks,
        chance=chance,
        title=f"Does the best learning rate move with depth?  ReLU nets of width "
        f"{config.block_width}, {config.block_steps} steps, median and range of "
        f"{config.block_seeds} seeds",
    )
