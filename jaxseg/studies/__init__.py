"""Parts of every study: configuration, sweep, arms, verdicts, findings, page; no model.

A study trains some arms from several seeds at several learning rates, measures them, and states
claims whose verdicts are computed. One of your own is a file such as this one, windows.py:

    '''How large a window does a convolution need to tell textures apart?'''

    from dataclasses import dataclass
    from functools import partial
    from pathlib import Path
    from typing import ClassVar

    import jax
    from flax import nnx
    from jaxseg import nn, studies

    ARMS = {"1x1": 1, "3x3": 3, "5x5": 5}


    class Net(nnx.Module):
        '''Three convolutions with norm and ReLU, and a score a class for every pixel.'''

        def __init__(self, window, *, classes, inputs, rngs):
            widths = (inputs, 8, 8)
            self.layers = nnx.List(
                [nn.ConvNorm(width, 8, window, norm=nn.BatchNorm, rngs=rngs) for width in widths]
            )
            self.head = nn.Conv(8, classes, 1, bias=True, rngs=rngs)

        def __call__(self, images: jax.Array, *, train: bool = False) -> jax.Array:
            x = images
            for layer in self.layers:
                x = layer(x, train=train)
            return self.head(x)


    @dataclass(frozen=True, kw_only=True)
    class Config(studies.SweepConfig):
        out: Path = Path("runs/windows")
        arms: tuple[str, ...] = tuple(ARMS)
        known_arms: ClassVar[tuple[str, ...]] = tuple(ARMS)


    PRESETS = {"quick": Config(), "tiny": Config(steps=4, seeds=2, arms=("1x1", "3x3"))}


    def run(config: Config) -> studies.Findings:
        sweep = studies.Sweep(config, studies.easy_mosaic(24, data_dir=config.data_dir))
        for arm in config.shared(config.arms):
            if trained := sweep.train(partial(Net, ARMS[arm]), arm=arm):
                trained.save()  # what else is measured of an arm is written before this
        config.end_share()
        best = studies.at_best_rate(sweep.results.rows, tuple(ARMS))
        ious = studies.columns(best, "mean_iou")
        return studies.Findings(
            title="How large a window",
            about=studies.measured_over(sweep.results.rows),
            verdicts=[
                studies.order(
                    "Segmentation",
                    "A larger window brings IoU",
                    "asked here",
                    "mean IoU",
                    dict(reversed(ious.items())),
                )
            ],
            tables=[
                studies.Table.of(
                    "Each arm at its best rate",
                    ("window", "mean IoU"),
                    [(arm, studies.spread(values)) for arm, values in ious.items()],
                )
            ],
        )


    if __name__ == "__main__":
        studies.main("windows", run, PRESETS, description=__doc__)

`python windows.py --help` lists the options; `--resume --seeds 5` adds seeds to what is there.
On two hosts, `--share 1/2` and `--share 2/2` run half of the arms each; `jaxseg merge` joins them.
`jaxseg.startup.launch` says the first words before JAX is imported; `experiments/launch.py` does so
for the studies of this repository.
"""

from jaxseg.studies._command import command, execute, main
from jaxseg.studies.arms import (
    at_best_rate,
    at_best_rate_by,
    best_rate,
    column,
    columns,
    matching,
    measured_over,
    rate_text,
    spread,
)
from jaxseg.studies.config import ShareFinished, StudyConfig, SweepConfig, check_names
from jaxseg.studies.datasets import easy_mosaic
from jaxseg.studies.findings import Findings, Table, read_findings, table_by_rate
from jaxseg.studies.merge import merge_shares
from jaxseg.studies.page import render
from jaxseg.studies.results import Results, Row
from jaxseg.studies.sweep import Sweep, draw_nets, over_seeds
from jaxseg.studies.trained import Trained
from jaxseg.studies.verdicts import (
    Verdict,
    chance_of_order,
    hardly_trained,
    is_above,
    judge,
    judge_within,
    none_trained,
    order,
    shown_in,
)

__all__ = [
    "Findings",
    "Results",
    "Row",
    "ShareFinished",
    "StudyConfig",
    "Sweep",
    "SweepConfig",
    "Table",
    "Trained",
    "Verdict",
    "at_best_rate",
    "at_best_rate_by",
    "best_rate",
    "chance_of_order",
    "check_names",
    "column",
    "columns",
    "command",
    "draw_nets",
    "easy_mosaic",
    "execute",
    "hardly_trained",
    "is_above",
    "judge",
    "judge_within",
    "main",
    "matching",
    "measured_over",
    "merge_shares",
    "none_trained",
    "order",
    "over_seeds",
    "rate_text",
    "read_findings",
    "render",
    "shown_in",
    "spread",
    "table_by_rate",
]
