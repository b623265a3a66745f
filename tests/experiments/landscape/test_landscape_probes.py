"""The shape of surfaces in closed form, and what is measured around a small net."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.landscape.config import Config
from experiments.landscape.probes import SurfaceProbe, in_stack, norm_difference, surface_shape

AXIS = np.linspace(-1, 1, 9).astype(np.float32)


def test_the_shape_of_a_saddle_and_of_a_bowl():
    bowl = surface_shape(AXIS[:, None] ** 2 + AXIS**2, AXIS, chance=1.0)
    # Points of the grid within the unit circle, its rim apart.
    inside = float(np.mean(AXIS[:, None] ** 2 + AXIS**2 < 1))
    assert bowl == {
        "center": 0.0,
        "border": 1.25,
        "basin": inside,
        "negative": 0.0,
        "negative_all": 0.0,
    }
    saddle = surface_shape(AXIS[:, None] ** 2 - AXIS**2, AXIS, chance=9.0)
    assert (saddle["negative"], saddle["negative_all"]) == (1.0, 1.0)
    assert np.isnan(surface_shape(np.full((9, 9), 5.0), AXIS, chance=1.0)["negative"])


@pytest.mark.parametrize(("share", "negative"), [(0.009, 0.0), (0.011, 1.0), (0.0, 0.0)])
def test_a_curvature_is_negative_beyond_a_hundredth_of_the_other(share, negative):
    """Flatter than that, its sign may be rounding."""
    shape = surface_shape(AXIS[:, None].astype(float) ** 2 - share * AXIS**2, AXIS, chance=9.0)
    assert (shape["negative"], shape["negative_all"]) == (negative, negative)
    turned = surface_shape(AXIS.astype(float) ** 2 - share * AXIS[:, None] ** 2, AXIS, chance=9.0)
    assert turned["negative"] == negative


def test_only_inner_points_below_chance_count_as_its_inside():
    """A surface that bends down on one side, where it is above chance."""
    x = AXIS[:, None].astype(float)
    surface = np.where(x > 0, 2 - x**2, x**2) + 0 * AXIS
    shape = surface_shape(surface, AXIS, chance=1.0)
    assert shape["negative_all"] > 0.3
    # At x = 0 the second difference spans both sides: it bends upwards.
    assert shape["negative"] == 0


def test_a_border_that_is_not_finite_is_infinitely_high():
    surface = np.zeros((5, 5))
    surface[0], surface[-1] = np.nan, np.inf
    offsets = np.linspace(-1, 1, 5)
    assert surface_shape(surface, offsets, chance=1.0)["border"] == np.inf
    surface[-1] = 3.0  # 6 of 16 are 0, 5 are 3, 5 are not finite
    assert surface_shape(surface, offsets, chance=1.0)["border"] == 3
    surface[:, 0] = 7.0
    assert surface_shape(surface, offsets, chance=1.0)["center"] == 0


def test_the_border_has_four_sides():
    """Of 16 points 9 are high, along two sides; along the others 7 are not."""
    high = np.zeros((5, 5))
    high[0], high[:, -1] = 3.0, 3.0
    for turns in range(4):
        surface = np.rot90(high, turns)
        assert surface_shape(surface, np.linspace(-1, 1, 5), chance=1.0)["border"] == 3


def test_a_wrong_filter_is_noticed():
    params = {"stack": {"blocks": jnp.ones((2, 3, 3, 1, 2))}}
    right = jax.tree.map(lambda a: -a, params)
    assert norm_difference(params, right) == 0
    # Layers whose norms are right only together.
    scales = jnp.array([0.6, 1.28]).reshape(2, 1, 1, 1, 1)
    wrong = {"stack": {"blocks": params["stack"]["blocks"] * scales}}
    assert norm_difference(params, wrong) == pytest.approx(0.4)
    # A filter is what makes one output channel; leaves without a direction do not count.
    kernel = jnp.ones((3, 3, 1, 2))
    one = {"stem": kernel * jnp.array([1.0, 1.1]).reshape(1, 1, 1, 2), "bias": jnp.zeros(2)}
    assert norm_difference({"stem": kernel, "bias": jnp.ones(2)}, one) == pytest.approx(0.1)


def test_leaves_of_a_stack_are_known_by_their_path():
    assert in_stack("['stack']['blocks']['kernel']")
    assert not in_stack("['stem']['kernel']")


def quadratic(params, stats, images):
    """A net whose cross-entropy is that of one score: linear in the parameters."""
    del stats
    scores = jnp.einsum("bhwi,io->bhwo", images, params["kernel"])
    return jnp.concatenate([scores, jnp.zeros_like(scores)], axis=-1), None


def test_a_probe_measures_the_surface_and_its_curvatures():
    """Of logistic regression in two numbers, whose Hessian is known."""
    images = jax.random.normal(jax.random.key(0), (2, 4, 4, 2))
    batch = {"image": images, "label": jnp.zeros((2, 4, 4), jnp.int32).at[:, ::2].set(1)}
    config = Config(points=5, directions=3, lanczos=5)
    probe = SurfaceProbe(config, quadratic, (), batch)
    params = {"kernel": jnp.array([[0.3], [-0.2]])}
    surface, numbers = probe(params, jax.random.key(1))

    x = np.asarray(images, float).reshape(-1, 2)
    scores = x @ np.array([0.3, -0.2])
    slopes = 1 / (1 + np.exp(-scores))
    hessian = (x.T * (slopes * (1 - slopes))) @ x / len(x)
    eigenvalues = np.linalg.eigvalsh(hessian)
    np.testing.assert_allclose(numbers["largest_eigenvalue"], eigenvalues[-1], rtol=1e-4)
    np.testing.assert_allclose(numbers["smallest_eigenvalue"], eigenvalues[0], rtol=1e-4)
    # Directions have the filter's norm, so that u'Hu lies between the eigenvalues times it.
    square = 0.3**2 + 0.2**2
    low, high = eigenvalues * square
    assert low <= numbers["filter_curvature"] <= high
    assert numbers["norm_difference"] < 1e-6
    labels = np.asarray(batch["label"]).ravel()
    loss = np.mean(np.logaddexp(0, scores) - scores * (labels == 0))
    np.testing.assert_allclose(surface[2, 2], loss, rtol=1e-5)
    assert surface.shape == (5, 5)
    again, same = probe(params, jax.random.key(1))
    np.testing.assert_array_equal(again, surface)
    assert same == numbers
    assert probe(params, jax.random.key(2))[1]["filter_curvature"] != numbers["filter_curvature"]


def test_the_curvature_is_the_mean_over_the_directions_of_the_surface_and_more():
    """With two directions it is what second differences of the surface give."""
    images = jax.random.normal(jax.random.key(0), (2, 4, 4, 2))
    batch = {"image": images, "label": jnp.zeros((2, 4, 4), jnp.int32)}
    config = Config(points=5, directions=2, lanczos=2, reach=0.2)
    surface, numbers = SurfaceProbe(config, quadratic, (), batch)(
        {"kernel": jnp.array([[0.3], [-0.2]])}, jax.random.key(1)
    )
    surface = surface.astype(float)
    step = float(config.offsets[1] - config.offsets[0])
    along = [(line[1] - 2 * line[2] + line[3]) / step**2 for line in (surface[:, 2], surface[2, :])]
    np.testing.assert_allclose(numbers["filter_curvature"], np.mean(along), rtol=0.02)
