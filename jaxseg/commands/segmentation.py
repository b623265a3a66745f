"""A trained net applied to one image of any size: the same for evaluation and prediction."""

from collections.abc import Callable, Iterator

import jax
import numpy as np

from jaxseg.commands.run import Run
from jaxseg.data import geometry
from jaxseg.progress import busy
from jaxseg.training.inference import InferenceConfig, Strip, probabilities, probability_strips

_SAMPLE = 1 << 20
"""Pixels that the range of brightness is taken from."""


class Segmenter:
    """A trained net with the views that its predictions are averaged over.

    One image is computed at a time, by one program, so that an image's labels depend neither on
    the images beside it nor on the command.

    Args:
        run: The net.
        inference: The views.
    """

    def __init__(self, run: Run, inference: InferenceConfig):
        self.info, self._logits, self._inference = run.info, run.logits, inference
        net = jax.jit(lambda image: probabilities(run.logits, image[None], inference)[0])
        self._probabilities = net
        self._windows: set[tuple[int, int]] = set()  # those that the net is compiled for

    def compile(self) -> None:
        """Compile the net, which takes a while; the first image would do it otherwise.

        A net that is trained on crops is compiled at the first image of each size, which `strips`
        shows.
        """
        if self.info.crops:
            return
        shape = (*self.info.size, self.info.channels)
        jax.block_until_ready(self._probabilities(np.zeros(shape, self.info.dtype)))

    def strips(self, image: np.ndarray) -> Iterator[Strip]:
        """Compute the probabilities of an image at its own size, strip by strip.

        A net that was trained on crops at native resolution sees the image unscaled, through
        windows where it is large. Any other sees it at the size of training.

        Args:
            image: (height, width, channels), of the dtype and channels of the training images.

        Yields:
            Strips that cover every pixel once. A net that is trained at native resolution sees the
            image as it is, in windows if it is large; another one sees it at the size of training.
        """
        if self.info.crops:
            yield from self._unscaled(image)
            return
        size, keep_aspect = image.shape[:2], self.info.keep_aspect
        fitted = geometry.fit_image(
            image, self.info.size, keep_aspect=keep_aspect, mean=self.info.mean
        )
        scores = np.asarray(self._probabilities(fitted))
        for rows in geometry.strips(size, self.info.classes):
            part = geometry.restore(scores, size, keep_aspect=keep_aspect, rows=rows)
            yield Strip(rows, slice(0, size[1]), part)

    def _unscaled(self, image: np.ndarray) -> Iterator[Strip]:
        """The strips of an image at native resolution, with a word where the net is compiled."""
        classes = self.info.classes
        strips = probability_strips(self._logits, image, self._inference, classes=classes)
        window = self._inference.window_of((image.shape[0], image.shape[1]), classes)
        if window not in self._windows:
            self._windows.add(window)
            with busy(f"compiling for {window[0]}x{window[1]} pixels"):
                first = next(strips)
            yield first
        yield from strips

    def __call__(
        self, image: np.ndarray, *, on_strip: Callable[[Strip], None] | None = None
    ) -> np.ndarray:
        """Label every pixel of an image.

        Args:
            image: (height, width, channels), of the dtype and channels of the training images.
            on_strip: Called with every strip, in order.

        Returns:
            (height, width), uint8.
        """
        labels = np.empty(image.shape[:2], np.uint8)
        for strip in self.strips(image):
            labels[strip.rows, strip.columns] = strip.labels()
            if on_strip is not None:
                on_strip(strip)
        return labels


def to_rgb(image: np.ndarray) -> np.ndarray:
    """Make of any image one that can be shown: (height, width, 3), uint8.

    8-bit images of 1 or 3 channels are shown as they are. Of others the first three channels are
    taken, or the first alone, each stretched so that all but its darkest and brightest percent lie
    between black and white.

    Args:
        image: (height, width, channels) of uint8, uint16 or float32.
    """
    bands = image[..., :3] if image.shape[-1] >= 3 else image[..., :1]
    if image.dtype != np.uint8 or image.shape[-1] not in (1, 3):
        bands = _stretch(bands)
    return np.broadcast_to(bands, (*image.shape[:2], 3))


def _stretch(bands: np.ndarray) -> np.ndarray:
    """Stretch each channel to 8 bits, from a sample of the pixels and some rows at a time."""
    step = max(1, int((bands.shape[0] * bands.shape[1] / _SAMPLE) ** 0.5))
    sample = bands[::step, ::step].astype(np.float32)
    low, high = np.percentile(sample, (1, 99), axis=(0, 1)).astype(np.float32)
    scale = 255 / np.where(high > low, high - low, np.float32(1))
    stretched = np.empty(bands.shape, np.uint8)
    for rows in geometry.strips(bands.shape[:2], bands.shape[-1]):
        values = (bands[rows].astype(np.float32) - low) * scale
        stretched[rows] = np.clip(values, 0, 255).round()
    return stretched
