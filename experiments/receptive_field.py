"""What does a pixel see? Receptive fields of nets, exactly, and how much of them is looked at.

Seven questions, each with what theory says beside what is found:

    nets          the fields of AlexNet, VGG, ResNets, U-Nets, DeepLabV3 against published ones
    tools         what three other tools say of the same nets, by their documented rules
    growth        the field by depth: plain, pooled, strided, dilated
    gridding      the pixels that dilated convolutions miss; checkerboards of upconvolutions
    phases        behind an upconvolution, neighbouring pixels see differently
    effective     in random nets the gradient's width grows as the root of the depth
    hybrid        a rule against gridding, judged on all triples of rates

    python experiments/receptive_field.py                   under two minutes on two cores
    python experiments/receptive_field.py --preset tiny

It leaves results.csv (every number), verdicts.csv (one a claim), summary.md and ten figures in
--out. Where a number is not as expected it says so and fails.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path

import jax
import numpy as np
import studies
from matplotlib.figure import Figure
from PIL import Image
from receptive_effective import Effective, effective, effective_claim, path_moments
from receptive_studies import (
    GROWTH,
    Claim,
    checkerboard,
    gridding,
    growth,
    hybrid_triples,
    nested_windows,
    other_tools,
    phases,
    standard_nets,
)
from receptive_summary import summarise
from receptive_verdicts import bottlenecks, verdicts

from jaxseg import files, plots
from jaxseg.training import records

RESULTS = ("study", "case", "quantity", "expected", "found", "holds", "seconds")
KINDS = ("uniform", "dilated", "residual")
PHOTOGRAPH = 256
"""Height and width of the photograph that windows are drawn on, in pixels."""


@dataclass(frozen=True)
class Config:
    """What is measured; only the effective field takes time.

    Attributes:
        preset: where the other values come from.
        out: folder of the results.
        layers: of the curves of growth.
        largest_rate: of the triples that the rule of hybrid dilation is judged on.
        depths: of the random nets, in convolutions.
        rates: of the dilated ones, over and over; each depth is a multiple of their number.
        features: channels of the random nets.
        seeds: random nets of each kind and depth.
        seed: of their draws.
    """

    preset: str = "quick"
    out: Path = Path("runs/receptive_field")
    layers: int = 8
    largest_rate: int = 9
    depths: tuple[int, ...] = (5, 10, 20, 40)
    rates: tuple[int, ...] = (1, 2, 4, 2, 1)
    features: int = 16
    seeds: int = 64
    seed: int = 0

    def __post_init__(self):
        """Refuse what cannot be run."""
        wrong = [d for d in self.depths if d < 1 or d % len(self.rates or (1,))]
        if wrong or not self.depths or min(self.rates, default=0) < 1:
            raise ValueError(
                f"depths={self.depths}, rates={self.rates}: give rates of at least 1, and depths "
                f"that are multiples of their number, {len(self.rates)}."
            )
        if min(self.layers, self.largest_rate, self.features, self.seeds) < 1:
            raise ValueError(
                f"layers={self.layers}, largest_rate={self.largest_rate}, "
                f"features={self.features}, seeds={self.seeds}: give at least one of each."
            )


PRESETS = {
    "tiny": Config(layers=3, largest_rate=3, depths=(5,), features=8, seeds=8),
    "quick": Config(),
}


def main(config: Config) -> None:
    """Answer all questions, write tables and figures, and fail where theory is missed."""
    records.open_run(
        config.out,
        config,
        results="results.csv",
        written=studies.WRITTEN,
        resume=False,
        overwrite=True,
    )
    claims = [*standard_nets(), *growth(config.layers)]
    tools = other_tools()
    holes, paths = gridding()
    uneven, overlaps = checkerboard()
    triples, kinds = hybrid_triples(config.largest_rate)
    claims += [*holes, *uneven, *triples, *path_moments()]
    measured = measure_effective(config)
    claims += [claim for _, claim in measured]
    found = [each for each, _ in measured]
    rows = [asdict(claim) for claim in claims]
    records.write_csv(config.out / "results.csv", RESULTS, [*rows, *_tool_rows(tools)])
    summary = summarise(claims, tools, kinds)
    files.write_text(config.out / "summary.md", summary)
    print(summary)
    _figures(config, claims, paths, overlaps, kinds, found)
    # Last: that it is there says that the study is finished.
    judged = verdicts(claims, tools, config.seeds)
    records.write_csv(config.out / "verdicts.csv", studies.VERDICTS, [asdict(v) for v in judged])
    wrong = [claim for claim in claims if not claim.holds]
    if wrong:
        raise SystemExit(f"receptive_field: {len(wrong)} numbers are off, first {wrong[0]}.")


def measure_effective(config: Config) -> list[tuple[Effective, Claim]]:
    """Every kind at every depth."""
    measured = []
    for kind in KINDS:
        for depth in sorted(config.depths):
            start = time.perf_counter()
            key = jax.random.key(config.seed)
            found = effective(
                kind, depth, config.rates, features=config.features, seeds=config.seeds, key=key
            )
            seconds = time.perf_counter() - start
            print(
                f"{kind:>9} {depth:>3} convolutions: width {found.width:6.2f} pixels, "
                f"theory {found.theory:6.2f} ({seconds:.1f} s)"
            )
            measured.append((found, effective_claim(found, config.seeds, seconds)))
    return measured


def photograph(size: int) -> np.ndarray:
    """A cat, from scikit-image's wheel (Stéfan van der Walt, CC0): (size, size, 3) in 0..1."""
    file = resources.files("skimage").joinpath("data/chelsea.png")
    with file.open("rb") as stream, Image.open(stream) as picture:
        side = min(picture.size)
        left = (picture.width - side) // 2
        cut = picture.convert("RGB").crop((left, 0, left + side, side)).resize((size, size))
    return np.asarray(cut) / 255


def _tool_rows(tools: Sequence[dict[str, str]]) -> list[dict]:
    return [
        {
            "study": "tools",
            "case": row["net"],
            "quantity": f"pixels by {tool}'s documented rule",
            "expected": row["truth"],
            "found": said,
            "holds": said == row["truth"],
            "seconds": 0.0,
        }
        for row in tools
        for tool, said in row.items()
        if tool not in ("net", "truth")
    ]


def _figures(config: Config, claims, paths, overlaps, kinds, found: Sequence[Effective]) -> None:
    """Draw what the claims say."""
    sizes = {
        way: [c.found for c in claims if (c.study, c.case) == ("growth", way)] for way in GROWTH
    }
    nested = nested_windows(PHOTOGRAPH)
    drawn = {
        "growth": plots.field_growth(
            range(1, config.layers + 1),
            sizes,
            layers=r"$3 \times 3$ convolutions",
            title="Striding and dilation see the same; dilation keeps every pixel",
        ),
        "bottlenecks": plots.field_by_block(
            *bottlenecks(),
            title="A ResNet-50 that strides on 1x1 convolutions (v1) sees farther\n"
            "than one that strides on 3x3 (v1.5); published: Araujo et al. 2019",
        ),
        "windows": plots.windows(
            photograph(PHOTOGRAPH),
            [*nested.values()],
            [*nested],
            title="What one pixel of each scale of a U-Net sees",
        ),
        "gridding": plots.path_counts(
            paths, title=r"Three dilated $3 \times 3$ convolutions: paths to one output pixel"
        ),
        "checkerboard": plots.overlaps(
            overlaps, title="Upconvolutions of stride 2: paths that meet in each output pixel"
        ),
        "hybrid": plots.rule_of_triples(
            kinds,
            title=r"Rates $(r_1, r_2, r_3)$ of three $3 \times 3$ convolutions: " + _rule(kinds),
        ),
    }
    for window in (2, 4):
        drawn[f"phases_{window}x{window}"] = plots.output_phases(
            phases(window),
            title=rf"U-Net with ${window} \times {window}$ upconvolutions: what an "
            "output pixel sees depends on where it stands",
        )
    drawn |= _effective_figures(config, found)
    for name, figure in drawn.items():
        figure.savefig(config.out / f"{name}.png", dpi=150)
    print(f"Figures: {', '.join(f'{name}.png' for name in drawn)} in {config.out}")


def _rule(kinds: np.ndarray) -> str:
    """What the kinds of all triples say of the rule of hybrid dilation."""
    insufficient, first = np.any(kinds == 1), np.any(kinds[0] == 1)
    unless = r", unless $r_1 = 1$" if insufficient and not first else ""
    necessary = "not necessary" if np.any(kinds == 2) else "necessary"
    return rf"$M_2 \leq 3$ is {'not ' if insufficient else ''}sufficient{unless}, and {necessary}"


def _effective_figures(config: Config, found: Sequence[Effective]) -> dict[str, Figure]:
    """Where the gradient lies in some nets, and its width in all."""
    kinds = {kind: [e for e in found if e.kind == kind] for kind in KINDS}
    shown = [*kinds["uniform"][-2:], kinds["dilated"][-1], kinds["residual"][-1]]
    nets = f"{config.seeds} random ReLU nets each"
    return {
        "effective": plots.effective_field(
            [np.asarray(e.field.energy[0]) for e in shown],
            [e.window for e in shown],
            [np.asarray(e.field.center[0]) for e in shown],
            [np.asarray(e.field.width[0]) for e in shown],
            labels=[f"{e.kind}, {e.depth} layers" for e in shown],
            title=f"Where the gradient of one output pixel lies ({nets})",
        ),
        "effective_width": plots.width_growth(
            {kind: [e.depth for e in line] for kind, line in kinds.items()},
            {kind: [e.width for e in line] for kind, line in kinds.items()},
            {kind: [e.theory for e in line] for kind, line in kinds.items()},
            {
                kind: [e.window[0][1] - e.window[0][0] + 1 for e in line]
                for kind, line in kinds.items()
            },
            title=f"The field grows as n, what is looked at as √n ({nets})",
        ),
    }


def command(args: Sequence[str] | None = None) -> None:
    """Read the command line and run."""
    studies.run(main, PRESETS, name="receptive_field", description=__doc__, args=args)


if __name__ == "__main__":
    command()
