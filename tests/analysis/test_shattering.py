"""Correlations of gradients in closed form: pins, powers of the depth, limits."""

import math

import numpy as np
import pytest

from jaxseg.analysis import mean_field, shattering


def test_shattering_pins():
    found = [shattering.he_relu_correlations(layers)[0] for layers in (2, 4, 8)]
    np.testing.assert_allclose(found, [0.3016, 0.1416, 0.0500], atol=5e-5)
    np.testing.assert_allclose(
        shattering.batch_norm_plain_correlations(3), [1 / 8, 1 / 4, 1 / 2, 1]
    )
    deep = shattering.batch_norm_residual_correlations(4000, centered=False)[0]
    assert deep == pytest.approx(2 / math.sqrt(math.pi * 4000), rel=1e-3)
    assert shattering.scaled_branch_limit() == pytest.approx(0.6336, abs=5e-5)
    finite = shattering.he_relu_correlations(4000, branch_scale=1 / math.sqrt(4000))[0]
    assert finite == pytest.approx(shattering.scaled_branch_limit(), abs=1e-4)


def test_powers_of_depth():
    """L**-3 without batch norm, L**(-pi / 2 (pi - 1)) for the residual net with it."""
    for profile, power in (
        (shattering.he_relu_correlations, -3),
        (shattering.batch_norm_residual_correlations, -math.pi / 2 / (math.pi - 1)),
    ):
        slope = math.log2(profile(4000)[0] / profile(2000)[0])
        assert slope == pytest.approx(power, abs=0.02)


def test_equal_inputs_have_equal_gradients_and_near_ones_part_by_batch_norm():
    for profile in (
        shattering.he_relu_correlations,
        shattering.batch_norm_plain_correlations,
        shattering.batch_norm_residual_correlations,
    ):
        np.testing.assert_allclose(profile(9, correlation=1.0), 1)
        assert profile(9, correlation=0.9)[0] > profile(9)[0]
    near = 1 - 1e-6
    assert shattering.batch_norm_plain_correlations(60, correlation=near)[0] < 1e-6
    assert shattering.he_relu_correlations(60, correlation=near)[0] > 0.9
    assert shattering.scaled_branch_limit(correlation=1.0) == 1


def test_unscaled_branches_may_be_deeper_than_their_variance_is_a_float64():
    """2**1024 is infinite; the correlation's cubic law goes on."""
    at = np.array([shattering.he_relu_correlations(n, branch_scale=1.0)[0] for n in (900, 1800)])
    # kappa_0 is ~ 1 - 3 / l of a plain net's; of x + W relu(x), half the step and half the weight.
    assert math.log2(at[1] / at[0]) == pytest.approx(-3, abs=0.1)


def test_what_no_closed_form_knows_is_refused():
    for call in (
        lambda: shattering.he_relu_correlations(-1),
        lambda: shattering.batch_norm_plain_correlations(2, correlation=1.5),
        lambda: shattering.batch_norm_residual_correlations(2, correlation=0.5, centered=False),
    ):
        with pytest.raises(ValueError, match="must"):
            call()


def test_the_limit_of_scaled_branches_is_integrated_to_second_order():
    """Steps of 1 / 1000 by the midpoint are off by 3e-9; by the start of each, by 3e-5."""

    def integrated(steps, c=0.0):
        log = 0.0
        for _ in range(steps):
            middle = c + (float(mean_field.arc_cosine_1(c)) - c) / (2 * steps)
            log += (float(mean_field.arc_cosine_0(middle)) - 1) / steps
            c += (float(mean_field.arc_cosine_1(middle)) - middle) / steps
        return math.exp(log)

    assert shattering.scaled_branch_limit() == pytest.approx(integrated(4000), abs=1e-8)
