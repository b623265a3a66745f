"""Checks of the arguments that nets and encoders are built with."""

import difflib
import functools
import inspect
from collections.abc import Callable, Collection
from typing import Any, Literal, TypeVar

Norm = Literal["batch", "group"]
ComputeDtype = Literal["float32", "bfloat16"]
DilationRule = Literal["first_keeps", "whole_stage"]

Target = TypeVar("Target", bound=Callable[..., Any])


def suggest_arguments(target: Target) -> Target:
    """Make a class or function suggest the nearest argument when it is given an unknown one.

    Python suggests names itself from version 3.13 on, for some errors. The decorated object keeps
    its type, so that editors and type checkers see its signature as written.

    Args:
        target: Class, whose constructor is replaced in place, or function.

    Returns:
        The class, or the function in a wrapper. A call with an unknown keyword argument raises a
        `TypeError` that lists the known ones and suggests the nearest.
    """
    if isinstance(target, type):
        cls: Any = target
        signature = inspect.signature(cls.__init__)
        cls.__init__ = _reject_unknown(cls.__init__, cls.__name__)
        # The metaclass of Flax modules would hide the signature from notebooks.
        cls.__signature__ = signature.replace(parameters=list(signature.parameters.values())[1:])
        return cls
    return _reject_unknown(target, getattr(target, "__name__", str(target)))


def check_choice(owner: str, argument: str, value: Any, choices: Collection[Any]) -> None:
    """Raise a `ValueError` unless the value is one of the choices.

    Args:
        owner: Name of the class or function that the argument belongs to, for the message.
        argument: Name of the argument.
        value: Value that was given.
        choices: Values that are allowed.
    """
    if value not in choices:
        raise ValueError(f"{owner}: {argument}={value!r} is unknown: give one of {list(choices)}.")


def check_positive(owner: str, **values: int) -> None:
    """Raise a `ValueError` unless every value is at least 1.

    Args:
        owner: Name of the class or function that the arguments belong to, for the message.
        **values: Value of each argument, by the argument's name.
    """
    for argument, value in values.items():
        if value < 1:
            raise ValueError(f"{owner}: {argument}={value} must be at least 1.")


def check_rate(owner: str, argument: str, value: float) -> None:
    """Raise a `ValueError` unless the value is a dropout rate, at least 0 and below 1.

    Args:
        owner: Name of the class or function that the argument belongs to, for the message.
        argument: Name of the argument.
        value: Value that was given.
    """
    if not 0 <= value < 1:
        raise ValueError(f"{owner}: {argument}={value} must be at least 0 and below 1.")


def _reject_unknown(function: Any, name: str) -> Any:
    known = [argument for argument in inspect.signature(function).parameters if argument != "self"]

    @functools.wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        for argument in named:
            if argument not in known:
                nearest = difflib.get_close_matches(argument, known, n=1)
                hint = f": did you mean {nearest[0]}?" if nearest else "."
                raise TypeError(
                    f"{name}() has no argument {argument!r}{hint} Its arguments are "
                    f"{', '.join(known)}."
                )
        return function(*args, **named)

    return call
