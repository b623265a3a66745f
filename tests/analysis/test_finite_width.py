"""Log moments at a finite width: exact against the leading order."""

import math

import numpy as np
import pytest

from jaxseg.analysis import finite_width


def test_exact_log_moments_tend_to_the_leading_order():
    for width, tolerance in ((64, 0.07), (1024, 0.004)):
        exact = finite_width.he_log_moments_exact(width, 16)
        leading = finite_width.he_log_moments(width, 16)
        np.testing.assert_allclose(exact, leading, rtol=tolerance)
    # One unit that lives: 2 chi^2_1, so psi(1/2) + ln 4 and psi'(1/2).
    one = finite_width.he_log_moments_exact(1, 1)
    assert one.mean == pytest.approx(-np.euler_gamma)
    assert one.variance == pytest.approx(math.pi**2 / 2)


@pytest.mark.parametrize("name", ["he_log_moments", "he_log_moments_exact"])
@pytest.mark.parametrize(("width", "layers"), [(0, 1), (4, -1)])
def test_what_is_no_net_is_refused(name, width, layers):
    with pytest.raises(ValueError, match=f"width={width} must .* layers={layers} must not"):
        getattr(finite_width, name)(width, layers)
