"""The questions of `receptive_field`, each answered in claims: what theory says, what was found."""

import itertools
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from receptive_nets import NETS, Net, Traced, dilated, image
from receptive_tools import COMPARED, TOOLS, said

from jaxseg import ops
from jaxseg.analysis import hybrid_dilation, receptive_field


@dataclass(frozen=True)
class Claim:
    """One number of theory and what was found.

    Attributes:
        study: the question.
        case: the net or setting.
        quantity: what was measured, with its unit.
        expected: by theory or publication.
        found: here.
        holds: whether they agree, exactly or within the study's tolerance.
        seconds: what it took.
    """

    study: str
    case: str
    quantity: str
    expected: Any
    found: Any
    holds: bool
    seconds: float = 0.0


def exact(study: str, case: str, quantity: str, expected, found, seconds: float = 0.0) -> Claim:
    """A claim that holds where both are equal."""
    return Claim(study, case, quantity, expected, found, expected == found, round(seconds, 4))


# --- the standard nets -------------------------------------------------------------------------


def standard_nets() -> list[Claim]:
    """Every pin of every net, and the time that the exact field takes from the function on."""
    return [_pin(net, end, pin) for net in NETS.values() for end, pin in net.pins.items()]


def _pin(net: Net, end: str, pin: int | dict[int, int]) -> Claim:
    start = time.perf_counter()
    field = net.field(end)
    (axis, other), middle = field.axes, [n // 2 for n in field.output_size]
    field.coverage(middle)
    seconds = time.perf_counter() - start
    assert axis == other
    if isinstance(pin, dict):
        found = _by_phase(_sizes(axis.phases or ()))
        return exact("nets", net.name, f"{end}: pixels by phases", _by_phase(pin), found, seconds)
    return exact("nets", net.name, f"{end}: pixels", pin, axis.size, seconds)


def _sizes(phases) -> dict[int, int]:
    return dict(sorted(Counter(phase.size for phase in phases).items()))


def _by_phase(sizes: dict[int, int]) -> str:
    return " and ".join(
        f"{size} ({count} of {sum(sizes.values())})" for size, count in sizes.items()
    )


# --- other tools -------------------------------------------------------------------------------


def other_tools() -> list[dict[str, str]]:
    """A row a net: what is so, and what each tool says by its documented rule."""
    rows = []
    for name, end in COMPARED.items():
        net = NETS[name]
        (axis, _) = net.field(end).axes
        sizes = _sizes(axis.phases or ())
        truth = _by_phase(sizes) if len(sizes) in (2, 3) else str(axis.size)
        rows.append({"net": name, "truth": truth} | {tool: said(tool, net, end) for tool in TOOLS})
    return rows


# --- growth with depth -------------------------------------------------------------------------


def _plain(layers: Traced, x, number: int):
    return layers.conv(x, 3)


def _striding(layers: Traced, x, number: int):
    return layers.conv(x, 3, stride=2)


def _pooling(layers: Traced, x, number: int):
    return layers.pool(layers.conv(x, 3), 2)


def _dilation(layers: Traced, x, number: int):
    return layers.conv(x, 3, dilation=2**number)


GROWTH: dict[str, tuple[Callable, Callable[[int], int], str]] = {
    "plain": (_plain, lambda n: 2 * n + 1, "2n + 1"),
    "pooling": (_pooling, lambda n: 3 * 2**n - 2, "3 · 2ⁿ - 2"),
    "striding": (_striding, lambda n: 2 ** (n + 1) - 1, "2ⁿ⁺¹ - 1"),
    "dilation": (_dilation, lambda n: 2 ** (n + 1) - 1, "2ⁿ⁺¹ - 1"),
}
"""Way to see more -> (layer, size after n layers, the same as text)."""


def growth(depth: int) -> list[Claim]:
    """The field after each of `depth` convolutions, plain, pooled, strided, and dilated."""
    claims, layers = [], Traced()
    for way, (layer, formula, _) in GROWTH.items():
        for n in range(1, depth + 1):

            def net(x, layer=layer, n=n):
                for number in range(n):
                    x = layer(layers, x, number)
                return x

            start = time.perf_counter()
            (axis,) = receptive_field(net, image(2 ** (depth + 2), 1)).axes
            seconds = time.perf_counter() - start
            claims.append(
                exact("growth", way, f"{n} layers: pixels", formula(n), axis.size, seconds)
            )
    return claims


# --- holes: gridding and checkerboards ---------------------------------------------------------

TRIPLES = {(2, 2, 2): (7, 13), (1, 2, 5): (17, 17), (1, 2, 9): (21, 25)}
"""Rates of three 3x3 convolutions -> pixels seen and pixels from end to end, an axis."""
UPCONVS = {3: 4.0, 5: 2.25, 4: 1.0}
"""Window of an upconvolution of stride 2 -> the most over the fewest paths to an output pixel."""


def gridding() -> tuple[list[Claim], dict[str, np.ndarray]]:
    """Paths from the pixels of the image to one output, by the rates of three convolutions."""
    claims, maps = [], {}
    for rates, (seen, size) in TRIPLES.items():
        start = time.perf_counter()
        net, extent = Net("", partial(dilated, rates), 4 * sum(rates) + 1), 2 * sum(rates) + 1
        counts = net.field().counts((2 * sum(rates),) * 2)
        seconds = time.perf_counter() - start
        name = " ".join(map(str, rates))
        edge = slice(sum(rates), sum(rates) + extent)
        maps[f"rates {name}"] = counts[edge, edge]
        found = np.any(counts, axis=0)
        claims.append(
            exact(
                "gridding",
                name,
                "columns seen of the field",
                f"{seen} of {size}",
                f"{found.sum()} of {extent}",
                seconds,
            )
        )
        along = hybrid_dilation(rates).counts
        same = np.array_equal(counts[edge, edge], np.outer(along, along))
        claims.append(exact("gridding", name, "paths are the products of an axis's", True, same))
    return claims, maps


def checkerboard(block: int = 8) -> tuple[list[Claim], dict[str, np.ndarray]]:
    """Paths from the whole image to each of block x block outputs of an upconvolution."""
    claims, maps = [], {}
    for window, ratio in UPCONVS.items():
        start = time.perf_counter()
        kernel = jnp.ones((window, window, 1, 1))
        field = receptive_field(lambda x, k=kernel: ops.upconv(x, k, stride=2), image(block + 4))
        inside = range(block // 2, block // 2 + block)
        paths = np.array([[field.counts((i, j)).sum() for j in inside] for i in inside])
        seconds = time.perf_counter() - start
        maps[rf"${window} \times {window}$, stride 2"] = paths
        claims.append(
            exact(
                "checkerboard",
                f"window {window} stride 2",
                "most / fewest paths",
                ratio,
                float(paths.max() / paths.min()),
                seconds,
            )
        )
    return claims, maps


# --- phases ------------------------------------------------------------------------------------


def phases(window: int) -> np.ndarray:
    """(16, 2) first and last pixel that each phase of a U-Net's outputs sees, from itself."""
    (axis, _) = NETS[f"U-Net same {window}x{window}"].field().axes
    assert axis.phases is not None
    return np.array([(p.first - p.phase, p.first + p.size - 1 - p.phase) for p in axis.phases])


def nested_windows(size: int) -> dict[str, tuple[tuple[int, int], ...]]:
    """What one pixel of each scale of a U-Net, and one of its outputs, see amid an image."""
    net, middle = NETS["U-Net same 2x2"], size // 2
    ends = {f"scale {n}": (f"down{n}", middle >> (n - 1)) for n in range(1, 6)}
    ends["output"] = "output", middle // 16 * 16 + 8
    found = {name: net.field(end, size=size).window((at, at)) for name, (end, at) in ends.items()}
    return {name: window for name, window in found.items() if window}


# --- hybrid dilation ---------------------------------------------------------------------------


WRONG = {9: (124, 38)}
"""Largest rate -> how many triples pass with holes, and how many fail without one."""


def hybrid_triples(largest: int) -> tuple[list[Claim], np.ndarray]:
    """All triples of rates: 0 passes and full, 1 passes with holes, 2 fails and full, 3 neither."""
    start = time.perf_counter()
    rates = range(1, largest + 1)
    kinds = np.zeros((largest,) * 3, int)
    for triple in itertools.product(rates, repeat=3):
        found = hybrid_dilation(triple)
        kinds[tuple(r - 1 for r in triple)] = (not found.full) + 2 * (not found.passes)
    seconds = time.perf_counter() - start
    case = f"{largest**3} triples"
    claims = [
        exact(
            "hybrid",
            case,
            "pass with holes and begin with rate 1",
            0,
            int(np.sum(kinds[0] == 1)),
            seconds,
        )
    ]
    for kind, quantity in ((1, "pass with holes"), (2, "fail without a hole")):
        if largest in WRONG:
            claims.append(
                exact(
                    "hybrid", case, quantity, WRONG[largest][kind - 1], int(np.sum(kinds == kind))
                )
            )
    return claims, kinds
