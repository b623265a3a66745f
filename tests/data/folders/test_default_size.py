"""The default size keeps the aspect, and pads by less than a cell of 8."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxseg.data.folders.default_size import default_size, padded_share
from jaxseg.data.geometry import placement


@given(st.lists(st.tuples(*[st.integers(1, 4000)] * 2), min_size=1, max_size=1))
def test_the_default_size_pads_the_median_aspect_by_less_than_a_cell(sizes):
    size = default_size(sizes)
    assert all(side % 8 == 0 and 8 <= side <= 256 for side in size)
    inner = placement(sizes[0], size, keep_aspect=True)
    assert max(size[0] - inner.height, size[1] - inner.width) <= 8
    assert (inner.height == size[0]) or (inner.width == size[1])


@pytest.mark.parametrize(
    ("shape", "size", "share"),
    [
        ((36, 48), (40, 48), 0.1),
        ((48, 36), (48, 40), 0.1),
        ((50, 2000), (8, 256), 0.25),
        ((480, 640), (192, 256), 0.0),
        ((32, 48), (32, 48), 0.0),
        ((100, 40), (96, 40), 0.05),
    ],
)
def test_the_default_size_and_its_padding(shape, size, share):
    assert default_size([shape] * 3) == size
    assert padded_share([shape] * 3, size) == pytest.approx(share, abs=0.001)
