"""Texture photographs from scikit-image's wheel, cut into areas that no two splits share.

The photographs (brick, grass, gravel: 512 × 512 pixels, gray, CC0) are read as files of the
installed package, not through `skimage.data`, which would ask pooch to download what it misses.
"""

import hashlib
import io
from importlib import resources
from statistics import NormalDist

import numpy as np
from jaxtyping import Float
from PIL import Image

SPLITS = ("train", "validation", "test")
NAMES = ("brick", "grass", "gravel")

_SIDE = 512
_HALF = _SIDE // 2
# Rows and columns of each split's area. Training takes the left half, the other two a quarter
# each, so that every area is at least `_HALF` pixels high and wide.
_AREAS: dict[str, tuple[slice, slice]] = {
    "train": (slice(0, _SIDE), slice(0, _HALF)),
    "validation": (slice(0, _HALF), slice(_HALF, _SIDE)),
    "test": (slice(_HALF, _SIDE), slice(_HALF, _SIDE)),
}


def area(split: str) -> tuple[slice, slice]:
    """The rows and columns of each photograph, in its own pixels, that belong to a split."""
    return _AREAS[split]


def largest_size(scale: int) -> int:
    """The side, in pixels after scaling, of the largest square that fits every area."""
    return _HALF // scale


def fingerprint() -> str:
    """A hexadecimal digest of the photographs' files: it changes when the wheel's files do."""
    return hashlib.sha256(b"".join(_read_bytes(name) for name in NAMES)).hexdigest()


def load_textures(split: str, *, scale: int, equal: bool = True) -> list[Float[np.ndarray, "h w"]]:
    """The area of each photograph that belongs to a split, shrunk and normalized.

    Args:
        split: `"train"`, `"validation"` or `"test"`.
        scale: Shrink by this integer factor, by averaging `scale` × `scale` blocks. The area is
            cut before, so that no block mixes the pixels of two splits.
        equal: Give every photograph the same, normal, distribution of gray values; otherwise only
            shift and scale the three together, which leaves them as they were taken.

    Returns:
        One array for each of `NAMES`, of mean 0 and standard deviation 1: each by itself if
        `equal`, otherwise the three together.
    """
    areas = [shrink(_photograph(name)[_AREAS[split]], scale) for name in NAMES]
    if equal:
        return [equalize(image) for image in areas]
    mean, std = np.mean(areas), np.std(areas)
    return [(image - mean) / std for image in areas]


def shrink(image: np.ndarray, scale: int) -> Float[np.ndarray, "height/scale width/scale"]:
    """Averages blocks of `scale` × `scale` pixels; incomplete blocks at the end are dropped."""
    height, width = (side // scale for side in image.shape)
    blocks = image[: height * scale, : width * scale].reshape(height, scale, width, scale)
    return blocks.mean(axis=(1, 3), dtype=np.float64)


def equalize(image: np.ndarray) -> Float[np.ndarray, "height width"]:
    """Replaces each gray value by the normal quantile of its rank; equal values stay equal.

    If only the means and the standard deviations were matched, the skewness of the histograms
    would still tell the photographs apart. After this monotone tone curve all have the same
    histogram, so that only the arrangement of the pixels, the texture, is left.
    """
    _, inverse, counts = np.unique(image, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - counts / 2) / image.size
    quantile = np.array([NormalDist().inv_cdf(p) for p in rank.tolist()])
    return quantile[inverse].reshape(image.shape)


def _read_bytes(name: str) -> bytes:
    path = resources.files("skimage") / "data" / f"{name}.png"
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise ValueError(
            f"scikit-image's wheel has no {path}: the texture mosaic expects the photographs "
            f"{', '.join(NAMES)} there; install a scikit-image that holds them (0.25 or 0.26)"
        ) from error


def _photograph(name: str) -> np.ndarray:
    with Image.open(io.BytesIO(_read_bytes(name))) as image:
        pixels = np.asarray(image)
    if pixels.shape != (_SIDE, _SIDE) or pixels.dtype != np.uint8:
        raise ValueError(
            f"scikit-image's {name}.png has shape {pixels.shape} and dtype {pixels.dtype}, "
            f"expected {(_SIDE, _SIDE)} and uint8; install scikit-image 0.25 or 0.26"
        )
    return pixels
