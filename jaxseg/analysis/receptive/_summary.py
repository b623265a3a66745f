"""`summary`: the layers of a net as a table, each with what it sees and what it costs."""

import csv
import functools
import io
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import jax
from flax import nnx

from jaxseg.analysis.receptive.arrays import Value
from jaxseg.analysis.receptive.field import ReceptiveField
from jaxseg.analysis.receptive.interpreter import Interpreter, Scope
from jaxseg.analysis.receptive.tracing import interpret

COLUMNS = ("layer", "output", "field", "stride", "parameters", "multiply_adds")


@dataclass(frozen=True)
class Layer:
    """A named part of a net.

    Attributes:
        name: Path of the part, such as "stem" or "stack/[3]/conv1"; "" is the whole net.
        shape: Shape of its output.
        field: Receptive field of its output.
        parameters: Number of parameters, entry by entry, that it is the first part to use.
        multiply_adds: Multiply-adds of its products and convolutions, for the whole batch.
    """

    name: str
    shape: tuple[int, ...]
    field: ReceptiveField
    parameters: int
    multiply_adds: int

    def row(self) -> dict[str, Any]:
        """The values of a row of the table, by column."""
        return {
            "layer": self.name or "all",
            "output": _by_axis(self.shape),
            "field": _by_axis(self.field.size),
            "stride": _by_axis("-" if s is None else s for s in self.field.stride),
            "parameters": self.parameters,
            "multiply_adds": self.multiply_adds,
        }


@dataclass(frozen=True, repr=False)
class Summary:
    """The layers of a net, in the order in which they begin; the whole net comes last.

    `print(summary)` shows a table, `summary.csv()` writes it as text for a file, and
    `summary["stem"]` is one layer.

    Attributes:
        layers: The layers.
    """

    layers: tuple[Layer, ...]

    def __getitem__(self, name: str) -> Layer:
        """The layer of a name; "" and "all" are the whole net.

        Raises:
            KeyError: No layer has that name.
        """
        by_name = {layer.name: layer for layer in self.layers}
        return by_name["" if name == "all" else name]

    def csv(self) -> str:
        """The table as comma-separated values: a header, then a line for each layer."""
        text = io.StringIO()
        writer: csv.DictWriter = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for layer in self.layers:
            writer.writerow(layer.row())
        return text.getvalue()

    def __repr__(self) -> str:
        """The table in plain text."""
        rows = [[column.replace("_", "-") for column in COLUMNS]]
        for layer in self.layers:
            *words, parameters, multiply_adds = layer.row().values()
            rows.append([*words, f"{parameters:,}", f"{multiply_adds:,}"])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
            for row in rows
        )


def summary(
    fn: Callable, x: Any, *, depth: int | None = None, check_layout: bool = True
) -> Summary:
    """The receptive field, parameters and multiply-adds of every named part of a net.

    Names are those of `jax.named_scope` and of `jax.ad_checkpoint.checkpoint_name`. The submodules
    of a `flax.nnx` module are named by their attributes, those of a flax.linen module name
    themselves. The turns of a `lax.scan` are numbered.

    Args:
        fn: Function of an image batch, which may return several arrays: any JAX function or
            `flax.nnx` module. A module that updates statistics as it runs is given itself, or in a
            `functools.partial`, as in `partial(net, train=True)`.
        x: Image batch (batch, *space, channels) with one to three spatial axes, an array or a
            `jax.ShapeDtypeStruct`. Only its shape and dtype matter.
        depth: Most parts of a name, as "stack/[3]" has two; None for all names.
        check_layout: Refuse a shape that looks like (batch, channels, *space), as
            `receptive_field` does. Pass False if the channels are last all the same.

    Returns:
        A `Summary`. The parameters of an nnx module are its `Param`s, those of any other function
        the floating arrays that it holds or closes over. If the input decides between branches,
        all of them count; of a loop whose number of turns depends on the input, one turn. The
        module is left as it is; for the trace its submodules are copied into subclasses of their
        classes that name their calls.

    Raises:
        ValueError: `depth` is negative; `x` is not an image batch, or looks like one whose
            channels come first; `fn` uses a primitive that has no rule, or writes to an index that
            depends on the input.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxseg import ops
        >>> from jaxseg.analysis import summary
        >>> kernel = jnp.ones((3, 3, 1, 1))
        >>> def net(x):
        ...     with jax.named_scope("down"):
        ...         x = ops.conv(x, kernel, stride=2)
        ...     with jax.named_scope("up"):
        ...         return ops.upconv(x, kernel, stride=2)
        >>> summary(net, jax.ShapeDtypeStruct((1, 8, 8, 1), jnp.float32))
        layer   output  field  stride  parameters  multiply-adds
        down   1x4x4x1    3x3     2x2           9            144
        up     1x8x8x1    5x5     1x1           0            144
        all    1x8x8x1    5x5     1x1           9            288
    """
    if depth is not None and depth < 0:
        raise ValueError(f"summary: depth={depth} must be at least 0, or None for all names.")
    interpreter, results, out = interpret(
        fn, x, check_layout=check_layout, prepare=_with_named_calls
    )
    whole = interpreter.scopes.pop("", Scope())
    layers = [
        _layer(interpreter, name, scope, scope.value, scope.value.shape)
        for name, scope in interpreter.scopes.items()
        # A scope without a value only prepared parameters.
        if scope.value is not None and (depth is None or len(name.split("/")) <= depth)
    ]
    shapes = [tuple(aval.shape) for aval in jax.tree.leaves(out)]
    for result, shape in list(zip(results, shapes, strict=True))[-1:]:
        value = result if isinstance(result, Value) else None
        layers.append(_layer(interpreter, "", whole, value, shape))
    return Summary(tuple(layers))


def _layer(
    interpreter: Interpreter, name: str, scope: Scope, value: Value | None, shape: tuple[int, ...]
) -> Layer:
    field = ReceptiveField(interpreter.graph, value, shape)
    return Layer(name, tuple(shape), field, scope.parameters, scope.multiply_adds)


def _with_named_calls(net: nnx.Module) -> nnx.Module:
    """The module, made for this trace alone, with every submodule's call in a named scope."""
    modules = {path: module for path, module in nnx.iter_modules(net) if path and callable(module)}
    for path, module in modules.items():
        parent = max((n for n in range(1, len(path)) if path[:n] in modules), default=0)
        name = ".".join(map(str, path[parent:]))
        module.__class__ = _class_with_named_calls(type(module), name)
    return net


@functools.lru_cache(maxsize=1024)
def _class_with_named_calls(cls: type, name: str) -> type:
    """A subclass whose calls stand in a named scope."""

    def call(self, *args, **kwargs):
        with jax.named_scope(name):
            return cls.__call__(self, *args, **kwargs)

    return type(cls.__name__, (cls,), {"__call__": call, "__module__": cls.__module__})


def _by_axis(values: Iterable[Any]) -> str:
    return "x".join(map(str, values)) or "-"
