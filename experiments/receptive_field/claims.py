"""The receptive_field study's claims and tables, from its numbers, and what these should be."""

import re
from collections.abc import Callable, Sequence

import numpy as np

from experiments.receptive_field.config import NETS
from experiments.receptive_field.probes import TOOLS, exact_field
from jaxseg.studies import Row, Table, Verdict, judge, shown_in

SEEING = "Receptive field: striding and dilation"
DILATION, UPCONVOLUTION = "Dilation", "Upconvolution"
TWO_PLACES = ("ResNet-50 v1", "ResNet-50 v1.5")
"""Places of the stride: on a block's first 1x1 convolution, or on its 3x3."""
GROWTH: dict[str, tuple[Callable[[int], int], str]] = {
    "plain": (lambda n: 2 * n + 1, "2n + 1"),
    "pooling": (lambda n: 3 * 2**n - 2, "3 · 2ⁿ − 2"),
    "striding": (lambda n: 2 ** (n + 1) - 1, "2ⁿ⁺¹ − 1"),
    "dilation": (lambda n: 2 ** (n + 1) - 1, "2ⁿ⁺¹ − 1"),
}
"""Way to see more -> size after n layers, and the same as text."""
TRIPLES = {(2, 2, 2): (7, 13), (1, 2, 5): (17, 17), (1, 2, 9): (21, 25)}
"""Rates of three 3x3 convolutions -> pixels seen and pixels from end to end, an axis."""
UPCONVS = {3: 4.0, 5: 2.25, 4: 1.0}
"""Window of an upconvolution of stride 2 -> the most over the fewest paths to an output pixel."""
FIRST_RATE_1 = "pass with holes and begin with rate 1"
WRONG = ("pass with holes", "fail without a hole")
"""Ways in which the rule of hybrid dilation can be wrong about a triple of rates."""
KNOWN_WRONG = {9: (124, 38)}
"""Largest rate -> numbers of triples that it is wrong about in either way, where that is known."""
KINDS = ("uniform", "dilated", "residual")
"""Kinds of random nets."""
TOLERANCE = 0.07
"""Largest relative error of a width over 64 random nets; it falls as the root of their number."""


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """Judge all claims; those without numbers are left out."""
    formula, places, growth = _fields(rows)
    grids, uneven, phases = _holes(rows)
    return [
        *shown_in("bottlenecks.png", (formula, places)),
        *shown_in("growth.png", (growth,)),
        *shown_in("gridding.png", (grids,)),
        *shown_in("checkerboard.png", (uneven,)),
        *shown_in("phases_2x2.png", (phases,)),
        *shown_in("effective_width.png", (_effective(rows),)),
        *shown_in("hybrid.png", (_hybrid(rows), _hybrid_from_rate_1(rows))),
        *shown_in("", (_tools(rows),)),
    ]


def select(rows: Sequence[Row], study: str, quantity: str = "") -> list[Row]:
    """Return the rows of a question whose quantity contains a text."""
    return [row for row in rows if row["study"] == study and quantity in row["quantity"]]


def _all_hold(
    chosen: Sequence[Row], heading: str, claim: str, source: str, theory: str, *, measured: str = ""
) -> Verdict | None:
    """Judge a claim that agrees where all of the numbers hold."""
    if not chosen:
        return None
    wrong = [
        f"{row['case']}, {row['quantity']}: {row['measured']} for {row['expected']}"
        for row in chosen
        if not row["holds"]
    ]
    share = f"{len(chosen) - len(wrong)} of {len(chosen)} numbers are as expected"
    parts = [part for part in (share, measured, "; ".join(wrong[:3])) if part]
    # Exact numbers have no seeds.
    seeds = min((row["seeds"] for row in chosen if row["seeds"]), default=0)
    return Verdict(heading, claim, source, theory, "; ".join(parts), seeds, judge(not wrong))


def _listed(chosen: Sequence[Row], unit: str = "") -> str:
    return "; ".join(f"{_typeset(row['case'])}: {row['measured']}{unit}" for row in chosen)


def _typeset(text: str) -> str:
    """Write the sizes of windows in the name of a case as a page does: 2 × 2."""
    return re.sub(r"(?<=\d)x(?=\d)", " × ", text)


def _last_of_each(chosen: Sequence[Row]) -> list[Row]:
    return list({row["case"]: row for row in chosen}.values())


def _fields(rows: Sequence[Row]) -> list[Verdict | None]:
    """Judge how far nets see."""
    strided = [row for row in select(rows, "nets", "stage4") if row["case"] in TWO_PLACES]
    grown = select(rows, "growth")
    deepest = _last_of_each(grown)
    after = f" after {deepest[0]['quantity'].split(':')[0]}" if deepest else ""
    return [
        _all_hold(
            [row for row in select(rows, "nets") if "phases" not in row["quantity"]],
            SEEING,
            "A net sees 1 + Σ (k − 1) · d · (product of the strides before), the largest over its "
            "paths",
            "Araujo et al. 2019",
            "published sizes, or the formula where none is: exact",
        ),
        _all_hold(
            strided,
            SEEING,
            "The field of “ResNet-50” is 483 pixels where blocks stride on their first 1 × 1 "
            "convolution, and 427 where they stride on the 3 × 3",
            "Araujo et al. 2019; derived",
            "483 and 427 pixels: exact",
            measured=_listed(strided, " pixels"),
        ),
        _all_hold(
            grown,
            DILATION,
            "Dilation with rates 1, 2, 4, … sees exponentially far in depth, as far as striding, "
            "and keeps every pixel; plain convolutions see linearly far",
            "Yu & Koltun 2016",
            "; ".join(f"{way} {text}" for way, (_, text) in GROWTH.items()) + " pixels: exact",
            measured=_listed(deepest, after),
        ),
    ]


def _holes(rows: Sequence[Row]) -> list[Verdict | None]:
    """Judge which pixels are seen, how often, and from where."""
    uneven, phases = select(rows, "checkerboard"), select(rows, "nets", "phases")
    return [
        _all_hold(
            select(rows, "gridding"),
            DILATION,
            "Rates with a common factor see a grid; rates that grow too fast leave holes",
            "Wang et al. 2018",
            "; ".join(f"{rates}: {seen} of {size}" for rates, (seen, size) in TRIPLES.items())
            + " pixels along an axis: exact",
            measured=_listed(select(rows, "gridding", "seen")),
        ),
        _all_hold(
            uneven,
            UPCONVOLUTION,
            "Where its stride does not divide an upconvolution's window, paths meet unevenly",
            "Odena et al. 2016",
            "most over fewest, in two dimensions at stride 2: "
            + "; ".join(f"window {window}: {ratio:g}" for window, ratio in UPCONVS.items()),
            measured=_listed(uneven),
        ),
        _all_hold(
            phases,
            UPCONVOLUTION,
            "Behind upconvolutions what an output pixel sees depends on its phase: a U-Net has no "
            "one receptive field",
            "derived",
            "the support of a gradient in float64: exact",
            measured=_listed(phases, " pixels"),
        ),
    ]


def _effective(rows: Sequence[Row]) -> Verdict | None:
    widths = select(rows, "effective")
    apart = [abs(float(row["measured"]) / float(row["expected"]) - 1) for row in widths]
    seeds = effective_seeds(rows) or 64
    return _all_hold(
        [*select(rows, "paths"), *widths],
        SEEING,
        "The effective field of a random net is as wide as the root of its depth, inside a field "
        "that grows as the depth",
        "Luo et al. 2016",
        "width √(⅔ Σd²) pixels, √(n/3) with shortcuts (x + f)/√2, within "
        f"{width_tolerance(seeds):.0%}; variance and kurtosis of the paths of a chain: exact",
        measured=f"widths within {max(apart):.1%}" if apart else "",
    )


def effective_seeds(rows: Sequence[Row]) -> int:
    """Return the number of random nets behind every width; 0 where there is none."""
    return min((row["seeds"] for row in select(rows, "effective")), default=0)


def width_tolerance(seeds: int) -> float:
    """Return the largest relative error of a width over so many nets."""
    return TOLERANCE * (64 / seeds) ** 0.5


def _hybrid(rows: Sequence[Row]) -> Verdict | None:
    """Judge the rule as it was meant: to tell whether there are holes."""
    counts = {row["quantity"]: row for row in select(rows, "hybrid") if row["quantity"] in WRONG}
    if len(counts) < len(WRONG):
        return None  # only at the rates where the numbers are known
    measured = ", ".join(f"{row['measured']} of {row['case']} {way}" for way, row in counts.items())
    as_known = all(row["holds"] for row in counts.values())
    return Verdict(
        DILATION,
        "Rates of three 3 × 3 convolutions leave no hole where M₂ ≤ K, and only there",
        "Wang et al. 2018",
        theory="no triple of rates passes with holes or fails without one",
        measured=measured + ("" if as_known else "; not as counted before"),
        seeds=0,
        verdict=judge(all(row["measured"] == "0" for row in counts.values())),
    )


def _hybrid_from_rate_1(rows: Sequence[Row]) -> Verdict | None:
    chosen = select(rows, "hybrid", FIRST_RATE_1)
    claim = "M₂ ≤ K is sufficient at K = 3 where the first rate is 1"
    theory = "no triple that begins with rate 1 passes with holes"
    return _all_hold(chosen, DILATION, claim, "derived", theory, measured=_listed(chosen))


def _tools(rows: Sequence[Row]) -> Verdict | None:
    answers = tool_answers(rows).values()
    if not answers:
        return None
    right = {tool: sum(row[tool] == row["exact"] for row in answers) for tool in TOOLS}
    return Verdict(
        SEEING,
        "No one of three tools' rules gives the exact field of all nets",
        "their code and pages; rules applied here, tools not run",
        theory=f"at least one of {len(answers)} nets wrong by each: the first ignores dilation, "
        "the second makes one chain of all modules, the third sees no holes and one phase",
        measured=", ".join(f"{tool}: {n} of {len(answers)} right" for tool, n in right.items()),
        seeds=0,
        verdict=judge(all(n < len(answers) for n in right.values())),
    )


def tool_answers(rows: Sequence[Row]) -> dict[str, dict[str, str]]:
    """Collect net -> "exact" and each tool -> pixels, as text."""
    answers: dict[str, dict[str, str]] = {}
    for row in select(rows, "tools"):
        net = answers.setdefault(row["case"], {"exact": row["expected"]})
        net[row["quantity"]] = row["measured"]
    return answers


QUESTIONS = {
    "nets": "Fields of standard nets: 1 + Σ (k − 1) · d · (product of the strides before), the "
    "largest over all paths; behind upconvolutions, the support of a gradient in float64",
    "growth": "Growth with depth: " + "; ".join(f"{w} {t}" for w, (_, t) in GROWTH.items()) + ". "
    "Striding and pooling leave one output pixel in 2ⁿ along an axis, dilation all",
    "gridding": "Holes of dilated convolutions: pixels seen of those from end to end of an axis",
    "checkerboard": "Checkerboards of upconvolutions of stride 2, in two dimensions",
    "paths": "Paths of chains: variance ⅔ Σd², kurtosis 3 − 1.5/n at rate 1",
    "effective": "Width of the effective field: √(⅔ Σd²), and √(n/3) with shortcuts (x + f)/√2, "
    f"within {TOLERANCE:.0%} over 64 nets and more over fewer",
    "hybrid": "Hybrid dilation: the rule M₂ ≤ K on all triples of rates",
}
"""Question -> title of its table."""


def tables(rows: Sequence[Row]) -> list[Table]:
    """Tabulate all numbers, other tools' rules, and phases."""
    numbers = []
    for question, title in QUESTIONS.items():
        chosen = select(rows, question)
        if question == "growth":
            chosen = _last_of_each(chosen)
        numbers.append(_number_table(title, chosen))
    return [*numbers, _tool_table(rows), _phase_table()]


def _number_table(title: str, chosen: Sequence[Row]) -> Table:
    """Tabulate numbers beside theory; a column marks those that differ, where there is one."""
    wrong = sum(not row["holds"] for row in chosen)
    count = f"{len(chosen) - wrong} of {len(chosen)} as expected"
    names = ("case", "quantity", "expected", "measured")
    cells = [
        [
            *(_typeset(row[name]) for name in names),
            *([""] if wrong and row["holds"] else ["differs"] if wrong else []),
            f"{row['seconds']:.3f}" if row["seconds"] else "",
        ]
        for row in chosen
    ]
    differs = ("differs",) if wrong else ()
    columns = ("case", "quantity", "theory", "measured", *differs, "seconds")
    return Table.of(f"{title} ({count})", columns, cells)


def _tool_table(rows: Sequence[Row]) -> Table:
    columns = ("exact", *TOOLS)
    return Table.of(
        "Fields by the rules that other tools document (computed here; the tools were not run)",
        ("net", *columns),
        [
            [_typeset(net), *(row[name] for name in columns)]
            for net, row in tool_answers(rows).items()
        ],
    )


def _phase_table() -> Table:
    cells = []
    for window in (2, 4):
        intervals = phase_intervals(window)
        windows = {(a + n, b + n) for n, (a, b) in enumerate(intervals.tolist())}
        sizes = ", ".join(str(n) for n in intervals[:, 1] - intervals[:, 0] + 1)
        cells.append(
            [
                f"{window} × {window}",
                sizes,
                len(windows),
                f"{np.abs(intervals.mean(axis=1)).max():g}",
            ]
        )
    return Table.of(
        "Phases of a U-Net: four upconvolutions of stride 2 make a period of 16 pixels",
        (
            "upconvolutions",
            "field of each phase (pixels)",
            "different windows",
            "largest distance of a window's middle (pixels)",
        ),
        cells,
    )


def phase_intervals(window: int) -> np.ndarray:
    """Return (16, 2) first and last pixel that a U-Net's output sees from itself, by phase."""
    axis, _ = exact_field(NETS[f"U-Net same {window}x{window}"]).axes
    phases = axis.phases or ()
    return np.array([(p.first - p.phase, p.first + p.size - 1 - p.phase) for p in phases])
