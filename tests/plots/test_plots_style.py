"""Colors that mean something can be told apart by everyone."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from skimage.color import deltaE_ciede2000, rgb2lab

from jaxseg import plots
from jaxseg.data.sets import mosaic

# Machado, Oliveira & Fernandes 2009, at severity 1; they act on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
PALETTES = {
    "classes of the mosaic": np.array(mosaic.PALETTE) / 255,
    "lines": np.array([to_rgb(color) for color in plots.CYCLE]),
}


def simulate(colors: np.ndarray, matrix) -> np.ndarray:
    """The sRGB colors that a person with this vision sees."""
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.transpose(matrix), 0, 1)
    return np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("palette", PALETTES)
@pytest.mark.parametrize("vision", VISION)
def test_any_two_colors_differ_by_a_delta_e_of_twenty(palette, vision):
    lab = rgb2lab(simulate(PALETTES[palette], VISION[vision]))
    differences = [deltaE_ciede2000(a, b) for a, b in itertools.combinations(lab, 2)]
    assert min(differences) >= 20
