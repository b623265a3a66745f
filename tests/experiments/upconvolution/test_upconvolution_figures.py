"""Figures of upconvolutions show the numbers they are given."""

import numpy as np
import pytest

from experiments.upconvolution import figures
from experiments.upconvolution.config import ARMS


def test_two_ways_lead_to_one_output(tmp_path):
    parts = np.arange(16.0).reshape(4, 2, 2)
    outputs = np.arange(36.0).reshape(4, 3, 3)
    output = np.zeros((6, 6))
    for number in range(4):
        output[number // 2 :: 2, number % 2 :: 2] = outputs[number]
    figure = figures.upconvolution(np.eye(3), np.arange(16.0).reshape(4, 4), output, parts, outputs)
    axes = figure.axes
    assert axes[7].get_xlabel().endswith("above: 0")
    np.testing.assert_array_equal(axes[7].images[0].get_array(), output)
    # Of 25 pixels of the dilated input 9 are the image's own.
    assert len(axes[1].patches) == 16
    np.testing.assert_array_equal(axes[1].images[0].get_array()[::2, ::2], np.eye(3))
    assert [text.get_text() for text in axes[2].texts][:3] == ["", "1", "2"]
    figure.savefig(tmp_path / "f.png", dpi=40)


def test_the_drawn_upconvolution_is_one():
    image, kernel, output, parts, outputs = figures.upconvolution_arrays()
    np.testing.assert_array_equal(parts[1], kernel[::2, 1::2])
    np.testing.assert_allclose(output[0::2, 1::2], outputs[1], atol=1e-15)
    # Bilinear: an inner pixel of ones stays one.
    assert image[4, 2] == 1
    np.testing.assert_allclose(output[8:10, 4:6], 1)


def test_layers_at_initialization_stand_beside_theory():
    rows = [
        {"quantity": q, "case": c, "theory": 4.0, "measured": 3.5, "error": 0.25}
        for q, c in (("share", "upconv k2s2"), ("share", "other"), ("power", "sub-pixel"))
    ]
    first, second = figures.initial_layers(rows).axes
    assert [t.get_text() for t in first.get_yticklabels()] == ["upconv 2 × 2", "other"]
    assert second.lines[0].get_xdata().tolist() == [4, 4]
    bars = second.containers[0].lines[2][0].get_segments()[0]
    assert bars[:, 0].tolist() == [3, 4]


def test_energies_are_medians_over_seeds_and_their_range():
    steps, runs = np.array([0, 5]), np.array([[0.0, 2.0], [0.0, 9.0], [0.0, 4.0]])
    curves = {"sub-pixel ICNR": (steps, runs)}
    other = {"sub-pixel ICNR": (steps, 10 + runs)}
    figure = figures.checkerboards(curves, other, labels=0.4)
    left, right = figure.axes
    assert left.lines[0].get_ydata().tolist() == [0, 4]
    assert right.lines[0].get_ydata().tolist() == [10, 14]
    assert 0.4 in [line.get_ydata()[0] for line in left.lines]
    assert right.get_yscale() == "symlog"
    edges = left.collections[0].get_paths()[0].vertices[:, 1]
    assert (edges.min(), edges.max()) == (0, 9)
    labels = [text.get_text() for text in figure.legends[0].texts]
    assert labels == ["sub-pixel ICNR", "white noise; any slope", "the labels themselves"]


def test_every_arm_has_a_style_of_its_own():
    assert {*figures.STYLES} == {*ARMS}
    assert len({*figures.STYLES.values()}) == len(ARMS)


@pytest.mark.parametrize("arms", [1, 3])
def test_decoders_are_columns(arms, tmp_path):
    """Logits before and after training, of the class in the middle; what is 0 is drawn too."""
    mask = np.zeros((8, 8), int)
    mask[4, 4] = 2
    logits = np.zeros((2, 5, 4, 4, 3))
    logits[0, 0, 1, 2, 2], logits[1, 0, 3, 0, 2] = 1, -2
    kept = {f"arm {n}": logits for n in range(arms)}
    image = np.arange(64.0).reshape(8, 8, 1) / 64
    figure = figures.decoders(image, mask, kept, ((0, 0, 0), (9, 9, 9), (255, 0, 0)))
    grid = np.array(figure.axes).reshape(4, arms + 1)
    for column in grid[:, 1:].T:
        np.testing.assert_array_equal(column[0].images[0].get_array(), logits[0, 0, :, :, 2])
        np.testing.assert_array_equal(column[2].images[0].get_array(), logits[1, 0, :, :, 2])
        assert column[2].images[0].get_clim() == (-2, 2)
    # The border that logits lack is cut off the image too.
    np.testing.assert_allclose(grid[0, 0].images[0].get_array()[..., 0], image[2:6, 2:6, 0])
    figure.savefig(tmp_path / "f.png", dpi=40)


def test_a_spectrum_has_frequency_0_in_the_middle():
    rows, columns = np.indices((8, 8))
    stripes = np.cos(np.pi * rows)[None, :, :, None] + 7  # half a cycle a pixel, along columns
    power = figures.spectrum(np.broadcast_to(stripes, (2, 8, 8, 3)))
    assert np.unravel_index(power.argmax(), power.shape) == (0, 4)
    slow = np.cos(2 * np.pi * columns / 8)[None, :, :, None]
    peak = np.unravel_index(figures.spectrum(slow).argmax(), power.shape)
    assert peak[0] == 4
    assert abs(peak[1] - 4) == 1


def test_what_an_image_does_at_its_edges_does_not_hide_the_rest():
    """A slope jumps where the image is repeated: without a taper it reaches every frequency."""
    slope = np.broadcast_to(np.arange(16.0)[:, None, None], (1, 16, 16, 1))
    power = figures.spectrum(slope)[:, 8]
    assert power[0] < 1e-4 * power.max()
    untapered = np.abs(np.fft.fftshift(np.fft.fft(slope[0, :, 0, 0] - 7.5))) ** 2
    assert untapered[0] > 0.03 * untapered.max()
