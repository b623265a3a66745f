"""`summary`: the layers of a net as a table, each with what it sees and what it costs."""

import csv
import functools
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import jax
from flax import nnx

from jaxseg.analysis.receptive.field import ReceptiveField
from jaxseg.analysis.receptive.graph import Value
from jaxseg.analysis.receptive.trace import Scope, Tracer, traced

COLUMNS = ("layer", "output", "field", "stride", "parameters", "multiply_adds")


@dataclass(frozen=True)
class Layer:
    """A named part of a net.

    Attributes:
        name: its path, such as "stem" or "stack/[3]/conv1"; "" is the whole.
        shape: of its output.
        field: the receptive field of its output.
        parameters: entries of the arrays that the net holds and that are first used in it.
        multiply_adds: of its products and convolutions, for the whole batch.
    """

    name: str
    shape: tuple[int, ...]
    field: ReceptiveField
    parameters: int
    multiply_adds: int

    def row(self) -> dict[str, Any]:
        """The values of `COLUMNS`."""
        return {
            "layer": self.name or "all",
            "output": _by(self.shape),
            "field": _by(self.field.size),
            "stride": _by("-" if s is None else s for s in self.field.stride),
            "parameters": self.parameters,
            "multiply_adds": self.multiply_adds,
        }


@dataclass(frozen=True, repr=False)
class Summary:
    """The layers of a net, in the order in which they begin; the whole net comes last.

    `print(summary)` shows a table, `summary.csv()` gives it as text for a file.
    """

    layers: tuple[Layer, ...]

    def __getitem__(self, name: str) -> Layer:
        """The layer of a name; "" or "all" is the whole.

        Raises:
            KeyError: no layer has that name.
        """
        found = {layer.name: layer for layer in self.layers}
        return found["" if name == "all" else name]

    def csv(self) -> str:
        """A header and a line a layer."""
        out = io.StringIO()
        writer: csv.DictWriter = csv.DictWriter(out, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for layer in self.layers:
            writer.writerow(layer.row())
        return out.getvalue()

    def __repr__(self) -> str:
        """A table in plain text."""
        rows = [[c.replace("_", "-") for c in COLUMNS]]
        for layer in self.layers:
            *words, parameters, work = layer.row().values()
            rows.append([*words, f"{parameters:,}", f"{work:,}"])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
            for row in rows
        )


def summary(fn: Callable, x: Any, *, depth: int | None = None) -> Summary:
    """Receptive field, parameters and multiply-adds of every named part of a net.

    Names are those of `jax.named_scope` and of `jax.ad_checkpoint.checkpoint_name`; the submodules
    of a `flax.nnx` module get theirs from their attributes, those of a flax.linen module have them
    anyway. The turns of a `lax.scan` are numbered.

    Args:
        fn: as for `receptive_field`, but it may return several arrays.
        x: as for `receptive_field`.
        depth: names of at most so many parts, as "stack/[3]" has two; None: all.

    Returns:
        a `Summary`. The arrays that count as parameters are an nnx module's `Param`s, and of any
        other function the floating arrays that it holds or closes over. Of branches that the data
        decides between, all count, of loops that it ends, one turn. Inside the trace a submodule
        is of a subclass of its class, made to name its calls; the net given is left alone.

    Raises:
        ValueError: as `receptive_field`, or a negative depth.
    """
    if depth is not None and depth < 0:
        raise ValueError(f"summary: depth={depth} must be at least 0, or None for all names.")
    tracer, made, out = traced(fn, x, _with_names)
    whole = tracer.scopes.pop("", Scope())
    shapes = [tuple(aval.shape) for aval in jax.tree.leaves(out)]
    last = [(v if isinstance(v, Value) else None, s) for v, s in zip(made, shapes, strict=True)]
    layers = [
        # What made no array of the image's only prepared parameters.
        _layer(tracer, name, scope, scope.value, scope.value.shape)
        for name, scope in tracer.scopes.items()
        if scope.value is not None and (depth is None or len(name.split("/")) <= depth)
    ]
    return Summary((*layers, *(_layer(tracer, "", whole, *one) for one in last[-1:])))


def _layer(tracer: Tracer, name: str, scope: Scope, value: Value | None, shape) -> Layer:
    field = ReceptiveField(tracer.graph, value, shape)
    return Layer(name, tuple(shape), field, scope.parameters, scope.multiply_adds)


def _with_names(net: nnx.Module) -> nnx.Module:
    """The module, made for this trace alone, with every submodule's call in a named scope."""
    modules = {path: module for path, module in nnx.iter_modules(net) if path and callable(module)}
    for path, module in modules.items():
        above = max((n for n in range(1, len(path)) if path[:n] in modules), default=0)
        name = ".".join(map(str, path[above:]))
        module.__class__ = _named_class(type(module), name)
    return net


@functools.lru_cache(maxsize=1024)
def _named_class(cls: type, name: str) -> type:
    """A subclass whose calls stand in a named scope."""

    def call(self, *args, **kwargs):
        with jax.named_scope(name):
            return cls.__call__(self, *args, **kwargs)

    return type(cls.__name__, (cls,), {"__call__": call, "__module__": cls.__module__})


def _by(values: Iterable[Any]) -> str:
    return "x".join(map(str, values)) or "-"
