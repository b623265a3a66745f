"""Identities hold in float64; layers at initialization are where theory expects them."""

import numpy as np
import pytest

from experiments.upconvolution import probes
from experiments.upconvolution.claims import IDENTITIES


def test_phases_are_every_second_tap():
    kernel = probes.random_array(4, 4, 2, 2)
    parts = probes.phases_of(kernel)
    assert [padding for _, padding in parts][1] == ((1, 0), (0, 1))
    np.testing.assert_array_equal(parts[1][0], kernel[0::2, 1::2])


def test_a_transposed_kernel_is_reversed_with_channels_swapped():
    kernel = probes.random_array(3, 2, 4, 5)
    transposed = probes.transposed_kernel(kernel)
    assert transposed.shape == (3, 2, 5, 4)
    np.testing.assert_array_equal(transposed[0, 1, 2, 3], kernel[2, 0, 3, 2])


def test_identities_hold_in_float64():
    errors = probes.identity_errors()
    assert {*errors} == {*IDENTITIES}
    assert max(errors.values()) < 1e-14


def test_an_identity_that_fails_has_a_large_error(monkeypatch, x64):
    monkeypatch.setattr(probes, "transposed_kernel", lambda kernel: kernel.swapaxes(-1, -2))
    monkeypatch.setattr(probes, "GEOMETRIES", ((8, 3, 2, 1),))
    errors = probes._gradients_of_strided()
    large = [name for name, (error,) in errors.items() if error > 1e-3]
    assert large == ["input gradient", "adjoint"]


def test_the_transposed_convolution_of_jax_needs_to_be_told():
    default, transposed = probes.conv_transpose_errors()
    assert default > 0.5
    assert transposed < 1e-14


def test_sizes_follow_the_formulas():
    correct, total = probes.size_formulas()
    assert correct == total == 168


def test_taps_that_meet_are_counted():
    assert sorted(probes.overlap(3, pixels=2).ravel()) == [1, 2, 2, 4]
    assert (probes.overlap(4) == 4).all()
    assert sorted({*probes.overlap(5).ravel()}) == [4, 6, 9]


def test_paths_are_products_over_the_levels():
    """Along an axis 3 taps lead to a pixel; windows of 2 see each pixel once, of 4 twice."""
    assert (probes.paths(2) == 9).all()
    assert (probes.paths(4) == (3 * 2 * 2) ** 2).all()
    uneven = probes.paths(3)
    np.testing.assert_allclose(uneven.max() / uneven.min(), 16 / 9)
    np.testing.assert_array_equal(uneven, uneven.T)


def test_a_ratio_of_means_has_its_standard_error():
    draws = np.random.default_rng(0).normal(size=(4000, 50, 2)) * 0.1 + (3, 2)
    numerators, denominators = np.moveaxis(draws, -1, 0)
    ratios = [probes._ratio(*pair) for pair in zip(numerators, denominators, strict=True)]
    spread, errors = np.std([r for r, _ in ratios]), [error for _, error in ratios]
    np.testing.assert_allclose(np.mean([r for r, _ in ratios]), 1.5, rtol=1e-3)
    np.testing.assert_allclose(np.mean(errors), spread, rtol=0.05)


def test_contrast_is_between_the_places_with_most_and_with_fewest():
    theory = np.array([[4, 2], [2, 1]])
    power = np.broadcast_to([[8.0, 100.0], [100.0, 2.0]], (3, 2, 2))
    assert probes._contrast(theory, power) == (4, 4, 0)
    # Even theory has no such places: even rows are compared with odd ones.
    power = np.broadcast_to([[1.0, 3.0], [5.0, 11.0]], (3, 2, 2))
    assert probes._contrast(np.full((2, 2), 4), power) == (1, 0.25, 0)


def test_layers_at_initialization_follow_theory():
    rows = probes.initial_rows(("upconv k3s2", "sub-pixel"), (3,), features=5, draws=200)
    theory = [(row["quantity"], row["case"], round(row["theory"], 3)) for row in rows]
    assert theory == [
        (probes.SHARE, "upconv k3s2", 0.75),
        (probes.SHARE, "sub-pixel", 0.75),
        (probes.POWER, "upconv k3s2", 4.0),
        (probes.POWER, "sub-pixel", 1.0),
        (probes.GRADIENT, "k3s2", 1.778),
    ]
    assert {row["draws"] for row in rows} == {200}
    for row in rows:
        assert abs(row["measured"] - row["theory"]) <= max(3.5 * row["error"], 1e-6), row["case"]
        assert row["error"] <= 0.1 * max(row["theory"], 0.1)


@pytest.mark.parametrize("draws", [2, 3])
def test_any_number_of_draws_is_shared_out(draws):
    (row,) = probes.initial_rows(("resize nearest",), (), features=2, draws=draws)
    assert row["draws"] == draws
    assert row["measured"] < 1e-9
