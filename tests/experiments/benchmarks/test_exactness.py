"""The report of exactness, and that it fails where a convolution is not exact."""

import dataclasses

import numpy as np
import pytest
from tiny_studies import tables

from experiments.benchmarks import exactness


def run(folder, **changes):
    config = dataclasses.replace(exactness.PRESETS["tiny"], out=folder / "out", **changes)
    exactness.main(config)


def test_drawn_cases_are_exact(tmp_path):
    run(tmp_path)
    rows = tables(tmp_path / "out")["results.csv"]
    assert len(rows) == 8
    assert {row["vmap"] for row in rows} == {"images", "both"}
    for row in rows:
        assert max(float(row[e]) for e in exactness.ERRORS) <= exactness.DTYPES[row["dtype"]]
    assert "| bfloat16 | 2 |" in (tmp_path / "out" / "summary.md").read_text()


def test_it_fails_where_a_case_is_not_exact(tmp_path, monkeypatch):
    original = exactness.trilinear_reference

    def different(*args):
        y, dx, dk = original(*args)
        return y + 0.1 * np.abs(y).max(), dx, dk

    monkeypatch.setattr(exactness, "trilinear_reference", different)
    with pytest.raises(ValueError, match="2 cases are not exact, the first of them"):
        run(tmp_path, cases=2)
    assert len(tables(tmp_path / "out")["results.csv"]) == 2


def test_entries_that_must_be_zero_have_to_be():
    assert exactness.relative_error(np.zeros(2), np.zeros(2)) == 0
    assert exactness.relative_error(np.array([0.0, 1e-30]), np.zeros(2)) == np.inf
    assert exactness.relative_error(np.array([1.0, 3.0]), np.array([1.0, 4.0])) == 0.25


def test_a_transposed_kernel_transposed_is_the_kernel():
    kernel = np.arange(3 * 2 * 4.0).reshape(3, 2, 4)
    transposed = exactness.transposed_kernel(kernel, 2)
    assert transposed.shape == (3, 2, 4)
    assert transposed[0, 0].tolist() == [
        kernel[2, 0, 0],
        kernel[2, 1, 0],
        kernel[2, 0, 2],
        kernel[2, 1, 2],
    ]
    np.testing.assert_array_equal(exactness.transposed_kernel(transposed, 2), kernel)


def test_nothing_is_no_comparison():
    with pytest.raises(ValueError, match="cases=0 must be at least 1"):
        exactness.Config(cases=0)
