"""What the pages ask a reader to do has the outcome that they claim, at values the sliders have.

A page's functions, constants and sliders are taken from its source; cells that compute are not run.
"""

import ast
import functools
import itertools
import math
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("ipywidgets", reason="make parity installs the notebooks' tools")

from jaxseg import analysis, ops

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


class Page:
    """Functions, constants and sliders of a page."""

    def __init__(self, path: Path):
        self.names, self.controls = {}, {}
        for node in ast.parse(path.read_text()).body:
            if _is_definition(node):
                exec(compile(ast.Module([node], []), path, "exec"), self.names)
            if isinstance(node, ast.ImportFrom) and node.module == "pages":
                self.names["sliders"] = self._add_sliders

    def _add_sliders(self, draw, **controls):
        self.controls[draw.__name__] = controls

    def __getitem__(self, name):
        return self.names[name]

    def initial(self, draw: str) -> dict:
        """The values that the sliders of a figure begin with."""
        return {name: control.value for name, control in self.controls[draw].items()}

    def moved(self, draw: str, **values) -> dict:
        """The initial values with some sliders moved, which must be able to take these values."""
        for name, value in values.items():
            control = self.controls[draw][name]
            if hasattr(control, "options"):
                assert value in control.options, (name, value)
            else:
                steps = (value - control.min) / control.step
                assert control.min <= value <= control.max, (name, value)
                assert math.isclose(steps, round(steps), abs_tol=1e-9), (name, value)
        return self.initial(draw) | values

    def draw(self, draw: str, **values):
        """The figure for some values of the sliders."""
        return self.names[draw](**self.moved(draw, **values))


def _is_definition(node: ast.stmt) -> bool:
    """Imports, functions, constants in capitals, and calls of `sliders`."""
    if isinstance(node, ast.Assign):
        names = [name for target in node.targets for name in ast.walk(target)]
        return all(name.id.isupper() for name in names if isinstance(name, ast.Name))
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return getattr(node.value.func, "id", None) == "sliders"
    return isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef)


@functools.cache
def page(number: str) -> Page:
    """The page whose file name begins with this number."""
    (path,) = NOTEBOOKS.glob(f"{number}_*.py")
    return Page(path)


@pytest.fixture(autouse=True)
def as_in_a_notebook(monkeypatch):
    """Pages import `pages` from their folder, and JAX promotes types and ranks there."""
    monkeypatch.setattr(sys, "path", [str(NOTEBOOKS), *sys.path])
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


def title(figure) -> str:
    """All titles of a figure."""
    lines = [figure.get_suptitle(), *(axes.get_title() for axes in figure.axes)]
    return "\n".join(line for line in lines if line)


def counts(figure) -> list[int]:
    """The numbers of paths below a chain."""
    return [int(text.get_text()) for text in figure.axes[0].texts if text.get_text().isdigit()]


# 00


def test_00_with_three_taps_padding_equal_to_the_dilation_keeps_48_pixels():
    values = page("00").moved("draw_convolution", kernel=3, stride=1)
    for dilation in range(1, 11):
        page("00").moved("draw_convolution", dilation=dilation, padding=dilation)
        sizes = [
            ops.conv_output_size(48, 3, stride=values["stride"], dilation=dilation, padding=p)
            for p in range(dilation + 2)
        ]
        assert sizes.index(48) == dilation


# 01


def test_01_stride_makes_the_field_grow_faster_than_depth():
    formula = page("01")["field_by_formula"]
    for depth, size in zip(range(1, 6), (3, 7, 15, 31, 63), strict=True):
        assert formula([3] * depth, [2] * depth) == size
        assert formula([3] * depth, [1] * depth) == 2 * depth + 1
        page("01").moved("draw_chain", depth=depth, stride=2)


def test_01_without_padding_the_outputs_lie_inside():
    p = page("01")
    layer, rows = p["layer"], p["rows"]
    values = p.moved("draw_chain", padding=0)
    layers = [layer(values["kernel"], values["stride"], 0)] * values["depth"]
    places = rows(layers, p["SIZE"])[1]
    assert all(a[0] < b[0] for a, b in itertools.pairwise(places))


def test_01_kernel_2_and_stride_2_lead_one_path_from_each_pixel():
    figure = page("01").draw("draw_chain", kernel=2, stride=2, padding=0)
    assert counts(figure) == [1] * 8


@pytest.mark.parametrize(
    ("values", "inside"), [({}, None), ({"stride": 3}, 18), ({"depth": 5, "stride": 2}, 32)]
)
def test_01_the_title_and_the_bar_tell_the_same_size(values, inside):
    figure = page("01").draw("draw_chain", **values)
    bar = figure.axes[0].texts[0].get_text()
    if inside is None:
        assert "= 15 pixels; 4 outputs" in title(figure)
        assert bar == "15 pixels"
    else:
        assert f", {inside} of them inside the image" in title(figure)
        assert bar == f"{inside} pixels"


def test_01_vgg_fields_and_its_variants():
    p = page("01")
    kernels, strides = zip(*p["VGG16"], strict=True)
    assert p["field_by_formula"](kernels, strides) == 212
    wide = [(5, 1) if stride == 1 else (2, 2) for stride in strides]
    assert p["field_by_formula"](*zip(*wide, strict=True)) == 392
    source = (NOTEBOOKS / "01_receptive_field_striding.py").read_text()
    assert "{kernel} × {kernel}: field" in source  # the printout follows the list


def test_01_the_share_of_the_field_that_holds_the_paths_falls_as_the_root_of_depth():
    shares = {}
    for depth in (4, 16, 100):
        words = title(page("01").draw("draw_paths", depth=depth)).replace(",", "").split()
        field, middle = int(words[words.index("pixels") - 1]), int(words[words.index("hold") - 1])
        assert field == 2 * depth + 1
        shares[depth] = middle / field
    assert shares[4] > 1.6 * shares[16] > 1.6 * 2 * shares[100]


# 02


def test_02_mean_iou_falls_with_the_output_stride():
    p = page("02")
    if "test_labels" not in p.names:
        examples = p["short_runs"].mosaic_examples(p["CONFIG"], "test", 16)
        p.names["test_images"], p.names["test_labels"] = examples
    values = []
    for stride in (1, 2, 4, 8, 16):
        words = title(p.draw("draw_resolution", output_stride=stride)).replace(",", "").split()
        values.append(float(words[words.index("IoU") + 1]))
    assert values[0] == 1
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.85


def test_02_accuracy_of_a_rare_class_says_nothing_and_mean_iou_does():
    axes = page("02").draw("draw_imbalance", rare_share=0.005, recall=0.0).axes[0]
    accuracy, iou = (float(text.get_text()) for text in axes.texts)
    assert accuracy > 0.99
    assert iou < 0.5
    assert axes.get_legend() is None  # it stands below, where no line crosses it


# 03


def test_03_the_number_of_taps_stays():
    p = page("03")
    for kernel in range(1, 6):
        for dilation in range(1, 9):
            padding = -(-dilation * (kernel - 1) // 2)
            (axes,) = p.draw("draw_kernel", kernel=kernel, dilation=dilation, padding=padding).axes
            canvas = axes.collections[0].get_array()
            assert np.sum(canvas == 2) == kernel**2
            assert np.sum(canvas == 1) > 0 or padding == 0  # the padding is drawn
            if dilation * (kernel - 1) % 2 == 0:
                assert "give 17" in title(axes.figure)


def test_03_a_kernel_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="17"):
        page("03").draw("draw_kernel", kernel=5, dilation=8, padding=0)


def test_03_the_title_and_the_bar_tell_the_same_size():
    figure = page("03").draw("draw_chain", first=9, second=9, third=9)
    assert "= 55 pixels" in title(figure)
    inside = title(figure).split(", ")[-1]
    assert figure.axes[0].texts[0].get_text() == f"{inside.split()[0]} pixels"


def test_03_rates_that_pass_both_rules_and_have_holes():
    first = title(page("03").draw("draw_grid"))
    assert "M₂ = 2 ≤ 3, common factor 2" in first
    assert "has holes" in first
    answer = title(page("03").draw("draw_grid", first=2, second=3, third=5))
    assert "≤ 3, no common factor" in answer
    assert "has holes" in answer
    assert "has no holes" in title(page("03").draw("draw_grid", first=1, second=2, third=5))


def test_03_rate_1_and_the_rule_together_leave_no_holes_but_neither_alone():
    chains = [analysis.hybrid_dilation((1, a, b)) for a in range(1, 10) for b in range(1, 10)]
    assert any(not chain.full for chain in chains)
    assert not analysis.hybrid_dilation((1, 1, 6)).full
    assert all(chain.full for chain in chains if chain.passes)


def test_03_without_the_dilation_of_the_second_layer_the_result_is_another():
    keys = jax.random.split(jax.random.key(0), 3)
    image = jax.random.normal(keys[0], (1, 33, 33, 3))
    kernel_a, kernel_b = (0.3 * jax.random.normal(k, (3, 3, 3, 3)) for k in keys[1:])

    def net(stride, dilation):
        x = jax.nn.relu(ops.conv(image, kernel_a, stride=stride, padding=1))
        return ops.conv(x, kernel_b, dilation=dilation, padding=dilation)

    strided = net(2, 1)
    assert jnp.abs(strided - net(1, 2)[:, ::2, ::2]).max() < 1e-5
    difference = jnp.abs(strided - net(1, 1)[:, ::2, ::2]).max()
    assert difference > 0.5 * jnp.abs(strided).max()


# 04


def test_04_kernels_and_paddings_that_make_8_pixels_of_4():
    for kernel, padding, output_padding in ((2, 0, 0), (4, 1, 0), (6, 2, 0), (3, 1, 1)):
        figure = page("04").draw(
            "draw_dilated", kernel=kernel, padding=padding, stride=2, output_padding=output_padding
        )
        assert "8 × 8 outputs" in title(figure)


def test_04_no_negative_number_of_zeros():
    figure = page("04").draw("draw_dilated", kernel=2, padding=3, stride=4)
    assert "2 cut off on each side" in title(figure)
    assert "-" not in title(figure)


@pytest.mark.parametrize("stride", [2, 3, 4])
def test_04_overlap_is_even_where_the_stride_divides_the_kernel(stride):
    for kernel in range(2, 9):
        label = page("04").draw("draw_overlap", kernel=kernel, stride=stride).axes[0].get_xlabel()
        assert (label == "most over fewest: 1") == (kernel % stride == 0), (kernel, label)
        assert ("/ 0" in label) == (kernel < stride)


def test_04_neighboring_output_pixels_see_different_numbers_of_pixels():
    sizes = {
        page("04").draw("draw_phases", output_pixel=pixel).axes[0].texts[0].get_text()
        for pixel in (8, 9, 10, 11)
    }
    assert len(sizes) > 1
    last = page("04").draw("draw_phases", depth=3, output_pixel=39)
    assert "output pixel 39 of 0 to 39" in title(last)


# 05


def final(figure, label: str) -> np.ndarray:
    """The last values of all lines of a color that a line with this label has."""
    lines = figure.axes[0].lines
    (color,) = {line.get_color() for line in lines if line.get_label() == label}
    return np.array([line.get_ydata()[-1] for line in lines if line.get_color() == color])


def test_05_variances_at_the_scales_that_the_page_asks_for():
    start = page("05").draw("draw_variance")
    assert abs(np.log(final(start, "residual nets")).mean() - 1) < 0.2  # about e
    doubled = page("05").draw("draw_variance", branch_scale=0.125, depth=128)
    assert abs(np.log(final(doubled, "residual nets")).mean() - 2) < 0.3
    exploding = page("05").draw("draw_variance", branch_scale=1.0, depth=128)
    assert np.all(np.abs(np.log2(final(exploding, "residual nets")) - 128) < 16)
    np.testing.assert_array_equal(
        final(page("05").draw("draw_variance", branch_scale=0.0), "residual nets"), 1
    )


def test_05_two_to_the_hundredth_is_in_the_range_of_float32_and_to_the_128th_is_not():
    assert 1e30 < 2.0**100 < float(np.finfo(np.float32).max) < 2.0**128


def test_05_path_lengths_at_scale_1_and_at_one_over_root_depth():
    axes = page("05").draw("draw_paths", branch_scale=1.0).axes[0]
    heights = np.array([bar.get_height() for bar in axes.patches]).reshape(2, -1)
    np.testing.assert_allclose(heights[0], heights[1], atol=1e-12)
    assert axes.get_ylabel() == "share"
    shares = analysis.independent_path_shares(np.full(54, 1 / 54))
    assert shares[:3].sum() == pytest.approx(0.92, abs=0.006)


def test_05_a_plain_net_without_a_block_is_another_and_a_scaled_residual_one_is_not():
    nets = page("05")["random_nets"]
    outputs, cosine = nets.outputs, nets.cosine
    for plain, branch_scale, low, high in ((True, 1, -0.2, 0.3), (False, 0.25, 0.95, 1)):
        options = {"plain": plain}
        whole = outputs(16, branch_scale, **options)
        for block in (0, 8, 15):
            assert low < cosine(whole, outputs(16, branch_scale, without=block, **options)) < high


# 06


def lines_of(figure, axes: int) -> list[np.ndarray]:
    """Simulation and theory of one axes of the signals."""
    return [line.get_ydata() for line in figure.axes[axes].lines]


def test_06_tanh_is_ordered_below_1_76_and_chaotic_above():
    for weight_variance, low, high in ((1.3, 0.99, 1.0), (2.5, 0.4, 0.5)):
        figure = page("06").draw("draw_signals", weight_variance=weight_variance, depth=60)
        simulated, theory = lines_of(figure, 1)
        assert low < theory[-1] <= high
        assert abs(simulated[-1] - theory[-1]) < 0.2


def test_06_relu_at_its_critical_values_keeps_the_variance_and_loses_the_difference():
    figure = page("06").draw(
        "draw_signals", activation="relu", weight_variance=2.0, bias_variance=0.0, depth=60
    )
    np.testing.assert_allclose(lines_of(figure, 0)[1], 1, atol=1e-6)
    assert lines_of(figure, 1)[1][-1] > 0.99
    biased = page("06").draw("draw_signals", activation="relu", weight_variance=2.0)
    np.testing.assert_allclose(np.diff(lines_of(biased, 0)[1]), 0.05, atol=1e-6)


# 07


@pytest.mark.parametrize(
    ("branch", "shortcut", "decades", "tolerance"),
    [
        (0.125, 1.0, 0.5 * math.log10(math.e), 0.25),  # sqrt(e)
        (1.0, 1.0, 32 * math.log10(2), 1.0),  # 2**L, squared
        (1.0, 0.0, 0.0, 1.0),  # plain
        (0.125, 0.0, 64 * math.log10(0.125), 1.0),  # vanishes
        (0.0, 0.9, 64 * math.log10(0.9), 1e-9),
        (0.0, 1.1, 64 * math.log10(1.1), 1e-9),
    ],
)
def test_07_gradients_at_the_scales_that_the_page_asks_for(branch, shortcut, decades, tolerance):
    assert page("07").initial("draw_gradients")["depth"] == 64
    figure = page("07").draw("draw_gradients", branch=branch, shortcut=shortcut)
    *nets, theory = (line.get_ydata() for line in figure.axes[0].lines)
    assert len(nets) == page("07")["SEEDS"]
    assert max(abs(net[0] - decades) for net in nets) < tolerance
    assert abs(theory[0] - decades) < max(1e-2, 1e-9)
    # A factor of two never looks like one of 10**58: three decades are always in sight.
    low, high = figure.axes[0].get_ylim()
    assert low <= -3
    assert high >= 3


def test_07_deeper_plain_nets_scatter_more():
    log_gradients = page("07")["random_nets"].log_gradients
    spread = [np.std([log_gradients(L, 1, 0, seed)[0] for seed in range(20)]) for L in (4, 64)]
    assert spread[1] > 2 * spread[0]


def test_07_no_gradient_at_all_is_refused():
    with pytest.raises(ValueError, match="α = λ = 0"):
        page("07").draw("draw_gradients", branch=0.0, shortcut=0.0)


@pytest.mark.parametrize("norm", ["no norm", "batch norm"])
def test_07_the_plain_gradient_shatters_with_depth_faster_than_the_residual_one(norm):
    cosines = {}
    for depth in (1, 60):
        figure = page("07").draw("draw_shattering", norm=norm, depth=depth)
        (axes,) = (a for a in figure.axes if "cosine" in a.get_title())
        for line in axes.lines:
            if line.get_label() in ("plain", "residual"):
                cosines[line.get_label(), depth] = line.get_ydata()[3]  # 5.6 degrees
    assert cosines["plain", 1] > 0.9
    assert cosines["plain", 60] < 0.5
    assert cosines["residual", 60] > cosines["plain", 60] + 0.3


def test_07_the_correlation_of_gradients_falls_as_the_page_says():
    correlation = page("07")["gradient_correlation"]
    exponent = math.log(correlation(1024) / correlation(512), 2)
    assert exponent == pytest.approx(-3, abs=0.15)
    assert 0.5 < correlation(256, branch_scale=256**-0.5) < 0.7


# 08


def test_08_the_skip_brings_the_image_back_and_strides_lose_more_and_more():
    p, lost = page("08"), []
    figure = p.draw("draw_skip", skip=1.0)
    image, *_, restored = (axes.images[0].get_array() for axes in figure.axes)
    np.testing.assert_allclose(restored, image, atol=1e-6)
    for stride in (2, 4, 8, 16, 32):
        lost.append(int(title(p.draw("draw_skip", stride=stride)).split("%")[0]))
    assert lost == sorted(lost)


@pytest.mark.parametrize(("levels", "size"), [(2, 18), (3, 44), (4, 100), (5, 204)])
def test_08_fields_of_u_nets(levels, size):
    figure = page("08").draw("draw_field", levels=levels)
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == [rf"long path: ${size} \times {size}$", r"short path: $9 \times 9$"]


# 09


def test_09_the_ratio_of_depth_to_width_decides():
    logs = page("09")["random_nets"].log_gains
    start = page("09").initial("draw_spread")
    width, depth = start["width"], start["depth"]
    page("09").moved("draw_spread", width=2 * width, depth=2 * depth)
    first, doubled = logs(width, depth), logs(2 * width, 2 * depth)
    assert abs(first.mean() - doubled.mean()) < 0.25
    assert abs(first.std() - doubled.std()) < 0.25
    # With terms of order L/N²: a layer's gain is a chi-squared of Binomial(N, ½) squares.
    many = np.random.default_rng(1).chisquare(
        np.random.default_rng(0).binomial(width, 0.5, 100_000)
    )
    assert depth * np.log(many).var() == pytest.approx(1.36, abs=0.02)
    deeper = logs(width, 2 * depth)
    assert deeper.mean() < first.mean() - 0.3
    assert deeper.std() > first.std() + 0.2


# Predictions and the solutions of the exercises


def test_00_solutions():
    assert ops.conv_output_size(48, 5, dilation=3, padding=6) == 48
    assert [ops.conv_output_size(n, 3, stride=2, padding=1) for n in (47, 48, 49)] == [24, 24, 25]
    assert page("01")["field_by_formula"]([3] * 4, [2] * 4) == 31


def test_01_solutions():
    formula, vgg = page("01")["field_by_formula"], page("01")["VGG16"]
    assert formula([3] * 15, [1] * 15) == formula([3] * 4, [2] * 4) == 31
    assert vgg[2] == (2, 2)
    earlier = [vgg[2], *vgg[:2], *vgg[3:]]
    assert formula(*zip(*earlier, strict=True)) == 216
    # 95 % of a normal distribution, in a quarter of the field.
    depths = [L for L in range(1, 100) if 2 * 1.96 * math.sqrt(2 * L / 3) <= 2 * L / 4]
    assert min(depths) in (41, 42)


def stored(name):
    """The stored runs: name of the net -> name of the array -> its values."""
    with np.load(NOTEBOOKS / "results" / f"{name}.npz") as arrays:
        tables = {key: array for key, array in arrays.items() if array.ndim > 1}
        names = arrays["names"].tolist()
    return {n: {key: array[i] for key, array in tables.items()} for i, n in enumerate(names)}


def test_02_what_the_stored_runs_show():
    nets = stored("02_segmentation")
    iou = {name: np.median(net["mean_iou"]) for name, net in nets.items()}
    border = {name: np.median(net["near_borders"]) for name, net in nets.items()}
    assert abs(nets["1 × 1"]["losses"][:, -1].astype(float).mean() - math.log(3)) < 0.01
    assert iou["rates 1, 1, 2, 4"] - iou["3 × 3"] == pytest.approx(0.07, abs=0.015)
    assert nets["rates 1, 1, 2, 4"]["mean_iou"].min() > nets["3 × 3"]["mean_iou"].max()
    assert border["rates 1, 1, 2, 4"] - border["3 × 3"] < 0.01
    assert iou["rates 1, 2, 4, 8"] - iou["3 × 3"] < 0.01


def test_02_solutions():
    rates = analysis.hybrid_dilation((1, 1, 1, 5))
    assert (rates.size, rates.full) == (17, True)


def test_03_predictions_and_solutions():
    assert ops.conv_output_size(17, 3, dilation=4, padding=4) == 17  # and spans 9 pixels
    third = [d for d in range(1, 10) if analysis.hybrid_dilation((1, 2, d)).size == 25]
    assert third == [9]
    page("03").moved("draw_chain", first=1, second=2, third=9)
    doubling = analysis.hybrid_dilation((1, 2, 4, 8, 16))
    assert (doubling.size, doubling.full) == (63, True)
    # Rate 1 first and M₂ ≤ 3 leave no hole, and no triple beyond 9 passes.
    rates = itertools.product((1,), range(1, 7), range(1, 17))
    passing = {r: p for r in rates if (p := analysis.hybrid_dilation(r)).passes}
    assert all(paths.full for paths in passing.values())
    assert max(passing) == (1, 3, 9)
    holes = analysis.hybrid_dilation((2, 3, 5))
    assert (holes.size, holes.seen, holes.passes) == (21, 19, True)


def test_03_dilation_costs_about_twelve_times_as_much():
    cost = page("03")["cost"]
    striding = cost((2, 2, 2, 1), (1, 1, 1, 1), size=64, features=4)
    dilating = cost((1, 1, 1, 1), (1, 2, 4, 8), size=64, features=4)
    assert striding[0] == dilating[0] == 31
    assert 11 < dilating[1] / striding[1] < 12.5
    assert 11 < dilating[2] / striding[2] < 12.5


@pytest.mark.parametrize(("kernel", "stride", "sums"), [(2, 2, {1}), (3, 2, {1, 2}), (3, 3, {1})])
def test_04_stamps_that_an_output_sums(kernel, stride, sums):
    figure = page("04").draw("draw_stamps", kernel=kernel, stride=stride)
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert {int(text) for text in texts if text.isdigit()} == sums


def test_04_the_stamps_are_the_rows_of_the_convolution():
    taps = jnp.arange(1.0, 4)[:, None, None]
    stamps = ops.upconv(jnp.eye(4)[..., None], taps[::-1], stride=2, padding=0)[..., 0]
    x = jax.random.normal(jax.random.key(0), (9,))
    down = ops.conv(x[None, :, None], taps, stride=2, padding=0)[0, :, 0]
    np.testing.assert_allclose(stamps @ x, down, rtol=1e-5)


def test_04_solutions():
    for kernel, padding, output_padding in ((3, 0, 0), (6, 2, 1)):
        options = {"stride": 3, "padding": padding, "output_padding": output_padding}
        assert ops.upconv_output_size(5, kernel, **options) == 15
    assert [k for k in range(2, 9) if k % 3 == 0] == [3, 6]


def test_05_solutions():
    assert (1 + 0.026**2) ** 1000 < 2 < (1 + 0.027**2) ** 1000
    # 40 residual blocks see as far as 20 plain ones.
    first = title(page("05").draw("draw_fields", blocks=20))
    second = title(page("05").draw("draw_fields", blocks=40))
    assert first.split("√(2L/3) = ")[1][:4] == second.split("√(L/3) = ")[1][:4]


def test_06_what_the_stored_runs_show():
    with np.load(NOTEBOOKS / "results" / "06_depth.npz") as arrays:
        names = arrays["names"].tolist()
        final = np.median(arrays["final"], axis=-1)
        assert arrays["depths"].tolist() == [8, 16, 32, 64]
    loss = dict(zip(names, final, strict=True))
    assert loss["plain"][-1] > 1.09  # chance
    assert loss["plain_norm"][-1] > 0.9
    assert loss["residual"][-1] < 1.05 * loss["residual"][0]
    assert loss["plain_isometric"][-1] < math.log(3) / 2
    assert loss["plain_isometric"][[0, -1]].tolist() == pytest.approx([0.38, 0.54], abs=0.005)


def test_06_solutions():
    assert pytest.approx(47, abs=0.1) == 6 * 7.834
    assert pytest.approx(1.8e-4, rel=0.01) == 0.75**30


def test_07_solutions():
    assert 0.9**66 < 1e-3 < 0.9**65
    assert (math.pi / (math.pi - 1)) ** 64 == pytest.approx(4.5e10, rel=0.02)


def test_08_solutions():
    sizes = [(37, 101)]
    for _ in range(2):
        sizes.append(tuple(-(-n // 2) for n in sizes[-1]))
    assert sizes == [(37, 101), (19, 51), (10, 26)]
    noise = np.random.default_rng(0).normal(size=(64, 64, 2, 2))
    lost = noise - noise.mean(axis=(2, 3), keepdims=True)
    assert lost.var() / noise.var() == pytest.approx(0.75, abs=0.02)
    noise = jax.random.normal(jax.random.key(0), (1, 128, 128, 1))
    lost = noise - ops.resize(ops.avg_pool(noise, 2), 128)
    assert float(lost.var() / noise.var()) == pytest.approx(0.82, abs=0.02)


def test_09_solutions():
    logs = page("09")["random_nets"].log_gains(64, 64, 4000)
    assert np.mean(logs >= 0) == pytest.approx(0.13, abs=0.02)
    assert 11 + 2.5 / math.sqrt(2.5 / 89) ** 2 == pytest.approx(100)


def test_08_what_the_stored_runs_show():
    none, added, concatenated = stored("08_long_skips").values()
    assert added["mean_iou"].min() > none["mean_iou"].max()
    assert concatenated["mean_iou"].min() > none["mean_iou"].max()
    middle = np.median([net["mean_iou"] for net in (none, added, concatenated)], axis=1)
    assert middle[1] - middle[0] == pytest.approx(0.09, abs=0.02)
    assert middle[2] - middle[0] == pytest.approx(0.12, abs=0.02)
    for net in (added, concatenated):
        border, elsewhere = (
            np.median(net[key]) - np.median(none[key]) for key in ("near_borders", "elsewhere")
        )
        assert border > 0.03
        assert elsewhere > 0.8 * border
