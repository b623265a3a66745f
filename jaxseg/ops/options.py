"""Options of the operations: integers per spatial axis, and paddings."""

import operator
from collections.abc import Iterable, Sequence
from typing import Any, Literal

Sizes = int | Sequence[int]
Padding = (
    Literal["same", "valid", "SAME", "VALID"] | int | Sequence[int] | Sequence[tuple[int, int]]
)
Edges = Sequence[tuple[int, int]]


def per_axis(name: str, value: Sizes, axes: int, *, least: int = 1) -> tuple[int, ...]:
    """Repeat an integer for every spatial axis, or check a sequence of one integer per axis.

    Args:
        name: name of the option, for the error message.
        value: one integer, or a sequence with one per axis.
        axes: number of spatial axes.
        least: smallest value allowed.

    Raises:
        ValueError: `value` has the wrong length, or an entry that is not an integer or is below
            `least`.
    """
    values: tuple[Any, ...] = (value,) * axes if is_integer(value) else entries(value)
    if not values or len(values) != axes or not all(is_integer(v) for v in values):
        raise ValueError(
            f"{name}={value!r} does not fit {axes} spatial axes: "
            f"give one integer, or {axes} of them."
        )
    if min(values) < least:
        raise ValueError(f"{name}={value!r} has an entry below {least}: give integers >= {least}.")
    return tuple(int(v) for v in values)


def is_same(padding: Padding) -> bool:
    """Tell whether the padding is "same", in any case."""
    return isinstance(padding, str) and padding.lower() == "same"


def padding_pairs(padding: Padding, axes: int) -> tuple[tuple[int, int], ...]:
    """Spell out a padding other than "same" as (before, after) per axis.

    Raises:
        ValueError: `padding` is not "valid", an integer, or one integer or pair per axis.
    """
    if isinstance(padding, str) and padding.lower() == "valid":
        return ((0, 0),) * axes
    if is_integer(padding):
        (p,) = per_axis("padding", padding, 1, least=0)  # type: ignore[arg-type]
        return ((p, p),) * axes
    pairs = tuple((p, p) if is_integer(p) else entries(p) for p in entries(padding))
    if len(pairs) != axes or not all(
        len(p) == 2 and all(is_integer(v) and v >= 0 for v in p) for p in pairs
    ):
        raise ValueError(
            f'padding={padding!r} is not understood for {axes} spatial axes: give "same", "valid", '
            f"an integer >= 0, {axes} integers, or {axes} pairs (before, after)."
        )
    return pairs  # type: ignore[return-value]


def is_integer(value: object) -> bool:
    """Tell whether a value is an integer; booleans are not."""
    try:
        operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return False
    return not isinstance(value, bool)


def entries(value: object) -> tuple:
    """List the entries of a sequence or an array; anything else has none."""
    return tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else ()
