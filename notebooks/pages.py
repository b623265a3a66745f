"""What every page shares: figures as small PNGs, and sliders that draw them anew.

A page is a `.py` file in cells (jupytext's py:percent); `make notebooks` executes it into the
`.ipynb` beside it.
"""

import base64
import io
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets as widgets
import jax.numpy as jnp
import numpy as np
from IPython import get_ipython
from IPython.display import display
from matplotlib.figure import Figure
from PIL import Image

from jaxseg import analysis

SMALL = bool(os.environ.get("JAXSEG_SMALL"))
"""Whether the pages run at the size of the tests: the same code, and numbers that say little."""
_DPI = 88
_COLOURS = 255


def png(figure: Figure) -> bytes:
    """The figure as a PNG of few colours, half of the usual size."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=_DPI, facecolor="white")
    # Of the ways to choose few colours, this one keeps the rare ones.
    image = (
        Image.open(buffer)
        .convert("RGB")
        .quantize(_COLOURS, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    )
    buffer = io.BytesIO()
    image.save(buffer, "png", optimize=True)
    return buffer.getvalue()


def sliders(draw: Callable[..., Figure], **controls: Any) -> None:
    """Show `draw(**values)` below its controls, and draw it anew whenever one of them moves.

    Without a kernel, as on a web page, the first figure is what is seen. Values that `draw` refuses
    with a `ValueError` leave the last figure, with what is wrong above it.

    Args:
        draw: from the controls' values to a figure, in a fraction of a second.
        controls: the argument's name -> its widget.
    """
    shown = panel(draw, controls)
    live = {"model_id": shown.model_id, "version_major": 2, "version_minor": 0}
    settings = ", ".join(f"{c.description} = {c.value}" for c in controls.values())
    display(
        {
            "application/vnd.jupyter.widget-view+json": live,
            "image/png": base64.b64encode(shown.children[-1].value).decode(),
            "text/plain": f"Sliders, when this page runs: {settings}",
        },
        raw=True,
    )


def panel(draw: Callable[..., Figure], controls: Mapping[str, Any]) -> widgets.VBox:
    """The controls, a line for what is wrong, and the picture; see `sliders`."""
    for name, control in controls.items():
        control.description = control.description or name.replace("_", " ")
        control.style.description_width = "9em"
        control.layout.width = "30em"

    def drawn() -> bytes:
        return png(draw(**{name: control.value for name, control in controls.items()}))

    def redraw(_change: Any) -> None:
        try:
            picture.value = drawn()
            wrong.value = ""
        except ValueError as error:
            wrong.value = str(error)

    picture, wrong = widgets.Image(value=drawn(), format="png"), widgets.Label()
    picture.layout.align_self, picture.layout.max_width = "flex-start", "100%"  # not stretched
    for control in controls.values():
        control.observe(redraw, names="value")
    return widgets.VBox([*controls.values(), wrong, picture])


def rows(layers: Sequence[Callable], size: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Who sees whom in a chain of layers along one axis, and where its pixels lie.

    Args:
        layers: functions of (1, n, 1) arrays, the one next to the image first.
        size: pixels of the image.

    Returns:
        the `links` and `places` of `plots.chain`.
    """
    links, places = [], [np.arange(size, dtype=float)]
    for layer in layers:
        below = places[-1]
        field = analysis.receptive_field(layer, jnp.zeros((1, len(below), 1)))
        (pixels,), (axis,) = field.output_size, field.axes
        links.append(np.stack([field.coverage((i,)) for i in range(pixels)]))
        phases = [phase for phase in axis.phases if phase.size]
        centres = [p.first + (p.size - 1) / 2 - p.phase * axis.stride for p in phases]
        jump = below[1] - below[0] if len(below) > 1 else 1.0
        steps = float(np.mean(centres)) + float(axis.stride) * np.arange(pixels)
        places.append(below[0] + jump * steps)
    return links, places


if get_ipython() is not None:  # a figure that ends a cell is shown
    get_ipython().display_formatter.formatters["image/png"].for_type(Figure, png)
