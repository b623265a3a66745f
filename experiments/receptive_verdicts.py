"""The verdicts of `receptive_field`: a claim of the literature each, from the numbers behind it."""

from collections.abc import Callable, Mapping, Sequence

from receptive_effective import TOLERANCE
from receptive_nets import NETS
from receptive_studies import GROWTH, TRIPLES, UPCONVS, Claim
from receptive_tools import TOOLS
from studies import Heading, Verdict, judged

from jaxseg.analysis import hybrid_dilation

SEEING: Heading = "Receptive field: striding and dilation"
TWO_PLACES = ("ResNet-50 v1", "ResNet-50 v1.5")
"""Where the stride stands: on a block's first 1x1 convolution, or on its 3x3."""


def verdicts(
    claims: Sequence[Claim], tools: Sequence[Mapping[str, str]], seeds: int
) -> list[Verdict]:
    """Of every question, and of its sharper halves; questions without numbers are left out.

    Args:
        claims: all numbers of the study.
        tools: from `receptive_studies.other_tools`.
        seeds: random nets behind each width.
    """
    found = [
        _nets(claims),
        _strides(claims),
        _growth(claims),
        _gridding(claims),
        _checkerboards(claims),
        _phases(claims),
        _effective(claims, seeds),
        _hybrid(claims),
        _sharper(claims),
    ]
    return [v for v in (*found, _tools(tools)) if v is not None]


def bottlenecks() -> tuple[dict[str, list[int]], dict[str, dict[int, int]]]:
    """Fields of a ResNet-50 by stage with either place of its strides, and the published ones.

    Returns:
        name -> pixels after each stage; name -> number of a stage, from 0 -> published pixels.
        Those of v1.5 follow from the formula.
    """
    ends = ["stage1", "stage2", "stage3", "stage4"]
    sizes = {name: [NETS[name].field(end).size[0] for end in ends] for name in TWO_PLACES}
    pins = NETS[TWO_PLACES[0]].pins
    known = {n: pin for n, end in enumerate(ends) if isinstance(pin := pins.get(end), int)}
    return sizes, {TWO_PLACES[0]: known}


def _all(
    claims: Sequence[Claim],
    keep: Callable[[Claim], bool],
    heading: Heading,
    claim: str,
    source: str,
    theory: str,
    *,
    seeds: int = 0,
    measured: str = "",
) -> Verdict | None:
    """Agrees where all of the numbers hold."""
    own = [c for c in claims if keep(c)]
    if not own:
        return None
    wrong = [f"{c.case}, {c.quantity}: {c.found} for {c.expected}" for c in own if not c.holds]
    said = f"{len(own) - len(wrong)} of {len(own)} numbers are so"
    parts = [part for part in (said, measured, "; ".join(wrong[:3])) if part]
    return Verdict(heading, claim, source, theory, "; ".join(parts), seeds, judged(not wrong))


def _nets(claims: Sequence[Claim]) -> Verdict | None:
    return _all(
        claims,
        lambda c: c.study == "nets" and "phases" not in c.quantity,
        SEEING,
        "A net sees 1 + sum (k - 1) d (product of the strides before), the largest over its paths",
        "Araujo et al. 2019",
        "published sizes, or the formula where none is: exact",
    )


def _strides(claims: Sequence[Claim]) -> Verdict | None:
    def both(claim: Claim) -> bool:
        return claim.case in TWO_PLACES and claim.quantity.startswith("stage4")

    own = {c.case: c.found for c in claims if both(c)}
    return _all(
        claims,
        both,
        SEEING,
        "The field of 'ResNet-50' is 483 pixels where blocks stride on their first 1x1 "
        "convolution, and 427 where they stride on the 3x3",
        "Araujo et al. 2019; derived",
        "483 and 427 pixels: exact",
        measured=", ".join(f"{case} {size} pixels" for case, size in own.items()),
    )


def _growth(claims: Sequence[Claim]) -> Verdict | None:
    last = {c.case: c for c in claims if c.study == "growth"}
    return _all(
        claims,
        lambda c: c.study == "growth",
        "Dilation",
        "Dilation with rates 1, 2, 4, … sees exponentially far in depth, as far as striding, and "
        "keeps every pixel; plain convolutions see linearly far",
        "Yu & Koltun 2016",
        "; ".join(f"{way} {text}" for way, (_, _, text) in GROWTH.items()) + " pixels: exact",
        measured=", ".join(
            f"{case} {c.found} after {c.quantity.split(':')[0]}" for case, c in last.items()
        ),
    )


def _gridding(claims: Sequence[Claim]) -> Verdict | None:
    seen = {c.case: c.found for c in claims if c.study == "gridding" and "seen" in c.quantity}
    return _all(
        claims,
        lambda c: c.study == "gridding",
        "Dilation",
        "Rates with a common factor see a grid; rates that grow too fast leave holes",
        "Wang et al. 2018",
        ", ".join(
            f"{rates}: {hybrid_dilation(rates).seen} of {size}"
            for rates, (_, size) in TRIPLES.items()
        )
        + " pixels an axis: exact",
        measured=", ".join(f"{case}: {found}" for case, found in seen.items()),
    )


def _checkerboards(claims: Sequence[Claim]) -> Verdict | None:
    own = {c.case: c.found for c in claims if c.study == "checkerboard"}
    return _all(
        claims,
        lambda c: c.study == "checkerboard",
        "Upconvolution",
        "Where the stride does not divide an upconvolution's window, more paths meet in some "
        "pixels than in others",
        "Odena et al. 2016",
        "most over fewest, in two dimensions at stride 2: "
        + ", ".join(f"window {w}: {ratio:g}" for w, ratio in UPCONVS.items()),
        measured=", ".join(f"{case}: {found:g}" for case, found in own.items()),
    )


def _phases(claims: Sequence[Claim]) -> Verdict | None:
    own = {c.case: c.found for c in claims if c.study == "nets" and "phases" in c.quantity}
    return _all(
        claims,
        lambda c: c.study == "nets" and "phases" in c.quantity,
        "Upconvolution",
        "Behind upconvolutions what an output pixel sees depends on its phase: a U-Net has no one "
        "receptive field",
        "derived",
        "the support of a gradient in float64: exact",
        measured=", ".join(f"{case}: {found} pixels" for case, found in own.items()),
    )


def _effective(claims: Sequence[Claim], seeds: int) -> Verdict | None:
    own = [c for c in claims if c.study == "effective" and c.quantity.startswith("width")]
    apart = [abs(c.found / c.expected - 1) for c in own]
    tolerance = TOLERANCE * max(1.0, (64 / seeds) ** 0.5)
    return _all(
        claims,
        lambda c: c.study == "effective",
        SEEING,
        "The effective field of a random net is as wide as the root of its depth, inside a field "
        "that grows as the depth",
        "Luo et al. 2016",
        "width sqrt(2/3 sum d^2) pixels, sqrt(n / 3) with shortcuts (x + f) / sqrt(2), within "
        f"{tolerance:.0%}; variance and kurtosis of the paths of a chain: exact",
        seeds=seeds,
        measured=f"widths within {max(apart):.1%}" if apart else "",
    )


def _hybrid(claims: Sequence[Claim]) -> Verdict | None:
    """The rule as it was meant: to tell whether there are holes."""
    wrong = {c.quantity: c for c in claims if c.study == "hybrid" and c.quantity in _WAYS}
    if len(wrong) < len(_WAYS):
        return None  # only at the rates where the numbers are known
    as_counted = all(c.holds for c in wrong.values())
    right = all(c.found == 0 for c in wrong.values())
    return Verdict(
        "Dilation",
        "Rates of three 3x3 convolutions leave no hole where M_2 <= K, and only there",
        "Wang et al. 2018",
        theory="no triple of rates passes with holes or fails without one",
        measured=", ".join(f"{c.found} of {c.case} {way}" for way, c in wrong.items())
        + ("" if as_counted else "; not as counted before"),
        seeds=0,
        verdict=judged(right),
    )


_WAYS = ("pass with holes", "fail without a hole")


def _sharper(claims: Sequence[Claim]) -> Verdict | None:
    return _all(
        claims,
        lambda c: c.study == "hybrid" and c.quantity.endswith("rate 1"),
        "Dilation",
        "M_2 <= K is sufficient at K = 3 where the first rate is 1",
        "derived",
        "no triple that begins with rate 1 passes with holes",
        measured=", ".join(
            f"{c.found} of {c.case}"
            for c in claims
            if c.study == "hybrid" and c.quantity.endswith("rate 1")
        ),
    )


def _tools(tools: Sequence[Mapping[str, str]]) -> Verdict | None:
    if not tools:
        return None
    right = {tool: sum(row[tool] == row["truth"] for row in tools) for tool in TOOLS}
    return Verdict(
        SEEING,
        "No one of three tools' rules gives the exact field of all nets",
        "their code and pages; rules applied here, tools not run",
        theory=f"at least one of {len(tools)} nets wrong by each",
        measured=", ".join(f"{tool}: {n} of {len(tools)} right" for tool, n in right.items()),
        seeds=0,
        verdict=judged(all(n < len(tools) for n in right.values())),
    )
