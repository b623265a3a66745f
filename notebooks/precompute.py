"""Compute what the pages show but cannot compute in a minute, into `results/`.

    python notebooks/precompute.py                  # everything: about half an hour on two cores
    python notebooks/precompute.py 02               # one page

Finished runs are kept in `runs/precompute/`, so that the command goes on where it was stopped.
"""

import sys
from pathlib import Path

import numpy as np
import short_runs

from experiments.depth_scaling import config as depth_config
from experiments.depth_scaling import study as depth_study
from jaxseg import data
from jaxseg.studies import at_best_rate_by
from jaxseg.studies.members import Members

HERE = Path(__file__).parent
RESULTS = HERE / "results"
KEPT = HERE.parent / "runs" / "precompute"
SEEDS = 5
SHOWN = 4
"""Test images whose predictions are stored."""
BIN = 10
"""Steps whose losses are averaged in the stored curves."""

CHAINS = {
    "1 × 1": (1, (1, 1, 1, 1)),
    "3 × 3": (3, (1, 1, 1, 1)),
    "rates 1, 1, 2, 4": (3, (1, 1, 2, 4)),
    "rates 1, 2, 4, 8": (3, (1, 2, 4, 8)),
}
CHAIN_STEPS = 2000
UNETS = {"no skips": "none", "long skips, summed": "sum", "long skips, concatenated": "concat"}
UNET_STEPS = 1500
MOSAIC = data.MosaicConfig(size=32, cells=5)
DEPTH_ARMS = ("plain", "plain_norm", "plain_isometric", "residual", "residual_norm")


def binned(losses: np.ndarray) -> np.ndarray:
    """Average the losses over `BIN` steps each."""
    steps = losses.shape[-1] // BIN * BIN
    return losses[..., :steps].reshape(*losses.shape[:-1], -1, BIN).mean(-1)


def kept_run(name: str, net: short_runs.Net, *, train: int, steps: int, rate: float, seed: int):
    """Train a net, or load the run if it is there already."""
    path = KEPT / f"{name}-{seed}.npz"
    test_images, labels = short_runs.mosaic_examples(MOSAIC, "test", 48)
    if not path.exists():
        train_set = short_runs.mosaic_examples(MOSAIC, "train", train)
        run = short_runs.train(net, train_set, test_images, steps=steps, rate=rate, seed=seed)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, losses=run.losses, predictions=run.predictions)
    with np.load(path) as arrays:
        scores = short_runs.scores(labels, arrays["predictions"])
        line = ", ".join(f"{key} {value:.3f}" for key, value in scores.items())
        print(f"{name}, seed {seed}: {line}", flush=True)
        return arrays["losses"], arrays["predictions"][:SHOWN], scores


def store_runs(target: str, nets: dict[str, short_runs.Net], **options) -> None:
    """Train every net from every seed, and store curves, scores and the first predictions."""
    table = {
        name: [
            kept_run(f"{target[:2]}-{number}", net, seed=seed, **options) for seed in range(SEEDS)
        ]
        for number, (name, net) in enumerate(nets.items())
    }
    arrays = {
        "losses": np.array([[binned(run[0]) for run in row] for row in table.values()], np.float16),
        "predictions": np.array([row[0][1] for row in table.values()], np.uint8),
    }
    for key in ("accuracy", "mean_iou", "near_borders", "elsewhere"):
        arrays[key] = np.array([[run[2][key] for run in row] for row in table.values()], np.float32)
    np.savez_compressed(RESULTS / f"{target}.npz", names=list(nets), bin=BIN, **arrays)


def segmentation() -> None:
    """Store page 02's nets: the same chain with fields of 1, 9, 17 and 31 pixels."""
    nets = {name: short_runs.dilated_net(*options) for name, options in CHAINS.items()}
    store_runs("02_segmentation", nets, train=512, steps=CHAIN_STEPS, rate=5e-3)


def long_skips() -> None:
    """Store page 08's nets: a U-Net without and with long skips, summed and concatenated."""
    nets = {name: short_runs.small_unet(skips) for name, skips in UNETS.items()}
    store_runs("08_long_skips", nets, train=512, steps=UNET_STEPS, rate=1e-2)


def depth() -> None:
    """Store page 06's curves, from the depth study at its `quick` preset."""
    study = depth_config.Config(out=KEPT / "depth_scaling", arms=DEPTH_ARMS, resume=True)
    if not (study.out / "study.json").exists():
        study.out.mkdir(parents=True, exist_ok=True)
        depth_study.run(study)
    rows = depth_study.Sweep(
        study, depth_config.load_data(study), names={"arm": str, "depth": int}
    ).results.rows
    best = at_best_rate_by(rows, "depth", DEPTH_ARMS)
    losses = [
        [
            binned(Members(study.out / "members" / f"{arm}-{depth}.npz").pick(best[arm][depth]))
            for depth in study.depths
        ]
        for arm in DEPTH_ARMS
    ]
    final = [
        [[row["train_loss"] for row in best[arm][depth]] for depth in study.depths]
        for arm in DEPTH_ARMS
    ]
    np.savez_compressed(
        RESULTS / "06_depth.npz",
        names=list(DEPTH_ARMS),
        depths=study.depths,
        losses=np.array(losses, np.float16),
        final=np.array(final, np.float32),
        bin=BIN,
    )


PAGES = {"02": segmentation, "06": depth, "08": long_skips}


def main(pages: list[str]) -> None:
    """Compute the results of these pages, or of all."""
    unknown = [page for page in pages if page not in PAGES]
    if unknown:
        raise ValueError(f"pages {unknown} have no results to compute, expected {list(PAGES)}.")
    RESULTS.mkdir(exist_ok=True)
    for page in pages or PAGES:
        PAGES[page]()


if __name__ == "__main__":
    main(sys.argv[1:])
