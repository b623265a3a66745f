"""Parts e and f: whole programs, each in a process of its own: studies, and street scenes."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from experiments.benchmarks.accelerator.parts import Row, Task

STUDIES = ("depth_scaling", "trainability", "dilation", "upconvolution", "residual_gradient")
STREETS = {
    "U-Net, 360 x 480": ("--model.name", "unet", "--data.size", "360", "480"),
    "DeepLab v3+, 360 x 480": (
        *("--model.name", "deeplabv3plus", "--model.backbone", "resnet50"),
        *("--data.size", "360", "480"),
    ),
}
STEPS = 30_000


def studies(*, tiny: bool, out: Path) -> Iterator[Task]:
    """Yield the studies at `full`, with the most seeds, or at `tiny`.

    Args:
        tiny: Only one of them, at `tiny`.
        out: Folder of their runs, which go on where they stopped.
    """
    for name in STUDIES[:1] if tiny else STUDIES:
        preset = "tiny" if tiny else "full"
        words = (f"experiments.{name}", "--preset", preset, "--out", str(out / name), "--resume")
        yield f"{name} --preset {preset}", partial(_run, words)


def streets(*, tiny: bool, out: Path) -> Iterator[Task]:
    """Yield training on CamVid at full size, where JAXSEG_CAMVID names it, and the evaluation.

    Args:
        tiny: Leave it out.
        out: Folder of the runs, which go on where they stopped.
    """
    if tiny or "JAXSEG_CAMVID" not in os.environ:
        return
    for name, options in STREETS.items():
        run = str(out / name.replace(" ", "_").replace(",", ""))
        train = ("jaxseg", "train", "--preset", "camvid", *options, "--steps", str(STEPS))
        yield f"{name}: training", partial(_run, (*train, "--out", run, "--resume"))
        evaluate = ("jaxseg", "evaluate", "--run", run, "--split", "test", "--inference.flip")
        yield f"{name}: test", partial(_run, evaluate)


def _run(words: tuple[str, ...]) -> Row:
    """Run a program to its end.

    Raises:
        ValueError: It failed.
    """
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ValueError(f"{' '.join(words)}: status {done.returncode}: {done.stderr[-200:]}")
    return {
        "command": " ".join(words),
        "minutes": round((time.perf_counter() - begin) / 60, 2),
        "end": done.stdout.strip().splitlines()[-1][:200] if done.stdout.strip() else "",
    }
