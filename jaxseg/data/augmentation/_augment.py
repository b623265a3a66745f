"""Random changes of images and their labels together, as pure functions for the device."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Float32, Integer, PRNGKeyArray

from jaxseg.data.augmentation import affine, photometric
from jaxseg.data.augmentation._augmentation import Augmentation
from jaxseg.data.images.normalization import Images, PerChannel, channel_values, to_brightness


def augment(
    key: PRNGKeyArray | Array,
    images: Images,
    labels: Integer[Array, "batch h w"],
    config: Augmentation,
    *,
    index: Integer[Array, "batch"] | np.ndarray | None = None,
    fill: PerChannel | float = 0.5,
    ignore_index: int = 255,
    clip: bool | None = None,
) -> tuple[Float[Array, "batch height width channels"], Integer[Array, "batch height width"]]:
    """Changes each example at random, its image and its labels alike.

    Images are interpolated bilinearly, without smoothing before they shrink; labels are those of
    the nearest pixel, so that no label is invented. What lies outside the image, or under the
    cutout, is filled in the image and ignored in the labels, so that nothing is learned there.

    The function is pure; under `jit`, `config` and `ignore_index` are static. An example's result
    depends on the key and on its `index` only, not on the rest of the batch, on its place in it or
    on the device.

    Args:
        key: A key for the whole run, of JAX's default kind. Example i draws from
            `jax.random.fold_in(key, index[i])`.
        images: (batch, h, w, channels), not normalized: images of 8 or 16 bits as they are stored,
            or floats: brightness in [0, 1], or measurements.
        labels: One integer for each pixel.
        config: What is done. What is left out there costs nothing.
        index: Rank of each example, integers of 32 bits: `batches(..., with_index=True)` gives the
            ranks in the stream. By default 0 to batch - 1: then pass another key for each batch.
        fill: Brightness of the filling, one number or one for each channel. The data set's mean
            becomes 0 when it is normalized.
        ignore_index: Label of the filling.
        clip: Clip colors to [0, 1]. None clips those of images that have no number outside, such as
            all that are stored as integers; measurements as floats have other bounds, or none.

    Returns:
        Brightness, float32 or of the images' floating type, and labels of their type, at the size
        `config.crop`, or that of the inputs.

    Raises:
        ValueError: Shapes or types do not fit, the key is of another kind, `ignore_index` is no
            number of the labels' type, or saturation or hue is asked for and the images do not
            have 3 channels.

    Example:
        >>> images = np.array([0, 51, 102, 255], np.uint8).reshape(1, 1, 4, 1)
        >>> labels = np.array([[[0, 0, 1, 1]]], np.int32)
        >>> config = Augmentation(scale=(1.0, 1.0), flip=1.0)  # always, and nothing else
        >>> images, labels = augment(jax.random.key(0), images, labels, config)
        >>> images.ravel().tolist(), labels.ravel().tolist()
        ([1.0, 0.4000000059604645, 0.20000000298023224, 0.0], [1, 1, 0, 0])
    """
    _check(images, labels, config, ignore_index)
    _check_key(key)
    if clip is None and jnp.issubdtype(images.dtype, jnp.integer):
        clip = True
    images = to_brightness(images)
    batch, channels = images.shape[0], images.shape[-1]
    index = jnp.arange(batch, dtype=jnp.int32) if index is None else jnp.asarray(index)
    if index.shape != (batch,) or not jnp.issubdtype(index.dtype, jnp.integer):
        raise ValueError(
            f"augment: index is {index.dtype} of shape {index.shape}, expected integers of shape "
            f"({batch},): pass the batch's 'index'"
        )
    values = jnp.asarray(fill, jnp.float32)
    values = jnp.broadcast_to(values, (channels,)) if values.ndim == 0 else values
    filling = channel_values("augment: fill", values, channels).astype(images.dtype)

    def augment_one(number, image, label):
        draws = _draw(jax.random.fold_in(key, number))
        return _augment_one(draws, image, label, config, filling, ignore_index, clip)

    return jax.vmap(augment_one)(index, images, jnp.asarray(labels))


class _Draws(NamedTuple):
    """Random numbers of an example, uniform in [0, 1).

    All are drawn whether they are used or not, so that the numbers of one option do not change
    when another is turned on.
    """

    scale: Float32[Array, ""]
    row: Float32[Array, ""]
    column: Float32[Array, ""]
    flip: Float32[Array, ""]
    rotate: Float32[Array, ""]
    brightness: Float32[Array, ""]
    contrast: Float32[Array, ""]
    saturation: Float32[Array, ""]
    hue: Float32[Array, ""]
    blur: Float32[Array, ""]
    cutout_row: Float32[Array, ""]
    cutout_column: Float32[Array, ""]


def _draw(key) -> _Draws:
    return _Draws(*jax.random.uniform(key, (len(_Draws._fields),), jnp.float32))


def _augment_one(draws, image, label, config, filling, ignore_index, clip):
    size = config.crop or label.shape
    bounds = _bounds(image, clip)
    inside = jnp.ones(size, bool)
    if size != label.shape or config.scale != (1, 1) or config.flip or config.rotate:
        moved = _affine(draws, label.shape, size, config)
        row, column = affine.positions(moved, size)
        image = affine.bilinear(image, row, column)
        label, inside = affine.nearest(label, row, column)
    image = _adjust_colors(draws, image, inside, config, bounds)
    if config.cutout:
        inside &= ~_rectangle(draws, size, config.cutout)
    image = jnp.where(inside[..., None], image, filling.reshape(1, 1, -1))
    return image, jnp.where(inside, label, jnp.asarray(ignore_index, label.dtype))


def _affine(draws: _Draws, old, new, config: Augmentation) -> affine.Affine:
    """The map from the result's pixels to the input's.

    The result is a window of the zoomed image. Its first pixel's place there is a whole number,
    so that without zoom and rotation pixels are moved, not interpolated.
    """
    low, high = config.scale
    zoom = jnp.asarray(low, jnp.float32)
    if low != high:
        zoom = low * jnp.exp(draws.scale * math.log(high / low))
    places = [
        _place(draw, zoom * before - after)
        for draw, before, after in zip((draws.row, draws.column), old, new, strict=True)
    ]
    middles = [(place + after / 2) / zoom - 0.5 for place, after in zip(places, new, strict=True)]
    matrix = jnp.eye(2, dtype=jnp.float32)
    if config.rotate:
        matrix = affine.rotation((2 * draws.rotate - 1) * math.radians(config.rotate))
    across = jnp.where(draws.flip < config.flip, -1, 1).astype(jnp.float32)
    flip = jnp.stack([jnp.ones_like(across), across])
    return affine.Affine(matrix * flip[None, :] / zoom, jnp.stack(middles))


def _place(draw: Float32[Array, ""], room: Float32[Array, ""]) -> Float32[Array, ""]:
    """A whole number, uniform between 0 and the room, which may be negative."""
    most = jnp.floor(jnp.abs(room) + 1e-3)  # the room is rounded, and differently under jit
    return jnp.sign(room) * jnp.minimum(jnp.floor(draw * (most + 1)), most)


def _bounds(image, clip: bool | None) -> photometric.Bounds:
    """The bounds of the colors; without a decision, those of an image that has them itself."""
    if clip is not None:
        return (0, 1) if clip else None
    bounded = jnp.all((image >= 0) & (image <= 1))
    low, high = (jnp.asarray(bound, image.dtype) for bound in (-jnp.inf, jnp.inf))
    return jnp.where(bounded, jnp.zeros_like(low), low), jnp.where(
        bounded, jnp.ones_like(low), high
    )


def _adjust_colors(draws: _Draws, image, inside, config: Augmentation, bounds: photometric.Bounds):
    def factor(draw, spread):
        low, high = max(0.0, 1 - spread), 1 + spread
        return (low + (high - low) * draw).astype(image.dtype)

    if config.brightness:
        image = photometric.adjust_brightness(
            image, factor(draws.brightness, config.brightness), bounds
        )
    if config.contrast:
        image = photometric.adjust_contrast(
            image, factor(draws.contrast, config.contrast), inside, bounds
        )
    if config.saturation:
        image = photometric.adjust_saturation(
            image, factor(draws.saturation, config.saturation), bounds
        )
    if config.hue:
        turns = (2 * draws.hue - 1) * config.hue
        image = photometric.adjust_hue(image, turns.astype(image.dtype))
    if config.blur:
        sigma = (draws.blur * config.blur).astype(image.dtype)
        image = photometric.blur(image, sigma, largest=config.blur, bounds=bounds)
    return image


def _rectangle(draws: _Draws, size, share: float) -> Bool[Array, "h w"]:
    """A mask of the pixels under the cutout."""

    def interval(draw, n):
        side = round(share * n)
        start = jnp.floor(draw * n).astype(jnp.int32) - side // 2
        index = jnp.arange(n, dtype=jnp.int32)
        return (index >= start) & (index < start + side)

    rows, columns = interval(draws.cutout_row, size[0]), interval(draws.cutout_column, size[1])
    return rows[:, None] & columns[None, :]


def _check(images, labels, config: Augmentation, ignore_index: int) -> None:
    if images.ndim != 4 or images.shape[:3] != labels.shape:
        raise ValueError(
            f"augment: images {images.shape} and labels {labels.shape} do not fit, expected "
            "(batch, height, width, channels) and (batch, height, width): pass whole batches"
        )
    stored = images.dtype in (np.uint8, np.uint16)
    if not stored and not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(
            f"augment: images have dtype {images.dtype}, expected uint8, or floats in [0, 1], or "
            "uint16: pass the images as they are stored"
        )
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise ValueError(
            f"augment: labels have dtype {labels.dtype}, expected integers: pass class numbers"
        )
    limits = jnp.iinfo(labels.dtype)
    if not limits.min <= ignore_index <= limits.max:
        raise ValueError(
            f"augment: ignore_index={ignore_index} is no {labels.dtype}, the labels' dtype, "
            f"expected {limits.min} to {limits.max}: pass labels of int32"
        )
    for name in ("saturation", "hue"):
        if getattr(config, name) and images.shape[-1] != 3:
            raise ValueError(
                f"augment: {name}={getattr(config, name)} needs red, green and blue, and the "
                f"images have {images.shape[-1]} channels: set it to 0 (--augmentation.{name} 0)"
            )


def _check_key(key) -> None:
    kind = str(jax.random.key_impl(key))
    if "rbg" in kind:  # under vmap, one generator draws for the whole batch
        raise ValueError(
            f"augment: key is of the kind {kind!r}, with which an example would depend on the rest "
            "of its batch, expected 'threefry2x32': pass jax.random.key(seed, impl='threefry2x32')"
        )
