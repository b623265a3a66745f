"""Tests of the native lowering need the extra and a compiler."""

import pytest

from jaxseg.ops import native as native_lowering


@pytest.fixture
def native():
    """Skip a test where oneDNN is not installed or no compiler is found."""
    if reason := native_lowering.status().reason:
        pytest.skip(reason)
