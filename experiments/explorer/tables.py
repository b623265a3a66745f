"""What the explorer's page is given: fields of nets, traced here, and what was measured."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.explorer.nets import Net, UpLayers, end_points
from jaxseg.analysis import ReceptiveField, receptive_field
from jaxseg.analysis.receptive.explorer import Maps, layer_table, net_table

MEASURED = Path(__file__).with_name("measured.json")
"""Effective fields and gradients of random nets, from `measure`."""


def fields(net: Net) -> Iterator[tuple[str, ReceptiveField]]:
    """Trace the fields of a net's end points, in the order of the net."""
    image = jax.ShapeDtypeStruct((1, net.size, net.size, 1), jnp.float32)
    for end in end_points(net):
        yield end, receptive_field(lambda x, end=end: net.build(UpLayers(), x)[end], image)


def field_tables(nets: Mapping[str, Net], measured: Mapping[str, Any], positions: int) -> dict:
    """Make the tables of nets for the view of fields.

    Args:
        nets: Nets by name.
        measured: Effective fields by net and end point, as `measure.effective_fields` gives them.
        positions: Number of output pixels along each axis.
    """
    maps, tables = Maps(), []
    for name, net in nets.items():
        layers = []
        for end, field in fields(net):
            layer = layer_table(end, field, maps, positions=positions)
            if found := measured.get(name, {}).get(end):
                layer["effective"] = _effective(found, maps)
            layers.append(layer)
        tables.append(net_table(name, layers, (net.size,) * 2))
    return {"nets": tables, "maps": maps.packed()}


def _effective(measured: Mapping[str, Any], maps: Maps) -> dict[str, Any]:
    shades = np.array([[int(digit, 16) for digit in row] for row in measured["shades"]], np.uint8)
    kept = {key: measured[key] for key in ("pixel", "window", "width")}
    return kept | {"map": maps.add_shades(shades, measured["block"])}


def read_measured() -> dict[str, Any]:
    """Read what was measured.

    Raises:
        ValueError: There is no such file.
    """
    if not MEASURED.exists():
        raise ValueError(
            f"{MEASURED} is missing: make it by python -m experiments.explorer --measure"
        )
    return json.loads(MEASURED.read_text(encoding="utf-8"))
