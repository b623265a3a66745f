"""The README's parts that are written from what was measured."""

import json
import re
import textwrap
from collections.abc import Callable
from pathlib import Path

from experiments.results import render
from experiments.results.reduce import Values
from jaxseg import files

MEASURED = Path(__file__).parent / "measured"
_PART = re.compile(r"(<!-- (\w+) -->\n)(.*?)(\n?<!-- end -->)", re.DOTALL)
_OPS = {
    "upconvolution": "upconvolution",
    "dense": "dense convolution",
    "atrous": "atrous",
    "depthwise": "depthwise",
}
_SPEED = (
    *(("ops", family, f"{head}, {{}} shapes") for family, head in _OPS.items()),
    ("steps", "U-Net", "train step of a U-Net (32 to 256 channels, 8 images of 128²)"),
    ("steps", "FCN-ResNet-18, stride 8", "train step of an FCN on a ResNet-18, stride 8"),
    ("steps", "stack of 32 blocks", "32 residual blocks (32 channels, 32 images of 32²)"),
    ("steps", "stack of 256 blocks", "256 of them"),
    ("members", "", "gradients of the studies' nets, {} cases of 1 to 36"),
    ("ensembles", "ensemble, 8", "gradients of 8 nets"),
    ("ensembles", "ensemble, 16", "of 16"),
    ("ensembles", "ensemble, 32", "of 32"),
    ("ensembles", "per example, 32", "gradient norms by example"),
    ("gradients", "deep net", "gradient norms of 256 deep nets"),
    ("gradients", "dense", "of 256 dense nets"),
)


def measured(name: str) -> Values:
    """Read what was kept of a result.

    Args:
        name: Name of its recipe.
    """
    return json.loads((MEASURED / f"{name}.json").read_text(encoding="utf-8"))


def _wrap(sentence: str) -> str:
    return textwrap.fill(sentence, 100)


def _speed() -> str:
    names = dict.fromkeys(benchmark for benchmark, _, _ in _SPEED)
    results = {name: measured(name) for name in names}
    table = render.ratio_table(results, _SPEED)
    sentence = _wrap(render.machine_sentence(results))
    return f"{table}\n\n{sentence}"


PARTS: dict[str, Callable[[], str]] = {
    "demo": lambda: render.depth_table(measured("demo")),
    "depths": lambda: render.depth_table(measured("depths")),
    "deepest": lambda: _wrap(render.losses_sentence(measured("deepest"))),
    "street_depth": lambda: _wrap(render.losses_sentence(measured("street_depth"))),
    "speed": _speed,
}
"""Name of a part -> what writes its Markdown."""


def rewritten(text: str) -> str:
    """Write every marked part of a text anew, except those of which nothing was measured yet.

    Args:
        text: The README.

    Raises:
        ValueError: A part is marked that has no such name.
    """

    def part(match: re.Match[str]) -> str:
        if match[2] not in PARTS:
            raise ValueError(f"<!-- {match[2]} -->: no such part; there are {list(PARTS)}.")
        try:
            return f"{match[1]}\n{PARTS[match[2]]()}\n\n<!-- end -->"
        except FileNotFoundError:  # not measured yet
            return match[0]

    return _PART.sub(part, text)


def parts(text: str) -> dict[str, str]:
    """Find the marked parts of a text: name -> what stands between its marks."""
    return {match[2]: match[3] for match in _PART.finditer(text)}


def rewrite(path: Path) -> list[str]:
    """Write every marked part of the README anew, in place.

    Args:
        path: The README.

    Returns:
        Names of the parts that changed.
    """
    before = path.read_text(encoding="utf-8")
    after = rewritten(before)
    files.write_text(path, after)
    old = parts(before)
    return [name for name, text in parts(after).items() if text.strip() != old[name].strip()]
