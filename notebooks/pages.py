"""Shared by all pages: sliders that redraw a figure, figures as small PNGs, stored results.

A page is a `.py` file in cells (jupytext's py:percent). `make notebooks` executes it into the
`.ipynb` beside it.
"""

import asyncio
import base64
import inspect
import io
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ipywidgets as widgets
import jax.numpy as jnp
import numpy as np
from IPython import get_ipython
from IPython.display import display
from matplotlib.figure import Figure
from PIL import Image
from threadpoolctl import threadpool_limits

from jaxseg import analysis
from jaxseg.compile_cache import keep_programs

keep_programs()  # a page that is run again does not wait for the compiler
# NumPy's products on these pages are small: with several threads they take up to ten times as long.
threadpool_limits(1, user_api="blas")

SMALL = bool(os.environ.get("JAXSEG_SMALL"))
"""True where the pages run at the small size of the tests, with the same code."""
RESULTS = Path(__file__).parent / "results"
_DPI = 88
_COLORS = 255
_PAUSE = 0.03  # seconds without a further move of the sliders, before a figure is redrawn


def results(name: str) -> dict[str, np.ndarray]:
    """Load what `precompute.py` stored under a name: trainings that take minutes."""
    with np.load(RESULTS / f"{name}.npz") as arrays:
        return dict(arrays)


def png(figure: Figure, *, few_colors: bool = True) -> bytes:
    """Render a figure as a PNG, by default with a palette of 255 colors, half as large."""
    buffer = io.BytesIO()
    if not few_colors:  # three times as fast
        figure.savefig(buffer, dpi=_DPI, facecolor="white", pil_kwargs={"compress_level": 1})
        return buffer.getvalue()
    figure.savefig(buffer, dpi=_DPI, facecolor="white")
    # MAXCOVERAGE keeps rare colors, such as those of a few orange pixels.
    image = (
        Image.open(buffer)
        .convert("RGB")
        .quantize(_COLORS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    )
    buffer = io.BytesIO()
    image.save(buffer, "png", optimize=True)
    return buffer.getvalue()


def sliders(draw: Callable[..., Figure], **controls: Any) -> None:
    """Show `draw(**values)` below its controls, and redraw it when one of them moves.

    Without a kernel, as on a web page, the figure for the initial values is shown. If `draw` raises
    a `ValueError`, the last figure stays and the message is shown above it.

    Args:
        draw: Function from the values of the controls to a figure; it should take a fraction of a
            second.
        controls: Widgets by the name of the argument that they set.
    """
    box = panel(draw, controls)
    view = {"model_id": box.model_id, "version_major": 2, "version_minor": 0}
    settings = ", ".join(f"{c.description} = {c.value}" for c in controls.values())
    display(
        {
            "application/vnd.jupyter.widget-view+json": view,
            "image/png": base64.b64encode(box.children[-1].value).decode(),
            "text/plain": f"Sliders, when this page runs: {settings}",
        },
        raw=True,
    )


def panel(draw: Callable[..., Figure], controls: Mapping[str, Any]) -> widgets.VBox:
    """Make the box of `sliders`.

    Args:
        draw: Function from the values of the controls to a figure. If it takes `before`, it is
            given the values of the figure that is shown, to draw it as a ghost.
        controls: Widgets by the name of the argument that they set. Their descriptions are set to
            these names if they have none.

    Returns:
        A box with the controls, a label for error messages, and the image.
    """
    for name, control in controls.items():
        control.description = control.description or name.replace("_", " ")
        control.style.description_width = "9em"
        control.layout.width = "30em"

    shown = {name: control.value for name, control in controls.items()}
    ghosts = "before" in inspect.signature(draw).parameters
    pending: list[asyncio.TimerHandle] = []

    def redraw() -> None:
        values = {name: control.value for name, control in controls.items()}
        try:
            figure = draw(**values, before=dict(shown)) if ghosts else draw(**values)
        except ValueError as error:
            message.value = str(error)
            return
        image.value = png(figure, few_colors=False)
        message.value = ""
        shown.update(values)

    def moved(_change: Any) -> None:
        message.value = "drawing…"
        while pending:
            pending.pop().cancel()
        try:  # a slider that is dragged sends many values: only the last one is drawn
            pending.append(asyncio.get_running_loop().call_later(_PAUSE, redraw))
        except RuntimeError:
            redraw()

    image, message = widgets.Image(value=png(draw(**shown)), format="png"), widgets.Label()
    image.layout.align_self, image.layout.max_width = "flex-start", "100%"  # not stretched
    for control in controls.values():
        control.observe(moved, names="value")
    return widgets.VBox([*controls.values(), message, image])


def rows(layers: Sequence[Callable], size: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Compute what each pixel of a chain of layers sees of the row below it, along one axis.

    Args:
        layers: Functions of (1, n, 1) arrays, the one next to the image first.
        size: Number of pixels of the image.

    Returns:
        The `links` and `places` that `plots.chain` draws.
    """
    links, places = [], [np.arange(size, dtype=float)]
    for layer in layers:
        below = places[-1]
        field = analysis.receptive_field(layer, jnp.zeros((1, len(below), 1)))
        (pixels,), (axis,) = field.output_size, field.axes
        links.append(np.stack([field.coverage((i,)) for i in range(pixels)]))
        phases = [phase for phase in axis.phases if phase.size]
        centers = [p.first + (p.size - 1) / 2 - p.phase * axis.stride for p in phases]
        jump = below[1] - below[0] if len(below) > 1 else 1.0
        steps = float(np.mean(centers)) + float(axis.stride) * np.arange(pixels)
        places.append(below[0] + jump * steps)
    return links, places


def pixels_inside(links: Sequence[np.ndarray], index: int) -> int:
    """Count the pixels from the first to the last one of the image that an output pixel sees.

    Args:
        links: One matrix a layer, (outputs, inputs), as `rows` returns them.
        index: Index of the output pixel.
    """
    sees = np.arange(len(links[-1])) == index
    for matrix in reversed(links):
        sees = sees @ matrix
    pixels = np.flatnonzero(sees)
    return int(pixels[-1] - pixels[0] + 1) if len(pixels) else 0


if get_ipython() is not None:  # a figure at the end of a cell is shown
    get_ipython().display_formatter.formatters["image/png"].for_type(Figure, png)
