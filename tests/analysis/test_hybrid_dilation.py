"""The rule of hybrid dilation against every path counted one by one, and against gradients."""

import itertools
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxseg import ops
from jaxseg.analysis import hybrid_dilation

TRIPLES = list(itertools.product(range(1, 10), repeat=3))


def by_hand(rates, kernel):
    """Paths to each position: every choice of taps, summed."""
    taps = [range(0, kernel * rate, rate) for rate in rates]
    found = Counter(map(sum, itertools.product(*taps)))
    return tuple(found[place] for place in range(1 + (kernel - 1) * sum(rates)))


@pytest.mark.parametrize(
    ("rates", "distance", "seen", "size"),
    [
        ((1, 2, 5), 2, 17, 17),
        ((1, 2, 9), 5, 21, 25),
        ((2, 2, 2), 2, 7, 13),
        ((3, 9, 1), 17, 27, 27),
    ],
)
def test_published_and_counted(rates, distance, seen, size):
    found = hybrid_dilation(rates)
    assert (found.max_distance, found.seen, found.size) == (distance, seen, size)
    assert (found.passes, found.full) == (distance <= 3, seen == size)
    assert found.agrees == (rates in [(1, 2, 5), (1, 2, 9)])
    assert (found.rates, found.kernel) == (rates, 3)


def test_all_distances():
    # By hand: M_4 = 17, M_3 = max(17 - 18, 18 - 17, 9), M_2 = max(9 - 10, 10 - 9, 5), ...
    assert hybrid_dilation((1, 5, 9, 17)).distances == (3, 5, 9, 17)
    assert hybrid_dilation((1, 2, 9)).distances == (3, 5, 9)
    assert hybrid_dilation((3, 9, 1)).distances == (11, 17, 1)


def test_all_triples():
    found = [hybrid_dilation(rates) for rates in TRIPLES]
    holed = [f.rates for f in found if f.passes and not f.full]
    strict = [f.rates for f in found if f.full and not f.passes]
    assert (len(found), len(holed), len(strict)) == (729, 124, 38)
    assert sum(f.agrees for f in found) == 729 - 124 - 38
    assert not [rates for rates in holed if rates[0] == 1]


def test_the_order_matters_to_the_rule_alone():
    orders = [hybrid_dilation(rates) for rates in itertools.permutations((1, 3, 9))]
    assert len({f.counts for f in orders}) == 1
    assert {f.passes for f in orders} == {True, False}


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(1, 4))
def test_counts_are_paths(rates, kernel):
    found = hybrid_dilation(rates, kernel)
    assert found.counts == by_hand(rates, kernel)
    assert sum(found.counts) == kernel ** len(rates)
    assert found.coverage.tolist() == [count > 0 for count in found.counts]
    assert found.coverage.sum() == found.seen
    assert found.size == len(found.coverage) == 1 + (kernel - 1) * sum(rates)
    assert found.full == all(found.counts)


@given(st.lists(st.integers(1, 9), max_size=4), st.integers(3, 5))
def test_a_first_layer_without_dilation_makes_the_rule_sufficient(rates, kernel):
    found = hybrid_dilation([1, *rates], kernel)
    assert found.full or not found.passes


def test_with_two_taps_it_does_not():
    found = hybrid_dilation((1, 2, 5), kernel=2)
    assert found.passes
    assert not found.full


@pytest.mark.parametrize(("rate", "kernel", "full"), [(1, 3, True), (2, 3, False), (1, 1, True)])
def test_one_layer(rate, kernel, full):
    found = hybrid_dilation([rate], kernel)
    assert found.distances == (rate,)
    assert found.max_distance == rate
    assert found.passes == found.full == full
    assert found.agrees


def test_a_single_tap_sees_one_pixel_at_any_rate():
    found = hybrid_dilation((4, 7), kernel=1)
    assert (found.counts, found.full, found.passes) == ((1,), True, False)


def test_counts_beyond_64_bits_are_exact():
    found = hybrid_dilation([1] * 60)
    assert sum(found.counts) == 3**60 > 2**64
    assert found.counts[1] == 60


@pytest.mark.parametrize("rates", [(2, 2, 2), (1, 2, 3)])
def test_counts_are_the_gradient_of_a_chain_of_ones(rates):
    found = hybrid_dilation(rates)
    x = jnp.zeros((1, found.size, found.size, 1))

    def center(x):
        for rate in rates:
            x = ops.conv(x, jnp.ones((3, 3, 1, 1)), dilation=rate, padding="valid")
        return x.sum()

    gradient = jax.grad(center)(x)[0, :, :, 0]
    np.testing.assert_array_equal(gradient, np.outer(found.counts, found.counts))


def test_results_compare_and_take_numpy_integers():
    assert hybrid_dilation(np.array([1, 2, 5])) == hybrid_dilation((1, 2, 5))
    assert hybrid_dilation((1, 2, 5)) != hybrid_dilation((5, 2, 1))


@pytest.mark.parametrize(
    ("rates", "kernel", "message"),
    [
        ((), 3, "rates is empty"),
        ((1, 0), 3, r"rates=\(1, 0\): expected integers of at least 1, got 0"),
        ((1, 2.0), 3, r"got 2\.0"),
        ((True, 2), 3, "got True"),
        ((1, 2), 0, "kernel=0: expected"),
        ((1, 2), (3, 3), r"kernel=\(3, 3\): expected"),
    ],
)
def test_what_is_refused(rates, kernel, message):
    with pytest.raises(ValueError, match=message):
        hybrid_dilation(rates, kernel)
