"""Animations of convolution arithmetic: one output pixel, one stamp, one tap at a time."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from experiments.animations.canvas import (
    BLUE,
    INK,
    LINE,
    ORANGE,
    RED,
    WIDTH,
    Animation,
    Canvas,
    Grid,
    tint,
)

KERNEL = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]])
"""Turned by 180 degrees it is the same, so that it may be stamped as it stands."""
STEP, PAUSE = 550, 2600
"""Milliseconds that a step and the last frame are shown."""


class Step(NamedTuple):
    """One output pixel of a convolution.

    Attributes:
        at: Its row and column.
        taps: (k, k, 2) rows and columns of the padded input that its taps lie on.
        products: (k, k) input times kernel.
    """

    at: tuple[int, int]
    taps: np.ndarray
    products: np.ndarray


def padded(x: np.ndarray, padding: int) -> np.ndarray:
    """Put zeros around an image."""
    return np.pad(x, padding)


def conv_steps(
    x: np.ndarray, kernel: np.ndarray, *, stride: int = 1, dilation: int = 1, padding: int = 0
) -> Iterator[Step]:
    """Go through the output pixels of a convolution, row by row.

    Args:
        x: (n, n) input.
        kernel: (k, k) kernel.
        stride: Pixels of the input between two outputs.
        dilation: Pixels of the input between two taps.
        padding: Zeros at each edge.
    """
    image, k = padded(x, padding), len(kernel)
    size = (len(image) - (k - 1) * dilation - 1) // stride + 1
    for i, j in np.ndindex(size, size):
        taps = np.array([i, j]) * stride + dilation * np.moveaxis(np.indices((k, k)), 0, -1)
        values = image[taps[..., 0], taps[..., 1]]
        yield Step((i, j), taps, values * kernel)


def stamps(
    x: np.ndarray, kernel: np.ndarray, *, stride: int
) -> Iterator[tuple[tuple[int, int], np.ndarray]]:
    """Go through the input pixels of a transposed convolution: each stamps the kernel.

    Args:
        x: (n, n) input.
        kernel: (k, k) kernel, which is the same turned by 180 degrees.
        stride: Pixels of the output between two stamps.

    Yields:
        Row and column of the input pixel, and its stamp on the whole output, all else 0.
    """
    k = len(kernel)
    size = stride * (len(x) - 1) + k
    for i, j in np.ndindex(x.shape):
        stamp = np.zeros((size, size), x.dtype)
        stamp[stride * i : stride * i + k, stride * j : stride * j + k] = x[i, j] * kernel
        yield (i, j), stamp


def shifted_sums(rates: Sequence[int], size: int) -> Iterator[tuple[int, np.ndarray]]:
    """Count the paths back from one output pixel of 3 x 3 convolutions, tap by tap.

    Args:
        rates: Dilation of each layer, the last one first.
        size: Height and width of the map of counts, odd; the pixel is in the middle.

    Yields:
        The number of layers passed through, counting from 1, and the counts so far.
    """
    counts = np.zeros((size, size), int)
    counts[size // 2, size // 2] = 1
    for layer, rate in enumerate(rates, 1):
        arrived = np.zeros_like(counts)
        for di, dj in np.ndindex(3, 3):
            arrived += np.roll(counts, ((di - 1) * rate, (dj - 1) * rate), (0, 1))
            yield layer, arrived.copy()
        counts = arrived


def convolution(
    x: np.ndarray,
    kernel: np.ndarray,
    *,
    title: str,
    stride: int = 1,
    dilation: int = 1,
    padding: int = 0,
) -> Animation:
    """Animate a convolution: the window moves, and an output pixel appears at each of its places.

    Args:
        x: (n, n) input.
        kernel: (k, k) kernel.
        title: Title.
        stride: Pixels of the input between two outputs.
        dilation: Pixels of the input between two taps.
        padding: Zeros at each edge.
    """
    image, animation = padded(x, padding), Animation()
    source = Grid(46, 36, len(image), len(image), 34)
    steps = list(conv_steps(x, kernel, stride=stride, dilation=dilation, padding=padding))
    side = steps[-1].at[0] + 1
    column = source.x + source.columns * source.cell + 48
    taps = Grid(column, source.y + 4, len(kernel), len(kernel), 34)
    target = Grid(column, source.y + 34 * (source.rows - side), side, side, 34)
    height = int(source.y + source.rows * source.cell + 52)
    done: dict[tuple[int, int], int] = {}
    for step in [*steps, None]:
        canvas = Canvas(height, title)
        _source(canvas, source, image, padding, step)
        for (i, j), weight in np.ndenumerate(kernel):
            taps.paint(canvas, i, j, fill=tint(BLUE, 0.22), outline=LINE)
            taps.write(canvas, i, j, f"{weight}", color=BLUE)
        taps.caption(canvas, "kernel")
        if step:
            done[step.at] = int(step.products.sum())
        for i, j in np.ndindex(side, side):
            now = step is not None and step.at == (i, j)
            fill = tint(ORANGE, 0.45 if now else 0.16) if (i, j) in done else "white"
            target.paint(canvas, i, j, fill=fill, outline=LINE)
            if (i, j) in done:
                target.write(canvas, i, j, f"{done[i, j]}", bold=now)
        target.caption(canvas, "output")
        canvas.text(WIDTH / 2, height - 15, _sum(step, kernel) if step else "", size=11)
        animation.add(canvas, STEP if step else PAUSE)
    return animation


def _source(canvas: Canvas, grid: Grid, image: np.ndarray, padding: int, step: Step | None) -> None:
    """Draw the padded input, and the taps of a step on it."""
    rows, columns = image.shape
    for (i, j), value in np.ndenumerate(image):
        inside = padding <= i < rows - padding and padding <= j < columns - padding
        grid.paint(canvas, i, j, fill="white" if inside else "#eef0f2", outline=LINE)
        grid.write(canvas, i, j, f"{value}", color=INK if inside else "#a5abb3")
    if step:
        for i, j in step.taps.reshape(-1, 2):
            grid.paint(canvas, i, j, fill=tint(BLUE, 0.22), outline=BLUE, thick=2)
            grid.write(canvas, i, j, f"{image[i, j]}", color=BLUE, bold=True)
    grid.caption(canvas, "input and its padding" if padding else "input")


def _sum(step: Step, kernel: np.ndarray) -> str:
    """Write the products that are not 0, and their sum."""
    parts = [
        f"{product // weight} · {weight}"
        for product, weight in zip(step.products.ravel(), kernel.ravel(), strict=True)
        if product
    ]
    return f"{' + '.join(parts) or '0'} = {step.products.sum()}"


def transposed(x: np.ndarray, *, title: str, stride: int = 2) -> Animation:
    """Animate a transposed convolution: each input pixel stamps the kernel, and stamps add up.

    Args:
        x: (n, n) input.
        title: Title.
        stride: Pixels of the output between two stamps.
    """
    animation, size = Animation(), stride * (len(x) - 1) + len(KERNEL)
    total, times = np.zeros((size, size), x.dtype), np.zeros((size, size), int)
    source, taps = Grid(24, 64, len(x), len(x), 36), Grid(24, 214, len(KERNEL), len(KERNEL), 36)
    target = Grid(184, 46, size, size, 38)
    for at, stamp in [*stamps(x, KERNEL, stride=stride), (None, None)]:
        if stamp is not None:
            total, times = total + stamp, times + (stamp > 0)
        canvas = Canvas(354, title)
        for (i, j), value in np.ndenumerate(x):
            now = at == (i, j)
            fill = tint(BLUE, 0.3) if now else "white"
            source.paint(canvas, i, j, fill=fill, outline=BLUE if now else LINE, thick=1 + now)
            source.write(canvas, i, j, f"{value}", bold=now)
        for (i, j), weight in np.ndenumerate(KERNEL):
            taps.paint(canvas, i, j, fill=tint(BLUE, 0.12), outline=LINE)
            taps.write(canvas, i, j, f"{weight}", color=BLUE)
        for (i, j), value in np.ndenumerate(total):
            now = stamp is not None and stamp[i, j] > 0
            fill = tint(ORANGE, 0.13 * float(times[i, j])) if value else "white"
            target.paint(canvas, i, j, fill=fill, outline=LINE)
            if now:
                target.paint(canvas, i, j, outline=BLUE, thick=2)
            target.write(canvas, i, j, f"{value}" if value else "", bold=bool(now))
        source.caption(canvas, "input")
        taps.caption(canvas, "kernel, the stamp")
        target.caption(canvas, "output: darker where more stamps meet")
        animation.add(canvas, PAUSE if at is None else STEP)
    return animation


def gridding(rates: Sequence[Sequence[int]], *, title: str) -> Animation:
    """Animate what one output pixel sees through dilated convolutions, in panels side by side.

    Args:
        rates: Dilations of the layers of each net, all as many and of one sum.
        title: Title.
    """
    reach = sum(rates[0])
    size = 2 * reach + 1
    cell = (WIDTH - 60) // (2 * size)
    grids = [Grid(20 + n * (cell * size + 20), 62, size, size, cell) for n in range(len(rates))]
    animation = Animation()
    frames = list(zip(*(shifted_sums(r, size) for r in rates), strict=True))
    for number, panels in enumerate([*frames, frames[-1]]):
        last = number == len(frames)
        canvas = Canvas(62 + cell * size + 30, title)
        for grid, (layer, counts), each in zip(grids, panels, rates, strict=True):
            middle = grid.x + grid.columns * cell / 2
            names = ", ".join(map(str, each))
            canvas.text(middle, 46, f"rates {names}: layer {layer} of {len(each)}", size=11)
            _counts(canvas, grid, counts, holes=last)
            seen = int(np.sum(counts > 0))
            grid.caption(canvas, f"{seen} of {counts.size} pixels seen")
        end_of_layer = number % 9 == 8
        animation.add(canvas, PAUSE + 400 if last else 700 if end_of_layer else 130)
    return animation


def _counts(canvas: Canvas, grid: Grid, counts: np.ndarray, *, holes: bool) -> None:
    """Shade cells by the number of their paths, and mark those without one."""
    most = counts.max()
    for (i, j), count in np.ndenumerate(counts):
        shade = tint(BLUE, 0.2 + 0.8 * np.log1p(count) / np.log1p(most)) if count else "white"
        fill = tint(RED, 0.75) if holes and not count else shade
        grid.paint(canvas, i, j, fill=fill, outline=LINE)


def checkerboard(windows: Sequence[int], *, inputs: int, title: str) -> Animation:
    """Animate how stamps of stride 2 meet in the output, in panels side by side.

    Args:
        windows: Height and width of the kernel of each panel.
        inputs: Height and width of the input.
        title: Title.
    """
    ones = np.ones((inputs, inputs), int)
    nets = [list(stamps(ones, np.ones((k, k), int), stride=2)) for k in windows]
    sizes = [len(steps[0][1]) for steps in nets]
    cell = (WIDTH - 60) // sum(sizes)
    edges = np.cumsum([20, *(size * cell + 20 for size in sizes)])
    grids = [Grid(float(x), 62, n, n, cell) for x, n in zip(edges, sizes, strict=False)]
    totals = [np.zeros_like(steps[0][1]) for steps in nets]
    animation = Animation()
    for number in range(inputs**2 + 1):
        last = number == inputs**2
        canvas = Canvas(62 + cell * max(sizes) + 30, title)
        for n, (grid, window) in enumerate(zip(grids, windows, strict=True)):
            stamp = np.zeros_like(totals[n]) if last else nets[n][number][1]
            totals[n] = totals[n] + stamp
            canvas.text(
                grid.x + grid.columns * cell / 2,
                46,
                f"kernel {window} × {window}, stride 2",
                size=11,
            )
            for (i, j), count in np.ndenumerate(totals[n]):
                fill = tint(BLUE, count / 4) if count else "white"
                grid.paint(canvas, i, j, fill=fill, outline=LINE)
                color = "#ffffff" if count > 2 else INK
                grid.write(canvas, i, j, f"{count}" if count else "", color=color, size=0.5 * cell)
            for i, j in np.argwhere(stamp):
                grid.paint(canvas, i, j, outline=ORANGE, thick=2)
            inner = totals[n][window:-window, window:-window]
            even = "uneven" if inner.min() < inner.max() else "even"
            grid.caption(canvas, f"stamps that meet: {even} inside" if last else "stamps that meet")
        animation.add(canvas, PAUSE if last else 200)
    return animation
