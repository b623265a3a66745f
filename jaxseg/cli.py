"""Command lines: a frozen dataclass, presets of it, and flags for every field."""

import dataclasses
import difflib
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import docstring_parser
import tyro

Config = TypeVar("Config")
_HELP, _HELP_ALL = ("-h", "--help"), "--help-all"
_COLUMN = 32
_PROGRAMS = (
    "Compiled programs are kept in the user's cache folder; JAXSEG_CACHE=DIR names another, and "
    "JAXSEG_CACHE=off or --no-cache keeps none."
)


def parse(
    presets: Mapping[str, Config],
    default: str,
    *,
    description: str | None,
    args: Sequence[str] | None,
    program: str = "",
    common: Sequence[str] = (),
) -> Config:
    """Read `--preset NAME`, and then any field of the configuration as a flag over it.

    Args:
        presets: Name -> a frozen dataclass with a field `preset`.
        default: The preset used where none is named.
        description: Shown by `--help`.
        args: The command line without the program's name; None reads `sys.argv`.
        program: The program's name in the usage line; "" is the script's.
        common: The fields that `--help` shows, dotted; all are shown by `--help-all`. Without
            any, `--help` shows them all.

    Raises:
        ValueError: The preset is unknown.
        SystemExit: Help was asked for, or the command line does not parse.
    """
    words = list(sys.argv[1:] if args is None else args)
    name = flag_value(words, "--preset") or default
    if name not in presets:
        near = difflib.get_close_matches(name, presets, 1)
        meant = f" Did you mean {near[0]}?" if near else ""
        raise ValueError(f"preset {name!r} is unknown: give one of {', '.join(presets)}.{meant}")
    base: Any = dataclasses.replace(presets[name], preset=name)  # type: ignore[type-var]
    if common and any(word in _HELP for word in words):
        print(_short_help(base, common, description or "", program))
        raise SystemExit(0)
    words = ["--help" if word == _HELP_ALL else word for word in words]
    return tyro.cli(
        type(base),
        default=base,
        description=f"{description or ''}\n\n{_PROGRAMS}",
        prog=program or None,
        args=words,
    )


def flag_value(words: Sequence[str], flag: str) -> str | None:
    """Find the value that a command line gives a flag; None where it gives none.

    Args:
        words: The command line without the program's name.
        flag: The flag, such as "--preset".
    """
    value = None
    for place, word in enumerate(words):
        if word == flag and place + 1 < len(words):
            value = words[place + 1]
        elif word.startswith(f"{flag}="):
            value = word.split("=", 1)[1]
    return value


def from_json(base: Config, record: Mapping[str, Any], prefix: str = "") -> Config:
    """Put values that were read from JSON into a configuration.

    Args:
        base: A frozen dataclass, in which dataclasses may lie; fields that are not in `record` keep
            its values.
        record: Values by the names of the fields, those of a dataclass as an object.
        prefix: What precedes the fields' names in messages.

    Raises:
        ValueError: A field is unknown, or a value is not of the field's type or out of range.
    """
    hints = get_type_hints(type(base))
    values = {}
    for name, value in record.items():
        if name not in hints:
            near = difflib.get_close_matches(name, hints, 1)
            meant = f" Did you mean {prefix}{near[0]}?" if near else ""
            raise ValueError(f"{prefix}{name} is no option.{meant}")
        current = getattr(base, name)
        if dataclasses.is_dataclass(current) and isinstance(value, dict):
            values[name] = from_json(current, value, f"{prefix}{name}.")
            continue
        try:
            values[name] = _typed(hints[name], value)
        except TypeError as error:
            raise ValueError(f"{prefix}{name}={value!r} is not {error}.") from error
    return dataclasses.replace(base, **values)  # type: ignore[type-var]


def _typed(kind: Any, value: Any) -> Any:
    """Convert a JSON value to an annotated type; raise a `TypeError` that says what is expected."""
    options, inside = get_args(kind), get_origin(kind)
    if inside in (Union, UnionType):
        for option in options:
            with suppress(TypeError):
                return _typed(option, value)
    elif inside is Literal and value in options:
        return value
    elif inside is tuple and isinstance(value, list):
        kinds = options[:1] * len(value) if options[-1] is Ellipsis else options
        if len(kinds) == len(value):
            return tuple(_typed(*pair) for pair in zip(kinds, value, strict=True))
    elif kind is Path and isinstance(value, str):
        return Path(value)
    elif kind is float and type(value) in (int, float):
        return float(value)
    elif kind in (bool, int, str, NoneType) and type(value) is kind:
        return value
    raise TypeError(getattr(kind, "__name__", str(kind)) if not options else str(kind))


def _short_help(config: Any, common: Sequence[str], description: str, program: str) -> str:
    """Describe the options that people use."""
    width = min(100, shutil.get_terminal_size().columns)
    lines = [f"usage: {program} [options]", "", description.strip(), "", "options:"]
    for name in common:
        text, value = _describe(config, name)
        flag = "  --" + name.replace("_", "-")
        shown = " ".join(map(str, value)) if isinstance(value, tuple) else value
        wrapped = textwrap.wrap(f"{text} ({shown})" if text else f"({shown})", width - _COLUMN)
        if len(flag) >= _COLUMN:
            lines.append(flag)
            flag = ""
        lines += [f"{flag:{_COLUMN}}{wrapped[0]}", *(" " * _COLUMN + line for line in wrapped[1:])]
    lines.append(f"{'  --no-cache':{_COLUMN}}Compile every program anew and keep none")
    lines += ["", f"All options: {program} {_HELP_ALL}"]
    return "\n".join(lines)


def _describe(config: Any, name: str) -> tuple[str, Any]:
    """Return what a dotted field's docstring says of it, and its value."""
    *path, last = name.split(".")
    for part in path:
        config = getattr(config, part)
    for kind in type(config).__mro__:
        for parameter in docstring_parser.parse(kind.__doc__ or "").params:
            if parameter.arg_name == last:
                text = " ".join((parameter.description or "").split())
                return text.removesuffix("."), getattr(config, last)
    return "", getattr(config, last)
