"""The receptive_field study: answers its questions in numbers, each beside what is expected."""

import itertools
import time
from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from experiments.receptive_field import claims, probes
from experiments.receptive_field.config import NETS, Config, Layers, Net, dilated
from experiments.receptive_field.figures import CAPTIONS, Effective, draw
from jaxseg import files, ops
from jaxseg.analysis import hybrid_dilation, receptive_field
from jaxseg.progress import busy
from jaxseg.startup import raise_if_stopped
from jaxseg.studies import Findings, Results, Row

COLUMNS = {
    "study": str,
    "case": str,
    "quantity": str,
    "expected": str,
    "measured": str,
    "holds": bool,
    "seeds": int,
    "seconds": float,
}
"""Columns of results.csv: "study" is the question, "seeds" is 0 where nothing is drawn."""
COMPARED = {
    "AlexNet": "pool5",
    "VGG-16": "pool5",
    "ResNet-18": "stage4",
    "ResNet-50 v1": "stage4",
    "ResNet-50 v1.5": "stage4",
    "Context module": "layer8",
    "Rates 2 2 2": "layer3",
    "DeepLabV3 features": "head",
    "DeepLabV3": "output",
    "U-Net same 2x2": "output",
    "U-Net same 4x4": "output",
}
"""Net -> the end point that other tools' rules are applied to."""
CHAINS = {"20 layers": (1,) * 20, "rates 1 2 4 8 16": (1, 2, 4, 8, 16)}
"""Chains whose paths' moments are compared with theory -> their rates."""


def run(config: Config) -> Findings:
    """Answer what is not answered yet; judge and draw all of it."""
    results = Results(config.out / "results.csv", COLUMNS, resume=config.resume)
    for question, measure in config.shared(QUESTIONS.items()):
        raise_if_stopped()
        if not results.select(study=question):
            with busy(question):
                rows = measure(config)
            results.replace(rows, study=question)
    nets = itertools.product(claims.KINDS, sorted(config.depths))
    effective = [measure_effective(config, results, *net) for net in config.shared(nets)]
    config.end_share()
    kinds = probes.triple_kinds(config.largest_rate)
    seeds = claims.effective_seeds(results.rows)
    return Findings(
        title="What a pixel sees",
        about="Bare nets are traced: every number but the effective fields is exact. Effective "
        f"fields are those of {seeds} random ReLU nets of each kind and depth, of "
        f"{config.features} features.",
        verdicts=claims.verdicts(results.rows),
        figures=CAPTIONS,
        drawings=draw(config, results.rows, path_maps(), overlap_maps(), kinds, effective),
        tables=claims.tables(results.rows),
        failure=failure(results.rows),
    )


def failure(rows: Sequence[Row]) -> str:
    """Name the first number that is not as expected, or return nothing if there is none."""
    # Other tools may be wrong.
    wrong = [row for row in rows if not row["holds"] and row["study"] != "tools"]
    if not wrong:
        return ""
    case = "{study}, {case}, {quantity}: {measured} in place of {expected}".format(**wrong[0])
    return f"{len(wrong)} of {len(rows)} numbers are not as expected, first {case}."


def compare(
    study: str,
    case: str,
    quantity: str,
    expected: object,
    measured: object,
    *,
    holds: bool | None = None,
    since: float | None = None,
) -> Row:
    """Make a row of results.csv, whose numbers are kept as text.

    Args:
        study: The question.
        case: The net or setting.
        quantity: What is measured, with its unit.
        expected: Number by theory or publication.
        measured: Number measured.
        holds: They agree; None asks for equality.
        since: `time.perf_counter()` at its start.
    """
    seconds = 0.0 if since is None else round(time.perf_counter() - since, 4)
    holds = expected == measured if holds is None else bool(holds)
    values = (study, case, quantity, str(expected), str(measured), holds, 0, seconds)
    return dict(zip(COLUMNS, values, strict=True))


def standard_nets(config: Config) -> list[Row]:
    """Compare all published fields, with the time from the function to a pixel's coverage."""
    rows = []
    for net in NETS.values():
        for end, published in net.published.items():
            start = time.perf_counter()
            field = probes.exact_field(net, end)
            field.coverage([n // 2 for n in field.output_size])
            axis, other = field.axes
            quantity, measured = f"{end}: pixels", axis.size
            if isinstance(published, dict):
                quantity, published = f"{quantity} by phases", probes.by_phase(published)
                measured = probes.by_phase(probes.phase_sizes(axis))
            holds = axis == other and measured == published
            rows.append(
                compare("nets", net.name, quantity, published, measured, holds=holds, since=start)
            )
    return rows


def other_tools(config: Config) -> list[Row]:
    """Compare what each tool's documented rule gives with the exact field."""
    rows = []
    for net, end in COMPARED.items():
        axis, _ = probes.exact_field(NETS[net], end).axes
        sizes = probes.phase_sizes(axis)
        exact = probes.by_phase(sizes) if len(sizes) in (2, 3) else str(axis.size)
        rows += [
            compare("tools", net, tool, exact, probes.answer(tool, net, end))
            for tool in probes.TOOLS
        ]
    return rows


def growth(config: Config) -> list[Row]:
    """Compare the field after each layer of nets that grow in four ways."""

    def grow(way: str, depth: int, x: jax.Array) -> jax.Array:
        layers = Layers()
        for number in range(depth):
            stride, rate = 1 + (way == "striding"), 2**number if way == "dilation" else 1
            x = layers.conv(x, 3, stride=stride, dilation=rate)
            x = layers.pool(x, 2) if way == "pooling" else x
        return x

    rows = []
    for way, depth in itertools.product(claims.GROWTH, range(1, config.layers + 1)):
        start = time.perf_counter()
        line = probes.image(2 ** (config.layers + 2), 1)
        (axis,) = receptive_field(partial(grow, way, depth), line).axes
        expected, _ = claims.GROWTH[way]
        quantity = f"{depth} layers: pixels"
        rows.append(compare("growth", way, quantity, expected(depth), axis.size, since=start))
    return rows


def path_maps() -> dict[str, np.ndarray]:
    """Count the paths from each pixel of the field to one output: rates of three layers -> map."""
    maps = {}
    for rates in claims.TRIPLES:
        reach = sum(rates)
        counts = probes.exact_field(Net("", partial(dilated, rates), 4 * reach + 1)).counts(
            (2 * reach,) * 2
        )
        maps[" ".join(map(str, rates))] = counts[reach : 3 * reach + 1, reach : 3 * reach + 1]
    return maps


def gridding(config: Config) -> list[Row]:
    """Compare the pixels that dilated convolutions see, and the paths, with one axis's."""
    rows = []
    for (rates, (seen, size)), (case, counts) in zip(
        claims.TRIPLES.items(), path_maps().items(), strict=True
    ):
        columns = np.any(counts, axis=0)
        measured = f"{columns.sum()} of {len(columns)}"
        rows.append(
            compare("gridding", case, "columns seen of the field", f"{seen} of {size}", measured)
        )
        along = hybrid_dilation(rates).counts
        product = np.array_equal(counts, np.outer(along, along))
        rows.append(compare("gridding", case, "paths are the products of an axis's", True, product))
    return rows


def overlap_maps(block: int = 8) -> dict[int, np.ndarray]:
    """Count the paths from the whole image to outputs: an upconvolution's window -> map."""
    inside = range(block // 2, block // 2 + block)
    maps = {}
    for window in claims.UPCONVS:
        kernel = jnp.ones((window, window, 1, 1))
        field = receptive_field(
            lambda x, k=kernel: ops.upconv(x, k, stride=2), probes.image(block + 4)
        )
        maps[window] = np.array([[field.counts((i, j)).sum() for j in inside] for i in inside])
    return maps


def checkerboard(config: Config) -> list[Row]:
    """Compare the most with the fewest paths to an output pixel of an upconvolution."""
    return [
        compare(
            "checkerboard",
            f"window {window} stride 2",
            "most / fewest paths",
            claims.UPCONVS[window],
            float(paths.max() / paths.min()),
        )
        for window, paths in overlap_maps().items()
    ]


def path_moments(config: Config) -> list[Row]:
    """Compare variance and kurtosis of the paths of a chain.

    Three taps at rate d have the variance 2/3 d**2 and the fourth cumulant -2/3 d**4, and layers
    add both.
    """
    rows = []
    for case, rates in CHAINS.items():
        reach = sum(rates)
        net = Net("", partial(dilated, rates), 4 * reach + 1)
        counts = probes.exact_field(net, axes=1).counts((2 * reach,))
        share = counts / counts.sum()
        away = np.arange(len(share)) - 2 * reach
        variance, fourth = (float(np.sum(share * away**n)) for n in (2, 4))
        expected = 2 / 3 * sum(rate**2 for rate in rates)
        kurtosis = 3 - 2 / 3 * sum(rate**4 for rate in rates) / expected**2
        for quantity, theory, value in (
            ("variance of the paths", expected, variance),
            ("kurtosis of the paths", kurtosis, fourth / variance**2),
        ):
            rows.append(compare("paths", case, quantity, round(theory, 6), round(value, 6)))
    return rows


def hybrid(config: Config) -> list[Row]:
    """Count the triples that the rule of hybrid dilation is wrong about."""
    kinds = probes.triple_kinds(config.largest_rate)
    count = partial(compare, "hybrid", f"{kinds.size} triples")
    rows = [count(claims.FIRST_RATE_1, 0, int(np.sum(kinds[0] == 1)))]
    known = claims.KNOWN_WRONG.get(config.largest_rate, ())
    for kind, (quantity, expected) in enumerate(zip(claims.WRONG, known, strict=False), 1):
        rows.append(count(quantity, expected, int(np.sum(kinds == kind))))
    return rows


QUESTIONS: dict[str, Callable[[Config], list[Row]]] = {
    "nets": standard_nets,
    "growth": growth,
    "gridding": gridding,
    "checkerboard": checkerboard,
    "hybrid": hybrid,
    "paths": path_moments,
    "tools": other_tools,
}
"""Exact questions -> their measurement; random nets follow them."""


def measure_effective(config: Config, results: Results, kind: str, depth: int) -> Effective:
    """Measure the effective field of one kind of random nets at one depth, or read it."""
    net = probes.RandomNet(kind, depth, config.rates, config.features)
    case, folder = f"{kind} {depth} layers", config.out / "arrays"
    known = results.select(study="effective", case=case)
    if min((row["seeds"] for row in known), default=0) < config.seeds:
        raise_if_stopped()
        start = time.perf_counter()
        with busy(f"{kind} nets of {depth} convolutions"):
            field = probes.effective_field(net, seeds=config.seeds, seed=config.seed)
        folder.mkdir(exist_ok=True)
        for name, array in field.items():
            files.write_array(folder / f"{kind}-{depth}-{name}.npy", array)
        width = probes.mean_width(field["width"])
        near = abs(width / net.theory - 1) < claims.width_tolerance(config.seeds)
        numbers = ("width in pixels", round(net.theory, 3), round(width, 3))
        row = compare("effective", case, *numbers, holds=near, since=start)
        results.replace([{**row, "seeds": config.seeds}], study="effective", case=case)
        print(f"{case}: width {width:.2f} pixels, theory {net.theory:.2f}")
    arrays = {
        name: files.read_array(folder / f"{kind}-{depth}-{name}.npy")
        for name in ("energy", "center", "width")
    }
    return Effective(net, **arrays)
