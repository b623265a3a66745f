"""One HTML file that shows receptive fields: no other file, no request to the network."""

import html
import json
from collections.abc import Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxseg.analysis.receptive.axis_field import AxisField
    from jaxseg.analysis.receptive.field import ReceptiveField

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body class="single">
<main>
<h1>{title}</h1>
<div id="field"></div>
</main>
<script>
{script}
Field.start(document.getElementById("field"), {data});
</script>
</body>
</html>
"""


@cache
def asset(name: str) -> str:
    """The text of a script or style of this folder.

    Args:
        name: Name of the file, such as "field.js".
    """
    return (
        resources.files("jaxseg.analysis.receptive.explorer")
        .joinpath(name)
        .read_text(encoding="utf-8")
    )


def script_json(data: Any) -> str:
    """JSON that may stand inside of a script element, whatever its strings say.

    Args:
        data: What `json.dumps` takes.
    """
    text = json.dumps(data, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


class Explorer:
    """A page that shows what output pixels see.

    In a notebook it is shown below the cell; as a file it opens in any browser.

    Attributes:
        html: The page, which needs no other file.
    """

    def __init__(self, title: str, tables: Sequence[dict[str, Any]], maps: dict[str, Any]):
        """Assemble the page.

        Args:
            title: Its heading.
            tables: A `net_table` for each net.
            maps: The maps of these tables, packed.
        """
        self.html = _PAGE.format(
            title=html.escape(title),
            style=asset("explorer.css"),
            script=asset("dom.js") + asset("field.js"),
            data=script_json({"nets": list(tables), "maps": maps}),
        )

    def save(self, path: str | Path) -> Path:
        """Write the page to a file.

        Args:
            path: The file; its folder is made if it is not there.

        Returns:
            The path.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.html, encoding="utf-8")
        return path

    def _repr_html_(self) -> str:
        """The page in a frame of its own, so that several of them do not meet."""
        return (
            f'<iframe srcdoc="{html.escape(self.html)}" style="width:100%;height:640px;border:0" '
            'sandbox="allow-scripts" title="Receptive field explorer"></iframe>'
        )

    def __repr__(self) -> str:
        """The size of the page and the two ways to see it."""
        return f"Explorer of {len(self.html) // 1000} kB: show it in a notebook, or save(path)."


def html_table(field: "ReceptiveField") -> str:
    """A field's axes as a small table, and the middle pixel's window in a sketch of the image.

    Args:
        field: The field.
    """
    heads = "".join(f"<th>{name}</th>" for name in ("axis", "size", "stride", "padding", "offset"))
    rows = "".join(_row(number, axis) for number, axis in enumerate(field.axes))
    sizes = (" &times; ".join(map(str, size)) for size in (field.output_size, field.input_size))
    output, image = (size or "one value" for size in sizes)
    return (
        '<div style="display:flex;flex-wrap:wrap;gap:1.5em;align-items:center">'
        f"<table><caption>Receptive field of {output} in {image} pixels</caption>"
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>{_sketch(field)}</div>"
    )


def _row(number: int, axis: "AxisField") -> str:
    values = (axis.size, axis.stride, axis.padding, axis.offset)
    shown = (
        "&ndash;" if v is None else f"{v:g}" if isinstance(v, float) else str(v) for v in values
    )
    return f"<tr><th>{number}</th>{''.join(f'<td>{value}</td>' for value in shown)}</tr>"


def _sketch(field: "ReceptiveField") -> str:
    """The middle pixel's window as a drawing, for an image with two axes; else nothing."""
    window = field.window(tuple(n // 2 for n in field.output_size))
    if len(field.input_size) != 2 or window is None:
        return ""
    height, width = field.input_size
    (top, bottom), (left, right) = window
    line = max(height, width) / 60
    inside = f'x="{left}" y="{top}" width="{right - left + 1}" height="{bottom - top + 1}"'
    return (
        f'<svg viewBox="{-line} {-line} {width + 2 * line} {height + 2 * line}" width="110" '
        f'height="110" role="img" stroke-width="{line}">'
        "<title>What the middle output pixel sees of the image</title>"
        f'<rect width="{width}" height="{height}" fill="none" stroke="#888"/>'
        f'<rect {inside} fill="#2f7fc1" fill-opacity=".35" stroke="#2f7fc1"/></svg>'
    )
