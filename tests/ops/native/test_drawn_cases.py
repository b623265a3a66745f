"""Drawn convolutions by oneDNN; drawn_cases.py has a long run too."""

import drawn_cases
import numpy as np
import pytest

from jaxseg import ops


@pytest.mark.parametrize("program", range(15))
def test_twenty_drawn_cases(native, program):
    draws = [np.random.default_rng((7, program, i)) for i in range(drawn_cases.CASES_IN_PROGRAM)]
    cases = [drawn_cases.draw_case(draw) for draw in draws]
    with ops.lowering("native"):
        errors = drawn_cases.errors_of(cases)
    assert all(error <= 1 for error in errors), str(cases[int(np.argmax(errors))])
