"""The summary of `receptive_field`: claim by claim what theory says, what was found, a verdict."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from receptive_effective import TOLERANCE
from receptive_studies import GROWTH, Claim, phases
from receptive_tools import TOOLS

from jaxseg.training import records

ABOUT = {
    "nets": (
        "The fields of standard nets",
        "The field is r₀ = 1 + Σ (k - 1) · (product of the strides before), the largest over all "
        "paths; 'ResNet-50' sees 483 or 427 pixels by whether its blocks stride on the 1x1 or "
        "the 3x3.",
        "Published sizes (Araujo et al. 2019; Yu & Koltun 2016), that formula where none is, and "
        "behind upconvolutions the support of a gradient in float64.",
    ),
    "growth": (
        "Growth with depth",
        "Striding and dilation (rates 1, 2, 4, …) see equally far, exponentially in depth; plain "
        "convolutions linearly.",
        "; ".join(f"{way}: {text}" for way, (_, _, text) in GROWTH.items())
        + ". Striding and pooling leave one output pixel in 2ⁿ an axis, dilation all.",
    ),
    "gridding": (
        "Holes of dilated convolutions",
        "Rates with a common factor see a grid; rates that grow too fast leave holes.",
        "Pixels seen of those from end to end, an axis (Wang et al. 2018).",
    ),
    "checkerboard": (
        "Checkerboards of upconvolutions",
        "Where the stride does not divide the window, more paths meet in some pixels than in "
        "others.",
        "In two dimensions 4 to 1 for 3x3, 2.25 to 1 for 5x5, even for 4x4, all at stride 2 "
        "(Odena et al. 2016).",
    ),
    "effective": (
        "The effective field",
        "The gradient of one output pixel is a Gaussian whose width grows as √n inside a field "
        "that grows as n (Luo et al. 2016).",
        "Paths of a chain: variance ⅔ Σd², kurtosis 3 - 1.5/n at rate 1. Random nets: width "
        "√(⅔ Σd²), and √(n/3) with shortcuts (x + f)/√2; it holds within "
        f"{TOLERANCE:.0%} over 64 nets, more over fewer.",
    ),
    "hybrid": (
        "Hybrid dilation",
        "The rule M₂ ≤ K is meant to tell rates without holes (Wang et al. 2018).",
        "It is neither sufficient, unless r₁ = 1, nor necessary.",
    ),
}
"""Study -> title, claim, and what theory says."""


def summarise(
    claims: Sequence[Claim], tools: Sequence[Mapping[str, str]], kinds: np.ndarray
) -> str:
    """All of the study as Markdown."""
    parts = ["# What a pixel sees\n"]
    for study, (title, claim, theory) in ABOUT.items():
        rows = [c for c in claims if c.study == study]
        cells = [
            (
                c.case,
                c.quantity,
                c.expected,
                c.found,
                "yes" if c.holds else "**NO**",
                f"{c.seconds:.3f}" if c.seconds else "",
            )
            for c in rows
        ]
        if study == "growth":
            cells = [cell for cell, row in zip(cells, rows, strict=True) if _last(row, rows)]
        parts += [
            f"## {title}\n",
            f"**Claim.** {claim}\n",
            f"**Theory.** {theory}\n",
            _table(("case", "quantity", "theory", "found", "holds", "seconds"), cells),
            f"**Verdict.** {_verdict(rows)}\n",
        ]
        if study == "nets":
            parts += [_deepest(rows), _tools(tools), _phases()]
    parts.append(_kinds(kinds))
    return "\n".join(parts)


def _last(row: Claim, rows: Sequence[Claim]) -> bool:
    return row is [r for r in rows if r.case == row.case][-1]


def _verdict(rows: Sequence[Claim]) -> str:
    wrong = [f"{c.case} ({c.quantity})" for c in rows if not c.holds]
    if wrong:
        return f"{len(wrong)} of {len(rows)} numbers are off: {', '.join(wrong)}."
    return f"{len(rows)} of {len(rows)} numbers are as theory says."


def _deepest(rows: Sequence[Claim]) -> str:
    times = {c.case: c.seconds for c in rows if c.case.startswith("DeepLabV3")}
    slowest = max(rows, key=lambda c: c.seconds)
    return (
        "From the function to its field and one pixel's coverage: "
        + ", ".join(f"{case} {seconds:.2f} s" for case, seconds in times.items())
        + f" at 513² pixels; slowest of all, {slowest.case}: {slowest.seconds:.2f} s.\n"
    )


def _tools(tools: Sequence[Mapping[str, str]]) -> str:
    rows = [(t["net"], t["truth"], *(t[tool] for tool in TOOLS)) for t in tools]
    right = {tool: sum(t[tool] == t["truth"] for t in tools) for tool in TOOLS}
    return "\n".join(
        [
            "## What other tools say\n",
            "By the rules that their code documents, computed here; the tools were not run "
            "(`experiments/receptive_tools.py` says which version was read, and how).\n",
            _table(("net", "exact", *TOOLS), rows),
            "**Verdict.** "
            + ", ".join(f"{tool}: {n} of {len(tools)}" for tool, n in right.items())
            + " right. The first does not look at dilation; the second strings all modules into "
            "one chain and is 0 from a transposed convolution on; the third counts no holes, needs "
            "a net made linear and an image larger than the field, and sees one phase.\n",
        ]
    )


def _phases() -> str:
    lines = [
        "## Phases of a U-Net\n",
        "Each upconvolution of stride 2 doubles the period of what outputs see: 16 behind four. "
        "The smaller fields are those of pixels next to the border of a pixel of the lowest "
        "scale.\n",
    ]
    for window in (2, 4):
        intervals = phases(window)
        shift = np.abs(intervals.mean(axis=1)).max()
        shared = {(a + n, b + n) for n, (a, b) in enumerate(intervals.tolist())}
        sizes = ", ".join(str(n) for n in intervals[:, 1] - intervals[:, 0] + 1)
        lines.append(
            f"- {window}x{window} upconvolutions, phases 0 to 15: {sizes} pixels; sixteen pixels "
            f"of a row share {len(shared)} windows, whose middle is up to {shift:g} pixels away "
            "from the pixel itself."
        )
    return "\n".join(lines) + "\n"


def _kinds(kinds: np.ndarray) -> str:
    counts = [int(np.sum(kinds == kind)) for kind in range(4)]
    return (
        f"Of {kinds.size} triples {counts[0]} pass and have no hole, {counts[1]} pass with holes, "
        f"{counts[2]} fail without one, {counts[3]} fail with holes: the rule is wrong about "
        f"{(counts[1] + counts[2]) / kinds.size:.0%}.\n"
    )


def _table(header: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    head, *lines = (" | ".join(map(str, line)) for line in (header, *rows))
    return "\n".join(records.markdown_table(head, lines)) + "\n"
