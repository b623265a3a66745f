"""The figures that the README shows: as wide as a page's text, and no text on another.

Their numbers are not there in a test. They are drawn again with others, of the same arms, depths
and sizes, and with the same titles: what a text takes does not hang on the numbers.
"""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from text_layout import unreadable

from experiments.depth_scaling import figures as depth
from experiments.depth_scaling.config import ARMS as DEPTH_ARMS
from experiments.dilation import figures as dilation
from experiments.output_stride import figures as stride
from experiments.output_stride.config import ARMS as STRIDE_ARMS
from experiments.receptive_field import figures as fields
from experiments.receptive_field import study as field_study
from experiments.residual_gradient import figures as gradient
from experiments.residual_gradient import probes
from experiments.residual_gradient.config import SHATTERED
from jaxseg import plots

FOLDER = Path(__file__).parents[2] / "experiments" / "figures"
PALETTE, NAMES = ((200, 0, 0), (0, 120, 0), (0, 0, 200)), ("brick", "grass", "gravel")
SUBJECT = "mosaic, 20 × 20 pixels, 8 features, 150 steps of 4 images"
CHANCE = float(np.log(3))
RANDOM = np.random.default_rng(0)


def depth_scaling():
    losses = {arm: {d: RANDOM.random(3) for d in (8, 16, 32, 64)} for arm in DEPTH_ARMS}
    gradients = {arm: 10 ** RANDOM.uniform(-1, 5, (3, 31)) for arm in DEPTH_ARMS}
    labels = RANDOM.integers(0, 3, (6, 20, 20))
    strip = {
        "image": RANDOM.random((6, 20, 20, 1)),
        "mask": labels,
        "residual,\n64 convolutions": labels,
        "plain,\n64 convolutions": labels,
    }
    return depth.depth_scaling(
        losses=losses,
        chance=CHANCE,
        gradients=gradients,
        depth=64,
        theory={arm: np.zeros(31) for arm in DEPTH_ARMS},
        strip=strip,
        palette=PALETTE,
        class_names=NAMES,
        title=SUBJECT,
    )


def deepest():
    runs = [(np.arange(0, 300, 6), RANDOM.random(50)) for _ in range(5)]
    return depth.training_curves({("residual", 1026): runs}, CHANCE, title=SUBJECT)


def gridding():
    logits = RANDOM.random((3, 3, 41, 41, 3))
    info = SimpleNamespace(palette=PALETTE, class_names=NAMES)
    sweep = SimpleNamespace(
        dataset=SimpleNamespace(info=info),
        validation=[
            {"image": np.zeros((41, 41, 1), np.uint8), "label": RANDOM.integers(0, 3, (41, 41))}
        ],
        read_array=lambda kind, *, stage, arm: (
            logits if kind == "logits" else 10 ** RANDOM.uniform(-5, 0, (3, 21))
        ),
    )
    return dilation.gridding(sweep, [*dilation.GRIDS, "dilated"], title=f"Gridding: {SUBJECT}")


def output_stride():
    short = ("sky", "pole", "road", "tree", "sign", "fence", "car")
    classes = ("building", "pavement", "pedestrian", "bicyclist", *short)
    rows = [
        {"arm": arm, "mean_iou": 0.25 + 0.015 * n, "multiply_adds": cost}
        for n, (arm, cost) in enumerate(
            zip(STRIDE_ARMS, (1.14e8, 2e8, 5.7e8, 2.1e9, 1.2e8, 1.2e8, 1.2e8), strict=True)
        )
    ]
    ious = [{"arm": a, "class": c, "iou": RANDOM.random()} for a in STRIDE_ARMS for c in classes]
    title = "camvid at 90 × 120 pixels, test split, ResNet-18 of width 32, 500 steps of 8 images, "
    title += "1 seed"
    (figure,) = stride.draw(rows, ious, title=title).values()
    return figure


def receptive_gridding():
    return plots.path_counts(
        {f"rates {rates}": counts for rates, counts in field_study.path_maps().items()},
        title=r"Three dilated $3 \times 3$ convolutions: paths to one output pixel",
    )


def receptive_windows():
    windows = fields.nested_windows(256)
    title = "What one pixel of each scale of a U-Net sees"
    return plots.windows(np.zeros((256, 256, 3)), [*windows.values()], [*windows], title=title)


def shattering():
    def row(arm, at, value):
        numbers = {"at": at, "mean": value, "sd": 0.01, "theory": value, "seeds": 128}
        return {"arm": arm, "quantity": "gradient_correlation", **numbers}

    depths = [
        row(arm, depth, probes.gradient_correlation(arm, depth)[0])
        for arm in SHATTERED
        for depth in 2 ** np.arange(7)
    ]
    angles = [row(arm, at, 0.5) for arm in SHATTERED for at in np.geomspace(1e-3, 1.57, 24)]
    title = "Shattered gradients: width 256, 128 examples, 128 seeds"
    return gradient.shattering(depths, angles, layers=32, wide_to=10.2, title=title)


DRAWN = {
    "depth_scaling": depth_scaling,
    "deepest": deepest,
    "gridding": gridding,
    "output_stride": output_stride,
    "receptive_gridding": receptive_gridding,
    "receptive_windows": receptive_windows,
    "shattering": shattering,
}


def test_every_committed_figure_is_looked_at():
    assert {path.stem for path in FOLDER.glob("*.png")} == {*DRAWN}


@pytest.mark.parametrize("name", DRAWN)
def test_its_texts_can_be_read(name):
    figure = DRAWN[name]()
    assert figure.get_figwidth() <= plots.PAGE
    assert unreadable(figure) == []


@pytest.mark.parametrize("name", DRAWN)
def test_the_committed_picture_has_the_size_of_the_figure(name):
    """Of the figure as the code draws it: an older picture does not stay."""
    width, height = DRAWN[name]().get_size_inches() * 150
    with Image.open(FOLDER / f"{name}.png") as picture:
        assert picture.size == (int(width), int(height))
