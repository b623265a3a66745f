"""The explorer's page, assembled of its parts into one file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.explorer import tables
from experiments.explorer.nets import EXPLORED
from jaxseg.analysis.receptive.explorer import asset
from jaxseg.analysis.receptive.explorer.page import script_json

HERE = Path(__file__).parent
SCRIPTS = ("arithmetic.js", "convolution.js", "chain.js", "depth.js", "checkerboard.js", "main.js")
"""The scripts of this folder, in the order in which they are run."""
LARGEST_PAGE = 2_000_000
"""Most bytes of the page, which is to open on a phone."""


@dataclass(frozen=True)
class Config:
    """Configuration of the explorer.

    Attributes:
        preset: The preset that the other values come from.
        out: The page.
        measure: Draw the random nets anew and write measured.json first.
        positions: Output pixels along each axis of a net's layer that can be chosen.
        nets: Names of the nets; none for all.
    """

    preset: str = "all"
    out: Path = Path("runs/explorer.html")
    measure: bool = False
    positions: int = 7
    nets: tuple[str, ...] = ()


PRESETS = {
    "all": Config(),
    "tiny": Config(
        positions=2, nets=("ResNet-50, stride on the 3x3 (v1.5)", "Three layers of rate 2")
    ),
}


def main(config: Config) -> None:
    """Write the page.

    Raises:
        ValueError: A net is unknown, measured.json is missing, or the page is too large.
    """
    if unknown := [name for name in config.nets if name not in EXPLORED]:
        raise ValueError(f"nets={unknown}: expected some of {', '.join(EXPLORED)}.")
    if config.measure:
        from experiments.explorer import measure

        measure.main()
    measured = tables.read_measured()
    nets = {name: EXPLORED[name] for name in config.nets or EXPLORED}
    data = {
        "fields": tables.field_tables(nets, measured["effective"], config.positions),
        "depth": measured["depth"],
        "about": measured["about"],
    }
    page = render(data).encode()
    if len(page) > LARGEST_PAGE:
        raise ValueError(
            f"The page has {len(page):,} bytes, more than {LARGEST_PAGE:,}: give fewer positions "
            f"than {config.positions}, or fewer nets."
        )
    config.out.parent.mkdir(parents=True, exist_ok=True)
    config.out.write_bytes(page)
    print(f"Page of {len(page) / 1e6:.2f} MB: {config.out}")


def render(data: dict[str, Any]) -> str:
    """Put scripts, styles and data into the skeleton."""
    scripts = [asset("dom.js"), asset("field.js")]
    scripts += [(HERE / name).read_text(encoding="utf-8") for name in SCRIPTS]
    parts = {
        "style": asset("explorer.css") + (HERE / "style.css").read_text(encoding="utf-8"),
        "data": f"const DATA = {script_json(data)};",
        "scripts": "\n".join(scripts),
    }
    page = (HERE / "page.html").read_text(encoding="utf-8")
    for name, text in parts.items():
        page = page.replace(f"/*{{{name}}}*/", text)
    return page
