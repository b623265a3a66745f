"""The arithmetic that animations show is that of the operations, and their bytes are the same."""

import io
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import PIL
import pytest
from PIL import Image

from experiments.animations import arithmetic, depth
from experiments.animations.__main__ import Config, animations, main
from experiments.animations.canvas import WIDTH
from jaxseg import ops

FOLDER = Config().out
RANDOM = np.random.default_rng(0)


def as_image(x):
    return jnp.asarray(x, jnp.float32)[None, :, :, None]


def as_kernel(x):
    return jnp.asarray(x, jnp.float32)[:, :, None, None]


@pytest.mark.parametrize(
    ("size", "window", "stride", "dilation", "padding"),
    [(5, 3, 2, 1, 1), (7, 3, 1, 2, 0), (6, 2, 3, 1, 0), (8, 3, 2, 2, 3), (4, 4, 1, 1, 2)],
)
def test_steps_are_those_of_a_convolution(size, window, stride, dilation, padding):
    x, kernel = (RANDOM.integers(-3, 4, (n, n)) for n in (size, window))
    options = {"stride": stride, "dilation": dilation, "padding": padding}
    steps = list(arithmetic.conv_steps(x, kernel, **options))
    expected = np.asarray(ops.conv(as_image(x), as_kernel(kernel), **options))[0, :, :, 0]
    shown = np.zeros_like(expected)
    for step in steps:
        shown[step.at] = step.products.sum()
        values = arithmetic.padded(x, padding)[tuple(step.taps.reshape(-1, 2).T)]
        np.testing.assert_array_equal(values * kernel.ravel(), step.products.ravel())
    assert len(steps) == expected.size
    np.testing.assert_array_equal(shown, expected)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [arithmetic.KERNEL, np.ones((4, 4), int)])
def test_stamps_add_up_to_a_transposed_convolution(kernel, stride):
    x = RANDOM.integers(-3, 4, (3, 3))
    np.testing.assert_array_equal(kernel, kernel[::-1, ::-1])
    total = sum(stamp for _, stamp in arithmetic.stamps(x, kernel, stride=stride))
    y = ops.upconv(as_image(x), as_kernel(kernel), stride=stride, padding=0)
    np.testing.assert_array_equal(total, np.asarray(y)[0, :, :, 0])


@pytest.mark.parametrize("rates", [(2, 2, 2), (1, 2, 3), (3, 1)])
def test_counts_are_the_paths_of_dilated_convolutions(rates):
    size = 2 * sum(rates) + 1
    x = np.zeros((size, size))
    x[size // 2, size // 2] = 1
    expected = as_image(x)
    for rate in rates:
        expected = ops.conv(expected, jnp.ones((3, 3, 1, 1)), dilation=rate, padding=rate)
    steps = list(arithmetic.shifted_sums(rates, size))
    assert [layer for layer, _ in steps] == [n for n in range(1, len(rates) + 1) for _ in range(9)]
    np.testing.assert_array_equal(steps[-1][1], np.asarray(expected)[0, :, :, 0])


def test_gradients_are_relative_to_the_loss_and_near_theory():
    measured = depth.measured_gradients(layers=4, width=64, examples=16, seeds=2)
    expected = depth.expected_gradients(4)
    assert [*measured] == [*expected] == [*depth.NETS]
    for arm, values in measured.items():
        assert values.shape == (5,)
        assert values[-1] == 0
        np.testing.assert_allclose(values, expected[arm], atol=0.15)
    animation = depth.gradient_through_depth(measured, expected, title="t")
    assert len(animation.frames) == 6


@pytest.mark.parametrize("name", ["strided", "dilated", "transposed", "gridding", "checkerboard"])
def test_the_committed_animation_is_made_again_byte_for_byte(name):
    made, committed = animations()[name]().gif(), (FOLDER / f"{name}.gif").read_bytes()
    assert made == animations()[name]().gif()
    # Another version of Pillow may draw letters otherwise, and write GIFs otherwise.
    if f"pillow=={PIL.__version__}" in Path("constraints.txt").read_text():
        assert made == committed
    with Image.open(io.BytesIO(made)) as one, Image.open(io.BytesIO(committed)) as other:
        assert (one.size, one.n_frames) == (other.size, other.n_frames)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.gif")), ids=lambda path: path.stem)
def test_animations_are_small_short_and_end_with_a_pause(path):
    assert path.stem in animations()
    assert path.stat().st_size <= 150_000
    with Image.open(path) as image:
        assert image.width == WIDTH
        shown = []
        for number in range(image.n_frames):
            image.seek(number)
            shown.append(image.info["duration"])
    assert 4_000 <= sum(shown) <= 14_000
    assert shown[-1] >= 2_000 > max(shown[:-1])


def test_every_animation_is_committed():
    assert {path.stem for path in FOLDER.glob("*.gif")} == {*animations()}


def test_an_unknown_name_is_refused(tmp_path, capsys):
    with pytest.raises(ValueError, match=r"only=\['spiral'\]: there are strided, dilated"):
        main(Config(out=tmp_path, only=("spiral",)))
    main(Config(out=tmp_path, only=("strided",)))
    assert str(tmp_path / "strided.gif") in capsys.readouterr().out
    assert Image.open(io.BytesIO((tmp_path / "strided.gif").read_bytes())).n_frames > 5
